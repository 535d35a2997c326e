"""Is this a request we can serve, and what does it say? Bytes of one whole head in, a Request or a RequestError out."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

from proxy.errors import RequestError
from proxy.message.fields import Fields, RawField
from proxy.message.framing import NO_BODY, has_body, request_framing
from proxy.message.grammar import TOKEN, members, protocol_names, tokens
from proxy.message.heads import Request
from proxy.message.hosts import canonical_host

#: What llhttp knows; any other token is shown to it as POST, for it refuses what it does not know.
_KNOWN_METHODS = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH QUERY PURGE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK".split()
)
#: As numbers: CPython 3.11 takes ``b"#" in target`` for a number first, and makes and drops an error each time.
_HASH = ord("#")
_TAB = ord("\t")
_VERSIONS = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
#: What a request line has besides its target: a method, a version and two spaces.
_AROUND_TARGET = 64

WEBSOCKET = frozenset({b"websocket"})
"""The protocols that clients may switch to where nothing else is said, in lower case."""

#: Connection options that change nothing about which fields are meant for the origin.
_PLAIN_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings", b"proxy-connection"})
#: Fields without which the origin sees another request than the one we decide about.
_NEVER_HOP_BY_HOP = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"cache-control", b"authorization", b"cookie"}
)


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """What a request head may measure."""

    total: int
    """Bytes of the whole head."""
    fields: int
    target: int

    @property
    def line(self) -> int:
        """Bytes that a request line may have before it is known to be too long, whatever it says."""
        return min(self.target + _AROUND_TARGET, self.total - len(b"\r\n\r\n"))


class _Collector:
    """What httptools calls back."""

    __slots__ = ("fields", "index")

    def __init__(self) -> None:
        self.fields: list[RawField] = []
        self.index: dict[bytes, bytes] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))
        self.index[name.lower()] = value


class HeadParser:
    """Reads request heads of one connection, one at a time."""

    __slots__ = ("_collector", "_limits", "_llhttp", "_longest_line", "_upgrades", "may_be_https")

    def __init__(
        self, limits: HeadLimits, upgrades: frozenset[bytes] = WEBSOCKET, *, may_be_https: bool = False
    ) -> None:
        """``may_be_https`` where a proxy in front of us could say so: then the scheme is what the target says."""
        self._limits = limits
        self._upgrades = upgrades
        self.may_be_https = may_be_https
        self._longest_line = limits.line
        self._collector = _Collector()
        self._llhttp = httptools.HttpRequestParser(self._collector)

    def parse(self, head: bytes) -> Request:
        """Read the head that ends with these bytes' CRLF CRLF; raise RequestError with the status it deserves."""
        method, target, minor = self._request_line(head)
        fields = self._fields(head if method in _KNOWN_METHODS else b"POST" + head[len(method) :])
        index = fields.index
        # As request_framing begins, without a call: hardly any request has a body.
        is_bare = b"content-length" not in index and b"transfer-encoding" not in index
        framing = NO_BODY if is_bare else request_framing(fields, minor)
        sent_host = index.get(b"host")
        if sent_host is None and minor:
            raise RequestError(400, "no Host field")
        host = canonical_host(sent_host or b"", b"http")
        scheme = b"http"
        if target[:1] != b"/":
            scheme, host, target = self._unusual_target(method, target, fields, host)
        request = Request(method, target, fields, framing, host, scheme, minor)
        connection = index.get(b"connection")
        if connection is None:
            request.keep_alive = minor == 1
        elif connection != b"keep-alive":
            self._connection(request, connection)
        if framing is not NO_BODY or not request.keep_alive or b"upgrade" in index or b"proxy-connection" in index:
            # llhttp expects something else than a request now; it takes Proxy-Connection for Connection.
            self._renew()
        return request

    def _request_line(self, head: bytes) -> tuple[bytes, bytes, int]:
        line = head[: head.find(b"\r\n")]
        if len(line) > self._longest_line:
            # As if it had not come whole: in how many parts it came must make no difference.
            raise RequestError(414, "the request line is too long")
        parts = line.split(b" ")
        if len(parts) != 3:
            raise RequestError(400, "the request line is not method, target and version")
        method, target, version = parts
        if len(target) > self._limits.target:
            raise RequestError(414, "the request target is too long")
        minor = _VERSIONS.get(version)
        if minor is None:
            if version.startswith(b"HTTP/"):
                raise RequestError(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
            raise RequestError(400, "the request line does not end with an HTTP version")
        if method not in _KNOWN_METHODS:
            if method == b"CONNECT":
                raise RequestError(405, "CONNECT is for forward proxies")
            if not TOKEN.fullmatch(method):
                raise RequestError(400, "the method is not a token")
        if _HASH in target:
            raise RequestError(400, "a fragment in the request target")
        return method, target, minor

    def _fields(self, head: bytes) -> Fields:
        if len(head) > self._limits.total:
            raise RequestError(431, "the request head is too large")
        raw: list[RawField] = []
        index: dict[bytes, bytes] = {}
        collector = self._collector
        collector.fields, collector.index = raw, index
        try:
            self._llhttp.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            self._renew()
            raise RequestError(400, str(error).lower()) from error
        if len(raw) > self._limits.fields:
            raise RequestError(431, "too many header fields")
        if head.find(b" \r\n") >= 0 or (_TAB in head and b"\t\r\n" in head):
            # RFC 9110 §5.5: whitespace behind a value does not belong to it; llhttp leaves it there.
            fields = Fields([(name, value.rstrip(b" \t")) for name, value in raw])
        else:
            fields = Fields(raw, index)
        if len(index) != len(raw) and len(fields.lines(b"host")) > 1:
            raise RequestError(400, "more than one Host field")
        return fields

    def _renew(self) -> None:
        self._collector = _Collector()
        self._llhttp = httptools.HttpRequestParser(self._collector)

    def _unusual_target(self, method: bytes, target: bytes, fields: Fields, host: bytes) -> tuple[bytes, bytes, bytes]:
        """Return the scheme, the host and the path of a target that is not in origin form."""
        if target == b"*":
            if method != b"OPTIONS":
                raise RequestError(400, "the target * is for OPTIONS")
            return b"http", host, target
        # RFC 9112 §3.2.2: the authority of an absolute-form target replaces Host.
        try:
            url = urlsplit(target)
        except ValueError as error:
            raise RequestError(400, "the request target is not a URL") from error
        if url.scheme not in (b"http", b"https") or not url.netloc or b"@" in url.netloc:
            raise RequestError(400, "the request target is not a path or an http URL")
        if url.scheme == b"https" and not self.may_be_https:
            # RFC 9110 §7.4: the page of http would be stored for whoever comes by https.
            raise RequestError(400, "https in the target of a request that came by http")
        _replace_host(fields, url.netloc)
        authority = canonical_host(url.netloc, b"http")
        path = target[target.index(b"://") + 3 + len(url.netloc) :]
        if not path and method == b"OPTIONS":
            return url.scheme, authority, b"*"  # RFC 9112 §3.2.4
        return url.scheme, authority, path if path[:1] == b"/" else b"/" + path

    def _connection(self, request: Request, value: bytes) -> None:
        options = set(tokens(value))
        request.keep_alive = b"close" not in options and (request.minor == 1 or b"keep-alive" in options)
        if b"upgrade" in options and request.minor == 1 and request.method == b"GET" and not has_body(request.framing):
            request.upgrade = self._upgrade(request.fields.get(b"upgrade"))
        named = options - _PLAIN_OPTIONS
        if not named:
            return
        if named & _NEVER_HOP_BY_HOP:
            raise RequestError(400, "Connection names a field that is meant for the origin")
        # RFC 9110 §7.6.1. Before any decision is made from them: else a client could have a page stored under a
        # language it asked for and hid from the origin.
        request.fields = Fields(request.fields.without(named))

    def _upgrade(self, offered: bytes | None) -> bytes | None:
        """Return the protocols that are passed on, of those that the client offers (RFC 9110 §7.8).

        All others are as if it had not offered them, for which no answer is wrong.
        """
        if offered is None:
            return None
        allowed = self._upgrades
        return b", ".join(member for member in members(offered) if protocol_names(member) <= allowed) or None


def _replace_host(fields: Fields, host: bytes) -> None:
    replaced = Fields([(b"Host", host), *fields.without({b"host"})])
    fields.raw, fields.index = replaced.raw, replaced.index
