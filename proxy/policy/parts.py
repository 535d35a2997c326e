"""What exactly of a stored response goes to the client: status, head and body? (RFC 9110 §15.3.7, §15.4.5, §15.5.17)"""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from proxy.config.units import UnixTime
from proxy.message.heads import Request
from proxy.policy.multipart import Pieces, media_type, multipart
from proxy.policy.preconditions import (
    NOT_MODIFIED,
    WHOLE,
    NotModified,
    Parts,
    Unsatisfiable,
    Wanted,
    Whole,
    at_a_glance,
    wanted,
)
from proxy.policy.ranges import Part
from proxy.policy.stored import StoredResponse

#: RFC 9110 §15.4.5, and Expires and Cache-Control, which freshen what the client has.
_IN_NOT_MODIFIED = (
    b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"last-modified", b"via",
)  # fmt: skip
#: Their values are about the bytes of one message, and those of a part are others.
_OF_THE_MESSAGE = (b"content-length", b"content-range", b"content-digest", b"content-md5")
_PARTIAL = b"HTTP/1.1 206 Partial Content\r\n"
#: Bytes of a part that is copied, so that it leaves with its head.
_SMALL = 64 * 1024
#: Bytes of a head that is worth remembering what is made of it.
_LONGEST_REMEMBERED = 4096


def at_once(request: Request, stored: StoredResponse, now: UnixTime) -> tuple[int, bytes, bytes] | None:
    """Return the status, the head and the body that answer a request, where that is the whole, one small part or 304.

    None: ask ``wanted``, and ``cut``.
    """
    index = request.fields.index
    # As has_preconditions does, without a call: this is on the way of every hit.
    if b"if-none-match" not in index and b"range" not in index and b"if-modified-since" not in index:
        part: Wanted = WHOLE
    else:
        part = at_a_glance(request, stored) or wanted(request, stored, stored.complete_size, now)
    if part is WHOLE:
        return stored.status, stored.head, stored.body if request.method == b"GET" else b""
    if part is NOT_MODIFIED:
        return 304, _not_modified(stored.head), b""
    if type(part) is not Part or (size := part.last + 1 - part.first) > _SMALL:
        return None
    first = _place(stored, part)
    return 206, _head_of(stored, part, size), stored.body[first : first + size]


def cut(stored: StoredResponse, wanted: Wanted, boundary: bytes) -> tuple[int, bytes, Pieces]:
    """Return the status, the head and the body for what the client wants of a stored response that has it.

    ``boundary`` divides the parts where there are several; it must not occur in them. Of what is stored nothing is
    copied: many slow clients with large ranges would take that much memory each.
    """
    match wanted:
        case Whole():
            return stored.status, stored.head, (stored.body,)
        case NotModified():
            return 304, _not_modified(stored.head), ()
        case Part():
            return 206, _head_of(stored, wanted, wanted.size), (_bytes(stored, wanted),)
        case Parts(parts):
            return 206, *_several(stored, parts, boundary)
        case Unsatisfiable():
            lines = _kept_lines(stored.head, (b"date", b"via"))
            extent = b"Content-Range: bytes */%d\r\nContent-Length: 0\r\n" % stored.complete_size
            return 416, b"HTTP/1.1 416 Range Not Satisfiable\r\n" + lines + extent, ()
        case never:
            assert_never(never)


def _head_of(stored: StoredResponse, part: Part, size: int) -> bytes:
    lines, complete = _partial(stored.head), stored.complete_size
    extent = b"%bContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n"
    return extent % (lines, part.first, part.last, complete, size)


def _several(stored: StoredResponse, parts: tuple[Part, ...], boundary: bytes) -> tuple[bytes, Pieces]:
    kind = stored.fields().get(b"content-type")
    contents = [(part, _bytes(stored, part)) for part in parts]
    body = multipart(contents, stored.complete_size, kind, boundary)
    # §15.3.7.2: each part has its own Content-Range, and the whole has none.
    lines = _lines_without(stored.head, (*_OF_THE_MESSAGE, b"content-type"))
    said = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (media_type(boundary), sum(map(len, body)))
    return _PARTIAL + lines + said, body


def _bytes(stored: StoredResponse, part: Part) -> memoryview:
    first = _place(stored, part)
    return memoryview(stored.body)[first : first + part.size]


def _place(stored: StoredResponse, part: Part) -> int:
    """Return where in the body a part begins."""
    return part.first if stored.extent is None else part.first - stored.extent.first


def _not_modified(head: bytes) -> bytes:
    return _known_not_modified(head) if len(head) <= _LONGEST_REMEMBERED else _make_not_modified(head)


def _partial(head: bytes) -> bytes:
    return _known_partial(head) if len(head) <= _LONGEST_REMEMBERED else _make_partial(head)


def _make_not_modified(head: bytes) -> bytes:
    return b"HTTP/1.1 304 Not Modified\r\n" + _kept_lines(head, _IN_NOT_MODIFIED)


def _make_partial(head: bytes) -> bytes:
    return _PARTIAL + _lines_without(head, _OF_THE_MESSAGE)


#: A head is the same bytes each time a response is asked for.
_known_not_modified = lru_cache(maxsize=2048)(_make_not_modified)
_known_partial = lru_cache(maxsize=2048)(_make_partial)


def _kept_lines(head: bytes, names: tuple[bytes, ...]) -> bytes:
    return b"".join([line for name, line in _lines(head) if name in names])


def _lines_without(head: bytes, names: tuple[bytes, ...]) -> bytes:
    return b"".join([line for name, line in _lines(head) if name not in names])


def _lines(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.split(b"\r\n")[1:-1]
    return [(line.partition(b":")[0].lower(), line + b"\r\n") for line in lines]
