"""In which of a bounded number of places does a variant lie?

However many proxies store variants of one URL at the same time, there are never more than there are slots: each variant
has a slot by its digest, or the next free one, and when all are taken it takes the place of what lies in its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from proxy.config.units import UnixTime
from proxy.errors import StorageError
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.policy.stored import StoredResponse
from proxy.policy.variants import MOST_OFFERED, offered, offered_tag
from proxy.storage.codec import Tagged, Variant, VaryIndex, read_tags, write_tags

_MOST_SPECS = 4
"""Different Vary fields remembered for one URL; an origin that has more is not consistent."""
#: Digits of a digest that an index keeps; the record itself holds all.
_SHORT = 16


def digest_of(key: VariantKey) -> str:
    """Return what stands for a variant; nobody can find two with the same."""
    return blake2b(key, digest_size=32).hexdigest()


def slot_of(index: VaryIndex, digest: str) -> int | None:
    """Return the slot that an index names for a variant."""
    return index.slots.get(digest[:_SHORT])


def slot_key(primary: PrimaryKey, digest: str, index: VaryIndex | None, most: int) -> VariantKey:
    """Return the key under which a variant lies, or would be looked for first."""
    named = None if index is None else slot_of(index, digest)
    return VariantKey(b"slot %d of %b" % (_own(digest, most) if named is None else named, primary))


def resource_of(key: PrimaryKey | VariantKey) -> PrimaryKey:
    """Return the key of the resource that what lies under this key belongs to."""
    return PrimaryKey(key.partition(b" of ")[2] if key.startswith(b"slot ") else key)


def with_variant(index: VaryIndex, stored: StoredResponse, until: UnixTime, digest: str, most: int) -> VaryIndex:
    """Return the index of a resource that has this variant, too, which is kept until then."""
    spec = stored.terms.vary
    specs = (spec, *(other for other in index.specs if other != spec))[:_MOST_SPECS]
    slots = {short: slot for short, slot in index.slots.items() if slot < most}
    short = digest[:_SHORT]
    if short not in slots:
        own = _own(digest, most)
        taken = set(slots.values())
        free = next((slot for slot in ((own + step) % most for step in range(most)) if slot not in taken), own)
        slots = {other: slot for other, slot in slots.items() if slot != free} | {short: free}
    tagged = [one for one in read_tags(index.tags) if one.variant in slots and one.variant != short]
    if (tag := offered_tag(stored)) is not None:
        tagged = [Tagged(tag, short, until), *(one for one in tagged if one.tag != tag)]
    return VaryIndex(index.generation, specs, slots, write_tags(tagged[:MOST_OFFERED]))


def tags_of(index: VaryIndex, now: UnixTime) -> tuple[bytes, ...]:
    """Return the tags by which the origin may name a variant that should still be there."""
    return offered(one.tag for one in read_tags(index.tags) if one.until > now)


def place_of(primary: PrimaryKey, tag: bytes, index: VaryIndex, most: int) -> VariantKey | None:
    """Return the key under which the variant with this tag would lie."""
    variant = next((one.variant for one in read_tags(index.tags) if one.tag == tag), None)
    return None if variant is None else slot_key(primary, variant, index, most)


def tagged(index: object, record: object, tag: bytes) -> StoredResponse | None:
    """Return the variant that lies in a slot, where it is of this index and still has that tag."""
    if not isinstance(index, VaryIndex) or not isinstance(record, Variant) or record.generation != index.generation:
        return None
    return record.response if offered_tag(record.response) == tag else None


def keys_of(primary: PrimaryKey, index: VaryIndex) -> list[VariantKey]:
    """Return the keys under which the variants that an index names lie, the latest first."""
    return [VariantKey(b"slot %d of %b" % (slot, primary)) for slot in reversed(list(index.slots.values()))]


def variants_of(index: VaryIndex, found: Iterable[object]) -> list[StoredResponse]:
    """Return what lies in the slots and is of this index."""
    return [one.response for one in found if isinstance(one, Variant) and one.generation == index.generation]


def selected(index: VaryIndex, found: Iterable[tuple[object, str]]) -> StoredResponse | None:
    """Return the first that is the variant with that digest, a complete one before a part.

    StorageError when there is none, and one cannot be known.
    """
    error: StorageError | None = None
    part: StoredResponse | None = None
    for record, digest in found:
        if isinstance(record, Variant) and (record.generation, record.digest) == (index.generation, digest):
            if record.response.extent is None:
                return record.response
            part = part or record.response
        if isinstance(record, StorageError):
            error = record
    if part is None and error is not None:
        raise error
    return part


def _own(digest: str, most: int) -> int:
    return int(digest[:_SHORT], 16) % most
