"""Which stored responses are there, when those that are hot in a storage are known here, too?

A request is answered from the copy of this process where that was confirmed a moment ago. Else the storage is asked,
once for all who want the same meanwhile, and what it says is good for the next moment.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial

from proxy.config.units import UnixTime
from proxy.errors import StorageError
from proxy.message.heads import Request
from proxy.policy.key import Distinctions, PrimaryKey
from proxy.policy.purging import Purge
from proxy.policy.stored import StoredResponse
from proxy.storage.asking import Key
from proxy.storage.batches import tell
from proxy.storage.leases import Leases
from proxy.storage.looking import settled
from proxy.storage.remote import RemoteResponses
from proxy.storage.responses import NotAtHand, Revision, StoredSought, VarySpecs
from proxy.storage.tier import Copy, Tier, VariedBy, sum_of, sums_of

_Told = Callable[[StoredSought], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, by what it is told apart from others, and who is to be told what it selects."""

    responses: RemoteResponses
    distinctions: Distinctions
    request: Request
    now: UnixTime
    told: _Told

    def key(self, primary: PrimaryKey, specs: VarySpecs) -> Key:
        """Return what stands for all requests that select the same where responses vary by these."""
        return VariedBy(specs, self.distinctions).key(primary, self.request)


@dataclass(slots=True)
class _LookUp:
    """A look-up that is on its way."""

    primary: PrimaryKey
    asked: _Asked
    began: float
    key: Key | None
    """What those who wait want, too; None: nobody can tell yet that he wants the same."""
    waiting: list[_Asked] = field(default_factory=list)


