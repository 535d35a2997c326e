"""What goes first when process memory is to be kept in bounds, and is the count of bytes true?"""

from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.units import Seconds, UnixTime
from proxy.storage.backends.locmem import SLOT_BYTES, LocMemCache
from tests.storage.contract import Clock

MINUTE = Seconds(60)


async def filled(cache: LocMemCache, *keys: str) -> LocMemCache:
    for key in keys:
        await cache.set(key, b"1", MINUTE)
    return cache


async def left(cache: LocMemCache, keys: str) -> str:
    return "".join([key for key in keys if await cache.has_key(key)])


@pytest.mark.parametrize(
    ("use", "stays"),
    [
        pytest.param(lambda cache: cache.get("a"), "a", id="get"),
        pytest.param(lambda cache: cache.get_many(["a"]), "a", id="get-many"),
        pytest.param(lambda cache: cache.set("a", b"2", MINUTE), "a", id="set"),
        pytest.param(lambda cache: cache.has_key("a"), "b", id="has-key-does-not-count"),
        pytest.param(lambda cache: cache.touch("a", MINUTE), "b", id="touch-does-not-count"),
        pytest.param(lambda cache: cache.add("a", b"2", MINUTE), "b", id="add-that-fails-does-not-count"),
    ],
)
async def test_the_least_recently_used_goes_first(use, stays: str) -> None:
    cache = await filled(LocMemCache(Clock(), max_entries=2, cull_frequency=2), "a", "b")
    await use(cache)
    await filled(cache, "c")
    assert await left(cache, "abc") == stays + "c"
    assert cache.evicted == 1


@pytest.mark.parametrize(
    ("most", "frequency", "sets", "kept"),
    [
        pytest.param(30, 3, 49, 29, id="as-django-documents"),
        pytest.param(30, 0, 49, 19, id="all-at-once"),
        pytest.param(30, 1, 49, 19, id="one-in-one"),
        pytest.param(30, 2, 49, 19, id="half"),
        pytest.param(30, 100, 49, 30, id="at-least-one"),
        pytest.param(30, 3, 30, 30, id="just-full"),
        pytest.param(1, 3, 5, 1, id="room-for-one"),
        pytest.param(None, 3, 500, 500, id="no-bound"),
    ],
)
async def test_how_many_go(most: int | None, frequency: int, sets: int, kept: int) -> None:
    cache = LocMemCache(Clock(), max_entries=most, cull_frequency=frequency)
    for number in range(sets):
        await cache.set(f"k{number}", b"1", MINUTE)
        assert most is None or len(cache) <= most
    assert len(cache) == kept
    assert cache.evicted == sets - kept
    assert await cache.get(f"k{sets - 1}") == b"1"


async def test_overwriting_makes_no_room() -> None:
    cache = await filled(LocMemCache(Clock(), max_entries=3), "a", "b", "c")
    for _ in range(5):
        await cache.set("b", b"2", MINUTE)
    assert await left(cache, "abc") == "abc"
    assert cache.evicted == 0


async def test_what_has_expired_goes_first() -> None:
    clock = Clock()
    cache = LocMemCache(clock, max_entries=3, cull_frequency=3)
    await cache.set("a", b"1", None)
    await cache.set("b", b"1", Seconds(1))
    await cache.set("c", b"1", Seconds(1))
    clock.turn(1)
    await cache.set("d", b"1", MINUTE)
    assert await left(cache, "abcd") == "ad"
    assert cache.evicted == 0, "nothing of use was evicted"


async def test_a_value_larger_than_the_cache_is_refused_and_its_predecessor_is_gone() -> None:
    cache = LocMemCache(Clock(), max_entries=None, max_bytes=2000)
    assert await cache.set("a", b"1", MINUTE)
    assert await cache.set("b", b"1", MINUTE)
    assert not await cache.set("a", b"x" * 2000, MINUTE)
    assert await cache.set_many({"c": b"1", "a": b"x" * 2000}, MINUTE) == ["a"]
    assert await left(cache, "abc") == "bc"


