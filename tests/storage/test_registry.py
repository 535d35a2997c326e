"""Which cache does BACKEND name, and what is said when it names none?"""

from __future__ import annotations

import pytest

from proxy.errors import StorageError
from proxy.storage.backends.base import InvalidCacheBackendError
from proxy.storage.backends.dummy import DummyCache
from proxy.storage.backends.locmem import LocMemCache
from proxy.storage.custom import Custom
from proxy.storage.registry import Opening, builder
from tests.storage.own_caches import PlainCache

OWN = "tests.storage.own_caches"


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("locmem", LocMemCache),
        ("django.core.cache.backends.locmem.LocMemCache", LocMemCache),
        ("proxy.storage.backends.locmem.LocMemCache", LocMemCache),
        (LocMemCache, LocMemCache),
        ("dummy", DummyCache),
        ("django.core.cache.backends.dummy.DummyCache", DummyCache),
        (f"{OWN}.PlainCache", Custom),
        (PlainCache, Custom),
    ],
)
def test_names(name: str | type, cls: type) -> None:
    assert type(builder(Opening("default", name))()) is cls


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        pytest.param(
            "", {}, "CACHES.x.BACKEND: Could not find backend '': expected a dotted path or one of", id="none"
        ),
        pytest.param("radis", {}, "CACHES.x.BACKEND: Could not find backend 'radis': expected a", id="no-path"),
        pytest.param("no.such.Cache", {}, "Could not find backend 'no.such.Cache': No module named 'no'", id="module"),
        pytest.param(f"{OWN}.Nope", {}, f"Could not find backend '{OWN}.Nope': module .* has no attribute", id="class"),
        pytest.param(f"{OWN}.STORES", {}, "STORES of tests.storage.own_caches is not a class", id="no-class"),
        pytest.param(f"{OWN}.NoSet", {}, "CACHES.x.BACKEND: NoSet lacks set, delete, clear", id="no-cache"),
        pytest.param("builtins.int", {}, "CACHES.x.BACKEND: ", id="not-for-two-arguments"),
        pytest.param("..x", {}, "Could not find backend '..x'", id="relative"),
        pytest.param(
            "locmem",
            {"MAX_ENTRIES": "many"},
            "CACHES.x.OPTIONS.MAX_ENTRIES: expected a whole number of at least 1, found 'many'",
            id="option",
        ),
        pytest.param("locmem", {"MAX_ENTRIES": 0}, "MAX_ENTRIES: expected a whole number of at least 1", id="zero"),
        pytest.param("locmem", {"CULL_FREQUENCY": None}, "CULL_FREQUENCY: expected a whole number of", id="null"),
        pytest.param(
            "locmem", {"MAX_BYTES": True}, "MAX_BYTES: expected a whole number of at least 1, found T", id="bool"
        ),
        pytest.param(
            "locmem",
            {"max": 1},
            "CACHES.x.OPTIONS.max: expected one of MAX_ENTRIES, CULL_FREQUENCY, MAX_BYTES, found an unknown option",
            id="unknown-option",
        ),
    ],
)
def test_what_names_no_cache(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidCacheBackendError, match=said):
        builder(Opening("x", name, "", options))()


async def test_a_location_names_one_cache_of_the_process() -> None:
    one, same = (builder(Opening(alias, "locmem", "snow"))() for alias in ("a", "b"))
    other = builder(Opening("a", "locmem", "flake"))()
    await one.set("k", b"1", None)
    assert await same.get("k") == b"1"
    assert await other.get("k") is None
    await one.clear()


async def test_an_own_class_gets_its_location_and_its_entry() -> None:
    opening = Opening("own", f"{OWN}.PlainCache", "here", {"A": 1}, {"TIMEOUT": 5, "OPTIONS": {"A": 1}})
    cache = builder(opening)()
    assert isinstance(cache, Custom)
    assert cache._inner.params == {"TIMEOUT": 5, "OPTIONS": {"A": 1}}  # type: ignore[attr-defined]
    await cache.close()


async def test_a_fault_of_an_own_class_is_a_storage_error_without_its_text() -> None:
    cache = builder(Opening("own", f"{OWN}.BrokenCache"))()
    with pytest.raises(StorageError, match=r"BrokenCache\.get\(\) failed: ConnectionResetError$"):
        await cache.get("a")
    await cache.close()


async def test_what_an_own_class_cannot_do_is_said() -> None:
    class Least(PlainCache):
        incr = rename = None  # type: ignore[assignment]

    cache = builder(Opening("own", Least))()
    await cache.set("a", 1, None)
    with pytest.raises(NotImplementedError, match=r"Least has no incr\(\)"):
        await cache.incr("a", 1)
    with pytest.raises(NotImplementedError, match=r"Least has no rename\(\)"):
        await cache.rename("a", "b")
    await cache.clear()
    await cache.close()
