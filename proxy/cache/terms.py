"""What do a caller's key, value and timeout become for the store, and back?"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from enum import Enum
from types import FrameType
from typing import Any, Final

from proxy.cache.keys import default_key_func, objections
from proxy.cache.loops import Store
from proxy.cache.settings import Settings
from proxy.config.model import KeyWarnings
from proxy.config.units import Seconds
from proxy.storage.backends.base import CacheKeyWarning, InvalidCacheKey, Value
from proxy.storage.backends.owner import Owner

_log = logging.getLogger("sitecache")


class _Default(Enum):
    TIMEOUT = "TIMEOUT"


DEFAULT_TIMEOUT: Final = _Default.TIMEOUT
"""Stands for TIMEOUT of the configuration, since None is a timeout, too."""

Timeout = float | None | _Default
"""Seconds, None for no end, or DEFAULT_TIMEOUT."""

MISSING = object()
"""What no value is."""


class Terms:
    """How one alias makes keys, timeouts and bytes."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Speak to that store by these settings; ``caches`` makes these objects."""
        self._settings = settings
        self._store = store
        self._serializer = settings.serializer
        self.key_prefix = settings.key_prefix
        self.version = settings.version
        self.key_func = settings.key_function
        self.default_timeout = settings.timeout

    # To be overridden by whoever has other keys.

    def make_key(self, key: object, version: object = None) -> str:
        """Return the key of the store."""
        return self.key_func(key, self.key_prefix, self.version if version is None else version)

    def validate_key(self, key: str) -> None:
        """Warn of a key of the store that memcached would refuse; InvalidCacheKey where this store is one."""
        strict = self._store.kind.strict_keys
        for why in objections(key, count_bytes=strict):
            if strict:
                raise InvalidCacheKey(why)
            if self._settings.key_warnings is KeyWarnings.WARN:
                self._warn(key, why)

    def _warn(self, key: str, why: str) -> None:
        del key
        warnings.warn(why, CacheKeyWarning, stacklevel=_levels_to_caller())

    def make_and_validate_key(self, key: object, version: object = None) -> str:
        """Return the key of the store, when it is one."""
        made = self.make_key(key, version)
        if not isinstance(made, str):
            raise TypeError(f"a key function returns a str, this one returned {type(made).__name__}")
        self.validate_key(made)
        return made

    # What all operations share.

    def _owner(self) -> Owner | None:
        """Return what tells our keys from those of others, or None where that is not known."""
        if self.key_func is not default_key_func or type(self).make_key is not Terms.make_key:
            return None
        return Owner(self.key_prefix, str(self.version), self._settings.neighbours)

    def _keys(self, keys: Iterable[object], version: object) -> dict[str, object]:
        """Return the callers' keys by those of the store."""
        return {self.make_and_validate_key(key, version): key for key in keys}

    def _values(self, data: Mapping[object, object], version: object) -> tuple[dict[str, object], dict[str, Value]]:
        keys = self._keys(data, version)
        return keys, {made: self._dump(data[key]) for made, key in keys.items()}

    def _versions(self, key: object, delta: int, version: Any) -> tuple[str, str, Any]:
        """Return the keys of the store before and after, and the new version."""
        former = self.version if version is None else version
        to = former + delta
        return self.make_and_validate_key(key, former), self.make_and_validate_key(key, to), to

    def _dump(self, value: object) -> Value:
        return self._serializer.dumps(value)

    def _timeout(self, timeout: Timeout) -> Seconds | None:
        if isinstance(timeout, _Default):
            return self.default_timeout
        if timeout is None:
            return None
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise TypeError(f"timeout: expected seconds or None, found {type(timeout).__name__} {timeout!r}")
        if timeout != timeout:  # noqa: PLR0124  # the one number that is not itself
            raise ValueError("timeout: expected seconds or None, found nan")
        return None if timeout == float("inf") else Seconds(timeout)

    def _read(self, found: Value | None) -> object:
        """Return the value, or MISSING; what cannot be read is missing, whatever reading it raises."""
        if found is None:
            return MISSING
        try:
            return self._serializer.loads(found)
        except Exception as error:  # noqa: BLE001  # a serializer may be anybody's, and the bytes, too
            _log.warning("cache %s: a value cannot be read and counts as absent: %s", self._settings.alias, error)
            return MISSING

    def _read_many(self, found: Mapping[str, Value], keys: Mapping[str, object]) -> dict[object, object]:
        read = {keys[made]: self._read(found[made]) for made in keys if made in found}
        return {key: value for key, value in read.items() if value is not MISSING}

    def _not_kept(self, key: object) -> None:
        _log.warning("cache %s: the value of %r was not kept by the store", self._settings.alias, key)

    def _no_number(self, key: object, found: Value | None) -> Exception:
        """Say why nothing can be added to what was found."""
        value = self._read(found)
        if type(value) is int:
            return OverflowError(f"the value of {key!r} has more than 64 bits, and a store cannot add to it")
        return TypeError(f"the value of {key!r} is not an integer")


def _levels_to_caller() -> int:
    """Return how far up the stack whoever uses the cache is, seen from where the warning is given."""
    here = os.path.dirname(__file__)
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # as the warnings module itself does
    level = 1
    while frame is not None and os.path.dirname(frame.f_code.co_filename) == here:
        frame, level = frame.f_back, level + 1
    return level


def missing(key: object) -> ValueError:
    """Say that there is no value, in Django's words."""
    return ValueError(f"Key '{key}' not found")


def whole(delta: object) -> int:
    """Return the number; TypeError for what is none."""
    if not isinstance(delta, int) or isinstance(delta, bool):
        raise TypeError(f"delta: expected an integer, found {type(delta).__name__} {delta!r}")
    return delta
