"""What does a program see when the server of its cache goes away, and when it comes back?"""

from __future__ import annotations

import pytest

from proxy.cache.aliases import Caches
from proxy.errors import StorageError
from tests.storage.servers import running


async def test_a_redis_that_is_away_is_a_storage_error_until_it_is_back() -> None:
    found = Caches()
    with running("redis-server", listen="tcp") as server:
        found.configure({"CACHES": {"default": {"BACKEND": "redis", "LOCATION": f"redis://{server.name}"}}})
        cache = found["default"]
        cache.set("k", 1)
        assert await cache.aget("k") == 1
        server.kill()
        with pytest.raises(StorageError):
            cache.get("k")
        with pytest.raises(StorageError):
            await cache.aget("k")
        server.start()
        cache.set("k", 2)
        assert await cache.aget("k") == 2
        await cache.aclose()
        found.close_all()


async def test_a_memcached_that_is_away_costs_misses() -> None:
    found = Caches()
    with running("memcached", listen="tcp") as server:
        found.configure({"CACHES": {"default": {"BACKEND": "pymemcache", "LOCATION": server.name}}})
        cache = found["default"]
        cache.set("k", 1)
        assert cache.get("k") == 1
        server.kill()
        assert cache.get("k", "default") == "default"
        assert await cache.aget_many(["k"]) == {}
        assert cache.get_or_set("k", "made") == "made"
        assert cache.set_many({"a": 1}) == ["a"]
        await cache.aclose()
        found.close_all()


def test_a_wrong_password_is_one_line_without_the_password() -> None:
    found = Caches()
    with running("redis-server", "--requirepass", "right", listen="tcp") as server:
        found.configure({"CACHES": {"default": {"BACKEND": "redis", "LOCATION": f"redis://:wrong-one@{server.name}"}}})
        with pytest.raises(StorageError) as caught:
            found["default"].get("k")
        assert "wrong-one" not in str(caught.value)
        assert "\n" not in str(caught.value)
        found.close_all()
