"""How does a program use the caches itself? ``from proxy.cache import cache, caches, configure``, as with Django."""

from __future__ import annotations

from typing import cast

from proxy.cache.aliases import DEFAULT_CACHE_ALIAS, Caches, DefaultCache
from proxy.cache.api import Cache
from proxy.cache.terms import DEFAULT_TIMEOUT
from proxy.storage.backends.base import CacheKeyWarning, InvalidCacheBackendError, InvalidCacheKey

__all__ = [
    "DEFAULT_CACHE_ALIAS",
    "DEFAULT_TIMEOUT",
    "Cache",
    "CacheKeyWarning",
    "InvalidCacheBackendError",
    "InvalidCacheKey",
    "cache",
    "caches",
    "configure",
]

caches = Caches()
"""The caches by alias."""
configure = caches.configure
cache = cast(Cache, DefaultCache(caches))
"""The cache of the alias ``default``."""
