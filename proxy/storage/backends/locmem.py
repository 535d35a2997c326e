"""What is kept in the memory of this process, for how long, and what makes room?"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields
from sys import getsizeof
from threading import RLock

from proxy.config.model import CacheOptions
from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.owner import Owner
from proxy.storage.numbers import Room

Key = str | bytes

_FOREVER = UnixTime(float("inf"))

#: What a value costs beside itself and its key: the slot with its numbers (a tuple of 3, an int, a float) and its place
#: in the ordered dictionary (measured with tracemalloc over 100,000 values on CPython 3.11: 214 to 236 bytes).
SLOT_BYTES = 240


class LocMemCache(Backend):
    """A cache in process memory: the least recently used goes first, what has expired before that.

    It is for programs: pages lie in a ``PageMemory``. Beside the contract it has a face without ``await``, for values
    of any type whose size the caller knows.

    Any number of threads may use it: whatever changes it holds a lock. ``peek`` does not: its two operations on the
    dictionary run no Python code (keys are text or bytes), so that the interpreter lets no other thread in between the
    steps of one, and what another thread did between the two is looked for.
    """

    immediate = True

    def __init__(
        self,
        clock: Callable[[], UnixTime],
        *,
        max_entries: int | None = 300,
        cull_frequency: int = 3,
        max_bytes: int | None = None,
    ) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._cull_frequency = cull_frequency
        self._max_bytes = max_bytes
        self._slots: OrderedDict[Key, tuple[object, int, UnixTime]] = OrderedDict()
        self._lock = RLock()
        self.bytes = Bytes(0)
        """What the values take, with their keys and the cost of keeping them."""
        self._evictions: Counter[Room] = Counter()

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> LocMemCache:
        """Return the cache of this process that has the name ``location``; ValueError for wrong options.

        The same name is the same cache, and the bounds are those that were given last. ``OPTIONS`` are MAX_ENTRIES,
        CULL_FREQUENCY and MAX_BYTES.
        """
        bounds = _bounds(options)
        name = str(location or "")
        with _NAMED_LOCK:
            cache = _NAMED.get((cls, name))
            if cache is None:
                cache = _NAMED[cls, name] = cls(_wall_clock)
        cache._max_entries, cache._cull_frequency, cache._max_bytes = bounds
        return cache

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def evictions(self) -> Mapping[Room, int]:
        """Values that went to make room, since the start."""
        return self._evictions

    @property
    def evicted(self) -> int:
        """Values that went to make room, for whatever reason."""
        return self._evictions.total()

    # The face without await.

    def peek(self, key: Key, now: UnixTime) -> object | None:
        """Return the value, and count it as used."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        if slot[2] <= now:
            with self._lock:
                if self._slots.get(key) is slot:
                    self.drop(key)
            return None
        try:
            self._slots.move_to_end(key)
        except KeyError:  # another thread has taken it away since
            return None
        return slot[0]

    def put(self, key: Key, value: object, size: int, until: UnixTime) -> bool:
        """Keep the value until that time; False when it alone is larger than the cache."""
        size += getsizeof(key) + SLOT_BYTES
        with self._lock:
            self.drop(key)
            if self._max_bytes is not None and size > self._max_bytes:
                return False
            if self._max_entries is not None and len(self._slots) >= self._max_entries:
                self._cull(self._clock())
            self._slots[key] = (value, size, until)
            self.bytes = Bytes(self.bytes + size)
            if self._max_bytes is not None and self.bytes > self._max_bytes:
                self._shrink(self._max_bytes)
            return True

    def drop(self, key: Key) -> bool:
        """Forget the value; tell whether there was one."""
        with self._lock:
            slot = self._slots.pop(key, None)
            if slot is None:
                return False
            self.bytes = Bytes(self.bytes - slot[1])
            return True

    def forget_all(self) -> None:
        """Forget every value."""
        with self._lock:
            self._slots.clear()
            self.bytes = Bytes(0)

    def _cull(self, now: UnixTime) -> None:
        """Make room as Django does when MAX_ENTRIES is reached, but take what has expired first."""
        before = len(self._slots)
        for key in [key for key, slot in self._slots.items() if slot[2] <= now]:
            self.drop(key)
        if self._max_entries is not None and len(self._slots) < self._max_entries:
            return
        if not self._cull_frequency:
            self.forget_all()
            self._evictions[Room.ENTRIES] += before
            return
        for _ in range(max(1, len(self._slots) // self._cull_frequency)):
            self._evict(Room.ENTRIES)

    def _shrink(self, limit: int) -> None:
        while self.bytes > limit:
            self._evict(Room.BYTES)

    def _evict(self, needed: Room) -> None:
        _, slot = self._slots.popitem(last=False)
        self.bytes = Bytes(self.bytes - slot[1])
        self._evictions[needed] += 1

    # The contract.

    async def get(self, key: str) -> Value | None:
        """Return the value."""
        value = self.peek(key, self._clock())
        return value if isinstance(value, bytes | int) else None

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value."""
        if timeout is not None and timeout <= 0:
            self.drop(key)
            return True
        return self.put(key, value, getsizeof(value), self._until(timeout))

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value if there is none."""
        with self._lock:
            if self._live(key) is not None:
                return False
            if timeout is not None and timeout <= 0:
                return True
            return self.put(key, value, getsizeof(value), self._until(timeout))

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        """Give the value another timeout, without counting it as used."""
        with self._lock:
            slot = self._live(key)
            if slot is None:
                return False
            until = self._until(timeout)
            if until <= self._clock():
                return self.drop(key)
            self._slots[key] = (slot[0], slot[1], until)
            return True

    async def has_key(self, key: str) -> bool:
        """Tell whether there is a value, without counting it as used."""
        return self._live(key) is not None

    async def delete(self, key: str) -> bool:
        """Forget the value; one that has expired was not there."""
        with self._lock:
            live = self._live(key) is not None
            self.drop(key)
            return live

    async def incr(self, key: str, delta: int) -> int:
        """Add to a number, which counts as a use."""
        with self._lock:
            slot = self._live(key)
            if slot is None:
                raise KeyError(key)
            if not isinstance(slot[0], int):
                raise TypeError(f"the value of {key!r} is not a number")
            total = slot[0] + delta
            self.put(key, total, getsizeof(total), slot[2])
            return total

    async def rename(self, key: str, to: str) -> bool:
        """Move the value and its timeout."""
        with self._lock:
            slot = self._live(key)
            if slot is None:
                return False
            self.drop(key)
            return self.put(to, slot[0], getsizeof(slot[0]), slot[2])

    async def clear(self, owner: Owner | None = None) -> None:
        """Forget the values of that owner; without one, every value."""
        if owner is None:
            self.forget_all()
            return
        with self._lock:
            for key in [key for key in self._slots if isinstance(key, str) and owner.owns(key)]:
                self.drop(key)

    def _live(self, key: str) -> tuple[object, int, UnixTime] | None:
        slot = self._slots.get(key)
        return slot if slot is not None and slot[2] > self._clock() else None

    def _until(self, timeout: Seconds | None) -> UnixTime:
        return _FOREVER if timeout is None else UnixTime(self._clock() + timeout)


build = LocMemCache.build

_NAMED: dict[tuple[type[LocMemCache], str], LocMemCache] = {}
_NAMED_LOCK = RLock()
_DEFAULTS: Mapping[str, object] = {each.name: each.default for each in fields(CacheOptions)}


def _wall_clock() -> UnixTime:
    return UnixTime(time.time())  # noqa: TID251  # a cache that a name makes has nobody to give it a clock


def _bounds(options: Mapping[str, object]) -> tuple[int | None, int, int | None]:
    for name in options:
        if name not in _DEFAULTS:
            raise ValueError(f"OPTIONS.{name}: expected one of {', '.join(_DEFAULTS)}, found an unknown option")
    given = {**_DEFAULTS, **options}
    frequency = _count("CULL_FREQUENCY", given["CULL_FREQUENCY"], 0, optional=False)
    entries = _count("MAX_ENTRIES", given["MAX_ENTRIES"], 1)
    return entries, frequency or 0, _count("MAX_BYTES", given["MAX_BYTES"], 1)


def _count(name: str, value: object, least: int, *, optional: bool = True) -> int | None:
    if value is None and optional:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"OPTIONS.{name}: expected a whole number of at least {least}, found {value!r}")
    return value