async def test_bytes_bound_the_cache() -> None:
    cache = LocMemCache(Clock(), max_entries=None, max_bytes=10_000)
    for number in range(100):
        await cache.set(f"k{number}", b"x" * 900, MINUTE)
        assert cache.bytes <= 10_000
    assert 5 < len(cache) < 11
    assert len(cache) + cache.evicted == 100


async def test_values_of_other_types_are_not_for_the_contract() -> None:
    cache = LocMemCache(Clock())
    cache.put("a", object(), 10, UnixTime(float("inf")))
    assert await cache.get("a") is None


KEYS = st.sampled_from([f"key-{number}" for number in range(12)])
VALUES = st.integers(0, 600).map(bytes)
TIMEOUTS = st.one_of(st.none(), st.sampled_from([0.0, -1.0, 0.5, 3.0, 60.0]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, VALUES, TIMEOUTS),
        st.tuples(st.just("add"), KEYS, VALUES, TIMEOUTS),
        st.tuples(st.just("touch"), KEYS, TIMEOUTS),
        st.tuples(st.sampled_from(["get", "delete", "has_key"]), KEYS),
        st.tuples(st.just("turn"), st.sampled_from([0.25, 1.0, 30.0])),
        st.tuples(st.just("clear")),
    ),
    max_size=60,
)


def really_held(cache: LocMemCache) -> int:
    """Add up anew what is held."""
    return sum(value.__sizeof__() + key.__sizeof__() + SLOT_BYTES for key, (value, _, _) in cache._slots.items())  # type: ignore[attr-defined]


@given(STEPS, st.one_of(st.none(), st.integers(0, 6000)), st.one_of(st.none(), st.integers(1, 8)), st.integers(0, 4))
@settings(max_examples=150, deadline=None)
async def test_the_count_of_bytes_is_true_and_the_bounds_hold(
    steps, max_bytes: int | None, max_entries: int | None, cull_frequency: int
) -> None:
    clock = Clock()
    cache = LocMemCache(clock, max_entries=max_entries, cull_frequency=cull_frequency, max_bytes=max_bytes)
    model: dict[str, tuple[bytes, float]] = {}
    for operation, *rest in steps:
        if operation == "turn":
            clock.turn(rest[0])
            continue
        answer = await getattr(cache, operation)(*rest)
        _follow(model, clock(), operation, rest, answer)
        assert cache.bytes == really_held(cache)
        assert max_bytes is None or cache.bytes <= max_bytes
        assert max_entries is None or len(cache) <= max_entries
    for key, value in (await cache.get_many(model)).items():
        assert model[key][0] == value
        assert model[key][1] > clock()


def _follow(model: dict[str, tuple[bytes, float]], now: float, operation: str, rest: list, answer: object) -> None:
    """Do to a plain dictionary what was done to the cache; what was evicted stays in it."""
    if operation == "clear":
        model.clear()
        return
    key = rest[0]
    if operation == "get":
        assert answer is None or (answer == model[key][0] and model[key][1] > now)
    elif operation == "set" or (operation == "add" and answer):
        until = float("inf") if rest[2] is None else now + rest[2]
        model[key] = (rest[1], until)
    elif operation == "touch" and answer:
        model[key] = (model[key][0], float("inf") if rest[1] is None else now + rest[1])
    elif operation == "delete":
        model.pop(key, None)


def test_threads_at_once_leave_the_count_true() -> None:
    cache = LocMemCache(lambda: UnixTime(1000.0), max_entries=50, max_bytes=20_000)
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for number in range(3000):
                key = f"k{(number * seed) % 97}"
                cache.put(key, b"x", number % 300, UnixTime(1000.0 + number % 3))
                cache.peek(f"k{number % 97}", UnixTime(1001.0))
                cache.drop(f"k{(number + seed) % 97}")
        except BaseException as fault:  # noqa: BLE001  # of a thread: shown by the test
            faults.append(fault)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert faults == []
    assert cache.bytes == sum(size for _, size, _ in cache._slots.values())
    assert len(cache) <= 50
    assert cache.bytes <= 20_000
