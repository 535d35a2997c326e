"""What does a field value say? The grammar of RFC 9110 §5.6 and its dates, read without ever raising."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from email.utils import formatdate
from functools import lru_cache

from proxy.config.units import UnixTime

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110 §5.6.2"""

_MEMBER = re.compile(rb'(?:[^",]|"(?:[^"\\]|\\.)*"|(?P<open>"(?:[^"\\]|\\.)*\\?\Z))+', re.DOTALL)
_ENTITY_TAG = re.compile(rb'[ \t,]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|\Z)')

_MONTHS = {m: i + 1 for i, m in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())}
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = rb"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d|60)"
_DATES = (
    # IMF-fixdate, RFC 850 and asctime (RFC 9110 §5.6.7), in any case (RFC 9111 §4.2).
    re.compile(
        _DAY + rb", (?P<day>\d\d) (?P<month>[A-Z]{3}) (?P<year>\d{4}) " + _CLOCK + rb" GMT",
        re.IGNORECASE,
    ),
    re.compile(
        rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-(?P<month>[A-Z]{3})-(?P<short>\d\d) "
        + _CLOCK
        + rb" GMT",
        re.IGNORECASE,
    ),
    re.compile(_DAY + rb" (?P<month>[A-Z]{3}) (?P<day>[ \d]\d) " + _CLOCK + rb" (?P<year>\d{4})", re.IGNORECASE),
)
#: Bytes of an IMF-fixdate, which no other form of a date has.
_FIXDATE = 29
_YEAR = 31556952
"""The mean length of a year in seconds."""


def members(value: bytes) -> Iterator[bytes]:
    """Split a comma-separated list at the commas outside quoted strings; empty members are left out."""
    if b'"' not in value:
        for part in value.split(b","):
            if stripped := part.strip(b" \t"):
                yield stripped
        return
    for matched in _MEMBER.finditer(value):
        member, opened = matched[0], matched["open"]
        if opened is not None:
            # A quotation mark that nothing closes quotes nothing: it must not hide a no-store behind it.
            first, *others = opened.split(b",")
            yield (member.removesuffix(opened) + first).strip(b" \t")
            yield from filter(None, (part.strip(b" \t") for part in others))
        elif stripped := member.strip(b" \t"):
            yield stripped


def protocol_names(upgrade: bytes) -> frozenset[bytes]:
    """Return the names of the protocols in an Upgrade field, in lower case and without versions (RFC 9110 §7.8)."""
    return frozenset(token.partition(b"/")[0] for token in tokens(upgrade))


def tokens(value: bytes) -> list[bytes]:
    """Return the members of a list of case-insensitive tokens, in lower case."""
    return [member.lower() for member in members(value)]


def unquote(value: bytes) -> bytes:
    """Return what a quoted string stands for; other text is returned as it is."""
    if len(value) < 2 or value[:1] != b'"' or value[-1:] != b'"':
        return value
    return re.sub(rb"\\(.)", rb"\1", value[1:-1], flags=re.DOTALL)


def parse_entity_tags(value: bytes) -> list[tuple[bool, bytes]] | None:
    """Read a list of entity tags as (weak, opaque tag); None when the list is malformed (RFC 9110 §8.8.3)."""
    tags: list[tuple[bool, bytes]] = []
    position = 0
    while position < len(value):
        matched = _ENTITY_TAG.match(value, position)
        if matched is None:
            return None
        tags.append((matched[1] is not None, matched[2]))
        position = matched.end()
    return tags


def parse_date(value: bytes, now: UnixTime) -> UnixTime | None:
    """Read an HTTP date in any of the three forms of RFC 9110 §5.6.7, whatever its case; None for anything else.

    ``now`` decides the century of a two-digit year: one more than fifty years ahead is in the past.
    """
    if len(value) == _FIXDATE:
        return _fixdate(value)
    for form in _DATES[1:]:
        matched = form.fullmatch(value)
        if matched is not None:
            return _moment(matched, now)
    return None


@lru_cache(maxsize=1024)
def _fixdate(value: bytes) -> UnixTime | None:
    """Read the form that all send today: it says its century, and the same dates come again and again."""
    matched = _DATES[0].fullmatch(value)
    return None if matched is None else _moment(matched, UnixTime(0))


def _moment(matched: re.Match[bytes], now: UnixTime) -> UnixTime | None:
    parts = matched.groupdict()
    month = _MONTHS.get(parts["month"].capitalize())
    if month is None:
        return None
    day = int(parts["day"])
    clock = (int(parts["hour"]), int(parts["minute"]), int(parts["second"]))
    if "short" not in parts:
        return _stamp(int(parts["year"]), month, day, clock)
    this_year = 1970 + int(now // _YEAR)
    year = this_year - this_year % 100 + int(parts["short"])
    stamp = _stamp(year, month, day, clock)
    if stamp is not None and stamp > now + 50 * _YEAR:
        return _stamp(year - 100, month, day, clock)
    return stamp


def _stamp(year: int, month: int, day: int, clock: tuple[int, int, int]) -> UnixTime | None:
    if year < 1 or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return UnixTime(calendar.timegm((year, month, day, *clock)))


def format_date(moment: float) -> bytes:
    """Write an IMF-fixdate (RFC 9110 §5.6.7)."""
    return formatdate(int(moment), usegmt=True).encode("ascii")
