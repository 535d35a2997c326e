"""How are many values read from memcached with few calls? Each gives other threads the turn, and takes it back late."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymemcache.client.base import Client
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownCommandError,
    MemcacheUnknownError,
)

#: pymemcache takes 4 KiB at a time, and copies what is left over of them for each value.
_AT_ONCE = 128 * 1024
_LINE_END = b"\r\n"
#: A line that says of a value which it is, or what went wrong.
_LONGEST_LINE = 4096


class BulkClient(Client):  # type: ignore[misc]  # it has no types
    """A connection to memcached, as pymemcache's, that asks for many values in its own way."""

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return the values there are."""
        asked = {self.check_key(key, self.key_prefix): key for key in keys}
        if self.sock is None or not asked:
            return super().get_many(list(asked.values()))  # type: ignore[no-any-return]  # which connects
        try:
            self.sock.sendall(b"get " + b" ".join(asked) + _LINE_END)
            return self._values(asked)
        except BaseException:
            # What is still to come would be taken for the answer to the next question.
            self.close()
            raise

    def _values(self, asked: dict[bytes, Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        data = bytearray()
        at = 0
        while True:
            end = data.find(_LINE_END, at)
            while end < 0:
                if len(data) - at > _LONGEST_LINE:
                    raise MemcacheUnknownError("a line without an end")
                data += self._received()
                end = data.find(_LINE_END, at)
            line = bytes(data[at:end])
            if line == b"END":
                return found
            name, flags, size = _value_line(line)
            if name not in asked:
                raise MemcacheUnknownError(b"a value that was not asked for")
            start = end + len(_LINE_END)
            at = start + size + len(_LINE_END)
            while len(data) < at:
                data += self._received()
            if data[start + size : at] != _LINE_END:
                raise MemcacheUnknownError("a value that does not end")
            key = asked[name]
            found[key] = self.serde.deserialize(key, bytes(data[start : start + size]), flags)

    def _received(self) -> bytes:
        received: bytes = self.sock.recv(_AT_ONCE)
        if not received:
            raise MemcacheUnexpectedCloseError
        return received


def _value_line(line: bytes) -> tuple[bytes, int, int]:
    """Return key, flags and size; what memcached says instead is raised."""
    if line.startswith(b"VALUE "):
        _, name, flags, size = line.split(b" ")
        if size.isdigit():
            return name, int(flags), int(size)
    if line.startswith(b"ERROR"):
        raise MemcacheUnknownCommandError("get")
    if line.startswith(b"CLIENT_ERROR"):
        raise MemcacheClientError(line.partition(b" ")[2])
    if line.startswith(b"SERVER_ERROR"):
        raise MemcacheServerError(line.partition(b" ")[2])
    raise MemcacheUnknownError(line[:32])
