"""What is changed in a shared cache at once, and what a little later, for others are writing or there is much to write?

A change takes some ten microseconds, and most are made where they are called for. What is not made at once is made in
a thread, in the order in which it was called for; until then, what it is to be counts as being there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.storage.backends.shared_change import Change, FullError
from proxy.storage.backends.shared_file import BusyError
from proxy.storage.backends.shared_store import PATIENCE, SharedStore
from proxy.storage.codec import Record
from proxy.storage.numbers import Failure, Numbers

_log = logging.getLogger("sitecache")

Key = PrimaryKey | VariantKey
BRIEFLY = Seconds(0.001)
"""How long the event loop waits for those who write at the moment."""
_A_WHILE = Seconds(0.01)
"""The same, where what is to be forgotten should be so before the next answer goes out."""
_NAP = 0.01
#: Bytes of what waits to be stored; what comes then is not stored.
_MOST_WAITING = 64 * 2**20
LARGE = 256 * 1024
"""What is larger is written in a thread."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is to lie under a key."""

    record: Record | None
    """None: nothing."""
    name: bytes
    since: int
    """It is not stored if what lies under this name was invalidated after this number."""


class Later:
    """Makes changes, one after the other."""

    def __init__(self, store: SharedStore, numbers: Numbers) -> None:
        self._store = store
        self.waiting: dict[Key, Waiting] = {}
        self._bytes = 0
        self._thread: ThreadPoolExecutor | None = None
        self._numbers = numbers
        self._counting = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """Tell whether there is something that is still to be changed."""
        return bool(self.waiting)

    @property
    def accepts(self) -> bool:
        """Tell whether something would be stored now."""
        return self._bytes < _MOST_WAITING

    def find(self, key: Key) -> tuple[bool, Record | None]:
        """Tell whether something waits for its turn to lie under this key, and what."""
        waiting = self.waiting.get(key)
        if waiting is None:
            return False, None
        outdated = waiting.record is not None and self._store.is_outdated(waiting.name, waiting.since)
        return True, None if outdated else waiting.record

    def forget(self, key: Key, name: bytes, work: Callable[[Change], object]) -> None:
        """Forget what lies under a key, whatever it takes: it must not be served any more."""
        try:
            if not self.waiting:
                self._store.change(work, _A_WHILE)
                return
        except (BusyError, FullError):
            # The database is full for as long as a reader that hangs holds on to what was there.
            pass
        except StorageError as error:
            self._give_up(error)
            return
        self._queue({key: Waiting(None, name, 0)}, 0, partial(self._insist, work), self._give_up)

    def _insist(self, work: Callable[[Change], object]) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self._store.change(work)
            except FullError:
                if time.monotonic() > until:
                    raise
                time.sleep(_NAP)
            else:
                return

    def queue(self, records: Mapping[Key, Waiting], size: int, work: Callable[[SharedStore], object]) -> None:
        """Store these when it is their turn, unless too much waits already."""
        if self._bytes + size <= _MOST_WAITING:
            self._queue(records, size, partial(work, self._store), self.not_stored)

    def _queue(
        self,
        records: Mapping[Key, Waiting],
        size: int,
        work: Callable[[], object],
        failed: Callable[[StorageError], None],
    ) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="shared")
        with self._counting:
            self._bytes += size
        self.waiting.update(records)

        def run() -> None:
            try:
                work()
            except StorageError as error:
                failed(error)
            finally:
                with self._counting:
                    self._bytes -= size
                for key, waiting in records.items():
                    # Unless something newer waits.
                    if self.waiting.get(key) is waiting:
                        self.waiting.pop(key, None)

        self._thread.submit(run).add_done_callback(_told)

    def not_stored(self, error: StorageError) -> None:
        """Count what was not stored."""
        failure = Failure.REFUSED if isinstance(error, FullError) else Failure.ERROR
        with self._counting:
            self._numbers.errors[failure] += 1

    def _give_up(self, error: StorageError) -> None:
        """What is to be forgotten cannot be: all is, for all workers."""
        self.not_stored(error)
        self._store.give_up(error)

    async def finish(self) -> None:
        """Let what waits be done."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)


def _told(done: Future[None]) -> None:
    error = done.exception()
    if error is not None:
        _log.error("shared cache: %s: %s", type(error).__name__, error)
