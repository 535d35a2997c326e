"""What does a response say about its own reuse, and in which of its fields? (RFC 9111 §5.2.2, RFC 9213)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import http_sf

from proxy.message.fields import Fields
from proxy.message.grammar import TOKEN, members, tokens, unquote
from proxy.policy.directives import Directives, forbidding_words, parse_directives

#: RFC 9111 §5.2.2.4, §5.2.2.7: those that may name fields instead of meaning all of the response.
_NAMING = frozenset((b"no-cache", b"private"))

#: What a stored response is read, framed or selected by. A list that names one of them means the whole response.
_NEEDED = frozenset(
    b"cache-control content-encoding content-length content-range content-type date etag last-modified vary".split()
)

#: Those that permit something: what is not plainly true permits nothing.
_PERMITTING = frozenset((b"public", b"must-understand", b"immutable"))


@dataclass(slots=True)
class Said:
    """What counts of all that a response says. Slotted and not frozen: one for each response (STYLE 8)."""

    directives: Directives
    """By lower-case name; no-cache and private only where they mean all of the response."""
    withheld: frozenset[bytes] = frozenset()
    """The lower-case names of fields that only the client that asked may see."""
    is_targeted: bool = False
    """It stands in a targeted field, and Cache-Control and Expires are for others (RFC 9213 §2.2)."""


def said(fields: Fields, targets: Sequence[bytes]) -> Said:
    """Return what the first of the targeted fields says that can be read, else what Cache-Control says.

    ``targets`` are lower-case names, the most applicable first.
    """
    for name in targets:
        value = fields.index.get(name)
        found = None if value is None else _targeted(value)
        if found is not None:
            return found
    return _cache_control(fields.index.get(b"cache-control"))


def _cache_control(value: bytes | None) -> Said:
    directives = parse_directives(value)
    if value is None or _NAMING.isdisjoint(directives):
        return Said(directives)
    withheld: frozenset[bytes] = frozenset()
    whole = set(_said_loosely(value))
    for member in members(value):
        name, argument = _name(member), member.partition(b"=")[2]
        if name in _NAMING:
            # Without quotation marks nobody can tell `private=true` from the name of a field.
            names = _field_names(unquote(argument)) if argument[:1] == b'"' else frozenset()
            withheld |= names
            if not names:
                whole.add(name)
    return Said({name: word for name, word in directives.items() if name not in _NAMING or name in whole}, withheld)


def _said_loosely(value: bytes) -> list[bytes]:
    """Return the directives that are named beside those that stand as they should, as in ``private; max-age=60``."""
    well_formed = [name for member in members(value) if TOKEN.fullmatch(name := _name(member))]
    words = forbidding_words(value)
    return [word for word in words if words.count(word) > well_formed.count(word)]


def _name(member: bytes) -> bytes:
    return member.partition(b"=")[0].rstrip(b" \t").lower()


def _field_names(value: bytes) -> frozenset[bytes]:
    """Read a list of names of fields; none where it is no such list, or names what we cannot do without."""
    names = frozenset(tokens(value))
    return names if names.isdisjoint(_NEEDED) and all(map(TOKEN.fullmatch, names)) else frozenset()


def _targeted(value: bytes) -> Said | None:
    """Read a targeted field (RFC 9213 §2.1); None where it is to be ignored: empty, or no Dictionary."""
    try:
        dictionary = cast("dict[str, tuple[object, object]]", http_sf.parse(value, tltype="dictionary"))
    except (ValueError, OverflowError):
        return None
    directives: dict[bytes, bytes | None] = {}
    withheld: frozenset[bytes] = frozenset()
    for key, (item, _) in dictionary.items():
        name = key.encode("ascii")
        names: frozenset[bytes] = frozenset()
        if name in _NAMING and isinstance(item, str) and not isinstance(item, http_sf.Token):
            names = _field_names(item.encode("ascii"))
            withheld |= names
        if not names and (item is True or name not in _PERMITTING):
            directives[name] = _argument(item)
    return Said(directives, withheld, is_targeted=True) if dictionary else None


def _argument(item: object) -> bytes | None:
    """Return the argument that an item stands for; empty, which is no number, for one of a type that none has."""
    if item is True:
        return None
    if type(item) is int:
        return b"%d" % item
    return str(item).encode("ascii") if isinstance(item, http_sf.Token) else b""
