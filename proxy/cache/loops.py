"""Where do the operations of a cache run, for callers in threads, in event loops, and after a fork?"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from proxy.storage.backends.base import Backend

_Result = TypeVar("_Result")
Operation = Callable[[Backend], Coroutine[Any, Any, _Result]]

#: Seconds for a cache to close when the process ends.
_LAST_WORDS = 2


class _Background:
    """An event loop in a thread of its own, for whoever has none to wait in; started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_running(self) -> bool:
        return self._loop is not None

    def run(self, work: Callable[[], Coroutine[Any, Any, _Result]], timeout: float | None = None) -> _Result:
        """Do this in the loop and wait for its end."""
        loop = self._loop or self._start()
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "this code runs in the event loop of the caches: use the a-prefixed methods and await them"
            )
        future = asyncio.run_coroutine_threadsafe(work(), loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=loop.run_forever, name="sitecache", daemon=True)
                self._thread.start()
                self._loop = loop
            return self._loop

    def stop(self) -> None:
        """End the loop and its thread."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()


class Store:
    """One entry of CACHES, open: a backend for each event loop that uses it, however many threads there are."""

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._make = make
        self._first: Backend | None = make()
        self._lock = threading.Lock()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Backend] = WeakKeyDictionary()
        self.kind = type(self._first)
        self._immediate = self._first if self._first.immediate else None
        _open.add(self)

    def here(self) -> Backend:
        """Return the backend of the running event loop."""
        if self._immediate is not None:
            return self._immediate
        loop = asyncio.get_running_loop()
        backend = self._by_loop.get(loop)
        if backend is None:
            with self._lock:
                backend, self._first = self._first or self._make(), None
                self._by_loop[loop] = backend
        return backend

    def run(self, operation: Operation[_Result], timeout: float | None = None) -> _Result:
        """Do this, and wait for its end, without an event loop of the caller's."""
        if self._immediate is not None:
            return _at_once(operation(self._immediate))

        async def work() -> _Result:
            return await operation(self.here())

        return _background[0].run(work, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Close what was opened for callers without an event loop."""
        if self._immediate is not None or _background[0].is_running:
            self.run(lambda backend: backend.close(), timeout)


def _at_once(operation: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine that waits for nothing."""
    try:
        operation.send(None)
    except StopIteration as stop:
        result: _Result = stop.value
        return result
    operation.close()
    raise RuntimeError("a backend that is called immediate has waited")


_open: WeakSet[Store] = WeakSet()
_background = [_Background()]


def _leave_behind() -> None:
    """Forget the loop in the child of a fork: its thread is the parent's, and so are its connections."""
    _background[0] = _Background()


def _finish() -> None:
    if _background[0].is_running:
        for store in list(_open):
            with suppress(Exception):  # the process ends: nobody is left to be told
                store.close(_LAST_WORDS)
        _background[0].stop()


atexit.register(_finish)
os.register_at_fork(after_in_child=_leave_behind)
