"""What can a program do with a cache? Django's methods, for callers that wait and for callers that await."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import isawaitable
from typing import Any

from proxy.cache.terms import DEFAULT_TIMEOUT, MISSING, Terms, Timeout, missing, whole

Version = Any
"""Whatever can be printed; None stands for VERSION of the configuration."""


class Cache(Terms):
    """One alias of CACHES, for one thread. Subclasses may override ``make_key`` and ``validate_key``.

    Keys may be of any type and are made into text. Values come back as copies. ``timeout`` is in seconds; None never
    expires, 0 or less is gone at once, and without one it is TIMEOUT. What has expired is absent in every operation.
    A store that fails raises proxy.errors.StorageError. Each method has a twin with an ``a`` before its name, to be
    awaited in any event loop.
    """

    def get(self, key: object, default: Any = None, version: Version = None) -> Any:
        """Return the value, or the default where there is none; None can be a value."""
        made = self.make_and_validate_key(key, version)
        value = self._read(self._store.run(lambda backend: backend.get(made)))
        return default if value is MISSING else value

    async def aget(self, key: object, default: Any = None, version: Version = None) -> Any:
        """See get()."""
        made = self.make_and_validate_key(key, version)
        value = self._read(await self._store.here().get(made))
        return default if value is MISSING else value

    def set(self, key: object, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None) -> None:
        """Keep the value; TypeError for a value whose type the serializer does not know."""
        made, until, data = self.make_and_validate_key(key, version), self._timeout(timeout), self._dump(value)
        if not self._store.run(lambda backend: backend.set(made, data, until)):
            self._not_kept(key)

    async def aset(self, key: object, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None) -> None:
        """See set()."""
        made, until, data = self.make_and_validate_key(key, version), self._timeout(timeout), self._dump(value)
        if not await self._store.here().set(made, data, until):
            self._not_kept(key)

    def add(self, key: object, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None) -> bool:
        """Keep the value if there is none; tell whether there was none."""
        made, until, data = self.make_and_validate_key(key, version), self._timeout(timeout), self._dump(value)
        return self._store.run(lambda backend: backend.add(made, data, until))

    async def aadd(self, key: object, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None) -> bool:
        """See add()."""
        made, until, data = self.make_and_validate_key(key, version), self._timeout(timeout), self._dump(value)
        return await self._store.here().add(made, data, until)

    def get_or_set(self, key: object, default: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None) -> Any:
        """Return the value; where there is none, add the default, or what it returns when it can be called.

        When somebody else added a value meanwhile, that one is returned.
        """
        value = self.get(key, MISSING, version)
        if value is not MISSING:
            return value
        if callable(default):
            default = default()
        if not self.add(key, default, timeout, version):
            value = self.get(key, MISSING, version)
            if value is not MISSING:
                return value
            self.set(key, default, timeout, version)  # what is there cannot be read
        return self.get(key, default, version)

    async def aget_or_set(
        self, key: object, default: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None
    ) -> Any:
        """See get_or_set(); what the default returns may have to be awaited."""
        value = await self.aget(key, MISSING, version)
        if value is not MISSING:
            return value
        if callable(default):
            default = default()
        if isawaitable(default):
            default = await default
        if not await self.aadd(key, default, timeout, version):
            value = await self.aget(key, MISSING, version)
            if value is not MISSING:
                return value
            await self.aset(key, default, timeout, version)
        return await self.aget(key, default, version)

    def touch(self, key: object, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None) -> bool:
        """Give the value another timeout; False where there is none."""
        made, until = self.make_and_validate_key(key, version), self._timeout(timeout)
        return self._store.run(lambda backend: backend.touch(made, until))

    async def atouch(self, key: object, timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None) -> bool:
        """See touch()."""
        made, until = self.make_and_validate_key(key, version), self._timeout(timeout)
        return await self._store.here().touch(made, until)

    def delete(self, key: object, version: Version = None) -> bool:
        """Forget the value; tell whether there was one."""
        made = self.make_and_validate_key(key, version)
        return self._store.run(lambda backend: backend.delete(made))

    async def adelete(self, key: object, version: Version = None) -> bool:
        """See delete()."""
        return await self._store.here().delete(self.make_and_validate_key(key, version))

    def has_key(self, key: object, version: Version = None) -> bool:
        """Tell whether there is a value."""
        made = self.make_and_validate_key(key, version)
        return self._store.run(lambda backend: backend.has_key(made))

    async def ahas_key(self, key: object, version: Version = None) -> bool:
        """See has_key()."""
        return await self._store.here().has_key(self.make_and_validate_key(key, version))

    def __contains__(self, key: object) -> bool:
        return self.has_key(key)

    # Many at once.

    def get_many(self, keys: Iterable[Any], version: Version = None) -> dict[Any, Any]:
        """Return the values there are, by the keys as they were given."""
        made = self._keys(keys, version)
        return self._read_many(self._store.run(lambda backend: backend.get_many(made)), made)

    async def aget_many(self, keys: Iterable[Any], version: Version = None) -> dict[Any, Any]:
        """See get_many()."""
        made = self._keys(keys, version)
        return self._read_many(await self._store.here().get_many(made), made)

    def set_many(
        self, data: Mapping[Any, Any], timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None
    ) -> list[Any]:
        """Keep the values; return the keys, as they were given, of those that could not be kept."""
        until, (made, values) = self._timeout(timeout), self._values(data, version)
        return [made[key] for key in self._store.run(lambda backend: backend.set_many(values, until))]

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Timeout = DEFAULT_TIMEOUT, version: Version = None
    ) -> list[Any]:
        """See set_many()."""
        until, (made, values) = self._timeout(timeout), self._values(data, version)
        return [made[key] for key in await self._store.here().set_many(values, until)]

    def delete_many(self, keys: Iterable[Any], version: Version = None) -> None:
        """Forget the values."""
        made = self._keys(keys, version)
        self._store.run(lambda backend: backend.delete_many(made))

    async def adelete_many(self, keys: Iterable[Any], version: Version = None) -> None:
        """See delete_many()."""
        await self._store.here().delete_many(self._keys(keys, version))

    # Numbers and versions.

    def incr(self, key: object, delta: int = 1, version: Version = None) -> int:
        """Add to an integer, atomically and without a change of its timeout; return the sum.

        ValueError where there is no value, TypeError where it is no integer, OverflowError where the store has no
        room for the sum. A memcached stops at 0.
        """
        made, number = self.make_and_validate_key(key, version), whole(delta)
        try:
            return self._store.run(lambda backend: backend.incr(made, number))
        except KeyError:
            raise missing(key) from None
        except TypeError:
            raise self._no_number(key, self._store.run(lambda backend: backend.get(made))) from None

    async def aincr(self, key: object, delta: int = 1, version: Version = None) -> int:
        """See incr()."""
        made, number = self.make_and_validate_key(key, version), whole(delta)
        try:
            return await self._store.here().incr(made, number)
        except KeyError:
            raise missing(key) from None
        except TypeError:
            raise self._no_number(key, await self._store.here().get(made)) from None

    def decr(self, key: object, delta: int = 1, version: Version = None) -> int:
        """Subtract from an integer; see incr()."""
        return self.incr(key, -whole(delta), version)

    async def adecr(self, key: object, delta: int = 1, version: Version = None) -> int:
        """See decr()."""
        return await self.aincr(key, -whole(delta), version)

    def incr_version(self, key: object, delta: int = 1, version: Version = None) -> Any:
        """Move the value and its timeout to another version, which is returned; ValueError where there is none."""
        former, made, to = self._versions(key, delta, version)
        if not self._store.run(lambda backend: backend.rename(former, made)):
            raise missing(key)
        return to

    async def aincr_version(self, key: object, delta: int = 1, version: Version = None) -> Any:
        """See incr_version()."""
        former, made, to = self._versions(key, delta, version)
        if not await self._store.here().rename(former, made):
            raise missing(key)
        return to

    def decr_version(self, key: object, delta: int = 1, version: Version = None) -> Any:
        """Move the value to a version before; see incr_version()."""
        return self.incr_version(key, -delta, version)

    async def adecr_version(self, key: object, delta: int = 1, version: Version = None) -> Any:
        """See decr_version()."""
        return await self.aincr_version(key, -delta, version)

    # The whole.

    def clear(self) -> None:
        """Forget every value of this alias, of all versions, and leave what others keep in the same store.

        That is the whole store where it cannot be told: in memcached, and where ``make_key`` or KEY_FUNCTION is not
        Django's; Redis then raises a StorageError, unless OPTIONS.clear is ``all``.
        """
        owner = self._owner()
        self._store.run(lambda backend: backend.clear(owner))

    async def aclear(self) -> None:
        """See clear()."""
        await self._store.here().clear(self._owner())

    def close(self) -> None:
        """Give up connections, for all threads; the next operation makes new ones."""
        self._store.close()

    async def aclose(self) -> None:
        """Give up the connections of this event loop; the next operation makes new ones."""
        await self._store.here().close()
