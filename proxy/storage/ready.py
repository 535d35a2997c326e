"""What of a shared cache does this process have ready to be sent, and how is it known to be what lies there now?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import assert_never

from msgspec import Struct

from proxy.config.units import Bytes, UnixTime
from proxy.errors import StorageError
from proxy.policy.groups import may_be_grouped
from proxy.policy.key import PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.shared_marks import bucket_of
from proxy.storage.backends.shared_record import Entry, Kind, name_of
from proxy.storage.backends.shared_store import Read, SharedStore, Unread
from proxy.storage.codec import DamagedRecordError, GroupMark, PurgeNote, Record, Variant, VaryIndex, decode
from proxy.storage.later import LARGE, Key, Later
from proxy.storage.memory import PageMemory
from proxy.storage.numbers import Failure, Numbers
from proxy.storage.responses import NotAtHand
from proxy.storage.shared_storing import Place

#: The share of MAX_BYTES that all workers together may keep in its form for sending, and the most that it may be.
_SHARE = 16
_MOST = 16 * 2**20
#: One worker may keep so much, however many there are.
_LEAST = 2 * 2**20
#: What a record takes beside itself in that memory.
_KNOWN_BYTES = 120


class NotAtHandError(NotAtHand):
    """What lies under this key has to be brought first."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.key = key


class Known(Struct, eq=False, gc=False):
    """A record that was read, and how to know whether it is still the one."""

    record: Record
    bucket: int
    seen: int
    """The serial of its bucket from before it was read."""
    serial: int
    """Its own."""
    plain: StoredResponse | None
    """The record, where that is all there is to ask."""
    judged: int = -1
    """What the marks said of purges when it was found valid."""


def ready_bytes(most: int, workers: int) -> Bytes:
    """Return how much of a cache of this size each of so many workers may keep in its form for sending."""
    return Bytes(max(min(most // _SHARE, _MOST) // workers, _LEAST))


class Ready:
    """Records that were read from a shared cache, each with the serial of its bucket from before it was read."""

    def __init__(
        self,
        store: SharedStore,
        later: Later,
        make_key: Callable[[bytes], str],
        clock: Callable[[], UnixTime],
        numbers: Numbers,
        workers: int,
    ) -> None:
        """``make_key`` makes the key of the cache for one of ours; what ``later`` has comes before what lies there.

        As many ``workers`` keep records of it ready.
        """
        self._store = store
        self._later = later
        self._make_key = make_key
        self._memory = PageMemory(clock, max_bytes=ready_bytes(store.limits.max_bytes or 0, workers))
        self.kept = self._memory.kept
        """For those who look at every hit."""
        self.serials = store.file.marks.serials
        self.uses = store.file.marks.uses
        self.numbers = numbers
        """What became of what the cache was asked."""

    def peek(self, key: Key, now: UnixTime) -> Record | None:
        """Return what lies under a key, read again only where something in its bucket has changed.

        NotAtHandError when it is so large that reading it would keep the event loop: ``bring`` reads it then.
        """
        if self._later.waiting:
            waits, record = self._later.find(key)
            if waits:
                return record
        kept = self.kept.get(key)
        known: Known | None = None
        if kept is not None:
            known = kept.value  # type: ignore[assignment]  # nothing else is put there
        if kept is not None and known is not None and self.serials[known.bucket] == known.seen:
            if kept.until <= now:
                return None
            kept.used = True
            self.uses[known.bucket] = 1
            return known.record
        try:
            return self._read(key, now, known)
        except StorageError:
            self.numbers.errors[Failure.ERROR] += 1
            return None

    def _read(self, key: Key, now: UnixTime, known: Known | None) -> Record | None:
        place = self.at(key)
        bucket = bucket_of(place.name)
        seen = self.serials[bucket]
        read = self._store.read(place.name, place.data, Unread(-1 if known is None else known.serial, LARGE))
        if read is None or read.entry.until <= now or read.entry.kind is not Kind.RESPONSE:
            self._memory.drop(key)
            return None
        self.uses[bucket] = 1
        if known is not None and read.entry.serial == known.serial:
            # While a serial is odd, somebody is changing something: it says nothing about what was read.
            if not seen & 1:
                known.seen = seen
            return known.record
        if read.value is None:
            raise NotAtHandError(key)
        return self._take(key, place, read, seen)

    async def bring(self, key: Key) -> Record | None:
        """Read what is large in a thread."""
        place = self.at(key)
        seen = self.serials[bucket_of(place.name)]
        read = await asyncio.to_thread(self._store.read, place.name, place.data)
        return None if read is None else self._take(key, place, read, seen)

    def fetch(self, key: Key) -> Record | None:
        """Read what is large now."""
        place = self.at(key)
        seen = self.serials[bucket_of(place.name)]
        read = self._store.read(place.name, place.data)
        return None if read is None else self._take(key, place, read, seen)

    def _take(self, key: Key, place: Place, read: Read, seen: int) -> Record | None:
        try:
            record = decode(key, read.value or b"")
        except DamagedRecordError:
            self._store.damaged(place.name)
            return None
        if not seen & 1:
            self._note(key, record, (bucket_of(place.name), seen, read.entry.serial), read.entry.until)
        return record

    def note(self, key: Key, record: Record, entry: Entry) -> None:
        """Have ready what was written; to be called with the lock of the cache still held."""
        bucket = bucket_of(name_of(entry.key))
        self._note(key, record, (bucket, self.serials[bucket], entry.serial), entry.until)

    def _note(self, key: Key, record: Record, at: tuple[int, int, int], until: UnixTime) -> None:
        bucket, seen, serial = at
        plain = None
        if isinstance(record, StoredResponse) and not may_be_grouped(PrimaryKey(key), record):
            plain = record
        known = Known(record, bucket, seen, serial, plain)
        self._memory.put(key, known, _size(record) + _KNOWN_BYTES, until)

    def judged(self, key: Key, record: Record, says: int) -> None:
        """Remember that a record is valid, while the marks say this of purges."""
        kept = self.kept.get(key)
        known: Known | None = None
        if kept is not None:
            known = kept.value  # type: ignore[assignment]  # nothing else is put there
        if known is not None and known.record is record:
            known.judged = says

    def at(self, key: Key) -> Place:
        """Return where a record of ours lies; StorageError where the operator's function makes no key."""
        try:
            data = self._make_key(key).encode("utf-8", "surrogatepass")
        except Exception as error:
            raise StorageError(f"KEY_FUNCTION: {type(error).__name__}: {error}") from error
        return Place(key, data, name_of(data))


def _size(record: Record) -> int:
    """Return the memory that a record takes."""
    match record:
        case StoredResponse():
            return record.size()
        case Variant(response=response):
            return response.size() + 200
        case VaryIndex():
            return 500 + 100 * len(record.slots)
        case GroupMark() | PurgeNote():
            return 100
        case never:
            assert_never(never)
