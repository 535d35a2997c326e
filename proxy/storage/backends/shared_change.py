"""What is written into a shared cache in one step, and what has to go to make room for it?

What goes first is what nobody asked for again: a value begins in a short queue and comes into the long one when it was
used meanwhile, or when it comes back soon after it was evicted (S3-FIFO, https://s3fifo.com). A use writes nothing
into the database, but one byte of the marks, which is read when the value has come to the end of its queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import lmdb

from proxy.config.units import UnixTime
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared_file import Environment
from proxy.storage.backends.shared_marks import BUCKETS, BYTES, ENTRIES, EVICTED, Marks, bucket_of
from proxy.storage.backends.shared_record import (
    BrokenValueError,
    Entry,
    Kind,
    Queue,
    checksum_of,
    is_inline,
    joined,
    pack,
    pages_of,
    piece_key,
    pieces_of,
    unpack,
)
from proxy.storage.numbers import Room

_PAGE = 4096
_NUMBER_KEY = b"number"
#: The share of the file that stays free for copies of the pages that change, and for what is free but in bits.
_SPARE_SHARE = 8
_LEAST_SPARE = 2**20
#: One in so many values is in the queue of the new ones.
_NEW_SHARE = 10
#: Values that are looked at in one step to find room: then the step ends, for the others wait.
_MOST_LOOKS = 256
_MOST_EXPIRED_LOOKS = 4096


class NoRoomError(Exception):
    """There is not enough room yet, although this step has made some: another one is needed."""


class Change:
    """One step: all of it becomes true at once, or nothing."""

    def __init__(self, environment: Environment, txn: lmdb.Transaction[bytes], marks: Marks, room: int) -> None:
        """``room`` is how many bytes of the file may be in use when it ends."""
        self._at = environment
        self._txn = txn
        self._marks = marks
        self._room = room
        self.touched: set[int] = set()
        """Buckets of keys of which something has changed."""
        self.evicted: list[bytes] = []
        """Names of what went to make room without having been used."""
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
        number = int.from_bytes(self._txn.get(_NUMBER_KEY) or b"", "big") + 1
        self._txn.put(_NUMBER_KEY, number.to_bytes(8, "big"))
        return number

    # What is to be there.

    def put(self, name: bytes, key: bytes, kind: Kind, value: bytes, until: UnixTime) -> Entry:
        """Keep a value in the place of what lies there; return what is known of it."""
        former = self.find(name)
        if former is not None:
            self._remove(name, former)
        number = self.next_number()
        back = former is None and self._marks.was_buried(name, self.entries)
        queue = Queue.USED if back or (former is not None and former.queue is Queue.USED) else Queue.NEW
        entry = Entry(kind, queue, number, number, until, len(value), checksum_of(kind, value), key)
        self._enqueue(name, entry)
        self._txn.put(name, pack(entry, value), db=self._at.values)
        if not is_inline(len(value)):
            for piece, data in pieces_of(number, value):
                self._txn.put(piece, data, db=self._at.bodies, append=True)
        self.touched.add(bucket_of(name))
        return entry

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

    def delete_all(self) -> None:
        """Forget every value; whoever calls it says that everything has changed."""
        for tree in (self._at.values, self._at.bodies, self._at.new, self._at.used):
            self._txn.drop(tree, delete=False)

    def stamp(self, name: bytes) -> None:
        """Say that whatever was asked for until now for this name is outdated."""
        self._txn.put(name[:2], self.next_number().to_bytes(8, "big"), db=self._at.stamps)

    def is_outdated(self, name: bytes, since: int) -> bool:
        """Tell whether that was said after this number."""
        return outdated(self._txn.get(name[:2], db=self._at.stamps), since)

    def _remove(self, name: bytes, entry: Entry) -> None:
        self.touched.add(bucket_of(name))
        self._txn.delete(name, db=self._at.values)
        self._txn.delete(_place(entry.place), db=self._tree(entry.queue))
        if not is_inline(entry.size):
            self._remove_pieces(entry.serial)

    def _remove_pieces(self, serial: int) -> None:
        number = 0
        while self._txn.delete(piece_key(serial, number), db=self._at.bodies):
            number += 1

    def _short(self, name: bytes, entry: Entry) -> bytes:
        return self.value(entry, name) if is_inline(entry.size) else b""

    def _rewrite(self, name: bytes, entry: Entry) -> None:
        value = self._short(name, entry)
        self._txn.put(name, pack(entry, value), db=self._at.values)
        self.touched.add(bucket_of(name))

    # What has to go.

    @property
    def entries(self) -> int:
        """Values that are kept."""
        return int(self._txn.stat(self._at.values)["entries"])

    @property
    def size(self) -> int:
        """What they take of the file."""
        at = self._at
        stats = [self._txn.stat(tree) for tree in (at.values, at.bodies, at.new, at.used, at.stamps)]
        return sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats) * _PAGE

    def make_room(self, size: int, entries: int | None, limits: Limits, now: UnixTime) -> None:
        """Evict until a value of this size fits, and another one where there may be so many; NoRoomError: not yet."""
        need = pages_of(size) * _PAGE
        if entries is not None and entries >= (limits.max_entries or entries + 1):
            self._cull(limits, now)
        looks = 0
        if self._marks.words[BYTES] + need <= self._room:
            # As of the last change, which is nearly always near enough.
            return
        while self.size + need > self._room:
            if looks >= _MOST_LOOKS:
                raise NoRoomError
            looks += 1
            if self._evict_one(now, Room.BYTES, spare=looks < _MOST_LOOKS // 2) is None:
                return

    def evict_share(self, share: int, now: UnixTime) -> None:
        """Evict one in so many values, as many as one step may."""
        for _ in range(min(_MOST_LOOKS, self.entries // share + 1)):
            self._evict_one(now, Room.BYTES, spare=False)

    def _cull(self, limits: Limits, now: UnixTime) -> None:
        """Make room as Django does when MAX_ENTRIES is reached, but take what has expired first."""
        most = limits.max_entries or 0
        if not limits.cull_frequency:
            self.evictions[Room.ENTRIES] += self.entries
            self.delete_all()
            self.touched.update(range(BUCKETS))
            return
        for name, entry in self._expired(now):
            self._evict(name, entry, Room.ENTRIES)
        goes = min(_MOST_LOOKS, max(1, self.entries // limits.cull_frequency)) if self.entries >= most else 0
        looks = 0
        while goes > 0 and (went := self._evict_one(now, Room.ENTRIES, spare=looks < _MOST_LOOKS)) is not None:
            goes -= went
            looks += 1

    def _expired(self, now: UnixTime) -> list[tuple[bytes, Entry]]:
        found = []
        with self._txn.cursor(self._at.values) as cursor:
            for looks, (name, record) in enumerate(cursor):
                if looks >= _MOST_EXPIRED_LOOKS:
                    break
                entry = unpack(record)[0]
                if entry.until <= now:
                    found.append((bytes(name), entry))
        return found

    def _evict_one(self, now: UnixTime, needed: Room, *, spare: bool) -> bool | None:
        """Take what is first in its queue, or let it wait again where it was used: False; None: there is nothing."""
        new = self._txn.stat(self._at.new)["entries"]
        used = self._txn.stat(self._at.used)["entries"]
        queue = Queue.NEW if new and (new * _NEW_SHARE >= new + used or not used) else Queue.USED
        tree = self._tree(queue)
        with self._txn.cursor(tree) as cursor:
            if not cursor.first():
                return None
            place, waiting = bytes(cursor.key()), bytes(cursor.value())
        name = waiting[8:]
        entry = self.find(name)
        if entry is None or entry.serial != int.from_bytes(waiting[:8], "big") or _place(entry.place) != place:
            # A change of an earlier version of ours, or damage: no value is lost by that.
            self._txn.delete(place, db=tree)
            self._remove_pieces(int.from_bytes(waiting[:8], "big"))
            return True
        bucket = bucket_of(name)
        if spare and self._marks.uses[bucket] and entry.until > now:
            self._marks.uses[bucket] = 0
            self._txn.delete(place, db=tree)
            spared = replace(entry, queue=Queue.USED, place=self.next_number())
            self._enqueue(name, spared)
            self._txn.put(name, pack(spared, self._short(name, entry)), db=self._at.values)
            return False
        self._evict(name, entry, needed)
        if queue is Queue.NEW:
            self.evicted.append(name)
        return True

    def _evict(self, name: bytes, entry: Entry, needed: Room) -> None:
        self._remove(name, entry)
        self.evictions[needed] += 1

    def _enqueue(self, name: bytes, entry: Entry) -> None:
        waiting = entry.serial.to_bytes(8, "big") + name
        self._txn.put(_place(entry.place), waiting, db=self._tree(entry.queue))

    def _tree(self, queue: Queue) -> lmdb._Database:
        return self._at.new if queue is Queue.NEW else self._at.used

    def count(self) -> Callable[[], None]:
        """Return what tells the marks of it, once it is done."""
        entries, size, evictions, names = self.entries, self.size, self.evictions.total(), self.evicted
        touched = self.touched
        marks = self._marks

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


def spare_of(size: int) -> int:
    """Return how much of a file of this size stays free."""
    return max(min(_LEAST_SPARE, size // 4), size // _SPARE_SHARE)


def _place(number: int) -> bytes:
    return number.to_bytes(8, "big")
