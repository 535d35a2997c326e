"""Which bytes of a chunked body are content, and where does it end? RFC 9112 §7.1, strictly.

httptools decodes this coding too, but tells neither where in its input the message ended nor how long an extension is;
both are needed to keep pipelined messages apart and extensions bounded. The tests hold the two decoders together.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from proxy.message.fields import RawField
from proxy.message.grammar import TOKEN

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (TOKEN.pattern, TOKEN.pattern, _QUOTED)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:%b)*" % _EXTENSION)
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class MalformedChunk(ValueError):
    """The bytes are not in the chunked coding, or go over a limit of ours."""


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    DONE = auto()


class ChunkedDecoder:
    """Decodes one body. Feed it until ``done``; what it did not consume belongs to the next message."""

    __slots__ = ("_left", "_line", "_state", "_trailer_left", "limit", "trailers")

    def __init__(self, line_limit: int = 1024, trailer_limit: int = 16384) -> None:
        self._state = _State.SIZE
        self._line = b""
        self._left = 0
        self._trailer_left = trailer_limit
        self.limit = line_limit
        """The most bytes of one chunk-size line with its extensions."""
        self.trailers: list[RawField] = []

    @property
    def done(self) -> bool:
        """Tell whether the last chunk and the trailer section have been read."""
        return self._state is _State.DONE

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the content in these bytes and, when the body is done, what lies behind it; raise MalformedChunk."""
        content: list[bytes] = []
        position = 0
        while position < len(data) and self._state is not _State.DONE:
            if self._state is _State.DATA:
                end = min(position + self._left, len(data))
                content.append(data[position:end])
                self._left -= end - position
                position = end
                if not self._left:
                    self._state = _State.DATA_END
            else:
                position = self._line_from(data, position)
        return content, data[position:]

    def _line_from(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        piece = data[position:] if end < 0 else data[position : end + 1]
        self._line += piece
        limit = 2 if self._state is _State.DATA_END else self.limit
        if self._state is _State.TRAILER:
            limit = self._trailer_left
        if len(self._line) > limit:
            raise MalformedChunk("a chunk line is too long")
        if end < 0:
            return len(data)
        line, self._line = self._line, b""
        if line[-2:] != b"\r\n":
            raise MalformedChunk("a chunk line ends without CRLF")
        self._take(line[:-2])
        return end + 1

    def _take(self, line: bytes) -> None:
        if self._state is _State.SIZE:
            matched = _SIZE_LINE.fullmatch(line)
            if matched is None:
                raise MalformedChunk("not a chunk size")
            self._left = int(matched[1], 16)
            self._state = _State.DATA if self._left else _State.TRAILER
        elif self._state is _State.DATA_END:
            # The limit of two bytes left room for nothing but CRLF.
            self._state = _State.SIZE
        elif not line:
            self._state = _State.DONE
        else:
            self._trailer(line)

    def _trailer(self, line: bytes) -> None:
        self._trailer_left -= len(line) + 2
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise MalformedChunk("not a trailer field")
        self.trailers.append((name, value))


def chunk(content: bytes | memoryview) -> bytes:
    """Write one chunk; the content must not be empty, for that would end the body."""
    return b"".join((b"%x\r\n" % len(content), content, b"\r\n"))


def last_chunk(trailers: list[RawField]) -> bytes:
    """Write the end of a chunked body."""
    return b"0\r\n%b\r\n" % b"".join([b"%b: %b\r\n" % field for field in trailers])
