"""Which connections to the databases are open, and how is one of them used?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from proxy.storage.databases import Databases

#: Of each database, for each cache and worker.
_CONNECTIONS = 4

#: What PostgreSQL (as SQLSTATE) and MySQL call two that wait for each other.
_DEADLOCKS = frozenset({"40P01", 1213})

#: What a column does not take is an error, however the server is set up: else it would be cut.
_MYSQL = {"charset": "utf8mb4", "init_command": "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"}


class Engines:
    """The engines of one cache, opened when they are needed."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._engines: dict[str, AsyncEngine] = {}
        self._opening: set[asyncio.Task[AsyncConnection]] = set()

    @asynccontextmanager
    async def connect(self, alias: str, *, whole: bool = False) -> AsyncIterator[AsyncConnection]:
        """Lend a connection: each statement is a transaction, or all together with ``whole``."""
        engine = self._engine(alias)
        if whole:
            level = "SERIALIZABLE" if engine.dialect.name == "sqlite" else "READ COMMITTED"
            async with engine.execution_options(isolation_level=level).begin() as connection:
                yield connection
        else:
            connection = await self._take(engine)
            try:
                yield connection
            finally:
                await asyncio.shield(asyncio.create_task(connection.close()))

    async def _take(self, engine: AsyncEngine) -> AsyncConnection:
        """Take a connection; one that has to be opened is opened to the end, also when whoever wanted it gives up.

        Else a database that takes longer to connect to than a request may wait would never be asked.
        """
        pool = engine.pool
        if not isinstance(pool, QueuePool) or pool.checkedin() or pool.checkedout() >= _CONNECTIONS:
            return await engine.connect()
        given_up = asyncio.Event()
        opening = asyncio.create_task(_open(engine, given_up))
        self._opening.add(opening)
        opening.add_done_callback(self._opened)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            given_up.set()
            raise

    def _opened(self, opening: asyncio.Task[AsyncConnection]) -> None:
        self._opening.discard(opening)
        if not opening.cancelled():
            # Whoever still waits is told of it, too.
            opening.exception()

    async def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        for opening in self._opening:
            opening.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        engines, self._engines = self._engines, {}
        for engine in engines.values():
            await engine.dispose()

    def _engine(self, alias: str) -> AsyncEngine:
        if alias not in self._engines:
            url = self._databases.url(alias)
            # Nothing is asked of the database before and after a statement that is a transaction of its own.
            self._engines[alias] = create_async_engine(
                url,
                connect_args=_MYSQL if url.get_backend_name() == "mysql" else {},
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
                pool_size=_CONNECTIONS,
                max_overflow=0,
                pool_timeout=5,
                hide_parameters=True,
            )
        return self._engines[alias]


async def _open(engine: AsyncEngine, given_up: asyncio.Event) -> AsyncConnection:
    """Open a connection; one that nobody waits for any more is for the next."""
    connection = await engine.connect()
    if given_up.is_set():
        await connection.close()
    return connection


def is_deadlock(error: DBAPIError) -> bool:
    """Tell whether the database undid a statement because others were in its way: it may be done again."""
    cause = error.orig
    codes = (getattr(cause, "sqlstate", None), *(() if cause is None else cause.args[:1]))
    return any(code in _DEADLOCKS for code in codes)
