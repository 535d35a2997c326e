"""What can be done with a cache that several processes share, in one step each?

Reading takes no lock and waits for nobody. A change is one transaction: whoever is killed in the middle of it leaves
what was there before. Where the file is full although there should be room, for it is free in bits only, more is
evicted and the change is made again.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import TypeVar

import lmdb
from msgspec import Struct

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared_change import (
    NUMBER_KEY,
    PURGED_KEY,
    STEP,
    Ahead,
    Change,
    FullError,
    outdated,
    purge_number,
    purge_place,
)
from proxy.storage.backends.shared_file import BROKEN, Environment, SharedFile, first_of
from proxy.storage.backends.shared_marks import BYTES, ENTRIES, FITS, PURGES, bucket_of
from proxy.storage.backends.shared_record import (
    BrokenValueError,
    Entry,
    checksum_of,
    is_inline,
    joined,
    pieces_of,
    unpack,
)
from proxy.storage.backends.shared_room import Making, NoRoomError, spare_of
from proxy.storage.leases import Leases
from proxy.storage.numbers import Room

_Result = TypeVar("_Result")
Work = Callable[[Change], _Result]

PATIENCE = Seconds(2)
"""How long a change waits for those of others, where the caller can wait."""
_TRIES = 4
#: Steps that a change may take to make room.
_STEPS = 10_000
AHEAD = STEP * 4096
"""The pieces of a value of more bytes are written ahead of its record."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Read(Struct, frozen=True, gc=False):
    """A value that was found."""

    entry: Entry
    value: bytes | None
    """None: it was not to be read."""


class Unread(Struct, frozen=True, gc=False):
    """Values of which only the entry is wanted."""

    serial: int = -1
    """The one that is known already."""
    larger: int = 2**62
    """Those of more bytes."""


_EVERY_ONE = Unread()


