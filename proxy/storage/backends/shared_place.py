"""Where does a shared cache lie that has no LOCATION, how large may it be there, and who tidies up?

In a directory of its own under /dev/shm, which is memory, for as long as the process runs that was started. Whoever is
killed leaves one behind: the next start removes those of its user that nobody has open any more.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
from contextlib import suppress
from tempfile import mkdtemp

from proxy.config.model import SHARED_BYTES
from proxy.config.units import Bytes, show_bytes
from proxy.storage.backends.file_place import open_lock
from proxy.storage.backends.shared_file import USERS

MEMORY = "/dev/shm"  # noqa: S108  each cache has a private directory with a name that nobody can foresee
"""What Linux offers as memory that processes share."""
LEAST = Bytes(8 * 2**20)
"""With less there is no point in one."""
_SHARE = 0.75


class Place:
    """A directory for a cache of this process and those that it starts, until it ends."""

    def __init__(self, above: str = MEMORY) -> None:
        """Make it; OSError where that cannot be."""
        self.directory = mkdtemp(prefix=_prefix(), dir=above)
        self._users = open_lock(os.path.join(self.directory, USERS))
        # Shared, as those who have it open do: nobody takes it for one that was left behind.
        fcntl.flock(self._users, fcntl.LOCK_SH)
        self._owner = os.getpid()

    def remove(self) -> None:
        """Remove it; not in a child that was forked off."""
        if os.getpid() == self._owner and self._users >= 0:
            shutil.rmtree(self.directory, ignore_errors=True)
            os.close(self._users)
            self._users = -1


def remove_leftovers(above: str = MEMORY) -> int:
    """Remove the directories of those who ended without removing them; return how many there were."""
    removed = 0
    with suppress(OSError):
        for name in os.listdir(above):
            path = os.path.join(above, name)
            if name.startswith(_prefix()) and _is_left(path):
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    return removed


def size_that_fits(directory: str) -> Bytes:
    """Return how large a cache in this directory is to be, where nobody says; ValueError where it does not fit."""
    free = free_at(directory)
    size = min(SHARED_BYTES, Bytes(int(free * _SHARE)))
    if size < LEAST:
        raise ValueError(no_room(directory, LEAST, free))
    return Bytes(size // 2**20 * 2**20)


def no_room(directory: str, wanted: int, free: int) -> str:
    """Say that there is less room than wanted, and what to do."""
    return (
        f"OPTIONS.MAX_BYTES: expected room for {show_bytes(wanted)} in {directory!r}, found {show_bytes(free)} free; "
        "give LOCATION a directory elsewhere, or the container more of it (docker run --shm-size=512m)"
    )


def free_at(directory: str) -> Bytes:
    """Return how much room there is for us on the file system that this directory is, or will be, on."""
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    found = os.statvfs(directory)
    return Bytes(found.f_bavail * found.f_frsize)


def place_of_this_process() -> str:
    """Return a directory that is removed when this process ends."""
    if not _own:
        remove_leftovers()
        place = Place()
        _own.append(place)
        atexit.register(place.remove)
    return _own[0].directory


_own: list[Place] = []


def _prefix() -> str:
    return f"sitecache-{os.geteuid()}-"


def _is_left(path: str) -> bool:
    """Tell whether nobody has the cache in this directory open."""
    try:
        if os.lstat(path).st_uid != os.geteuid():
            return False
        users = os.open(os.path.join(path, USERS), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        # None of ours, or one that is being made.
        return False
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(users)
    return True
