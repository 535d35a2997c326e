"""What did the operator decide about caching, where HTTP leaves the choice?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.config.model import ClientCacheControl, SetCookie
from proxy.config.units import Bytes, Seconds
from proxy.policy.companions import Companion
from proxy.policy.cookies import IgnoredCookies
from proxy.policy.default_lifetime import NO_HEALTH_CHECKS, FieldLifetimes, HealthChecks, MediaTypes
from proxy.policy.heuristic import NO_GUESS, Heuristic
from proxy.policy.key import Distinctions
from proxy.policy.tags import HIDDEN


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
    distinctions: Distinctions
    cache_page: Seconds | None = None
    """Lifetime of a 200 and its parts, whatever the origin says of it; None leaves it to the origin."""
    status_lifetimes: Mapping[int, Seconds] = field(default_factory=dict)
    """Of responses whose origin gave none, by status, or by its first digit."""
    stale_while_revalidate: Seconds = Seconds(0)
    """How long after its lifetime a response is served while it is validated, where the origin did not say."""
    withheld_cookies: IgnoredCookies | None = None
    """Those that the origin does not get."""
    varied_cookies: tuple[bytes, ...] = ()
    """``cookie:NAME`` for each single cookie that responses vary by, whatever their Vary says."""
    downstream_headers: bool = True
    """Write the operator's lifetime into Expires and Cache-Control."""
    targeted: tuple[bytes, ...] = ()
    """Names of fields that count before Cache-Control, in lower case, the most applicable first (RFC 9213)."""
    heuristic: Heuristic = NO_GUESS
    """For responses that neither their origin nor the operator gave a lifetime."""
    set_cookie: SetCookie = SetCookie.NEVER
    store_post: bool = False
    """Answer GET with what came as the answer to POST, where it says that it may (RFC 9110 §9.3.3)."""
    validate_variants: bool = False
    """Ask the origin about the variants that a request does not select (RFC 9111 §4.3.1)."""
    tells_keys: bool = False
    """Say in Cache-Status which key was looked for (RFC 9211 §2.7)."""
    hidden: frozenset[bytes] = HIDDEN
    """Names of fields that clients do not get, in lower case: those with tags for caches."""
    page_types: MediaTypes | None = None
    """The media types that ``site_lifetime`` is for, where nobody set it; None: it is for all, as in Django."""
    health_checks: HealthChecks = NO_HEALTH_CHECKS
    """What hears of the application itself, and of no lifetime or stale response that nobody stated."""
    tells_default: bool = True
    """``site_lifetime`` is written into Expires and Cache-Control, where ``downstream_headers`` are."""
    stale_data: bool = True
    """``stale_if_error`` is for data, too: the operator set it."""
    bare_while_revalidate: Seconds = Seconds(0)
    """What ``stale-while-revalidate`` without a value means."""
    response_lifetimes: FieldLifetimes = field(default_factory=dict)
    """Fields of responses that make their lifetime shorter."""
    companions: tuple[Companion, ...] = ()
    """What frameworks answer beside a page, and becomes stale with it."""
    stale_after_s_maxage: bool = False
    """Believe an origin that allows stale responses beside s-maxage, which forbids them (RFC 9111 §5.2.2.10)."""
