"""A table of SQLite, one of PostgreSQL, and one of MariaDB."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory

from proxy.storage.backends.db import DatabaseCache
from proxy.storage.backends.limits import Limits
from proxy.storage.createcachetable import create_cache_table
from proxy.storage.databases import read_databases
from tests.storage import mariadb
from tests.storage.contract import Factory, Kind
from tests.storage.postgresql import address, postgresql

TABLE = 'a "cache" table'


def make(url: str, clock) -> DatabaseCache:
    return DatabaseCache(TABLE, read_databases({"default": url}, None), clock, Limits(max_entries=None))


def with_table(url: str) -> Factory:
    asyncio.run(create_cache_table(read_databases({"default": url}, None), "default", TABLE))
    return partial(make, url)


@contextmanager
def start_sqlite() -> Iterator[Factory]:
    with TemporaryDirectory() as directory:
        yield with_table(f"sqlite:///{directory}/cache.sqlite3")


@contextmanager
def start_postgresql() -> Iterator[Factory]:
    with postgresql() as server:
        yield with_table(address(server))


@contextmanager
def start_mysql() -> Iterator[Factory]:
    with mariadb.mariadb() as server:
        yield with_table(mariadb.address(server))


KINDS = [
    Kind("db-sqlite", start_sqlite, turns_clock=True, largest_int=None),
    Kind("db-postgresql", start_postgresql, turns_clock=True, largest_int=None),
    Kind("db-mysql", start_mysql, turns_clock=True, largest_int=None),
]
