"""Which worker is asking the origin for something that others may be about to ask for, too?

A lease is a lock on one byte of a file, of which the kernel knows the holder: it is given back at once when its holder
is killed, and whoever waits for it is woken then. Nothing polls, and nothing is written.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import threading
from contextlib import suppress
from hashlib import blake2b

from proxy.config.units import Seconds
from proxy.storage.backends.file_place import open_lock

_FLOCK = struct.Struct("hhqqi4x")
#: Threads that wait for the leases of others; whoever finds none left goes on without waiting.
_MOST_WAITING = 32
#: How long a lease is waited for, should its holder hang: then one more request to the origin does less harm.
_LONGEST = Seconds(10)


class Lease:
    """The right to ask the origin for something, for all workers."""

    __slots__ = ("_at", "_leases")

    def __init__(self, leases: Leases, at: int) -> None:
        self._leases = leases
        self._at = at

    def give_back(self) -> None:
        """Let the others go on; a second time it does nothing."""
        at, self._at = self._at, -1
        if at >= 0:
            self._leases.give_back(at)


class Leases:
    """The leases of one cache, by what they are for."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: int | None = None
        self._waits: int | None = None
        self._free = _MOST_WAITING

    def take(self, key: bytes) -> Lease | None:
        """Take a lease; None when another process has it, or it is not known who."""
        at = _place(key)
        try:
            if self._held is None:
                self._held = open_lock(self._path)
            _lock(self._held, at, fcntl.F_WRLCK, wait=False)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return None
            # Without leases, each worker asks for itself.
            return Lease(self, -1)
        return Lease(self, at)

    def give_back(self, at: int) -> None:
        """Unlock a place."""
        if self._held is not None:
            with suppress(OSError):
                _lock(self._held, at, fcntl.F_UNLCK, wait=False)

    async def ended(self, key: bytes) -> None:
        """Return when nobody has this lease any more, or after too long a time."""
        if not self._free:
            return
        if self._waits is None:
            self._waits = open_lock(self._path)
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._free -= 1
        # A daemon: a process that ends waits for no thread that waits for another process.
        threading.Thread(target=self._wait, args=(self._waits, _place(key), loop, done), daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST):
                await asyncio.shield(done)

    def _wait(self, waits: int, at: int, loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
        with suppress(OSError):
            _lock(waits, at, fcntl.F_RDLCK, wait=True)
            _lock(waits, at, fcntl.F_UNLCK, wait=False)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(self._woken, done)

    def _woken(self, done: asyncio.Future[None]) -> None:
        self._free += 1
        if not done.done():
            done.set_result(None)

    def close(self) -> None:
        """Give everything back."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def _place(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> 2


def _lock(descriptor: int, at: int, kind: int, *, wait: bool) -> None:
    """Lock or unlock one byte, for the open file and not for the process."""
    what = _FLOCK.pack(kind, os.SEEK_SET, at, 1, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, what)
