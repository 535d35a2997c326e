"""Which stored responses are there for a resource, and which of them does a request select?

Under the primary key lies the stored response itself, or, where responses vary, a list of what they vary by; each
variant then lies under a key of its own, so that variants are evicted one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from sys import getsizeof
from typing import Protocol

from msgspec import Struct

from proxy.config.units import UnixTime
from proxy.errors import StorageError
from proxy.message.heads import Request
from proxy.policy.groups import groups_of
from proxy.policy.key import Distinctions, PrimaryKey, VariantKey, variant_key
from proxy.policy.purging import Purge, PurgeLog
from proxy.policy.stored import StoredResponse, shared
from proxy.policy.variants import offered, offered_tag
from proxy.storage.codec import GroupMark
from proxy.storage.leases import Leases
from proxy.storage.memory import Kept, PageMemory

_MOST_SPECS = 4
"""Different Vary fields remembered for one URL; an origin that has more is not consistent."""

_FEW_KEYS = 8
"""Variants of one URL that are looked through as fast as a dictionary finds one."""

VarySpecs = Sequence[tuple[bytes, ...]]

Revision = Callable[[StoredResponse | None, VarySpecs], tuple[StoredResponse, UnixTime] | None]
"""What to store, and until when, where this is selected, and what the resource's responses vary by; None: nothing."""


Selected = StoredResponse | None | Coroutine[object, object, StoredResponse | None]
"""What a request selects, or what is to be awaited to know it."""
StoredSought = Selected | StorageError
"""The same, or why it cannot be known."""


