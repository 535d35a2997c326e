"""What does this process cost the machine, and does it keep up?"""

from __future__ import annotations

import asyncio
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from proxy.config.units import Bytes, Seconds
from proxy.storage.numbers import Durations

_STATM = Path("/proc/self/statm")

LAG_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper ends in seconds."""
_LAG_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time since the start, and memory held now."""

    cpu: Seconds
    resident: Bytes


def usage() -> Usage:
    """Measure this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(Seconds(used.ru_utime + used.ru_stime), _resident())


def _resident() -> Bytes:
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        # Without /proc there is only the largest it ever was, in KiB on Linux.
        return Bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return Bytes(pages * os.sysconf("SC_PAGESIZE"))


class LoopLag:
    """Asks the event loop to call back ten times a second, and measures how much later it does so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.durations = Durations(LAG_BUCKETS)
        self._loop = loop
        self._due = loop.time() + _LAG_EVERY
        self._timer = loop.call_at(self._due, self._called)

    def _called(self) -> None:
        now = self._loop.time()
        self.durations.add(Seconds(max(0.0, now - self._due)))
        self._due = now + _LAG_EVERY
        self._timer = self._loop.call_at(self._due, self._called)

    def close(self) -> None:
        """Measure no more."""
        self._timer.cancel()
