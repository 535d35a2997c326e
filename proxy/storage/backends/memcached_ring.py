"""Which memcached holds a key, how is it asked through pymemcache, and what when it does not answer?

A key goes to the server that pymemcache's HashClient picks, so that a Django application may share them. Other than
there it never moves: while a server is away its keys are misses, so that no former value comes up when it is back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice
from operator import methodcaller
from threading import Lock
from typing import Any, Protocol, TypeVar

from pymemcache.client.base import PooledClient, normalize_server_spec
from pymemcache.client.rendezvous import RendezvousHash
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownError,
)

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.base import Pickled, Text, Value
from proxy.storage.backends.decimals import from_decimal
from proxy.storage.backends.memcached_bulk import BulkClient

_Result = TypeVar("_Result")

#: How pymemcache marks what it wrote. pylibmc marks numbers with 4, and True and False with 2.
FLAG_BYTES = 0
FLAG_PICKLE = 1
FLAG_INTEGER = 2
FLAG_LONG = 4
_FLAG_TEXT = 16

#: What memcached keeps beside key and value in the same chunk: 48 bytes of head, 8 of CAS, flags, and line ends.
OVERHEAD = 80

#: The largest number that memcached counts to; it goes on with 0 after it.
LARGEST = 2**64 - 1
_THIRTY_DAYS = 30 * 24 * 3600
#: memcached counts with 32 bits, to the 19th of January 2038.
_LAST = 2**31 - 1

#: Keys of values that are to be forgotten by a server that is away; what comes then is not remembered.
_MOST_OWED = 10_000
_AT_ONCE = 1000
#: Keys whose servers are known without hashing.
_REMEMBERED = 10_000

_LOST = (OSError, MemcacheUnexpectedCloseError, MemcacheUnknownError, ValueError, IndexError)


class Ring(Protocol):
    """Servers that share the keys between them. Each method runs in a thread; several may run at once.

    ``expire`` is what memcached takes: 0 for never, seconds, or a time since 1970.
    """

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        """Return the values there are."""

    def set_many(self, values: Mapping[str, Value], expire: int) -> list[str]:
        """Keep them; return the keys of those that could not be, under which there is nothing then."""

    def add(self, key: str, value: Value, expire: int) -> bool:
        """Keep the value if there is none; tell whether there was none."""

    def touch(self, key: str, expire: int) -> bool:
        """Give the value another timeout; False when there is none."""

    def delete(self, key: str) -> bool:
        """Forget the value; tell whether there was one."""

    def delete_many(self, keys: Sequence[str]) -> None:
        """Forget the values."""

    def count(self, key: str, delta: int) -> int | None:
        """Add to a number with memcached's own command; None when there is none, TypeError when it is none."""

    def move(self, key: str, to: str) -> bool:
        """Move the value and its timeout; False when there is none."""

    def flush_all(self) -> None:
        """Forget everything that the servers hold."""

    def name_of(self, key: str) -> str:
        """Return the name of the server that holds the key; empty where the client does not tell."""

    def tell_losses(self) -> None:
        """Raise a StorageError from now on where a server is away, for who can do something about it."""

    def close(self) -> None:
        """Close every connection; the next operation opens them again."""


class Plain:
    """How a value lies in memcached: a number as its digits with a flag, bytes as they are, a pickle with its flag."""

    def serialize(self, key: object, value: Value) -> tuple[bytes, int]:
        del key
        if isinstance(value, int):
            return b"%d" % value, FLAG_INTEGER
        return value, FLAG_PICKLE if isinstance(value, Pickled) else FLAG_BYTES

    def deserialize(self, key: object, value: bytes, flags: int) -> Value:
        del key
        return marked(value, flags)


class _Pooled(PooledClient):  # type: ignore[misc]  # it has no types
    """pymemcache's connections to one server, which read many values at once."""

    client_class = BulkClient


