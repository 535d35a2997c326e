"""What is kept in memory that all processes of this machine share, or in a file that the next start finds, too?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from proxy.config.units import Bytes, Seconds, UnixTime, show_bytes
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.decimals import from_decimal, to_decimal
from proxy.storage.backends.file_place import unsafe
from proxy.storage.backends.limits import Limits, read_limits
from proxy.storage.backends.owner import Owner
from proxy.storage.backends.shared_change import Change, FullError
from proxy.storage.backends.shared_place import place_of_this_process, size_that_fits
from proxy.storage.backends.shared_record import Entry, Kind, name_of
from proxy.storage.backends.shared_room import Making
from proxy.storage.backends.shared_store import SharedStore, close_store, open_store
from proxy.storage.numbers import Room

_KNOWN = ("MAX_ENTRIES", "CULL_FREQUENCY", "MAX_BYTES")
_FOREVER = UnixTime(float("inf"))
#: Values that are removed in one step: then others may come in between.
_AT_ONCE = 128
_LEAST = 4 * 2**20


class SharedMemoryCache(Backend):
    """A cache in one directory that any number of processes have open at the same time.

    A change is whole or not at all, also when its process is killed. ``max_bytes`` bounds the file; what is not used
    goes first. Numbers have no end.
    """

    immediate = True

    def __init__(self, location: str, clock: Callable[[], UnixTime], limits: Limits) -> None:
        """``location`` is absolute, and made at the first use; without one it is a directory of this process."""
        self._location = location
        self._clock = clock
        self._limits = limits
        self._opened: SharedStore | None = None

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> SharedMemoryCache:
        """Make the cache that one entry of CACHES describes; ValueError says which setting is wrong.

        Without a LOCATION it lies under /dev/shm for as long as this process runs. ``OPTIONS`` are MAX_ENTRIES,
        CULL_FREQUENCY and MAX_BYTES; without MAX_BYTES it takes what fits there, 256 MiB at most.
        """
        limits = read_limits({"MAX_ENTRIES": None, **options}, _KNOWN)
        place = str(location or "")
        fault = unsafe(place) if place else None
        if fault is not None:
            raise ValueError(fault)
        if limits.max_bytes is not None and limits.max_bytes < _LEAST:
            raise ValueError(f"OPTIONS.MAX_BYTES: expected 4MiB or more, found {show_bytes(limits.max_bytes)}")
        return cls(place, _wall_clock, limits)

    @property
    def store(self) -> SharedStore:
        """What it keeps, without await."""
        if self._opened is None:
            self._location = self._location or place_of_this_process()
            if self._limits.max_bytes is None:
                self._limits = replace(self._limits, max_bytes=size_that_fits(self._location))
            self._opened = open_store(self._location, self._limits, self._clock)
        return self._opened

    @property
    def damaged(self) -> int:
        """Values that were not what had been kept; each was a miss, and was removed."""
        return self.store.damages

    @property
    def held(self) -> tuple[int, Bytes]:
        """Values of all processes, and what they take."""
        return self.store.held

    @property
    def limits(self) -> tuple[int | None, Bytes | None]:
        """How many values there may be, and what its file never outgrows."""
        limits = self.store.limits
        return limits.max_entries, Bytes(limits.max_bytes or 0)

    @property
    def evictions(self) -> Mapping[Room, int]:
        """Values that this process took away to make room."""
        return self.store.evictions

    # The contract.

    async def get(self, key: str) -> Value | None:
        """Return the value, and count it as used."""
        return self._get(key)

    def _get(self, key: str) -> Value | None:
        data = _utf8(key)
        name = name_of(data)
        store = self.store
        read = store.read(name, data)
        if read is None or read.value is None or read.entry.kind is Kind.RESPONSE:
            return None
        if read.entry.until <= self._clock():
            return None
        store.use(name)
        return from_decimal(read.value) if read.entry.kind is Kind.NUMBER else read.value

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value; False when it is too large."""
        return self._set(key, value, timeout)

    def _set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        data = _utf8(key)
        try:
            self._keep(data, value, timeout, lambda _: True)
        except FullError:
            self.store.change(lambda change: change.delete(name_of(data)))
            return False
        return True

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value if there is none; StorageError when it is too large."""
        data = _utf8(key)
        return self._keep(data, value, timeout, lambda change: self._live(change, data) is None)

    def _keep(self, key: bytes, value: Value, timeout: Seconds | None, is_to_be: Callable[[Change], bool]) -> bool:
        """Keep the value if it is to be, which is found out in the same step."""
        name = name_of(key)
        kind, written = _written(value)
        if written is None:
            raise FullError(f"shared cache {self._location}: the number is too large")
        store = self.store
        is_over = timeout is not None and timeout <= 0
        ahead = None if is_over else store.write_ahead(name, written)
        making = Making(store.limits, self._clock())

        def work(change: Change) -> bool:
            if not is_to_be(change):
                if ahead is not None:
                    change.drop_ahead(ahead)
                return False
            if is_over:
                change.delete(name)
                return True
            making.room(change, len(written) if ahead is None else 0, comes=change.find(name) is None)
            change.put(name, key, kind, written, self._until(timeout), ahead)
            return True

        return store.change(work)

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        """Give the value another timeout, without counting it as used."""
        data = _utf8(key)

        def work(change: Change) -> bool:
            entry = self._live(change, data)
            if entry is None:
                return False
            if timeout is not None and timeout <= 0:
                change.delete(name_of(data))
            else:
                change.keep_until(name_of(data), entry, self._until(timeout))
            return True

        return self.store.change(work)

    async def delete(self, key: str) -> bool:
        """Forget the value; one that has expired was not there."""
        data = _utf8(key)

        def work(change: Change) -> bool:
            live = self._live(change, data) is not None
            change.delete(name_of(data))
            return live

        return self.store.change(work)

    async def incr(self, key: str, delta: int) -> int:
        """Add to a number, whoever else does so at the same time."""
        data = _utf8(key)
        name = name_of(data)

        def work(change: Change) -> int:
            entry = self._live(change, data)
            if entry is None:
                raise KeyError(key)
            if entry.kind is not Kind.NUMBER:
                raise TypeError(f"the value of {key!r} is not a number")
            total = (from_decimal(change.value(entry, name)) or 0) + delta
            written = to_decimal(total)
            if written is None:
                raise OverflowError(f"the sum for {key!r} is too large")
            change.put(name, data, Kind.NUMBER, written, entry.until)
            return total

        return self.store.change(work)

    async def rename(self, key: str, to: str) -> bool:
        """Move the value and its timeout."""
        data, other = _utf8(key), _utf8(to)

        def work(change: Change) -> bool:
            entry = self._live(change, data)
            if entry is not None and data != other:
                change.move(name_of(data), entry, name_of(other), other)
            return entry is not None

        return self.store.change(work)

    async def clear(self, owner: Owner | None = None) -> None:
        """Forget the values of that owner, some at a time; without one, every value."""
        store = self.store
        if owner is None:
            store.forget_all()
            return
        after = b""
        while found := store.keys(after, _AT_ONCE):
            after = found[-1][0]
            mine = [name for name, key in found if owner.owns(key.decode("utf-8", "surrogatepass"))]
            if mine:
                store.change(partial(_delete, mine))

    async def has_key(self, key: str) -> bool:
        """Tell whether there is a value, without counting it as used."""
        data = _utf8(key)
        entry = self.store.find(name_of(data))
        return entry is not None and entry.key == data and entry.until > self._clock()

    async def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        """Keep the values; return the keys of those that could not be kept."""
        return [key for key, value in values.items() if not self._set(key, value, timeout)]

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the values, some at a time."""
        names = [name_of(_utf8(key)) for key in keys]
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            self.store.change(partial(_delete, some))

    async def close(self) -> None:
        """Give the cache up; the next operation opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            close_store(opened)

    def _live(self, change: Change, key: bytes) -> Entry | None:
        entry = change.find(name_of(key))
        return entry if entry is not None and entry.key == key and entry.until > self._clock() else None

    def _until(self, timeout: Seconds | None) -> UnixTime:
        return _FOREVER if timeout is None else UnixTime(self._clock() + timeout)


def _delete(names: Iterable[bytes], change: Change) -> None:
    for name in names:
        change.delete(name)


def _written(value: Value) -> tuple[Kind, bytes | None]:
    return (Kind.NUMBER, to_decimal(value)) if isinstance(value, int) else (Kind.BYTES, bytes(value))


def _utf8(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _wall_clock() -> UnixTime:
    return UnixTime(time.time())  # noqa: TID251  between processes there is no other time


build = SharedMemoryCache.build
