"""How is a stored response written as bytes, and how is it known, when it is read, that these are the ones?

Nothing that comes back is trusted: the first bytes name the form, a checksum covers the rest, and the key the response
was stored under stands inside, so that what lies under a wrong key is no answer to it. Whatever is wrong makes it a
miss.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nextafter
from typing import Any, assert_never
from zlib import crc32

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder

from proxy.config.units import UnixTime
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.policy.purging import Kind, Purge, Rule
from proxy.policy.ranges import Extent
from proxy.policy.stored import StoredResponse, Terms

_FORM = b"scp5"
"""Sitecache page, form 5; what changes the form changes the number, and older ones become misses."""
_SUM = struct.Struct(">I")
_SIZES = struct.Struct(">III")
_START = len(_FORM) + _SUM.size
_HEAD = struct.Struct(">4sIIII")
"""The form, the sum and the sizes."""


class DamagedRecordError(ValueError):
    """The bytes are not what was written under this key."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A variant that the origin may name by its entity tag."""

    tag: bytes
    variant: str
    """The first digits of its digest."""
    until: UnixTime
    """It is kept no longer than that."""


@dataclass(frozen=True, slots=True)
class VaryIndex:
    """What lies under the primary key of a resource whose responses vary."""

    generation: bytes
    """Stands in the variants too: those of an index that is gone are none of the next one."""
    specs: tuple[tuple[bytes, ...], ...]
    """The names of the varied fields, the latest first."""
    slots: Mapping[str, int] = field(default_factory=dict)
    """Where each variant lies: the number of its slot by the first digits of its digest."""
    tags: bytes = b""
    """What ``write_tags`` wrote of those that the origin may be asked about; a hit needs none of it read."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What lies in one of the slots of a resource whose responses vary."""

    generation: bytes
    digest: str
    """Of the variant key: another variant may have taken the slot."""
    response: StoredResponse


@dataclass(frozen=True, slots=True)
class GroupMark:
    """What lies under the key of a group (RFC 9875)."""

    until: UnixTime
    """Responses in the group are valid that were generated after it."""

    @classmethod
    def before(cls, stored: StoredResponse) -> GroupMark:
        """Return the mark of a group of which nothing is known but this response."""
        return cls(UnixTime(nextafter(stored.terms.born, 0)))


@dataclass(frozen=True, slots=True)
class PurgeNote:
    """What lies under the number of a purge."""

    begins: int
    """The number that the counting began with: nothing is known of smaller ones."""
    purge: Purge


Record = StoredResponse | VaryIndex | Variant | GroupMark | PurgeNote


# What stands in a record beside its head and body: MessagePack, read in C and with the types that are written here. A
# hit reads one (0.4 us, where JSON and the same checks in Python took 7). Terms are written in their order, for their
# names would be 127 bytes of each page; the last ones, which an older version did not know, have defaults.


class _Page(Struct, tag=0, array_like=True, frozen=True, gc=False):
    """Of a response."""

    status: int
    terms: Terms
    extent: tuple[int, int, int] | None
    number: int
    tags: tuple[bytes, ...]


class _Variant(Struct, tag=1, array_like=True, frozen=True, gc=False):
    """Of a variant."""

    status: int
    terms: Terms
    extent: tuple[int, int, int] | None
    number: int
    tags: tuple[bytes, ...]
    generation: bytes
    digest: str


class _Index(Struct, tag=2, array_like=True, frozen=True, gc=False):
    """Of an index, all but its tags."""

    generation: bytes
    specs: tuple[tuple[bytes, ...], ...]
    slots: dict[str, int]


class _Mark(Struct, tag=3, array_like=True, frozen=True, gc=False):
    """Of a group."""

    until: float


class _Purge(Struct, tag=4, array_like=True, frozen=True, gc=False):
    """Of a purge."""

    begins: int
    soft: bool
    at: float
    rules: tuple[tuple[Kind, bytes, bytes], ...]


_Meta = _Page | _Variant | _Index | _Mark | _Purge
_encoder = Encoder()
_decoder: Decoder[_Meta] = Decoder(_Meta)


