"""What lies under some keys, as the servers of a backend say?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from proxy.config.units import Seconds
from proxy.errors import StorageDamaged, StorageError
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.storage.backends.base import Backend, Value
from proxy.storage.batches import Batches, Start
from proxy.storage.codec import DamagedRecordError, Record, decode
from proxy.storage.guard import Guards

Key = PrimaryKey | VariantKey
Found = Record | StorageError
"""What lies under a key; an error where that cannot be known, or is damaged."""

LARGE = 256 * 1024
"""A record of more bytes is read and written in a thread: 256 KiB take the loop about a third of a millisecond."""


class Asking:
    """Asks a backend for records: each of its servers for those that it holds."""

    def __init__(self, backend: Backend, guards: Guards, make_key: Callable[[bytes], str], start: Start) -> None:
        """``make_key`` makes the backend's key for one of ours; ``start`` runs what nobody waits for."""
        self._backend = backend
        self._guards = guards
        self._make_key = make_key
        self._batches: Batches[Found] = Batches(backend.get_many, guards, start)

    def name(self, key: Key) -> str:
        """Return the backend's key for one of ours; StorageError where the operator's function makes none."""
        try:
            return self._make_key(key)
        except Exception as error:
            raise self._guards.unnamed(error) from error

    def shares(self, keys: Iterable[Key], *, writing: bool) -> dict[str, dict[str, Key]]:
        """Return the backend's keys by the server that is asked for them."""
        shares: dict[str, dict[str, Key]] = {}
        for key in keys:
            name = self.name(key)
            shares.setdefault(self._backend.server_of(name, writing=writing), {})[name] = key
        return shares

    async def ask(self, keys: Iterable[Key], deadline: Seconds | None = None) -> dict[Key, Found]:
        """Return what lies under the keys; the servers that hold them are asked at the same time."""
        shares = self.shares(keys, writing=False)
        if len(shares) == 1:
            [(server, names)] = shares.items()
            return await self._ask_one(server, names, deadline)
        found: dict[Key, Found] = {}
        for part in await asyncio.gather(*(self._ask_one(*share, deadline) for share in shares.items())):
            found |= part
        return found

    async def _ask_one(self, server: str, names: Mapping[str, Key], deadline: Seconds | None) -> dict[Key, Found]:
        try:
            answer = await self._batches.want(server, names, deadline)
        except StorageError as error:
            return dict.fromkeys(names.values(), error)
        found: dict[Key, Found] = {}
        for name, key in names.items():
            value = answer.values.get(name)
            if value is not None:
                read = answer.read.get(key)
                if read is None:
                    read = answer.read[key] = await self._read(key, value)
                found[key] = read
        return found

    async def _read(self, key: Key, value: Value) -> Found:
        try:
            if not isinstance(value, bytes):
                raise DamagedRecordError("a number")
            if len(value) > LARGE:
                return await asyncio.to_thread(decode, key, value)
            return decode(key, value)
        except DamagedRecordError as error:
            self._guards.damaged(error)
            return StorageDamaged(str(error))
