"""How is the table of a database cache made? With Django's columns, index and messages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from proxy.config.model import CacheConfig, Config, plain_options
from proxy.errors import StorageError
from proxy.storage.databases import Databases, read_databases
from proxy.storage.registry import backend_class

#: What SQLAlchemy puts before the text of asyncpg.
_CLASS = re.compile(r"^<class '[^']*'>: ")

#: The types of the three columns. Without a word of it, MySQL takes ``KEY`` and ``key`` to be the same.
_TYPES = {
    "sqlite": ("varchar(255)", "text", "datetime"),
    "postgresql": ("varchar(255)", "text", "timestamp with time zone"),
    "mysql": ("varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "longtext", "datetime(6)"),
}
#: MySQL's longest name of an index, which only has to be the table's own there.
_INDEX_NAME = 64


def statements(table: str, dialect: str) -> tuple[str, str]:
    """Return the SQL that makes the table, and the SQL that makes its index."""
    mark = "`" if dialect == "mysql" else '"'

    def quoted(name: str) -> str:
        return mark + name.replace(mark, mark * 2) + mark

    key, value, moment = _TYPES[dialect]
    columns = (
        f"{quoted('cache_key')} {key} NOT NULL PRIMARY KEY",
        f"{quoted('value')} {value} NOT NULL",
        f"{quoted('expires')} {moment} NOT NULL",
    )
    inner = ",\n".join(f"    {column}" for column in columns)
    name = f"{table}_expires"[: _INDEX_NAME if dialect == "mysql" else None]
    index = f"CREATE INDEX {quoted(name)} ON {quoted(table)} ({quoted('expires')});"
    return f"CREATE TABLE {quoted(table)} (\n{inner}\n);", index


async def create_cache_table(databases: Databases, alias: str, table: str, *, dry_run: bool = False) -> str:
    """Make the table in that database; return what is to be shown, or nothing where the router forbids it.

    With ``dry_run`` that is the SQL, and nothing is made. Raises ValueError for an unknown alias, and StorageError when
    the database refuses.
    """
    url = databases.url(alias)
    if not databases.may_make(alias, table):
        return ""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            if await connection.run_sync(lambda plain: inspect(plain).has_table(table)):
                return f"Cache table '{table}' already exists."
            sql = statements(table, engine.dialect.name)
            if dry_run:
                return "\n".join(sql)
            for statement in sql:
                # A per cent sign in a name is no place for a value.
                await connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    except (SQLAlchemyError, OSError) as error:
        raise StorageError(f"Cache table '{table}' could not be created.\nThe error was: {told(error)}.") from error
    finally:
        await engine.dispose()
    return f"Cache table '{table}' created."


def create_cache_tables(config: Config, names: Sequence[str], alias: str, *, dry_run: bool) -> Iterator[str]:
    """Make the table of each database cache; with names, make only these tables. For whoever has no event loop.

    A cache that has DATABASES among its OPTIONS gets its table there, if that alias is one of them. Gives what is to be
    shown. Raises as create_cache_table does, and ValueError when DATABASES or ROUTER is wrong.
    """
    places = list(_places(config, names))
    own = [place for place in places if alias in place.databases]
    for table, databases in dict.fromkeys(own or places[:1]):
        if text := asyncio.run(create_cache_table(databases, alias, table, dry_run=dry_run)):
            yield text


class _Place(NamedTuple):
    table: str
    databases: Databases


def _places(config: Config, names: Sequence[str]) -> Iterator[_Place]:
    """Give each table with the databases in which it may lie; what is equal is one object."""
    own: dict[str, _Place] = {}
    shared: list[Databases] = []

    def of_all() -> Databases:
        if not shared:
            shared.append(read_databases(config.DATABASES, config.ROUTER))
        return shared[0]

    for alias, cache in config.CACHES.items():
        if not _is_kept_in_a_database(alias, cache):
            continue
        options, table = plain_options(cache), str(cache.LOCATION)
        databases = options.get("DATABASES")
        router = options.get("ROUTER", config.ROUTER)
        apart = databases is not None or "ROUTER" in options
        own[alias] = _Place(table, read_databases(databases or config.DATABASES, router) if apart else of_all())
    wanted = names or [place.table for place in own.values()]
    for table in wanted:
        yield next((place for place in own.values() if place.table == table), None) or _Place(table, of_all())


def _is_kept_in_a_database(alias: str, cache: CacheConfig) -> bool:
    """Tell whether it is our backend, or a class that is derived from it."""
    cls = backend_class(alias, cache.BACKEND)
    return any(base.__module__ == "proxy.storage.backends.db" for base in cls.__mro__)


def told(error: BaseException) -> str:
    """Return the one line of an error that says why; SQLAlchemy's own text has the statement and its values in it."""
    cause = getattr(error, "orig", None) or error
    # aiomysql's have a number and a text.
    said = cause.args[1] if len(cause.args) == 2 and isinstance(cause.args[1], str) else str(cause)
    line = (said.strip().splitlines() or [type(cause).__name__])[0]
    return _CLASS.sub("", line).removesuffix(".")
