"""What is to be forgotten, and could not be said to the storage yet?

It counts as gone meanwhile, and is said again each second, so that it does not come back with the storage. That lasts
as long as this process; other proxies on the same storage learn of it when it has been said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from itertools import islice
from typing import Generic, TypeVar

from proxy.config.units import UnixTime

_Key = TypeVar("_Key", bound=Hashable)

#: Seconds until it is said again.
_AGAIN = 1.0
#: Said at once.
_BATCH = 100
#: Kept; with more, nothing that was stored before is trusted any more.
_MOST = 10_000


class Debts(Generic[_Key]):
    """Keys that are to be forgotten."""

    def __init__(
        self,
        say: Callable[[list[_Key]], Awaitable[list[_Key]]],
        start: Callable[[Coroutine[object, object, None]], None],
        most: int = _MOST,
    ) -> None:
        """``say`` returns those keys of which the storage could be told; ``start`` runs what nobody waits for."""
        self._say = say
        self._start = start
        self._most = most
        self._keys: dict[_Key, int] = {}
        self._paying = False
        self._lost = False
        self._forgiven_from = UnixTime(float("-inf"))

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def owe(self, key: _Key, times: int = 1) -> None:
        """Have this forgotten, said so many times: twice where the storage may still do what would bring it back."""
        if key not in self._keys and len(self._keys) >= self._most:
            self._lost = True
            return
        self._keys[key] = max(times, self._keys.get(key, 0))
        if not self._paying:
            self._paying = True
            self._start(self._pay_until_done())

    def forgives(self, born: UnixTime, now: UnixTime) -> bool:
        """Tell whether what was generated then may be used, if more has been forgotten than there was room to note."""
        if self._lost:
            self._lost = False
            self._forgiven_from = now
        return born >= self._forgiven_from

    async def pay(self) -> int:
        """Say everything once; return how many could not be said."""
        keys = iter(list(self._keys))
        unsaid = 0
        while batch := list(islice(keys, _BATCH)):
            said = await self._say(batch)
            unsaid += len(batch) - len(said)
            for key in said:
                left = self._keys.pop(key, 0) - 1
                if left > 0:
                    self._keys[key] = left
        return unsaid

    async def _pay_until_done(self) -> None:
        try:
            while self._keys:
                await asyncio.sleep(_AGAIN)
                await self.pay()
        finally:
            self._paying = False
