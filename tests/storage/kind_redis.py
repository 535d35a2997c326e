"""A Redis server, and a Redis Cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from proxy.storage.backends.redis import RedisCache
from tests.storage.contract import Factory, Kind
from tests.storage.servers import redis_cluster, running


def make(location: str, clock) -> RedisCache:
    # Each test begins with an empty store; what an alias clears is held by tests that say whose.
    return Cleared.build(location, {})


class Cleared(RedisCache):
    """Forgets all where nobody says whose values are to go."""

    async def clear(self, owner=None):
        self._clear_all = owner is None
        await super().clear(owner)


@contextmanager
def start() -> Iterator[Factory]:
    with running("redis-server") as server:
        yield partial(make, f"unix://{server.name}")


@contextmanager
def start_cluster() -> Iterator[Factory]:
    with redis_cluster() as servers:
        yield partial(make, "redis+cluster://" + ",".join(server.name for server in servers))


KINDS = [Kind("redis", start), Kind("redis-cluster", start_cluster)]
