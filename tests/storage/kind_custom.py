"""Caches that an operator wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proxy.config.units import UnixTime
from proxy.storage.backends.base import Backend
from proxy.storage.registry import Opening, builder
from tests.storage.contract import Factory, Kind


@contextmanager
def _start(name: str) -> Iterator[Factory]:
    def make(clock: Callable[[], UnixTime]) -> Backend:
        del clock
        return builder(Opening("own", f"tests.storage.own_caches.{name}", f"location-of-{name}"))()

    yield make


def _kind(name: str, cls: str) -> Kind:
    of_their_own = {"tells_owners": False, "processes": False, "atomic_in_threads": False}
    return Kind(name, lambda: _start(cls), largest_int=None, **of_their_own)


KINDS = [_kind("custom-async", "AsyncCache"), _kind("custom-plain", "PlainCache")]
