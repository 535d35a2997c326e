"""Who has been waiting for too long?

A timer for each request costs a call into the loop to set and one to cancel. Here a deadline is an attribute
that is written, and one timer looks through all of them: late by one tick at most.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

NEVER = float("inf")
"""The deadline of whoever may wait for ever."""


class Waiting(Protocol):
    """Something with a deadline, on the clock of the event loop."""

    deadline: float

    def overdue(self) -> None:
        """The deadline has passed."""


class Deadlines:
    """Looks every ``tick`` seconds for deadlines that have passed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float = 0.5) -> None:
        self._loop = loop
        self._tick = tick
        self._waiting: set[Waiting] = set()
        self.now = loop.time()
        """The loop's clock as of the last tick, for whoever can do with that and not with a call."""
        self._timer = loop.call_later(tick, self._look)

    def watch(self, waiting: Waiting) -> None:
        """Look at this one from now on."""
        self._waiting.add(waiting)

    def forget(self, waiting: Waiting) -> None:
        """Look at this one no more."""
        self._waiting.discard(waiting)

    def close(self) -> None:
        """Stop looking."""
        self._timer.cancel()

    def _look(self) -> None:
        self.now = now = self._loop.time()
        self._timer = self._loop.call_later(self._tick, self._look)
        for waiting in [one for one in self._waiting if one.deadline <= now]:
            waiting.deadline = NEVER
            waiting.overdue()