class SharedStore:
    """The values in one directory, as this process sees them; any number of threads may use it."""

    def __init__(self, directory: str, limits: Limits, clock: Callable[[], UnixTime]) -> None:
        """``limits.max_bytes`` is what the file never outgrows."""
        self._damages = 0
        self.limits = limits
        self.clock = clock
        self.evictions: Counter[Room] = Counter()
        """Values that this process took away to make room, by what there was too little of."""
        self.leases = Leases(os.path.join(directory, "leases"))
        """Of this process, for all who use the store in it."""
        self.file = SharedFile(directory, Bytes(limits.max_bytes or 0))

    @property
    def room(self) -> int:
        """Bytes of the file that may be in use after a change."""
        size = self.limits.max_bytes or 0
        fits = self.file.marks.words[FITS]
        size = min(size, fits) if fits else size
        return size - spare_of(size)

    # Reading.

    def read(self, name: bytes, key: bytes, unread: Unread = _EVERY_ONE) -> Read | None:
        """Return the value, or None where none lies there, or another one; what is damaged is counted, and removed."""
        return self._reading(lambda at, txn: self._read(at, txn, name, key, unread))

    def find(self, name: bytes) -> Entry | None:
        """Return what is known of the value, without reading it."""
        return self._reading(lambda at, txn: self._entry(at, txn, name))

    def is_outdated(self, name: bytes, since: int) -> bool:
        """Tell whether somebody said, after this number, that what was asked for under this name is outdated."""

        def work(at: Environment, txn: lmdb.Transaction[bytes]) -> bool:
            return since < first_of(at.number) or outdated(txn.get(name[:2], db=at.stamps), since)

        return bool(self._reading(work))

    def number(self) -> int:
        """Return the number that was given out last: what happens from now on has a larger one."""
        return self._reading(lambda _, txn: int.from_bytes(txn.get(NUMBER_KEY) or b"", "big")) or 0

    def purges(self, after: int) -> tuple[int, list[tuple[int, bytes]]]:
        """Return what was purged after this number, each with its own; and the number before which all is gone."""

        def work(_: Environment, txn: lmdb.Transaction[bytes]) -> tuple[int, list[tuple[int, bytes]]]:
            found: list[tuple[int, bytes]] = []
            with txn.cursor() as cursor:
                more = cursor.set_range(purge_place(after + 1))
                while more and (number := purge_number(bytes(cursor.key()))) is not None:
                    found.append((number, bytes(cursor.value())))
                    more = cursor.next()
            return purge_number(txn.get(PURGED_KEY) or b"") or 0, found

        return self._reading(work) or (0, [])

    def keys(self, after: bytes, most: int) -> list[tuple[bytes, bytes]]:
        """Return names and keys, in the order of the names, so many of them and those behind ``after``."""

        def work(at: Environment, txn: lmdb.Transaction[bytes]) -> list[tuple[bytes, bytes]]:
            found: list[tuple[bytes, bytes]] = []
            with txn.cursor(at.values) as cursor:
                more = cursor.set_range(after + b"\0")
                while more and len(found) < most:
                    found.append((bytes(cursor.key()), unpack(cursor.value())[0].key))
                    more = cursor.next()
            return found

        return self._reading(work) or []

    def _reading(self, work: Callable[[Environment, lmdb.Transaction[bytes]], _Result | None]) -> _Result | None:
        at = self._environment()
        try:
            with at.env.begin() as txn:
                return work(at, txn)
        except BROKEN as error:
            self.file.begin_anew(at, error)
            return None
        except lmdb.ReadersFullError:
            at.env.reader_check()
            return None
        except lmdb.Error as error:
            # Another thread may have gone over to another file meanwhile.
            raise StorageError(f"shared cache {self.file.directory}: {error}") from error
        except BrokenValueError:
            return None

    def _environment(self) -> Environment:
        try:
            return self.file.environment()
        except (OSError, lmdb.Error) as error:
            raise StorageError(f"shared cache {self.file.directory}: {error}") from error

    def _entry(self, at: Environment, txn: lmdb.Transaction[bytes], name: bytes) -> Entry | None:
        record = txn.get(name, db=at.values)
        return None if record is None else unpack(record)[0]

    def _read(
        self, at: Environment, txn: lmdb.Transaction[bytes], name: bytes, key: bytes, unread: Unread
    ) -> Read | None:
        record = txn.get(name, db=at.values)
        if record is None:
            return None
        try:
            entry, value = unpack(record)
            if entry.serial == unread.serial or entry.size > unread.larger:
                return Read(entry, None)
            if not is_inline(entry.size):
                value = joined(entry, lambda key: txn.get(key, db=at.bodies))
            if len(value) != entry.size or checksum_of(entry.kind, value) != entry.checksum or entry.key != key:
                raise BrokenValueError("not what was written under this key")
        except BrokenValueError:
            self.damaged(name, record)
            return None
        return Read(entry, value)

    def damaged(self, name: bytes, record: bytes | None = None) -> None:
        """Count a value that is not what was written, and remove it."""
        self._damages += 1

        def work(change: Change) -> None:
            if record is None or change.record(name) == record:
                change.delete(name)

        try:
            self.change(work, Seconds(0))
        except StorageError:
            # It is a miss for the next one, too, who tries again.
            return

    # Changing.

    def change(self, work: Work[_Result], patience: Seconds = PATIENCE) -> _Result:
        """Do this as one step; it may be begun several times. StorageError when it cannot be done.

        BusyError when another one is changing something for longer than the patience lasts, FullError when it is too
        large.
        """
        with self.file.locked(patience):
            tries = 0
            for _ in range(_STEPS):
                at = self._environment()
                try:
                    return self._once(at, work)
                except NoRoomError:
                    continue
                except BROKEN as error:
                    self.file.begin_anew(at, error)
                except lmdb.Error as error:
                    self._full(at, error, tries)
                tries += 1
                if tries == _TRIES:
                    break
        raise FullError(f"shared cache {self.file.directory}: there is no room for it")

    def write_ahead(self, name: bytes, value: bytes, patience: Seconds = PATIENCE) -> Ahead | None:
        """Write the pieces of a long value before its record, in steps between which others come in; None: it is short.

        FullError when there is no room.
        """
        if len(value) <= AHEAD:
            return None
        if len(value) > self.room // 2:
            raise FullError("a shared cache has no room for a value of this size")
        ahead = self.change(lambda change: change.begin_ahead(name), patience)
        pieces = pieces_of(ahead.serial, value)
        while some := list(islice(pieces, STEP)):
            self.change(partial(self._write_some, name, ahead, some), patience)
        return ahead

    def _write_some(self, name: bytes, ahead: Ahead, some: list[tuple[bytes, bytes]], change: Change) -> None:
        Making(self.limits, self.clock()).room(change, STEP * 4096)
        change.put_ahead(name, ahead, some)

    def _once(self, at: Environment, work: Work[_Result]) -> _Result:
        txn = at.env.begin(write=True)
        try:
            change = Change(at, txn, self.file.marks, self.room)
            try:
                result = work(change)
            except NoRoomError:
                # What it has evicted so far is room for the next try.
                self._commit(txn, change)
                raise
            self._commit(txn, change)
        except BaseException:
            txn.abort()
            raise
        return result

    def _commit(self, txn: lmdb.Transaction[bytes], change: Change) -> None:
        done = change.count()
        try:
            txn.commit()
            self.evictions += change.evictions
        finally:
            # Whatever became of it: what others remember is to be looked at again.
            done()

    def _full(self, at: Environment, error: lmdb.Error, tries: int) -> None:
        """Make room where the database found none."""
        if not isinstance(error, lmdb.MapFullError | lmdb.TxnFullError) and _code(error) not in _FULL:
            raise StorageError(f"shared cache {self.file.directory}: {error}") from error
        at.env.reader_check()
        try:
            # What a step has freed is used by the next but one.
            for _ in range(2):
                self._once(at, Change.next_number)
        except lmdb.Error:
            if tries == _TRIES - 1 and _code(error) in _FULL:
                # The disk is full, so that not even room can be made. The next file is to fit.
                self.file.marks.words[FITS] = os.stat(at.env.path()).st_size * 3 // 4
                self.file.begin_anew(at, error)

    def purge(self, data: bytes, most: int) -> None:
        """Note a purge, and so many of the latest, where all processes look; StorageError when that cannot be done."""
        with self.file.locked(PATIENCE):
            words = self.file.marks.words
            try:
                self.change(lambda change: change.note_purge(data, most))
            finally:
                words[PURGES] += 1

    def give_up(self, why: object) -> None:
        """Forget every value, where one that must be forgotten cannot be: nothing old is to be served."""
        self.file.give_up(why)

    def forget_all(self) -> None:
        """Forget every value."""
        self.file.replace()

    # What is known without asking.

    @property
    def held(self) -> tuple[int, Bytes]:
        """Values, and what they take."""
        words = self.file.marks.words
        return words[ENTRIES], Bytes(words[BYTES])

    @property
    def damages(self) -> int:
        """Values that were found not to be what was written, by this process."""
        return self._damages

    def use(self, name: bytes) -> None:
        """Count a value as used."""
        uses = self.file.marks.uses
        bucket = bucket_of(name)
        if not uses[bucket]:
            uses[bucket] = 1


