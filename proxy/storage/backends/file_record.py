"""What does the file of one value look like, and is it whole?"""

from __future__ import annotations

import os
import stat
import zlib
from dataclasses import dataclass
from struct import Struct

from proxy.config.units import UnixTime
from proxy.storage.backends.base import Value

FOREVER = UnixTime(float("inf"))

_MAGIC = b"sitecch1"
#: Magic with its version, end of the timeout, kind, length of the key, length of the value, checksum of both.
_HEAD = Struct(">8sdBIQI")
#: The head has a checksum of its own: touch() writes the head and leaves the rest.
_SEAL = Struct(">I")
HEAD_BYTES = _HEAD.size + _SEAL.size
"""What a file says of its value comes first."""
_BYTES, _INT = 0, 1


class Damaged(Exception):
    """The file is cut short, was changed, holds another key, or is none of ours."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of its value."""

    until: UnixTime
    kind: int
    key_length: int
    length: int
    checksum: int

    def packed(self) -> bytes:
        """Return the bytes that a file begins with."""
        head = _HEAD.pack(_MAGIC, self.until, self.kind, self.key_length, self.length, self.checksum)
        return head + _SEAL.pack(zlib.crc32(head))


@dataclass(frozen=True, slots=True)
class Record:
    """One value, as a file holds it."""

    head: Head
    value: Value

    @property
    def until(self) -> UnixTime:
        """When the timeout ends."""
        return self.head.until


def pack(key: str, value: Value, until: UnixTime) -> tuple[bytes, bytes]:
    """Return the two parts of a file, to be written one behind the other."""
    name = encoded(key)
    if isinstance(value, int):
        kind, content = _INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    else:
        kind, content = _BYTES, value
    head = Head(until, kind, len(name), len(content), zlib.crc32(content, zlib.crc32(name)))
    return head.packed() + name, content


def read(path: str, key: str) -> Record | None:
    """Read the value of that key; None when there is no file, Damaged when it is not whole or not ours."""
    try:
        # Nobody is waited for on the other end of what somebody may have put there: a pipe, a link.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged from error
    try:
        return _read(descriptor, encoded(key))
    finally:
        os.close(descriptor)


def key_in(path: str) -> str | None:
    """Return the key of a file; None when there is none to be read. The value is not looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        head = _head(descriptor)
        return os.pread(descriptor, head.key_length, HEAD_BYTES).decode("utf-8", "surrogatepass")
    except (Damaged, OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def rewrite_head(path: str, head: Head) -> None:
    """Change what the file says of its value; the file must be there, and its lock held."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, head.packed(), 0)
        hint_end(descriptor, head.until)
    finally:
        os.close(descriptor)


def hint_end(descriptor: int, until: UnixTime) -> None:
    """Show the end of the timeout as the time of modification, so that a scan need not open the files."""
    moment = 0 if until == FOREVER else int(min(max(until, 1), 2**32) * 10**9)
    os.utime(descriptor, ns=(moment, moment))


def hinted_end(status: os.stat_result) -> UnixTime:
    """Return the end of the timeout, as the time of modification shows it."""
    return UnixTime(status.st_mtime_ns / 10**9) if status.st_mtime_ns else FOREVER


def encoded(key: str) -> bytes:
    """Return a key as it stands in its file."""
    return key.encode("utf-8", "surrogatepass")


def _head(descriptor: int) -> Head:
    """Read what the file says of its value; Damaged when the file is not as long as that."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise Damaged
    raw = os.read(descriptor, HEAD_BYTES)
    head = head_in(raw) if len(raw) == HEAD_BYTES else None
    # The size first: nothing of a wrong length is read into memory.
    if head is None or status.st_size != HEAD_BYTES + head.key_length + head.length:
        raise Damaged
    return head


def head_in(raw: bytes | bytearray) -> Head | None:
    """Return what the first bytes of a file say of its value; None where they are not ours."""
    if _SEAL.unpack_from(raw, _HEAD.size)[0] != zlib.crc32(raw[: _HEAD.size]):
        return None
    magic, *said = _HEAD.unpack_from(raw)
    return Head(*said) if magic == _MAGIC else None


def as_value(kind: int, content: bytes) -> Value:
    """Return what these bytes of a file mean."""
    return int.from_bytes(content, "big", signed=True) if kind == _INT else content


def _read(descriptor: int, name: bytes) -> Record:
    head = _head(descriptor)
    if head.key_length != len(name):
        raise Damaged
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        found, content = file.read(len(name)), file.read(head.length)
    if found != name or len(content) != head.length or zlib.crc32(content, zlib.crc32(found)) != head.checksum:
        raise Damaged
    return Record(head, as_value(head.kind, content))
