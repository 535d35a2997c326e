"""Which fields pass through us, and what do we say of ourselves? (RFC 9110 §7.6, RFC 7239)"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from proxy.message.fields import Fields, RawField, serialise
from proxy.message.grammar import tokens
from proxy.message.heads import Request

#: RFC 9110 §7.6.1, and those that older senders leave out of Connection.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te transfer-encoding upgrade http2-settings proxy-authorization".split()
)
_RESPONSE_HOP_BY_HOP = HOP_BY_HOP - {b"proxy-authorization"}

#: Fields by which a client could tell the application what only a proxy may tell it, or ask for another page than
#: the one the key is made from. Those that begin with x-forwarded- belong to them.
_ABOUT_FORWARDING = frozenset(
    (
        b"forwarded x-real-ip x-client-ip true-client-ip x-cluster-client-ip x-host "
        b"x-original-host x-original-url x-rewrite-url "
        b"x-url-scheme x-scheme front-end-https x-http-method x-http-method-override x-method-override"
    ).split()
)
_METHOD_OVERRIDES = frozenset((b"x-http-method", b"x-http-method-override", b"x-method-override"))

#: How fields of HTTP begin that choose, delimit or condition a response; nobody writes them with an underscore.
_SPELLED_PLAINLY = tuple(
    b"accept- cache-control content-encoding content-length content-type if-match if-modified-since if-none-match "
    b"if-range if-unmodified-since save-data sec-ch- sec-fetch- transfer-encoding user-agent x-requested-with".split()
)

#: What every browser sends and nobody forwards by: for them there is no need to look further.
_COMMON = frozenset(
    b"accept accept-encoding accept-language authorization cache-control cookie dnt host if-modified-since "
    b"if-none-match origin pragma priority range referer sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    b"upgrade-insecure-requests user-agent".split()
)
_COMMON_OR_OVERRIDES = _COMMON | _METHOD_OVERRIDES

#: Bytes of a Host that is worth remembering: a client may send a long one with each request.
_LONGEST_REMEMBERED = 255

#: How we stand in Via, by the minor version of HTTP in which a message came (§7.6.3).
_VIA = (b"1.0 sitecache", b"1.1 sitecache")

PRECONDITIONS = frozenset(b"if-none-match if-modified-since if-range range".split())
"""What is left out when a response is fetched to be stored; the client's own are answered from it."""


@lru_cache(maxsize=128)  # few, because clients choose the names and each may be as long as a head
def is_about_forwarding(name: bytes) -> bool:
    """Tell whether a field, named in lower case, says something that only a trusted proxy may say.

    So does one of HTTP's own in another spelling: the page would be one that its key, made from the plain field, is
    not for.
    """
    if b"_" in name:
        # CGI and WSGI give both to the application under one name.
        name = name.replace(b"_", b"-")
        if name.startswith(_SPELLED_PLAINLY):
            return True
    return name in _ABOUT_FORWARDING or name.startswith(b"x-forwarded-")


def request_fields(request: Request, *, without: frozenset[bytes] = frozenset()) -> list[RawField]:
    """Return the fields to send to the origin; ``without`` names more that stay behind, in lower case."""
    dropped = _replaced(without)
    lowered = request.fields.lowered()
    if request.trusted:
        raw = [field for name, field in lowered if name not in dropped]
    else:
        kept = _COMMON if request.is_safe else _COMMON_OR_OVERRIDES
        raw = [
            field for name, field in lowered if name not in dropped and (name in kept or not is_about_forwarding(name))
        ]
    via = request.fields.index.get(b"via")
    raw.append((b"Via", _after(via, _VIA[request.minor])))
    raw.extend(_forwarded(request))
    return raw


@lru_cache(maxsize=16)
def _replaced(without: frozenset[bytes]) -> frozenset[bytes]:
    """Return the names of the fields that stay behind, and of those that we write anew."""
    return HOP_BY_HOP | {b"x-forwarded-for", b"via"} | without


def _after(earlier: bytes | None, last: bytes) -> bytes:
    return last if not earlier else earlier + b", " + last


def _forwarded(request: Request) -> Iterable[RawField]:
    """Tell the origin about the client, after what a trusted proxy before us told."""
    index = request.fields.index
    host = index.get(b"host", request.host)
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


def request_head(request: Request, fields: Iterable[RawField]) -> bytes:
    """Write the request line and these fields, without the empty line."""
    return b"%b %b HTTP/1.1\r\n%b" % (request.method, request.target, serialise(fields))


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


def trusted_scheme(fields: Fields) -> bytes | None:
    """Return the scheme the client used, as a trusted proxy in front of us says; None when it says nothing usable."""
    value = fields.get(b"x-forwarded-proto")
    if value is None:
        return None
    scheme = tokens(value)[-1:]
    return scheme[0] if scheme and scheme[0] in (b"http", b"https") else None
