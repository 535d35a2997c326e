"""Which stored responses does this process know so well that it need not ask their storage? Those just confirmed.

A copy is good from the moment at which the look-up began that brought it, on the clock of this process alone: whatever
happens in the storage, it is served for no longer than ``seconds`` from then on. What is heard of a change ends it at
once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from zlib import crc32

from msgspec import Struct

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.message.heads import Request
from proxy.policy.groups import groups_of
from proxy.policy.key import Distinctions, PrimaryKey, variant_key
from proxy.policy.stored import StoredResponse, shared
from proxy.storage.asking import Key
from proxy.storage.changes import Changes, Message, read
from proxy.storage.memory import PageMemory
from proxy.storage.responses import VarySpecs
from proxy.storage.slots import resource_of

#: Keys share so many places, where the latest change of any of them is noted: the others are confirmed once more.
_PLACES = 1 << 14
_NEVER = float("-inf")
#: What a copy takes beside the response: the object, its moment and its sums.
_COPY_BYTES = 144
_VARIED_BYTES = 100


def sum_of(key: bytes) -> int:
    """Return what stands for a key where it is said that something has changed; several may have the same."""
    return crc32(key)


def sums_of(primary: PrimaryKey, request: Request, stored: StoredResponse | None) -> tuple[int, ...]:
    """Return what stands for all that a look-up with this result depends on: the resource and the groups it is in."""
    groups = () if stored is None else groups_of(primary, request, stored)
    return (sum_of(primary), *map(sum_of, groups))


class Copy(Struct, eq=False, gc=False):
    """A stored response as it lay in the storage."""

    stored: StoredResponse
    confirmed: float
    """When the look-up began that brought it."""
    sums: tuple[int, ...]
    """Of what it depends on."""


class _Varied(Struct, eq=False, gc=False):
    """A resource whose responses vary."""

    names: tuple[bytes, ...]
    """All that they vary by: requests with the same values select the same."""


class VariedBy:
    """What the responses of a resource vary by, and what tells requests apart by that."""

    __slots__ = ("_distinctions", "names", "specs")

    def __init__(self, specs: VarySpecs, distinctions: Distinctions) -> None:
        self.specs = specs
        self.names = shared(tuple(dict.fromkeys(name for spec in specs for name in spec)))
        """All that they vary by: requests with the same values select the same."""
        self._distinctions = distinctions

    def covers(self, stored: StoredResponse) -> bool:
        """Tell whether it is known what a response varies by: another may have taken the place of the list."""
        return not stored.terms.vary or stored.terms.vary in self.specs

    def key(self, primary: PrimaryKey, request: Request) -> Key:
        """Return the key of a copy of what the request selects."""
        return variant_key(primary, self.names, request, self._distinctions) if self.names else primary


class Tier:
    """Copies of what lies in one storage, within a budget of bytes."""

    def __init__(
        self, most: Bytes, seconds: Seconds, clock: Callable[[], UnixTime], monotonic: Callable[[], float]
    ) -> None:
        """A copy is good for so many ``seconds`` on the ``monotonic`` clock, which never goes back."""
        self._memory = PageMemory(clock, max_bytes=most)
        self._kept = self._memory.kept
        self._changes = array("d", [_NEVER]) * _PLACES
        self._all_changed = _NEVER
        self._seconds = seconds
        self.changes = Changes()
        """What this process has forgotten, for those who have copies, too."""
        self.monotonic = monotonic
        self.most = most
        self.hits = 0
        """Requests that were answered from here."""

    def __len__(self) -> int:
        return len(self._memory)

    @property
    def bytes(self) -> Bytes:
        """What the copies take, with their keys."""
        return self._memory.bytes

    # What is good.

    def key(self, primary: PrimaryKey, request: Request, distinctions: Distinctions) -> Key | None:
        """Return the key of a copy of what the request selects; None where nothing is known of the resource."""
        kept = self._kept.get(primary)
        if kept is None:
            return None
        held = kept.value
        if type(held) is _Varied:
            kept.used = True
            return variant_key(primary, held.names, request, distinctions)
        return primary

    def find(self, key: Key, now: UnixTime, moment: float) -> StoredResponse | None:
        """Return what has this key, if it is good at this moment and fresh now."""
        kept = self._kept.get(key)
        copy = None if kept is None else kept.value
        if kept is None or type(copy) is not Copy or now >= copy.stored.fresh_until:
            return None
        if not self.still_holds(copy.sums, copy.confirmed, moment):
            return None
        kept.used = True
        return copy.stored

    def still_holds(self, sums: Iterable[int], confirmed: float, moment: float) -> bool:
        """Tell whether what was confirmed then is good at this moment, with nothing heard since of what it depends on.

        What was heard at the very moment at which it was confirmed counts as heard since.
        """
        if moment - confirmed >= self._seconds or self._all_changed >= confirmed:
            return False
        changes = self._changes
        for one in sums:  # noqa: SIM110  a generator would take longer, on the way of each hit
            if changes[one & (_PLACES - 1)] >= confirmed:
                return False
        return True

    # What changes.

    def keep(self, primary: PrimaryKey, request: Request, copy: Copy, varied: VariedBy) -> None:
        """Keep a copy of what the request selects."""
        if varied.names:
            size = _VARIED_BYTES + sum(map(len, varied.names))
            self._memory.put(primary, _Varied(varied.names), size, UnixTime(float("inf")))
        size = copy.stored.size() + _COPY_BYTES
        self._memory.put(varied.key(primary, request), copy, size, UnixTime(copy.stored.fresh_until))

    def drop(self, key: Key) -> None:
        """Keep nothing under this key."""
        self._memory.drop(key)

    def change(self, sums: Iterable[int]) -> None:
        """Have nothing be good of the resources, or of the members of the groups, that these stand for."""
        moment = self.monotonic()
        for one in sums:
            self._changes[one & (_PLACES - 1)] = moment

    def forget(self, key: Key) -> None:
        """Have nothing be good of a resource, or of the members of a group."""
        self.change((sum_of(key),))

    def begins(self, key: Key) -> None:
        """Something else is on its way to the storage, and counts as being there."""
        self.forget(resource_of(key))

    def arrived(self, key: Key, *, ends: bool) -> None:
        """What was on its way does not count as being there any more; others are told what it ends."""
        one = sum_of(resource_of(key))
        self.change((one,))
        if ends:
            self.changes.add(one)

    def purged(self) -> None:
        """Ask for everything once more: what is meant may be known of what has taken the place of a copy only."""
        self.forget_all()
        self.changes.add_all()

    def hear(self, message: Message) -> None:
        """Forget what another process has."""
        if message:
            self.change(read(message))
        else:
            self.forget_all()

    def forget_all(self) -> None:
        """Have nothing be good that was confirmed until now."""
        self._all_changed = self.monotonic()
