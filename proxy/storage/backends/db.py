"""What is kept in a table of a database, with the columns of Django's ``createcachetable``?"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from sqlalchemy import Delete, Update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.db_mysql import MySQLStatements
from proxy.storage.backends.db_rows import AT_ONCE, DIGEST, in_statements, key_column, shown, stored, value_of
from proxy.storage.backends.db_statements import Statements
from proxy.storage.backends.limits import Limits, read_limits
from proxy.storage.backends.owner import Owner
from proxy.storage.createcachetable import told
from proxy.storage.databases import Databases, read_databases
from proxy.storage.engines import Engines, is_deadlock

_Result = TypeVar("_Result")

_KNOWN = ("MAX_ENTRIES", "CULL_FREQUENCY")
#: Of one piece of work that others keep getting in the way of.
_TRIES = 5
#: What has expired is removed this often while values are stored, and this many at a time.
_SWEEP_EVERY = Seconds(1)
_SWEEP = 1000


class DatabaseCache(Backend):
    """A cache in one table, which several programs and machines may share.

    Timeouts are kept to the microsecond; "never" is the last second of the year 9999, as in Django. The table is not
    counted at each store, so it may hold a twentieth more than MAX_ENTRIES.
    """

    def __init__(
        self,
        table: str,
        databases: Databases,
        clock: Callable[[], UnixTime],
        limits: Limits = Limits(),  # noqa: B008
    ) -> None:
        """``table`` is the name as it is, without quotes; ``databases`` decide where it is read and written."""
        self._table = table
        self._databases = databases
        self._clock = clock
        self._limits = limits
        self._engines = Engines(databases)
        self._statements: dict[str, Statements] = {}
        self._swept_at = UnixTime(float("-inf"))
        self._count: int | None = None
        """At most so many values are there, if this process is the only one; None before they were counted."""
        self._stores = 0
        """Since they were counted."""

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> DatabaseCache:
        """Make the cache that one entry of CACHES describes; ValueError says which setting is wrong.

        Among the options stand the settings DATABASES and ROUTER too (see read_databases).
        """
        if not isinstance(location, str) or not location or "\0" in location:
            raise ValueError(f"LOCATION: expected the name of a table, found {location!r}")
        own = {name: value for name, value in options.items() if name not in {"DATABASES", "ROUTER"}}
        limits = read_limits(own, _KNOWN)
        databases = read_databases(options.get("DATABASES"), options.get("ROUTER"))
        return cls(location, databases, _clock, limits)

    async def get(self, key: str) -> Value | None:
        """Return the value."""
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values there are, from a database for reading."""
        columns = {key_column(key): key for key in keys}
        found: dict[str, Value] = {}

        async def read(connection: AsyncConnection) -> None:
            left = iter(columns)
            while some := list(islice(left, AT_ONCE)):
                for row in await connection.execute(self._sql(connection).read(some, self._clock())):
                    value = value_of(row.value)
                    if value is not None:
                        found[columns[row.cache_key]] = value

        if columns:
            await self._run(read, self._databases.for_reading(self._table), again=True)
        return found

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value."""
        return not await self.set_many({key: value}, timeout)

    async def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        """Keep the values; those that no statement of this database takes are not kept."""
        if timeout is not None and timeout <= 0:
            await self.delete_many(values)
            return []
        columns = {key_column(key): key for key in values}
        # In one order everywhere, so that no two programs wait for each other's rows.
        rows = sorted((column, stored(values[key])) for column, key in columns.items())

        async def write(connection: AsyncConnection) -> list[str]:
            sql = self._sql(connection)
            await self._make_room(connection, len(rows))
            parts, too_large = in_statements(rows, await sql.largest(connection))
            if too_large:
                await connection.execute(sql.delete(too_large))
            for part in parts:
                await connection.execute(sql.put(connection, part, self._until(timeout)))
            return [columns[column] for column in too_large]

        return await self._change(write) if rows else []

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value if there is none."""
        if timeout is not None and timeout <= 0:
            return not await self._is_there(key)
        row = key_column(key), stored(value)

        async def write(connection: AsyncConnection) -> bool:
            sql = self._sql(connection)
            await self._make_room(connection, 1)
            if in_statements([row], await sql.largest(connection))[1]:
                return (await connection.execute(sql.read([row[0]], self._clock()))).first() is None
            return await sql.add(connection, row, self._until(timeout), self._clock())

        return await self._change(write)

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        """Give the value another timeout."""
        if timeout is not None and timeout <= 0:
            return await self.delete(key)
        until, now = self._until(timeout), self._clock()
        return await self._affects(lambda sql: sql.touch(key_column(key), until, now))

    async def delete(self, key: str) -> bool:
        """Forget the value; one that has expired was not there."""
        return await self._affects(lambda sql: sql.delete_live(key_column(key), self._clock()))

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the values."""
        await self._drop(key_column(key) for key in keys)

    async def incr(self, key: str, delta: int) -> int:
        """Add to a number: it is replaced only if it is still what was read, and else read again."""
        column = key_column(key)

        async def add(connection: AsyncConnection) -> int:
            sql = self._sql(connection)
            while True:
                row = (await connection.execute(sql.read([column], self._clock()))).first()
                value = value_of(row.value) if row is not None else None
                if row is None or value is None:
                    raise KeyError(key)
                if not isinstance(value, int):
                    raise TypeError(f"the value of {key!r} is not a number")
                swap = sql.swap(column, row.value, stored(value + delta))
                if not delta or (await connection.execute(swap)).rowcount:
                    return value + delta

        return await self._run(add, self._databases.for_writing(self._table))

    async def clear(self, owner: Owner | None = None) -> None:
        """Remove the rows of that owner; without one, every row of the table."""
        if owner is None:
            await self._affects(lambda sql: sql.delete_all())
        else:
            await self._drop(await self._run(partial(self._owned, owner), self._databases.for_writing(self._table)))
        self._count = None

    async def _owned(self, owner: Owner, connection: AsyncConnection) -> list[str]:
        found = await connection.execute(self._sql(connection).beginning(owner.start, DIGEST))
        return [column for column in found.scalars() if owner.owns(shown(column))]

    async def _drop(self, columns: Iterable[str]) -> None:
        left = iter(sorted(columns))
        while some := list(islice(left, AT_ONCE)):
            await self._affects(partial(_delete, some))

    async def rename(self, key: str, to: str) -> bool:
        """Move the value and its timeout."""
        if key == to:
            return await self._is_there(key)

        async def move(connection: AsyncConnection) -> bool:
            first, second = self._sql(connection).rename(key_column(key), key_column(to), self._clock())
            await connection.execute(first)
            return bool((await connection.execute(second)).rowcount)

        return await self._run(move, self._databases.for_writing(self._table), whole=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._engines.close()

    async def _is_there(self, key: str) -> bool:
        async def read(connection: AsyncConnection) -> bool:
            rows = await connection.execute(self._sql(connection).read([key_column(key)], self._clock()))
            return rows.first() is not None

        return await self._run(read, self._databases.for_writing(self._table))

    # Making room.

    async def _make_room(self, connection: AsyncConnection, coming: int) -> None:
        """Remove what has expired, and now and then count and cull; each time within a bound."""
        now = self._clock()
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            await connection.execute(self._sql(connection).sweep(now, _SWEEP))
        most = self._limits.max_entries
        self._stores += coming
        if most is None:
            return
        is_due = self._stores > most // 20 and (self._count is None or self._count + self._stores - coming > most)
        if is_due or self._count is None or self._stores > max(100, most // 4):
            await self._cull(connection, most)

    async def _cull(self, connection: AsyncConnection, most: int) -> None:
        # Before a sweep is done with it, what has expired is not counted: it is absent.
        now = self._clock()
        count: int = (await connection.execute(self._sql(connection).count(now))).scalar_one()
        stores, self._stores = self._stores, 1
        if count > most:
            share = count // self._limits.cull_frequency if self._limits.cull_frequency else count
            number = min(share, max(1000, 2 * stores)) if self._limits.cull_frequency else count
            await connection.execute(self._sql(connection).evict(number))
            count -= number
        self._count = count

    # Connections.

    def _sql(self, connection: AsyncConnection) -> Statements:
        dialect = connection.dialect.name
        if dialect not in self._statements:
            self._statements[dialect] = (MySQLStatements if dialect == "mysql" else Statements)(self._table)
        return self._statements[dialect]

    async def _affects(self, make: Callable[[Statements], Update | Delete]) -> bool:
        async def run(connection: AsyncConnection) -> bool:
            return bool((await connection.execute(make(self._sql(connection)))).rowcount)

        return await self._change(run)

    async def _change(self, work: Callable[[AsyncConnection], Awaitable[_Result]]) -> _Result:
        return await self._run(work, self._databases.for_writing(self._table), again=True)

    async def _run(
        self,
        work: Callable[[AsyncConnection], Awaitable[_Result]],
        alias: str,
        *,
        whole: bool = False,
        again: bool = False,
    ) -> _Result:
        """Do the work; ``whole``: in one transaction; ``again``: once more when the connection was found to be lost.

        What the database ended because it and another waited for each other is begun anew, a few times.
        """
        tries = 0
        while True:
            tries += 1
            try:
                async with self._engines.connect(alias, whole=whole) as connection:
                    return await work(connection)
            except DBAPIError as error:
                lost = again and tries == 1 and error.connection_invalidated
                if not lost and not (tries < _TRIES and is_deadlock(error)):
                    raise self._failure(error) from error
            except (SQLAlchemyError, OSError) as error:
                raise self._failure(error) from error

    def _failure(self, error: BaseException) -> StorageError:
        why = told(error)
        is_missing = any(text in why for text in ("no such table", "does not exist", "doesn't exist"))
        hint = "; run: sitecache createcachetable" if is_missing else ""
        return StorageError(f"database cache {self._table!r}: {why}{hint}")

    def _until(self, timeout: Seconds | None) -> UnixTime | None:
        return None if timeout is None else UnixTime(self._clock() + timeout)


def _delete(columns: Sequence[str], sql: Statements) -> Delete:
    return sql.delete(columns)


def _clock() -> UnixTime:
    return UnixTime(time.time())  # noqa: TID251  between processes there is no other time


build = DatabaseCache.build
