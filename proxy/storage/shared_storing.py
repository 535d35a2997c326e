"""What is written, in one step, where a response is stored in a shared cache?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec import Struct

from proxy.config.units import UnixTime
from proxy.policy.key import PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared_change import Ahead, Change
from proxy.storage.backends.shared_record import Entry, Kind
from proxy.storage.backends.shared_room import Making
from proxy.storage.backends.shared_store import SharedStore
from proxy.storage.codec import DamagedRecordError, GroupMark, Record, Variant, VaryIndex, decode, encode
from proxy.storage.later import Key, Waiting
from proxy.storage.slots import slot_key, with_variant

_FOREVER = UnixTime(float("inf"))


class Place(Struct, frozen=True, gc=False):
    """Where a record lies."""

    key: Key
    data: bytes
    """The key of the cache."""
    name: bytes


@dataclass(frozen=True, slots=True)
class What:
    """What is to be stored."""

    primary: PrimaryKey
    stored: StoredResponse
    until: UnixTime
    digest: str | None
    """Of its variant, where it varies."""
    max_variants: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for it."""

    since: int
    """The number of the last change that the origin may have known of."""
    limits: Limits
    now: UnixTime


class Storing:
    """One response, and what else is written with it: the index of its variants, and groups that nobody knows yet."""

    def __init__(self, what: What, groups: Sequence[Place], at: Callable[[Key], Place], terms: Terms) -> None:
        """``at`` says where a record lies."""
        self._what = what
        self._groups = groups
        self._at = at
        self._terms = terms
        self._primary = at(what.primary)
        self._data: bytes | None = None
        self.size = len(what.stored.body) + len(what.stored.head)
        self._making = Making(terms.limits, terms.now)
        self._ahead: Ahead | None = None
        self.refused = False
        """The resource was invalidated meanwhile."""
        self.written: list[tuple[Key, Record, Entry]] = []
        """What lies there now."""

    @property
    def waiting(self) -> Mapping[Key, Waiting]:
        """What counts as being there while it is not written; a variant is found with its index only."""
        if self._what.digest is not None:
            return {}
        return {self._what.primary: Waiting(self._what.stored, self._primary.name, self._terms.since)}

    def work(self, change: Change) -> None:
        """Write it in one step; what is long is written ahead by then."""
        what, place = self._what, self._primary
        self.written = []
        self.refused = change.is_outdated(place.name, self._terms.since)
        if self.refused:
            self._drop_ahead(change)
            return
        size = self.size if self._ahead is None else 0
        self._making.room(change, size, comes=change.find(place.name) is None)
        for group in self._groups:
            if change.find(group.name) is None:
                self._put(change, group, GroupMark.before(what.stored), _FOREVER)
        if what.digest is None:
            data = self._data or encode(what.primary, what.stored)
            entry = change.put(place.name, place.data, Kind.RESPONSE, data, what.until, self._ahead)
            self.written.append((what.primary, what.stored, entry))
        else:
            index, place = self._indexed(change, what.digest)
            self._put(change, place, Variant(index.generation, what.digest, what.stored), what.until)
            self._put(change, self._primary, index, _FOREVER)

    def run(self, store: SharedStore) -> None:
        """Write it in as many steps as it takes, so that none is long."""
        what = self._what
        if what.digest is None:
            self._data = encode(what.primary, what.stored)
            self._ahead = store.write_ahead(self._primary.name, self._data)
            store.change(self.work)
            return
        index, place = store.change(partial(self._indexed, digest=what.digest))
        self._data = encode(place.key, Variant(index.generation, what.digest, what.stored))
        self._ahead = store.write_ahead(place.name, self._data)
        store.change(partial(self._put_ahead, index=index, place=place))

    def _put_ahead(self, change: Change, index: VaryIndex, place: Place) -> None:
        """Write the record of a variant of which the pieces are there, unless all variants became others meanwhile."""
        digest = self._what.digest or ""
        there = self._index(change)
        now, here = self._indexed(change, digest)
        # Without an index there, it is the one that was made up before.
        is_another = change.find(self._primary.name) is not None and there.generation != index.generation
        if is_another or here.name != place.name or change.is_outdated(self._primary.name, self._terms.since):
            self._drop_ahead(change)
            return
        index = VaryIndex(index.generation, now.specs, now.slots, now.tags)
        self._making.room(change, 0, comes=change.find(place.name) is None)
        change.put(place.name, place.data, Kind.RESPONSE, self._data or b"", self._what.until, self._ahead)
        self._put(change, self._primary, index, _FOREVER)

    def _drop_ahead(self, change: Change) -> None:
        if self._ahead is not None:
            change.drop_ahead(self._ahead)

    def _indexed(self, change: Change, digest: str) -> tuple[VaryIndex, Place]:
        """Return the index with this variant, and where the variant lies by it."""
        what = self._what
        index = with_variant(self._index(change), what.stored, what.until, digest, what.max_variants)
        return index, self._at(slot_key(what.primary, digest, index, what.max_variants))

    def _index(self, change: Change) -> VaryIndex:
        entry = change.find(self._primary.name)
        if entry is not None and entry.kind is Kind.RESPONSE:
            try:
                record = decode(self._what.primary, change.value(entry, self._primary.name))
            except (DamagedRecordError, ValueError):
                record = None
            if isinstance(record, VaryIndex):
                return record
        return VaryIndex(os.urandom(8).hex().encode(), ())

    def _put(self, change: Change, place: Place, record: Record, until: UnixTime) -> None:
        entry = change.put(place.name, place.data, Kind.RESPONSE, encode(place.key, record), until)
        self.written.append((place.key, record, entry))
