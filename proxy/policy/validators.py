"""Which validators are strong, so that two messages that share one are of the same representation? (RFC 9110 §8.8)"""

from __future__ import annotations

from proxy.config.units import UnixTime
from proxy.message.fields import Fields
from proxy.message.grammar import parse_date, parse_entity_tags


def strong_tag(fields: Fields) -> bytes | None:
    """Return the entity tag of a response where it is a strong one (§8.8.1, §8.8.3)."""
    value = fields.get(b"etag")
    return value if value is not None and is_strong(value) else None


def is_strong(value: bytes) -> bool:
    """Tell whether this is one strong entity tag, and nothing else."""
    tags = parse_entity_tags(value)
    return tags is not None and len(tags) == 1 and tags[0] == (False, value)


def strong_date(fields: Fields, now: UnixTime) -> bytes | None:
    """Return Last-Modified where it lies a second or more behind the Date it came with (§8.8.2.2).

    Both are on the clock of the origin.
    """
    value, sent = fields.get(b"last-modified"), fields.get(b"date")
    if value is None or sent is None:
        return None
    modified, date = parse_date(value, now), parse_date(sent, now)
    return value if modified is not None and date is not None and modified + 1 <= date else None


def share_strong(one: Fields, other: Fields, now: UnixTime) -> bool:
    """Tell whether two responses to one resource hold the same representation, byte for byte, by their validators.

    Where either has an entity tag, it decides alone.
    """
    if b"etag" in one or b"etag" in other:
        tag = strong_tag(one)
        return tag is not None and tag == strong_tag(other)
    modified = strong_date(one, now)
    return modified is not None and modified == strong_date(other, now)
