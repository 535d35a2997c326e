"""Do the methods behave as Django's users know them, in both forms and on every kind of cache?"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from proxy.cache import DEFAULT_TIMEOUT, Cache
from proxy.cache.loops import Store as Opened
from proxy.cache.settings import of_mapping
from tests.cache.using import FORMS, Using, using
from tests.storage.contract import Clock, Factory, Kind, Store, kinds

pytestmark = pytest.mark.filterwarnings("ignore::proxy.cache.CacheKeyWarning")


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


@pytest.fixture(params=FORMS)
async def cache(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Using]:
    async with using(store, request.param) as opened:
        yield opened


VALUES = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "number": -17,
    "large": 2**200,
    "float": 1.5,
    "text": "héllo",
    "digits": "17",
    "bytes": b"\x00\xff",
    "moment": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "decimal": Decimal("1.10"),
    "uuid": UUID(int=7),
    "nested": {"a": [1, (2, 3)], 4: {5, 6}},
}


async def test_values_come_back(cache: Using) -> None:
    for key, value in VALUES.items():
        assert await cache.set(key, value) is None
        found = await cache.get(key, "default")
        assert found == value
        assert type(found) is type(value)
    assert await cache.get_many(VALUES) == VALUES
    assert await cache.delete_many(VALUES) is None
    assert await cache.set_many(VALUES) == []
    assert await cache.get_many(VALUES) == VALUES


async def test_values_are_copies(cache: Using) -> None:
    value = {"a": [1]}
    await cache.set("k", value)
    value["a"].append(2)
    found = await cache.get("k")
    found["a"].append(3)
    assert await cache.get("k") == {"a": [1]}


async def test_get_of_nothing(cache: Using) -> None:
    assert await cache.get("k") is None
    assert await cache.get("k", "default") == "default"
    assert await cache.get("k", default=1, version=2) == 1
    await cache.set("k", None)
    assert await cache.get("k", "default") is None, "None is a value"
    assert await cache.has_key("k")


async def test_a_type_that_is_not_known_is_refused_and_the_former_value_stays(cache: Using) -> None:
    await cache.set("k", 1)
    for operation in ("set", "add"):
        with pytest.raises(TypeError, match="type object cannot be stored"):
            await getattr(cache, operation)("k", object())
    with pytest.raises(TypeError, match="type object cannot be stored"):
        await cache.set_many({"k": 2, "l": object()})
    assert await cache.get("k") == 1


async def test_add(cache: Using) -> None:
    assert await cache.add("k", 1) is True
    assert await cache.add("k", 2) is False
    assert await cache.get("k") == 1
    assert await cache.add("zero", 1, 0) is True
    assert await cache.get("zero") is None


async def test_get_or_set(cache: Using) -> None:
    calls = []

    def default() -> str:
        calls.append(1)
        return "made"

    assert await cache.get_or_set("k", default) == "made"
    assert await cache.get_or_set("k", default, timeout=100) == "made"
    assert calls == [1]
    assert await cache.get_or_set("v", "plain", version=2) == "plain"
    assert await cache.get("v", version=2) == "plain"
    assert await cache.get("v") is None
    await cache.set("none", None)
    assert await cache.get_or_set("none", default) is None
    assert calls == [1], "a None that was found is a value"
    assert await cache.get_or_set("new-none", None) is None
    assert await cache.has_key("new-none")
    assert await cache.get_or_set("gone", default, 0) == "made"
    assert not await cache.has_key("gone")
    with pytest.raises(TypeError):
        await cache.get_or_set("k")


async def test_get_or_set_gives_way_to_who_was_first(cache: Using) -> None:
    def default() -> str:
        cache.cache.set("k", "theirs")
        return "ours"

    assert await cache.get_or_set("k", default) == "theirs"


async def test_get_or_set_awaits_what_a_callable_gives(store: Store) -> None:
    async def default() -> str:
        await asyncio.sleep(0)
        return "made"

    async with using(store, "async") as cache:
        assert await cache.get_or_set("k", default) == "made"
        assert await cache.get("k") == "made"


async def test_callables_run_in_the_thread_of_the_caller(store: Store) -> None:
    async with using(store, "sync") as cache:
        await cache.get_or_set("k", threading.get_ident)
        assert await cache.get("k") == threading.get_ident()


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
async def test_without_a_future_there_is_nothing(cache: Using, timeout: float) -> None:
    await cache.set("k", 1)
    await cache.set("k", 2, timeout)
    assert await cache.get("k") is None
    await cache.set("k", 1)
    assert await cache.touch("k", timeout) is True
    assert not await cache.has_key("k")
    assert await cache.set_many({"k": 1}, timeout) == []
    assert not await cache.has_key("k")


@pytest.mark.parametrize("timeout", [DEFAULT_TIMEOUT, None, 60, 100.2, 2_592_001, float("inf")])
async def test_with_a_future_there_is(cache: Using, timeout: float | None) -> None:
    await cache.set("k", 1, timeout)
    await cache.add("l", 2, timeout=timeout)
    await cache.set_many({"m": 3}, timeout)
    assert await cache.touch("m", timeout) is True
    assert await cache.get_many("klm") == {"k": 1, "l": 2, "m": 3}


@pytest.mark.parametrize("timeout", ["60", b"1", [], True, 1j, Decimal(1)])
async def test_other_types_of_timeout_are_refused(cache: Using, timeout: object) -> None:
    for call in (cache.set("k", 1, timeout), cache.add("k", 1, timeout), cache.touch("k", timeout)):
        with pytest.raises(TypeError, match="timeout: expected seconds or None, found"):
            await call
    with pytest.raises(TypeError, match="timeout"):
        await cache.set_many({"k": 1}, timeout)
    with pytest.raises(ValueError, match="nan"):
        await cache.set("k", 1, float("nan"))


async def test_the_timeout_of_the_configuration(store: Store) -> None:
    async with using(store, "async", TIMEOUT=store.short()) as cache:
        await cache.set("k", 1)
        await cache.add("l", 1)
        await cache.set_many({"m": 1})
        await cache.set("n", 1, None)
        await cache.touch("n")
        await cache.set("o", 1, 60)
        await cache.set("p", 1, None)
        await store.pass_by(store.short())
        assert await cache.get_many("klmnop") == {"o": 1, "p": 1}
    async with using(store, "async", TIMEOUT=0) as cache:
        await cache.set("k", 1)
        assert await cache.get("k") is None
        await cache.set("k", 1, 60)
        assert await cache.get("k") == 1


async def test_touch_delete_and_has_key(cache: Using) -> None:
    assert await cache.touch("k") is False
    assert await cache.delete("k") is False
    assert await cache.has_key("k") is False
    assert "k" not in cache.cache
    await cache.set("k", None)
    assert await cache.touch("k", 50) is True
    assert await cache.has_key("k") is True
    assert "k" in cache.cache
    assert await cache.delete("k") is True
    assert await cache.delete("k") is False


async def test_many_take_iterators_and_give_back_the_keys_they_were_given(cache: Using) -> None:
    assert await cache.set_many({}) == []
    assert await cache.set_many({1: "a", "b": 2, ("c",): None}) == []
    assert await cache.get_many(iter([1, "b", ("c",), "b", "x"])) == {1: "a", "b": 2, ("c",): None}
    assert await cache.get_many([]) == {}
    assert await cache.get_many(key for key in ()) == {}
    await cache.delete_many(key for key in ())
    await cache.delete_many(iter([1, "x"]))
    assert await cache.get_many([1, "b"]) == {"b": 2}
    assert list(await cache.get_many(["b", ("c",)])) == ["b", ("c",)]


async def test_set_many_returns_the_keys_that_failed(cache: Using) -> None:
    large = "\xff" * 1_000_000
    most = cache.store.kind.largest_value
    failed = [] if most is None or most > 2_000_000 else ["large"]
    assert await cache.set_many({"a": 1, "large": large, "b": 2}) == failed
    assert await cache.get_many(["a", "b"]) == {"a": 1, "b": 2}
    await cache.set("large", large)
    assert await cache.has_key("large") is not bool(failed)


async def test_incr_and_decr(cache: Using) -> None:
    await cache.set("n", 41)
    assert await cache.incr("n") == 42
    assert await cache.get("n") == 42
    assert await cache.incr("n", 10) == 52
    assert await cache.decr("n") == 51
    assert await cache.decr("n", 51) == 0
    assert await cache.incr("n", 0) == 0
    await cache.set("v", 1, version=2)
    assert await cache.incr("v", version=2) == 2
    assert await cache.decr("n", 4) == (0 if cache.store.kind.clamps_at_zero else -4)


@pytest.mark.parametrize("operation", ["incr", "decr", "incr_version", "decr_version"])
async def test_what_is_missing_is_a_value_error(cache: Using, operation: str) -> None:
    with pytest.raises(ValueError, match=r"^Key 'missing' not found$"):
        await getattr(cache, operation)("missing")
    assert not await cache.has_key("missing")


@pytest.mark.parametrize("value", ["1", True, None, 1.5, b"1", [1]])
async def test_only_integers_count(cache: Using, value: object) -> None:
    await cache.set("k", value)
    with pytest.raises(TypeError, match="the value of 'k' is not an integer"):
        await cache.incr("k")
    found = await cache.get("k")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("delta", [1.5, "1", True, None])
async def test_only_integers_are_added(cache: Using, delta: object) -> None:
    await cache.set("k", 1)
    for operation in (cache.incr, cache.decr):
        with pytest.raises(TypeError, match="delta: expected an integer"):
            await operation("k", delta)


async def test_no_room_is_an_overflow_error(cache: Using) -> None:
    await cache.set("k", 2**63)
    with pytest.raises(OverflowError, match="more than 64 bits"):
        await cache.incr("k")
    most = cache.store.kind.largest_int
    await cache.set("l", 2**63 - 1)
    if most is None:
        assert await cache.incr("l", 2**70) == 2**63 - 1 + 2**70
        return
    with pytest.raises(OverflowError):
        await cache.incr("l", most - 2**63 + 2)


async def test_versions(cache: Using) -> None:
    for version in (1, 2, 0, -1, "x"):
        await cache.set("k", f"of {version}", version=version)
    assert await cache.get("k") == "of 1"
    assert [await cache.get("k", version=version) for version in (1, 2, 0, -1, "x")] == [
        f"of {version}" for version in (1, 2, 0, -1, "x")
    ]
    assert await cache.delete("k", version=2) is True
    assert not await cache.has_key("k", version=2)
    assert await cache.add("k", "new", version=2) is True
    assert await cache.touch("k", version=3) is False
    assert await cache.set_many({"a": 1}, version=2) == []
    assert await cache.get_many(["a"]) == {}
    assert await cache.get_many(["a"], version=2) == {"a": 1}
    await cache.delete_many(["a"], version=2)
    assert await cache.get_many(["a"], version=2) == {}


async def test_incr_version(cache: Using) -> None:
    await cache.set("k", "v")
    assert await cache.incr_version("k") == 2
    assert await cache.get("k") is None
    assert await cache.get("k", version=2) == "v"
    assert await cache.incr_version("k", version=2) == 3
    assert await cache.decr_version("k", version=3) == 2
    assert await cache.incr_version("k", 5, version=2) == 7
    assert await cache.decr_version("k", delta=6, version=7) == 1
    assert await cache.get("k") == "v"
    await cache.set("n", 5)
    await cache.incr_version("n")
    assert await cache.incr("n", version=2) == 6


async def test_incr_version_keeps_the_timeout(cache: Using) -> None:
    async with asyncio.timeout(20):
        moved = False
        while not moved:
            await cache.set("k", 1, cache.store.short())
            # A busy machine may have used the timeout up: then there is nothing to move, and nothing is shown.
            with contextlib.suppress(ValueError):
                moved = await cache.incr_version("k") == 2
    await cache.set("l", 1, None)
    await cache.incr_version("l")
    await cache.store.pass_by(cache.store.short())
    assert await cache.get("k", version=2) == (None if cache.store.kind.moves_timeout else 1)
    assert await cache.get("l", version=2) == 1


async def test_prefix_and_version_of_the_configuration(store: Store) -> None:
    async with (
        using(store, "sync") as plain,
        using(store, "sync", KEY_PREFIX="p") as other,
        using(store, "sync", VERSION=2) as second,
    ):
        await plain.set("k", "plain")
        assert await other.get("k") is None
        assert await second.get("k") is None
        await other.set("k", "other")
        await second.set("k", "second")
        assert await plain.get("k") == "plain"
        assert await plain.get("k", version=2) == "second"
        assert await second.get("k", version=1) == "plain"
        assert await second.incr_version("k") == 3
        raw = store.backend()
        assert await raw.has_key(":1:k")
        assert await raw.has_key("p:1:k")
        assert await raw.has_key(":3:k")
        await raw.close()


def upside_down(key: object, key_prefix: str, version: object) -> str:
    return f"{key}-{version}-{key_prefix}"


@pytest.mark.parametrize("function", [upside_down, "tests.cache.test_methods.upside_down"], ids=["callable", "path"])
async def test_key_function(store: Store, function: object) -> None:
    async with using(store, "async", KEY_FUNCTION=function, KEY_PREFIX="p") as cache:
        await cache.set("k", 1)
        raw = store.backend()
        assert await raw.get("k-1-p") == 1
        await raw.close()
        assert await cache.get_many(["k"]) == {"k": 1}


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\x80\x04\x95", b"\xc1\x01" + b"\x00" * 12])
async def test_what_cannot_be_read_is_a_miss_and_is_replaced(cache: Using, garbage: bytes) -> None:
    raw = cache.store.backend()
    await raw.set(":1:k", garbage, None)
    await raw.close()
    assert await cache.get("k", "default") == "default"
    assert await cache.get_many(["k"]) == {}
    assert await cache.get_or_set("k", "made") == "made"
    assert await cache.get("k") == "made"


async def test_pickles_where_they_are_named(store: Store) -> None:
    async with using(store, "async", SERIALIZER="pickle") as cache:
        await cache.set("k", {1j: Decimal})
        assert await cache.get("k") == {1j: Decimal}
        await cache.incr_version("k")
        assert await cache.get_many(["k"], version=2) == {"k": {1j: Decimal}}
        await cache.set("n", 1)
        assert await cache.incr("n") == 2


async def test_clear(cache: Using) -> None:
    await cache.set("k", 1)
    await cache.set("k", 2, version=2)
    assert await cache.clear() is None
    assert await cache.get("k") is None
    assert await cache.get("k", version=2) is None


async def test_clear_takes_what_is_the_aliass_own(store: Store) -> None:
    settings = {
        "mine": {"KEY_PREFIX": "a"},
        "same": {"KEY_PREFIX": "a", "VERSION": 7},
        "longer": {"KEY_PREFIX": "a:b"},
        "numbered": {"KEY_PREFIX": "a:5"},
        "alike": {"KEY_PREFIX": "ab"},
        "star": {"KEY_PREFIX": "*"},
        "none": {},
    }
    read = of_mapping({alias: {"BACKEND": "locmem", **entry} for alias, entry in settings.items()})
    for form in FORMS:
        opened = {alias: Using(Cache(one, Opened(store.backend)), form, store) for alias, one in read.items()}
        for alias, cache in opened.items():
            await cache.set("k", alias)
            await cache.set("a:5:k", alias, version=-3)
            if store.kind.any_key:
                await cache.set("long" * 100, alias)
        await opened["mine"].set("k", "of another version", version=12)
        await opened["mine"].clear()
        kept = settings.keys() - {"mine", "same"} if store.kind.tells_owners else set()
        assert {alias for alias, cache in opened.items() if await cache.has_key("k")} == kept
        assert {alias for alias, cache in opened.items() if await cache.has_key("a:5:k", version=-3)} == kept
        assert not await opened["mine"].has_key("k", version=12)
        if store.kind.any_key:
            assert {alias for alias, cache in opened.items() if await cache.has_key("long" * 100)} == kept
        await opened["none"].clear()
        assert {alias for alias, cache in opened.items() if await cache.has_key("k")} == kept - {"none"}
        for cache in opened.values():
            await cache.clear()
            cache.cache.close()
            await cache.cache.aclose()


async def test_after_close_it_goes_on(cache: Using) -> None:
    await cache.set("k", 1)
    assert await cache.close() is None
    assert await cache.get("k") == 1


def held() -> tuple[int, set[str]]:
    """Return how many sockets and files of the store this process has open, and the names of its threads."""
    gc.collect()
    links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if is_open(name)]
    threads = {thread.name for thread in threading.enumerate() if thread.name != "sitecache"}
    return sum(link.startswith(("socket:", "/tmp")) for link in links), {name.partition("_")[0] for name in threads}


def is_open(name: str) -> bool:
    """Tell whether it still is: the list itself was one that is not."""
    return os.path.lexists(f"/proc/self/fd/{name}")


@pytest.mark.parametrize("form", FORMS)
async def test_close_gives_everything_back(store: Store, form: str) -> None:
    async def use() -> None:
        async with using(store, form) as cache:
            await cache.set("k", 1)
            assert await cache.incr("k") == 2
            assert await cache.get_many(["k"]) == {"k": 2}

    await use()  # the loop in the background stays
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        before = held()
        for _ in range(3):
            await use()
        async with asyncio.timeout(20):
            while held() != before:  # noqa: ASYNC110  # the other end takes part in it, and nobody tells
                await asyncio.sleep(0.02)


async def test_both_forms_see_one_store(store: Store) -> None:
    async with using(store, "sync") as cache:
        cache.cache.set("k", 1)
        assert await cache.cache.aget("k") == 1
        assert await cache.cache.aincr("k") == 2
        assert cache.cache.get("k") == 2


async def test_threads_count_to_four_hundred(store: Store) -> None:
    async with using(store, "sync") as cache:
        cache.cache.set("n", 0)
        raised: list[Exception] = []

        def work() -> None:
            try:
                for _ in range(50):
                    cache.cache.incr("n")
            except Exception as error:  # noqa: BLE001  # of a thread: shown by the test
                raised.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert raised == []
        assert cache.cache.get("n") == 400


async def test_tasks_count_to_four_hundred(store: Store) -> None:
    async with using(store, "async") as cache:
        await cache.set("n", 0)

        async def work() -> None:
            for _ in range(50):
                await cache.incr("n")

        await asyncio.gather(*(work() for _ in range(8)))
        assert await cache.get("n") == 400
