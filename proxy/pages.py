"""Where are pages stored? Each cache that a site or a route names, opened once however many name it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from proxy.config.model import CacheConfig, CacheOptions, Config
from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.ops.sources import Store
from proxy.policy.key import Distinctions
from proxy.policy.purging import Purge, PurgeLog
from proxy.storage.backends.base import Backend
from proxy.storage.backends.shared import SharedMemoryCache
from proxy.storage.batches import Start
from proxy.storage.guard import Guards, Patience
from proxy.storage.hearing import Hearing, Messenger
from proxy.storage.memory import PageMemory
from proxy.storage.registry import open_cache
from proxy.storage.remote import RemoteResponses, key_maker
from proxy.storage.responses import MemoryResponses, NoResponses, Responses
from proxy.storage.shared import SharedResponses
from proxy.storage.tier import Tier
from proxy.storage.tiered import TieredResponses

_log = logging.getLogger("sitecache")


@dataclass(frozen=True, slots=True)
class Opened:
    """A cache outside the process, and all that it was opened by."""

    alias: str
    terms: tuple[object, ...]
    backend: Backend
    responses: RemoteResponses | SharedResponses
    tier: Tier | None = None
    hearing: Hearing | None = None
    """Tells others of what the tier has forgotten, and the other way round."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A cache in the memory of the process."""

    alias: str
    """The one that was opened first of those with its LOCATION."""
    options: CacheOptions
    cache: PageMemory
    purged: PurgeLog


