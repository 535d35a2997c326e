"""Which part of a stored response does the client want? (RFC 9110 §13, §14; RFC 9111 §4.3.2)"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.config.units import UnixTime
from proxy.message.fields import Fields
from proxy.message.grammar import parse_date, parse_entity_tags
from proxy.message.heads import Request
from proxy.policy.stored import StoredResponse

_RANGE = re.compile(rb"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Whole:
    """All of it."""


@dataclass(frozen=True, slots=True)
class NotModified:
    """Nothing: the client has it."""


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from ``first`` to ``last``, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """A range that lies outside."""


Wanted = Whole | NotModified | Part | Unsatisfiable

WHOLE = Whole()
_NOT_MODIFIED = NotModified()


def has_preconditions(request: Request) -> bool:
    """Tell whether the request may want less than the whole response."""
    index = request.fields.index
    return b"if-none-match" in index or b"if-modified-since" in index or b"range" in index


def wanted(request: Request, stored: StoredResponse, size: int | None, now: UnixTime) -> Wanted:
    """Evaluate the request's preconditions, then its range, in the order of RFC 9110 §13.2.2.

    ``size`` is that of the stored body; None when it is still on its way, and then a range is the whole.
    """
    if stored.status != 200:
        return WHOLE
    fields = request.fields
    if_none_match = fields.get(b"if-none-match")
    if if_none_match is not None:
        if _matches(if_none_match, stored.terms.etag):
            return _NOT_MODIFIED
    elif _unmodified_since(fields, stored, now):
        return _NOT_MODIFIED
    value = fields.get(b"range")
    if value is None or request.method != b"GET" or size is None or not _if_range_holds(fields, stored, now):
        return WHOLE
    return _range(value, size)


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
    # §8.8.2.2: a Last-Modified is strong once it lies a second or more behind the Date it came with.
    return (
        value == stored.terms.last_modified
        and (modified := parse_date(value, now)) is not None
        and (date := _date(stored, now)) is not None
        and modified + 1 <= date
    )


def _date(stored: StoredResponse, now: UnixTime) -> UnixTime | None:
    """Return when the origin says it sent the response: on its own clock, unlike the time of birth."""
    value = stored.fields().get(b"date")
    return None if value is None else parse_date(value, now)


def _range(value: bytes, size: int) -> Wanted:
    """Read a Range of one part; one of several, or one we cannot read, is the whole (§14.2)."""
    matched = _RANGE.fullmatch(value)
    if matched is None:
        return WHOLE
    first, last = matched.groups()
    if not first:
        if not last:
            return WHOLE
        suffix = int(last)
        if not suffix:
            return Unsatisfiable()
        # §14.1.2: of nothing, the last bytes can be had, but no 206 can name them.
        return Part(max(0, size - suffix), size - 1) if size else WHOLE
    start = int(first)
    if last and int(last) < start:
        return WHOLE
    if start >= size:
        return Unsatisfiable()
    return Part(start, min(int(last), size - 1) if last else size - 1)
