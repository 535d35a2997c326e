"""Two caches as an operator writes them, of some thirty lines each: one with plain methods, one with coroutines."""

from __future__ import annotations

import time

STORES: dict[str, dict[str, tuple[object, float]]] = {}


class PlainCache:
    """Keeps values in a dictionary, by LOCATION."""

    def __init__(self, location, params):
        self.params = params
        self.values = STORES.setdefault(location, {})

    def get(self, key):
        value, until = self.values.get(key, (None, 0))
        return value if until > time.monotonic() else None

    def set(self, key, value, timeout):
        self.values[key] = (value, float("inf") if timeout is None else time.monotonic() + timeout)

    def delete(self, key):
        there = self.get(key) is not None
        self.values.pop(key, None)
        return there

    def clear(self):
        self.values.clear()

    def incr(self, key, delta):
        number = self.get(key)
        if number is None:
            raise ValueError(key)
        total = number + delta
        self.values[key] = (total, self.values[key][1])
        return total

    def rename(self, key, to):
        there = self.get(key) is not None
        if there:
            self.values[to] = self.values.pop(key)
        return there


class AsyncCache:
    """The same, with coroutines and with the operations that make it quick."""

    def __init__(self, location, params):
        self.plain = PlainCache(location, params)

    async def get(self, key):
        return self.plain.get(key)

    async def set(self, key, value, timeout):
        return self.plain.set(key, value, timeout)

    async def add(self, key, value, timeout):
        return self.plain.get(key) is None and self.plain.set(key, value, timeout) is None

    async def touch(self, key, timeout):
        value = self.plain.get(key)
        return value is not None and self.plain.set(key, value, timeout) is None

    async def delete(self, key):
        return self.plain.delete(key)

    async def clear(self):
        self.plain.clear()

    async def incr(self, key, delta):
        return self.plain.incr(key, delta)

    async def rename(self, key, to):
        return self.plain.rename(key, to)

    async def has_key(self, key):
        return self.plain.get(key) is not None

    async def get_many(self, keys):
        return {key: self.plain.get(key) for key in keys if self.plain.get(key) is not None}

    async def set_many(self, values, timeout):
        for key, value in values.items():
            self.plain.set(key, value, timeout)

    async def delete_many(self, keys):
        for key in keys:
            self.plain.delete(key)

    async def close(self):
        pass


class BrokenCache(PlainCache):
    """Its server is gone."""

    def get(self, key):
        raise ConnectionResetError("secret")


class NoSet:
    """Lacks what a cache needs."""

    def __init__(self, location, params):
        pass

    def get(self, key):
        return None
