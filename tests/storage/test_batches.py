"""Do the look-ups of one turn of the loop leave together, and does each get what is its own?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.base import Value
from proxy.storage.batches import MOST_BYTES, MOST_KEYS, Answer, Batches
from proxy.storage.guard import Patience, StorageTimeout
from proxy.storage.numbers import Failure, Operation
from tests.exchange.making import Clock
from tests.exchange.remotes import guards, start

LARGE = b"x" * 1_000_000
Said = dict[str, Value] | str


class Storage:
    """Values, and the keys of each look-up; where there is a gate, a look-up waits for it."""

    def __init__(self, values: dict[str, Value], failing: Iterable[str] = (), **patience: object) -> None:
        self.values = values
        self.failing = set(failing)
        self.trips: list[list[str]] = []
        self.gate: asyncio.Event | None = None
        self.clock = Clock()
        self.guards = guards(self.clock, **patience)
        self.batches: Batches[object] = Batches(self.get_many, self.guards, start)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        keys = list(keys)
        self.trips.append(keys)
        if self.gate is not None:
            await self.gate.wait()
        if self.failing.intersection(keys):
            raise StorageError("gone")
        return {key: self.values[key] for key in keys if key in self.values}

    def want(self, *keys: str, server: str = "") -> asyncio.Future[Answer[object] | StorageError]:
        """Return what is going to be told of keys."""
        told: asyncio.Future[Answer[object] | StorageError] = asyncio.get_running_loop().create_future()
        self.batches.want(server, keys, told.set_result)
        return told

    async def look(self, *keys: str, server: str = "") -> Said:
        """Return what is found under keys of one request, or how it failed."""
        answer = await self.want(*keys, server=server)
        if isinstance(answer, StorageError):
            return str(answer)
        return {key: answer.values[key] for key in keys if key in answer.values}

    async def crowd(self, *requests: tuple[str, ...]) -> list[Said]:
        return list(await asyncio.gather(*(self.look(*keys) for keys in requests)))


async def test_the_look_ups_of_one_turn_are_one_operation_and_each_gets_its_own() -> None:
    storage = Storage({"a": b"A", "b": b"B", "c": 3})
    assert await storage.crowd(("a", "b"), ("b", "c"), ("d",)) == [{"a": b"A", "b": b"B"}, {"b": b"B", "c": 3}, {}]
    assert storage.trips == [["a", "b", "c", "d"]]
    assert sum(storage.guards.numbers.durations[Operation.GET].counts) == 3, "each of them waited"


async def test_the_look_ups_of_another_turn_do_not_wait_for_those() -> None:
    storage = Storage({"a": b"A", "b": b"B"})
    storage.gate = asyncio.Event()
    first = asyncio.create_task(storage.look("a"))
    while not storage.trips:  # noqa: ASYNC110  turns are counted here
        await asyncio.sleep(0)
    second = asyncio.create_task(storage.look("b"))
    while len(storage.trips) < 2:  # noqa: ASYNC110  as above
        await asyncio.sleep(0)
    storage.gate.set()
    assert [await first, await second] == [{"a": b"A"}, {"b": b"B"}]


async def test_servers_are_asked_each_for_its_own() -> None:
    storage = Storage({"a": b"A", "b": b"B"})
    found = await asyncio.gather(storage.look("a", server="one"), storage.look("b", server="two"))
    assert found == [{"a": b"A"}, {"b": b"B"}]
    assert storage.trips == [["a"], ["b"]]


async def test_no_more_keys_leave_together_than_may() -> None:
    keys = [(str(number),) for number in range(2 * MOST_KEYS + 1)]
    storage = Storage({key: b"x" for (key,) in keys})
    assert all(await storage.crowd(*keys))
    assert [len(trip) for trip in storage.trips] == [MOST_KEYS, MOST_KEYS, 1]


async def test_no_more_bytes_are_expected_of_one_operation_than_may() -> None:
    keys = [(str(number),) for number in range(MOST_KEYS)]
    storage = Storage({key: b"x" * 50_000 for (key,) in keys})
    for _ in range(8):
        await storage.crowd(*keys)
    storage.trips.clear()
    assert all(await storage.crowd(*keys))
    assert max(len(trip) for trip in storage.trips) * 50_000 < 1.5 * MOST_BYTES


async def test_what_is_known_to_be_large_keeps_no_others_waiting_until_it_is_small() -> None:
    storage = Storage({"large": LARGE, "small": b"x"})
    for together in (True, False, False):
        storage.trips.clear()
        assert await storage.crowd(("large",), ("small",)) == [{"large": LARGE}, {"small": b"x"}]
        assert (["large", "small"] in storage.trips) is together
    storage.values["large"] = b"smaller"
    await storage.crowd(("large",), ("small",))
    storage.trips.clear()
    await storage.crowd(("large",), ("small",))
    assert storage.trips == [["large", "small"]]


async def test_a_failure_is_told_to_each_and_is_one_to_the_server() -> None:
    storage = Storage({}, failing=["a"], failures=2)
    assert await storage.crowd(("a",), ("b",), ("c",)) == ["gone"] * 3
    assert storage.guards.numbers.errors == {Failure.ERROR: 3}
    assert storage.guards.resting() == {"": False}
    assert await storage.look("a") == "gone"
    assert storage.guards.resting() == {"": True}
    resting = "storage 'default' has failed and is being left alone"
    assert await storage.crowd(("b",), ("c",)) == [resting] * 2
    assert storage.guards.numbers.errors == {Failure.ERROR: 4, Failure.RESTING: 2}


async def test_each_is_told_in_an_error_of_its_own() -> None:
    storage = Storage({}, failing=["a"])
    first, second = await asyncio.gather(storage.want("a"), storage.want("b"))
    assert first is not second
    assert [type(first), str(first)] == [type(second), str(second)] == [StorageError, "gone"]


async def test_a_fault_in_what_one_does_is_not_the_others(caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage({"a": b"A"})

    def broken(_: object) -> None:
        raise RuntimeError("ours")

    storage.batches.want("", ["a"], broken)
    assert await storage.look("a") == {"a": b"A"}
    assert "a fault of ours" in caplog.text


async def test_who_waits_when_the_storage_is_closed_is_told() -> None:
    storage = Storage({})
    storage.gate = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []
    storage.batches = Batches(storage.get_many, storage.guards, lambda work: tasks.append(asyncio.create_task(work)))
    waiting = storage.want("a")
    while not storage.trips:  # noqa: ASYNC110  turns are counted here
        await asyncio.sleep(0)
    tasks[0].cancel()
    assert isinstance(await waiting, StorageError)


async def test_what_failed_in_company_fails_alone_the_next_time() -> None:
    storage = Storage({"known": b"x", "new": b"x"}, failing=["bad"])
    await storage.look("known")
    assert await storage.crowd(("known",), ("new",), ("bad",)) == ["gone"] * 3
    found = [{"known": b"x"}, {"new": b"x"}, "gone"]
    for _ in range(2):
        assert await storage.crowd(("known",), ("new",), ("bad",)) == found
    storage.trips.clear()
    assert await storage.crowd(("known",), ("new",), ("bad",)) == found
    assert sorted(storage.trips) == [["bad"], ["known", "new"]], "what has answered is in company again"


async def test_the_deadline_begins_when_the_first_of_them_asked() -> None:
    patience = Patience(deadline=Seconds(60))
    storage = Storage({"a": b"A"}, deadline=patience.deadline)
    storage.gate = asyncio.Event()
    waiting = storage.want("a")
    storage.clock.turn(61)
    assert isinstance(await waiting, StorageTimeout)
