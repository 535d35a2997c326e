"""What has to go from a shared cache to make room?

What nobody asked for again goes first: a value begins in a short queue and comes into the long one when it was used
meanwhile, or when it comes back soon after it was evicted (S3-FIFO, https://s3fifo.com). A use writes nothing into the
database, but one byte of the marks, which is read when the value has come to the end of its queue.
"""

from __future__ import annotations

from proxy.config.units import UnixTime
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared_change import STEP, Change, FullError
from proxy.storage.backends.shared_marks import BYTES, bucket_of
from proxy.storage.backends.shared_record import Queue, pages_of
from proxy.storage.numbers import Room

_PAGE = 4096
#: The share of the file that stays free: for copies of the pages that change, and for what the last steps have freed.
_SPARE_SHARE = 8
_LEAST_SPARE = 2 * 2**20
#: One in so many values is in the queue of the new ones.
_NEW_SHARE = 10
#: Values that were used are passed over in so many steps; after that, what comes goes.
_SPARING = 6
#: Values that are looked at to find those that have expired, when MAX_ENTRIES is reached.
_LOOKS = 2048


class NoRoomError(Exception):
    """There is not enough room yet, although this step has made some: another one is needed."""


class Making:
    """Makes room for one value, in as many steps as it takes."""

    def __init__(self, limits: Limits, now: UnixTime) -> None:
        self._limits = limits
        self._now = now
        self._steps = 0
        self._goes: int | None = None
        """Values that are still to go for MAX_ENTRIES."""

    def room(self, change: Change, size: int, *, comes: bool = False) -> None:
        """Evict until a value of this size fits; NoRoomError: not yet. ``comes``: it is one more than there are.

        To be called before anything else is changed. FullError when it never will.
        """
        self._steps += 1
        if comes and self._limits.max_entries is not None:
            self._cull(change, self._limits.max_entries)
        need = pages_of(size) * _PAGE
        if need > change.room // 2:
            raise FullError("a shared cache has no room for a value of this size")
        change.sweep()
        if change.marks.words[BYTES] + need <= change.room:
            # As of the last change, which is nearly always near enough.
            return
        while change.size + need > change.room:
            if change.spent >= STEP:
                raise NoRoomError
            if not change.sweep() and self._evict_one(change, Room.BYTES) is None:
                return

    def _cull(self, change: Change, most: int) -> None:
        """Make room as Django does when MAX_ENTRIES is reached, but take what has expired first."""
        if self._goes is None:
            self._goes = 0
            if change.entries >= most:
                self._goes = -1
        if self._goes < 0:
            for name, entry in change.entries_by_name(_LOOKS):
                if entry.until <= self._now:
                    change.evict(name, entry, Room.ENTRIES)
                if change.spent >= STEP:
                    raise NoRoomError
            frequency, there = self._limits.cull_frequency, change.entries
            self._goes = 0 if there < most else max(1, there // frequency) if frequency else there
        while self._goes > 0:
            if change.spent >= STEP:
                raise NoRoomError
            went = self._evict_one(change, Room.ENTRIES)
            if went is None:
                return
            self._goes -= went

    def _evict_one(self, change: Change, needed: Room) -> bool | None:
        """Take what is first in its queue, or let it wait again where it was used: False; None: there is nothing."""
        new, used = change.waiting_in(Queue.NEW), change.waiting_in(Queue.USED)
        first = change.first_of(Queue.NEW if new and (new * _NEW_SHARE >= new + used or not used) else Queue.USED)
        if first is None:
            return None
        name, entry = first
        if entry is None:
            return False
        if change.marks.uses[bucket_of(name)] and entry.until > self._now and self._steps <= _SPARING:
            change.spare(name, entry)
            return False
        change.evict(name, entry, needed)
        return True


def spare_of(size: int) -> int:
    """Return how much of a file of this size stays free."""
    return max(min(_LEAST_SPARE, size // 3), size // _SPARE_SHARE)
