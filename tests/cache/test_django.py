"""Do a Django application and a program of ours read what the other one wrote, on one server?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.memcached import PyLibMCCache, PyMemcacheCache
from django.core.cache.backends.redis import RedisCache

from proxy.cache import Cache
from proxy.cache.aliases import Caches
from tests.storage.servers import running

pytestmark = pytest.mark.filterwarnings("ignore:SERIALIZER:RuntimeWarning")

KINDS: dict[str, Any] = {
    "redis": (RedisCache, "redis-server", "redis://{}", "redis"),
    "memcached": (PyMemcacheCache, "memcached", "{}", "pymemcache"),
    "pylibmc": (PyLibMCCache, "memcached", "{}", "pylibmc"),
    "pymemcache-of-ours": (PyLibMCCache, "memcached", "{}", "pymemcache"),
    "pylibmc-of-ours": (PyMemcacheCache, "memcached", "{}", "pylibmc"),
}


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[BaseCache, dict[str, object]]]:
    django, program, url, backend = KINDS[request.param]
    with running(program, listen="tcp") as server:
        location = url.format(server.name)
        theirs = django(location, {"KEY_PREFIX": "site", "VERSION": 2})
        yield theirs, {"BACKEND": backend, "LOCATION": location, "KEY_PREFIX": "site", "VERSION": 2}
        theirs.close()


def ours(entry: dict[str, object], **more: object) -> tuple[Caches, Cache]:
    caches = Caches()
    caches.configure({"CACHES": {"default": {**entry, **more}}})
    return caches, caches["default"]


def test_numbers_are_shared(both: tuple[BaseCache, dict[str, object]]) -> None:
    theirs, entry = both
    caches, cache = ours(entry)
    cache.set("n", 41)
    assert theirs.get("n") == 41
    assert theirs.incr("n") == 42
    assert cache.get("n") == 42
    assert cache.incr("n", 8) == 50
    theirs.set("m", 1)
    assert cache.incr("m") == 2
    assert theirs.get("m") == 2
    caches.close_all()


PICKLED = [None, 1.5, [1, (2,)], {"a": {3}}, Decimal("1.1"), 2**70]
TEXT = ["text", "17", "h\u00e9llo", ""]
BYTES = [b"bytes", b"17", b""]
"""What Django pickles for Redis; the clients of memcached keep it as it is, and cannot tell it from other things."""


@pytest.mark.parametrize("value", [*PICKLED, *TEXT, *BYTES, True], ids=repr)
def test_pickles_are_shared_where_they_are_named(both: tuple[BaseCache, dict[str, object]], value: object) -> None:
    theirs, entry = both
    caches, cache = ours(entry, SERIALIZER="pickle")
    theirs.set("theirs", value)
    cache.set("ours", value)
    assert cache.get("ours", "missing") == value
    assert theirs.get("ours", "missing") == value
    if value is True and isinstance(theirs, PyLibMCCache):
        assert cache.get("theirs") == theirs.get("theirs") == 1, "pylibmc itself makes a number of True"
    elif value not in BYTES or isinstance(theirs, RedisCache):
        assert cache.get("theirs", "missing") == value
        assert type(cache.get("theirs")) is type(value)
    else:
        assert cache.get("theirs", "missing") == "missing"
    caches.close_all()


def test_many_pickles_are_shared(both: tuple[BaseCache, dict[str, object]]) -> None:
    theirs, entry = both
    caches, cache = ours(entry, SERIALIZER="pickle")
    values = {"a": [1], "b": "text", "c": 3}
    theirs.set_many(values)
    assert cache.get_many(values) == values
    cache.set_many({key: [value] for key, value in values.items()})
    assert theirs.get_many(values) == {key: [value] for key, value in values.items()}
    assert cache.incr_version("a") == 3
    assert theirs.get("a", version=3) == [[1]]
    caches.close_all()


def test_a_pickle_is_a_miss_where_it_is_not_named(both: tuple[BaseCache, dict[str, object]]) -> None:
    theirs, entry = both
    caches, cache = ours(entry)
    theirs.set("k", ["text"])
    assert cache.get("k", "default") == "default"
    assert cache.get_or_set("k", "ours") == "ours"
    caches.close_all()