class Pages:
    """The stored responses of this process, by alias of CACHES."""

    def __init__(
        self,
        config: Config,
        distinctions: Distinctions,
        clock: Callable[[], UnixTime],
        monotonic: Callable[[], float],
        start: Start,
        former: Pages | None = None,
    ) -> None:
        """``start`` runs what nobody waits for; what ``former`` has open is taken over where its settings are the same.

        Pages in memory stay only with the same distinctions: who may get them could be somebody else.
        """
        self.distinctions = distinctions
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self._start = start
        self._former = former
        self._found: dict[str, Responses] = {}
        self._memories: dict[str, tuple[Memory, MemoryResponses]] = {}
        self._opened: dict[str, Opened] = {}
        self.say: Callable[[bytes], None] = _nobody
        """Has the other workers hear this."""
        self.leaving: list[Opened] = []
        """Those that are named no more, for as long as exchanges of before may use them."""
        self.stores: dict[str, Store] = {}
        """Those in the memory of the process, under the alias that was opened first."""
        self.remotes: dict[str, RemoteResponses | SharedResponses] = {}
        """Those outside the process."""
        self.tiers: dict[str, Tier] = {}
        """What this process has copies of, by the alias of the cache that they are of."""

    def of(self, alias: str) -> Responses:
        """Return the stored responses that lie in this cache."""
        if alias not in self._found:
            self._found[alias] = self._open(alias, self._config.CACHES[alias])
        return self._found[alias]

    def _open(self, alias: str, cache: CacheConfig) -> Responses:
        if cache.BACKEND == "dummy":
            return NoResponses()
        if cache.BACKEND == "locmem":
            return self._memory(alias, cache)
        config = self._config
        terms = (cache, config.DATABASES, config.ROUTER, config.limits.variants, self.distinctions)
        opened = self._taken_over(alias, terms) or self._remote(alias, cache, terms)
        self._opened[alias] = opened
        self.remotes[alias] = opened.responses
        if opened.tier is None or not isinstance(opened.responses, RemoteResponses):
            return opened.responses
        self.tiers[alias] = opened.tier
        return TieredResponses(opened.responses, opened.tier, self.distinctions)

    def _remote(self, alias: str, cache: CacheConfig, terms: tuple[object, ...]) -> Opened:
        backend = open_cache(alias, self._config)
        if isinstance(backend, SharedMemoryCache):
            return Opened(alias, terms, backend, self._shared(cache, backend))
        patience = Patience(cache.DEADLINE, cache.BREAKER_FAILURES, cache.BREAKER_REST)
        guards = Guards(alias, patience, self._monotonic)
        variants = self._config.limits.variants
        make_key = key_maker(cache)
        remote = RemoteResponses(backend, guards, make_key, self.distinctions, variants, self._start)
        remote.purges.clock = self._clock
        if cache.LOCAL_TIER is None:
            return Opened(alias, terms, backend, remote)
        tier = remote.watcher = self._tier(alias, cache.LOCAL_TIER, cache.LOCAL_TIER_SECONDS)
        return Opened(alias, terms, backend, remote, tier, self._hearing(backend, make_key, tier))

    def _tier(self, alias: str, most: Bytes, seconds: Seconds) -> Tier:
        tier = Tier(most, seconds, self._clock, self._monotonic)
        tier.changes.told.append(lambda message: self.say(b"%b\0%b" % (alias.encode(), message)))
        return tier

    def _hearing(self, backend: Backend, make_key: Callable[[bytes], str], tier: Tier) -> Hearing | None:
        """Return what joins proxies on several machines, where their storage passes messages on."""
        if not isinstance(backend, Messenger):
            return None
        try:
            channel = make_key(b"changes")
        except Exception as error:  # noqa: BLE001  the operator's function may raise anything
            _log.warning("KEY_FUNCTION makes no name for a channel: %s: %s", type(error).__name__, error)
            return None
        hearing = Hearing(backend, channel, tier.hear, tier.forget_all, self._start)
        tier.changes.told.append(hearing.tell)
        return hearing

    def hear(self, notice: bytes) -> None:
        """Take to heart what another worker has forgotten."""
        alias, _, message = notice.partition(b"\0")
        tier = self.tiers.get(alias.decode())
        if tier is not None:
            tier.hear(message)

    def _shared(self, cache: CacheConfig, backend: SharedMemoryCache) -> SharedResponses:
        variants, workers = self._config.limits.variants, self._config.workers
        return SharedResponses(backend.store, key_maker(cache), self.distinctions, variants, self._clock, workers)

    def _taken_over(self, alias: str, terms: tuple[object, ...]) -> Opened | None:
        held = () if self._former is None else self._former.held
        return next((one for one in held if one.alias == alias and one.terms == terms), None)

    def _memory(self, alias: str, cache: CacheConfig) -> MemoryResponses:
        """As in Django, the same LOCATION is the same store."""
        place = str(cache.LOCATION)
        if place not in self._memories:
            memory = self._kept(place, alias) or self._made(alias, cache)
            options = memory.options
            variants = self._config.limits.variants
            self._memories[place] = memory, MemoryResponses(memory.cache, self.distinctions, variants, memory.purged)
            self.stores[memory.alias] = Store(memory.cache, options.MAX_ENTRIES, options.MAX_BYTES)
        return self._memories[place][1]

    def _made(self, alias: str, cache: CacheConfig) -> Memory:
        options = _options(cache)
        memory = PageMemory(
            self._clock,
            max_entries=options.MAX_ENTRIES,
            cull_frequency=options.CULL_FREQUENCY,
            max_bytes=options.MAX_BYTES,
        )
        return Memory(alias, options, memory, PurgeLog())

    def _kept(self, place: str, alias: str) -> Memory | None:
        """Return what lay in this place before, if one of the aliases there has the options that it was made with."""
        former = self._former
        memory = None if former is None else former.memory(place)
        if former is None or memory is None or former.distinctions is not self.distinctions:
            return None
        here = {
            name: _options(cache)
            for name, cache in self._config.CACHES.items()
            if cache.BACKEND == "locmem" and str(cache.LOCATION) == place
        }
        if memory.options not in here.values():
            return None
        return memory if memory.alias in here else replace(memory, alias=alias)

    async def purge(self, purge: Purge, *, leads: bool, failed: Collection[str]) -> dict[str, str | None]:
        """Purge in every cache; return by alias why one could not be told.

        Where another worker ``leads``, it has told those that others use, but for those where that has ``failed``.
        """
        done: dict[str, str | None] = {}
        for memory, responses in self._memories.values():
            await responses.purge(purge, alone=not leads)
            done[memory.alias] = None
        told = await asyncio.gather(*(self._purge(one, purge, leads, one.alias in failed) for one in self.held))
        return done | dict(zip([one.alias for one in self.held], told, strict=True))

    async def _purge(self, one: Opened, purge: Purge, leads: bool, failed: bool) -> str | None:
        if not leads and not failed and isinstance(one.responses, RemoteResponses):
            await one.responses.purges.follow(purge)
            return None
        return await one.responses.purge(purge, alone=not leads)

    def tell(self, heard: Callable[[Purge], None]) -> None:
        """Have this one told of each purge that others make in storages that they share with us."""
        for one in self.held:
            if isinstance(one.responses, RemoteResponses):
                one.responses.purges.heard = heard

    # From one configuration to the next.

    def memory(self, place: str) -> Memory | None:
        """Return what lies in the memory of the process under this LOCATION."""
        return self._memories[place][0] if place in self._memories else None

    @property
    def held(self) -> list[Opened]:
        """Return every cache outside the process that is open."""
        return [*self._opened.values(), *self.leaving]

    @property
    def given_up(self) -> dict[str, Store]:
        """Return the memories of before that are named no more."""
        mine = [memory.cache for memory, _ in self._memories.values()]
        former = {} if self._former is None else self._former.stores
        return {alias: store for alias, store in former.items() if store.numbers not in mine}

    async def prepare(self) -> None:
        """Learn from the storages what makes the first hits as fast as later ones.

        Those that are to be left learn what is to be forgotten, since nobody else will know.
        """
        held = [] if self._former is None else self._former.held
        new = [one.responses.prepare() for one in self._opened.values() if one not in held]
        for one in self._opened.values():
            if one.hearing is not None:
                one.hearing.begin()
        old = [one.responses.finish() for one in held if one not in self._opened.values()]
        await asyncio.gather(*new, *old)

    def succeed(self) -> None:
        """Take the place of those before."""
        if self._former is not None:
            self.leaving = [one for one in self._former.held if one not in self._opened.values()]
        self._former = None

    async def give_up(self) -> None:
        """Close what was opened in vain: those before stay."""
        held = [] if self._former is None else self._former.held
        for opened in self._opened.values():
            if opened not in held:
                await _close(opened)

    async def leave(self, one: Opened) -> None:
        """Close what no exchange can use any more."""
        self.leaving.remove(one)
        await _close(one)

    async def finish(self) -> None:
        """Let the storages know what they have to, before the tasks that would do so end."""
        await asyncio.gather(*(one.responses.finish() for one in self.held))
        # What was forgotten last has been passed on by now.
        await asyncio.gather(*(one.hearing.finish() for one in self.held if one.hearing is not None))

    async def close(self) -> None:
        """Close what has to be closed."""
        for one in self.held:
            await _stop_hearing(one)
            await one.backend.close()


def _nobody(notice: bytes) -> None:
    """Nobody hears it."""
    del notice


async def _stop_hearing(one: Opened) -> None:
    if one.hearing is not None:
        await one.hearing.close()


async def _close(one: Opened) -> None:
    await _stop_hearing(one)
    try:
        await one.backend.close()
    except Exception as error:  # noqa: BLE001  it may be the operator's own class, and nobody uses it any more
        _log.warning("storage %r could not be closed: %s: %s", one.alias, type(error).__name__, error)


def _options(cache: CacheConfig) -> CacheOptions:
    return cache.OPTIONS if isinstance(cache.OPTIONS, CacheOptions) else CacheOptions()
