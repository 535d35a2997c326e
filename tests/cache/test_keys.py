"""Which keys are warned of, which are refused, and in which words?"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest

from proxy.cache import CacheKeyWarning, InvalidCacheKey
from proxy.cache.aliases import Caches
from proxy.errors import ConfigError
from proxy.storage.backends.locmem import LocMemCache
from tests.cache.using import FORMS, Using, using
from tests.storage.contract import Clock, Kind, Store


class Strict(LocMemCache):
    """Takes the keys that memcached takes."""

    strict_keys = True


def store(cls: type[LocMemCache]) -> Store:
    backend = cls(lambda: 1000.0, max_entries=None)
    return Store(Kind("own", nullcontext), lambda clock: backend, Clock())  # type: ignore[arg-type]


@pytest.fixture(params=FORMS)
async def lenient(request: pytest.FixtureRequest) -> AsyncIterator[Using]:
    async with using(store(LocMemCache), request.param) as cache:
        yield cache


@pytest.fixture(params=FORMS)
async def strict(request: pytest.FixtureRequest) -> AsyncIterator[Using]:
    async with using(store(Strict), request.param) as cache:
        yield cache


TOO_LONG = "x" * 248
"""Four characters of prefix and version come before it: 251."""
OPERATIONS = {
    "get": (),
    "set": (1,),
    "add": (1,),
    "touch": (),
    "delete": (),
    "has_key": (),
    "get_or_set": (1,),
    "incr": (),
    "decr": (),
    "incr_version": (),
    "decr_version": (),
}


async def call(cache: Using, operation: str, key: str) -> None:
    try:
        match operation:
            case "get_many" | "delete_many":
                await getattr(cache, operation)([key])
            case "set_many":
                await cache.set_many({key: 1})
            case _:
                await getattr(cache, operation)(key, *OPERATIONS[operation])
    except ValueError as error:
        if isinstance(error, InvalidCacheKey):
            raise


ALL = [*OPERATIONS, "get_many", "set_many", "delete_many"]
LONG = f"Cache key will cause errors if used with memcached: ':1:{TOO_LONG}' (longer than 250)"
BLANK = "Cache key contains characters that will cause errors if used with memcached: ':1:a b'"


@pytest.mark.parametrize("operation", ALL)
@pytest.mark.parametrize(("key", "text"), [(TOO_LONG, LONG), ("a b", BLANK)], ids=["long", "blank"])
async def test_it_is_warned_in_each_operation(lenient: Using, operation: str, key: str, text: str) -> None:
    with pytest.warns(CacheKeyWarning) as caught:
        await call(lenient, operation, key)
    texts = [str(warning.message) for warning in caught]
    expected = text if operation not in {"incr_version", "decr_version"} else texts[0]
    assert texts[0] == text
    assert set(texts) <= {text, expected, text.replace("':1:", "':2:"), text.replace("':1:", "':0:")}


@pytest.mark.parametrize("operation", ALL)
@pytest.mark.parametrize(("key", "text"), [(TOO_LONG, LONG), ("a b", BLANK)], ids=["long", "blank"])
async def test_it_is_refused_where_the_store_is_a_memcached(strict: Using, operation: str, key: str, text: str) -> None:
    with pytest.raises(InvalidCacheKey) as caught:
        await call(strict, operation, key)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 247, id="just-long-enough"),
        pytest.param("\u00a0\u2003é", id="other-blanks"),
        pytest.param("\u5b57" * 100, id="characters-are-counted"),
        pytest.param("a:b/c?d=%20", id="punctuation"),
        pytest.param(17, id="number"),
    ],
)
async def test_good_keys_pass(lenient: Using, key: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await lenient.set(key, 1)
        assert await lenient.get_many([key]) == {key: 1}


@pytest.mark.parametrize("character", [chr(number) for number in range(33)] + ["\x7f"])
async def test_control_characters_and_blanks(lenient: Using, character: str) -> None:
    with pytest.warns(CacheKeyWarning, match="contains characters"):
        await lenient.get(f"a{character}b")


async def test_both_objections_are_told_each_once(lenient: Using) -> None:
    with pytest.warns(CacheKeyWarning) as caught:
        await lenient.get("a b c" * 60)
    assert [str(warning.message).partition(":")[0].split()[2] for warning in caught] == ["will", "contains"]


async def test_a_warning_names_the_line_of_the_caller() -> None:
    async with using(store(LocMemCache), "sync") as opened:
        cache = opened.cache
        with pytest.warns(CacheKeyWarning) as caught:
            assert [cache.get("a b"), cache.get_many(["a b"]), cache.get_or_set("a b", 1)] == [None, {}, 1]
    assert {warning.filename for warning in caught} == {__file__}


async def test_bytes_are_counted_where_the_store_is_a_memcached(strict: Using) -> None:
    with pytest.raises(InvalidCacheKey, match="longer than 250"):
        await strict.set("\u5b57" * 100, 1)


async def test_a_value_goes_on_under_a_key_that_was_warned_of(lenient: Using) -> None:
    with pytest.warns(CacheKeyWarning):
        await lenient.set("a b", 1)
    with pytest.warns(CacheKeyWarning):
        assert await lenient.get("a b") == 1


async def test_a_key_function_returns_text() -> None:
    async with using(store(LocMemCache), "sync", KEY_FUNCTION=lambda key, prefix, version: 1) as cache:
        with pytest.raises(TypeError, match="a key function returns a str, this one returned int"):
            await cache.get("k")


@pytest.mark.filterwarnings("error::RuntimeWarning")
async def test_warnings_can_be_silenced_by_the_configuration() -> None:
    found = Caches()
    found.configure({"key_warnings": "ignore", "CACHES": {"default": {"BACKEND": "locmem", "LOCATION": "silent"}}})
    found["default"].set("a b", 1)
    assert await found["default"].aget_many(["a b", "x" * 300]) == {"a b": 1}
    found["default"].clear()
    with pytest.raises(ConfigError, match="key_warnings: expected warn or ignore, found 'silence'"):
        found.configure({"key_warnings": "silence"})
    assert found["default"].get("a b") is None, "and all stays as it was"


async def test_warnings_can_be_silenced_by_pythons_filters() -> None:
    async with using(store(LocMemCache), "sync") as cache:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore", CacheKeyWarning)
            await cache.set("a b", 1)
    assert caught == []


async def test_memcached_refuses_even_where_warnings_are_silenced() -> None:
    found = Caches()
    found.configure({"key_warnings": "ignore", "CACHES": {"default": {"BACKEND": "pymemcache", "LOCATION": "h"}}})
    with pytest.raises(InvalidCacheKey):
        found["default"].get("a b")
