"""How do several parts of one representation travel in one response? (RFC 9110 §14.6)"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.policy.ranges import Part

Pieces = Sequence[bytes | memoryview]
"""A body, one piece behind the other."""

BOUNDARY_SIZE = 24
"""Bytes of a boundary, which is drawn by chance for each response, so that it does not occur in what it divides."""


def media_type(boundary: bytes) -> bytes:
    """Return the Content-Type of the response."""
    return b"multipart/byteranges; boundary=" + boundary


def multipart(parts: Sequence[tuple[Part, memoryview]], complete: int, kind: bytes | None, boundary: bytes) -> Pieces:
    """Write the parts, each behind its Content-Range and the Content-Type that a 200 would have had (§15.3.7.2)."""
    pieces: list[bytes | memoryview] = []
    for part, content in parts:
        pieces += (_before(part, complete, kind, boundary), content, b"\r\n")
    return (*pieces, b"--%b--\r\n" % boundary)


def overhead(complete: int, kind: bytes | None) -> int:
    """Return how many bytes a part takes besides its content, at most."""
    return len(_before(Part(complete, complete), complete, kind, b"-" * BOUNDARY_SIZE)) + len(b"\r\n")


def _before(part: Part, complete: int, kind: bytes | None, boundary: bytes) -> bytes:
    said = b"" if kind is None else b"Content-Type: %b\r\n" % kind
    extent = b"Content-Range: bytes %d-%d/%d\r\n" % (part.first, part.last, complete)
    return b"--%b\r\n%b%b\r\n" % (boundary, said, extent)
