"""How long is a storage waited for, when is it left alone, and how often is that said?"""

from __future__ import annotations

import asyncio
import logging

import pytest

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.guard import Guards, Patience, RestingError
from proxy.storage.numbers import Failure, Operation
from tests.storage.contract import Clock

PATIENCE = Patience(deadline=Seconds(60), failures=3, longest_rest=Seconds(4))


class Bench:
    def __init__(self, patience: Patience = PATIENCE) -> None:
        self.clock = Clock()
        self.guards = Guards("pages", patience, self.clock)
        self.asked = 0

    async def ask(self, fails: bool = True, server: str = "one") -> str:
        """Return what became of one operation."""

        async def work() -> str:
            self.asked += 1
            if fails:
                raise StorageError("refused")
            return "answered"

        try:
            return await self.guards.run(Operation.GET, server, work)
        except RestingError:
            return "resting"
        except StorageError:
            return "failed"

    async def wait(self, gate: asyncio.Event, fails: bool = True) -> str:
        async def work() -> str:
            await gate.wait()
            return await self.ask(fails, server="inner") if not fails else self._fail()

        try:
            return await self.guards.run(Operation.GET, "one", work)
        except StorageError:
            return "failed"

    def _fail(self) -> str:
        raise StorageError("late")


async def test_a_server_that_fails_is_left_alone_for_longer_each_time_and_others_are_not() -> None:
    bench = Bench()
    assert [await bench.ask() for _ in range(5)] == ["failed", "failed", "failed", "resting", "resting"]
    assert await bench.ask(fails=False, server="other") == "answered"
    assert bench.guards.resting() == {"one": True, "other": False}
    for rest in (1, 2, 4, 4):
        bench.clock.turn(rest - 0.1)
        assert bench.guards.refuses("one")
        assert await bench.ask() == "resting"
        bench.clock.turn(0.1)
        assert not bench.guards.refuses("one")
        assert await bench.ask() == "failed", "one tries"
    bench.clock.turn(4)
    assert await bench.ask(fails=False) == "answered"
    assert [await bench.ask() for _ in range(3)] == ["failed"] * 3, "what was is forgotten"
    bench.clock.turn(1)
    assert await bench.ask() == "failed"


async def test_one_failure_among_successes_is_not_a_reason() -> None:
    bench = Bench()
    for _ in range(4):
        assert [await bench.ask(), await bench.ask(), await bench.ask(fails=False)] == ["failed", "failed", "answered"]
    assert bench.guards.resting() == {"one": False}


async def test_many_that_fail_together_do_not_make_the_rest_longer() -> None:
    bench, gate = Bench(), asyncio.Event()
    waiting = [asyncio.create_task(bench.wait(gate)) for _ in range(50)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == ["failed"] * 50
    bench.clock.turn(1)
    assert await bench.ask(fails=False) == "answered"


async def test_one_at_a_time_tries_whether_the_server_is_back() -> None:
    bench, gate = Bench(), asyncio.Event()
    for _ in range(3):
        await bench.ask()
    bench.clock.turn(1)
    trying = asyncio.create_task(bench.wait(gate, fails=False))
    await asyncio.sleep(0)
    assert await bench.ask() == "resting"
    gate.set()
    assert await trying == "answered"
    assert await bench.ask(fails=False) == "answered"


async def test_a_trial_that_is_broken_off_lets_the_next_one_try() -> None:
    bench, gate = Bench(), asyncio.Event()
    for _ in range(3):
        await bench.ask()
    bench.clock.turn(1)
    trying = asyncio.create_task(bench.wait(gate))
    await asyncio.sleep(0)
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert await bench.ask(fails=False) == "answered"


async def test_what_fails_is_counted_by_its_reason() -> None:
    bench = Bench(Patience(Seconds(0.001), 3, Seconds(4)))
    assert await bench.wait(asyncio.Event()) == "failed"
    assert await bench.ask() == "failed"
    assert await bench.ask() == "failed"
    assert await bench.ask() == "resting"
    bench.guards.refused(10)
    assert bench.guards.numbers.errors == {
        Failure.TIMEOUT: 1, Failure.ERROR: 2, Failure.RESTING: 1, Failure.REFUSED: 1,
    }  # fmt: skip
    assert sum(bench.guards.numbers.durations[Operation.GET].counts) == 3, "what was not tried took no time"


async def test_the_log_has_a_line_for_each_change_and_none_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with caplog.at_level(logging.WARNING, "sitecache"):
        for _ in range(100):
            await bench.ask()
            bench.clock.turn(0.1)
        bench.clock.turn(4)
        await bench.ask(fails=False)
        for _ in range(20):
            bench.guards.damaged(ValueError("not a record"))
            bench.guards.refused(7)
        bench.clock.turn(60)
        bench.guards.damaged(ValueError("not a record"))
    assert caplog.messages == [
        "storage 'pages' at one failed: refused",
        "storage 'pages' at one is left alone; its pages come from the origin: refused",
        "storage 'pages' at one answers again",
        "storage 'pages': a stored response is damaged and passed over: not a record",
        "storage 'pages': a response was not stored: no room for its 7 bytes, or too large",
        "storage 'pages': a stored response is damaged and passed over: not a record",
    ]


async def test_a_server_that_fails_now_and_then_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with caplog.at_level(logging.WARNING, "sitecache"):
        for _ in range(13):
            await bench.ask()
            await bench.ask(fails=False)
            bench.clock.turn(5)
    assert caplog.messages == ["storage 'pages' at one failed: refused"] * 2


async def test_an_error_that_the_backend_does_not_know_costs_no_request_and_its_cause_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()

    async def work() -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "sitecache"):
        for _ in range(2):
            with pytest.raises(StorageError, match="raised ZeroDivisionError"):
                await bench.guards.run(Operation.GET, "one", work)
    assert caplog.messages == ["storage 'pages' at one failed in a way that its backend does not know"]
    assert "ZeroDivisionError" in caplog.text, "with the place"
    assert await bench.ask() == "failed"
    assert await bench.ask() == "resting", "it counts as a failure"
