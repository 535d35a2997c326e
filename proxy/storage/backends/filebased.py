"""What is kept in files, which other processes and the next start find again?"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from proxy.config.units import Seconds, UnixTime, parse_bytes
from proxy.errors import StorageError
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.file_index import FileLimits
from proxy.storage.backends.file_place import unsafe
from proxy.storage.backends.file_store import FileStore, ListDirectory

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

#: Enough to keep a disk busy; what waits for the lock of one directory then does not stop all others.
_THREADS = 4
_KNOWN = ("MAX_ENTRIES", "CULL_FREQUENCY", "MAX_BYTES")


class FileBasedCache(Backend):
    """A cache in one directory, one file for each value. All work is done in threads.

    Timeouts are exact, numbers have no end, and all processes of this machine see each change whole or not at all.
    A network file system must have working flock() and rename().
    """

    def __init__(
        self,
        location: str,
        clock: Callable[[], UnixTime],
        limits: FileLimits = FileLimits(),  # noqa: B008  frozen
        *,
        list_directory: ListDirectory = os.scandir,
    ) -> None:
        """``location`` is absolute; it is made at the first use."""
        self._location = location
        self._store = FileStore(location, clock, limits, list_directory)
        self._threads: ThreadPoolExecutor | None = None

    @property
    def damaged(self) -> int:
        """Files that were not whole or not ours; each was a miss, and was removed."""
        return self._store.damaged

    @property
    def evicted(self) -> int:
        """Values that went to make room, since the start."""
        return self._store.evicted

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

    async def clear(self) -> None:
        """Remove every value in this directory."""
        await self._run(self._store.clear)

    async def rename(self, key: str, to: str) -> bool:
        """Move the value and its timeout."""
        return await self._change(self._store.rename, key, to)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values there are."""
        return await self._run(self._store.get_many, list(keys))

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

    async def _change(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        result = await self._run(work, *args, **kwargs)
        if self._threads is not None and self._store.wants_scan():
            self._threads.submit(self._store.scan)
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


def build(location: str, options: Mapping[str, object], clock: Callable[[], UnixTime] | None = None) -> FileBasedCache:
    """Make the cache that one entry of CACHES describes; ValueError says which setting is wrong."""
    fault = unsafe(location)
    if fault is not None:
        raise ValueError(fault)
    for name in options:
        if name not in _KNOWN:
            raise ValueError(f"OPTIONS.{name}: expected one of {', '.join(_KNOWN)}, found {name}")
    limits = FileLimits(
        max_entries=_count(options, "MAX_ENTRIES", 300, least=1),
        cull_frequency=_count(options, "CULL_FREQUENCY", 3, least=0) or 0,
        max_bytes=_size(options),
    )
    return FileBasedCache(location, clock or _clock, limits)


def _clock() -> UnixTime:
    return UnixTime(time.time())  # noqa: TID251  between processes there is no other time


def _count(options: Mapping[str, object], name: str, default: int, *, least: int) -> int | None:
    value = options.get(name, default)
    if value is None and name == "MAX_ENTRIES":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"OPTIONS.{name}: expected a whole number of {least} or more, found {value!r}")
    return value


def _size(options: Mapping[str, object]) -> int | None:
    value = options.get("MAX_BYTES")
    if value is None:
        return None
    try:
        if isinstance(value, str | int | float):
            return parse_bytes(value)
    except ValueError:
        pass
    raise ValueError(f"OPTIONS.MAX_BYTES: expected a size such as 64MiB, found {value!r}")
