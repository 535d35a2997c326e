"""What was purged of a storage that others use too, and how does everybody learn of it?

Purges are counted in the storage, and each lies there under its number. The count is read together with what is looked
for, so that a purge holds from the next look-up on, wherever that is made; the purges that are not known yet are read
then, too. A count that is gone is begun anew above all former ones, and what was stored under those is gone with it:
nothing that was purged comes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.policy.key import PrimaryKey
from proxy.policy.purging import MOST_RULES, Kind, Purge, PurgeLog, Rule
from proxy.policy.stored import LATEST, StoredResponse
from proxy.storage.asking import NUMBER_KEY, Asking, Found, Key, PurgeNumber
from proxy.storage.backends.base import Backend
from proxy.storage.batches import Start
from proxy.storage.codec import PurgeNote, encode
from proxy.storage.guard import Guards
from proxy.storage.numbers import Operation

_log = logging.getLogger("sitecache")
_Result = TypeVar("_Result")

_DEADLINE = Seconds(2)
#: A purge whose number is there and which is not: its writer may be on the way for so long. Then it counts as one of
#: everything.
_PATIENCE = Seconds(5)
#: A count that is smaller than it was comes from a replica that is behind, or the storage has lost something.
_BEHIND = Seconds(60)
_AGAIN = Seconds(1)
#: Purges read at once.
_CHUNK = 200
#: Purges that the storage could not be told; with more, everything is purged when it can be.
_MOST_OWED = 1000
UNNUMBERED = LATEST - 1
"""The number of what was asked for while no count was known, until one is."""
_EVERYTHING = Purge((Rule(Kind.ALL),))


def purge_key(number: int) -> PrimaryKey:
    """Return the key that a purge lies under; no resource has it, for theirs begin with a number."""
    return PrimaryKey(b"purge %d" % number)


class RemotePurges:
    """The purges of one storage, as far as this process knows them."""

    def __init__(self, backend: Backend, guards: Guards, asking: Asking, start: Start) -> None:
        """``start`` runs what nobody waits for."""
        self._backend = backend
        self._guards = guards
        self._asking = asking
        self._start = start
        self._purged = PurgeLog()
        self._own: dict[int, Purge] = {}
        """Those of this process that lie in the storage, until they are known like all others."""
        self._owed: list[Purge] = []
        self._apart: PurgeLog | None = None
        """Those that this process goes by whatever their number."""
        self._paying = False
        self._attempt: asyncio.Event | None = None
        self._beginning = False
        self._began = 0
        """The number that this process has begun to count with."""
        self._missing = (0, 0.0)
        """The number of a purge that could not be read, and since when."""
        self._behind_since: float | None = None
        self.clock: Callable[[], UnixTime] | None = None
        """Tells the time where no request does."""
        self.heard: Callable[[Purge], None] = _nobody
        """Is told of each purge that becomes known."""

    @property
    def number(self) -> int:
        """Return the number of the latest purge that is known; 0 while nothing is."""
        return self._purged.number

    @property
    def owed(self) -> int:
        """Purges that the storage could not be told yet."""
        return len(self._owed)

    # What is still valid.

    def judge(self, primary: PrimaryKey, stored: StoredResponse, now: UnixTime) -> StoredResponse | None:
        """Return a stored response as it is after all purges that are known; None where it is gone."""
        purged = self._purged
        if UNNUMBERED > stored.number > purged.number > 0:
            # Stored after a purge that is not known here; or under a count that was lost.
            return None
        judged = purged.judge(primary, stored, now)
        if judged is None or self._apart is None:
            return judged
        return self._apart.judge_regardless(primary, judged, now)

    def learning(self, found: Mapping[Key, Found], now: UnixTime) -> Coroutine[object, object, bool] | None:
        """Return what is to be awaited before what was found can be judged: it tells whether it can be then.

        Where the count cannot be read, what is known holds: nobody else could have counted a purge there either.
        """
        said = found.get(NUMBER_KEY)
        if type(said) is PurgeNumber:
            if said.number == self._purged.number:
                self._behind_since = None
                return None
            return self._learn_soon(said.number) if said.number > self._purged.number else self._behind(now)
        return self._begin_soon(now) if said is None else None

    async def _learn_soon(self, number: int) -> bool:
        """Wait for what was purged, for as long as a request may wait for a storage."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._guards.deadline):
                await self.learn(number)
        return number <= self._purged.number

    async def _begin_soon(self, now: UnixTime) -> bool:
        """Have the counting begun; nobody waits for it."""
        if not self._beginning:
            self._beginning = True
            self._start(self._begin_once(now))
        return False

    async def _begin_once(self, now: UnixTime) -> None:
        try:
            await self._begin(now)
        finally:
            self._beginning = False

    def _behind(self, now: UnixTime) -> Coroutine[object, object, bool] | None:
        moment = self._guards.now()
        if self._behind_since is None:
            self._behind_since = moment
        if moment - self._behind_since < _BEHIND:
            return None
        self._behind_since = None
        return self._begin(now, anew=True)

    # Learning.

    async def prepare(self, said: Found | None) -> None:
        """Know what was purged before the first look-up, as the count says that was found."""
        if isinstance(said, PurgeNumber):
            await self.learn(said.number)
        elif said is None and self.clock is not None:
            await self._begin(self.clock())

    async def ensure(self, now: UnixTime) -> int:
        """Return the number of the latest purge, also where none was known; StorageError where it cannot be known."""
        if not self._purged.number:
            said = (await self._asking.ask([NUMBER_KEY], _DEADLINE)).get(NUMBER_KEY)
            if isinstance(said, PurgeNumber):
                await self.learn(said.number)
            elif said is None:
                await self._begin(now)
            if not self._purged.number:
                raise StorageError("it cannot be told what was purged")
        return self._purged.number

    async def number_of(self, stored: StoredResponse, now: UnixTime) -> int:
        """Return the number of what was to be stored while none was known; StorageError where it has none.

        What was asked for while none was known is valid only if this process has begun to count since then.
        """
        number = await self.ensure(now)
        if stored.number == UNNUMBERED:
            number = self._began
        if not number:
            raise StorageError("it may have been purged meanwhile")
        return number

    async def learn(self, number: int) -> bool:
        """Read the purges up to this number; tell whether they are known now. Nobody asks twice at the same time."""
        if number > self._purged.number:
            if self._attempt is None:
                self._attempt = asyncio.Event()
                self._start(self._try(number, self._attempt))
            await self._attempt.wait()
        return number <= self._purged.number

    async def _try(self, number: int, attempt: asyncio.Event) -> None:
        try:
            await self._read(number)
        except StorageError:
            # The next look-up tries again.
            return
        finally:
            self._attempt = None
            attempt.set()

    async def _read(self, number: int) -> None:
        purged = self._purged
        if number - purged.number > 1:
            # Where the counting began stands in each of them.
            latest = (await self._notes([number])).get(number)
            if latest is None:
                self._miss(number)
                return
            if latest.begins > purged.number:
                purged.raise_floor(latest.begins)
                self.heard(_EVERYTHING)
        if number - purged.number > MOST_RULES:
            purged.raise_floor(number - MOST_RULES)
        while purged.number < number:
            numbers = range(purged.number + 1, min(number, purged.number + _CHUNK) + 1)
            notes = await self._notes(numbers)
            for each in numbers:
                note = notes.get(each)
                if note is None:
                    if not self._miss(each):
                        return
                else:
                    self._know(each, note)

    async def _notes(self, numbers: Sequence[int]) -> dict[int, PurgeNote]:
        own = {number: PurgeNote(0, self._own[number]) for number in numbers if number in self._own}
        keys = {purge_key(number): number for number in numbers if number not in own}
        found = await self._asking.ask(keys, _DEADLINE) if keys else {}
        return own | {keys[PrimaryKey(key)]: note for key, note in found.items() if isinstance(note, PurgeNote)}

    def _know(self, number: int, note: PurgeNote) -> None:
        self._purged.add(note.purge, number)
        self._set_apart()
        self.heard(note.purge)

    def _miss(self, number: int) -> bool:
        """Do without a purge that cannot be read: after some time it counts as one of everything; tell whether so."""
        moment = self._guards.now()
        if self._missing[0] != number:
            self._missing = (number, moment)
        if moment - self._missing[1] < _PATIENCE:
            return False
        self._purged.raise_floor(number)
        self.heard(_EVERYTHING)
        return True

    async def _begin(self, now: UnixTime, *, anew: bool = False) -> bool:
        """Begin to count, above all that was counted before; tell whether what was purged is known then."""
        number = max(int(now * 1_000_000), self._purged.number + 1)
        try:
            if anew:
                await self._run(NUMBER_KEY, lambda name: self._backend.set(name, number, None))
            elif not await self._run(NUMBER_KEY, lambda name: self._backend.add(name, number, None)):
                said = (await self._asking.ask([NUMBER_KEY], _DEADLINE)).get(NUMBER_KEY)
                return isinstance(said, PurgeNumber) and await self.learn(said.number)
            await self._write(number, _EVERYTHING, begins=number)
        except StorageError:
            return False
        if self._purged.number:
            _log.warning("the storage has lost what was purged: all that it holds is passed over")
        self._purged.raise_floor(number)
        self._began = number
        self._set_apart()
        self.heard(_EVERYTHING)
        return True

    # Purging.

    async def purge(self, purge: Purge) -> str | None:
        """Purge for everybody who uses the storage; return why it could not be told, where this process is alone."""
        try:
            number = await self._tell(purge)
        except StorageError as error:
            self.owe(purge)
            return str(error) or type(error).__name__
        await self.learn(number)
        return None

    async def _tell(self, purge: Purge) -> int:
        number = await self._count(purge.at)
        if number is None:
            # One rule cannot be told from the next: each purge is of everything.
            if not await self._begin(purge.at, anew=True):
                raise StorageError("it does not keep what was purged")
            return self._purged.number
        await self._write(number, purge, begins=self._purged.floor)
        self._own[number] = purge
        self._set_apart()
        self._start(self._forget(purge_key(number - MOST_RULES)))
        return number

    async def follow(self, purge: Purge) -> None:
        """Know of a purge that somebody has told the storage just now, at once."""
        try:
            said = (await self._asking.ask([NUMBER_KEY], _DEADLINE)).get(NUMBER_KEY)
        except StorageError:
            said = None
        if not isinstance(said, PurgeNumber) or not await self.learn(said.number):
            self.owe(purge)

    def owe(self, purge: Purge) -> None:
        """Go by a purge that the storage could not be told, and tell it when it is back."""
        if len(self._owed) >= _MOST_OWED:
            self._owed = [_EVERYTHING]
        else:
            self._owed.append(purge)
        self._set_apart()
        if not self._paying:
            self._paying = True
            self._start(self._pay_until_done())

    async def pay(self) -> int:
        """Tell the storage everything once; return how much could not be told."""
        while self._owed:
            purge = self._owed[0]
            try:
                await self._tell(purge)
            except StorageError:
                break
            if purge in self._owed:
                self._owed.remove(purge)
            self._set_apart()
        return len(self._owed)

    async def _pay_until_done(self) -> None:
        try:
            while self._owed:
                await asyncio.sleep(_AGAIN)
                await self.pay()
        finally:
            self._paying = False

    def _set_apart(self) -> None:
        """Go by those apart from all others that these do not hold yet."""
        self._own = {number: purge for number, purge in self._own.items() if number > self._purged.number}
        apart = [*self._owed, *self._own.values()]
        self._apart = PurgeLog() if apart else None
        for purge in apart:
            if self._apart is not None:
                self._apart.add(purge)

    async def _count(self, now: UnixTime) -> int | None:
        """Return the number of a purge that is made now; None where the storage does not know how to count."""
        await self.ensure(now)
        for _ in range(2):
            counted = await self._run(NUMBER_KEY, self._counted)
            if isinstance(counted, int):
                return counted
            if isinstance(counted, NotImplementedError):
                return None
            # Gone, or not ours.
            await self._begin(now, anew=not isinstance(counted, KeyError))
        raise StorageError("it does not keep the count of purges")

    async def _counted(self, name: str) -> int | Exception:
        try:
            return await self._backend.incr(name, 1)
        except (KeyError, TypeError, OverflowError, NotImplementedError) as error:
            return error

    async def _write(self, number: int, purge: Purge, *, begins: int) -> None:
        key = purge_key(number)
        data = encode(key, PurgeNote(begins, purge))
        if not await self._run(key, lambda name: self._backend.set(name, data, None)):
            raise StorageError("it does not keep what was purged")

    async def _forget(self, key: PrimaryKey) -> None:
        try:
            await self._run(key, self._backend.delete)
        except StorageError:
            return

    async def _run(self, key: PrimaryKey, work: Callable[[str], Coroutine[object, object, _Result]]) -> _Result:
        name = self._asking.name(key)
        server = self._backend.server_of(name, writing=True)
        return await self._guards.run(Operation.SET, server, partial(work, name), _DEADLINE)


def _nobody(purge: Purge) -> None:
    """Nobody has to know."""
    del purge
