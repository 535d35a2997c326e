"""Do programs and pages recover by themselves when a Redis is lost and another one takes its place?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from proxy.cache.aliases import Caches
from proxy.errors import StorageError
from tests.storage.servers import (
    Server,
    add_replica,
    await_that,
    cluster_node,
    redis_cluster,
    redis_sentinel,
    running,
)
from tests.system.storing import get, proxies, until

SOON = ("down-after-milliseconds 300", "failover-timeout 3000")


def opened(location: str) -> Caches:
    caches = Caches()
    caches.configure({"CACHES": {"default": {"BACKEND": "redis", "LOCATION": location}}})
    return caches


@contextmanager
def leader_and_replica() -> Iterator[tuple[Server, Server]]:
    with running("redis-server", listen="tcp") as leader:
        replicating = ["--replicaof", "127.0.0.1", str(leader.port)]
        with running("redis-server", *replicating, listen="tcp") as replica, redis.Redis(port=replica.port) as admin:
            await_that(lambda: admin.info("replication")["master_link_status"] == "up")
            yield leader, replica


def works(caches: Caches) -> bool:
    try:
        caches["default"].set("again", 1)
    except StorageError:
        return False
    return caches["default"].get("again") == 1


def test_a_replica_that_sentinel_promotes_takes_the_place_of_the_leader(tmp_path: Path) -> None:
    with leader_and_replica() as (leader, replica), ExitStack() as stack:
        sentinel = stack.enter_context(redis_sentinel(leader, "pages", *SOON))
        with redis.Redis(port=sentinel.port, decode_responses=True) as asked:
            await_that(lambda: asked.execute_command("SENTINEL", "REPLICAS", "pages"))
            location = f"redis+sentinel://{sentinel.name}/pages"
            caches = opened(location)
            caches["default"].set("k", "kept")
            settings = {"CACHES": {"default": {"BACKEND": "redis", "LOCATION": location}}}
            with proxies(tmp_path) as started, redis.Redis(port=leader.port) as admin:
                _, port = started.start(settings)
                get(port)
                assert get(port)[1].startswith("hit")
                assert admin.wait(1, 10_000) == 1
                leader.kill()
                with pytest.raises(StorageError, match=r"^Redis at pages of the Sentinels"):
                    caches["default"].get("k")
                while asked.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "pages")[1] != str(replica.port):
                    get(port)  # no request fails
                await_that(lambda: works(caches))
                assert caches["default"].get("k") == "kept"
                until(port, "hit", "/again")
            caches.close_all()


async def test_a_node_of_a_cluster_that_is_lost_costs_its_own_keys_until_another_has_its_place() -> None:
    settings = ("--cluster-node-timeout", "500", "--cluster-require-full-coverage", "no")
    with redis_cluster(3, *settings) as servers, cluster_node(*settings) as replica:
        await asyncio.to_thread(add_replica, servers, servers[0], replica)
        caches = opened("redis+cluster://" + ",".join(server.name for server in servers))
        cache = caches["default"]
        values = {f"k{number}": number for number in range(12)}
        assert cache.set_many(values, None) == []
        with redis.Redis(port=servers[0].port) as admin:
            assert admin.wait(1, 10_000) == 1
        servers[0].kill()
        await_that(lambda: found(caches, values) == values)
        assert await cache.aget_many(values) == values
        servers[1].kill()
        await_that(lambda: found(caches, values).keys() < values.keys())
        assert found(caches, values)
        await asyncio.to_thread(servers[1].start)
        await_that(lambda: stored(caches, values))
        assert found(caches, values) == values
        await cache.aclose()
        caches.close_all()


def found(caches: Caches, values: dict[str, int]) -> dict[str, object]:
    """Return the values that can be had, one by one."""
    there = {}
    for key in values:
        try:
            there[key] = caches["default"].get(key)
        except StorageError:
            continue
    return {key: value for key, value in there.items() if value is not None}


def stored(caches: Caches, values: dict[str, int]) -> bool:
    try:
        return caches["default"].set_many(values, None) == []
    except StorageError:
        return False
