"""Does the cache that keeps nothing answer as Django's does, in both forms?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest

from proxy.cache import CacheKeyWarning
from proxy.storage.backends.dummy import DummyCache
from tests.cache.using import FORMS, Using, using
from tests.storage.contract import Kind, Store


@pytest.fixture(params=FORMS)
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Using]:
    store = Store(Kind("dummy", nullcontext), lambda clock: DummyCache())  # type: ignore[arg-type]
    async with using(store, request.param) as opened:
        yield opened


async def test_it_accepts_everything_and_has_nothing(cache: Using) -> None:
    assert await cache.set("k", 1) is None
    assert await cache.get("k", "default") == "default"
    assert await cache.add("k", 1) is True
    assert await cache.add("k", 1) is True
    assert await cache.get_or_set("k", lambda: "made") == "made"
    assert await cache.get_or_set("k", None) is None
    assert await cache.touch("k") is False
    assert await cache.delete("k") is False
    assert await cache.has_key("k") is False
    assert "k" not in cache.cache
    assert await cache.set_many({"k": 1}) == []
    assert await cache.get_many(["k"]) == {}
    assert await cache.delete_many(["k"]) is None
    assert await cache.clear() is None
    assert await cache.close() is None


@pytest.mark.parametrize("operation", ["incr", "decr", "incr_version", "decr_version"])
async def test_there_is_nothing_to_add_to(cache: Using, operation: str) -> None:
    with pytest.raises(ValueError, match="Key 'k' not found"):
        await getattr(cache, operation)("k")


async def test_it_judges_keys_and_values_all_the_same(cache: Using) -> None:
    with pytest.warns(CacheKeyWarning):
        await cache.get("a b")
    with pytest.raises(TypeError, match="cannot be stored"):
        await cache.set("k", object())
    with pytest.raises(TypeError, match="timeout"):
        await cache.set("k", 1, "60")
