"""What is written into a shared cache in one step?

The database uses the pages that a step has freed only after the next step: a step that freed many would leave the next
ones none. So each step writes and frees few: the pieces of a long value are written ahead of its record, some in each
step, and those of one that is gone are removed by later steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import lmdb
from msgspec.structs import replace

from proxy.config.units import UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.shared_file import Environment, first_of
from proxy.storage.backends.shared_marks import BYTES, ENTRIES, EVICTED, Marks, bucket_of
from proxy.storage.backends.shared_record import (
    BrokenValueError,
    Entry,
    Kind,
    Queue,
    checksum_of,
    is_inline,
    joined,
    pack,
    piece_key,
    pieces_in,
    pieces_of,
    unpack,
)
from proxy.storage.numbers import Room

_PAGE = 4096
PURGED_KEY = b"purged"
"""Under it lies the place of the latest purge that is not kept any more."""
_PURGE = b"purge "
#: The trees, and what else lies beside the purges, are not more than that.
_NO_PURGES = 16
NUMBER_KEY = b"number"
"""Under it lies the number that was given out last."""
STEP = 48
"""Pages, about, that a step writes or frees."""
#: Pieces of a value that is removed at once.
_FEW = 4


class FullError(StorageError):
    """There is no room for the value, however much is evicted."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A long value of which the pieces are written already."""

    serial: int


