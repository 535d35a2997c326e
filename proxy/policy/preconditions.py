"""Which part of a stored response does the client want? (RFC 9110 §13, §14; RFC 9111 §4.3.2)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from proxy.config.units import UnixTime
from proxy.message.fields import Fields
from proxy.message.grammar import parse_date, parse_entity_tags
from proxy.message.heads import Request
from proxy.policy.multipart import overhead
from proxy.policy.ranges import Part, byte_ranges, one_range
from proxy.policy.stored import StoredResponse
from proxy.policy.validators import strong_date


@dataclass(frozen=True, slots=True)
class Whole:
    """All of it."""


@dataclass(frozen=True, slots=True)
class NotModified:
    """Nothing: the client has it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Several parts, which neither overlap nor touch, in the order they were asked for."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """Ranges that all lie outside."""


Wanted = Whole | NotModified | Part | Parts | Unsatisfiable

WHOLE = Whole()
NOT_MODIFIED = NotModified()
_UNSATISFIABLE = Unsatisfiable()


def has_preconditions(request: Request) -> bool:
    """Tell whether the request may want less than the whole response."""
    index = request.fields.index
    return b"if-none-match" in index or b"if-modified-since" in index or b"range" in index


def at_a_glance(request: Request, stored: StoredResponse) -> NotModified | Part | None:
    """Return what ``wanted`` does for what nearly all ask who ask for less; None: ask it.

    They name the tag of this very response and no other (RFC 9110 §13.1.2), or one range and nothing else.
    """
    if stored.status != 200 or stored.extent is not None:
        return None
    index = request.fields.index
    if_none_match = index.get(b"if-none-match")
    if if_none_match is not None:
        return NOT_MODIFIED if if_none_match == stored.terms.etag else None
    value = index.get(b"range")
    if value is None or request.method != b"GET" or b"if-range" in index or b"if-modified-since" in index:
        return None
    return one_range(value, len(stored.body))


def wanted(request: Request, stored: StoredResponse, size: int | None, now: UnixTime) -> Wanted:
    """Evaluate the request's preconditions, then its range, in the order of RFC 9110 §13.2.2.

    ``size`` is that of the representation; None when it is still on its way, and then a range is the whole. Whether a
    stored part has what is wanted, ``is_covered`` says.
    """
    if stored.status != 200 and stored.extent is None:
        return WHOLE
    fields = request.fields
    if_none_match = fields.get(b"if-none-match")
    if if_none_match is not None:
        if _matches(if_none_match, stored.terms.etag):
            return NOT_MODIFIED
    elif _unmodified_since(fields, stored, now):
        return NOT_MODIFIED
    return WHOLE if size is None else _ranges(request, stored, size, now)


def is_covered(request: Request, stored: StoredResponse, now: UnixTime) -> bool:
    """Tell whether a stored part has all that the request can want of the representation (RFC 9111 §3.3)."""
    extent = stored.extent
    if extent is None:
        return True
    match _ranges(request, stored, extent.complete, now):
        case Part() as part:
            return extent.holds(part)
        case Parts(parts):
            return all(extent.holds(part) for part in parts)
        case Whole() | Unsatisfiable():
            return False
        case never:
            assert_never(never)


def _matches(if_none_match: bytes, etag: bytes | None) -> bool:
    """Compare weakly (RFC 9110 §13.1.2)."""
    if if_none_match.strip(b" \t") == b"*":
        return True
    if etag is None:
        return False
    stored = parse_entity_tags(etag)
    asked = parse_entity_tags(if_none_match)
    if asked is None or stored is None or len(stored) != 1:
        return etag == if_none_match
    return any(opaque == stored[0][1] for _, opaque in asked)


def _unmodified_since(fields: Fields, stored: StoredResponse, now: UnixTime) -> bool:
    """RFC 9110 §13.1.3; where there is no Last-Modified, Date or the time of birth stands for it (RFC 9111 §4.3.2)."""
    value = fields.get(b"if-modified-since")
    since = None if value is None else parse_date(value, now)
    if since is None:
        return False
    if stored.terms.last_modified is None:
        date = _date(stored, now)
        return (stored.terms.born if date is None else date) <= since
    modified = parse_date(stored.terms.last_modified, now)
    return modified is not None and modified <= since


def _if_range_holds(fields: Fields, stored: StoredResponse, now: UnixTime) -> bool:
    """RFC 9110 §13.1.5: by strong comparison, or with the exact date."""
    value = fields.get(b"if-range")
    if value is None:
        return True
    tags = parse_entity_tags(value)
    if tags is not None and len(tags) == 1:
        return not tags[0][0] and tags[0][1] == stored.terms.etag
    return value == strong_date(stored.fields(), now)


def _date(stored: StoredResponse, now: UnixTime) -> UnixTime | None:
    """Return when the origin says it sent the response: on its own clock, unlike the time of birth."""
    value = stored.fields().get(b"date")
    return None if value is None else parse_date(value, now)


def _ranges(request: Request, stored: StoredResponse, size: int, now: UnixTime) -> Whole | Part | Parts | Unsatisfiable:
    fields = request.fields
    value = fields.get(b"range")
    if value is None or request.method != b"GET" or not _if_range_holds(fields, stored, now):
        return WHOLE
    part = one_range(value, size)
    if part is not None:
        return part
    kind = stored.fields().get(b"content-type") if b"," in value else None
    parts = byte_ranges(value, size, overhead(size, kind))
    if parts is None:
        return WHOLE
    if not parts:
        return _UNSATISFIABLE
    return parts[0] if len(parts) == 1 else Parts(parts)
