"""How does a value become bytes and come back as it was, without trusting who wrote the bytes?

Numbers of 64 bits stay numbers: stores count with them, and other programs can read them. Everything else is
MessagePack with types of our own, inside an envelope that tells damage from a value.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack

from proxy.storage.backends.base import Value


class UnreadableValueError(ValueError):
    """The bytes are not what this serializer wrote: damaged, cut short, or somebody else's."""


class Serializer(Protocol):
    """What ``SERIALIZER`` names: a class that is made without arguments."""

    def dumps(self, value: object) -> Value:
        """Return bytes, or the number itself; TypeError for a type it does not know."""

    def loads(self, data: Value) -> object:
        """Return the value; whatever it raises makes a miss."""


#: A byte that no MessagePack begins with, and the version of what follows.
_MAGIC = b"\xc1\x01"
_ENVELOPE = struct.Struct(">2sQI")
_64_BITS = range(-(2**63), 2**63)
_REMEDY = "store it as a type that is known (str, bytes, dict, ...), or name a class of your own in SERIALIZER"

_INT, _TUPLE, _SET, _FROZENSET, _DATETIME, _DATE, _TIME, _TIMEDELTA, _DECIMAL, _UUID = range(1, 11)


class TypedSerializer:
    """None, bool, int, float, str, bytes, dates and times, Decimal, UUID, list, tuple, dict, set and frozenset.

    Each comes back as the type it was; a subclass is refused rather than changed. Of a bytearray the bytes come back.
    """

    def dumps(self, value: object) -> Value:
        """Return the number itself, or an envelope; TypeError for other types, ValueError when nested too deeply."""
        if type(value) is int and value in _64_BITS:
            return value
        payload = _packed(value)
        return _ENVELOPE.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload

    def loads(self, data: Value) -> object:
        """Return the value; UnreadableValueError when these are not bytes of ours, and nothing is run."""
        if isinstance(data, int):
            return data
        if len(data) < _ENVELOPE.size:
            raise UnreadableValueError("shorter than any value")
        magic, length, checksum = _ENVELOPE.unpack_from(data)
        payload = memoryview(data)[_ENVELOPE.size :]
        if magic != _MAGIC:
            raise UnreadableValueError("not written by this serializer")
        if len(payload) != length or zlib.crc32(payload) != checksum:
            raise UnreadableValueError("damaged or cut short")
        return _unpacked(payload)


def _packed(value: object) -> bytes:
    try:
        packed: bytes = msgpack.packb(
            value, default=_extended, strict_types=True, use_bin_type=True, unicode_errors="surrogatepass"
        )
    except RecursionError:
        raise ValueError("the value is nested too deeply to be stored") from None
    return packed


def _unpacked(payload: bytes | memoryview) -> Any:
    try:
        return msgpack.unpackb(
            payload, ext_hook=_known, strict_map_key=False, unicode_errors="surrogatepass", raw=False, timestamp=0
        )
    except Exception as error:  # a checksum is no proof: whatever the bytes do to the parser is a miss
        raise UnreadableValueError("not a value") from error


def _extended(value: Any) -> msgpack.ExtType:
    """Write what MessagePack has no type for."""
    write = _WRITERS.get(type(value))
    if write is None:
        name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        raise TypeError(f"a value of type {name} cannot be stored: {_REMEDY}")
    code, data = write(value)
    return msgpack.ExtType(code, data)


def _known(code: int, data: bytes) -> object:
    return _READERS[code](data)


def _write_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _items(value: Iterable[object]) -> bytes:
    return _packed(list(value))


def _write_zone(zone: tzinfo | None, offset: timedelta | None) -> list[object]:
    """Write the name of a zone, if it has one, and its offset at that moment in microseconds."""
    name = zone.key if isinstance(zone, ZoneInfo) else None
    return [name, None if offset is None else offset // timedelta(microseconds=1)]


def _read_zone(name: str | None, offset: int | None) -> tzinfo | None:
    if name is not None:
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, KeyError):  # this machine does not know the zone
            pass
    return None if offset is None else timezone(timedelta(microseconds=offset))


def _write_moment(value: datetime | time) -> bytes:
    return _packed([value.replace(tzinfo=None).isoformat(), value.fold, *_write_zone(value.tzinfo, value.utcoffset())])


def _read_datetime(data: bytes) -> datetime:
    text, fold, name, offset = _unpacked(data)
    return datetime.fromisoformat(text).replace(tzinfo=_read_zone(name, offset), fold=fold)


def _read_time(data: bytes) -> time:
    text, fold, name, offset = _unpacked(data)
    return time.fromisoformat(text).replace(tzinfo=_read_zone(name, offset), fold=fold)


_WRITERS: dict[type, Callable[[Any], tuple[int, bytes]]] = {
    int: lambda value: (_INT, _write_int(value)),
    tuple: lambda value: (_TUPLE, _items(value)),
    set: lambda value: (_SET, _items(value)),
    frozenset: lambda value: (_FROZENSET, _items(value)),
    datetime: lambda value: (_DATETIME, _write_moment(value)),
    date: lambda value: (_DATE, value.isoformat().encode()),
    time: lambda value: (_TIME, _write_moment(value)),
    timedelta: lambda value: (_TIMEDELTA, _packed([value.days, value.seconds, value.microseconds])),
    Decimal: lambda value: (_DECIMAL, str(value).encode()),
    UUID: lambda value: (_UUID, value.bytes),
}
_READERS: dict[int, Callable[[bytes], object]] = {
    _INT: lambda data: int.from_bytes(data, "big", signed=True),
    _TUPLE: lambda data: tuple(_unpacked(data)),
    _SET: lambda data: set(_unpacked(data)),
    _FROZENSET: lambda data: frozenset(_unpacked(data)),
    _DATETIME: _read_datetime,
    _DATE: lambda data: date.fromisoformat(data.decode()),
    _TIME: _read_time,
    _TIMEDELTA: lambda data: timedelta(*_unpacked(data)),
    _DECIMAL: lambda data: Decimal(data.decode()),
    _UUID: lambda data: UUID(bytes=data),
}