def encode(key: PrimaryKey | VariantKey, record: Record) -> bytes:
    """Write a record that is stored under this key."""
    head = body = b""
    meta: _Meta
    match record:
        case StoredResponse():
            meta = _Page(record.status, record.terms, _numbers(record.extent), record.number, record.tags)
            head, body = record.head, record.body
        case Variant(generation, digest, response):
            extent, number = _numbers(response.extent), response.number
            meta = _Variant(response.status, response.terms, extent, number, response.tags, generation, digest)
            head, body = response.head, response.body
        case VaryIndex(generation, specs, slots, tags):
            meta = _Index(generation, specs, dict(slots))
            body = tags
        case GroupMark(until):
            meta = _Mark(until)
        case PurgeNote(begins, purge):
            rules = tuple((rule.kind, rule.what, rule.host) for rule in purge.rules)
            meta = _Purge(begins, purge.soft, purge.at, rules)
        case never:
            assert_never(never)
    said = _encoder.encode(meta)
    rest = b"".join((_SIZES.pack(len(key), len(said), len(head)), key, said, head, body))
    return b"".join((_FORM, _SUM.pack(crc32(rest)), rest))


def decode(key: PrimaryKey | VariantKey, data: bytes) -> Record:
    """Read what ``encode`` wrote under this key; DamagedRecordError for anything else."""
    try:
        form, checked, key_size, meta_size, head_size = _HEAD.unpack_from(data)
    except struct.error:
        raise DamagedRecordError("shorter than any record") from None
    if form != _FORM or checked != crc32(memoryview(data)[_START:]):
        raise DamagedRecordError("not a record of this form, or damaged")
    try:
        return _read(key, data, key_size, meta_size, head_size)
    except (MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        # Its checksum is right: somebody else, or another version of us, wrote it.
        raise DamagedRecordError(f"not a record of ours: {error}") from error


def _read(key: PrimaryKey | VariantKey, data: bytes, key_size: int, meta_size: int, head_size: int) -> Record:
    key_at = _HEAD.size
    meta_at = key_at + key_size
    head_at = meta_at + meta_size
    body_at = head_at + head_size
    if data[key_at:meta_at] != key:
        raise DamagedRecordError("stored under another key")
    if body_at > len(data):
        raise DamagedRecordError("shorter than it says")
    meta = _decoder.decode(data[meta_at:head_at])
    match meta:
        case _Page():
            return _response(meta, data[head_at:body_at], data[body_at:])
        case _Variant(generation=generation, digest=digest):
            return Variant(generation, digest, _response(meta, data[head_at:body_at], data[body_at:]))
        case _Index(generation, specs, slots):
            return VaryIndex(generation, specs, slots, data[body_at:])
        case _Mark(until):
            return GroupMark(UnixTime(_number(until)))
        case _Purge(begins, soft, at, rules):
            return PurgeNote(begins, Purge(tuple(Rule(*rule) for rule in rules), soft, UnixTime(_number(at))))
        case never:
            assert_never(never)


def _response(meta: _Page | _Variant, head: bytes, body: bytes) -> StoredResponse:
    terms = meta.terms
    # Where one of them is not finite, the sum is not.
    if not isfinite(terms.born + terms.lifetime + terms.stale_while_revalidate + (terms.stale_if_error or 0.0)):
        raise ValueError("expected finite numbers")
    extent = None if meta.extent is None else _extent(meta.extent, len(body))
    return StoredResponse(meta.status, head, body, terms, extent, meta.tags, meta.number)


def _numbers(extent: Extent | None) -> tuple[int, int, int] | None:
    return None if extent is None else (extent.first, extent.last, extent.complete)


def _extent(numbers: tuple[int, int, int], size: int) -> Extent:
    """Return which part of a representation a partial response says its body is; ValueError where it cannot be."""
    extent = Extent(*numbers)
    if not 0 <= extent.first <= extent.last < extent.complete or extent.size != size:
        raise ValueError("an extent that is not that of the body")
    return extent


def write_tags(tagged: Sequence[Tagged]) -> bytes:
    """Write the variants that the origin may be asked about, for their index."""
    lists = [[_text(one.tag), one.variant, one.until] for one in tagged]
    return json.dumps(lists, separators=(",", ":")).encode() if lists else b""


def read_tags(data: bytes) -> tuple[Tagged, ...]:
    """Read what ``write_tags`` wrote; nothing where it did not: an older version writes none."""
    try:
        return tuple(map(_tagged, _a(list, json.loads(data)))) if data else ()
    except (ValueError, ArithmeticError, TypeError, RecursionError):
        return ()


def _tagged(value: object) -> Tagged:
    tag, variant, until = _a(list, value)
    return Tagged(_bytes(tag), _a(str, variant), UnixTime(_number(until)))


def _a(kind: type[Any], value: object) -> Any:
    """Return the value; ValueError when it is not of this very type."""
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not isfinite(value):  # type: ignore[arg-type]  # it is a number here
        raise ValueError("expected a finite number")
    return value  # type: ignore[return-value]  # as above


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _bytes(value: object) -> bytes:
    encoded: bytes = _a(str, value).encode("latin-1")
    return encoded