class Change:
    """One step: all of it becomes true at once, or nothing."""

    def __init__(self, environment: Environment, txn: lmdb.Transaction[bytes], marks: Marks, room: int) -> None:
        """``room`` is how many bytes of the file may be in use when it ends."""
        self._at = environment
        self._txn = txn
        self.room = room
        self.marks = marks
        self.touched: set[int] = set()
        """Buckets of keys of which something has changed."""
        self.evicted: list[bytes] = []
        """Names of what went to make room without having been used."""
        self.spent = 0
        """Pages that it has freed, about."""
        self.evictions: Counter[Room] = Counter()
        """Values that went to make room, by what there was too little of."""

    # What is there.

    def find(self, name: bytes) -> Entry | None:
        """Return what is known of the value under this name; one that is no good is away by then."""
        record = self._txn.get(name, db=self._at.values)
        if record is None:
            return None
        try:
            return unpack(record)[0]
        except BrokenValueError:
            self.touched.add(bucket_of(name))
            self._txn.delete(name, db=self._at.values)
            return None

    def record(self, name: bytes) -> bytes | None:
        """Return what lies under this name as it is."""
        return self._txn.get(name, db=self._at.values)

    def value(self, entry: Entry, name: bytes) -> bytes:
        """Return a value."""
        record = self._txn.get(name, db=self._at.values)
        if record is not None and is_inline(entry.size):
            return unpack(record)[1]
        return joined(entry, lambda key: self._txn.get(key, db=self._at.bodies))

    def next_number(self) -> int:
        """Return a number that was never given out before, and is larger than all others."""
        number = int.from_bytes(self._txn.get(NUMBER_KEY) or b"", "big") + 1
        self._txn.put(NUMBER_KEY, number.to_bytes(8, "big"))
        return number

    def note_purge(self, data: bytes, most: int) -> None:
        """Note a purge under the next number, and of so many no longer the oldest: what is older than it is gone."""
        self._txn.put(purge_place(self.next_number()), data)
        if self._txn.stat()["entries"] <= most + _NO_PURGES:
            return
        with self._txn.cursor() as cursor:
            if cursor.set_range(purge_place(0)):
                self._txn.put(PURGED_KEY, bytes(cursor.key()))
                cursor.delete()

    # What is to be there.

    def put(
        self, name: bytes, key: bytes, kind: Kind, value: bytes, until: UnixTime, ahead: Ahead | None = None
    ) -> Entry:
        """Keep a value in the place of what lies there; return what is known of it."""
        former = self.find(name)
        if former is not None:
            self._remove(name, former)
        number = self.next_number() if ahead is None else ahead.serial
        if ahead is not None:
            self._still_ahead(name, ahead)
            self._txn.delete(_place(number), db=self._at.new)
        back = former is None and self.marks.was_buried(name, self.entries)
        queue = Queue.USED if back or (former is not None and former.queue is Queue.USED) else Queue.NEW
        entry = Entry(kind, queue, number, number, until, len(value), checksum_of(kind, value), key)
        self._enqueue(name, entry)
        self._txn.put(name, pack(entry, value), db=self._at.values)
        if ahead is None and not is_inline(len(value)):
            for piece, data in pieces_of(number, value):
                self._txn.put(piece, data, db=self._at.bodies)
        self.touched.add(bucket_of(name))
        return entry

    def begin_ahead(self, name: bytes) -> Ahead:
        """Begin to write the pieces of a value; it waits for its eviction like any other meanwhile."""
        number = self.next_number()
        self._txn.put(_place(number), number.to_bytes(8, "big") + name, db=self._at.new)
        return Ahead(number)

    def put_ahead(self, name: bytes, ahead: Ahead, pieces: Iterable[tuple[bytes, bytes]]) -> None:
        """Write some of its pieces; FullError when it has been evicted meanwhile."""
        self._still_ahead(name, ahead)
        for piece, data in pieces:
            self._txn.put(piece, data, db=self._at.bodies)

    def drop_ahead(self, ahead: Ahead) -> None:
        """Forget a value that was begun."""
        if self._txn.delete(_place(ahead.serial), db=self._at.new):
            self._throw(ahead.serial)

    def _still_ahead(self, name: bytes, ahead: Ahead) -> None:
        waiting = self._txn.get(_place(ahead.serial), db=self._at.new)
        if waiting != ahead.serial.to_bytes(8, "big") + name:
            raise FullError("a shared cache has no room for a value of this size")

    def keep_until(self, name: bytes, entry: Entry, until: UnixTime) -> None:
        """Give a value another end."""
        self._rewrite(name, replace(entry, until=until))

    def move(self, name: bytes, entry: Entry, to: bytes, key: bytes) -> None:
        """Have a value lie under another name, in the place of what lies there."""
        there = self.find(to)
        if there is not None:
            self._remove(to, there)
        value = self._short(name, entry)
        self._txn.delete(name, db=self._at.values)
        moved = replace(entry, key=key)
        self._enqueue(to, moved)
        self._txn.put(to, pack(moved, value), db=self._at.values)
        self.touched |= {bucket_of(name), bucket_of(to)}

    def delete(self, name: bytes) -> Entry | None:
        """Forget a value; return what was known of it."""
        entry = self.find(name)
        if entry is not None:
            self._remove(name, entry)
        return entry

    def stamp(self, name: bytes) -> None:
        """Say that whatever was asked for until now for this name is outdated."""
        self._txn.put(name[:2], self.next_number().to_bytes(8, "big"), db=self._at.stamps)

    def is_outdated(self, name: bytes, since: int) -> bool:
        """Tell whether that was said after this number, or another file was begun since: nobody knows any more."""
        return since < first_of(self._at.number) or outdated(self._txn.get(name[:2], db=self._at.stamps), since)

    def _remove(self, name: bytes, entry: Entry) -> None:
        self.touched.add(bucket_of(name))
        self._txn.delete(name, db=self._at.values)
        self._txn.delete(_place(entry.place), db=self._tree(entry.queue))
        self.spent += 1
        if is_inline(entry.size):
            return
        count = pieces_in(entry.size)
        if count > _FEW:
            self._throw(entry.serial)
            return
        self.spent += count
        for number in range(count):
            self._txn.delete(piece_key(entry.serial, number), db=self._at.bodies)

    def _throw(self, serial: int) -> None:
        """Have the pieces of a value removed by and by."""
        self._txn.put(serial.to_bytes(8, "big"), b"", db=self._at.gone)

    def sweep(self) -> bool:
        """Remove some pieces of what is gone; tell whether there were any."""
        if not self._txn.stat(self._at.gone)["entries"]:
            return False
        with self._txn.cursor(self._at.gone) as waiting:
            waiting.first()
            serial = bytes(waiting.key())
        with self._txn.cursor(self._at.bodies) as cursor:
            there = cursor.set_range(serial)
            while there and self.spent < STEP and cursor.key()[:8] == serial:
                there = cursor.delete()
                self.spent += 1
            if not there or cursor.key()[:8] != serial:
                self._txn.delete(serial, db=self._at.gone)
        return True

    def _short(self, name: bytes, entry: Entry) -> bytes:
        return self.value(entry, name) if is_inline(entry.size) else b""

    def _rewrite(self, name: bytes, entry: Entry) -> None:
        value = self._short(name, entry)
        self._txn.put(name, pack(entry, value), db=self._at.values)
        self.touched.add(bucket_of(name))

    # What there is, and what is to go.

    @property
    def entries(self) -> int:
        """Values that are kept."""
        return int(self._txn.stat(self._at.values)["entries"])

    @property
    def size(self) -> int:
        """What they take of the file."""
        at = self._at
        stats = [self._txn.stat(tree) for tree in (at.values, at.bodies, at.new, at.used, at.gone, at.stamps)]
        return sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats) * _PAGE

    def first_of(self, queue: Queue) -> tuple[bytes, Entry | None] | None:
        """Return what has waited longest in a queue; without an entry it is none, and is away by then."""
        tree = self._tree(queue)
        with self._txn.cursor(tree) as cursor:
            if not cursor.first():
                return None
            place, waiting = bytes(cursor.key()), bytes(cursor.value())
        serial, name = waiting[:8], waiting[8:]
        entry = self.find(name)
        if entry is not None and entry.serial == int.from_bytes(serial, "big") and _place(entry.place) == place:
            return name, entry
        # It was being written when whoever did so ended, or there is no room for it.
        self._txn.delete(place, db=tree)
        self._throw(int.from_bytes(serial, "big"))
        return name, None

    def waiting_in(self, queue: Queue) -> int:
        """Return how many values wait in a queue."""
        return int(self._txn.stat(self._tree(queue))["entries"])

    def entries_by_name(self, most: int) -> list[tuple[bytes, Entry]]:
        """Return so many values, in no order that means anything."""
        found: list[tuple[bytes, Entry]] = []
        with self._txn.cursor(self._at.values) as cursor:
            for name, record in cursor:
                if len(found) >= most:
                    break
                found.append((bytes(name), unpack(bytes(record))[0]))
        return found

    def spare(self, name: bytes, entry: Entry) -> None:
        """Let a value wait again, in the queue of those that were used."""
        self.marks.uses[bucket_of(name)] = 0
        self._txn.delete(_place(entry.place), db=self._tree(entry.queue))
        spared = replace(entry, queue=Queue.USED, place=self.next_number())
        self._enqueue(name, spared)
        self._txn.put(name, pack(spared, self._short(name, entry)), db=self._at.values)
        self.spent += 1

    def evict(self, name: bytes, entry: Entry, needed: Room) -> None:
        """Forget a value to make room."""
        self._remove(name, entry)
        self.evictions[needed] += 1
        if entry.queue is Queue.NEW:
            self.evicted.append(name)

    def _enqueue(self, name: bytes, entry: Entry) -> None:
        waiting = entry.serial.to_bytes(8, "big") + name
        self._txn.put(_place(entry.place), waiting, db=self._tree(entry.queue))

    def _tree(self, queue: Queue) -> lmdb._Database:
        return self._at.new if queue is Queue.NEW else self._at.used

    def count(self) -> Callable[[], None]:
        """Return what tells the marks of it, once it is done."""
        entries, size, evictions, names = self.entries, self.size, self.evictions.total(), self.evicted
        touched = self.touched
        marks = self.marks

        def done() -> None:
            words = marks.words
            words[ENTRIES] = entries
            words[BYTES] = size
            words[EVICTED] += evictions
            for name in names:
                marks.bury(name)
            marks.end(touched)

        marks.begin(touched)
        return done


def outdated(stamp: bytes | None, since: int) -> bool:
    """Tell whether a stamp is later than a number."""
    return stamp is not None and int.from_bytes(stamp, "big") > since


def purge_place(number: int) -> bytes:
    """Return where the purge with this number lies."""
    return _PURGE + number.to_bytes(8, "big")


def purge_number(place: bytes) -> int | None:
    """Return the number of the purge that lies there; None for anything else."""
    return int.from_bytes(place.removeprefix(_PURGE), "big") if place.startswith(_PURGE) else None


def _place(number: int) -> bytes:
    return number.to_bytes(8, "big")
