"""One way to call the sync and the async form of the API, on any kind of store."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from proxy.cache import Cache
from proxy.cache.loops import Store as Opened
from proxy.cache.settings import of_mapping
from tests.storage.contract import Store

FORMS = ["sync", "async"]


@dataclass
class Using:
    """A cache in one of its two forms: ``await using.get("key")`` calls ``get`` or awaits ``aget``."""

    cache: Cache
    form: str
    store: Store

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            if self.form == "sync":
                return getattr(self.cache, name)(*arguments, **named)
            return await getattr(self.cache, f"a{name}")(*arguments, **named)

        return call


@asynccontextmanager
async def using(store: Store, form: str, cls: type[Cache] = Cache, **entry: Any) -> AsyncIterator[Using]:
    """Open a cache on a running store, with these settings of its entry in CACHES."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        settings = of_mapping({"default": {"BACKEND": "locmem", **entry}})["default"]
    cache = cls(settings, Opened(store.backend))
    try:
        yield Using(cache, form, store)
    finally:
        cache.close()
        await cache.aclose()
