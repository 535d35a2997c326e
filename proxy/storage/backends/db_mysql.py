"""Which SQL reads and changes the rows of a cache table of MySQL and MariaDB, where the others' does not?

There is no ON CONFLICT, a statement has a largest size, and a subquery may not read the table that is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Delete, LargeBinary, String, and_, cast, delete, exists, select, text, type_coerce, update
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.config.units import UnixTime
from proxy.storage.backends.db_rows import Row, moment
from proxy.storage.backends.db_statements import Statements


class MySQLStatements(Statements):
    """The statements for one table.

    In a table that Django made, ``KEY`` and ``key`` may be one row. It is then that of the key stored last, and nobody
    is given what lies under the other.
    """

    _largest: int | None = None

    async def largest(self, connection: AsyncConnection) -> int | None:
        """Return how many bytes a statement may have: the server ends the connection over a larger one."""
        if self._largest is None:
            self._largest = (await connection.execute(text("SELECT @@max_allowed_packet"))).scalar_one()
        return self._largest

    def put(self, connection: AsyncConnection, rows: Sequence[Row], until: UnixTime | None) -> Any:
        """Insert the keys and texts, or replace what is there."""
        del connection
        insert = mysql.insert(self._table).values(self._values(rows, until))
        new = insert.inserted
        return insert.on_duplicate_key_update(cache_key=new.cache_key, value=new.value, expires=new.expires)

    async def add(self, connection: AsyncConnection, row: Row, until: UnixTime | None, now: UnixTime) -> bool:
        """Replace what has expired, or insert; tell whether it did either.

        In this order, what stands in the way of the insert was live, or has come in between.
        """
        key, value = row
        new = {"cache_key": key, "value": value, "expires": moment(until)}
        expired = update(self._table).where(self._key == key, ~self._is_live(now)).values(new)
        if (await connection.execute(expired)).rowcount:
            return True
        try:
            await connection.execute(mysql.insert(self._table).values(new))
        except IntegrityError:
            return False
        return True

    def _make_place(self, key: str, to: str, now: UnixTime) -> Delete:
        # A table of its own, made before rows are deleted.
        there = select(self._key).where(self._key == key, self._is_live(now)).limit(1).subquery()
        return delete(self._table).where(self._key == to, exists(select(there.c.cache_key)))

    def _delete_first(self, most: int, *which: Any) -> Delete:
        doomed = select(self._key).where(*which).order_by(self._expires).limit(most).subquery()
        return delete(self._table).where(self._key == doomed.c.cache_key, *which)

    def _is_any(self, keys: Sequence[str]) -> Any:
        """By the index, and then byte by byte, whatever the column takes to be the same text."""
        exact = type_coerce(cast(self._key, LargeBinary), String)
        return and_(self._key.in_(keys), exact.in_(keys))
