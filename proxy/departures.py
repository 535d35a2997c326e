"""When does what is written in one turn of the event loop leave? At its end, all of it; at once where that is little.

A write to a socket takes the kernel through all of TCP, and wakes whoever waits at the other end. Between two of them
the interpreter has lost what the processor remembered of it, and the other end has gone to sleep again. Together they
cost less: forwarding a sixth to a quarter of its processor time, and hits up to a fifth (decision 29).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

#: So many wait at most: the first of them has waited for the work on all others.
_MOST = 32
#: So many in a turn are worth the two microseconds that telling the loop takes for each turn.
_FEW = 8
#: Of the turns with few, one in so many is looked at.
_WATCH_EVERY = 64

_log = logging.getLogger("sitecache")


class Departing(Protocol):
    """Something that has bytes to send."""

    def depart(self) -> None:
        """Send them now, if they still are to be sent."""


class Loop(Protocol):
    """What is needed of an event loop."""

    def call_soon(self, callback: Callable[[], None]) -> object:
        """Call this in the next turn."""


class Departures:
    """Those that have something to send at the end of this turn.

    Where few have, they need not wait, and the loop need not be told: they depart at once, and now and then a turn is
    looked at.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: list[Departing] = []
        self._gone = 0
        """How many have departed in this turn."""
        self._is_due = False
        """The loop has been told, and this turn is looked at."""
        self._are_few = False
        """There were few in the last turn that was looked at."""
        self._unwatched = _WATCH_EVERY

    def add(self, departing: Departing) -> None:
        """Have this one depart at the end of the turn, or at once where few do, or many wait."""
        if not self._is_due:
            if self._are_few:
                self._unwatched -= 1
                if self._unwatched:
                    departing.depart()
                    return
                self._unwatched = _WATCH_EVERY
            self._is_due = True
            self._loop.call_soon(self._end)
        self._waiting.append(departing)
        if len(self._waiting) >= _MOST:
            self._depart()

    def _end(self) -> None:
        self._is_due = False
        self._depart()
        self._are_few = self._gone < _FEW
        self._gone = 0

    def _depart(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._gone += len(waiting)
        for departing in waiting:
            try:
                departing.depart()
            except Exception:  # noqa: BLE001 - one that cannot must not keep the others waiting for ever
                _log.exception("a write failed, which is a fault of ours")
