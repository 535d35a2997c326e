"""What does a value look like in the database of a shared cache, and is it whole?

A short value lies in its record. A longer one lies in pieces beside it, each of which fills whole pages of the database
as far as possible: in one piece a body of 4 KiB with its head would take two pages, and so it takes little more than
one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from enum import IntEnum
from hashlib import blake2b
from zlib import crc32

from msgspec import Struct

from proxy.config.units import UnixTime

_HEAD = struct.Struct(">BBIQQdQI")
_PAGE = 4096
_PAGE_HEAD = 16
#: A piece fills one page: of several in a row the database finds none in the end, however many are free one by one.
_PIECE = _PAGE - _PAGE_HEAD
_INLINE = 1024
_NAME = 20


class Kind(IntEnum):
    """What a value is."""

    BYTES = 0
    NUMBER = 1
    RESPONSE = 2
    """A record of ``proxy/storage/codec.py``, which has a checksum of its own."""


class Queue(IntEnum):
    """In which of the two queues of values a value waits for its eviction."""

    NEW = 0
    USED = 1


# By their numbers: to call the class takes 0.2 us more, and each page that is read has one of each.
_KINDS = tuple(Kind)
_QUEUES = tuple(Queue)


class Entry(Struct, frozen=True, gc=False):
    """What is known of a value without the value."""

    kind: Kind
    queue: Queue
    serial: int
    """Unique; it names the pieces, too."""
    place: int
    """In its queue."""
    until: UnixTime
    size: int
    checksum: int
    key: bytes


class BrokenValueError(ValueError):
    """What lies there is not what was written."""


def name_of(key: bytes) -> bytes:
    """Return what a value lies under: nobody can find two keys with the same name."""
    return blake2b(key, digest_size=_NAME).digest()


def checksum_of(kind: Kind, value: bytes) -> int:
    """Return what the value is held to when it is read."""
    return 0 if kind is Kind.RESPONSE else crc32(value)


def pack(entry: Entry, value: bytes) -> bytes:
    """Write the record of a value, with the value where that is short."""
    head = _HEAD.pack(
        entry.kind,
        entry.queue,
        len(entry.key),
        entry.serial,
        entry.place,
        entry.until,
        entry.size,
        entry.checksum,
    )
    return head + entry.key + (value if is_inline(entry.size) else b"")


def unpack(record: bytes | memoryview) -> tuple[Entry, bytes]:
    """Read a record: the entry, and the value if it lies there; BrokenValueError for what is none."""
    try:
        kind, queue, length, serial, place, until, size, checksum = _HEAD.unpack_from(record)
        end = _HEAD.size + length
        entry = Entry(
            _KINDS[kind], _QUEUES[queue], serial, place, until, size, checksum, bytes(record[_HEAD.size : end])
        )
    except (struct.error, IndexError) as error:
        raise BrokenValueError(str(error)) from error
    value = bytes(record[end:])
    if len(entry.key) != length or len(value) != (size if is_inline(size) else 0):
        raise BrokenValueError("shorter or longer than it says")
    return entry, value


def is_inline(size: int) -> bool:
    """Tell whether a value of this size lies in its record."""
    return size <= _INLINE


def pieces_of(serial: int, value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the pieces of a value that is not short, each with its key."""
    for number, start in enumerate(range(0, len(value), _PIECE)):
        yield piece_key(serial, number), value[start : start + _PIECE]


def joined(entry: Entry, piece: Callable[[bytes], bytes | None]) -> bytes:
    """Return a value that is not short out of its pieces; BrokenValueError where one is missing."""
    found: list[bytes] = []
    size = 0
    while size < entry.size:
        part = piece(piece_key(entry.serial, len(found)))
        if not part:
            raise BrokenValueError("a piece is missing")
        found.append(part)
        size += len(part)
    return b"".join(found)


def pieces_in(size: int) -> int:
    """Return how many pieces a value of this size has, when it is not short."""
    return -(-size // _PIECE)


def piece_key(serial: int, number: int) -> bytes:
    """Return what one piece of a value lies under: in the order of writing, all of a value side by side."""
    return b"%b%b" % (serial.to_bytes(8, "big"), number.to_bytes(4, "big"))


def pages_of(size: int) -> int:
    """Return about how many pages of the database a value of this size takes, its record and its place included."""
    return 1 if is_inline(size) else size // _PIECE + 2
