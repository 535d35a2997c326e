"""Which tags did the origin give a response, by which an operator can purge it together with others?"""

from __future__ import annotations

import re

from proxy.message.fields import Fields
from proxy.policy.groups import group_names

HIDDEN = frozenset({b"surrogate-key", b"cache-tag", b"xkey", b"x-cache-tags"})
"""Fields that are for caches in front of the origin alone. Cache-Groups is for every cache (RFC 9875), and goes on."""
_SEPARATED = re.compile(rb"[ \t,]+")
_BLANKS = re.compile(rb"[ \t]+")

MOST_TAGS = 1000
LONGEST_TAG = 1024
MOST_BYTES = 16 * 1024
"""Of all tags of a response."""

EVERY_TAG = b""
"""The one tag of a response that has more than fit: whatever tag is purged, it could be one of those."""


def tags_of(fields: Fields) -> tuple[bytes, ...]:
    """Return the tags that a response names, each once."""
    index = fields.index
    if HIDDEN.isdisjoint(index) and b"cache-groups" not in index:
        return ()
    # Fastly separates by blanks alone; the others by commas, or by both.
    found = [tag for line in fields.lines(b"surrogate-key") for tag in _BLANKS.split(line)]
    for name in (b"cache-tag", b"xkey", b"x-cache-tags"):
        found += _SEPARATED.split(index.get(name, b""))
    found += (group.encode("ascii") for group in group_names(fields))
    tags = tuple(dict.fromkeys(filter(None, found)))
    is_bounded = len(tags) <= MOST_TAGS and sum(map(len, tags)) <= MOST_BYTES
    return tags if is_bounded and all(len(tag) <= LONGEST_TAG for tag in tags) else (EVERY_TAG,)


def said_in(value: bytes) -> tuple[bytes, ...]:
    """Return the tags that a request names in a field, as ``xkey`` and ``Cache-Tag`` separate them."""
    return tuple(dict.fromkeys(filter(None, _SEPARATED.split(value))))


def said_by_blanks(value: bytes) -> tuple[bytes, ...]:
    """Return the same of ``Surrogate-Key``."""
    return tuple(dict.fromkeys(filter(None, _BLANKS.split(value))))
