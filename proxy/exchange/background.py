"""What runs without anybody waiting for it, how much of it, and how does it end?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Protocol

from proxy.exchange.client import Client

Work = Callable[[], Coroutine[object, object, None]]

_log = logging.getLogger("sitecache")


class Asking(Protocol):
    """A request to the origin that is waited for without a task."""

    def close(self) -> None:
        """Nobody waits for it any more."""


class Tasks:
    """Owns the tasks of exchanges: each is held until it is done, and an error in one is logged, not lost.

    What is waited for without a task is held as well, until it has come.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._asking: set[Asking] = set()

    def __len__(self) -> int:
        return len(self._running) + len(self._asking)

    def hold(self, asking: Asking) -> None:
        """Count this as something that runs."""
        self._asking.add(asking)

    def release(self, asking: Asking) -> None:
        """It has come."""
        self._asking.discard(asking)

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Run this until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log_fault(error)

    def cancel(self) -> None:
        """End what still runs."""
        for task in self._running:
            task.cancel()
        for asking in self._asking:
            asking.close()
        self._asking.clear()


def log_fault(error: BaseException) -> None:
    """Log what went wrong in an exchange by a fault of ours."""
    _log.error("an exchange failed, which is a fault of ours", exc_info=error)


async def guarded(client: Client, work: Work) -> None:
    """Do the work of an exchange; should it fail by a fault of ours, the client is told at once and does not wait."""
    try:
        await work()
    except Exception:
        client.abort()
        raise
