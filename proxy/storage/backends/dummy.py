"""What does a cache do that keeps nothing?"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.units import Seconds
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.owner import Owner


class DummyCache(Backend):
    """Accepts everything and has nothing, as Django's does."""

    immediate = True

    @classmethod
    def build(cls, location: object, options: Mapping[str, object]) -> DummyCache:
        """Build it from any LOCATION and OPTIONS, so that a cache is turned off by its BACKEND alone."""
        del location, options
        return cls()

    async def get(self, key: str) -> Value | None:
        """Return None."""
        del key
        return None

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep nothing."""
        del key, value, timeout
        return True

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep nothing; there never was a value."""
        del key, value, timeout
        return True

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        """There is no value."""
        del key, timeout
        return False

    async def delete(self, key: str) -> bool:
        """There was no value."""
        del key
        return False

    async def incr(self, key: str, delta: int) -> int:
        """There is no value to add to."""
        del delta
        raise KeyError(key)

    async def rename(self, key: str, to: str) -> bool:
        """There is no value to move."""
        del key, to
        return False

    async def clear(self, owner: Owner | None = None) -> None:
        """There is nothing to forget."""


build = DummyCache.build
