"""Where does a message body end? RFC 9112 §6, as a decision over the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from proxy.errors import RequestError, UpstreamGarbage
from proxy.message.fields import Fields
from proxy.message.grammar import tokens


@dataclass(frozen=True, slots=True)
class NoBody:
    """The message ends with its head."""


@dataclass(slots=True, unsafe_hash=True)
class Length:
    """The body has this many bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Chunked:
    """The body is in the chunked coding (RFC 9112 §7.1)."""


@dataclass(frozen=True, slots=True)
class UntilClose:
    """The body ends with the connection; whether it is whole cannot be known."""


Framing = NoBody | Length | Chunked | UntilClose

NO_BODY = NoBody()
CHUNKED = Chunked()
UNTIL_CLOSE = UntilClose()

_MOST_DIGITS = 18


def request_framing(fields: Fields, minor: int) -> Framing:
    """Delimit a request body; RequestError where two readers could disagree (RFC 9112 §6.3)."""
    index = fields.index
    coding = index.get(b"transfer-encoding")
    length = index.get(b"content-length")
    if coding is None:
        if length is None:
            return NO_BODY
        size = _size(length)
        if size is None:
            raise RequestError(400, "Content-Length is not one decimal number")
        return Length(size)
    if minor == 0:
        # §6.1: a client of HTTP/1.0 does not know the field, so somebody is playing with us.
        raise RequestError(400, "Transfer-Encoding in an HTTP/1.0 request")
    if length is not None:
        raise RequestError(400, "Content-Length and Transfer-Encoding together")
    codings = tokens(coding)
    if codings[-1:] != [b"chunked"]:
        # §6.3: nobody could say where the body ends.
        raise RequestError(400, "chunked is not the last transfer coding")
    if len(codings) > 1:
        # §6.1: what we cannot decode we do not pass on.
        raise RequestError(501, "a transfer coding other than chunked")
    return CHUNKED


def response_framing(fields: Fields, status: int, method: bytes) -> Framing:
    """Delimit a response body; UpstreamGarbage where that would be a guess (RFC 9112 §6.3)."""
    if method == b"HEAD" or status < 200 or status in (204, 304):
        return NO_BODY
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is None:
        if length is None:
            return UNTIL_CLOSE
        size = _size(length)
        if size is None:
            raise UpstreamGarbage("Content-Length is not one decimal number")
        return Length(size)
    if length is not None:
        raise UpstreamGarbage("Content-Length and Transfer-Encoding together")
    if tokens(coding) != [b"chunked"]:
        raise UpstreamGarbage("a transfer coding other than chunked")
    return CHUNKED


def _size(value: bytes) -> int | None:
    if not value.isdigit() or len(value) > _MOST_DIGITS:
        # §6.3: identical values in a list could be folded into one; a sender that writes them is not worth the risk.
        return None
    return int(value)


def has_body(framing: Framing) -> bool:
    """Tell whether body bytes can follow the head."""
    match framing:
        case NoBody():
            return False
        case Length(size):
            return size > 0
        case Chunked() | UntilClose():
            return True
        case never:
            assert_never(never)
