"""Which stored responses are there, when they lie in a cache that has to be waited for?

A look-up is one round trip: the primary key is asked for together with the variants that the request would select by
what the resource's responses are known to vary by, or else by what those of other resources do. What is on its way to
the cache counts as being there, so that whoever has read the last byte of a page gets a hit.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pkgutil import resolve_name
from typing import Protocol, assert_never

from proxy.config.model import CacheConfig
from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.errors import StorageError
from proxy.message.heads import Request
from proxy.policy.groups import groups_of
from proxy.policy.key import Distinctions, PrimaryKey, page_name, variant_key
from proxy.policy.purging import Purge
from proxy.policy.stored import StoredResponse
from proxy.storage.asking import LARGE, NUMBER_KEY, Asking, Found, Key
from proxy.storage.backends.base import Backend
from proxy.storage.batches import Start
from proxy.storage.codec import GroupMark, PurgeNote, Record, Variant, VaryIndex, encode
from proxy.storage.debts import Debts
from proxy.storage.guard import Guards, RestingError
from proxy.storage.leases import Leases
from proxy.storage.looking import Look, settled
from proxy.storage.numbers import Numbers, Operation, Room
from proxy.storage.purges import UNNUMBERED, RemotePurges
from proxy.storage.responses import Revision, StoredSought, VarySpecs
from proxy.storage.slots import (
    digest_of,
    keys_of,
    place_of,
    slot_key,
    tagged,
    tags_of,
    variants_of,
    with_variant,
)

_log = logging.getLogger("sitecache")

_REMEMBERED = 10_000
#: How much longer an index is kept than the variant it was last written with.
_INDEX_LONGER = 86400.0

#: Variants of one URL that are read only to be looked at, each of them whole.
_MOST_LISTED = 8

#: Nobody waits for a write, and a large body takes a while.
_WRITE_DEADLINE = Seconds(2)
#: Bytes of bodies that wait for a slow storage; what comes then is not stored.
_MOST_ON_ITS_WAY = 64 * 2**20

#: What the responses of this cache vary by is kept under this key, for processes that start.
_USUAL_KEY = PrimaryKey(b"usual")
_MOST_USUAL = 8
_USUAL_TIMEOUT = Seconds(30 * 86400)
#: What is no longer known of a group makes misses of those in it.
_GROUP_TIMEOUT = Seconds(30 * 86400)


def key_maker(cache: CacheConfig) -> Callable[[bytes], str]:
    """Return what makes the key under which a cache keeps what is stored under one of ours, as CACHES says."""
    prefix, version, function = cache.KEY_PREFIX, cache.VERSION, cache.KEY_FUNCTION
    if function is not None:
        return lambda key: str(resolve_name(function)(page_name(key), prefix, version))
    before = f"{prefix}:{version}:"
    return lambda key: before + page_name(key)


@dataclass(frozen=True, slots=True)
class _Write:
    """What is on its way to the cache; without a record, a deletion."""

    record: Record | None
    timeout: Seconds | None
    ends: bool
    """What others have of what lay there is not to be used any more."""


class Watcher(Protocol):
    """Who knows what lies in the cache, and is told of what changes there by this process."""

    def begins(self, key: Key) -> None:
        """Something else is on its way to this key."""

    def arrived(self, key: Key, *, ends: bool) -> None:
        """Nothing is on its way to this key any more; it ``ends`` what others know of it if something was forgotten."""

    def purged(self) -> None:
        """Something was purged of the cache, which tells so to all who ask it for anything."""


class RemoteResponses:
    """Stored responses in a backend."""

    immediate = False
    leases: Leases | None = None

    def __init__(
        self,
        backend: Backend,
        guards: Guards,
        make_key: Callable[[bytes], str],
        distinctions: Distinctions,
        max_variants: int,
        start: Start,
    ) -> None:
        """``make_key`` makes the backend's key for one of ours; ``start`` runs what nobody waits for."""
        backend.tell_losses()
        self._backend = backend
        self._guards = guards
        self._asking = Asking(backend, guards, make_key, start)
        self._distinctions = distinctions
        self._max_variants = max_variants
        self._start = start
        self._indexes: OrderedDict[PrimaryKey, VaryIndex | None] = OrderedDict()
        """Of the resources seen last; None where the response does not vary."""
        self._usual: tuple[tuple[bytes, ...], ...] = ()
        self._writing: dict[Key, _Write] = {}
        self._on_its_way = 0
        self._revising = 0
        self._written = asyncio.Event()
        self._marking: dict[Key, GroupMark] = {}
        """Groups that are being made known."""
        self.debts: Debts[Key] = Debts(self._delete, start)
        """What is to be forgotten as soon as the storage can be told so."""
        self.purges = RemotePurges(backend, guards, self._asking, start)
        self.watcher: Watcher | None = None
        """Is told of what changes."""

    # What the metrics page reads.

    @property
    def numbers(self) -> Numbers:
        """What the storage was asked, and what became of it."""
        return self._guards.numbers

    @property
    def resting(self) -> Mapping[str, bool]:
        """Of each server that was asked: is it being left alone?"""
        return self._guards.resting()

    @property
    def damaged(self) -> int:
        """Records that were not what had been written, those included that the backend found."""
        return self._guards.numbers.damaged + self._backend.damaged

    @property
    def owed(self) -> int:
        """Deletions and purges that the storage could not be told yet."""
        return len(self.debts) + self.purges.owed

    @property
    def held(self) -> tuple[int, Bytes] | None:
        """Values that the storage holds and what they take, where that is known without asking."""
        return self._backend.held

    @property
    def limits(self) -> tuple[int | None, Bytes | None]:
        """How many values the storage may hold, and what they may take, as far as that is up to us."""
        return self._backend.limits

    @property
    def evictions(self) -> Mapping[Room, int] | None:
        """Values that this process took away to make room; None where others do that."""
        return self._backend.evictions

    # What is there.

    def select(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Nothing is known without waiting."""
        del primary, request, now
        return None

    async def prepare(self) -> None:
        """Learn what responses vary by before the first is asked for; without the storage, nothing is learnt."""
        with suppress(StorageError):
            # One by one: what libmemcached says of the second key hides what was wrong with the first.
            usual = (await self._asking.ask([_USUAL_KEY], _WRITE_DEADLINE)).get(_USUAL_KEY)
            if isinstance(usual, VaryIndex):
                self._usual = usual.specs[:_MOST_USUAL]
            if not isinstance(usual, StorageError):
                counted = await self._asking.ask([NUMBER_KEY], _WRITE_DEADLINE)
                await self.purges.prepare(counted.get(NUMBER_KEY))

    async def look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> StoredResponse | None:
        """Return the stored response that the request selects; StorageError when the cache cannot be asked."""
        look = self._look(primary, request, now)
        return await settled(look.seen(await self.get(look.asked)))

    def seek(self, primary: PrimaryKey, request: Request, now: UnixTime, told: Callable[[StoredSought], None]) -> None:
        """Say what ``look`` returns as soon as it is known: for a hit that takes one look nothing has to be awaited."""
        look = self._look(primary, request, now)
        found, ask = self._at_hand(look.asked)
        if ask:
            self._asking.seek(ask, partial(look.sought, told, found))
        else:
            look.sought(told, found, {})

    def _look(self, primary: PrimaryKey, request: Request, now: UnixTime) -> Look:
        """Begin a look-up: at what is known of the resource, or what others vary by."""
        known = self._indexes.get(primary)
        specs = known.specs if known is not None else self._usual if primary not in self._indexes else ()
        if not specs:
            return Look(self, primary, request, now, (primary, NUMBER_KEY))
        places = self.places(primary, request, specs, known)
        return Look(self, primary, request, now, dict.fromkeys((primary, NUMBER_KEY, *(key for key, _ in places))))

    def mark_of(self, group: PrimaryKey) -> GroupMark | None:
        """Return the mark of a group that is being made known."""
        return self._marking.get(group)

    def vary_specs(self, primary: PrimaryKey, now: UnixTime) -> VarySpecs:
        """Return what the resource's stored responses vary by, as far as it was seen."""
        del now
        known = self._indexes.get(primary)
        return () if known is None else known.specs

    def trusted(self, primary: PrimaryKey, stored: StoredResponse, now: UnixTime) -> StoredResponse | None:
        """Return a response as it is after what was purged, unless it may be one of those that were to be forgotten."""
        return self.purges.judge(primary, stored, now) if self.debts.forgives(stored.terms.born, now) else None

    def learning(self, found: dict[Key, Found], now: UnixTime) -> Coroutine[object, object, bool] | None:
        """Return what is to be awaited to know what was purged, if so."""
        return self.purges.learning(found, now)

    def places(
        self, primary: PrimaryKey, request: Request, specs: VarySpecs, index: VaryIndex | None
    ) -> list[tuple[Key, str]]:
        """Return where the variants that the request selects would lie, and the digest of each."""
        digests = [digest_of(variant_key(primary, spec, request, self._telling_apart)) for spec in specs]
        return [(slot_key(primary, digest, index, self._max_variants), digest) for digest in digests]

    def remember(self, primary: PrimaryKey, index: VaryIndex | None) -> None:
        """Know what lies under this key: a response, or an index."""
        self._indexes[primary] = index
        self._indexes.move_to_end(primary)
        if len(self._indexes) > _REMEMBERED:
            self._indexes.popitem(last=False)

    def forget(self, primary: PrimaryKey) -> None:
        """Know nothing of the resource."""
        self._indexes.pop(primary, None)

    def learn(self, specs: VarySpecs) -> None:
        """Keep what responses vary by, for look-ups of resources that nothing is known of, also after a restart."""
        new = [spec for spec in specs if spec not in self._usual][: _MOST_USUAL - len(self._usual)]
        if new:
            self._usual = (*self._usual, *new)
            self._write(_USUAL_KEY, VaryIndex(b"", self._usual), _USUAL_TIMEOUT)

    def tags(self, primary: PrimaryKey, now: UnixTime) -> tuple[bytes, ...]:
        """Return the tags by which the origin may name a variant, as far as its index was seen."""
        known = self._indexes.get(primary)
        return () if known is None else tags_of(known, now)

    async def tagged(self, primary: PrimaryKey, request: Request, tag: bytes, now: UnixTime) -> StoredResponse | None:
        """Return the variant with this tag, unless it is no more what the index said when it was seen."""
        known = self._indexes.get(primary)
        place = None if known is None else place_of(primary, tag, known, self._max_variants)
        if place is None:
            return None
        with suppress(StorageError):
            # The index once more: somebody else may have made all of its variants invalid meanwhile.
            found = await self.get((primary, place))
            variant = tagged(found.get(primary), found.get(place), tag)
            if variant is not None:
                return await settled(Look(self, primary, request, now, ()).valid(self.trusted(primary, variant, now)))
        return None

    async def listed(self, primary: PrimaryKey, most: int, now: UnixTime) -> list[StoredResponse]:
        """Return the resource's stored responses, each of which is read whole."""
        record = (await self.get((primary,))).get(primary)
        if isinstance(record, StorageError):
            raise record
        if not isinstance(record, VaryIndex):
            found = [record] if isinstance(record, StoredResponse) else []
        else:
            keys = keys_of(primary, record)[: min(most, _MOST_LISTED)]
            variants = await self.get(keys)
            found = variants_of(record, map(variants.get, keys))
        judged = [self.trusted(primary, one, now) for one in found]
        return [one for one in judged if one is not None]

    @property
    def _telling_apart(self) -> Distinctions:
        return self._distinctions

    @property
    def _begun(self) -> int | None:
        """What is stored is valid after the purge with this number, and the ones before; None: after all of them."""
        return None

    def told_apart_by(self, distinctions: Distinctions) -> RemoteResponses:
        """Return the same stored responses, with these distinctions."""
        return _Alike(self, distinctions, self._begun)

    # What is to be there.

    def begun(self) -> RemoteResponses:
        """Return the same for what the origin is asked for now: what is purged from now on is not stored by it.

        What another proxy makes invalid otherwise is not known here.
        """
        return _Alike(self, self._telling_apart, self.purges.number)

    def accepts(self, primary: Key) -> bool:
        """Tell whether something would be stored under this key now, as far as that is known."""
        # What is to be forgotten must be so first: nobody knows in which order the storage does what was late.
        if primary in self.debts or self._on_its_way >= _MOST_ON_ITS_WAY:
            return False
        try:
            return not self._guards.refuses(self._backend.server_of(self._asking.name(primary), writing=True))
        except StorageError:
            return False

    def store(
        self, primary: PrimaryKey, request: Request, stored: StoredResponse, until: UnixTime, now: UnixTime
    ) -> bool:
        """Begin to store a response; False when it is known that the storage will not."""
        spec = stored.terms.vary
        timeout = Seconds(until - now)
        if not self.accepts(primary):
            return False
        self._number(stored)
        for group in groups_of(primary, request, stored):
            # What is to be forgotten of a group must be so first.
            if group not in self._marking and group not in self.debts:
                self._marking[group] = GroupMark.before(stored)
                self._start(self._mark(group, self._marking[group]))
        if not spec:
            self.remember(primary, None)
            self._write(primary, stored, timeout)
            return True
        known = self._indexes.get(primary) or VaryIndex(os.urandom(8).hex().encode(), ())
        digest = digest_of(variant_key(primary, spec, request, self._telling_apart))
        index = with_variant(known, stored, until, digest, self._max_variants)
        place = slot_key(primary, digest, index, self._max_variants)
        if not self.accepts(place):
            return False
        self.remember(primary, index)
        self.learn(index.specs)
        self._write(primary, index, Seconds(timeout + _INDEX_LONGER))
        self._write(place, Variant(index.generation, digest, stored), timeout)
        return True

    def _number(self, stored: StoredResponse) -> None:
        """Give a response the number that it is valid after, or have it wait for one."""
        if self._begun is not None:
            stored.number = min(stored.number, self._begun or UNNUMBERED)
        elif self.purges.number:
            stored.number = min(stored.number, self.purges.number)

    def revise(self, primary: PrimaryKey, request: Request, revision: Revision, now: UnixTime) -> None:
        """Begin to look at what the request selects and to store what follows; other proxies may come between."""
        self._revising += 1
        self._start(self._revise(primary, request, revision, now))

    async def _revise(self, primary: PrimaryKey, request: Request, revision: Revision, now: UnixTime) -> None:
        try:
            selected = await self.look(primary, request, now)
        except StorageError:
            # It cannot be told what would be displaced.
            return
        finally:
            self._revising -= 1
        revised = revision(selected, self.vary_specs(primary, now))
        if revised is not None:
            self.store(primary, request, *revised, now)

    def drop(self, primary: PrimaryKey, request: Request, stored: StoredResponse) -> None:
        """Begin to forget this stored response."""
        if not stored.terms.vary:
            self._write(primary, None)
            return
        for key, _ in self.places(primary, request, [stored.terms.vary], self._indexes.get(primary)):
            self._write(key, None)

    def invalidate(self, primary: PrimaryKey) -> bool:
        """Begin to forget every stored response of the resource: without their index, variants are not found."""
        self._indexes.pop(primary, None)
        self._write(primary, None)
        return True

    def invalidate_group(self, group: PrimaryKey, now: UnixTime, *, known: bool = False) -> None:
        """Begin to forget every stored response in the group, however many they are, by one mark."""
        del known  # other processes may have some on their way
        self._marking.pop(group, None)
        self._write(group, GroupMark(now), _GROUP_TIMEOUT)

    async def purge(self, purge: Purge, *, alone: bool) -> str | None:
        """Purge what is stored, for everybody who uses the storage."""
        if alone:
            self.purges.owe(purge)
            return None
        untold = await self.purges.purge(purge)
        if untold is None and self.watcher is not None:
            self.watcher.purged()
        return untold

    async def _mark(self, group: PrimaryKey, mark: GroupMark) -> None:
        """Make a group known that is not; who knows it already knows better."""
        name = self._asking.name(group)
        server = self._backend.server_of(name, writing=True)
        work = partial(self._backend.add, name, encode(group, mark), _GROUP_TIMEOUT)
        try:
            with suppress(StorageError):
                await self._guards.run(Operation.SET, server, work, _WRITE_DEADLINE)
        finally:
            self._marking.pop(group, None)

    @property
    def is_busy(self) -> bool:
        """Tell whether there is something that the storage is still to be told."""
        return bool(self._writing or self._marking or self._revising or self.owed)

    async def finish(self) -> None:
        """Let what is on its way arrive, and tell the storage for the last time what is to be forgotten."""
        unsaid = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_WRITE_DEADLINE):
                while self._writing:
                    self._written.clear()
                    await self._written.wait()
            async with asyncio.timeout(_WRITE_DEADLINE):
                unsaid = self.owed
                unsaid = await self.debts.pay() + await self.purges.pay()
        if unsaid:
            _log.warning("%d invalidations did not reach the storage: it may serve those pages while fresh", unsaid)

    # To and from the backend.

    async def get(self, keys: Collection[Key]) -> dict[Key, Found]:
        """Return the records there are: those on their way to the cache, and those in it."""
        found, ask = self._at_hand(keys)
        return found | await self._asking.ask(ask)

    def _at_hand(self, keys: Collection[Key]) -> tuple[dict[Key, Found], Collection[Key]]:
        """Return what is on its way to the cache, and the keys that it has to be asked for."""
        found: dict[Key, Found] = {}
        if not self._writing and not self.debts:
            return found, keys
        ask: list[Key] = []
        for key in keys:
            write = self._writing.get(key)
            if write is not None and write.record is not None:
                found[key] = write.record
            elif write is None and key not in self.debts:
                ask.append(key)
        return found, ask

    def _write(self, key: Key, record: Record | None, timeout: Seconds | None = None) -> None:
        """Begin to write a record, or to delete what lies under the key: one at a time for each key, in order."""
        running = self._writing.get(key)
        ends = record is None or isinstance(record, GroupMark) or (running is not None and running.ends)
        self._writing[key] = _Write(record, timeout, ends)
        if self.watcher is not None:
            self.watcher.begins(key)
        if running is None:
            self._start(self._carry_out(key))

    async def _carry_out(self, key: Key) -> None:
        """Write what is to be written under this key, until there is nothing newer."""
        try:
            while True:
                write = self._writing[key]
                try:
                    await self._do(key, write)
                except StorageError as error:
                    self._owe(key, write, error)
                    return
                if self._writing[key] is write:
                    return
        finally:
            ends = self._writing.pop(key).ends
            self._written.set()
            if self.watcher is not None:
                self.watcher.arrived(key, ends=ends)

    def _owe(self, key: Key, write: _Write, error: StorageError) -> None:
        """Nobody knows what lies under the key now: it is forgotten before anything is stored there again."""
        latest = self._writing[key]
        if write.record is not None and not isinstance(error, RestingError):
            # It may be done late, behind a deletion.
            self.debts.owe(key, times=2)
        elif write.record is None or latest.record is None:
            self.debts.owe(key)

    async def _do(self, key: Key, write: _Write) -> None:
        name = self._asking.name(key)
        server = self._backend.server_of(name, writing=True)
        if write.record is None:
            await self._guards.run(Operation.DELETE, server, partial(self._backend.delete, name), _WRITE_DEADLINE)
            return
        size = _size(write.record)
        self._on_its_way += size
        try:
            await self._numbered(write.record)
            data = await asyncio.to_thread(encode, key, write.record) if size > LARGE else encode(key, write.record)
            work = partial(self._backend.set, name, data, write.timeout)
            if not await self._guards.run(Operation.SET, server, work, _WRITE_DEADLINE):
                self._guards.refused(len(data))
        finally:
            self._on_its_way -= size

    async def _numbered(self, record: Record) -> None:
        """Wait for the number of a response, if nothing was known of any when it was to be stored."""
        stored = record.response if isinstance(record, Variant) else record
        if isinstance(stored, StoredResponse) and stored.number >= UNNUMBERED:
            stored.number = await self.purges.number_of(stored, stored.terms.born)

    async def _delete(self, keys: list[Key]) -> list[Key]:
        """Forget what lies under these keys; return those of which the storage could be told."""
        done: list[Key] = []
        try:
            shares = self._asking.shares(keys, writing=True)
        except StorageError:
            return done
        for server, names in shares.items():
            work = partial(self._backend.delete_many, names)
            with suppress(StorageError):
                await self._guards.run(Operation.DELETE, server, work, _WRITE_DEADLINE)
                done += names.values()
                if self.watcher is not None:
                    for key in names.values():
                        self.watcher.arrived(key, ends=True)
        return done


class _Alike(RemoteResponses):
    """The stored responses of another, with something of its own; whatever changes, changes for both."""

    __slots__ = ("_own", "_since")

    def __init__(self, other: RemoteResponses, distinctions: Distinctions, begun: int | None) -> None:
        self.__dict__ = other.__dict__
        self._own = distinctions
        self._since = begun

    @property
    def _telling_apart(self) -> Distinctions:
        return self._own

    @property
    def _begun(self) -> int | None:
        return self._since


def _size(record: Record) -> int:
    match record:
        case StoredResponse():
            return len(record.body)
        case Variant():
            return len(record.response.body)
        case VaryIndex() | GroupMark() | PurgeNote():
            return 0
        case never:
            assert_never(never)
