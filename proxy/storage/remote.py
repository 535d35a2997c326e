"""Which stored responses are there, when they lie in a cache that has to be waited for?

A look-up is one round trip: the primary key is asked for together with the variants that the request would select by
what the resource's responses are known to vary by. What is on its way to the cache counts as being there, so that
whoever has read the last byte of a page gets a hit.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pkgutil import resolve_name

from proxy.config.model import CacheConfig
from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.message.heads import Request
from proxy.policy.cookies import IgnoredCookies
from proxy.policy.key import PrimaryKey, VariantKey, variant_key
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.base import Backend
from proxy.storage.codec import DamagedRecordError, Record, VaryIndex, decode, encode
from proxy.storage.guard import Guard
from proxy.storage.responses import VarySpecs

_log = logging.getLogger("sitecache")

_MOST_SPECS = 4
_REMEMBERED = 10_000
#: How much longer an index is kept than the variant it was last written with.
_INDEX_LONGER = 86400.0

#: Nobody waits for a write, and a large body takes a while.
_WRITE_DEADLINE = Seconds(2)
#: Seconds until a deletion that failed is tried again.
_AGAIN = 1.0

Key = PrimaryKey | VariantKey
Start = Callable[[Coroutine[object, object, None]], None]
"""Runs what nobody waits for, until it is done."""


def page_key(cache: CacheConfig, key: bytes) -> str:
    """Return the key under which a cache keeps what is stored under one of ours, made as CACHES says."""
    name = f"page.{blake2b(key, digest_size=20).hexdigest()}"
    if cache.KEY_FUNCTION is None:
        return f"{cache.KEY_PREFIX}:{cache.VERSION}:{name}"
    return str(resolve_name(cache.KEY_FUNCTION)(name, cache.KEY_PREFIX, cache.VERSION))


@dataclass(frozen=True, slots=True)
class _Write:
    """What is on its way to the cache; without a record, a deletion."""

    record: Record | None
    timeout: Seconds | None


class RemoteResponses:
    """Stored responses in a backend."""

    immediate = False

    def __init__(
        self,
        backend: Backend,
        guard: Guard,
        make_key: Callable[[bytes], str],
        ignored_cookies: IgnoredCookies,
        start: Start,
    ) -> None:
        """``make_key`` makes the backend's key for one of ours; ``start`` runs what nobody waits for."""
        self._backend = backend
        self._guard = guard
        self._make_key = make_key
        self._ignored_cookies = ignored_cookies
        self._start = start
        self._indexes: OrderedDict[PrimaryKey, VaryIndex] = OrderedDict()
        self._writing: dict[Key, _Write] = {}
        self.damaged = 0
        """Records that were not what had been written, since the start."""

    def select(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Nothing is known without waiting."""
        del primary, request, now
        return None

    async def look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return the stored response that the request selects; StorageError when the cache cannot be asked."""
        del now
        known = self._indexes.get(primary)
        keys: list[Key] = [primary]
        if known is not None:
            keys += self._variants(primary, request, known)
        found = await self._get(keys)
        record = found.get(primary)
        if record is None or isinstance(record, StoredResponse):
            self._indexes.pop(primary, None)
            return record
        self._remember(primary, record)
        wanted = self._variants(primary, request, record)
        if missing := [key for key in wanted if key not in keys]:
            found |= await self._get(missing)
        for key in wanted:
            variant = found.get(key)
            if isinstance(variant, StoredResponse):
                return variant
        return None

    def vary_specs(self, primary: PrimaryKey, now: UnixTime) -> VarySpecs:
        """Return what the resource's stored responses vary by, as far as it was seen."""
        del now
        known = self._indexes.get(primary)
        return () if known is None else known.specs

    def store(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> bool:
        """Begin to store a response; that it is refused is not known yet."""
        spec = stored.terms.vary
        timeout = Seconds(until - now)
        if not spec:
            self._indexes.pop(primary, None)
            self._write(primary, stored, timeout)
            return True
        known = self._indexes.get(primary) or VaryIndex(os.urandom(8).hex().encode(), ())
        others = [other for other in known.specs if other != spec]
        index = VaryIndex(known.generation, (spec, *others)[:_MOST_SPECS])
        self._remember(primary, index)
        self._write(primary, index, Seconds(timeout + _INDEX_LONGER))
        self._write(self._variant(primary, spec, request, index), stored, timeout)
        return True

    def drop(self, primary: PrimaryKey, request: Request, stored: StoredResponse) -> None:
        """Begin to forget this stored response."""
        known = self._indexes.get(primary)
        if not stored.terms.vary:
            self._write(primary, None)
        elif known is not None:
            self._write(self._variant(primary, stored.terms.vary, request, known), None)

    def invalidate(self, primary: PrimaryKey) -> bool:
        """Begin to forget every stored response of the resource: without their index, variants are not found."""
        self._indexes.pop(primary, None)
        self._write(primary, None)
        return True

    def _variants(self, primary: PrimaryKey, request: Request, index: VaryIndex) -> list[Key]:
        return [self._variant(primary, spec, request, index) for spec in index.specs]

    def _variant(self, primary: PrimaryKey, spec: tuple[bytes, ...], request: Request, index: VaryIndex) -> VariantKey:
        return VariantKey(index.generation + b":" + variant_key(primary, spec, request, self._ignored_cookies))

    def _remember(self, primary: PrimaryKey, index: VaryIndex) -> None:
        self._indexes[primary] = index
        self._indexes.move_to_end(primary)
        if len(self._indexes) > _REMEMBERED:
            self._indexes.popitem(last=False)

    async def _get(self, keys: list[Key]) -> dict[Key, Record]:
        """Return the records there are: those on their way to the cache, and those in it."""
        found: dict[Key, Record] = {}
        ask: dict[str, Key] = {}
        for key in keys:
            if key not in self._writing:
                ask[self._make_key(key)] = key
            elif (record := self._writing[key].record) is not None:
                found[key] = record
        if ask:
            values = await self._guard.run(lambda: self._backend.get_many(ask))
            for name, value in values.items():
                if (read := self._read(ask[name], value)) is not None:
                    found[ask[name]] = read
        return found

    def _read(self, key: Key, value: object) -> Record | None:
        try:
            if isinstance(value, bytes):
                return decode(key, value)
        except DamagedRecordError as error:
            _log.warning("a stored response is passed over: %s", error)
        self.damaged += 1
        return None

    def _write(self, key: Key, record: Record | None, timeout: Seconds | None = None) -> None:
        """Begin to write a record, or to delete what lies under the key: one at a time for each key, in order."""
        running = key in self._writing
        self._writing[key] = _Write(record, timeout)
        if not running:
            self._start(self._carry_out(key))

    async def _carry_out(self, key: Key) -> None:
        """Write what is to be written under this key, until there is nothing newer."""
        while True:
            write = self._writing[key]
            try:
                await self._guard.run(partial(self._do, key, write), _WRITE_DEADLINE)
            except StorageError as error:
                _log.warning("a response was not %s: %s", "forgotten" if write.record is None else "stored", error)
                if write.record is None:
                    # It must not come back with the storage, so it counts as gone here until it is.
                    await asyncio.sleep(_AGAIN)
                    continue
            if self._writing[key] is write:
                del self._writing[key]
                return

    async def _do(self, key: Key, write: _Write) -> None:
        name = self._make_key(key)
        if write.record is None:
            await self._backend.delete(name)
        elif not await self._backend.set(name, encode(key, write.record), write.timeout):
            _log.warning("a response was not stored: the storage refuses its size")
