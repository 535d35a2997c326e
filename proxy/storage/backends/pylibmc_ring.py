"""How is memcached asked through pylibmc, where libmemcached picks the server of a key?

Its form of values is pylibmc's, in which numbers have flag 4. libmemcached cannot tell what is left of a timeout, so a
value that is moved gets Django's default of 300 seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

import pylibmc

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.base import Pickled, Value
from proxy.storage.backends.libmemcached import pick_of
from proxy.storage.backends.memcached_ring import FLAG_BYTES, FLAG_LONG, FLAG_PICKLE, OVERHEAD, marked, size

_Result = TypeVar("_Result")

MOVED = Seconds(300)
_MOST_TO_COUNT = 2**63 - 1
_MOST_TRIES = 1000

#: Milliseconds, microseconds; libmemcached itself waits for an answer for ever. ``cas`` is what ``move`` needs.
_BEHAVIORS = {"cas": True, "connect_timeout": 2000, "receive_timeout": 2_000_000, "send_timeout": 2_000_000}


class _Client(pylibmc.Client):  # type: ignore[misc]  # it has no types
    """A client that keeps bytes and numbers, and unpickles nothing."""

    def serialize(self, value: Value) -> tuple[bytes, int]:
        if isinstance(value, int):
            return b"%d" % value, FLAG_LONG
        return value, FLAG_PICKLE if isinstance(value, Pickled) else FLAG_BYTES

    def deserialize(self, value: bytes, flags: int) -> Value:
        return marked(value, flags)


class PylibmcRing:
    """The servers of one LOCATION. A server that is not there costs misses, as libmemcached's behaviors say."""

    def __init__(self, servers: Sequence[str], options: Mapping[str, Any], hint: str = "") -> None:
        """Open nothing; ``options`` are binary, username, password and behaviors. ValueError says what is wrong.

        ``hint`` says what to do about a login that is refused.
        """
        self._names = ", ".join(servers)
        self._servers = len(servers)
        self._limit: int | None = None
        pick = pick_of(servers, options.get("behaviors") or {})
        self._pick = None if pick is None else lru_cache(maxsize=10_000)(pick)
        self._secret = str(options.get("password") or "")
        behaviors = _BEHAVIORS | dict(options.get("behaviors") or {})
        self._make = partial(_Client, list(servers), **{**options, "behaviors": behaviors})
        self._own = threading.local()
        self._clients: list[_Client] = []
        self._refused = ""
        self._tells = False
        self._hint = f"; {hint}" if hint else ""
        try:
            self._make()
        except (ValueError, TypeError, KeyError, pylibmc.Error) as error:
            raise ValueError(f"LOCATION or OPTIONS of pylibmc: {self._text(error)}") from None

    @property
    def client(self) -> _Client:
        """Return the client of this thread, since one must not be used by two at once."""
        client: _Client | None = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = self._make()
            self._clients.append(client)
        return client

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        try:
            found: dict[str, Value] = self.client.get_multi(keys)
            if not found and self._pick is not None and self._tells:
                # Of a server that is away it says that nothing was found.
                self.client.get(keys[0])
        except pylibmc.Error as error:
            # One server that is away spoils the whole.
            self._judge(error)
            each = {key: self._bear(None, partial(self.client.get, key)) for key in keys}
            return {key: value for key, value in each.items() if value is not None}
        return found

    def set_many(self, values: Mapping[str, Value], expire: int) -> list[str]:
        failed = [key for key, value in values.items() if not self._store(key, value, expire)]
        self.delete_many(failed)
        return failed

    def _store(self, key: str, value: Value, expire: int) -> bool:
        if size(key, value) > self._largest():
            return False
        try:
            return bool(self._bear(False, partial(self.client.set, key, value, time=expire)))
        except pylibmc.TooBig:
            return False

    def _largest(self) -> int:
        """Return how many bytes key and value may have together: to libmemcached a refusal is a lost connection."""
        if self._limit is None:
            nothing: list[tuple[str, dict[str, str]]] = []
            said = self._bear(nothing, partial(self.client.get_stats, "settings"))
            limits = [int(settings.get("item_size_max", 2**20)) for _, settings in said]
            if len(limits) < self._servers:
                # One that is away may take less.
                return min(limits, default=2**20) - OVERHEAD
            self._limit = min(limits) - OVERHEAD
        return self._limit

    def add(self, key: str, value: Value, expire: int) -> bool:
        if size(key, value) > self._largest():
            return not self.get_many([key])
        try:
            return bool(self._bear(False, partial(self.client.add, key, value, time=expire)))
        except pylibmc.TooBig:
            return not self.get_many([key])

    def touch(self, key: str, expire: int) -> bool:
        return bool(self._bear(False, partial(self.client.touch, key, expire)))

    def delete(self, key: str) -> bool:
        try:
            return bool(self.client.delete(key))
        except pylibmc.NotFound:
            return False
        except pylibmc.ClientError:
            raise
        except pylibmc.Error as error:
            self._judge(error)
            if self._tells:
                raise StorageError(f"memcached at {self._names}: {self._text(error)}") from None
            return False

    def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.delete(key)

    def count(self, key: str, delta: int) -> int | None:
        if delta > _MOST_TO_COUNT:
            raise OverflowError("pylibmc adds no more than 2**63 - 1")
        count = partial(self.client.incr, key, delta) if delta >= 0 else partial(self.client.decr, key, -delta)
        if delta < -_MOST_TO_COUNT:
            count = partial(self.client.decr, key, _MOST_TO_COUNT)
        try:
            counted: int | None = self._bear(None, count)
        except pylibmc.ClientError as error:
            raise TypeError(self._text(error)) from None
        return counted

    def move(self, key: str, to: str) -> bool:
        """Copy and delete, again from the start where the value was changed in between."""
        for _ in range(_MOST_TRIES):
            found, token = self._bear((None, None), partial(self.client.gets, key))
            if found is None:
                # Now and then it says so of what is there; its get() does not, and puts the next gets() right.
                if self._bear(None, partial(self.client.get, key)) is None:
                    return False
                continue
            if key == to:
                return True
            if self.set_many({to: found}, int(MOVED)):
                return False
            # With an expiry in the past, to store is to delete.
            if self._bear(True, partial(self.client.cas, key, found, token, time=-1)):
                return True
        raise StorageError(f"memcached at {self._names}: a value that changes all the time cannot be moved")

    def flush_all(self) -> None:
        self._bear(None, self.client.flush_all)

    def name_of(self, key: str) -> str:
        """Return the server that libmemcached should pick, where its behaviors are among those that are known here."""
        return "" if self._pick is None else self._pick(key)

    def tell_losses(self) -> None:
        """A deletion that did not reach its server is an error, and so is all else where it is known which one it is.

        Of several, one that is away must not be the reason to leave the others alone: reading there is a miss then.
        """
        self._tells = True

    def close(self) -> None:
        self._refused = ""
        clients, self._clients, self._own = self._clients, [], threading.local()
        for client in clients:
            client.disconnect_all()

    def _bear(self, missing: _Result, what: Callable[[], _Result]) -> _Result:
        """Do it, and return what is missing for one when there is none or its server is not there."""
        try:
            return what()
        except (pylibmc.NotFound, pylibmc.DataExists):
            return missing
        except (pylibmc.ClientError, pylibmc.TooBig):
            raise
        except pylibmc.Error as error:
            self._judge(error)
            return missing

    def _judge(self, error: Exception) -> None:
        """Raise a StorageError when we were refused. libmemcached says so once, and then that the server is down."""
        if "AUTHENTICATION" in str(error).upper():
            self._refused = f"{self._text(error)}{self._hint}"
        if self._refused:
            raise StorageError(f"memcached at {self._names}: {self._refused}") from None
        if self._tells and self._pick is not None:
            raise StorageError(f"memcached at {self._names}: {self._text(error)}") from None

    def _text(self, error: Exception) -> str:
        said = " ".join(str(error).split()) or type(error).__name__
        return said.replace(self._secret, "***") if self._secret else said
