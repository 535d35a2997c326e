"""Which storages that have to be waited for do tests ask? Small ones, which count their look-ups and fail on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.policy.key import Distinctions
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.locmem import LocMemCache
from proxy.storage.guard import Guards, Patience
from proxy.storage.remote import RemoteResponses
from tests.exchange.making import Clock

PURGES = f"page.{b'purge '.hex()}"
_TASKS: set[asyncio.Task[None]] = set()


def start(work: Coroutine[object, object, None]) -> None:
    """Run what nobody waits for."""
    task = asyncio.get_running_loop().create_task(work)
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


class Counting(LocMemCache):
    """A storage in memory, asked through the contract only."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock or Clock(), max_entries=None)
        self.trips: list[list[str]] = []
        """The keys of each look-up."""

    @property
    def pages(self) -> dict[str, Value]:
        """What is kept, but for what was purged."""
        return {key: slot[0] for key, slot in self._slots.items() if not key.startswith(PURGES)}

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        keys = list(keys)
        self.trips.append(keys)
        return await super().get_many(keys)


class Unreachable(Counting):
    """A storage whose server is gone, until it is back."""

    gone = True

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        found = await super().get_many(keys)
        if self.gone:
            raise StorageError("gone")
        return found

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        if self.gone:
            raise StorageError("gone")
        return await super().set(key, value, timeout)


class Damaged(Counting):
    """A storage that holds something else under every key."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        await super().get_many(keys)
        return dict.fromkeys(self.trips[-1], b"something else")


def guards(clock: Clock | None = None, **patience: Any) -> Guards:
    return Guards("default", Patience(**{"deadline": Seconds(60), **patience}), clock or Clock())


def remote(backend: Backend, guarded: Guards | None = None, variants: int = 128) -> RemoteResponses:
    """The stored responses in this backend, under keys that can be read."""
    return RemoteResponses(
        backend, guarded or guards(), lambda key: f"page.{key.hex()}", Distinctions(("_ga",)), variants, start
    )


def pages_of(backend: Counting) -> list[str]:
    """Return the names of the pages that lie there, without what is known of groups since they became invalid."""
    return [name for name in backend.pages if not bytes.fromhex(name.removeprefix("page.")).startswith(b"group ")]
