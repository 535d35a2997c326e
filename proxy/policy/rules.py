"""What did the operator decide about caching, where HTTP leaves the choice?"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config.model import ClientCacheControl
from proxy.config.units import Bytes, Seconds
from proxy.policy.cookies import IgnoredCookies


@dataclass(frozen=True, slots=True)
class Rules:
    """The choices that the four questions are answered by."""

    site_lifetime: Seconds
    """Of a 200 that says nothing about its own: CACHE_MIDDLEWARE_SECONDS. 0: no such response is stored."""
    stale_if_error: Seconds
    """How long after its lifetime a response may stand in for a failing origin that did not say (RFC 5861 §4)."""
    stored_body: Bytes
    """The largest body that is stored."""
    client_cache_control: ClientCacheControl
    ignored_cookies: IgnoredCookies
