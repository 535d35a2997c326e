"""Which files are there, as far as this process knows, and which of them go first?"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import islice
from threading import Lock

from proxy.config.units import UnixTime
from proxy.storage.backends.file_record import FOREVER
from proxy.storage.backends.limits import Limits

#: A scan finds what other processes did; at least so many changes lie between two.
_STORES_BETWEEN_SCANS = 256
#: Files of the second that is passing, of which some have expired.
_LOOKED_AT = 1000
_DOOMED_AT_ONCE = 500


class FileIndex:
    """The files of one directory, the least recently used first; safe to use from several threads.

    It knows what this process stored and what the last scan found: several processes together may go over a limit until
    the next scan, by a quarter each. About 0.5 KB of memory a file.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._files: OrderedDict[str, tuple[UnixTime, int, int]] = OrderedDict()
        """The end of the timeout, the size, and the tick of the last change."""
        self._shards: dict[str, set[str]] = {}
        self._ends: dict[int, set[str]] = {}
        """The files whose timeout ends within a second."""
        self._seconds: list[int] = []
        """A heap of those seconds, and of some that have no files any more."""
        self._doomed: dict[str, None] = {}
        self._tick = 0
        self._scan_at = 0
        self._scanning = False
        self._removed: set[str] = set()
        """What has gone since the scan that is under way began: it may have seen them before."""
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._files)

    @property
    def tick(self) -> int:
        """The number of changes so far."""
        return self._tick

    def note(self, name: str, until: UnixTime, size: int) -> None:
        """A file was written."""
        with self._lock:
            self._tick += 1
            self._doomed.pop(name, None)
            self._removed.discard(name)
            self._put(name, until, size)

    def change_end(self, name: str, until: UnixTime) -> None:
        """A file has got another timeout."""
        with self._lock:
            if name in self._files:
                self._tick += 1
                self._put(name, until, self._files[name][1])

    def use(self, name: str) -> None:
        """A file was read."""
        with self._lock:
            if name in self._files:
                self._files.move_to_end(name)

    def use_now(self, names: Iterable[str]) -> None:
        """Files were read by whoever must not wait for others; while they hold the lock, it is not noted."""
        if self._lock.acquire(blocking=False):
            try:
                for name in names:
                    if name in self._files:
                        self._files.move_to_end(name)
            finally:
                self._lock.release()

    def forget(self, name: str) -> None:
        """A file was removed."""
        with self._lock:
            self._tick += 1
            self._drop(name)
            self._remove((name,))

    def forget_all(self) -> None:
        """All files were removed."""
        with self._lock:
            self._tick += 1
            self._remove(self._files)
            for known in (self._files, self._shards, self._ends, self._seconds, self._doomed):
                known.clear()
            self.bytes = 0

    def take_expired(self, now: UnixTime, most: int) -> list[str]:
        """Forget files whose timeout has passed, by a second at most when they are many; return their names."""
        taken: list[str] = []
        with self._lock:
            while self._seconds and self._seconds[0] <= now and len(taken) < most:
                names = self._ends.get(self._seconds[0], set())
                expired = [name for name in islice(names, _LOOKED_AT) if self._files[name][0] <= now]
                for name in expired[: most - len(taken)]:
                    self._drop(name)
                    taken.append(name)
                if self._seconds[0] in self._ends:
                    # More than were wanted, or its second is not over.
                    break
                heappop(self._seconds)
            self._remove(taken)
        return taken

    def is_full_for(self, name: str, limits: Limits) -> bool:
        """Tell whether this file would be one too many."""
        return limits.max_entries is not None and len(self._files) >= limits.max_entries and name not in self._files

    def cull(self, limits: Limits) -> int:
        """Doom the least recently used, as many as Django's CULL_FREQUENCY says; return how many."""
        with self._lock:
            count = len(self._files)
            share = count // limits.cull_frequency if limits.cull_frequency else count
            over = count - limits.max_entries + 1 if limits.max_entries is not None else 1
            number = min(count, max(share, over))
        # Ten thousand take ten milliseconds: others come between.
        for start in range(0, number, _DOOMED_AT_ONCE):
            with self._lock:
                for _ in range(min(_DOOMED_AT_ONCE, number - start, len(self._files))):
                    self._doom()
        return number

    def shrink(self, limits: Limits) -> int:
        """Doom the least recently used until the files are small enough together; return how many."""
        number = 0
        with self._lock:
            while limits.max_bytes is not None and self.bytes > limits.max_bytes:
                self._doom()
                number += 1
        return number

    def take_doomed(self, most: int) -> list[str]:
        """Return names of files that are to be removed now."""
        with self._lock:
            taken = [name for name, _ in zip(self._doomed, range(most), strict=False)]
            for name in taken:
                del self._doomed[name]
            self._remove(taken)
        return taken

    def begin_scan(self) -> bool:
        """Tell whether the directory should be scanned now; if so, by the caller."""
        with self._lock:
            if self._scanning or self._tick < self._scan_at:
                return False
            self._scanning = True
            self._removed.clear()
            return True

    def end_scan(self, *, complete: bool) -> None:
        """The scan is over; one that was broken off is made up for."""
        with self._lock:
            self._scanning = False
            self._removed.clear()
            if complete:
                self._scan_at = self._tick + max(_STORES_BETWEEN_SCANS, len(self._files) // 4)

    def merge(self, shard: str, found: Mapping[str, tuple[UnixTime, int]], tick: int) -> None:
        """Take over what a scan found in one directory; what changed since that tick is known better."""
        with self._lock:
            for name in self._shards.get(shard, set()) - found.keys():
                if self._files[name][2] <= tick:
                    self._drop(name)
            for name, (until, size) in found.items():
                known = self._files.get(name)
                if known is None and name not in self._doomed and name not in self._removed:
                    self._put(name, until, size)
                    self._files.move_to_end(name, last=False)
                elif known is not None and known[2] <= tick and (known[1] != size or abs(known[0] - until) > 1):
                    self._put(name, until, size)

    def _remove(self, names: Iterable[str]) -> None:
        if self._scanning:
            self._removed.update(names)

    def _put(self, name: str, until: UnixTime, size: int) -> None:
        self._drop(name)
        self._files[name] = (until, size, self._tick)
        self._shards.setdefault(name[:2], set()).add(name)
        self.bytes += size
        if until < FOREVER:
            self._note_end(int(until), name)

    def _note_end(self, second: int, name: str) -> None:
        names = self._ends.get(second)
        if names is None:
            names = self._ends[second] = set()
            heappush(self._seconds, second)
            if len(self._seconds) > 2 * len(self._ends) + 1000:
                self._seconds = list(self._ends)
                heapify(self._seconds)
        names.add(name)

    def _drop(self, name: str) -> None:
        slot = self._files.pop(name, None)
        if slot is not None:
            self._shards[name[:2]].discard(name)
            self.bytes -= slot[1]
            if slot[0] < FOREVER:
                names = self._ends[int(slot[0])]
                names.discard(name)
                if not names:
                    del self._ends[int(slot[0])]

    def _doom(self) -> None:
        name = next(iter(self._files))
        self._drop(name)
        self._doomed[name] = None
