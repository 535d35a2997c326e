"""Which stored responses are there, when they lie in memory that all workers share?

A hit needs no await, and reads nothing but memory of this process: what was read once is kept in its form for sending,
together with the serial of its bucket (``backends/shared_marks.py``), which changes in all workers at once when one of
them changes something. Nothing old is ever served for being known already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.errors import StorageError
from proxy.message.heads import Request
from proxy.policy.groups import groups_of
from proxy.policy.key import Distinctions, PrimaryKey, variant_key
from proxy.policy.purging import Purge
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.shared_change import Change
from proxy.storage.backends.shared_file import BusyError
from proxy.storage.backends.shared_marks import PURGES
from proxy.storage.backends.shared_record import Kind
from proxy.storage.backends.shared_store import SharedStore
from proxy.storage.codec import GroupMark, Record, Variant, VaryIndex, encode
from proxy.storage.later import BRIEFLY, LARGE, Key, Later
from proxy.storage.numbers import Failure, Numbers, Room
from proxy.storage.ready import Known, NotAtHandError, Ready
from proxy.storage.responses import Immediate, Revision, StoredSought, VarySpecs
from proxy.storage.shared_purges import SharedPurges
from proxy.storage.shared_storing import Storing, Terms, What
from proxy.storage.slots import (
    digest_of,
    keys_of,
    place_of,
    selected,
    slot_key,
    slot_of,
    tagged,
    tags_of,
    variants_of,
)

_FOREVER = UnixTime(float("inf"))
_NOTHING: Mapping[Key, Record | None] = {}
_REVISE_PATIENCE = Seconds(0.01)


class SharedResponses(Immediate):
    """Stored responses in a shared cache."""

    def __init__(
        self,
        store: SharedStore,
        make_key: Callable[[bytes], str],
        distinctions: Distinctions,
        max_variants: int,
        clock: Callable[[], UnixTime],
        workers: int = 1,
    ) -> None:
        """``make_key`` makes the key of the cache for one of ours; as many ``workers`` as these share it."""
        self._store = store
        self.leases = store.leases
        self._distinctions = distinctions
        self._max_variants = max_variants
        self._numbers = Numbers()
        self._later = Later(store, self._numbers)
        self._waiting = self._later.waiting
        self._ready = Ready(store, self._later, make_key, clock, self._numbers, workers)
        self._peek = self._ready.peek
        self._kept = self._ready.kept
        self._serials = self._ready.serials
        self._uses = self._ready.uses
        self._purges = SharedPurges(store)
        self._words = store.file.marks.words
        self._since: int | None = None
        """What is stored is outdated where its resource was invalidated after this change."""

    # What is there.

    def select(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return the stored response that the request selects, the latest where several would do."""
        kept = self._kept.get(primary)
        # What is on its way to the storage counts before what lies there.
        if kept is not None and kept.until > now and not self._waiting:
            known: Known = kept.value  # type: ignore[assignment]  # nothing else is put there
            is_judged = known.judged == self._words[PURGES]
            if is_judged and self._serials[known.bucket] == known.seen and known.plain is not None:
                kept.used = True
                if not self._uses[known.bucket]:
                    self._uses[known.bucket] = 1
                return known.plain
        return self._select(primary, request, now)

    def _select(
        self, primary: PrimaryKey, request: Request, now: UnixTime, brought: Mapping[Key, Record | None] = _NOTHING
    ) -> StoredResponse | None:
        record = brought[primary] if primary in brought else self._peek(primary, now)
        if isinstance(record, VaryIndex):
            found = []
            for spec in record.specs:
                digest = digest_of(variant_key(primary, spec, request, self._distinctions))
                if slot_of(record, digest) is not None:
                    slot = slot_key(primary, digest, record, self._max_variants)
                    found.append((brought[slot] if slot in brought else self._peek(slot, now), digest))
            record = selected(record, found)
        if not isinstance(record, StoredResponse):
            return None
        valid = self._valid(primary, request, record, now)
        if valid is record:
            self._ready.judged(primary, record, self._purges.seen)
        return valid

    def _valid(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, now: UnixTime
    ) -> StoredResponse | None:
        """Return a response as it is after all purges, unless one of its groups has become invalid since."""
        for group in groups_of(primary, request, stored):
            mark = self._peek(group, now)
            if not isinstance(mark, GroupMark) or mark.until >= stored.terms.born:
                return None
        return self._purges.judge(primary, stored, now)

    async def look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return what ``select`` returns, and read what is large in a thread."""
        brought: dict[Key, Record | None] = {}
        while True:
            try:
                return self._select(primary, request, now, brought)
            except NotAtHandError as away:
                brought[away.key] = await self._ready.bring(away.key)

    def seek(self, primary: PrimaryKey, request: Request, now: UnixTime, told: Callable[[StoredSought], None]) -> None:
        """Say what ``select`` returns, or what is to be awaited to know it."""
        try:
            sought: StoredSought = self.select(primary, request, now)
        except NotAtHandError:
            sought = self.look(primary, request, now)
        told(sought)

    def vary_specs(self, primary: PrimaryKey, now: UnixTime) -> VarySpecs:
        """Return what the resource's stored responses vary by."""
        try:
            record = self._peek(primary, now)
        except NotAtHandError:
            # Indexes are small.
            return ((),)
        if isinstance(record, VaryIndex):
            return record.specs
        return () if record is None else ((),)

    def tags(self, primary: PrimaryKey, now: UnixTime) -> Sequence[bytes]:
        """Return the tags by which the origin may name a variant of the resource."""
        try:
            record = self._peek(primary, now)
        except NotAtHandError:
            return ()
        return tags_of(record, now) if isinstance(record, VaryIndex) else ()

    async def tagged(self, primary: PrimaryKey, request: Request, tag: bytes, now: UnixTime) -> StoredResponse | None:
        """Return the variant with this tag."""
        index = await self._brought(primary, now)
        place = place_of(primary, tag, index, self._max_variants) if isinstance(index, VaryIndex) else None
        variant = None if place is None else tagged(index, await self._brought(place, now), tag)
        return None if variant is None else self._valid(primary, request, variant, now)

    async def listed(self, primary: PrimaryKey, most: int, now: UnixTime) -> Sequence[StoredResponse]:
        """Return the resource's stored responses."""
        record = await self._brought(primary, now)
        if isinstance(record, StoredResponse):
            found = [record]
        elif isinstance(record, VaryIndex):
            found = variants_of(record, [await self._brought(key, now) for key in keys_of(primary, record)[:most]])
        else:
            return ()
        judged = [self._purges.judge(primary, one, now) for one in found]
        return [one for one in judged if one is not None]

    async def _brought(self, key: Key, now: UnixTime) -> Record | None:
        try:
            return self._peek(key, now)
        except NotAtHandError:
            return await self._ready.bring(key)

    def told_apart_by(self, distinctions: Distinctions) -> SharedResponses:
        """Return the same stored responses, with these distinctions."""
        return _Alike(self, _distinctions=distinctions)

    # What is to be there.

    def begun(self) -> SharedResponses:
        """Return the same for what the origin is asked for now: what is invalidated from now on is not stored by it."""
        try:
            return _Alike(self, _since=self._store.number())
        except StorageError:
            return self

    def accepts(self, primary: PrimaryKey) -> bool:
        """Tell whether a response would be stored now."""
        del primary
        return self._later.accepts

    def store(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> bool:
        """Store a response in the place of the one it replaces."""
        if not self._later.accepts:
            return False
        try:
            storing = self._storing(primary, request, stored, until, now)
        except StorageError:
            self.numbers.errors[Failure.ERROR] += 1
            return False
        if self._waiting or storing.size > LARGE:
            self._later.queue(storing.waiting, storing.size, storing.run)
            return True
        try:
            # What is remembered is what was written: nobody can change it in between.
            with self._store.file.locked(BRIEFLY):
                self._store.change(storing.work)
                for key, record, entry in storing.written:
                    self._ready.note(key, record, entry)
        except BusyError:
            self._later.queue(storing.waiting, storing.size, storing.run)
        except StorageError as error:
            self._later.not_stored(error)
            return False
        return not storing.refused

    def _storing(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> Storing:
        spec = stored.terms.vary
        digest = digest_of(variant_key(primary, spec, request, self._distinctions)) if spec else None
        groups = [self._ready.at(key) for key in groups_of(primary, request, stored)]
        what = What(primary, stored, until, digest, self._max_variants)
        since = self._store.number() if self._since is None else self._since
        # Changes have their numbers in one row with purges.
        stored.number = min(stored.number, since)
        return Storing(what, groups, self._ready.at, Terms(since, self._store.limits, now))

    def revise(self, primary: PrimaryKey, request: Request, revision: Revision, now: UnixTime) -> None:
        """Store what follows from what the request selects, while nobody else changes anything."""
        try:
            with self._store.file.locked(_REVISE_PATIENCE):
                revised = revision(self._select_now(primary, request, now), self.vary_specs(primary, now))
                if revised is not None:
                    self.store(primary, request, *revised, now)
        except StorageError:
            # A part more or less: it is asked for again.
            return

    def _select_now(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        brought: dict[Key, Record | None] = {}
        while True:
            try:
                return self._select(primary, request, now, brought)
            except NotAtHandError as away:
                brought[away.key] = self._ready.fetch(away.key)

    def drop(self, primary: PrimaryKey, request: Request, stored: StoredResponse) -> None:
        """Forget this stored response, unless another has taken its place."""
        key: Key = primary
        try:
            if stored.terms.vary:
                index = self._peek(primary, UnixTime(0))
                if not isinstance(index, VaryIndex):
                    return
                digest = digest_of(variant_key(primary, stored.terms.vary, request, self._distinctions))
                key = slot_key(primary, digest, index, self._max_variants)
            found = self._peek(key, UnixTime(0))
        except NotAtHandError as away:
            # It is what was read lately, and so it is this one; else it is asked for again.
            self._forget(away.key)
            return
        lies = found.response if isinstance(found, Variant) else found
        if isinstance(lies, StoredResponse) and (lies.head, lies.terms) == (stored.head, stored.terms):
            self._forget(key)

    def _forget(self, key: Key) -> None:
        with suppress(StorageError):
            name = self._ready.at(key).name
            self._later.forget(key, name, lambda change: change.delete(name))

    def invalidate(self, primary: PrimaryKey) -> bool:
        """Forget every stored response of the resource, and whatever was asked for until now (RFC 9111 §4.4).

        Without their index, variants are not found.
        """
        try:
            name = self._ready.at(primary).name
        except StorageError:
            # Nor can it have been stored.
            return False
        there = primary in self._kept or primary in self._waiting or self._store.find(name) is not None

        def work(change: Change) -> None:
            change.stamp(name)
            change.delete(name)

        self._later.forget(primary, name, work)
        return there

    def invalidate_group(self, group: PrimaryKey, now: UnixTime, *, known: bool = False) -> None:
        """Forget every stored response in the group, however many they are, by one mark."""
        del known  # other workers may have some on their way
        try:
            place = self._ready.at(group)
        except StorageError:
            return
        written = encode(group, GroupMark(now))
        self._later.forget(
            group, place.name, lambda change: change.put(place.name, place.data, Kind.RESPONSE, written, _FOREVER)
        )

    async def purge(self, purge: Purge, *, alone: bool) -> None:
        """Purge what is stored, for all workers at once."""
        if not alone:
            await self._purges.purge(purge)

    # From one configuration to the next, and to the end.

    @property
    def is_busy(self) -> bool:
        """Tell whether there is something that is still to be changed."""
        return self._later.is_busy

    async def prepare(self) -> None:
        """There is nothing to learn."""

    async def finish(self) -> None:
        """Let what is on its way arrive."""
        await self._later.finish()

    # What the metrics page reads.

    @property
    def numbers(self) -> Numbers:
        """What became of what it was asked."""
        return self._numbers

    @property
    def resting(self) -> Mapping[str, bool]:
        """It has no servers."""
        return {}

    @property
    def damaged(self) -> int:
        """Values that were not what had been written."""
        return self._store.damages

    @property
    def owed(self) -> int:
        """Nothing is: what cannot be forgotten at once takes everything with it."""
        return 0

    @property
    def held(self) -> tuple[int, Bytes]:
        """Values of all workers, and what they take."""
        return self._store.held

    @property
    def limits(self) -> tuple[int | None, Bytes | None]:
        """How many values there may be, and what its file never outgrows."""
        return self._store.limits.max_entries, Bytes(self._store.limits.max_bytes or 0)

    @property
    def evictions(self) -> Mapping[Room, int]:
        """Values that this process took away to make room."""
        return self._store.evictions


class _Alike(SharedResponses):
    """The stored responses of another, with something of its own; whatever changes, changes for both."""

    def __init__(self, other: SharedResponses, **own: object) -> None:
        self.__dict__ = {**other.__dict__, **own}
