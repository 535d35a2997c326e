"""Is the lag of the event loop measured?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.ops.process import LoopLag


class Loop:
    """An event loop whose clock is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        self.due.append((when, call))

    def call_back(self, late: float) -> None:
        when, call = self.due.pop()
        self.now = when + late
        call()


def test_each_call_back_is_measured_against_when_it_was_due() -> None:
    loop = Loop()
    lag = LoopLag(loop)  # type: ignore[arg-type]
    for late in (0, 0.0004, 0.3, 0):
        loop.call_back(late)
    assert sum(lag.durations.counts) == 4
    assert lag.durations.counts[0] == 3
    assert round(lag.durations.sum, 6) == 0.3004
    assert len(loop.due) == 1


async def test_it_is_called_back_until_it_is_closed() -> None:
    lag = LoopLag(asyncio.get_running_loop())
    while not sum(lag.durations.counts):  # noqa: ASYNC110  it has no event
        await asyncio.sleep(0.01)
    lag.close()
    counted = sum(lag.durations.counts)
    await asyncio.sleep(0.15)
    assert sum(lag.durations.counts) == counted
