"""What is kept in the memory of this process of what others sent, and what goes to make room? S3-FIFO, by bytes."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from sys import getsizeof
from typing import TypeVar
from zlib import crc32

from msgspec import Struct

from proxy.config.units import Bytes, UnixTime
from proxy.storage.numbers import Room

#: What a value costs beside itself and its key (measured as PSS over 100,000 of them on CPython 3.11).
KEPT_BYTES = 180
#: One part in so many is for what has not been used again yet.
_SMALL_PART = 10
#: So many that were used are passed over, at most, to find one that goes: else a cache in which everything was used
#: would be walked through while a request waits.
_PATIENCE = 100
#: So many go at once, at most, when MAX_ENTRIES is reached: the rest of what CULL_FREQUENCY says goes as others come.
_INSTALMENT = 64


_FOREVER = float("inf")
_Number = TypeVar("_Number", int, float)


@lru_cache(maxsize=4096, typed=True)
def _same(number: _Number) -> _Number:
    """Return a number that equals this one: thousands of values go in the same second, or have the same size."""
    return number


class Kept(Struct, eq=False, gc=False):
    """A value under its key, and what is known of its use."""

    key: bytes
    value: object
    """None: it is gone, and only a queue does not know it yet."""
    size: int
    until: UnixTime
    used: bool = False
    """Since it came, or since it was passed over last. All that a hit writes."""
    proven: bool = False
    """It is among those that were used again."""


class PageMemory:
    """Values in memory within a budget of bytes, where those that nobody asks for twice do not displace the others.

    S3-FIFO (Yang and others, SOSP 2023): what is new waits in a small queue, and goes from there unless it was used.
    What was used, or comes back soon after it went, stands in the main queue, where what is used is passed over.
    ``MAX_ENTRIES`` and ``CULL_FREQUENCY`` hold as well. For one thread, that of the event loop.
    """

    def __init__(
        self,
        clock: Callable[[], UnixTime],
        *,
        max_entries: int | None = None,
        cull_frequency: int = 3,
        max_bytes: int | None = None,
    ) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._cull_frequency = cull_frequency
        self._max_bytes = max_bytes
        self.kept: dict[bytes, Kept] = {}
        """For those who look at every hit: ``until`` is to be compared, and ``used`` to be set."""
        self._small: deque[Kept] = deque()
        self._main: deque[Kept] = deque()
        self._small_bytes = 0
        self._latest: Kept | None = None
        """What is put next does not displace it: the list of the variants of a page, and then a variant."""
        self._gone = 0
        self._ebb = max_entries or 0
        self._ghosts = Ghosts()
        self.bytes = Bytes(0)
        """What the values take, with their keys and the cost of keeping them."""
        self.evictions: Counter[Room] = Counter()
        """Values that went to make room, since the start."""

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def evicted(self) -> int:
        """Values that went to make room, for whatever reason."""
        return self.evictions.total()

    def peek(self, key: bytes, now: UnixTime) -> object | None:
        """Return the value, and count it as used."""
        kept = self.kept.get(key)
        if kept is None:
            return None
        if kept.until <= now:
            self.expire(kept)
            return None
        kept.used = True
        return kept.value

    def put(self, key: bytes, value: object, size: int, until: UnixTime) -> bool:
        """Keep the value until that time; False when it alone is larger than the memory."""
        size = _same(size + getsizeof(key) + KEPT_BYTES + 15 & ~15)
        if until != _FOREVER:
            # A little too late does no harm: what it is good for, the terms of a response say.
            until = _same(UnixTime(ceil(until)))
        most = self._max_bytes
        kept = self.kept.get(key)
        proven = kept.proven if kept is not None else key in self._ghosts
        if kept is not None:
            if most is None or self.bytes - kept.size + size <= most:
                self._weigh(kept, size - kept.size)
                kept.value, kept.size, kept.until = value, size, until
                return True
            self._take_away(kept)
        if most is not None:
            if size > most:
                return False
            while self.bytes + size > most:
                self._evict(Room.BYTES)
        if self._max_entries is not None:
            self._cull(self._max_entries)
        self._latest = kept = self.kept[key] = Kept(key, value, size, until, proven=proven)
        self._weigh(kept, size)
        (self._main if proven else self._small).append(kept)
        return True

    def drop(self, key: bytes) -> bool:
        """Forget the value; tell whether there was one."""
        kept = self.kept.get(key)
        if kept is None:
            return False
        self._take_away(kept)
        return True

    def expire(self, kept: Kept) -> None:
        """Forget a value whose time is over; one that was used again is known when it comes anew."""
        if kept.proven:
            self._ghosts.add(kept.key, len(self.kept))
        self._take_away(kept)

    def _weigh(self, kept: Kept, size: int) -> None:
        self.bytes = Bytes(self.bytes + size)
        if not kept.proven:
            self._small_bytes += size

    def _take_away(self, kept: Kept) -> None:
        """Forget a value that stands in a queue, which learns of it when its turn comes."""
        self._forget(kept)
        kept.value = None
        self._gone += 1
        if self._gone > len(self.kept) + _PATIENCE:
            self._small = deque(one for one in self._small if one.value is not None)
            self._main = deque(one for one in self._main if one.value is not None)
            self._gone = 0

    def _forget(self, kept: Kept) -> None:
        del self.kept[kept.key]
        self._weigh(kept, -kept.size)

    def _evict(self, needed: Room) -> None:
        """Let one value go; there has to be one."""
        now = self._clock()
        patience = _PATIENCE
        while True:
            is_small = bool(self._small) and (not self._main or self._small_bytes * _SMALL_PART > self.bytes)
            kept = (self._small if is_small else self._main).popleft()
            if kept.value is None:
                self._gone -= 1
            elif (kept.used and kept.until > now and patience > 0) or (kept is self._latest and len(self.kept) > 1):
                patience -= 1
                kept.used = False
                if is_small:
                    self._small_bytes -= kept.size
                    kept.proven = True
                self._main.append(kept)
            else:
                self._forget(kept)
                if is_small:
                    self._ghosts.add(kept.key, len(self.kept))
                self.evictions[needed] += 1
                return

    def _cull(self, most: int) -> None:
        """Make room as Django does when MAX_ENTRIES is reached, but a little at a time."""
        there = len(self.kept)
        if there >= most:
            self._ebb = there - max(1, there // self._cull_frequency) if self._cull_frequency else 0
        for _ in range(min(there - self._ebb, _INSTALMENT)):
            self._evict(Room.ENTRIES)
        if len(self.kept) <= self._ebb:
            self._ebb = most


class Ghosts:
    """Which keys went lately? As many as are kept, by their checksums, in a table where a place is written over.

    That a key is taken for another does no harm: its value is kept for longer than it would be.
    """

    __slots__ = ("_count", "_seen")

    def __init__(self) -> None:
        self._seen = array("Q", bytes(8 * 1024))
        """In the place that a checksum says: the checksum, and behind it when it was written."""
        self._count = 0

    def add(self, key: bytes, kept: int) -> None:
        """Remember a key, while so many are kept."""
        if kept > len(self._seen):
            self._grow(2 * len(self._seen))
        self._count = (self._count + 1) & _COUNTED
        checksum = crc32(key)
        self._seen[checksum & (len(self._seen) - 1)] = checksum << 32 | self._count

    def __contains__(self, key: bytes) -> bool:
        checksum = crc32(key)
        seen = self._seen[checksum & (len(self._seen) - 1)]
        return seen >> 32 == checksum and (self._count - seen) & _COUNTED < len(self._seen)

    def _grow(self, size: int) -> None:
        seen, self._seen = self._seen, array("Q", bytes(8 * size))
        for one in seen:
            self._seen[one >> 32 & (size - 1)] = one


_COUNTED = 0xFFFFFFFF
