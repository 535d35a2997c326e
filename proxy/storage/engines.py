"""Which connections to the databases are open, and how is one of them used?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from proxy.storage.databases import Databases

#: Of each database, for each cache and worker.
_CONNECTIONS = 4


class Engines:
    """The engines of one cache, opened when they are needed."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._engines: dict[str, AsyncEngine] = {}

    @asynccontextmanager
    async def connect(self, alias: str, *, whole: bool = False) -> AsyncIterator[AsyncConnection]:
        """Lend a connection: each statement is a transaction, or all together with ``whole``."""
        engine = self._engine(alias)
        if whole:
            async with engine.begin() as connection:
                yield connection
        else:
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                yield connection

    async def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        engines, self._engines = self._engines, {}
        for engine in engines.values():
            await engine.dispose()

    def _engine(self, alias: str) -> AsyncEngine:
        if alias not in self._engines:
            url = self._databases.url(alias)
            self._engines[alias] = create_async_engine(
                url, pool_size=_CONNECTIONS, max_overflow=0, pool_timeout=5, hide_parameters=True
            )
        return self._engines[alias]