class Node:
    """One server, and whether it is worth asking."""

    def __init__(self, server: str, options: Mapping[str, Any], rests: Rests) -> None:
        """Open nothing; ``options`` are those of pymemcache's client."""
        address = normalize_server_spec(server)
        self.name = address if isinstance(address, str) else "{}:{}".format(*address)
        self._client = _Pooled(address, serde=Plain(), default_noreply=False, **options)
        self._rests = rests
        self._failures = 0
        self._until = float("-inf")
        self._resting = Lock()
        self._limit: int | None = None
        self._owed: dict[str, None] = {}
        self._paying = Lock()

    def ask(self, what: Callable[[PooledClient], _Result], again: bool = True) -> _Result:
        """Return the answer, or raise what the client does; ``Lost`` when the server is not there.

        A connection that turns out to be cut gets another try: the server may have been started anew.
        """
        if self._rests.now() < self._until:
            raise Lost(f"memcached at {self.name}: it has failed and is being left alone")
        try:
            try:
                found = self._paid(what)
            except _LOST as error:
                self._close_idle()
                if not again or isinstance(error, TimeoutError):
                    raise
                found = self._paid(what)
        except _LOST as error:
            self._close_idle()
            self._rest()
            raise Lost(f"memcached at {self.name}: {_text(error)}") from error
        self._failures = 0
        return found

    def _rest(self) -> None:
        """Leave the server alone, once for all that were asking it and failed together."""
        with self._resting:
            now = self._rests.now()
            if now >= self._until:
                self._failures += 1
                self._until = now + self._rests.after(self._failures)

    def owe(self, keys: Iterable[str]) -> None:
        """Have these forgotten before the server is asked for anything again: it may have gone on running."""
        with self._paying:
            self._owed |= dict.fromkeys(islice(keys, _MOST_OWED - len(self._owed)))

    def _paid(self, what: Callable[[PooledClient], _Result]) -> _Result:
        """Have forgotten what is owed, and then ask."""
        if self._owed:
            with self._paying:
                while owed := list(islice(self._owed, _AT_ONCE)):
                    self._client.delete_many(owed)
                    for key in owed:
                        del self._owed[key]
        return what(self._client)

    def largest(self) -> int:
        """Return how many bytes key and value may have together; the server is asked once."""
        if self._limit is None:
            said = self.ask(lambda client: client.stats("settings")).get(b"item_size_max", 2**20)
            self._limit = int(said) - OVERHEAD
        return self._limit

    def _close_idle(self) -> None:
        """Close the connections that nobody uses: they are cut as well. Those in use find out for themselves."""
        pool = self._client.client_pool
        for _ in pool.free:
            pool.destroy(pool.get())

    def close(self) -> None:
        self._client.close()


class Lost(StorageError):
    """A server is not there: its keys are misses, where these are wanted."""


class Rests:
    """How long a server that failed is left alone."""

    def __init__(self, now: Callable[[], float], short: Seconds, attempts: int, long: Seconds) -> None:
        """``short`` seconds for the first failures in a row, ``attempts`` of them, and then ``long`` ones."""
        self.now = now
        self._short, self._attempts, self._long = short, attempts, long

    def after(self, failures: int) -> Seconds:
        return self._short if failures <= self._attempts else self._long


class PymemcacheRing:
    """The servers of one LOCATION, asked through pymemcache."""

    def __init__(self, nodes: Iterable[Node], wall: Callable[[], UnixTime], *, losing_is_missing: bool) -> None:
        """``losing_is_missing`` makes misses of the keys of a server that is not there; else they are errors."""
        self._wall = wall
        self._losing_is_missing = losing_is_missing
        self._nodes = {node.name: node for node in nodes}
        only = next(iter(self._nodes.values())) if len(self._nodes) == 1 else None
        picked = RendezvousHash(list(self._nodes)).get_node
        # It hashes the key once for each server, in Python: some 20 us each.
        remembered = lru_cache(_REMEMBERED)(lambda key: self._nodes[picked(key)])
        self.node: Callable[[str], Node] = remembered if only is None else lambda _: only
        """Returns the server that holds a key."""

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for node, own in self._by_node(keys):
            found |= self._ask(node, {}, methodcaller("get_many", own))
        return found

    def set_many(self, values: Mapping[str, Value], expire: int) -> list[str]:
        failed: list[str] = []
        for node, own in self._by_node(values):
            store = partial(_store, node, {key: values[key] for key in own}, expire)
            failed += self._bear(node, own, partial(_or_owe, node, own, store))
        return failed

    def add(self, key: str, value: Value, expire: int) -> bool:
        node = self.node(key)
        if size(key, value) > self._bear(node, 0, node.largest):
            return not self.get_many([key])
        return self._ask(node, False, methodcaller("add", key, value, expire))

    def touch(self, key: str, expire: int) -> bool:
        return self._ask(self.node(key), False, methodcaller("touch", key, expire))

    def delete(self, key: str) -> bool:
        node = self.node(key)
        return self._bear(node, False, partial(_or_owe, node, [key], partial(node.ask, methodcaller("delete", key))))

    def delete_many(self, keys: Sequence[str]) -> None:
        for node, own in self._by_node(keys):
            delete = partial(node.ask, methodcaller("delete_many", own))
            self._bear(node, None, partial(_or_owe, node, own, delete))

    def count(self, key: str, delta: int) -> int | None:
        node = self.node(key)
        return self._bear(node, None, partial(node.ask, partial(_count, key=key, delta=delta), again=False))

    def move(self, key: str, to: str) -> bool:
        """Copy and delete, again from the start where the value was changed in between."""
        node = self.node(key)
        while True:
            found, token = self._ask(node, (None, None), methodcaller("gets", key))
            left = self._ask(node, None, partial(_left, key=key))
            if found is None or left is None:
                return False
            if key == to:
                return True
            if self.set_many({to: found}, 0 if left < 0 else to_expire(Seconds(left), self._wall)):
                return False
            # With an expiry in the past, to store is to delete; False: there is another value by now.
            if self._ask(node, None, methodcaller("cas", key, found, token, -1)) is not False:
                return True

    def flush_all(self) -> None:
        for node in self._nodes.values():
            self._ask(node, None, methodcaller("flush_all"))

    def name_of(self, key: str) -> str:
        return self.node(key).name

    def tell_losses(self) -> None:
        self._losing_is_missing = False

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()

    def _by_node(self, keys: Iterable[str]) -> list[tuple[Node, list[str]]]:
        shares: dict[str, list[str]] = {}
        for key in dict.fromkeys(keys):
            shares.setdefault(self.node(key).name, []).append(key)
        return [(self._nodes[name], own) for name, own in shares.items()]

    def _ask(self, node: Node, missing: _Result, what: Callable[[PooledClient], Any]) -> _Result:
        answer: _Result = self._bear(node, missing, partial(node.ask, what))
        return answer

    def _bear(self, node: Node, missing: _Result, what: Callable[[], _Result]) -> _Result:
        """Do it, and return what is missing for one when the server is not there."""
        try:
            return what()
        except Lost:
            if self._losing_is_missing:
                return missing
            raise
        except MemcacheError as error:
            raise StorageError(f"memcached at {node.name}: {_text(error)}") from error


