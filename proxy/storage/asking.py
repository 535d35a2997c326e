"""What lies under some keys, as the servers of a backend say?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from proxy.config.units import Seconds
from proxy.errors import StorageDamaged, StorageError
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.storage.backends.base import Backend, Value
from proxy.storage.batches import Answer, Batches, Start
from proxy.storage.codec import DamagedRecordError, Record, decode
from proxy.storage.guard import Guards

Key = PrimaryKey | VariantKey
NUMBER_KEY = PrimaryKey(b"purge number")
"""How many purges there were is kept under this one, as a number; no resource has it."""


@dataclass(frozen=True, slots=True)
class PurgeNumber:
    """The number of the latest purge."""

    number: int


Found = Record | PurgeNumber | StorageError
"""What lies under a key; an error where that cannot be known, or is damaged."""

Sought = dict[Key, Found] | StorageError | Coroutine[object, object, dict[Key, Found]]
"""What lies under some keys, why they could not be asked for, or what is to be awaited to know it."""
Shares = dict[str, dict[str, Key]]
"""The backend's keys by the server that is asked for them."""
_Said = TypeVar("_Said")

LARGE = 256 * 1024
"""A record of more bytes is read and written in a thread: 256 KiB take the loop about a third of a millisecond."""


class Asking:
    """Asks a backend for records: each of its servers for those that it holds."""

    def __init__(self, backend: Backend, guards: Guards, make_key: Callable[[bytes], str], start: Start) -> None:
        """``make_key`` makes the backend's key for one of ours; ``start`` runs what nobody waits for."""
        self._backend = backend
        self._guards = guards
        self._make_key = make_key
        self._one_server = backend.one_server
        self._batches: Batches[Found] = Batches(backend.get_many, guards, start)

    def name(self, key: Key) -> str:
        """Return the backend's key for one of ours; StorageError where the operator's function makes none."""
        try:
            return self._make_key(key)
        except Exception as error:
            raise self._guards.unnamed(error) from error

    def shares(self, keys: Iterable[Key], *, writing: bool) -> Shares:
        """Return the backend's keys by the server that is asked for them."""
        shares: Shares = {}
        for key in keys:
            name = self.name(key)
            shares.setdefault(self._backend.server_of(name, writing=writing), {})[name] = key
        return shares

    def seek(self, keys: Iterable[Key], told: Callable[[Sought], None]) -> None:
        """Ask for what lies under the keys, and say it as soon as it is known, or what else it takes to know it."""
        try:
            if self._one_server is not None:
                names = {self.name(key): key for key in keys}
                self._batches.want(self._one_server, names, partial(self._answered, names, told))
                return
            shares = self.shares(keys, writing=False)
        except StorageError as error:
            told(error)
            return
        if len(shares) == 1:
            [(server, names)] = shares.items()
            self._batches.want(server, names, partial(self._answered, names, told))
        else:
            told(self._ask(shares, None))

    async def ask(self, keys: Iterable[Key], deadline: Seconds | None = None) -> dict[Key, Found]:
        """Return what lies under the keys; the servers that hold them are asked at the same time."""
        return await self._ask(self.shares(keys, writing=False), deadline)

    async def _ask(self, shares: Shares, deadline: Seconds | None) -> dict[Key, Found]:
        if len(shares) == 1:
            [(server, names)] = shares.items()
            return await self._ask_one(server, names, deadline)
        found: dict[Key, Found] = {}
        for part in await asyncio.gather(*(self._ask_one(*share, deadline) for share in shares.items())):
            found |= part
        return found

    async def _ask_one(self, server: str, names: Mapping[str, Key], deadline: Seconds | None) -> dict[Key, Found]:
        answered: asyncio.Future[Answer[Found] | StorageError] = asyncio.get_running_loop().create_future()
        self._batches.want(server, names, partial(_set, answered), deadline)
        answer = await answered
        if isinstance(answer, StorageError):
            return dict.fromkeys(names.values(), answer)
        return await self._read_all(names, answer)

    def _answered(
        self, names: Mapping[str, Key], told: Callable[[Sought], None], answer: Answer[Found] | StorageError
    ) -> None:
        """Say what an answer holds; what is large is not read here."""
        if isinstance(answer, StorageError):
            told(dict.fromkeys(names.values(), answer))
            return
        values, known = answer.values, answer.read
        found: dict[Key, Found] = {}
        for name, key in names.items():
            read = known.get(key)
            if read is None:
                value = values.get(name)
                if value is None:
                    continue
                if isinstance(value, bytes) and len(value) > LARGE:
                    told(self._read_all(names, answer))
                    return
                read = known[key] = self._decoded(key, value)
            found[key] = read
        told(found)

    async def _read_all(self, names: Mapping[str, Key], answer: Answer[Found]) -> dict[Key, Found]:
        found: dict[Key, Found] = {}
        for name, key in names.items():
            value = answer.values.get(name)
            if value is not None:
                read = answer.read.get(key)
                if read is None:
                    is_large = isinstance(value, bytes) and len(value) > LARGE
                    read = await asyncio.to_thread(self._decoded, key, value) if is_large else self._decoded(key, value)
                    answer.read[key] = read
                found[key] = read
        return found

    def _decoded(self, key: Key, value: Value) -> Found:
        try:
            if key == NUMBER_KEY and isinstance(value, int):
                return PurgeNumber(value)
            if not isinstance(value, bytes):
                raise DamagedRecordError("a number")
            return decode(key, value)
        except DamagedRecordError as error:
            self._guards.damaged(error)
            return StorageDamaged(str(error))


def _set(future: asyncio.Future[_Said], said: _Said) -> None:
    """Give a result to a future, unless nobody waits for it any more."""
    if not future.done():
        future.set_result(said)
