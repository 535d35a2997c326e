"""Which SQL reads and changes the rows of a cache table?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Delete,
    MetaData,
    Select,
    String,
    Table,
    Text,
    Update,
    delete,
    exists,
    func,
    or_,
    quoted_name,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.config.units import UnixTime
from proxy.storage.backends.db_rows import Row, moment

#: Both have ON CONFLICT, which SQLAlchemy gives to the inserts of each dialect only.
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Statements:
    """The statements for one table of SQLite or PostgreSQL. ``key`` is what the column holds."""

    def __init__(self, table: str) -> None:
        self._table = Table(
            quoted_name(table, quote=True),
            MetaData(),
            Column(quoted_name("cache_key", quote=True), String(255), primary_key=True),
            Column(quoted_name("value", quote=True), Text, nullable=False),
            Column(quoted_name("expires", quote=True), DateTime(timezone=True), nullable=False),
        )
        self._key, self._value, self._expires = self._table.c

    def read(self, keys: Sequence[str], now: UnixTime) -> Select[Any]:
        """Keys and values of those that have not expired."""
        return select(self._key, self._value).where(self._is_any(keys), self._is_live(now))

    async def largest(self, connection: AsyncConnection) -> int | None:
        """Return how many bytes a statement may have; None is no bound."""
        del connection
        return None

    def put(self, connection: AsyncConnection, rows: Sequence[Row], until: UnixTime | None) -> Any:
        """Insert the keys and texts, or replace what is there."""
        insert, new = self._insert(connection, rows, until)
        return insert.on_conflict_do_update(index_elements=[self._key], set_=new)

    async def add(self, connection: AsyncConnection, row: Row, until: UnixTime | None, now: UnixTime) -> bool:
        """Insert, or replace what has expired; tell whether it did either."""
        insert, new = self._insert(connection, [row], until)
        unless_live = insert.on_conflict_do_update(index_elements=[self._key], set_=new, where=~self._is_live(now))
        return (await connection.execute(unless_live.returning(self._key))).first() is not None

    def touch(self, key: str, until: UnixTime | None, now: UnixTime) -> Update:
        """Give a row that has not expired another end."""
        return update(self._table).where(self._is_any([key]), self._is_live(now)).values(expires=moment(until))

    def swap(self, key: str, old: str, new: str) -> Update:
        """Replace a text if it is still the old one."""
        return update(self._table).where(self._is_any([key]), self._value == old).values(value=new)

    def delete(self, keys: Sequence[str]) -> Delete:
        """Remove rows."""
        return delete(self._table).where(self._is_any(keys))

    def delete_live(self, key: str, now: UnixTime) -> Delete:
        """Remove a row that has not expired."""
        return delete(self._table).where(self._is_any([key]), self._is_live(now))

    def beginning(self, *texts: str) -> Select[Any]:
        """What the key's column holds where it begins with one of these."""
        return select(self._key).where(or_(*(self._key.startswith(text, autoescape=True) for text in texts)))

    def delete_all(self) -> Delete:
        """Remove every row."""
        return delete(self._table)

    def rename(self, key: str, to: str, now: UnixTime) -> tuple[Delete, Update]:
        """Make place if there is something to move, and move it."""
        live = (self._is_any([key]), self._is_live(now))
        return self._make_place(key, to, now), update(self._table).where(*live).values(cache_key=to)

    def sweep(self, now: UnixTime, most: int) -> Delete:
        """Remove rows that have expired."""
        return self._delete_first(most, ~self._is_live(now))

    def evict(self, most: int) -> Delete:
        """Remove the rows that end first."""
        return self._delete_first(most)

    def count(self, now: UnixTime) -> Select[Any]:
        """Count the rows that have not expired."""
        return select(func.count()).select_from(self._table).where(self._is_live(now))

    def _make_place(self, key: str, to: str, now: UnixTime) -> Delete:
        source = self._table.alias()
        there = exists().where(source.c.cache_key == key, source.c.expires > moment(now))
        return delete(self._table).where(self._key == to, there)

    def _delete_first(self, most: int, *which: Any) -> Delete:
        doomed = select(self._key).where(*which).order_by(self._expires).limit(most)
        # Asked of the row once more: somebody may have replaced it since it was chosen.
        return delete(self._table).where(self._key.in_(doomed), *which)

    def _is_any(self, keys: Sequence[str]) -> Any:
        return self._key.in_(keys)

    def _is_live(self, now: UnixTime) -> Any:
        return self._expires > moment(now)

    def _insert(
        self, connection: AsyncConnection, rows: Sequence[Row], until: UnixTime | None
    ) -> tuple[Any, dict[str, Any]]:
        """Return the insert, and the columns that it would bring to a row that is there."""
        insert = _INSERTS[connection.dialect.name](self._table).values(self._values(rows, until))
        return insert, {"value": insert.excluded.value, "expires": insert.excluded.expires}

    def _values(self, rows: Sequence[Row], until: UnixTime | None) -> list[dict[str, object]]:
        return [{"cache_key": key, "value": text, "expires": moment(until)} for key, text in rows]
