"""What does a request select of what was found under some keys, and what else has to be asked for to know it?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.config.units import UnixTime
from proxy.errors import StorageError
from proxy.message.heads import Request
from proxy.policy.groups import groups_of
from proxy.policy.key import PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.asking import Found, Key, Sought
from proxy.storage.codec import GroupMark, VaryIndex
from proxy.storage.responses import Selected, StoredSought, VarySpecs
from proxy.storage.slots import selected, slot_of


class Shelf(Protocol):
    """What a look-up needs of the stored responses."""

    async def get(self, keys: Collection[Key]) -> dict[Key, Found]:
        """Return what lies under these keys."""

    def places(
        self, primary: PrimaryKey, request: Request, specs: VarySpecs, index: VaryIndex | None
    ) -> Sequence[tuple[Key, str]]:
        """Return where the variants that the request selects would lie, and the digest of each."""

    def remember(self, primary: PrimaryKey, index: VaryIndex | None) -> None:
        """Know what lies under this key: a response, or an index."""

    def forget(self, primary: PrimaryKey) -> None:
        """Know nothing of the resource."""

    def learn(self, specs: VarySpecs) -> None:
        """Keep what responses vary by."""

    def trusted(self, primary: PrimaryKey, stored: StoredResponse, now: UnixTime) -> StoredResponse | None:
        """Return a response as it is after what was purged, unless it may be one of those that were to be forgotten."""

    def learning(self, found: dict[Key, Found], now: UnixTime) -> Coroutine[object, object, bool] | None:
        """Return what is to be awaited to know what was purged, if so; it tells whether all is known then."""

    def mark_of(self, group: PrimaryKey) -> GroupMark | None:
        """Return the mark of a group that is being made known."""


class Look(Struct, eq=False):
    """One look-up. What can be told at once is; for what takes another look, there is something to await."""

    shelf: Shelf
    primary: PrimaryKey
    request: Request
    now: UnixTime
    asked: Collection[Key]
    """What is asked for first: the primary key, and where the variants probably lie."""

    def sought(self, told: Callable[[StoredSought], None], at_hand: dict[Key, Found], sought: Sought) -> None:
        """Tell what the request selects of what was at hand and what came of asking for the rest."""
        seen: StoredSought
        if isinstance(sought, dict):
            try:
                seen = self.seen(at_hand | sought if at_hand else sought)
            except StorageError as error:
                seen = error
        else:
            seen = sought if isinstance(sought, StorageError) else self._seen_later(at_hand, sought)
        told(seen)

    def seen(self, found: dict[Key, Found]) -> Selected:
        """Return what the request selects of what was found; StorageError where that cannot be known."""
        learning = self.shelf.learning(found, self.now)
        return self._selected_of(found) if learning is None else self._learnt(learning, found)

    def _selected_of(self, found: dict[Key, Found]) -> Selected:
        shelf, primary = self.shelf, self.primary
        record = found.get(primary)
        if isinstance(record, StorageError):
            raise record
        if isinstance(record, StoredResponse):
            shelf.remember(primary, None)
            return self.valid(shelf.trusted(primary, record, self.now))
        if not isinstance(record, VaryIndex):
            shelf.forget(primary)
            return None
        shelf.remember(primary, record)
        shelf.learn(record.specs)
        places = shelf.places(primary, self.request, record.specs, record)
        # Those that were not guessed right.
        asked = self.asked
        if missing := [key for key, digest in places if key not in asked and slot_of(record, digest) is not None]:
            return self._seen_with(missing, found)
        variant = selected(record, [(found.get(key), digest) for key, digest in places])
        return None if variant is None else self.valid(shelf.trusted(primary, variant, self.now))

    def valid(self, stored: StoredResponse | None) -> Selected:
        """Return a response, unless one of its groups has become invalid since; it takes another look to know."""
        groups = () if stored is None else groups_of(self.primary, self.request, stored)
        return stored if stored is None or not groups else self._valid_in(groups, stored)

    async def _seen_later(
        self, at_hand: dict[Key, Found], sought: Coroutine[object, object, dict[Key, Found]]
    ) -> StoredResponse | None:
        return await settled(self.seen(at_hand | await sought))

    async def _seen_with(self, missing: Sequence[Key], found: dict[Key, Found]) -> StoredResponse | None:
        self.asked = (*self.asked, *missing)
        return await settled(self._selected_of(found | await self.shelf.get(missing)))

    async def _learnt(
        self, learning: Coroutine[object, object, bool], found: dict[Key, Found]
    ) -> StoredResponse | None:
        """Return what the request selects once it is known what was purged; until then nothing is of use."""
        return await settled(self._selected_of(found)) if await learning else None

    async def _valid_in(self, groups: Sequence[PrimaryKey], stored: StoredResponse) -> StoredResponse | None:
        found = await self.shelf.get(groups)
        for group in groups:
            mark = found.get(group) or self.shelf.mark_of(group)
            if not isinstance(mark, GroupMark) or mark.until >= stored.terms.born:
                return None
        return stored


async def settled(seen: StoredSought) -> StoredResponse | None:
    """Return what a request selects, when all is known; StorageError where it cannot be."""
    if isinstance(seen, StorageError):
        raise seen
    return await seen if isinstance(seen, Coroutine) else seen
