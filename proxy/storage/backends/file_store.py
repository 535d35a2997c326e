"""How are values kept as files, so that neither a crash, a full disk nor another process does harm?"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from itertools import takewhile
from uuid import uuid4
from weakref import WeakValueDictionary

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.base import Value
from proxy.storage.backends.file_index import FileIndex
from proxy.storage.backends.file_place import make_private_directories, open_lock, open_new, unsafe
from proxy.storage.backends.file_record import (
    FOREVER,
    Damaged,
    Record,
    hint_end,
    hinted_end,
    key_in,
    pack,
    read,
    rewrite_head,
)
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.owner import Owner
from proxy.storage.numbers import Room

ListDirectory = Callable[[str], AbstractContextManager[Iterator[os.DirEntry[str]]]]

SHARDS = tuple(f"{number:02x}" for number in range(256))

_SUFFIX = ".value"
_UNFINISHED = ".part"
_LOCK = "lock"
#: A file that a crash left unfinished is removed when it is that old.
_UNFINISHED_AGE = Seconds(600)
#: How many files one store removes at most: those that have expired, and those that make room (some 10 us each).
_EXPIRED_A_STORE = 32
_DOOMED_A_STORE = 400
#: A lock is held for some 100 us; whoever is stopped while holding it must not stop everybody.
_LOCK_WAIT = Seconds(5)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

#: One index for each directory of this process, whichever alias or thread uses it.
_indexes: WeakValueDictionary[str, FileIndex] = WeakValueDictionary()


class FileStore:
    """The files of one directory. Every method blocks, and may be called from any thread."""

    def __init__(
        self, location: str, clock: Callable[[], UnixTime], limits: Limits, list_directory: ListDirectory
    ) -> None:
        self._location = os.path.normpath(location)
        self._clock = clock
        self._limits = limits
        self._list_directory = list_directory
        self._index: FileIndex | None = None
        self._stopping = False
        self.damaged = 0
        """Files that were not whole or not ours; each was a miss, and was removed."""
        self.evictions: Counter[Room] = Counter()
        """Files that went to make room."""

    def get(self, key: str) -> Value | None:
        """Return the value."""
        name = _name(key)
        record = self._live(name, key)
        if record is None:
            return None
        self.index.use(name)
        return record.value

    def used(self, paths: Iterable[str]) -> None:
        """Somebody else has read these files, and must not wait."""
        if self._index is not None:
            start = len(self._location) + 1
            self._index.use_now([path[start:] for path in paths])

    def path_of(self, key: str) -> str:
        """Return where the value of that key lies."""
        return self._path(_name(key))

    def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value; False when there is no room for it, and then none is under that key."""
        name = _name(key)
        if timeout is not None and timeout <= 0:
            self.delete(key)
            return True
        head, content = pack(key, value, self._until(timeout))
        size = len(head) + len(content)
        if self._limits.max_bytes is not None and size > self._limits.max_bytes:
            self.delete(key)
            return False
        self._make_room(name)
        try:
            with self._locks(name):
                self._write(name, head, content, self._until(timeout))
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._unlink(name)
            self.evictions[Room.DISK] += self.index.cull(self._limits)
            self._remove_doomed()
            return False
        self._shrink()
        return True

    def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value if there is none."""
        name = _name(key)
        if self._live(name, key) is not None:
            return False
        if timeout is not None and timeout <= 0:
            return True
        head, content = pack(key, value, self._until(timeout))
        if self._limits.max_bytes is not None and len(head) + len(content) > self._limits.max_bytes:
            raise StorageError(f"file cache {self._location}: the value is larger than OPTIONS.MAX_BYTES")
        self._make_room(name)
        with self._locks(name):
            if self._live(name, key, locked=True) is not None:
                return False
            self._write(name, head, content, self._until(timeout))
        self._shrink()
        return True

    def touch(self, key: str, timeout: Seconds | None) -> bool:
        """Give the value another timeout."""
        name = _name(key)
        if self._live(name, key) is None:
            return False
        with self._locks(name):
            record = self._live(name, key, locked=True)
            if record is None:
                return False
            until = self._until(timeout)
            if until <= self._clock():
                self._unlink(name)
            else:
                rewrite_head(self._path(name), replace(record.head, until=until))
                self.index.change_end(name, until)
        return True

    def delete(self, key: str) -> bool:
        """Forget the value; one that has expired was not there."""
        name = _name(key)
        if not os.path.lexists(self._path(name)):
            self.index.forget(name)
            return False
        with self._locks(name):
            is_live = self._live(name, key, locked=True) is not None
            self._unlink(name)
        return is_live

    def incr(self, key: str, delta: int) -> int:
        """Add to a number."""
        name = _name(key)
        if self._live(name, key) is None:
            raise KeyError(key)
        with self._locks(name):
            record = self._live(name, key, locked=True)
            if record is None:
                raise KeyError(key)
            if not isinstance(record.value, int):
                raise TypeError(f"the value of {key!r} is not a number")
            total = record.value + delta
            self._write(name, *pack(key, total, record.until), record.until)
        return total

    def rename(self, key: str, to: str) -> bool:
        """Move the value and its timeout."""
        name, new = _name(key), _name(to)
        if self._live(name, key) is None:
            return False
        with self._locks(name, new):
            record = self._live(name, key, locked=True)
            if record is not None and name != new:
                self._write(new, *pack(to, record.value, record.until), record.until)
                self._unlink(name)
        return record is not None

    def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values there are."""
        found = {key: self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        """Keep the values; return the keys of those that could not be kept."""
        return [key for key, value in values.items() if not self.set(key, value, timeout)]

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the values."""
        for key in keys:
            self.delete(key)

    def clear(self, owner: Owner | None = None) -> None:
        """Remove the values of that owner; without one every value, and nothing that is not ours."""
        for shard in SHARDS:
            names = [name for name, _ in self._listed(shard)]
            if owner is not None:
                names = [name for name in names if owner.owns(key_in(self._path(name)) or "")]
            if names:
                with self._locks(names[0]):
                    for name in names:
                        self._unlink(name)
        if owner is None:
            self.index.forget_all()

    # The scan, in the background.

    def wants_scan(self) -> bool:
        """Tell whether the caller should scan now."""
        return not self._stopping and self.index.begin_scan()

    def forgo_scan(self) -> None:
        """Leave the scan that was wanted to a later caller."""
        self.index.end_scan(complete=False)

    def scan(self) -> None:
        """Find what was there before this process, what others did since, and what a crash left unfinished."""
        shards = iter(SHARDS)
        try:
            for shard in takewhile(lambda _: not self._stopping, shards):
                tick = self.index.tick
                found = {name: (hinted_end(status), status.st_size) for name, status in self._listed(shard)}
                self.index.merge(shard, found, tick)
        finally:
            self.index.end_scan(complete=next(shards, None) is None)

    def stop(self) -> None:
        """Let a scan that is running end soon."""
        self._stopping = True

    def start(self) -> None:
        """Allow scans again."""
        self._stopping = False

    def _listed(self, shard: str) -> Iterator[tuple[str, os.stat_result]]:
        """Give the names of the values in one directory; remove what is old and unfinished."""
        directory = f"{self._location}/{shard}"
        with suppress(FileNotFoundError, NotADirectoryError), self._list_directory(directory) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(_SUFFIX):
                        yield f"{shard}/{entry.name}", status
                    elif entry.name.endswith(_UNFINISHED) and status.st_ctime + _UNFINISHED_AGE < self._clock():
                        os.unlink(f"{directory}/{entry.name}")

    # Making room.

    def _make_room(self, name: str) -> None:
        index, now = self.index, self._clock()
        for expired in index.take_expired(now, _EXPIRED_A_STORE):
            self._remove_expired(expired, now)
        while index.is_full_for(name, self._limits) and (expired_names := index.take_expired(now, _DOOMED_A_STORE)):
            for expired in expired_names:
                self._remove_expired(expired, now)
        if index.is_full_for(name, self._limits):
            self.evictions[Room.ENTRIES] += index.cull(self._limits)
        self._remove_doomed()

    def _remove_expired(self, name: str, now: UnixTime) -> None:
        """Remove the file, unless another process has stored there again since."""
        with suppress(FileNotFoundError):
            status = os.lstat(self._path(name))
            if hinted_end(status) > now:
                self.index.note(name, hinted_end(status), status.st_size)
            else:
                os.unlink(self._path(name))

    def _shrink(self) -> None:
        self.evictions[Room.BYTES] += self.index.shrink(self._limits)
        self._remove_doomed()

    def _remove_doomed(self) -> None:
        for name in self.index.take_doomed(_DOOMED_A_STORE):
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(self._path(name))

    # Files.

    @property
    def held(self) -> tuple[int, Bytes] | None:
        """Files and what they take, as far as this process knows; None before the directory was looked at."""
        return None if self._index is None else (len(self._index), Bytes(self._index.bytes))

    @property
    def index(self) -> FileIndex:
        """What is known of the directory; it is looked at for the first time here."""
        if self._index is None:
            fault = unsafe(self._location)
            if fault is not None:
                raise StorageError(f"file cache {self._location}: {fault}")
            make_private_directories(self._location)
            self._index = _indexes.setdefault(os.path.realpath(self._location), FileIndex())
        return self._index

    def _live(self, name: str, key: str, *, locked: bool = False) -> Record | None:
        """Read the value unless its timeout has passed. What is of no use is removed."""
        self.index  # noqa: B018  nothing is read from a directory before it was found to be safe
        try:
            record = read(self._path(name), key)
        except Damaged:
            if locked:
                self.damaged += 1
                self._unlink(name)
                return None
        else:
            if record is None or record.until > self._clock():
                return record
            if locked:
                return None
        # Somebody may be changing just this file: it is judged again when nobody can.
        with self._locks(name):
            return self._live(name, key, locked=True)

    def _write(self, name: str, head: bytes, content: bytes, until: UnixTime) -> None:
        """Put a whole file in the place of what is there, or nothing."""
        path = self._path(name)
        unfinished = f"{os.path.dirname(path)}/{uuid4().hex}{_UNFINISHED}"
        descriptor = open_new(unfinished)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(head)
                file.write(content)
                file.flush()
                hint_end(descriptor, until)
            os.rename(unfinished, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(unfinished)
            raise
        self.index.note(name, until, len(head) + len(content))

    def _unlink(self, name: str) -> None:
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(self._path(name))
        self.index.forget(name)

    def _until(self, timeout: Seconds | None) -> UnixTime:
        return FOREVER if timeout is None else UnixTime(self._clock() + timeout)

    def _path(self, name: str) -> str:
        return f"{self._location}/{name}"

    @contextmanager
    def _locks(self, *names: str) -> Iterator[None]:
        """Keep other threads and processes from changing these files; the system ends it when we die."""
        with ExitStack() as stack:
            # In one order everywhere, so that no two wait for each other.
            for shard in sorted({name[:2] for name in names}):
                descriptor = open_lock(f"{self._location}/{shard}/{_LOCK}")
                stack.callback(os.close, descriptor)
                _wait_for(descriptor)
            yield


def _name(key: str) -> str:
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    return f"{digest[:2]}/{digest[2:]}{_SUFFIX}"


def _wait_for(descriptor: int) -> None:
    end, pause = time.monotonic() + _LOCK_WAIT, 0.0002
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError(errno.ETIMEDOUT, "another process has held a lock for too long") from None
        time.sleep(pause)
        pause = min(2 * pause, 0.01)
