"""A memcached server that is asked through pylibmc."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from proxy.storage.backends.memcached import PyLibMCCache
from tests.storage.contract import Factory, Kind
from tests.storage.servers import running


def make(location: str, clock) -> PyLibMCCache:
    return PyLibMCCache.build(location, {})


@contextmanager
def start() -> Iterator[Factory]:
    with running("memcached") as server:
        yield partial(make, f"unix:{server.name}")


KINDS = [
    Kind(
        "pylibmc",
        start,
        whole_seconds=True,
        clamps_at_zero=True,
        largest_int=2**64 - 1,
        largest_value=2**20 - 1000,
        any_key=False,
        tells_owners=False,
        moves_timeout=False,
    )
]
