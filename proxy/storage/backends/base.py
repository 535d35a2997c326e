"""What must a cache be able to do? The contract of every backend.

Keys come made and checked, values come serialised, timeouts come resolved: a backend only keeps them. What has expired
is absent in every operation. Compound operations stand here once; a backend overrides what it can do better.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from proxy.config.units import Bytes, Seconds
from proxy.errors import SitecacheError
from proxy.storage.backends.owner import Owner
from proxy.storage.numbers import Room

Value = bytes | int
"""Serialised, or a number, which a backend keeps so that ``incr`` is atomic and other programs can read it."""


class Pickled(bytes):
    """A value that is a pickle: a store that marks the form of values, as memcached's clients do, marks it as one."""

    __slots__ = ()


class Text(bytes):
    """A value that somebody else kept as text, in UTF-8: memcached's clients mark what is text."""

    __slots__ = ()


class InvalidCacheBackendError(SitecacheError):
    """There is no such alias, or what it names cannot be used; the text says which and why."""


class InvalidCacheKey(ValueError):
    """The store cannot hold a value under this key."""


class CacheKeyWarning(RuntimeWarning):
    """This store can hold a value under this key, and memcached could not."""


class Backend(ABC):
    """A cache. ``timeout`` is in seconds; None never expires, 0 or less is gone at once (Django's TIMEOUT).

    A store that counts whole seconds rounds a timeout up. Whatever its client library raises becomes a StorageError.
    """

    immediate: ClassVar[bool] = False
    """Its operations never wait and may come from any thread: they need no event loop."""
    strict_keys: ClassVar[bool] = False
    """It holds only keys that memcached takes: up to 250 bytes without blanks and control characters."""

    @abstractmethod
    async def get(self, key: str) -> Value | None:
        """Return the value, or None when there is none or its timeout has passed."""

    @abstractmethod
    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value; False when it cannot be kept, and then none is under that key."""

    @abstractmethod
    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value if there is none; tell whether there was none."""

    @abstractmethod
    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        """Give the value another timeout; False when there is none."""

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """Forget the value; tell whether there was one."""

    @abstractmethod
    async def incr(self, key: str, delta: int) -> int:
        """Add to a number, atomically and without a change of its timeout; return the sum.

        Raises KeyError when there is no value, TypeError when it is not a number, and OverflowError when the store
        cannot hold the sum. A store without negative numbers stops at 0.
        """

    @abstractmethod
    async def clear(self, owner: Owner | None = None) -> None:
        """Forget the values of that owner; without one, every value. A store that cannot tell them forgets all."""

    @abstractmethod
    async def rename(self, key: str, to: str) -> bool:
        """Move the value and its timeout to another key, in the place of what is there; False when there is none."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values there are."""
        found = {key: await self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    async def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        """Keep the values; return the keys of those that could not be kept."""
        return [key for key, value in values.items() if not await self.set(key, value, timeout)]

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the values."""
        for key in keys:
            await self.delete(key)

    async def has_key(self, key: str) -> bool:
        """Tell whether there is a value."""
        return await self.get(key) is not None

    def server_of(self, key: str, *, writing: bool) -> str:
        """Return the name of the server that holds the value, for people; empty where there is but one.

        Servers fail one by one, and whoever leaves one alone goes on with the others.
        """
        del key, writing
        return ""

    @property
    def one_server(self) -> str | None:
        """Return what ``server_of`` says of every key that is read; None where that depends on the key."""
        return ""

    @property
    def damaged(self) -> int:
        """Values that were not what had been kept, since the start; each was a miss."""
        return 0

    @property
    def held(self) -> tuple[int, Bytes] | None:
        """Values that are kept and what they take, where that is known without asking; else None."""
        return None

    @property
    def limits(self) -> tuple[int | None, Bytes | None]:
        """How many values there may be, and what they may take together; None is no limit, or one that is not ours."""
        return None, None

    @property
    def evictions(self) -> Mapping[Room, int] | None:
        """Values that this process took away to make room, since the start; None where others do that."""
        return None

    def tell_losses(self) -> None:  # noqa: B027  most backends do so anyway
        """Raise a StorageError from now on for a server that is away, also where a miss would do."""

    async def close(self) -> None:
        """Give up what the cache holds of the system; the next operation takes it again."""
        return
