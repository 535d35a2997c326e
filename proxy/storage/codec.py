"""How is a stored response written as bytes, and how is it known, when it is read, that these are the ones?

Nothing that comes back is trusted: the first bytes name the form, a checksum covers the rest, and the key the response
was stored under stands inside, so that what lies under a wrong key is no answer to it. Whatever is wrong makes it a
miss.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, assert_never
from zlib import crc32

from proxy.policy.key import PrimaryKey, VariantKey
from proxy.policy.stored import StoredResponse, Terms

_FORM = b"scp1"
"""Sitecache page, form 1; what changes the form changes the number, and older ones become misses."""
_SUM = struct.Struct(">I")
_SIZES = struct.Struct(">III")


class DamagedRecordError(ValueError):
    """The bytes are not what was written under this key."""


@dataclass(frozen=True, slots=True)
class VaryIndex:
    """What lies under the primary key of a resource whose responses vary."""

    generation: bytes
    """Part of the variants' keys: those of an index that is gone are not found by the next one."""
    specs: tuple[tuple[bytes, ...], ...]
    """The names of the varied fields, the latest first."""


Record = StoredResponse | VaryIndex


def encode(key: PrimaryKey | VariantKey, record: Record) -> bytes:
    """Write a record that is stored under this key."""
    head = body = b""
    match record:
        case StoredResponse():
            meta: dict[str, object] = {"status": record.status, **_terms_out(record.terms)}
            head, body = record.head, record.body
        case VaryIndex(generation, specs):
            names = [[name.decode("latin-1") for name in spec] for spec in specs]
            meta = {"generation": generation.decode("latin-1"), "specs": names}
        case never:
            assert_never(never)
    said = json.dumps(meta, separators=(",", ":")).encode()
    rest = b"".join((_SIZES.pack(len(key), len(said), len(head)), key, said, head, body))
    return b"".join((_FORM, _SUM.pack(crc32(rest)), rest))


def decode(key: PrimaryKey | VariantKey, data: bytes) -> Record:
    """Read what ``encode`` wrote under this key; DamagedRecordError for anything else."""
    start = len(_FORM) + _SUM.size
    rest = data[start:]
    if data[: len(_FORM)] != _FORM or data[len(_FORM) : start] != _SUM.pack(crc32(rest)):
        raise DamagedRecordError("not a record of this form, or damaged")
    key_size, meta_size, head_size = _SIZES.unpack_from(rest)
    meta_at = _SIZES.size + key_size
    head_at = meta_at + meta_size
    body_at = head_at + head_size
    if rest[_SIZES.size : meta_at] != key:
        raise DamagedRecordError("stored under another key")
    meta = json.loads(rest[meta_at:head_at])
    if "specs" in meta:
        specs = tuple(tuple(name.encode("latin-1") for name in spec) for spec in meta["specs"])
        return VaryIndex(meta["generation"].encode("latin-1"), specs)
    return StoredResponse(meta["status"], rest[head_at:body_at], rest[body_at:], _terms_in(meta))


def _terms_out(terms: Terms) -> dict[str, object]:
    return {
        "born": terms.born,
        "lifetime": terms.lifetime,
        "explicit": terms.explicit,
        "no_cache": terms.no_cache,
        "must_revalidate": terms.must_revalidate,
        "while": terms.stale_while_revalidate,
        "if_error": terms.stale_if_error,
        "etag": None if terms.etag is None else terms.etag.decode("latin-1"),
        "modified": None if terms.last_modified is None else terms.last_modified.decode("latin-1"),
        "vary": [name.decode("latin-1") for name in terms.vary],
    }


def _terms_in(meta: dict[str, Any]) -> Terms:
    return Terms(
        born=meta["born"],
        lifetime=meta["lifetime"],
        explicit=meta["explicit"],
        no_cache=meta["no_cache"],
        must_revalidate=meta["must_revalidate"],
        stale_while_revalidate=meta["while"],
        stale_if_error=meta["if_error"],
        etag=None if meta["etag"] is None else meta["etag"].encode("latin-1"),
        last_modified=None if meta["modified"] is None else meta["modified"].encode("latin-1"),
        vary=tuple(name.encode("latin-1") for name in meta["vary"]),
    )