class Responses(Protocol):
    """What the driver needs of the place where responses are stored."""

    immediate: bool
    """``select`` knows the answer; else ``look`` has to be waited for, and ``seek`` does so without a task."""

    leases: Leases | None
    """By which workers that share a cache know what others are asking the origin for; None: they do not."""

    async def look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return the stored response that the request selects; StorageError when the storage cannot be asked."""

    def seek(self, primary: PrimaryKey, request: Request, now: UnixTime, told: Callable[[StoredSought], None]) -> None:
        """Say what the request selects as soon as it is known, now or later; nothing is raised."""

    def select(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return the stored response that the request selects (RFC 9111 §4.1); NotAtHand where that would take long."""

    def vary_specs(self, primary: PrimaryKey, now: UnixTime) -> VarySpecs:
        """Return what the resource's stored responses vary by, the latest first; empty where nothing is known."""

    def tags(self, primary: PrimaryKey, now: UnixTime) -> Sequence[bytes]:
        """Return the tags by which the origin may name a variant of the resource, as far as they are known (§4.3.1)."""

    async def tagged(self, primary: PrimaryKey, request: Request, tag: bytes, now: UnixTime) -> StoredResponse | None:
        """Return the variant that one of those tags stands for; None where it is gone, or that cannot be known."""

    async def listed(self, primary: PrimaryKey, most: int, now: UnixTime) -> Sequence[StoredResponse]:
        """Return the resource's stored responses, the latest first and no more than ``most``, to be looked at only.

        StorageError when the storage cannot be asked.
        """

    def told_apart_by(self, distinctions: Distinctions) -> Responses:
        """Return the same stored responses, for requests that these distinctions tell apart."""

    def begun(self) -> Responses:
        """Return the same for what the origin is asked for now.

        Nothing is stored by it that was purged since, nor, where others store too, what one of them has made invalid.
        """

    def accepts(self, primary: PrimaryKey) -> bool:
        """Tell whether a response for this resource would be stored now, as far as that is known beforehand."""

    def store(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> bool:
        """Store a response; False when the storage refuses it."""

    def revise(self, primary: PrimaryKey, request: Request, revision: Revision, now: UnixTime) -> None:
        """Store what follows from what the request selects then: nothing comes between the look and the decision."""

    def drop(self, primary: PrimaryKey, request: Request, stored: StoredResponse) -> None:
        """Forget this stored response, which the request selects."""

    def invalidate(self, primary: PrimaryKey) -> bool:
        """Forget every stored response of the resource; tell whether there was one."""

    def invalidate_group(self, group: PrimaryKey, now: UnixTime, *, known: bool = False) -> None:
        """Forget every stored response in the group that was generated until now (RFC 9875).

        What is ``known`` to be on its way for it is kept out by others: then only what is stored need be forgotten.
        """

    async def purge(self, purge: Purge, *, alone: bool) -> str | None:
        """Purge what is stored until now; return why others who store in the same place could not be told, if so.

        Where they could not, this process goes by it, and they are told later. Where it is ``alone`` with it they are
        not told at all: somebody else has done so, or has tried to.
        """


class _Grouped(Struct, eq=False, gc=False):
    """A stored response that is in groups, each of which may become invalid as a whole."""

    response: StoredResponse
    groups: tuple[PrimaryKey, ...]

    def size(self) -> int:
        return self.response.size() + sum(map(getsizeof, self.groups)) + getsizeof(self.groups) + getsizeof(self)


class _Variants(Struct, eq=False, gc=False):
    """What the responses of one resource vary by, and where they lie: never changed, for few bytes."""

    specs: tuple[tuple[bytes, ...], ...] = ()
    """The latest first."""
    keys: tuple[VariantKey, ...] | dict[VariantKey, None] = ()
    """The latest last. Of many it is a dictionary, which finds one sooner than a tuple and takes more room."""

    def with_variant(self, spec: tuple[bytes, ...], key: VariantKey, most: int) -> _Variants:
        specs = shared((spec, *(one for one in self.specs if one != spec))[:_MOST_SPECS])
        keys = (*(one for one in self.keys if one != key), key)[-most:]
        return _Variants(specs, keys if len(keys) <= _FEW_KEYS else dict.fromkeys(keys))

    def size(self) -> int:
        """The keys themselves count where the variants lie."""
        return getsizeof(self) + getsizeof(self.keys)


class NotAtHand(Exception):
    """``select`` would take too long this time: ``seek`` and ``look`` know how to wait."""


class Immediate:
    """What stored responses have in common that nobody has to wait for."""

    immediate = True
    leases: Leases | None = None

    def seek(
        self: Responses, primary: PrimaryKey, request: Request, now: UnixTime, told: Callable[[StoredSought], None]
    ) -> None:
        """Say what ``select`` returns."""
        told(self.select(primary, request, now))


class MemoryResponses(Immediate):
    """Stored responses in process memory, held as they are sent."""

    def __init__(
        self, memory: PageMemory, distinctions: Distinctions, max_variants: int, log: PurgeLog | None = None
    ) -> None:
        """``log`` knows what was purged of this memory."""
        self._memory = memory
        self._log = PurgeLog() if log is None else log
        self._begun: int | None = None
        """What is stored is valid after the purge with this number, and the ones before; None: after all of them."""
        self._latest_begun: tuple[int, MemoryResponses] | None = None
        self._kept = memory.kept
        self._distinctions = distinctions
        self._max_variants = max_variants

    def select(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return the stored response that the request selects, the latest where several would do."""
        # As memory.peek does, without a call: this is on the way of every hit.
        kept = self._kept.get(primary)
        if kept is None:
            return None
        if kept.until <= now:
            self._memory.expire(kept)
            return None
        kept.used = True
        held = kept.value
        if type(held) is StoredResponse:
            # One comparison, unless something was purged since it was looked at last.
            return held if held.number == self._log.number else self._judged(primary, kept, held, now)
        if isinstance(held, _Variants):
            return self._variant(held, primary, request, now)
        return self._valid(primary, kept, now)

    def _variant(self, held: _Variants, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        part: StoredResponse | None = None
        for spec in held.specs:
            key = variant_key(primary, spec, request, self._distinctions)
            if key not in held.keys:
                # One of a former list, which was evicted before it, may lie there: nobody could invalidate it.
                continue
            variant = self._valid(primary, self._found(key, now), now)
            if variant is not None:
                if variant.extent is None:
                    return variant
                part = part or variant
        return part

    def _found(self, key: PrimaryKey | VariantKey, now: UnixTime) -> Kept | None:
        """Return what lies under a key and counts as used, with what is known of its use."""
        return None if self._memory.peek(key, now) is None else self._kept.get(key)

    def _valid(self, primary: PrimaryKey, kept: Kept | None, now: UnixTime) -> StoredResponse | None:
        """Return a response that lies here, unless it was purged or one of its groups has become invalid since."""
        held = None if kept is None else kept.value
        if isinstance(held, _Grouped):
            marks = [self._memory.peek(group, now) for group in held.groups]
            born = held.response.terms.born
            if not all(isinstance(mark, GroupMark) and mark.until < born for mark in marks):
                return None
            held = held.response
        return self._judged(primary, kept, held, now) if kept and isinstance(held, StoredResponse) else None

    def _judged(self, primary: PrimaryKey, kept: Kept, stored: StoredResponse, now: UnixTime) -> StoredResponse | None:
        """Return a response as it is after all purges, and have it lie here like that."""
        judged = self._log.judge(primary, stored, now)
        if judged is None:
            self._memory.drop(kept.key)
        elif judged is not stored:
            if isinstance(kept.value, _Grouped):
                kept.value.response = judged
            else:
                kept.value = judged
        return judged

    def _grouped(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, now: UnixTime
    ) -> StoredResponse | _Grouped:
        """Return a response as it is to lie here; groups that were not known are from now on."""
        groups = groups_of(primary, request, stored)
        for group in groups:
            if self._memory.peek(group, now) is None:
                self._mark(group, GroupMark.before(stored))
        return _Grouped(stored, groups) if groups else stored

    def _mark(self, group: PrimaryKey, mark: GroupMark) -> None:
        self._memory.put(group, mark, getsizeof(mark) + getsizeof(mark.until), UnixTime(float("inf")))

    async def look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return what ``select`` returns now."""
        return self.select(primary, request, now)

    def vary_specs(self, primary: PrimaryKey, now: UnixTime) -> VarySpecs:
        """Return what the resource's stored responses vary by."""
        held = self._memory.peek(primary, now)
        if isinstance(held, _Variants):
            return held.specs
        return () if self._valid(primary, self._kept.get(primary), now) is None else ((),)

    def tags(self, primary: PrimaryKey, now: UnixTime) -> Sequence[bytes]:
        """Return the tags by which the origin may name a variant of the resource."""
        return offered(tag for tag, _ in self._offered(primary, now))

    async def tagged(self, primary: PrimaryKey, request: Request, tag: bytes, now: UnixTime) -> StoredResponse | None:
        """Return the latest variant with this tag."""
        del request
        return next((variant for known, variant in self._offered(primary, now) if known == tag), None)

    def _offered(self, primary: PrimaryKey, now: UnixTime) -> Iterator[tuple[bytes, StoredResponse]]:
        """Return the variants that the origin may be asked about, each with its tag, the latest first."""
        held = self._memory.peek(primary, now)
        for key in reversed(held.keys) if isinstance(held, _Variants) else ():
            variant = self._valid(primary, self._found(key, now), now)
            tag = None if variant is None else offered_tag(variant)
            if variant is not None and tag is not None:
                yield tag, variant

    async def listed(self, primary: PrimaryKey, most: int, now: UnixTime) -> Sequence[StoredResponse]:
        """Return the resource's stored responses; none of them counts as used for it."""
        kept = self._lying(primary, now)
        held = None if kept is None else kept.value
        lying = [self._lying(key, now) for key in reversed(held.keys)] if isinstance(held, _Variants) else [kept]
        found = [one for one in (self._valid(primary, each, now) for each in lying) if one is not None]
        return found[:most]

    def _lying(self, key: PrimaryKey | VariantKey, now: UnixTime) -> Kept | None:
        kept = self._kept.get(key)
        return None if kept is None or kept.until <= now else kept

    def told_apart_by(self, distinctions: Distinctions) -> MemoryResponses:
        """Return the same memory, with these distinctions."""
        return MemoryResponses(self._memory, distinctions, self._max_variants, self._log)

    def begun(self) -> MemoryResponses:
        """Return the same for what the origin is asked for now: what is purged from now on is not stored by it."""
        number, begun = self._log.number, self._latest_begun
        if begun is None or begun[0] != number:
            same = MemoryResponses(self._memory, self._distinctions, self._max_variants, self._log)
            same._begun = number
            begun = self._latest_begun = number, same
        return begun[1]

    def accepts(self, primary: PrimaryKey) -> bool:
        """Memory always does."""
        del primary
        return True

    def store(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> bool:
        """Store a response in the place of the one it replaces."""
        log = self._log
        stored.number = min(stored.number, log.number if self._begun is None else self._begun)
        if log.judge(primary, stored, now) is not stored:
            return False
        spec = stored.terms.vary
        kept_as = self._grouped(primary, request, stored, now)
        if not spec:
            self._drop_variants(primary)
            return self._memory.put(primary, kept_as, kept_as.size(), until)
        held = self._memory.peek(primary, now)
        former = held if isinstance(held, _Variants) else _Variants()
        key = variant_key(primary, spec, request, self._distinctions)
        variants = former.with_variant(spec, key, self._max_variants)
        for one in former.keys:
            if one not in variants.keys:
                self._memory.drop(one)
        # The list has to outlive each variant, and is small.
        forever = UnixTime(float("inf"))
        kept = self._memory.put(primary, variants, variants.size(), forever)
        kept = kept and self._memory.put(key, kept_as, kept_as.size(), until)
        if kept and self._memory.peek(primary, now) is None:
            # It went to make room for its variant: CULL_FREQUENCY 0 or 1 takes all there is.
            kept = self._memory.put(primary, variants, variants.size(), forever)
        return kept

    def revise(self, primary: PrimaryKey, request: Request, revision: Revision, now: UnixTime) -> None:
        """Store what follows from what the request selects."""
        revised = revision(self.select(primary, request, now), self.vary_specs(primary, now))
        if revised is not None:
            self.store(primary, request, *revised, now)

    def drop(self, primary: PrimaryKey, request: Request, stored: StoredResponse) -> None:
        """Forget this stored response, unless another has taken its place."""
        spec = stored.terms.vary
        key = variant_key(primary, spec, request, self._distinctions) if spec else primary
        held = self._memory.peek(key, UnixTime(0))
        if (held.response if isinstance(held, _Grouped) else held) is stored:
            self._memory.drop(key)

    def invalidate(self, primary: PrimaryKey) -> bool:
        """Forget every stored response of the resource (RFC 9111 §4.4)."""
        self._drop_variants(primary)
        return self._memory.drop(primary)

    def _drop_variants(self, primary: PrimaryKey) -> None:
        kept = self._kept.get(primary)
        if kept is not None and isinstance(kept.value, _Variants):
            for key in kept.value.keys:
                self._memory.drop(key)

    def invalidate_group(self, group: PrimaryKey, now: UnixTime, *, known: bool = False) -> None:
        """Forget every stored response in the group, however many they are, by one mark."""
        if not known or self._memory.peek(group, now) is not None:
            self._mark(group, GroupMark(now))

    async def purge(self, purge: Purge, *, alone: bool) -> None:
        """Purge what is stored; each process has a memory of its own."""
        del alone
        self._log.add(purge)


class NoResponses(Immediate):
    """Nothing is ever stored: the page cache of a DummyCache."""

    def select(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return None."""
        del primary, request, now
        return None

    async def look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return None."""
        del primary, request, now
        return None

    def vary_specs(self, primary: PrimaryKey, now: UnixTime) -> VarySpecs:
        """Nothing is known."""
        del primary, now
        return ()

    def tags(self, primary: PrimaryKey, now: UnixTime) -> Sequence[bytes]:
        """There are none."""
        del primary, now
        return ()

    async def tagged(self, primary: PrimaryKey, request: Request, tag: bytes, now: UnixTime) -> StoredResponse | None:
        """Return None."""
        del primary, request, tag, now
        return None

    async def listed(self, primary: PrimaryKey, most: int, now: UnixTime) -> Sequence[StoredResponse]:
        """There are none."""
        del primary, most, now
        return ()

    def told_apart_by(self, distinctions: Distinctions) -> NoResponses:
        """It makes no difference."""
        del distinctions
        return self

    def begun(self) -> NoResponses:
        """Nothing is."""
        return self

    def accepts(self, primary: PrimaryKey) -> bool:
        """Nothing is."""
        del primary
        return False

    def store(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> bool:
        """Store nothing."""
        del primary, request, stored, until, now
        return False

    def revise(self, primary: PrimaryKey, request: Request, revision: Revision, now: UnixTime) -> None:
        """Store nothing."""
        del primary, request, revision, now

    def drop(self, primary: PrimaryKey, request: Request, stored: StoredResponse) -> None:
        """There was nothing."""
        del primary, request, stored

    def invalidate(self, primary: PrimaryKey) -> bool:
        """There was nothing."""
        del primary
        return False

    def invalidate_group(self, group: PrimaryKey, now: UnixTime, *, known: bool = False) -> None:
        """There is nothing in it."""
        del group, now, known

    async def purge(self, purge: Purge, *, alone: bool) -> None:
        """There is nothing."""
        del purge, alone
