"""What do the tests of the policy ask about? Messages written as the lines they are on the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxy.config.model import ClientCacheControl
from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.message.fields import Fields, serialise
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request, Response
from proxy.policy.decisions import Store
from proxy.policy.directives import NO_TERMS
from proxy.policy.key import Distinctions
from proxy.policy.rules import Rules
from proxy.policy.stored import StoredResponse
from proxy.policy.storing import decide_storing
from proxy.policy.told import site_fields

NOW = UnixTime(1_000_000_000.0)
"""Sun, 09 Sep 2001 01:46:40 GMT"""
NOW_DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
MINUTE_AGO = "Sun, 09 Sep 2001 01:45:40 GMT"
HOUR_AGO = "Sun, 09 Sep 2001 00:46:40 GMT"
MINUTE_LATER = "Sun, 09 Sep 2001 01:47:40 GMT"
TIMES = (NOW, NOW)

RULES = Rules(
    site_lifetime=Seconds(600),
    stale_if_error=Seconds(0),
    stored_body=Bytes(1000),
    client_cache_control=ClientCacheControl.HONOUR,
    distinctions=Distinctions(("_ga", "_ga_*")),
)


def rules(**changes: Any) -> Rules:
    return replace(RULES, **changes)


def fields(*lines: str) -> Fields:
    """Field lines as they are written: ``name: value``."""
    raw = []
    for line in lines:
        name, _, value = line.partition(":")
        raw.append((name.encode("latin-1"), value.strip(" ").encode("latin-1")))
    return Fields(raw)


def request(*lines: str, **changes: Any) -> Request:
    plain = Request(b"GET", b"/page", fields(*lines), NO_BODY, b"site.test", peer="192.0.2.1")
    return replace(plain, **changes)


def response(*lines: str, status: int = 200) -> Response:
    return Response(status, b"OK", fields(*lines))


def stored(*lines: str, status: int = 200, body: bytes = b"0123456789", site: Rules = RULES) -> StoredResponse:
    """Store a response that came at NOW, to a request without any field."""
    came = response(*lines, status=status)
    decision = decide_storing(request(), NO_TERMS, came, TIMES, site)
    assert isinstance(decision, Store), decision
    raw = [field for field in site_fields(came.fields.raw, decision.terms, site, status) if field[0].lower() != b"age"]
    head = b"HTTP/1.1 %d OK\r\n%b" % (status, serialise(raw))
    return StoredResponse(status, head, body, decision.terms)


def later(seconds: float) -> UnixTime:
    return UnixTime(NOW + seconds)
