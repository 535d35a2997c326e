"""In which file do the workers that share a cache keep it, and what when that file is no good?

The file is numbered, and the marks say which number is the one: when it is damaged, another is begun, and every worker
goes over to it with its next look. One lock is held for each change and for each step from one file to the next. The
kernel gives it back when its holder is killed; whoever waits for it does not wait for long.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import lmdb

from proxy.config.units import Bytes, Seconds
from proxy.errors import StorageError
from proxy.storage.backends.file_place import open_lock, open_new
from proxy.storage.backends.shared_marks import NUMBER, Marks

_log = logging.getLogger("sitecache")

_LOCK, _MARKS, _PAGES = "lock", "marks", "pages"
USERS = "users"
"""Whoever has the cache open shares a lock on this file; in it stands at which start of the machine that was."""
_WHOLE = b"whole"
#: How long whoever has to go on waits for the lock; a change takes less than a thousandth of it.
_PATIENCE = Seconds(2)
_FORM_KEY = b"form"
_FORM = b"sitecache shared 1"
_READERS = 1024
#: The database keeps the transactions of readers for the next ones; so many may read at once without a new one.
_SPARE = 8
_PAGE = 4096
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: Whoever waits for the lock lets others run so often before it begins to sleep.
_YIELDS = 50
_NAP = 0.0002

#: Of the database: what makes a file unusable, for whoever has it open.
BROKEN = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.BadTxnError,
    lmdb.IncompatibleError,
    lmdb.CursorFullError,
)


class BusyError(StorageError):
    """Somebody else is writing for longer than the caller would wait."""


class Environment:
    """One open file, and the trees in it."""

    __slots__ = ("bodies", "env", "gone", "new", "number", "stamps", "used", "values")

    def __init__(self, path: str, number: int, size: Bytes) -> None:
        self.number = number
        _make_lock_file(f"{path}-lock")
        self.env = lmdb.open(
            path,
            map_size=size // _PAGE * _PAGE,
            subdir=False,
            mode=0o600,
            max_dbs=6,
            max_readers=_READERS,
            max_spare_txns=_SPARE,
            # A crash of the machine costs what is kept, and that it was one is known at the next start.
            sync=False,
            metasync=False,
            readahead=False,
        )
        for name in (path, f"{path}-lock"):
            os.chmod(name, 0o600)
        with self.env.begin(write=True) as txn:
            form = txn.get(_FORM_KEY)
            if form is None and txn.stat()["entries"] == 0:
                txn.put(_FORM_KEY, _FORM)
                txn.put(b"number", first_of(number).to_bytes(8, "big"))
            elif form != _FORM:
                raise lmdb.InvalidError("of another form")
            self.values = self.env.open_db(b"values", txn)
            self.bodies = self.env.open_db(b"bodies", txn)
            self.new = self.env.open_db(b"new", txn)
            self.used = self.env.open_db(b"used", txn)
            self.gone = self.env.open_db(b"gone", txn)
            self.stamps = self.env.open_db(b"stamps", txn)
        if os.stat(path).st_size < (self.env.info()["last_pgno"] + 1) * _PAGE:
            raise lmdb.CorruptedError("the file is shorter than it says")


def first_of(number: int) -> int:
    """Return what the numbers of a file begin behind: they are larger than those of all files before it."""
    return number << 44


def _make_lock_file(path: str) -> None:
    """Make what readers and writers map, with room for all of it: to write where a full disk has none ends the process.

    The database makes of it what it would make of one that is not there.
    """
    with suppress(FileExistsError):
        descriptor = open_new(path)
        try:
            os.posix_fallocate(descriptor, 0, 64 * _READERS)
        finally:
            os.close(descriptor)


class SharedFile:
    """The file of a cache as this process has it open."""

    def __init__(self, directory: str, size: Bytes) -> None:
        """Nothing is made before the first use; ``size`` is what the file never outgrows."""
        self.directory = directory
        self.size = size
        self._turn = threading.RLock()
        self._lock: int | None = None
        self._depth = 0
        self._locks = 0
        self._users: int | None = None
        self._open: Environment | None = None
        self._marks: Marks | None = None

    @property
    def marks(self) -> Marks:
        """The numbers that all workers share."""
        if self._marks is None:
            self._start()
        if self._marks is None:
            raise StorageError(f"shared cache {self.directory}: it is closed")
        return self._marks

    def environment(self) -> Environment:
        """Return the file that is the one now, open."""
        marks = self._marks or self.marks
        environment = self._open
        if environment is None or environment.number != marks.words[NUMBER]:
            with self.locked(_PATIENCE):
                return self._reopen()
        return environment

    @contextmanager
    def locked(self, patience: Seconds) -> Iterator[None]:
        """Hold the lock: nobody else changes anything meanwhile. BusyError when it cannot be had for so long."""
        until = time.monotonic() + patience
        if not self._turn.acquire(timeout=max(0.0, patience)):
            raise BusyError(f"shared cache {self.directory}: another thread is writing")
        try:
            if not self._depth:
                self._take_lock(until)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth and self._lock is not None:
                    fcntl.flock(self._lock, fcntl.LOCK_UN)
        finally:
            self._turn.release()

    def _take_lock(self, until: float) -> None:
        """Wait for the lock, which is another one for each file: who hangs with a former one holds nobody up."""
        while True:
            number = 0 if self._marks is None else self._marks.words[NUMBER]
            if self._lock is None or self._locks != number:
                former, self._lock = self._lock, open_lock(os.path.join(self.directory, f"{_LOCK}.{number}"))
                self._locks = number
                if former is not None:
                    os.close(former)
            self._wait_for(self._lock, until)
            if self._marks is None or self._marks.words[NUMBER] == number:
                return
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _wait_for(self, lock: int, until: float) -> None:
        tried = 0
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                return
            if time.monotonic() >= until:
                raise BusyError(f"shared cache {self.directory}: another worker is writing")
            tried += 1
            if tried < _YIELDS:
                os.sched_yield()
            else:
                time.sleep(_NAP)

    # Opening.

    def _start(self) -> None:
        with self.locked(_PATIENCE):
            if self._marks is None:
                marks = Marks(os.path.join(self.directory, _MARKS))
                self._users = self._join(marks)
                self._marks = marks
                self._reopen()

    def _join(self, marks: Marks) -> int:
        """Be one of those who have it open.

        What was kept is begun anew where the machine went down: nobody knows what of it had reached the disk.
        """
        users = open_lock(os.path.join(self.directory, USERS))
        fcntl.flock(users, fcntl.LOCK_SH)
        said, now = os.pread(users, 64, 0), _boot()
        if said not in (b"", now, _WHOLE):
            marks.words[NUMBER] += 1
        if said != now:
            _say(users, now)
        return users

    def _reopen(self) -> Environment:
        """Open the file that is the one now; with the lock held."""
        marks = self.marks
        number = marks.words[NUMBER]
        if self._open is not None and self._open.number == number:
            return self._open
        self._let_go()
        self._remove_others(number)
        try:
            self._open = Environment(self._path(number), number, self.size)
        except lmdb.Error as error:
            _log.warning("shared cache %s: %s: begun anew", self.directory, error)
            number = self._set_aside(marks)
            try:
                self._open = Environment(self._path(number), number, self.size)
            except lmdb.Error as again:
                raise StorageError(f"shared cache {self.directory}: {again}") from again
        return self._open

    def _remove_others(self, number: int) -> None:
        for other in os.listdir(self.directory):
            kind, _, rest = other.partition(".")
            if kind in (_PAGES, _LOCK) and rest.partition("-")[0] != str(number):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.directory, other))

    def _path(self, number: int) -> str:
        return os.path.join(self.directory, f"{_PAGES}.{number}")

    def begin_anew(self, broken: Environment, why: object) -> None:
        """Leave a file that is no good behind, for all workers, unless one of them has done so already."""
        with self.locked(_PATIENCE):
            marks = self.marks
            if marks.words[NUMBER] == broken.number:
                _log.warning("shared cache %s: %s: begun anew", self.directory, why)
                self._set_aside(marks)

    def give_up(self, why: object) -> None:
        """Begin anew for all workers, even where one of them hangs with the lock: it is left with what was."""
        _log.warning("shared cache %s: %s: begun anew", self.directory, why)
        self.replace()

    def replace(self) -> None:
        """Leave what is kept behind, for all workers."""
        with suppress(BusyError), self.locked(Seconds(0.1)):
            self._set_aside(self.marks)
            return
        self._set_aside(self.marks)

    @staticmethod
    def _set_aside(marks: Marks) -> int:
        marks.words[NUMBER] += 1
        marks.change_all()
        return marks.words[NUMBER]

    # Closing.

    def _let_go(self) -> None:
        if self._open is not None:
            self._open.env.close()
            self._open = None

    def close(self) -> None:
        """Give everything up; the next use takes it again. Whoever is the last sees that all of it is on the disk."""
        with self._turn:
            if self._users is not None:
                self._leave(self._users)
            self._let_go()
            self._marks = None
            for descriptor in (self._lock, self._users):
                if descriptor is not None:
                    os.close(descriptor)
            self._lock = self._users = None

    def _leave(self, users: int) -> None:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        with suppress(lmdb.Error, OSError):
            if self._open is not None:
                self._open.env.sync(True)
                _say(users, _WHOLE)

    def before_fork(self) -> None:
        """Let nothing be in the middle of a change in the child."""
        self._turn.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on in the parent; a child opens everything for itself, when it needs it."""
        if in_child:
            self._turn = threading.RLock()
            if self._users is not None:
                # What it locks is locked for the parent.
                os.close(self._users)
                self._users = None
            self.close()
        else:
            self._turn.release()


def _say(users: int, what: bytes) -> None:
    os.ftruncate(users, 0)
    os.pwrite(users, what, 0)


def _boot() -> bytes:
    """Return what is another after each start of the machine."""
    try:
        with open(_BOOT_ID, "rb") as file:
            return file.read().strip()
    except OSError:
        return b"unknown"
