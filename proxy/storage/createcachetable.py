"""How is the table of a database cache made? With Django's columns, index and messages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from proxy.config.model import Config
from proxy.errors import StorageError
from proxy.storage.databases import Databases, read_databases

#: What SQLAlchemy puts before the text of asyncpg.
_CLASS = re.compile(r"^<class '[^']*'>: ")

_MOMENTS = {"sqlite": "datetime", "postgresql": "timestamp with time zone"}


def statements(table: str, dialect: str) -> tuple[str, str]:
    """Return the SQL that makes the table, and the SQL that makes its index."""
    columns = (
        '"cache_key" varchar(255) NOT NULL PRIMARY KEY',
        '"value" text NOT NULL',
        f'"expires" {_MOMENTS[dialect]} NOT NULL',
    )
    inner = ",\n".join(f"    {column}" for column in columns)
    index = f'CREATE INDEX {_quoted(table + "_expires")} ON {_quoted(table)} ("expires");'
    return f"CREATE TABLE {_quoted(table)} (\n{inner}\n);", index


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
                await connection.exec_driver_sql(statement)
    except (SQLAlchemyError, OSError) as error:
        raise StorageError(f"Cache table '{table}' could not be created.\nThe error was: {told(error)}.") from error
    finally:
        await engine.dispose()
    return f"Cache table '{table}' created."


def create_cache_tables(config: Config, names: Sequence[str], alias: str, *, dry_run: bool) -> Iterator[str]:
    """Make the table of each database cache; with names, make only these tables. For whoever has no event loop.

    Gives what is to be shown. Raises as create_cache_table does, and ValueError when DATABASES or ROUTER is wrong.
    """
    tables = names or [str(cache.LOCATION) for cache in config.CACHES.values() if cache.BACKEND == "db"]
    databases = read_databases(config.DATABASES, config.ROUTER) if tables else None
    for table in dict.fromkeys(tables):
        if databases and (text := asyncio.run(create_cache_table(databases, alias, table, dry_run=dry_run))):
            yield text


def told(error: BaseException) -> str:
    """Return the one line of an error that says why; SQLAlchemy's own text has the statement and its values in it."""
    cause = getattr(error, "orig", None) or error
    line = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return _CLASS.sub("", line).removesuffix(".")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