class TieredResponses:
    """Stored responses in a storage that has to be waited for, with a tier of copies in front of it."""

    immediate = True
    leases: Leases | None = None

    def __init__(
        self,
        behind: RemoteResponses,
        tier: Tier,
        distinctions: Distinctions,
        on_their_way: dict[Key, _LookUp] | None = None,
    ) -> None:
        """``behind`` is asked, and tells the tier of what changes by it."""
        self._behind = behind
        self._tier = tier
        self._distinctions = distinctions
        self._on_their_way: dict[Key, _LookUp] = {} if on_their_way is None else on_their_way

    # What is there.

    def select(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse:
        """Return what the request selects where that was confirmed a moment ago; else NotAtHand."""
        tier = self._tier
        key = tier.key(primary, request, self._distinctions)
        if key is not None:
            found = tier.find(key, now, tier.monotonic())
            # As it is after what was purged: a comparison, mostly.
            if found is not None and self._behind.trusted(primary, found, now) is found:
                tier.hits += 1
                return found
        raise NotAtHand

    def seek(self, primary: PrimaryKey, request: Request, now: UnixTime, told: _Told) -> None:
        """Say what the request selects, as the storage says it: who seeks has found nothing at hand."""
        key = self._tier.key(primary, request, self._distinctions)
        self._ask(
            _LookUp(primary, _Asked(self._behind, self._distinctions, request, now, told), self._tier.monotonic(), key)
        )

    def _ask(self, look: _LookUp) -> None:
        """Ask the storage, unless somebody is asking it for the same."""
        key = look.key
        if key is not None:
            other = self._on_their_way.get(key)
            if other is not None and self._tier.still_holds((sum_of(look.primary),), other.began, look.began):
                other.waiting.append(look.asked)
                return
            self._on_their_way[key] = look
        asked = look.asked
        self._behind.seek(look.primary, asked.request, asked.now, partial(self._sought, look))

    def _sought(self, look: _LookUp, sought: StoredSought) -> None:
        if isinstance(sought, Coroutine):
            look.asked.told(self._sought_later(look, sought))
            return
        try:
            look.asked.told(sought)
        finally:
            self._end(look, sought)

    async def _sought_later(
        self, look: _LookUp, sought: Coroutine[object, object, StoredResponse | None]
    ) -> StoredResponse | None:
        found: StoredResponse | StorageError | None = StorageError("the storage is being closed")
        try:
            found = await settled(sought)
        except StorageError as error:
            found = error
            raise
        finally:
            self._end(look, found)
        return found

    def _end(self, look: _LookUp, found: StoredResponse | StorageError | None) -> None:
        """Keep what was found, and tell those who waited for it."""
        if look.key is not None and self._on_their_way.get(look.key) is look:
            del self._on_their_way[look.key]
        if isinstance(found, StorageError):
            for one in look.waiting:
                # Of their own: what raises one writes into it.
                tell(one.told, copy(found))
            return
        sums = self._keep(look, found)
        specs = self._specs(look, found)
        wanted = look.asked.key(look.primary, specs)
        moment = self._tier.monotonic()
        for one in look.waiting:
            same = one.key(look.primary, specs) == wanted
            if same and self._tier.still_holds(sums, look.began, moment) and self._trusts(look.primary, found, one.now):
                tell(one.told, found)
            else:
                one.responses.seek(look.primary, one.request, one.now, partial(tell, one.told))

    def _keep(self, look: _LookUp, found: StoredResponse | None) -> tuple[int, ...]:
        """Keep what was found, if it is of use; return what stands for all that it depends on."""
        asked, primary = look.asked, look.primary
        sums = sums_of(primary, asked.request, found)
        varied = VariedBy(self._specs(look, found), asked.distinctions)
        if found is not None and found.fresh_until > asked.now and varied.covers(found):
            self._tier.keep(primary, asked.request, Copy(found, look.began, sums), varied)
        elif look.key is not None:
            self._tier.drop(look.key)
        return sums

    def _specs(self, look: _LookUp, found: StoredResponse | None) -> VarySpecs:
        plain = found is not None and not found.terms.vary
        return () if plain else self._behind.vary_specs(look.primary, look.asked.now)

    def _trusts(self, primary: PrimaryKey, found: StoredResponse | None, now: UnixTime) -> bool:
        return found is None or self._behind.trusted(primary, found, now) is found

    async def look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return what the storage says: who awaits it has seen something change."""
        look = _LookUp(
            primary, _Asked(self._behind, self._distinctions, request, now, _nobody), self._tier.monotonic(), None
        )
        found = await self._behind.look(primary, request, now)
        self._keep(look, found)
        return found

    def vary_specs(self, primary: PrimaryKey, now: UnixTime) -> VarySpecs:
        """Return what the resource's stored responses vary by, as far as it was seen."""
        return self._behind.vary_specs(primary, now)

    def tags(self, primary: PrimaryKey, now: UnixTime) -> Sequence[bytes]:
        """Return the tags by which the origin may name a variant, as far as they are known."""
        return self._behind.tags(primary, now)

    async def tagged(self, primary: PrimaryKey, request: Request, tag: bytes, now: UnixTime) -> StoredResponse | None:
        """Return the variant with this tag, as the storage has it."""
        return await self._behind.tagged(primary, request, tag, now)

    async def listed(self, primary: PrimaryKey, most: int, now: UnixTime) -> Sequence[StoredResponse]:
        """Return the resource's stored responses, as the storage has them."""
        return await self._behind.listed(primary, most, now)

    def told_apart_by(self, distinctions: Distinctions) -> TieredResponses:
        """Return the same stored responses, with these distinctions."""
        behind = self._behind.told_apart_by(distinctions)
        return TieredResponses(behind, self._tier, distinctions, self._on_their_way)

    # What is to be there: the storage tells the tier of it.

    def begun(self) -> RemoteResponses:
        """Return the same for what the origin is asked for now."""
        return self._behind.begun()

    def accepts(self, primary: PrimaryKey) -> bool:
        """Tell whether a response for this resource would be stored now."""
        return self._behind.accepts(primary)

    def store(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> bool:
        """Begin to store a response."""
        return self._behind.store(primary, request, stored, until, now)

    def revise(self, primary: PrimaryKey, request: Request, revision: Revision, now: UnixTime) -> None:
        """Begin to look at what the request selects and to store what follows."""
        self._behind.revise(primary, request, revision, now)

    def drop(self, primary: PrimaryKey, request: Request, stored: StoredResponse) -> None:
        """Begin to forget this stored response."""
        self._behind.drop(primary, request, stored)

    def invalidate(self, primary: PrimaryKey) -> bool:
        """Begin to forget every stored response of the resource."""
        return self._behind.invalidate(primary)

    def invalidate_group(self, group: PrimaryKey, now: UnixTime, *, known: bool = False) -> None:
        """Begin to forget every stored response in the group."""
        self._behind.invalidate_group(group, now, known=known)

    async def purge(self, purge: Purge, *, alone: bool) -> str | None:
        """Purge what is stored; copies are judged like what lies in the storage."""
        return await self._behind.purge(purge, alone=alone)


def _nobody(sought: StoredSought) -> None:
    """Nobody is told."""
    del sought
