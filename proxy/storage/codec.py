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

from proxy.config.units import Seconds, UnixTime
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.policy.ranges import Extent
from proxy.policy.stored import StoredResponse, Terms

_FORM = b"scp2"
"""Sitecache page, form 2; what changes the form changes the number, and older ones become misses."""
_MARKS = ("unsaid", "immutable")
"""Of the terms: those that are written only where they are true."""
_SUM = struct.Struct(">I")
_SIZES = struct.Struct(">III")
_START = len(_FORM) + _SUM.size


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


Record = StoredResponse | VaryIndex | Variant | GroupMark


def encode(key: PrimaryKey | VariantKey, record: Record) -> bytes:
    """Write a record that is stored under this key."""
    head = body = b""
    meta: dict[str, object]
    match record:
        case StoredResponse():
            meta = _response_out(record)
            head, body = record.head, record.body
        case Variant(generation, digest, response):
            meta = {"generation": _text(generation), "variant": digest, **_response_out(response)}
            head, body = response.head, response.body
        case VaryIndex(generation, specs, slots, tags):
            names = [[_text(name) for name in spec] for spec in specs]
            meta = {"generation": _text(generation), "specs": names, "slots": dict(slots)}
            body = tags
        case GroupMark(until):
            meta = {"until": until}
        case never:
            assert_never(never)
    said = json.dumps(meta, separators=(",", ":")).encode()
    rest = b"".join((_SIZES.pack(len(key), len(said), len(head)), key, said, head, body))
    return b"".join((_FORM, _SUM.pack(crc32(rest)), rest))


def decode(key: PrimaryKey | VariantKey, data: bytes) -> Record:
    """Read what ``encode`` wrote under this key; DamagedRecordError for anything else."""
    if data[: len(_FORM)] != _FORM or data[len(_FORM) : _START] != _SUM.pack(crc32(memoryview(data)[_START:])):
        raise DamagedRecordError("not a record of this form, or damaged")
    try:
        return _read(key, data)
    except (struct.error, ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
        # Its checksum is right: somebody else, or another version of us, wrote it.
        raise DamagedRecordError(f"not a record of ours: {error}") from error


def _read(key: PrimaryKey | VariantKey, data: bytes) -> Record:
    key_size, meta_size, head_size = _SIZES.unpack_from(data, _START)
    key_at = _START + _SIZES.size
    meta_at = key_at + key_size
    head_at = meta_at + meta_size
    body_at = head_at + head_size
    if data[key_at:meta_at] != key:
        raise DamagedRecordError("stored under another key")
    if body_at > len(data):
        raise DamagedRecordError("shorter than it says")
    meta = _a(dict, json.loads(data[meta_at:head_at]))
    if "specs" in meta:
        return _index(meta, data[body_at:])
    if "until" in meta:
        return GroupMark(UnixTime(_number(meta["until"])))
    body = data[body_at:]
    extent = _extent(meta["extent"], len(body)) if "extent" in meta else None
    response = StoredResponse(_a(int, meta["status"]), data[head_at:body_at], body, _terms(meta), extent)
    if "variant" in meta:
        return Variant(_bytes(meta["generation"]), _a(str, meta["variant"]), response)
    return response


def _index(meta: Mapping[str, Any], tags: bytes) -> VaryIndex:
    specs = tuple(tuple(map(_bytes, _a(list, spec))) for spec in _a(list, meta["specs"]))
    slots = {digest: _a(int, slot) for digest, slot in _a(dict, meta["slots"]).items()}
    return VaryIndex(_bytes(meta["generation"]), specs, slots, tags)


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


def _extent(value: object, size: int) -> Extent:
    """Return which part of a representation a partial response says its body is; ValueError where it cannot be."""
    first, last, complete = (_a(int, number) for number in _a(list, value))
    extent = Extent(first, last, complete)
    if not 0 <= first <= last < complete or extent.size != size:
        raise ValueError("an extent that is not that of the body")
    return extent


def _response_out(response: StoredResponse) -> dict[str, object]:
    terms = response.terms
    extent = response.extent
    partial = {} if extent is None else {"extent": [extent.first, extent.last, extent.complete]}
    return {
        **partial,
        "status": response.status,
        "born": terms.born,
        "lifetime": terms.lifetime,
        "explicit": terms.explicit,
        "no_cache": terms.no_cache,
        "must_revalidate": terms.must_revalidate,
        "while": terms.stale_while_revalidate,
        "if_error": terms.stale_if_error,
        "etag": None if terms.etag is None else _text(terms.etag),
        "modified": None if terms.last_modified is None else _text(terms.last_modified),
        "vary": [_text(name) for name in terms.vary],
        **{name: True for name in _MARKS if getattr(terms, name)},
    }


def _terms(meta: Mapping[str, Any]) -> Terms:
    if_error, etag, modified = meta["if_error"], meta["etag"], meta["modified"]
    return Terms(
        born=UnixTime(_number(meta["born"])),
        lifetime=Seconds(_number(meta["lifetime"])),
        explicit=_a(bool, meta["explicit"]),
        no_cache=_a(bool, meta["no_cache"]),
        must_revalidate=_a(bool, meta["must_revalidate"]),
        stale_while_revalidate=Seconds(_number(meta["while"])),
        stale_if_error=None if if_error is None else Seconds(_number(if_error)),
        etag=None if etag is None else _bytes(etag),
        last_modified=None if modified is None else _bytes(modified),
        vary=tuple(map(_bytes, _a(list, meta["vary"]))),
        **{name: _a(bool, meta.get(name, False)) for name in _MARKS},
    )


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
