"""Response heads from the origin, read as their bytes arrive and within limits (RFC 9112 §2.1)."""

from __future__ import annotations

from functools import lru_cache

from proxy.config.model import UpstreamLimits
from proxy.errors import UpstreamGarbage
from proxy.message.fields import Fields
from proxy.message.grammar import tokens
from proxy.message.heads import Response
from proxy.upstream.parser import could_begin, not_http, parse_response_head

_CR = ord("\r")
_END = b"\r\n\r\n"
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class HeadReader:
    """Reads the heads of one connection; what lies behind a head is kept until it is asked for."""

    __slots__ = ("_buffer", "_interim", "_limits", "_looked")

    def __init__(self, limits: UpstreamLimits) -> None:
        self._limits = limits
        self._buffer = b""
        self._looked = 0
        """Of what is kept, so much has been looked through."""
        self._interim = 0

    def begin(self) -> None:
        """Expect the heads that answer the next request."""
        self._interim = 0

    @property
    def is_first(self) -> bool:
        """Tell whether no head has been read since the request."""
        return not self._interim

    def read(self, data: bytes) -> Response | None:
        """Return the next head, or None where it has not come whole; raise UpstreamGarbage as soon as there is none."""
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(_END, self._looked) + len(_END)
        if end < len(_END):
            self._wait(buffer)
            return None
        if end > self._limits.header_bytes:
            raise UpstreamGarbage("the response head is larger than upstream.limits.header_bytes")
        self._buffer = buffer[end:]
        self._looked = 0
        response = parse_response_head(buffer[:end], self._limits.headers)
        if response.status < 200:
            self._count(response)
        return response

    def behind(self) -> bytes:
        """Return what has come behind the last head, once."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _count(self, response: Response) -> None:
        self._interim += 1
        if self._interim > self._limits.interim:
            raise UpstreamGarbage("more interim responses than upstream.limits.interim")
        without_framing(response)

    def _wait(self, buffer: bytes) -> None:
        """Keep the part of a head that has come, if it is one."""
        if not could_begin(buffer):
            raise not_http(buffer)
        if len(buffer) > self._limits.header_bytes:
            raise UpstreamGarbage("the response head is larger than upstream.limits.header_bytes")
        at = buffer.find(b"\n", self._looked)
        while at >= 0:
            if buffer[at - 1] != _CR:
                # RFC 9112 §2.2 lets us take it for the end of the line; two readers of one message could then differ.
                raise UpstreamGarbage("a line of the response head ends with LF alone")
            at = buffer.find(b"\n", at + 1)
        self._buffer = buffer
        self._looked = max(0, len(buffer) - len(_END) + 1)


def without_framing(response: Response) -> None:
    """Take the lines that delimit a body out of a response that has none, 1xx or 204 (RFC 9110 §8.6, RFC 9112 §6.1)."""
    if not _FRAMING.isdisjoint(response.fields.index):
        response.fields = Fields(response.fields.without(_FRAMING))


def suggests_body(response: Response) -> bool:
    """Tell whether a response without a body is delimited as if it had one."""
    index = response.fields.index
    return b"transfer-encoding" in index or index.get(b"content-length", b"0").strip(b"0") != b""


def persists(response: Response) -> bool:
    """Tell whether the origin keeps the connection (RFC 9112 §9.3)."""
    said = response.fields.index.get(b"connection")
    if said is None:
        return response.minor == 1
    options = _options(said)
    return b"close" not in options and (response.minor == 1 or b"keep-alive" in options)


@lru_cache(maxsize=64)
def _options(value: bytes) -> frozenset[bytes]:
    return frozenset(tokens(value))
