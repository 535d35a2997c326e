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

#: RFC 9110 §15.4.5: representation metadata that the client has, and what is about a body that does not come. All other
#: fields are about the response (Set-Cookie, CORS), or guide what the client does with its copy (Last-Modified, CSP).
_REPRESENTATION = frozenset(
    b"accept-ranges content-base content-description content-digest content-disposition content-dpr content-duration "
    b"content-encoding content-features content-id content-language content-length content-md5 content-range "
    b"content-script-type content-style-type content-transfer-encoding content-type content-version digest "
    b"repr-digest trailer transfer-encoding unencoded-digest".split()
)
#: Their values are about the bytes of one message, and those of a part are others.
_OF_THE_MESSAGE = frozenset(b"content-length content-range content-digest content-md5 trailer".split())
_OF_ONE_PART = _OF_THE_MESSAGE | {b"content-type"}
#: §15.5.17: a 416 is another response than the stored one, and no cache may keep it in its place.
_OF_THE_STORED = (_REPRESENTATION - {b"accept-ranges"}) | frozenset(
    b"cache-control content-location edge-control etag expires last-modified pragma surrogate-control "
    b"x-accel-expires".split()
)
#: RFC 9213 §2: what Cache-Control says to some caches only.
_TARGETED = b"-cache-control"
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
            return 416, _unsatisfiable(stored), ()
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
    lines = _lines_without(stored.head, _OF_ONE_PART)
    said = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (media_type(boundary), sum(map(len, body)))
    return _PARTIAL + lines + said, body


def _unsatisfiable(stored: StoredResponse) -> bytes:
    kept = [line for name, line in _lines(stored.head) if name not in _OF_THE_STORED and not name.endswith(_TARGETED)]
    extent = b"Content-Range: bytes */%d\r\nContent-Length: 0\r\n" % stored.complete_size
    return b"HTTP/1.1 416 Range Not Satisfiable\r\n" + b"".join(kept) + extent


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
    return b"HTTP/1.1 304 Not Modified\r\n" + _lines_without(head, _REPRESENTATION)


def _make_partial(head: bytes) -> bytes:
    return _PARTIAL + _lines_without(head, _OF_THE_MESSAGE)


#: A head is the same bytes each time a response is asked for.
_known_not_modified = lru_cache(maxsize=2048)(_make_not_modified)
_known_partial = lru_cache(maxsize=2048)(_make_partial)


def _lines_without(head: bytes, names: frozenset[bytes]) -> bytes:
    return b"".join([line for name, line in _lines(head) if name not in names])


def _lines(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.split(b"\r\n")[1:-1]
    return [(line.partition(b":")[0].lower(), line + b"\r\n") for line in lines]
