"""Does every backend keep the one contract? A later backend is added by one line in BACKENDS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from proxy.config.units import Seconds, UnixTime
from proxy.storage.backends.base import Backend
from proxy.storage.backends.dummy import DummyCache
from proxy.storage.backends.locmem import LocMemCache


@dataclass
class Clock:
    now: UnixTime = UnixTime(1000.0)

    def __call__(self) -> UnixTime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now = UnixTime(self.now + seconds)


class Composed(LocMemCache):
    """A backend that does no better than the base: its compound operations are those of the contract."""

    has_key = Backend.has_key


BACKENDS: dict[str, Callable[[Clock], Backend]] = {
    "locmem": lambda clock: LocMemCache(clock, max_entries=None),
    "base": lambda clock: Composed(clock, max_entries=None),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
def cache(request: pytest.FixtureRequest, clock: Clock) -> Backend:
    return BACKENDS[request.param](clock)


MINUTE = Seconds(60)


async def test_get_of_nothing(cache: Backend) -> None:
    assert await cache.get("a") is None
    assert not await cache.has_key("a")


@pytest.mark.parametrize("value", [b"", b"1", b"\x00\xff" * 500, b"x" * 1_000_000], ids=["none", "one", "any", "large"])
async def test_set_and_get(cache: Backend, value: bytes) -> None:
    assert await cache.set("a", value, MINUTE)
    assert await cache.get("a") == value
    assert await cache.has_key("a")
    assert await cache.get("A") is None


async def test_set_replaces_value_and_timeout(cache: Backend, clock: Clock) -> None:
    await cache.set("a", b"1", Seconds(10))
    await cache.set("a", b"2", MINUTE)
    clock.turn(11)
    assert await cache.get("a") == b"2"


@pytest.mark.parametrize(
    ("timeout", "after", "is_there"),
    [
        pytest.param(None, 10**10, True, id="never"),
        pytest.param(60, 59.9, True, id="before"),
        pytest.param(60, 60, False, id="at"),
        pytest.param(0.5, 0.4, True, id="fraction-before"),
        pytest.param(0.5, 0.5, False, id="fraction-at"),
        pytest.param(100.2, 100.1, True, id="not-cut-to-seconds"),
        pytest.param(0, 0, False, id="zero"),
        pytest.param(-5, 0, False, id="negative"),
        pytest.param(3_000_000, 2_999_999, True, id="more-than-thirty-days"),
    ],
)
@pytest.mark.parametrize("operation", ["set", "add", "touch", "set_many"])
async def test_timeouts(
    cache: Backend, clock: Clock, operation: str, timeout: Seconds | None, after: float, is_there: bool
) -> None:
    match operation:
        case "set":
            assert await cache.set("a", b"1", timeout)
        case "add":
            assert await cache.add("a", b"1", timeout)
        case "touch":
            await cache.set("a", b"1", MINUTE)
            assert await cache.touch("a", timeout)
        case _:
            assert await cache.set_many({"a": b"1"}, timeout) == []
    clock.turn(after)
    assert await cache.has_key("a") is is_there
    assert await cache.get("a") == (b"1" if is_there else None)
    assert await cache.get_many(["a"]) == ({"a": b"1"} if is_there else {})


@pytest.mark.parametrize("timeout", [Seconds(0), Seconds(-1)])
async def test_set_without_a_future_takes_the_former_value_away(cache: Backend, timeout: Seconds) -> None:
    await cache.set("a", b"1", MINUTE)
    assert await cache.set("a", b"2", timeout)
    assert await cache.get("a") is None


async def test_add_only_where_there_is_none(cache: Backend, clock: Clock) -> None:
    assert await cache.add("a", b"1", MINUTE)
    assert not await cache.add("a", b"2", None)
    assert not await cache.add("a", b"2", Seconds(0))
    assert await cache.get("a") == b"1"
    clock.turn(60)
    assert await cache.add("a", b"3", MINUTE), "what has expired is not there"
    assert await cache.get("a") == b"3"


async def test_touch(cache: Backend, clock: Clock) -> None:
    assert not await cache.touch("a", MINUTE)
    await cache.set("a", b"1", MINUTE)
    clock.turn(59)
    assert await cache.touch("a", MINUTE)
    clock.turn(59)
    assert await cache.get("a") == b"1"
    clock.turn(1)
    assert not await cache.touch("a", MINUTE), "what has expired is not brought back"
    assert await cache.get("a") is None


async def test_delete(cache: Backend, clock: Clock) -> None:
    assert not await cache.delete("a")
    await cache.set("a", b"1", MINUTE)
    assert await cache.delete("a")
    assert await cache.get("a") is None
    assert not await cache.delete("a")
    await cache.set("a", b"1", MINUTE)
    clock.turn(60)
    assert not await cache.delete("a"), "what has expired was not there"


async def test_many(cache: Backend, clock: Clock) -> None:
    assert await cache.set_many({}, MINUTE) == []
    assert await cache.set_many({"a": b"1", "b": b"2", "c": b"3"}, MINUTE) == []
    await cache.set("d", b"4", Seconds(1))
    clock.turn(1)
    assert await cache.get_many(iter(["a", "x", "b", "a", "d"])) == {"a": b"1", "b": b"2"}
    assert await cache.get_many([]) == {}
    await cache.delete_many(iter(["a", "x", "c"]))
    await cache.delete_many([])
    assert await cache.get_many(["a", "b", "c"]) == {"b": b"2"}


async def test_clear(cache: Backend) -> None:
    await cache.clear()
    await cache.set_many({"a": b"1", "b": b"2"}, None)
    await cache.clear()
    assert await cache.get_many(["a", "b"]) == {}
    assert await cache.set("a", b"1", None)


async def test_close(cache: Backend) -> None:
    await cache.close()


async def test_keys_are_any_text(cache: Backend) -> None:
    keys = ["", " ", "a:b", "\u5b57" * 100, "x" * 1000, "é", "\x00"]
    for number, key in enumerate(keys):
        await cache.set(key, b"%d" % number, MINUTE)
    assert await cache.get_many(keys) == {key: b"%d" % number for number, key in enumerate(keys)}


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
    assert await cache.set_many({"a": b"1"}, None) == []
    assert await cache.get_many(["a"]) == {}
    await cache.delete_many(["a"])
    await cache.clear()
    await cache.close()
