"""Where do the caches lie that workers share, and how large are they, where the configuration does not say?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from proxy.config.model import DEFAULT_CACHES, SHARED_CACHES, CacheConfig, Config, SharedOptions
from proxy.config.units import Bytes
from proxy.storage.backends.base import InvalidCacheBackendError
from proxy.storage.backends.shared_place import MEMORY, Place, free_at, no_room, remove_leftovers, size_that_fits

_log = logging.getLogger("sitecache")


class Places:
    """The places of shared caches, for as long as the process runs that was started; workers are told of them."""

    def __init__(self, above: str = MEMORY) -> None:
        """Where nothing else is said, caches lie in directories that are made in ``above``."""
        self._above = above
        self._made: dict[str, Place] = {}
        self._sizes: dict[tuple[str, str], Bytes] = {}
        self._by_default: Mapping[str, CacheConfig] | None = None
        """What there is without CACHES: it goes by the workers there are, whatever a file says later."""
        remove_leftovers(above)

    def settle(self, config: Config) -> Config:
        """Return the configuration with a place and a size for each shared cache: the same as long as it is running.

        InvalidCacheBackendError says what does not fit. Where nobody asked for a shared cache, each worker has its own
        then.
        """
        if self._by_default is None:
            self._by_default = SHARED_CACHES if config.workers > 1 else DEFAULT_CACHES
        if config.CACHES is SHARED_CACHES or config.CACHES is DEFAULT_CACHES:
            config = replace(config, CACHES=self._by_default)
        try:
            caches = {alias: self._settled(alias, cache) for alias, cache in config.CACHES.items()}
        except (OSError, ValueError) as error:
            if config.CACHES is not SHARED_CACHES:
                raise InvalidCacheBackendError(f"CACHES.{_first_shared(config.CACHES)}.{_said(error)}") from error
            _log.warning("each worker has its own cache, since they cannot share one: %s", _said(error))
            self._by_default = DEFAULT_CACHES
            return replace(config, CACHES=DEFAULT_CACHES)
        return replace(config, CACHES=caches)

    def _settled(self, alias: str, cache: CacheConfig) -> CacheConfig:
        options = cache.OPTIONS
        if not isinstance(options, SharedOptions):
            return cache
        location = str(cache.LOCATION)
        if not location:
            if alias not in self._made:
                self._made[alias] = Place(self._above)
            location = self._made[alias].directory
        size = self._size(alias, location, options.MAX_BYTES)
        return replace(cache, LOCATION=location, OPTIONS=replace(options, MAX_BYTES=size))

    def _size(self, alias: str, location: str, wanted: Bytes | None) -> Bytes:
        """Return how large a cache is to be; what it takes by itself later is no reason to think otherwise of it."""
        if wanted is None:
            if (alias, location) not in self._sizes:
                self._sizes[alias, location] = size_that_fits(location)
            return self._sizes[alias, location]
        free = free_at(location)
        if alias in self._made and (alias, location) not in self._sizes and free < wanted:
            raise ValueError(no_room(self._above, wanted, free))
        self._sizes[alias, location] = wanted
        return wanted

    def remove(self) -> None:
        """Remove what was made."""
        for place in self._made.values():
            place.remove()


def _first_shared(caches: Mapping[str, CacheConfig]) -> str:
    return next(alias for alias, cache in caches.items() if isinstance(cache.OPTIONS, SharedOptions))


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"LOCATION: {error}"
