"""Where are pages stored? Each cache that a site or a route names, opened once however many name it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from proxy.config.model import CacheConfig, CacheOptions, Config
from proxy.config.units import UnixTime
from proxy.ops.sources import Store
from proxy.policy.key import Distinctions
from proxy.storage.backends.base import Backend
from proxy.storage.backends.locmem import LocMemCache
from proxy.storage.guard import Guards, Patience
from proxy.storage.registry import open_cache
from proxy.storage.remote import RemoteResponses, Start, page_key
from proxy.storage.responses import MemoryResponses, NoResponses, Responses


class Pages:
    """The stored responses of this process, by alias of CACHES."""

    def __init__(
        self,
        config: Config,
        distinctions: Distinctions,
        clock: Callable[[], UnixTime],
        monotonic: Callable[[], float],
        start: Start,
    ) -> None:
        """``start`` runs what nobody waits for."""
        self._config = config
        self._distinctions = distinctions
        self._clock = clock
        self._monotonic = monotonic
        self._start = start
        self._opened: dict[str, Responses] = {}
        self._memories: dict[str, MemoryResponses] = {}
        self._backends: list[Backend] = []
        self.stores: dict[str, Store] = {}
        """Those in the memory of the process, under the alias that was opened first."""
        self.remotes: dict[str, RemoteResponses] = {}
        """Those that have to be waited for."""

    def of(self, alias: str) -> Responses:
        """Return the stored responses that lie in this cache."""
        if alias not in self._opened:
            self._opened[alias] = self._open(alias, self._config.CACHES[alias])
        return self._opened[alias]

    def _open(self, alias: str, cache: CacheConfig) -> Responses:
        if cache.BACKEND == "dummy":
            return NoResponses()
        if cache.BACKEND == "locmem":
            return self._memory(alias, cache)
        backend = open_cache(alias, self._config)
        self._backends.append(backend)
        patience = Patience(cache.DEADLINE, cache.BREAKER_FAILURES, cache.BREAKER_REST)
        guards = Guards(alias, patience, self._monotonic)
        variants = self._config.limits.variants
        remote = RemoteResponses(backend, guards, partial(page_key, cache), self._distinctions, variants, self._start)
        self.remotes[alias] = remote
        return remote

    def _memory(self, alias: str, cache: CacheConfig) -> MemoryResponses:
        """As in Django, the same LOCATION is the same store."""
        place = str(cache.LOCATION)
        if place not in self._memories:
            options = cache.OPTIONS if isinstance(cache.OPTIONS, CacheOptions) else CacheOptions()
            memory = LocMemCache(
                self._clock,
                max_entries=options.MAX_ENTRIES,
                cull_frequency=options.CULL_FREQUENCY,
                max_bytes=options.MAX_BYTES,
            )
            self._memories[place] = MemoryResponses(memory, self._distinctions, self._config.limits.variants)
            self.stores[alias] = Store(memory, options.MAX_ENTRIES, options.MAX_BYTES)
        return self._memories[place]

    async def prepare(self) -> None:
        """Learn from the storages what makes the first hits as fast as later ones."""
        await asyncio.gather(*(remote.prepare() for remote in self.remotes.values()))

    async def finish(self) -> None:
        """Let the storages know what they have to, before the tasks that would do so end."""
        await asyncio.gather(*(remote.finish() for remote in self.remotes.values()))

    async def close(self) -> None:
        """Close what has to be closed."""
        for backend in self._backends:
            await backend.close()
