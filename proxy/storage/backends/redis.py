"""What is kept in Redis or Valkey, under which commands, and in which form?

A number is decimal text, as Django writes it, so that INCRBY counts it and both read it. Bytes are kept as they are;
only where they begin as a number or a marked value does, one marker byte stands before them. So the two are always told
apart, and what a Django application pickled comes out as the bytes that it wrote, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from redis.exceptions import ResponseError

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.decimals import from_decimal, to_decimal
from proxy.storage.backends.locations import Location, checked_location
from proxy.storage.backends.owner import Owner
from proxy.storage.backends.redis_channel import listen_on
from proxy.storage.backends.redis_servers import Servers

_MARKER = b"\x00"
_NEEDS_MARKER = frozenset(_MARKER + b"-0123456789")

#: One thing to the server, so that no number comes to life without a timeout between a look and INCRBY. The sum comes
#: back as text: Lua's numbers are doubles, which lose what is above 2**53.
_INCR = """
local found = redis.pcall('GET', KEYS[1])
if not found then return nil end
if type(found) ~= 'string' or #found > 4300 then return 'not a number' end
if found ~= '0' and not found:match('^%-?[1-9]%d*$') then return 'not a number' end
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' and sum.err then return 'overflow' end
return redis.call('GET', KEYS[1])
"""
_SCAN_COUNT = 1000
#: About 31,700 years in seconds. Redis refuses what, added to now in milliseconds, leaves 63 bits.
_LONGEST = 10**12


class RedisCache(Backend):
    """A cache on one Redis server, a leader with replicas, one behind Sentinels, or a Cluster."""

    def __init__(
        self,
        location: Location,
        options: Mapping[str, object] | None = None,
        *,
        clear_all: bool = False,
    ) -> None:
        """Read the settings; nothing is opened. ValueError names what is wrong with LOCATION or OPTIONS.

        The first server of ``location`` takes writes, the others are replicas for reads (see redis_servers). With
        ``clear_all``, ``clear`` empties the database whoever the owner is, and without it refuses where there is none.
        """
        self._servers = Servers(location, options or {})
        self._clear_all = clear_all

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> RedisCache:
        """Make the cache that one entry of CACHES describes; ValueError says which setting is wrong.

        One option is not the library's: ``clear``, which is ``own`` or ``all``.
        """
        options = dict(options)
        clear = options.pop("clear", "own")
        if clear not in {"own", "all"}:
            raise ValueError(f"OPTIONS.clear: expected own or all, found {clear!r}")
        return cls(checked_location(location), options, clear_all=clear == "all")

    async def publish(self, channel: str, message: bytes) -> None:
        """Send a message to all who listen to the channel."""
        await self._servers.writer().run("PUBLISH", channel, message)

    async def listen(self, channel: str, heard: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        """Call ``heard`` with each message on the channel, over a connection of its own."""
        async with self._servers.apart() as server:
            await listen_on(server, channel, heard, begun)

    async def get(self, key: str) -> Value | None:
        server = self._servers.reader()
        with server.translating():
            try:
                found = await server.client.execute_command("GET", key)
            except ResponseError as error:
                if not _is_of_another_type(error):
                    raise
                return None
        return None if found is None else _decode(found)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        wanted = list(keys)
        if not wanted:
            return {}
        server = self._servers.reader()
        if self._servers.are_cluster:
            replies = await server.run_all([("GET", key) for key in wanted], raising=False)
            found = [None if _is_of_another_type(reply) else reply for reply in replies]
            server.raise_first(found)
        else:
            found = await server.ask("MGET", *wanted)
        return {key: _decode(stored) for key, stored in zip(wanted, found, strict=True) if stored is not None}

    async def has_key(self, key: str) -> bool:
        return bool(await self._servers.reader().run("EXISTS", key))

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        return not await self.set_many({key: value}, timeout)

    async def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        if timeout is not None and timeout <= 0:
            await self.delete_many(values)
            return []
        stored = {key: _encode(value) for key, value in values.items()}
        refused = [key for key, data in stored.items() if data is None]
        await self.delete_many(refused)
        await self._write({key: data for key, data in stored.items() if data is not None}, timeout)
        return refused

    async def _write(self, values: Mapping[str, bytes], timeout: Seconds | None) -> None:
        """Keep all; where the server refuses one (it is full), its former value goes as well, and that is an error."""
        server, until = self._servers.writer(), _px(timeout)
        replies = await server.run_all([("SET", key, data, *until) for key, data in values.items()], raising=False)
        await self.delete_many(
            key for key, reply in zip(values, replies, strict=True) if isinstance(reply, ResponseError)
        )
        server.raise_first(replies)

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        writer = self._servers.writer()
        data = _encode(value)
        if data is None or (timeout is not None and timeout <= 0):
            return not await writer.run("EXISTS", key)
        return bool(await writer.run("SET", key, data, *_px(timeout), "NX"))

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        writer = self._servers.writer()
        if timeout is None:
            _, there = await writer.run_all([("PERSIST", key), ("EXISTS", key)])
            return bool(there)
        if timeout <= 0:
            return await self.delete(key)
        return bool(await writer.run("PEXPIRE", key, _milliseconds(timeout)))

    async def delete(self, key: str) -> bool:
        return bool(await self._servers.writer().run("UNLINK", key))

    async def delete_many(self, keys: Iterable[str]) -> None:
        doomed = list(keys)
        if not doomed:
            return
        writer = self._servers.writer()
        if self._servers.are_cluster:
            await writer.run_all([("UNLINK", key) for key in doomed])
        else:
            await writer.run("UNLINK", *doomed)

    async def incr(self, key: str, delta: int) -> int:
        found = await self._servers.writer().run("EVAL", _INCR, 1, key, to_decimal(delta) or "too large")
        if found is None:
            raise KeyError(key)
        if found == b"not a number":
            raise TypeError(f"the value of {key!r} is not a number")
        if found == b"overflow":
            raise OverflowError(f"the sum under {key!r} needs more than the 64 bits that Redis counts with")
        return int(found)

    async def rename(self, key: str, to: str) -> bool:
        if self._servers.are_cluster:
            return await self._move(key, to)
        server = self._servers.writer()
        with server.translating():
            try:
                await server.client.execute_command("RENAME", key, to)
            except ResponseError as error:
                if "no such key" not in str(error):
                    raise
                return False
        return True

    async def _move(self, key: str, to: str) -> bool:
        """Rename between two nodes of a cluster, which has no command for that: three steps, the new key first."""
        writer = self._servers.writer()
        data, left = await writer.run_all([("DUMP", key), ("PTTL", key)])
        if data is None or left == -2:
            return False
        if key != to:
            await writer.run("RESTORE", to, 0 if left == -1 else max(left, 1), data, "REPLACE")
            await writer.run("UNLINK", key)
        return True

    async def clear(self, owner: Owner | None = None) -> None:
        writer = self._servers.writer()
        if self._clear_all:
            await writer.run("FLUSHDB")
            return
        if owner is None:
            raise StorageError(
                "Redis: a function of yours makes the keys, so it is not known which are this cache's; "
                "OPTIONS.clear: all forgets the whole database"
            )
        batch: list[Any] = []
        with writer.translating():
            async for key in writer.client.scan_iter(match=_glob(owner.start), count=_SCAN_COUNT):
                if owner.owns(key.decode(errors="surrogateescape")):
                    batch.append(key)
                if len(batch) >= _SCAN_COUNT:
                    await self.delete_many(batch)
                    batch.clear()
        await self.delete_many(batch)

    def server_of(self, key: str, *, writing: bool) -> str:
        return self._servers.name_of(key, writing=writing)

    @property
    def one_server(self) -> str | None:
        return None if self._servers.are_cluster else self._servers.name_of("", writing=False)

    async def close(self) -> None:
        await self._servers.close()


def _encode(value: Value) -> bytes | None:
    """Return what is kept, or None when that number cannot be."""
    if isinstance(value, int):
        return to_decimal(value)
    return _MARKER + value if value[:1] and value[0] in _NEEDS_MARKER else value


def _decode(stored: bytes) -> Value:
    if not stored or stored[0] not in _NEEDS_MARKER:
        return stored
    if stored.startswith(_MARKER):
        return stored[1:]
    number = from_decimal(stored)
    return stored if number is None else number


def _px(timeout: Seconds | None) -> tuple[object, ...]:
    return () if timeout is None else ("PX", _milliseconds(timeout))


def _milliseconds(timeout: Seconds) -> int:
    return math.ceil(min(timeout, _LONGEST) * 1000)


def _glob(prefix: str) -> str:
    """Return the pattern of SCAN for keys that begin so."""
    return "".join("\\" + char if char in "*?[]\\^" else char for char in prefix) + "*"


def _is_of_another_type(reply: object) -> bool:
    """Tell whether somebody keeps a list, set, ... under that key; to us that is no value."""
    return isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE")
