"""What do the workers that share a cache tell each other without a look into it? Numbers that all of them map.

Every key has a bucket here, by its digest. The serial of a bucket is even and stands still while nothing under its keys
changes, is odd while a change is being made, and is another one after that: whoever remembers a value together with the
serial from before it was read knows by one comparison that it is still the one. A writer that is killed leaves an odd
serial behind, which only makes others read again. Whoever writes here holds the lock of the cache.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Collection, Iterable

from proxy.storage.backends.file_place import open_new

BUCKETS = 1 << 16
"""A whole number of bytes of a digest; the same for whoever opens the cache."""
_HEAD = mmap.PAGESIZE
_SIZE = _HEAD + BUCKETS * (4 + 4 + 1)
_FORM = int.from_bytes(b"scmarks1", "big")
_LAST = (1 << 32) - 1
_FINGER = 16

# Words of the head.
_FORM_AT, NUMBER, ENTRIES, BYTES, EVICTED, FITS, PURGES = range(7)
"""Which file holds the values, how many there are, what they take, how many were evicted; and how large it may be
after the disk was full: 0 is as large as it is meant to be. The last one changes with each purge."""


class Marks:
    """The numbers of one cache."""

    def __init__(self, path: str) -> None:
        """Map the file, which is made where it is missing or none of ours; to be called with the lock held."""
        whole = memoryview(_mapped(path))
        serials_end = _HEAD + BUCKETS * 4
        ghosts_end = serials_end + BUCKETS * 4
        self.words = whole[:_HEAD].cast("Q")
        self.serials = whole[_HEAD:serials_end].cast("I")
        """By bucket."""
        self._ghosts = whole[serials_end:ghosts_end].cast("I")
        self.uses = whole[ghosts_end:]
        """By bucket: 1 once a value was used since it was stored or last spared."""
        self.words[_FORM_AT] = _FORM

    def begin(self, touched: Iterable[int]) -> None:
        """Say that something in these buckets is about to change."""
        serials = self.serials
        for bucket in touched:
            serials[bucket] |= 1

    def end(self, touched: Iterable[int]) -> None:
        """Say that it has changed."""
        serials = self.serials
        for bucket in touched:
            serials[bucket] = (serials[bucket] | 1) + 1 & _LAST

    def change_all(self) -> None:
        """Say of everything that it has changed."""
        self.end(range(BUCKETS))

    # What was evicted lately.

    def bury(self, name: bytes) -> None:
        """Remember that this value was evicted without having been used."""
        self._ghosts[bucket_of(name)] = (_finger(name) << _FINGER) | (self.words[EVICTED] & 0xFFFF)

    def was_buried(self, name: bytes, within: int) -> bool:
        """Tell whether it was one of so many that were evicted last; a few others are taken for it."""
        ghost = self._ghosts[bucket_of(name)]
        age = (self.words[EVICTED] - ghost) & 0xFFFF
        return ghost >> _FINGER == _finger(name) and age <= within


def bucket_of(name: bytes) -> int:
    """Return the bucket of a digest."""
    return name[0] << 8 | name[1]


def buckets_of(names: Collection[bytes]) -> set[int]:
    """Return the buckets of several."""
    return {name[0] << 8 | name[1] for name in names}


def _finger(name: bytes) -> int:
    # Never 0, which is what a ghost begins as.
    return (name[2] << 8 | name[3]) | 1


def _mapped(path: str) -> mmap.mmap:
    descriptor = _opened(path)
    try:
        return mmap.mmap(descriptor, _SIZE)
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return _made(path)
    form = os.pread(descriptor, 8, 0)
    if os.fstat(descriptor).st_size == _SIZE and form == _FORM.to_bytes(8, sys.byteorder):
        return descriptor
    os.close(descriptor)
    os.unlink(path)
    return _made(path)


def _made(path: str) -> int:
    os.close(open_new(path))
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    # Room for all of it now: to write into a mapping that has none ends the process.
    os.posix_fallocate(descriptor, 0, _SIZE)
    return descriptor
