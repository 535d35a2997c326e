"""Which values lie in the memory of this machine, and can be read from their files while the event loop waits?

A thread costs more than such a read: the interpreter gives others the turn at each call to the system, and takes it
back late. Only files are tried that this process has read before, on file systems of this machine, and only what the
page cache holds (``RWF_NOWAIT``) is taken. To open a file may still take the disk, where the system has forgotten its
name: after one such time all goes to the threads for a while.
"""

from __future__ import annotations

import os
import resource
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from proxy.config.units import UnixTime
from proxy.storage.backends.base import Value
from proxy.storage.backends.file_record import HEAD_BYTES, as_value, encoded, head_in

#: File systems on disks of this machine, of which Linux can be asked for what the page cache holds.
_ON_DISK = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "xfs"})
#: File systems that lie in memory themselves; they do not know RWF_NOWAIT.
_IN_MEMORY = frozenset({"ramfs", "tmpfs"})
_MOUNTS = Path("/proc/self/mountinfo")

#: Larger values are read in threads.
_LARGEST = 128 * 1024
#: Files of which it is remembered that they were read; about 200 bytes each.
_REMEMBERED = 10_000
#: Seconds. A read from memory takes 10 us; what waited for a disk takes some milliseconds at least.
_SLOW = 0.002
_REST = 1.0
#: Seconds that the loop waits in one turn; what is left goes to a thread.
_MOST = 0.005

Read = Callable[[str, str], tuple[Value, UnixTime] | None]
"""Returns the value in this file under this key and the end of its timeout; None where that takes more than memory."""


class ReadyFiles:
    """The files that were read before, and their values where these take no waiting."""

    def __init__(
        self,
        wall: Callable[[], UnixTime],
        now: Callable[[], float] = time.monotonic,
        blocked: Callable[[], int] | None = None,
    ) -> None:
        """``blocked`` counts how often this thread has waited for a disk."""
        self._wall = wall
        self._now = now
        self._blocked = blocked or _blocks_read
        self._paths: dict[str, str] = {}
        self._until = float("-inf")
        self.read: Read | None = None
        """None: all goes to the threads."""

    def note(self, paths: Mapping[str, str]) -> None:
        """Remember the files that were read under these keys."""
        self._paths.update(paths)
        while len(self._paths) > _REMEMBERED:
            del self._paths[next(iter(self._paths))]

    def get_many(self, keys: Iterable[str]) -> tuple[dict[str, Value], list[str]]:
        """Return the values that can be had at once, and the files that they were read from."""
        found: dict[str, Value] = {}
        paths: list[str] = []
        read, began = self.read, self._now()
        if read is None or began < self._until:
            return found, paths
        wall, blocked, before = self._wall(), self._blocked(), began
        for key in keys:
            path = self._paths.get(key)
            if path is None:
                continue
            record = read(path, key)
            if record is None or record[1] <= wall:
                # The threads find out what has become of it.
                del self._paths[key]
            else:
                found[key] = record[0]
                paths.append(path)
            after = self._now()
            if after - before > _SLOW and self._blocked() != blocked:
                self._until = after + _REST
                break
            if after - began > _MOST:
                break
            before = after
        return found, paths


def reader(location: str, mounts: Path = _MOUNTS) -> Read | None:
    """Return how files below this place are read without waiting; None where that cannot be."""
    kind = file_system(os.path.realpath(location), mounts)
    nowait = getattr(os, "RWF_NOWAIT", None)
    if kind in _IN_MEMORY and hasattr(os, "preadv"):
        flags = 0
    elif kind in _ON_DISK and nowait is not None:
        flags = nowait
    else:
        return None
    buffer = bytearray(_LARGEST)
    return lambda path, key: _read(path, encoded(key), buffer, flags)


def file_system(place: str, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of file system that holds this place, as Linux tells it (proc(5), mountinfo)."""
    found, longest = None, -1
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        mounted, _, source = line.partition(" - ")
        point = mounted.split(" ")[4].encode("latin-1", "replace").decode("unicode_escape").rstrip("/")
        # The later one lies above.
        if len(point) >= longest and (place == point or place.startswith(point + "/")):
            found, longest = source.split(" ")[0], len(point)
    return found


def _blocks_read() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock


def _read(path: str, name: bytes, buffer: bytearray, flags: int) -> tuple[Value, UnixTime] | None:
    """Read a value if the page cache holds it, and the file is whole and ours; else the threads look at it again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            size = os.preadv(descriptor, [buffer], 0, flags)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    head = head_in(buffer) if HEAD_BYTES <= size < len(buffer) else None
    begin = HEAD_BYTES + len(name)
    if head is None or head.key_length != len(name) or size != begin + head.length:
        return None
    content = bytes(memoryview(buffer)[begin:size])
    if buffer[HEAD_BYTES:begin] != name or zlib.crc32(content, zlib.crc32(name)) != head.checksum:
        return None
    return as_value(head.kind, content), head.until
