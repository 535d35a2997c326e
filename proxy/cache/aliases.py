"""Which caches are there for a program, and which of them is meant?"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proxy.cache import settings as read
from proxy.cache.api import Cache
from proxy.cache.loops import Store
from proxy.cache.settings import Settings
from proxy.config.load import load
from proxy.config.model import KeyWarnings
from proxy.config.wording import listed
from proxy.errors import ConfigError, Fault
from proxy.storage.backends.base import InvalidCacheBackendError
from proxy.storage.registry import builder

DEFAULT_CACHE_ALIAS = "default"

#: Programs that use the caches of a site may do so where its application is not told of.
_NO_UPSTREAM = "http://127.0.0.1"


class Caches:
    """The aliases of CACHES: ``caches["default"]`` is the same object each time, in one thread."""

    def __init__(self, settings: Mapping[str, Settings] | None = None, cache_class: type[Cache] = Cache) -> None:
        self._lock = threading.RLock()
        self._here = threading.local()
        self._settings = settings
        self._cache_class = cache_class
        self._stores: dict[str, Store] = {}

    def configure(
        self, source: str | os.PathLike[str] | Mapping[str, Any], *, cache_class: type[Cache] = Cache
    ) -> None:
        """Take the caches of a configuration file, or of a mapping with CACHES; those that were open are closed.

        ``cache_class`` may override how keys are made and checked. ConfigError holds every fault that was found, and
        then all stays as it was.
        """
        settings = _settings(source)
        with self._lock:
            former, self._stores = self._stores, {}
            self._settings = settings
            self._cache_class = cache_class
            self._here = threading.local()
        for store in former.values():
            store.close()

    def __getitem__(self, alias: str) -> Cache:
        """Return the cache of that name; InvalidCacheBackendError where there is none, or it cannot be used."""
        mine: dict[str, Cache] = self._here.__dict__
        cache = mine.get(alias)
        if cache is None:
            cache = mine[alias] = self._open(alias)
        return cache

    def _open(self, alias: str) -> Cache:
        with self._lock:
            settings = self._configured().get(alias)
            if settings is None:
                raise InvalidCacheBackendError(f"The connection '{alias}' doesn't exist.")
            store = self._stores.get(alias)
            if store is None:
                store = self._stores[alias] = Store(builder(settings.opening))
            return self._cache_class(settings, store)

    def _configured(self) -> Mapping[str, Settings]:
        if self._settings is None:
            path = os.environ.get("SITECACHE_CONFIG")
            if not path:
                fault = "call configure() with its path or a mapping, or set SITECACHE_CONFIG to its path"
                raise ConfigError(Fault("CACHES", "a configuration", "none", hint=fault))
            self._settings = _settings(path)
        return self._settings

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(tuple(self._configured()))

    async def aclose_all(self) -> None:
        """Close what is open for this event loop; see Cache.aclose()."""
        with self._lock:
            stores = list(self._stores.values())
        for store in stores:
            await store.here().close()

    def close_all(self) -> None:
        """Close what is open, for all threads; see Cache.close()."""
        with self._lock:
            stores = list(self._stores.values())
        for store in stores:
            store.close()


def _settings(source: str | os.PathLike[str] | Mapping[str, Any]) -> Mapping[str, Settings]:
    if isinstance(source, Mapping):
        known = ("CACHES", *read.SHARED, "key_warnings")
        unknown = [Fault(str(name), listed(known), "an unknown key") for name in source if name not in known]
        if unknown:
            raise ConfigError(*unknown)
        shared = {name: source[name] for name in read.SHARED if name in source}
        return read.of_mapping(source.get("CACHES", {}), shared, source.get("key_warnings", KeyWarnings.WARN))
    path = Path(source)
    try:
        return read.of_config(load(path, os.environ, {}).config)
    except ConfigError as error:
        if {fault.path for fault in error.faults} - {"upstream", "upstream.url"}:
            raise
    return read.of_config(load(path, os.environ, {"upstream.url": _NO_UPSTREAM}).config)


class DefaultCache:
    """Stands for ``caches["default"]`` of whichever thread uses it."""

    def __init__(self, caches: Caches) -> None:
        object.__setattr__(self, "_caches", caches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._caches[DEFAULT_CACHE_ALIAS], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._caches[DEFAULT_CACHE_ALIAS], name, value)

    def __contains__(self, key: object) -> bool:
        return key in self._caches[DEFAULT_CACHE_ALIAS]

    def __eq__(self, other: object) -> bool:
        return self._caches[DEFAULT_CACHE_ALIAS] is other or self is other

    __hash__ = None  # type: ignore[assignment]