def _code(error: lmdb.Error) -> int:
    return abs(int(getattr(error, "code", 0) or 0))


# One directory is open once in a process, whoever uses it: the database wants it so.

_OPEN: dict[str, tuple[SharedStore, int]] = {}
_OPEN_LOCK = threading.Lock()


def open_store(directory: str, limits: Limits, clock: Callable[[], UnixTime]) -> SharedStore:
    """Return the store of this directory; the limits are those that were given last."""
    place = os.path.realpath(directory)
    with _OPEN_LOCK:
        store, users = _OPEN.get(place, (None, 0))
        if store is None:
            store = SharedStore(place, limits, clock)
        store.limits, store.clock = limits, clock
        _OPEN[place] = store, users + 1
        return store


def close_store(store: SharedStore) -> None:
    """Give back what ``open_store`` returned; the last one closes it."""
    place = store.file.directory
    with _OPEN_LOCK:
        found, users = _OPEN.get(place, (None, 0))
        if found is not store:
            return
        if users > 1:
            _OPEN[place] = store, users - 1
            return
        del _OPEN[place]
        store.file.close()
        store.leases.close()


def _before_fork() -> None:
    _OPEN_LOCK.acquire()
    for store, _ in _OPEN.values():
        store.file.before_fork()


def _after_fork(*, in_child: bool) -> None:
    for store, _ in _OPEN.values():
        store.file.after_fork(in_child=in_child)
    _OPEN_LOCK.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(in_child=False),
    after_in_child=lambda: _after_fork(in_child=True),
)
