"""What exactly of a stored response goes to the client: status, head and body? (RFC 9110 §15.3.7, §15.4.5, §15.5.17)"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import assert_never

from proxy.policy.multipart import Pieces, media_type, multipart
from proxy.policy.preconditions import NotModified, Parts, Unsatisfiable, Wanted, Whole
from proxy.policy.ranges import Part
from proxy.policy.stored import StoredResponse

#: RFC 9110 §15.4.5, and Expires and Cache-Control, which freshen what the client has.
_IN_NOT_MODIFIED = (
    b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"last-modified", b"via",
)  # fmt: skip
#: Their values are about the bytes of one message, and those of a part are others.
_OF_THE_MESSAGE = (b"content-length", b"content-range", b"content-digest", b"content-md5")
_PARTIAL = b"HTTP/1.1 206 Partial Content\r\n"
#: Bytes of a head that is worth remembering what is made of it.
_LONGEST_REMEMBERED = 4096


def cut(stored: StoredResponse, wanted: Wanted, boundary: bytes) -> tuple[int, bytes, Pieces]:
    """Return the status, the head and the body for what the client wants of a stored response that has it.

    ``boundary`` divides the parts where there are several; it must not occur in them. Of what is stored nothing is
    copied: many slow clients with large ranges would take that much memory each.
    """
    match wanted:
        case Whole():
            return stored.status, stored.head, (stored.body,)
        case NotModified():
            return 304, _remembered(stored.head, _not_modified), ()
        case Part():
            return 206, *_single(stored, wanted)
        case Parts(parts):
            return 206, *_several(stored, parts, boundary)
        case Unsatisfiable():
            lines = _kept_lines(stored.head, (b"date", b"via"))
            extent = b"Content-Range: bytes */%d\r\nContent-Length: 0\r\n" % stored.complete_size
            return 416, b"HTTP/1.1 416 Range Not Satisfiable\r\n" + lines + extent, ()
        case never:
            assert_never(never)


def _single(stored: StoredResponse, part: Part) -> tuple[bytes, Pieces]:
    body = _bytes(stored, part)
    lines = _remembered(stored.head, _of_the_representation)
    extent = b"Content-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n"
    return _PARTIAL + lines + extent % (part.first, part.last, stored.complete_size, len(body)), (body,)


def _several(stored: StoredResponse, parts: tuple[Part, ...], boundary: bytes) -> tuple[bytes, Pieces]:
    kind = stored.fields().get(b"content-type")
    contents = [(part, _bytes(stored, part)) for part in parts]
    body = multipart(contents, stored.complete_size, kind, boundary)
    # §15.3.7.2: each part has its own Content-Range, and the whole has none.
    lines = _lines_without(stored.head, (*_OF_THE_MESSAGE, b"content-type"))
    said = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (media_type(boundary), sum(map(len, body)))
    return _PARTIAL + lines + said, body


def _bytes(stored: StoredResponse, part: Part) -> memoryview:
    offset = 0 if stored.extent is None else stored.extent.first
    return memoryview(stored.body)[part.first - offset : part.last + 1 - offset]


def _remembered(head: bytes, made: Callable[[bytes], bytes]) -> bytes:
    """Return what is made of a head, which is the same bytes each time a response is asked for."""
    return _made_before(head, made) if len(head) <= _LONGEST_REMEMBERED else made(head)


@lru_cache(maxsize=4096)
def _made_before(head: bytes, made: Callable[[bytes], bytes]) -> bytes:
    return made(head)


def _not_modified(head: bytes) -> bytes:
    return b"HTTP/1.1 304 Not Modified\r\n" + _kept_lines(head, _IN_NOT_MODIFIED)


def _of_the_representation(head: bytes) -> bytes:
    return _lines_without(head, _OF_THE_MESSAGE)


def _kept_lines(head: bytes, names: tuple[bytes, ...]) -> bytes:
    return b"".join([line for name, line in _lines(head) if name in names])


def _lines_without(head: bytes, names: tuple[bytes, ...]) -> bytes:
    return b"".join([line for name, line in _lines(head) if name not in names])


def _lines(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.split(b"\r\n")[1:-1]
    return [(line.partition(b":")[0].lower(), line + b"\r\n") for line in lines]
