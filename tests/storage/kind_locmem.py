"""Process memory, and the compound operations of the contract's base on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proxy.config.units import UnixTime
from proxy.storage.backends.base import Backend
from proxy.storage.backends.locmem import LocMemCache
from tests.storage.contract import Factory, Kind


class Composed(LocMemCache):
    """A backend that does no better than the base."""

    has_key = Backend.has_key


@contextmanager
def _start(kind: type[LocMemCache]) -> Iterator[Factory]:
    """Give every caller the one cache, whose clock is that of the last."""
    clocks: list[Callable[[], UnixTime]] = []

    def now() -> UnixTime:
        return clocks[-1]()

    cache = kind(now, max_entries=None)

    def make(clock: Callable[[], UnixTime]) -> LocMemCache:
        clocks.append(clock)
        return cache

    yield make


KINDS = [
    Kind("locmem", lambda: _start(LocMemCache), turns_clock=True, largest_int=None, processes=False),
    Kind("base", lambda: _start(Composed), turns_clock=True, largest_int=None, processes=False),
]
