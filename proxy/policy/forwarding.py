"""Which fields pass through us, and what do we say of ourselves? (RFC 9110 §7.6, RFC 7239)"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from proxy.message.fields import Fields, RawField, serialise
from proxy.message.grammar import tokens
from proxy.message.heads import Request
from proxy.policy.cookies import IgnoredCookies
from proxy.policy.field_rules import KNOWN, LEFT_OUT, FieldRules

#: RFC 9110 §7.6.1, and those that older senders leave out of Connection.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te transfer-encoding upgrade http2-settings proxy-authorization".split()
)
_RESPONSE_HOP_BY_HOP = HOP_BY_HOP - {b"proxy-authorization"}

#: Bytes of a Host that is worth remembering: a client may send a long one with each request.
_LONGEST_REMEMBERED = 255

#: How we stand in Via, by the minor version of HTTP in which a message came (§7.6.3).
_VIA = (b"1.0 sitecache", b"1.1 sitecache")

PRECONDITIONS = frozenset(b"if-none-match if-modified-since if-range range".split())
"""What is left out when a response is fetched to be stored; the client's own are answered from it."""


def request_fields(
    request: Request,
    rules: FieldRules = KNOWN,
    *,
    without: frozenset[bytes] = frozenset(),
    storable: bool = False,
    cookies: IgnoredCookies | None = None,
) -> list[RawField]:
    """Return the fields to send to the origin; ``without`` names more that stay behind, in lower case.

    Of a ``storable`` request, whose answer could be stored, it gets what the key has, as the key has it, and none of
    the ``cookies``.
    """
    index = request.fields.index
    cookie = index.get(b"cookie") if cookies is not None and storable else None
    dropped = _replaced(without) if cookie is None else _replaced_too(without)
    lowered = request.fields.lowered()
    if storable and len(index) != len(request.fields.raw):
        lowered = _combined(request.fields)
    common, kind = rules.common_but(dropped), rules.kind
    apart = LEFT_OUT[request.trusted, storable, storable or request.is_safe]
    raw = [field for name, field in lowered if name in common or (name not in dropped and kind(name) not in apart)]
    if cookies is not None and cookie is not None and (remaining := cookies.remaining(cookie)):
        raw.append((b"Cookie", remaining))
    host = index.get(b"host", request.host)
    if storable and host != request.host:
        host = request.host
        raw = [field if field[0].lower() != b"host" else (field[0], host) for field in raw]
    raw.append((b"Via", _after(index.get(b"via"), _VIA[request.minor])))
    raw.extend(_forwarded(request, host))
    return raw


def _combined(fields: Fields) -> Iterable[tuple[bytes, RawField]]:
    """Return one line for each name, as keys have it: of several, servers take the first, the last or all (§5.3)."""
    first: dict[bytes, bytes] = {}
    for name, (raw_name, _) in fields.lowered():
        first.setdefault(name, raw_name)
    return [(name, (raw_name, fields.index[name])) for name, raw_name in first.items()]


@lru_cache(maxsize=16)
def _replaced(without: frozenset[bytes]) -> frozenset[bytes]:
    """Return the names of the fields that stay behind, and of those that we write anew."""
    return HOP_BY_HOP | {b"x-forwarded-for", b"via"} | without


@lru_cache(maxsize=16)
def _replaced_too(without: frozenset[bytes]) -> frozenset[bytes]:
    """Return the same, and Cookie."""
    return _replaced(without) | {b"cookie"}


def _after(earlier: bytes | None, last: bytes) -> bytes:
    return last if not earlier else earlier + b", " + last


def _forwarded(request: Request, host: bytes) -> Iterable[RawField]:
    """Tell the origin about the client, after what a trusted proxy before us told."""
    index = request.fields.index
    if not request.trusted:
        tell = _told if len(host) <= _LONGEST_REMEMBERED else _told.__wrapped__
        return tell(request.peer, host, request.scheme)
    peer, *others = _told.__wrapped__(request.peer, host, request.scheme)
    return [(peer[0], _after(index.get(b"x-forwarded-for"), peer[1]))] + [
        field for field in others if field[0].lower() not in index
    ]


@lru_cache(maxsize=1024)
def _told(peer: str, host: bytes, scheme: bytes) -> tuple[RawField, ...]:
    """Return what an origin is told that nobody else has told anything."""
    address = peer.encode("ascii") or b"unknown"
    node = b'"[%b]"' % address if b":" in address else address
    return (
        (b"X-Forwarded-For", address),
        (b"X-Forwarded-Proto", scheme),
        (b"X-Forwarded-Host", host),
        (b"Forwarded", b'for=%b;host="%b";proto=%b' % (node, host, scheme)),
    )


def request_head(request: Request, fields: Iterable[RawField], target: bytes | None = None) -> bytes:
    """Write the request line, with another target where one is given, and these fields, without the empty line."""
    return b"%b %b HTTP/1.1\r\n%b" % (request.method, target or request.target, serialise(fields))


def end_to_end(fields: Fields) -> list[RawField]:
    """Return the fields of a response that are meant for the client, in their order."""
    connection = fields.index.get(b"connection")
    return fields.without(_RESPONSE_HOP_BY_HOP if connection is None else _named_by(connection))


@lru_cache(maxsize=64)
def _named_by(connection: bytes) -> frozenset[bytes]:
    return _RESPONSE_HOP_BY_HOP.union(tokens(connection))


def response_fields(fields: Fields, minor: int = 1) -> list[RawField]:
    """Return the fields of a response to pass on, with what we say of ourselves; it came in HTTP/1.minor (§7.6.3)."""
    passed = end_to_end(fields)
    passed.append((b"Via", _VIA[minor]))
    return passed
