"""Which keys are asked for together? Those that are wanted of a server in one turn of the event loop, within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from proxy.config.units import Bytes, Seconds
from proxy.errors import StorageError
from proxy.storage.backends.base import Value
from proxy.storage.guard import Guards, RestingError
from proxy.storage.numbers import Operation

_Read = TypeVar("_Read")
"""What those who asked make of a value."""
_Said = TypeVar("_Said")
_log = logging.getLogger("sitecache")

GetMany = Callable[[Iterable[str]], Coroutine[object, object, Mapping[str, Value]]]
Start = Callable[[Coroutine[object, object, None]], None]
"""Runs what nobody waits for, until it is done."""

MOST_KEYS = 64
"""What more is wanted in the same turn goes in another batch at the same time, over another connection."""
MOST_BYTES = Bytes(512 * 1024)
"""So many are expected of one batch, by what values of this storage were like; those who share it wait for all."""
#: A value of more bytes is asked for alone from then on.
_LARGE = 64 * 1024
#: Keys of which it is remembered whether their values are large.
_REMEMBERED = 20_000
#: The part that one value has in what the next is expected to be.
_WEIGHT = 1 / 64


@dataclass(slots=True)
class Answer(Generic[_Read]):
    """What a server said of the keys of one batch."""

    values: Mapping[str, Value]
    read: dict[bytes, _Read] = field(default_factory=dict)
    """What those who asked have read of it: the others need not read it again."""


@dataclass(slots=True)
class _Batch(Generic[_Read]):
    """What is going to be asked for at once, and who is waiting for it."""

    server: str
    deadline: Seconds | None
    since: float
    names: dict[str, None] = field(default_factory=dict)
    waiting: list[Callable[[Answer[_Read] | StorageError], None]] = field(default_factory=list)


class Batches(Generic[_Read]):
    """Collects what requests want of the servers of one storage, and asks."""

    def __init__(self, get_many: GetMany, guards: Guards, start: Start) -> None:
        self._get_many = get_many
        self._guards = guards
        self._start = start
        self._open: dict[tuple[str, Seconds | None], _Batch[_Read]] = {}
        self._usual = 4096.0
        self._alone: dict[str, bool] = {}
        """Of keys whose values were seen: are these to be asked for alone?"""

    def want(
        self,
        server: str,
        names: Iterable[str],
        told: Callable[[Answer[_Read] | StorageError], None],
        deadline: Seconds | None = None,
    ) -> None:
        """Ask a server for values, within the deadline from now; who wants them is told, later than this returns."""
        if True in map(self._alone.get, names):
            self._send(_Batch(server, deadline, self._guards.now(), dict.fromkeys(names), [told]))
            return
        place = server, deadline
        batch = self._open.get(place)
        if batch is None:
            if not self._open:
                asyncio.get_running_loop().call_soon(self._turn_ends)
            batch = self._open[place] = _Batch(server, deadline, self._guards.now())
        for name in names:
            batch.names[name] = None
        batch.waiting.append(told)
        if len(batch.names) >= MOST_KEYS or len(batch.names) * self._usual >= MOST_BYTES:
            self._send(self._open.pop(place))

    def _turn_ends(self) -> None:
        batches, self._open = self._open, {}
        for batch in batches.values():
            self._send(batch)

    def _send(self, batch: _Batch[_Read]) -> None:
        self._start(self._ask(batch))

    async def _ask(self, batch: _Batch[_Read]) -> None:
        """Ask for the values of a batch, and tell everybody."""
        waiting = batch.waiting
        try:
            values = await self._guards.run(
                Operation.GET,
                batch.server,
                partial(self._get_many, batch.names),
                batch.deadline,
                since=batch.since,
                callers=len(waiting),
            )
        except StorageError as error:
            if len(waiting) > 1 and not isinstance(error, RestingError):
                self._suspect(batch.names)
            for told in waiting:
                # Of their own: what raises one writes into it.
                tell(told, copy(error))
        except asyncio.CancelledError:
            for told in waiting:
                tell(told, StorageError("the storage is being closed"))
            raise
        else:
            self._weigh(values)
            answer: Answer[_Read] = Answer(values)
            for told in waiting:
                tell(told, answer)

    def _weigh(self, values: Mapping[str, Value]) -> None:
        """Learn how large values are."""
        alone, usual = self._alone, self._usual
        for name, value in values.items():
            size = len(value) if isinstance(value, bytes) else 0
            is_large = size > _LARGE
            usual += ((_LARGE if is_large else size) - usual) * _WEIGHT
            if alone.get(name) is not is_large:
                self._remember(name, alone=is_large)
        self._usual = usual

    def _suspect(self, names: Iterable[str]) -> None:
        """Ask alone for what nothing is known of: one may be to blame, and it is not to fail others again."""
        for name in names:
            if name not in self._alone:
                self._remember(name, alone=True)

    def _remember(self, name: str, *, alone: bool) -> None:
        self._alone[name] = alone
        if len(self._alone) > _REMEMBERED:
            del self._alone[next(iter(self._alone))]


def tell(told: Callable[[_Said], None], said: _Said) -> None:
    """Let one know; a fault in what it does then is not the others'."""
    try:
        told(said)
    except Exception as error:  # noqa: BLE001  it is logged, and nobody is there to catch it
        _log.error("an exchange failed, which is a fault of ours", exc_info=error)
