"""What is kept in memcached, and under which limits of its own?

A number is its digits with the client's flag for numbers, so that memcached counts it and Django reads it; bytes lie as
they are with flag 0. memcached knows no negative numbers: ``decr`` stops at 0, and it counts to 2**64 - 1. It counts
timeouts in ticks of a second: they are rounded up, and one tick is added so that none ends early.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from proxy.config.units import Seconds, UnixTime
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.decimals import to_decimal
from proxy.storage.backends.locations import checked_location, split_location
from proxy.storage.backends.memcached_ring import LARGEST, Node, PymemcacheRing, Rests, Ring, to_expire
from proxy.storage.backends.owner import Owner
from proxy.storage.backends.sasl import show_mechanisms
from proxy.storage.drivers import missing_driver

_Result = TypeVar("_Result")

_THREADS = 8
_KEY_BYTES = 250
#: In keys: blanks and control characters.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")
_TICK = 1

_BOOL = ("true or false", (bool,))
_COUNT = ("a whole number", (int,))
_SECONDS = ("a number of seconds", (int, float))
_OBJECT = ("an object", (object,))
Allowed = Mapping[str, tuple[str, tuple[type, ...]]]

#: What pymemcache takes and means the same here; its other options would change the form of keys or values.
_PYMEMCACHE: Allowed = {
    "allow_unicode_keys": _BOOL,
    "connect_timeout": _SECONDS,
    "dead_timeout": _SECONDS,
    "ignore_exc": _BOOL,
    "max_pool_size": _COUNT,
    "no_delay": _BOOL,
    "pool_idle_timeout": _SECONDS,
    "retry_attempts": _COUNT,
    "retry_timeout": _SECONDS,
    "socket_keepalive": _OBJECT,
    "timeout": _SECONDS,
    "tls_context": _OBJECT,
    "use_pooling": _BOOL,
}
_PYLIBMC: Allowed = {
    "behaviors": ("a mapping", (Mapping,)),
    "binary": _BOOL,
    "password": ("text", (str,)),
    "username": ("text", (str,)),
}
#: Seconds; pymemcache itself would wait for ever.
_PATIENCE = 2


class MemcachedCache(Backend):
    """The contract on a ring of memcached servers, whose client is synchronous: it is asked in threads."""

    strict_keys = True

    def __init__(self, ring: Ring, wall: Callable[[], UnixTime], threads: int = _THREADS) -> None:
        """``wall`` tells the time since 1970, in which memcached counts timeouts of more than thirty days."""
        self._ring = ring
        self._wall = wall
        self._threads = threads
        self._executors: dict[str, ThreadPoolExecutor] = {}
        """One for each server: those who wait for one that hangs leave the others their threads."""

    async def get(self, key: str) -> Value | None:
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        wanted = [_checked(key) for key in keys]
        return {key: value for found in await self._each(wanted, self._ring.get_many) for key, value in found.items()}

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        return not await self.set_many({key: value}, timeout)

    async def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        refused = [_checked(key) for key, value in values.items() if isinstance(value, int) and not to_decimal(value)]
        gone = timeout is not None and timeout <= 0
        await self.delete_many(values if gone else refused)
        kept = {} if gone else {_checked(key): value for key, value in values.items() if key not in refused}
        expire = self._expire(timeout)

        def store(keys: list[str]) -> list[str]:
            return self._ring.set_many({key: kept[key] for key in keys}, expire)

        return refused + [key for failed in await self._each(kept, store) for key in failed]

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        if (timeout is not None and timeout <= 0) or (isinstance(value, int) and not to_decimal(value)):
            return not await self.has_key(key)
        return await self._run(_checked(key), self._ring.add, key, value, self._expire(timeout))

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        if timeout is not None and timeout <= 0:
            return await self.delete(key)
        return await self._run(_checked(key), self._ring.touch, key, self._expire(timeout))

    async def delete(self, key: str) -> bool:
        return await self._run(_checked(key), self._ring.delete, key)

    async def delete_many(self, keys: Iterable[str]) -> None:
        await self._each([_checked(key) for key in keys], self._ring.delete_many)

    async def incr(self, key: str, delta: int) -> int:
        return await self._run(_checked(key), self._count, key, delta)

    async def rename(self, key: str, to: str) -> bool:
        """Move the value with what is left of its timeout. memcached has no command for that, so it is a copy first."""
        return await self._run(_checked(key), self._ring.move, key, _checked(to))

    async def clear(self, owner: Owner | None = None) -> None:
        """Forget everything the servers hold, whoever the owner is: memcached cannot name what it holds."""
        del owner
        await self._run("", self._ring.flush_all)

    async def close(self) -> None:
        executors, self._executors = self._executors, {}
        for executor in executors.values():
            await asyncio.to_thread(executor.shutdown)
        self._ring.close()

    def _count(self, key: str, delta: int) -> int:
        """Look before counting: memcached would count in bytes that are digits, and begin at 0 after its largest."""
        found = self._ring.get_many([key]).get(key)
        if found is None:
            raise KeyError(key)
        if not isinstance(found, int) or found < 0:
            raise TypeError(f"the value of {key!r} is not a number that memcached can count with")
        if max(found, found + delta) > LARGEST:
            raise OverflowError(f"the sum under {key!r} needs more than the 64 bits that memcached counts with")
        total = self._ring.count(key, delta)
        if total is None:
            raise KeyError(key)
        return total

    def _expire(self, timeout: Seconds | None) -> int:
        return to_expire(None if timeout is None else Seconds(timeout + _TICK), self._wall)

    def server_of(self, key: str, *, writing: bool) -> str:
        del writing
        return self._ring.name_of(key)

    @property
    def one_server(self) -> str | None:
        return None

    def tell_losses(self) -> None:
        self._ring.tell_losses()

    async def _each(self, keys: Iterable[str], what: Callable[[list[str]], _Result]) -> list[_Result]:
        """Do this with the keys of each server, all at once."""
        shares: dict[str, list[str]] = {}
        for key in keys:
            shares.setdefault(self._ring.name_of(key), []).append(key)
        return list(await asyncio.gather(*(self._run(own[0], what, own) for own in shares.values())))

    async def _run(self, key: str, what: Callable[..., _Result], *arguments: object) -> _Result:
        """Do this in a thread for the server of that key."""
        server = self._ring.name_of(key) if key else ""
        executor = self._executors.get(server)
        if executor is None:
            executor = self._executors[server] = ThreadPoolExecutor(self._threads, thread_name_prefix="memcached")
        return await asyncio.get_running_loop().run_in_executor(executor, what, *arguments)


class PyMemcacheCache(MemcachedCache):
    """memcached through pymemcache. A server that is away costs misses, and is asked again after a while.

    Options are those of its clients; ``ignore_exc: false`` makes errors of a server that is away, ``max_pool_size``
    bounds the connections to each server. A server rests ``retry_timeout`` seconds after each of ``retry_attempts``
    failures, and ``dead_timeout`` after further ones.
    """

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> PyMemcacheCache:
        """Make the cache that one entry of CACHES describes; ValueError says which setting is wrong."""
        given = _options(options, _PYMEMCACHE)
        rests = Rests(
            time.monotonic,
            Seconds(given.pop("retry_timeout", 1)),
            given.pop("retry_attempts", 2),
            Seconds(given.pop("dead_timeout", 60)),
        )
        losing_is_missing = given.pop("ignore_exc", True)
        given.pop("use_pooling", None)  # threads share connections in any case
        threads = given.pop("max_pool_size", _THREADS)
        if threads < 1:
            raise ValueError(f"OPTIONS.max_pool_size: expected 1 or more, found {threads}")
        client = {"allow_unicode_keys": True, "connect_timeout": _PATIENCE, "timeout": _PATIENCE, **given}
        try:
            nodes = [Node(server, client, rests) for server in split_location(checked_location(location))]
        except ValueError as error:
            raise ValueError(str(error) if str(error).startswith("LOCATION") else f"LOCATION: {error}") from error
        return cls(PymemcacheRing(nodes, wall_clock, losing_is_missing=losing_is_missing), wall_clock, threads)


class PyLibMCCache(MemcachedCache):
    """memcached through pylibmc, which picks servers as libmemcached does and speaks the binary protocol too.

    Options are those of its client: ``binary``, ``username``, ``password`` and ``behaviors`` such as ``ketama``.
    """

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> PyLibMCCache:
        """Make the cache of one entry of CACHES; ValueError for a wrong setting, ImportError without pylibmc."""
        hint = show_mechanisms()
        try:
            from proxy.storage.backends.pylibmc_ring import PylibmcRing  # noqa: PLC0415  # an extra of its own
        except ImportError as error:
            raise missing_driver(error) or ImportError(f"pylibmc cannot be used: {error}") from error
        given = _options(options, _PYLIBMC)
        servers = [server.removeprefix("unix:") for server in split_location(checked_location(location))]
        return cls(PylibmcRing(servers, given, hint), wall_clock)


def _options(options: Mapping[str, object], allowed: Allowed) -> dict[str, Any]:
    for name, value in options.items():
        if name not in allowed:
            raise ValueError(f"OPTIONS.{name}: expected one of {', '.join(sorted(allowed))}, found {name!r}")
        expected, kinds = allowed[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and int in kinds):
            raise ValueError(f"OPTIONS.{name}: expected {expected}, found {value!r}")
    return dict(options)


def _checked(key: str) -> str:
    """Return the key; ValueError when it is none for memcached, which takes 250 bytes without blanks and controls."""
    length = len(key.encode())
    if not 0 < length <= _KEY_BYTES:
        raise ValueError(f"memcached takes keys of 1 to {_KEY_BYTES} bytes, found {length} bytes: {key[:50]!r}")
    if _FORBIDDEN.search(key):
        raise ValueError(f"memcached takes keys without blanks and control characters, found {key[:50]!r}")
    return key


def wall_clock() -> UnixTime:
    """Return the time since 1970."""
    return UnixTime(time.time())  # noqa: TID251  # memcached counts long timeouts from 1970
