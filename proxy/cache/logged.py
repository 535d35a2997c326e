"""Who is told of odd keys where no program is that could see a warning? The log, once for keys of one pattern."""

from __future__ import annotations

import logging
import re

from proxy.cache.api import Cache
from proxy.cache.loops import Store
from proxy.cache.settings import Settings

_log = logging.getLogger("sitecache")

#: What differs between keys that one line of a program makes.
_VARIABLE = re.compile(r"[0-9A-Fa-f-]{8,}|\d+")
_MOST_PATTERNS = 100


class LoggedCache(Cache):
    """A cache that says in the log what others warn of."""

    def __init__(self, settings: Settings, store: Store) -> None:
        super().__init__(settings, store)
        self._seen: set[str] = set()

    def _warn(self, key: str, why: str) -> None:
        pattern = _VARIABLE.sub("*", key)
        if pattern not in self._seen and len(self._seen) < _MOST_PATTERNS:
            self._seen.add(pattern)
            _log.warning("cache %s: %s", self._settings.alias, why)
