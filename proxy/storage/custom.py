"""How does a class that somebody else wrote become a backend?

It needs ``get(key)``, ``set(key, value, timeout)``, ``delete(key)`` and ``clear()``, and may have the other operations
of the contract under the same names and with the same positional arguments. Methods may be coroutines; those that are
not run in one thread, one after the other.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.owner import Owner

_NEEDED = ("get", "set", "delete", "clear")


class Custom(Backend):
    """The backend around an object of a class of the operator's own."""

    def __init__(self, inner: object) -> None:
        """TypeError when it lacks an operation that has no substitute."""
        self._name = type(inner).__qualname__
        lacking = [name for name in _NEEDED if not callable(getattr(inner, name, None))]
        if lacking:
            raise TypeError(f"{self._name} lacks {', '.join(lacking)}")
        self._inner = inner
        self._thread: ThreadPoolExecutor | None = None
        self._in_two_steps = asyncio.Lock()

    def _has(self, name: str) -> bool:
        return callable(getattr(self._inner, name, None))

    async def _call(self, name: str, *arguments: object) -> Any:
        method = getattr(self._inner, name, None)
        if method is None:
            raise NotImplementedError(f"{self._name} has no {name}()")
        try:
            if inspect.iscoroutinefunction(method):
                return await method(*arguments)
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, f"cache-{self._name}")
            result = await asyncio.get_running_loop().run_in_executor(self._thread, method, *arguments)
            return await result if inspect.isawaitable(result) else result
        except StorageError:
            raise
        except Exception as error:
            if name == "incr" and isinstance(error, LookupError | TypeError | ValueError | OverflowError):
                raise
            raise StorageError(f"{self._name}.{name}() failed: {type(error).__name__}") from error

    async def get(self, key: str) -> Value | None:
        """Return the value."""
        found = await self._call("get", key)
        return found if isinstance(found, bytes | int) else None

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value; what returns nothing has kept it."""
        if timeout is not None and timeout <= 0:
            await self._call("delete", key)
            return True
        return await self._call("set", key, value, timeout) is not False

    async def add(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        """Keep the value if there is none, in two steps where the class has no ``add``."""
        if not self._has("add"):
            async with self._in_two_steps:
                return await self.get(key) is None and await self.set(key, value, timeout)
        if timeout is not None and timeout <= 0:
            return not await self.has_key(key)
        return bool(await self._call("add", key, value, timeout))

    async def touch(self, key: str, timeout: Seconds | None) -> bool:
        """Give the value another timeout, by keeping it again where the class has no ``touch``."""
        if self._has("touch") and (timeout is None or timeout > 0):
            return bool(await self._call("touch", key, timeout))
        async with self._in_two_steps:
            value = await self.get(key)
            return value is not None and await self.set(key, value, timeout)

    async def delete(self, key: str) -> bool:
        """Forget the value."""
        return bool(await self._call("delete", key))

    async def incr(self, key: str, delta: int) -> int:
        """Add to a number; NotImplementedError where the class cannot, since nothing else would be atomic."""
        try:
            return int(await self._call("incr", key, delta))
        except ValueError as error:  # Django's word for it
            raise KeyError(key) from error

    async def rename(self, key: str, to: str) -> bool:
        """Move the value; NotImplementedError where the class cannot, since its timeout would be lost."""
        return bool(await self._call("rename", key, to))

    async def clear(self, owner: Owner | None = None) -> None:
        """Forget every value; the class knows its entry, and with it the owner."""
        del owner
        await self._call("clear")

    async def has_key(self, key: str) -> bool:
        """Tell whether there is a value."""
        return bool(await self._call("has_key", key)) if self._has("has_key") else await super().has_key(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values there are."""
        if not self._has("get_many"):
            return await super().get_many(keys)
        return dict(await self._call("get_many", list(keys)))

    async def set_many(self, values: Mapping[str, Value], timeout: Seconds | None) -> list[str]:
        """Keep the values."""
        if not self._has("set_many") or (timeout is not None and timeout <= 0):
            return await super().set_many(values, timeout)
        return list(await self._call("set_many", dict(values), timeout) or [])

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the values."""
        if not self._has("delete_many"):
            await super().delete_many(keys)
            return
        await self._call("delete_many", list(keys))

    async def close(self) -> None:
        """Let the object close what it has, and end its thread."""
        if self._has("close"):
            await self._call("close")
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
