"""A directory of files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory

from proxy.storage.backends.filebased import FileBasedCache
from proxy.storage.backends.limits import Limits
from tests.storage.contract import Factory, Kind


def make(location: str, clock) -> FileBasedCache:
    return FileBasedCache(location, clock, Limits(max_entries=None))


@contextmanager
def start() -> Iterator[Factory]:
    with TemporaryDirectory() as directory:
        yield partial(make, directory)


KINDS = [Kind("file", start, turns_clock=True, largest_int=None)]
