"""Does every backend keep the one contract? The kinds stand in the modules ``kind_*.py`` beside this one."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.config.units import Seconds
from proxy.storage.backends.base import Backend
from proxy.storage.backends.dummy import DummyCache
from tests.storage.contract import Clock, Factory, Kind, Store, kinds

MINUTE = Seconds(60)
MOST = 2**63 - 1


@pytest.fixture(scope="module", params=kinds(), ids=str)
def started(request: pytest.FixtureRequest) -> Iterator[tuple[Kind, Factory]]:
    with request.param.start() as make:
        yield request.param, make


@pytest.fixture
async def store(started: tuple[Kind, Factory]) -> Store:
    kind, make = started
    store = Store(kind, make, Clock())
    former = store.backend()
    await former.clear()
    await former.close()
    return store


@pytest.fixture
async def cache(store: Store) -> AsyncIterator[Backend]:
    backend = store.backend()
    yield backend
    await backend.close()


async def test_one_server_is_what_every_key_is_read_from(cache: Backend) -> None:
    servers = {cache.server_of(f"key {number}", writing=False) for number in range(20)}
    assert cache.one_server is None or servers == {cache.one_server}


# Values.


async def test_get_of_nothing(cache: Backend) -> None:
    assert await cache.get("a") is None
    assert not await cache.has_key("a")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"1", id="bytes-that-read-as-a-number"),
        pytest.param(b"-17", id="bytes-that-read-as-a-negative-number"),
        pytest.param(b"\x00\xff\r\n" * 500, id="any-bytes"),
        pytest.param(b"x" * 900_000, id="large"),
        pytest.param(0, id="zero"),
        pytest.param(1, id="number"),
        pytest.param(-5, id="negative"),
        pytest.param(MOST, id="largest-of-64-bits"),
        pytest.param(-MOST - 1, id="smallest-of-64-bits"),
    ],
)
@pytest.mark.parametrize("operation", ["set", "add", "set_many"])
async def test_what_was_kept_comes_back(cache: Backend, operation: str, value: bytes | int) -> None:
    match operation:
        case "set":
            assert await cache.set("a", value, MINUTE)
        case "add":
            assert await cache.add("a", value, MINUTE)
        case _:
            assert await cache.set_many({"a": value, "b": b"x"}, MINUTE) == []
    for found in (await cache.get("a"), (await cache.get_many(["a"]))["a"]):
        assert found == value
        assert type(found) is type(value), "a number stays a number, and bytes stay bytes"
    assert await cache.has_key("a")
    assert await cache.get("A") is None


async def test_a_very_large_value_is_kept_or_refused_whole(cache: Backend, store: Store) -> None:
    value = b"\xffx" * 1_000_000
    most = store.kind.largest_value
    fits = most is None or most >= len(value)
    await cache.set("a", b"1", MINUTE)
    assert await cache.set("a", value, MINUTE) is fits
    assert await cache.get("a") == (value if fits else None), "the former value is gone in any case"
    assert await cache.set_many({"b": b"2", "c": value, "d": b"4"}, MINUTE) == ([] if fits else ["c"])
    assert await cache.get_many(["b", "d"]) == {"b": b"2", "d": b"4"}
    assert await cache.has_key("c") is fits


async def test_keys_are_any_text(cache: Backend, store: Store) -> None:
    keys = ["a", "a:b", ":1:a/b?c=d&e", "~!$%^*()[]{}\\|;'<>", "x" * 250]
    if store.kind.any_key:
        keys += ["", " ", "\u5b57" * 100, "x" * 1000, "é", "e\u0301", "\x00", "\u00a0", "..", "a\nb"]
    for number, key in enumerate(keys):
        assert await cache.set(key, b"%d" % number, MINUTE)
    assert await cache.get_many(keys) == {key: b"%d" % number for number, key in enumerate(keys)}
    assert [await cache.get(key) for key in keys] == [b"%d" % number for number in range(len(keys))]


async def test_set_replaces_value_and_timeout(cache: Backend, store: Store) -> None:
    await cache.set("a", b"1", store.short())
    await cache.set("a", b"2", MINUTE)
    await cache.set("b", b"1", store.short())
    await cache.set("b", 2, None)
    await store.pass_by(store.short())
    assert await cache.get_many("ab") == {"a": b"2", "b": 2}


async def test_two_backends_on_one_store_see_each_other(cache: Backend, store: Store) -> None:
    other = store.backend()
    await cache.set("a", b"1", MINUTE)
    assert await other.get("a") == b"1"
    assert await other.delete("a")
    assert await cache.get("a") is None
    await other.close()


# Timeouts.

TIMEOUTS = ["set", "add", "touch", "set_many"]


async def given(cache: Backend, operation: str, timeout: float | None, key: str = "a") -> None:
    match operation:
        case "set":
            assert await cache.set(key, b"1", timeout)
        case "add":
            assert await cache.add(key, b"1", timeout)
        case "touch":
            await cache.set(key, b"1", MINUTE)
            assert await cache.touch(key, timeout), "there was a value, whatever the timeout"
        case _:
            assert await cache.set_many({key: b"1"}, timeout) == []


async def expect(cache: Backend, is_there: bool, key: str = "a") -> None:
    assert await cache.has_key(key) is is_there
    assert await cache.get_many([key]) == ({key: b"1"} if is_there else {})
    assert await cache.get(key) == (b"1" if is_there else None)


@pytest.mark.parametrize("operation", TIMEOUTS)
@pytest.mark.parametrize(
    ("timeout", "is_there"),
    [
        pytest.param(None, True, id="never"),
        pytest.param(60, True, id="minute"),
        pytest.param(100.2, True, id="fraction"),
        pytest.param(3_000_000, True, id="more-than-thirty-days"),
        pytest.param(2_592_000, True, id="thirty-days"),
        pytest.param(10**9, True, id="thirty-years"),
        pytest.param(0, False, id="zero"),
        pytest.param(-0.5, False, id="negative-fraction"),
        pytest.param(-5, False, id="negative"),
        pytest.param(-(10**9), False, id="very-negative"),
    ],
)
async def test_timeouts_at_once(cache: Backend, operation: str, timeout: float | None, is_there: bool) -> None:
    await given(cache, operation, timeout)
    await expect(cache, is_there)


async def test_a_timeout_passes(cache: Backend, store: Store) -> None:
    for operation in TIMEOUTS:
        await given(cache, operation, store.short(), operation)
    await store.pass_by(store.short())
    for operation in TIMEOUTS:
        await expect(cache, is_there=False, key=operation)


async def test_less_than_a_second_is_not_nothing(cache: Backend, store: Store) -> None:
    for operation in TIMEOUTS:
        begun = time.monotonic()
        await given(cache, operation, 0.9, operation)
        found = await cache.get(operation)
        assert found == b"1" or time.monotonic() - begun >= 0.9
    await store.pass_by(Seconds(1 if store.kind.whole_seconds else 0.9))
    for operation in TIMEOUTS:
        await expect(cache, is_there=False, key=operation)


@pytest.mark.parametrize("operation", TIMEOUTS)
@pytest.mark.parametrize(
    ("timeout", "after", "is_there"),
    [
        pytest.param(None, 10**9, True, id="never"),
        pytest.param(60, 58.9, True, id="before"),
        pytest.param(60, 61, False, id="after"),
        pytest.param(0.5, 0.4, True, id="fraction-before"),
        pytest.param(0.5, 2, False, id="fraction-after"),
        pytest.param(100.2, 100.1, True, id="not-cut-to-seconds"),
        pytest.param(3_000_000, 2_999_998, True, id="more-than-thirty-days"),
    ],
)
async def test_timeouts_to_the_moment(
    cache: Backend, store: Store, operation: str, timeout: float | None, after: float, is_there: bool
) -> None:
    if not store.kind.turns_clock:
        return  # time that cannot be turned is held by the two tests above
    await given(cache, operation, timeout)
    store.clock.turn(after)
    await expect(cache, is_there)


# What has expired is absent in every operation.


async def test_set_without_a_future_takes_the_former_value_away(cache: Backend) -> None:
    await cache.set_many({"a": b"1", "b": b"1", "c": b"1", "d": 4}, MINUTE)
    assert await cache.set("a", b"2", Seconds(0))
    assert await cache.set("b", b"2", Seconds(-1))
    assert await cache.set_many({"c": b"2", "d": b"2"}, Seconds(0)) == []
    assert await cache.get_many("abcd") == {}


async def test_add_only_where_there_is_none(cache: Backend, store: Store) -> None:
    assert await cache.add("a", b"1", store.short())
    assert not await cache.add("a", b"2", None)
    await store.pass_by(store.short())
    assert await cache.add("a", b"3", MINUTE), "what has expired is not there"
    assert await cache.get("a") == b"3"
    assert not await cache.add("a", b"4", Seconds(0)), "there is one"
    assert not await cache.add("a", 4, Seconds(-1))
    assert await cache.get("a") == b"3"
    assert await cache.add("b", b"1", Seconds(0))
    assert not await cache.has_key("b")
    assert await cache.add("b", 2, MINUTE)
    assert await cache.get("b") == 2


async def test_touch(cache: Backend, store: Store) -> None:
    assert not await cache.touch("a", MINUTE)
    assert not await cache.touch("a", Seconds(0))
    assert not await cache.touch("a", None)
    await cache.set_many({"a": b"1", "b": 2, "c": b"3"}, store.short())
    assert await cache.touch("a", MINUTE)
    assert await cache.touch("b", None)
    await store.pass_by(store.short())
    assert await cache.get_many("abc") == {"a": b"1", "b": 2}
    assert not await cache.touch("c", MINUTE), "what has expired is not brought back"
    assert await cache.get("c") is None


async def test_touch_shortens(cache: Backend, store: Store) -> None:
    await cache.set("a", b"1", None)
    assert await cache.touch("a", store.short())
    await store.pass_by(store.short())
    assert not await cache.has_key("a")


async def test_delete(cache: Backend, store: Store) -> None:
    assert not await cache.delete("a")
    await cache.set("a", b"1", MINUTE)
    assert await cache.delete("a")
    assert await cache.get("a") is None
    assert not await cache.delete("a")
    await cache.set("a", 1, store.short())
    await store.pass_by(store.short())
    assert not await cache.delete("a"), "what has expired was not there"


async def test_what_has_expired_is_in_no_answer(cache: Backend, store: Store) -> None:
    await cache.set_many({"a": 1, "b": 1, "c": b"3"}, store.short())
    await cache.set("d", b"4", MINUTE)
    await store.pass_by(store.short())
    with pytest.raises(KeyError):
        await cache.incr("a", 1)
    assert not await cache.rename("b", "e")
    assert await cache.get_many("abcde") == {"d": b"4"}
    assert not await cache.has_key("c")


# Many at once.


async def test_many(cache: Backend) -> None:
    assert await cache.set_many({}, MINUTE) == []
    assert await cache.set_many({"a": b"1", "b": 2, "c": b"3"}, MINUTE) == []
    assert await cache.get_many(iter(["a", "x", "b", "a"])) == {"a": b"1", "b": 2}
    assert await cache.get_many([]) == {}
    assert await cache.get_many(iter(())) == {}
    await cache.delete_many(iter(["a", "x", "c", "a"]))
    await cache.delete_many([])
    await cache.delete_many(key for key in ())
    assert await cache.get_many(["a", "b", "c"]) == {"b": 2}


async def test_a_thousand(cache: Backend) -> None:
    values = {f"key-{number}": b"%d" % number for number in range(1000)}
    assert await cache.set_many(values, MINUTE) == []
    assert await cache.get_many(values) == values
    await cache.delete_many(values)
    assert await cache.get_many(values) == {}


# Numbers.


@pytest.mark.parametrize(
    ("start", "delta", "total"),
    [
        pytest.param(1, 1, 2, id="one-more"),
        pytest.param(1, 41, 42, id="many-more"),
        pytest.param(0, 1, 1, id="from-zero"),
        pytest.param(10, -4, 6, id="less"),
        pytest.param(100, -98, 2, id="fewer-digits"),
        pytest.param(9, 1, 10, id="more-digits"),
        pytest.param(5, 0, 5, id="nothing"),
        pytest.param(1, -5, -4, id="below-zero"),
        pytest.param(MOST - 1, 1, MOST, id="up-to-64-bits"),
    ],
)
async def test_incr(cache: Backend, store: Store, start: int, delta: int, total: int) -> None:
    if total < 0 and store.kind.clamps_at_zero:
        total = 0
    await cache.set("a", start, MINUTE)
    assert await cache.incr("a", delta) == total
    assert await cache.get("a") == total
    assert type(await cache.get("a")) is int


@pytest.mark.parametrize(("start", "delta", "total"), [(-5, 1, -4), (-5, 10, 5), (-5, -1, -6), (-5, 5, 0)])
async def test_incr_of_a_negative_number(cache: Backend, store: Store, start: int, delta: int, total: int) -> None:
    await cache.set("a", start, MINUTE)
    if store.kind.clamps_at_zero:
        with pytest.raises(TypeError):
            await cache.incr("a", delta)
        return
    assert await cache.incr("a", delta) == total
    assert await cache.get("a") == total


async def test_incr_of_nothing(cache: Backend) -> None:
    with pytest.raises(KeyError):
        await cache.incr("a", 1)
    assert not await cache.has_key("a"), "and it makes none"


@pytest.mark.parametrize("value", [b"x", b"", b"\xff" * 100, b"1"], ids=["text", "none", "any", "digits"])
async def test_incr_of_what_is_no_number(cache: Backend, value: bytes) -> None:
    await cache.set("a", value, MINUTE)
    with pytest.raises(TypeError):
        await cache.incr("a", 1)
    assert await cache.get("a") == value


async def test_incr_beyond_the_largest(cache: Backend, store: Store) -> None:
    most = store.kind.largest_int
    await cache.set("a", MOST, MINUTE)
    if most is None or most > MOST:
        assert await cache.incr("a", 1) == MOST + 1
        assert await cache.get("a") == MOST + 1
    if most is None:
        assert await cache.incr("a", 2**70) == MOST + 1 + 2**70
        assert await cache.get("a") == MOST + 1 + 2**70
        return
    await cache.set("a", MOST, MINUTE)
    with pytest.raises(OverflowError):
        await cache.incr("a", most - MOST + 1)
    with pytest.raises(OverflowError):
        await cache.incr("a", 2**70)


async def test_incr_keeps_the_timeout(cache: Backend, store: Store) -> None:
    await cache.set("a", 1, store.short(5))
    await cache.set("b", 1, None)
    await cache.set("c", 1, MINUTE)
    for key in "abc":
        assert await cache.incr(key, 1) == 2
    await store.pass_by(store.short(5))
    assert await cache.get_many("abc") == {"b": 2, "c": 2}


# Moving a value.


async def test_rename(cache: Backend, store: Store) -> None:
    assert not await cache.rename("a", "b")
    await cache.set_many({"a": b"1", "b": b"2", "c": 3}, MINUTE)
    assert await cache.rename("a", "b")
    assert await cache.rename("c", "d")
    assert await cache.get_many("abcd") == {"b": b"1", "d": 3}
    assert await cache.incr("d", 1) == 4


async def test_rename_keeps_the_timeout(cache: Backend, store: Store) -> None:
    await cache.set("a", b"1", store.short())
    await cache.set("b", b"1", None)
    await cache.set("c", b"1", MINUTE)
    await cache.set("d", b"1", store.short())
    await cache.set("to-c", b"0", store.short())
    for key in "abc":
        assert await cache.rename(key, f"to-{key}")
    await store.pass_by(store.short())
    longer = {} if store.kind.moves_timeout else {"to-a": b"1"}
    assert await cache.get_many(["to-a", "to-b", "to-c"]) == {"to-b": b"1", "to-c": b"1"} | longer


async def test_rename_to_itself(cache: Backend) -> None:
    await cache.set("a", b"1", MINUTE)
    assert await cache.rename("a", "a")
    assert await cache.get("a") == b"1"


# The whole.


async def test_clear(cache: Backend) -> None:
    await cache.clear()
    await cache.set_many({"a": b"1", "b": 2}, None)
    await cache.clear()
    assert await cache.get_many(["a", "b"]) == {}
    assert not await cache.has_key("a")
    assert await cache.set("a", b"1", None)
    assert await cache.get("a") == b"1"


async def test_after_close_it_may_be_used_again(cache: Backend) -> None:
    await cache.close()
    assert await cache.set("a", b"1", MINUTE)
    await cache.close()
    await cache.close()
    assert await cache.get("a") == b"1"


# Several at once.


async def test_tasks_at_once(cache: Backend) -> None:
    await cache.set("n", 0, MINUTE)

    async def work(name: str) -> int:
        for number in range(10):
            await cache.incr("n", 1)
            await cache.set(f"{name}-{number}", name.encode(), MINUTE)
            assert await cache.get(f"{name}-{number}") == name.encode()
        return await cache.add("winner", name.encode(), MINUTE)

    won = await asyncio.gather(*(work(f"task-{number}") for number in range(8)))
    assert won.count(True) == 1, "of those who add, one wins"
    assert await cache.get("n") == 80


def count_up(make: Factory, clock: Clock, times: int) -> None:
    """Do so in an event loop of its own: the work of one thread or process."""

    async def work() -> None:
        cache = make(clock)
        for _ in range(times):
            await cache.incr("n", 1)
        await cache.close()

    asyncio.run(work())


async def test_incr_from_threads(cache: Backend, store: Store) -> None:
    if not store.kind.atomic_in_threads:
        return  # each backend has a thread, and the class behind it is the operator's
    await cache.set("n", 0, MINUTE)
    threads = [threading.Thread(target=count_up, args=(store.make, store.clock, 50)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert await cache.get("n") == 400


async def test_incr_from_processes(cache: Backend, store: Store) -> None:
    if not store.kind.processes:
        return  # process memory is that of one process
    await cache.set("n", 0, MINUTE)
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=count_up, args=(store.make, store.clock, 50)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in processes] == [0] * 8
    assert await cache.get("n") == 400


# The dummy differs in everything but its answers' types.


async def test_dummy_accepts_everything_and_has_nothing() -> None:
    cache = DummyCache()
    assert await cache.set("a", b"1", None)
    assert await cache.add("a", b"1", None)
    assert await cache.add("a", b"1", None), "there never is one"
    assert await cache.get("a") is None
    assert not await cache.has_key("a")
    assert not await cache.touch("a", None)
    assert not await cache.delete("a")
    assert not await cache.rename("a", "b")
    with pytest.raises(KeyError):
        await cache.incr("a", 1)
    assert await cache.set_many({"a": b"1"}, None) == []
    assert await cache.get_many(["a"]) == {}
    await cache.delete_many(["a"])
    await cache.clear()
    await cache.close()