def _or_owe(node: Node, keys: Iterable[str], what: Callable[[], _Result]) -> _Result:
    """Do what leaves no former value under these keys, now or when the server is back."""
    try:
        return what()
    except Lost:
        node.owe(keys)
        raise


def _store(node: Node, values: Mapping[str, Value], expire: int) -> list[str]:
    """Keep values in one server; return the keys of those that it does not take, whose former values go."""
    most = node.largest()
    failed = [key for key, value in values.items() if size(key, value) > most]
    fitting = {key: value for key, value in values.items() if key not in failed}
    try:
        failed += node.ask(methodcaller("set_many", fitting, expire)) if fitting else []
    except MemcacheServerError:
        # It said no in the middle, and what it said of the others is lost.
        failed += [key for key, value in fitting.items() if not _store_one(node, key, value, expire)]
    if failed:
        node.ask(methodcaller("delete_many", failed))
    return failed


def _store_one(node: Node, key: str, value: Value, expire: int) -> bool:
    try:
        return bool(node.ask(methodcaller("set", key, value, expire)))
    except MemcacheServerError:
        return False


def _count(client: PooledClient, key: str, delta: int) -> int | None:
    try:
        counted: int | None = client.incr(key, delta) if delta >= 0 else client.decr(key, min(-delta, LARGEST))
    except MemcacheClientError as error:
        raise TypeError(_text(error)) from None
    return counted


def _left(client: PooledClient, key: str) -> int | None:
    """Return the seconds until the value goes, -1 when it never does, None when there is none."""
    said = client.raw_command(b"mg " + key.encode() + b" t")
    found = re.fullmatch(rb"HD t(-?\d+)", said.strip())
    return int(found[1]) if found else None


def marked(value: bytes, flags: int) -> Value:
    """Return what a value is by its flags; what says to be a number need not be one."""
    if flags == FLAG_BYTES:
        return value
    if flags == FLAG_PICKLE:
        return Pickled(value)
    if flags == _FLAG_TEXT:
        return Text(value)
    # ``decr`` leaves blanks where there were more digits.
    number = from_decimal(value.rstrip(b" ")) if flags & (FLAG_INTEGER | FLAG_LONG) else None
    return value if number is None else number


def size(key: str, value: Value) -> int:
    """Return the bytes of key and value."""
    return len(key.encode()) + (len(value) if isinstance(value, bytes) else len(b"%d" % value))


def to_expire(timeout: Seconds | None, wall: Callable[[], UnixTime]) -> int:
    """Return what memcached takes for a timeout; what it cannot count to never ends."""
    if timeout is None or timeout > _LAST:
        return 0
    seconds = math.ceil(timeout)
    if seconds <= _THIRTY_DAYS:
        return seconds
    until = seconds + int(wall())  # it reads more than thirty days as a time since 1970
    return until if until <= _LAST else 0


def _text(error: Exception) -> str:
    said = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(text.split()) or type(error).__name__
