"""What is kept in files, which other processes and the next start find again?"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.file_place import unsafe
from proxy.storage.backends.file_ready import ReadyFiles, reader
from proxy.storage.backends.file_store import FileStore, ListDirectory
from proxy.storage.backends.limits import Limits, read_limits
from proxy.storage.backends.owner import Owner
from proxy.storage.numbers import Room

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

#: Enough to keep a disk busy; what waits for the lock of one directory then does not stop all others.
_THREADS = 4
_KNOWN = ("MAX_ENTRIES", "CULL_FREQUENCY", "MAX_BYTES")


class FileBasedCache(Backend):
    """A cache in one directory, one file for each value. All work is done in threads, but for reads from memory.

    Timeouts are exact, numbers have no end, and all processes of this machine see each change whole or not at all.
    A network file system must have working flock() and rename().
    """

    def __init__(
        self,
        location: str,
        clock: Callable[[], UnixTime],
        limits: Limits = Limits(),  # noqa: B008  frozen
        *,
        list_directory: ListDirectory = os.scandir,
    ) -> None:
        """``location`` is absolute; it is made at the first use."""
        self._location = location
        self._limits = limits
        self._store = FileStore(location, clock, limits, list_directory)
        self._ready = ReadyFiles(clock)
        self._looked_at = False
        self._threads: ThreadPoolExecutor | None = None

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> FileBasedCache:
        """Make the cache that one entry of CACHES describes; ValueError says which setting is wrong."""
        if not isinstance(location, str | os.PathLike):
            raise ValueError(f"LOCATION: expected an absolute path, found {location!r}")
        path = os.fspath(location)
        fault = unsafe(path)
        if fault is not None:
            raise ValueError(fault)
        return cls(path, _clock, read_limits(options, _KNOWN))

    @property
    def damaged(self) -> int:
        """Files that were not whole or not ours; each was a miss, and was removed."""
        return self._store.damaged

    @property
    def held(self) -> tuple[int, Bytes] | None:
        """Files and what they take, as far as this process knows."""
        return self._store.held

    @property
    def limits(self) -> tuple[int | None, Bytes | None]:
        """How many values there may be, and what they may take together."""
        return self._limits.max_entries, None if self._limits.max_bytes is None else Bytes(self._limits.max_bytes)

    @property
    def evictions(self) -> Mapping[Room, int]:
        """Values that went to make room, since the start."""
        return self._store.evictions

    @property
    def evicted(self) -> int:
        """Values that went to make room, for whatever reason."""
        return self._store.evictions.total()

    async def get(self, key: str) -> Value | None:
        """Return the value."""
        return await self._run(self._store.get, key)

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value; False when the disk is full or the value larger than MAX_BYTES."""
        return await self._change(self._store.set, key, value, timeout)

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value if there is none; StorageError when there is no room for it."""
        return await self._change(self._store.add, key, value, timeout)

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        """Give the value another timeout."""
        return await self._run(self._store.touch, key, timeout)

    async def delete(self, key: str) -> bool:
        """Forget the value."""
        return await self._run(self._store.delete, key)

    async def incr(self, key: str, delta: int) -> int:
        """Add to a number; StorageError when there is no room for the sum, and the number is as it was."""
        return await self._change(self._store.incr, key, delta)

    async def clear(self, owner: Owner | None = None) -> None:
        """Remove the values of that owner, which reads the key in each file; without one, every value."""
        await self._run(self._store.clear, owner)

    async def rename(self, key: str, to: str) -> bool:
        """Move the value and its timeout."""
        return await self._change(self._store.rename, key, to)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values there are."""
        found, read = self._ready.get_many(keys := list(keys))
        if read:
            self._store.used(read)
        if len(found) < len(keys) and (rest := [key for key in keys if key not in found]):
            values, paths = await self._run(self._read_many, rest)
            self._ready.note(paths)
            found |= values
        return found

    async def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        """Keep the values; return the keys of those that could not be kept."""
        return await self._change(self._store.set_many, dict(values), timeout)

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the values."""
        await self._run(self._store.delete_many, list(keys))

    async def close(self) -> None:
        """End the threads, after what they are doing."""
        threads, self._threads = self._threads, None
        if threads is not None:
            self._store.stop()
            await asyncio.to_thread(threads.shutdown)

    def _read_many(self, keys: list[str]) -> tuple[dict[str, Value], dict[str, str]]:
        """Return the values there are, and their files; in a thread."""
        values = self._store.get_many(keys)
        if values and not self._looked_at:
            # Not before it was found to be safe.
            self._looked_at = True
            self._ready.read = reader(self._location)
        return values, {key: self._store.path_of(key) for key in values}

    async def _change(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        return await self._run(self._changing, partial(work, *args, **kwargs))

    def _changing(self, work: Callable[[], _Result]) -> _Result:
        """Change something, and have the directory scanned now and then; in a thread, as all that waits for a lock."""
        result = work()
        threads = self._threads
        if threads is not None and self._store.wants_scan():
            try:
                threads.submit(self._store.scan)
            except RuntimeError:
                self._store.forgo_scan()  # the cache is being closed
        return result

    async def _run(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        if self._threads is None:
            self._store.start()
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="filebased")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))
        except OSError as error:
            raise StorageError(f"file cache {self._location}: {error.strerror or error}") from error


def _clock() -> UnixTime:
    return UnixTime(time.time())  # noqa: TID251  between processes there is no other time


build = FileBasedCache.build
