"""Should traffic come here, and is anything wrong although it may?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from proxy.config.units import Seconds
from proxy.ops.snapshot import Collect, Snapshot, total


class Unready(StrEnum):
    """Why no traffic should come here."""

    DRAINING = "draining"
    NO_WORKER = "no worker ready"


class Degraded(StrEnum):
    """What is wrong while traffic may come all the same."""

    ORIGIN = "origin failing"
    STORAGE = "storage resting"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether traffic should come here; an origin that fails is no reason against, for stored responses still serve."""

    unready: tuple[Unready, ...] = ()
    degraded: tuple[Degraded, ...] = ()

    def report(self) -> str:
        """Say it in lines: ``ready`` or the reasons against, then what is degraded."""
        lines = [reason.value for reason in self.unready] or ["ready"]
        return "".join(f"{line}\n" for line in [*lines, *(f"degraded: {what.value}" for what in self.degraded)])


def degraded(snapshot: Snapshot) -> tuple[Degraded, ...]:
    """Return what is wrong by these numbers."""
    wrong = {Degraded.ORIGIN: "sitecache_upstream_failing", Degraded.STORAGE: "sitecache_storage_server_resting"}
    return tuple(what for what, metric in wrong.items() if any(snapshot.samples.get(metric, {}).values()))


class Watch:
    """Looks at the numbers every few seconds, so that a health check need not wait for workers."""

    def __init__(self, collect: Collect, every: Seconds = Seconds(5)) -> None:
        """``collect`` returns the numbers of every worker."""
        self._collect = collect
        self._every = every
        self.degraded: tuple[Degraded, ...] = ()
        """What was wrong at the last look."""

    async def run(self) -> None:
        """Do so until cancelled."""
        while True:
            self.degraded = degraded(total(await self._collect()))
            await asyncio.sleep(self._every)
