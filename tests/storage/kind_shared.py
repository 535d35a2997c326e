"""Memory that processes share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory

from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared import SharedMemoryCache
from tests.storage.contract import Factory, Kind


def make(location: str, clock) -> SharedMemoryCache:
    return SharedMemoryCache(location, clock, Limits(max_entries=None, max_bytes=64 * 2**20))


@contextmanager
def start() -> Iterator[Factory]:
    with TemporaryDirectory(dir="/dev/shm") as directory:
        yield partial(make, directory)


KINDS = [Kind("shared", start, turns_clock=True, largest_int=None)]
