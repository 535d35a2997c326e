"""What is written, in one step, where a response is stored in a shared cache?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxy.config.units import UnixTime
from proxy.policy.key import PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared_change import Change
from proxy.storage.backends.shared_record import Entry, Kind
from proxy.storage.codec import DamagedRecordError, GroupMark, Record, Variant, VaryIndex, decode, encode
from proxy.storage.later import Key, Waiting
from proxy.storage.slots import slot_key, with_variant

_FOREVER = UnixTime(float("inf"))


@dataclass(frozen=True, slots=True)
class Place:
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
        self._data = b"" if what.digest is not None else encode(what.primary, what.stored)
        self.size = len(what.stored.body) + len(what.stored.head)
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
        """Write it."""
        self.written = []
        self.refused = change.is_outdated(self._primary.name, self._terms.since)
        if self.refused:
            return
        entries = change.entries if change.find(self._primary.name) is None else None
        change.make_room(self.size, entries, self._terms.limits, self._terms.now)
        for group in self._groups:
            if change.find(group.name) is None:
                self._put(change, group, GroupMark.before(self._what.stored), _FOREVER)
        if self._what.digest is None:
            entry = change.put(self._primary.name, self._primary.data, Kind.RESPONSE, self._data, self._what.until)
            self.written.append((self._what.primary, self._what.stored, entry))
        else:
            self._put_variant(change, self._what.digest)

    def _put_variant(self, change: Change, digest: str) -> None:
        what = self._what
        index = with_variant(self._index(change), what.stored, what.until, digest, what.max_variants)
        place = self._at(slot_key(what.primary, digest, index, what.max_variants))
        self._put(change, place, Variant(index.generation, digest, what.stored), what.until)
        # The index has to outlive each variant, and is small.
        self._put(change, self._primary, index, _FOREVER)

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
