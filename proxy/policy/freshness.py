"""How long is a response fresh, and how old is it? (RFC 9111 §4.2)"""

from __future__ import annotations

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields
from proxy.message.grammar import parse_date
from proxy.policy.directives import Directives, delta_seconds

_STALE = Seconds(0)


def explicit_lifetime(
    directives: Directives, fields: Fields, date_value: UnixTime, *, is_targeted: bool = False
) -> Seconds | None:
    """Return the lifetime the origin gave (§4.2.1), or None when it gave none.

    Expires is for others where the directives are those of a targeted field (RFC 9213 §2.2).
    Freshness information that cannot be read makes the response stale, as §4.2.1 encourages.
    """
    for name in (b"s-maxage", b"max-age"):
        if name in directives:
            return delta_seconds(directives[name]) or _STALE
    return None if is_targeted else _until_expires(fields, date_value)


def lifetime_for_browsers(directives: Directives, fields: Fields, date_value: UnixTime) -> Seconds | None:
    """Return the lifetime that the origin gave to private caches, for which s-maxage is not (§5.2.2.10)."""
    if b"max-age" in directives:
        return delta_seconds(directives[b"max-age"]) or _STALE
    return _until_expires(fields, date_value)


def _until_expires(fields: Fields, date_value: UnixTime) -> Seconds | None:
    lines = fields.lines(b"expires")
    if not lines:
        return None
    if len(lines) > 1:
        return _STALE
    # §5.3: a date we cannot read, "0" among them, is a time in the past.
    expires = parse_date(lines[0], date_value)
    return _STALE if expires is None else Seconds(max(0.0, expires - date_value))


def age_value(fields: Fields) -> Seconds:
    """Read the Age field (§5.1): the first member counts, and what is no number counts as nothing."""
    value = fields.get(b"age")
    if value is None:
        return Seconds(0)
    first = value.split(b",", 1)[0].strip(b" \t")
    return delta_seconds(first) or Seconds(0)


def corrected_initial_age(
    date_value: UnixTime, age_value: Seconds, request_time: UnixTime, response_time: UnixTime
) -> Seconds:
    """Return how old the response was when it reached us (§4.2.3)."""
    apparent_age = max(0.0, response_time - date_value)
    response_delay = response_time - request_time
    corrected_age_value = age_value + response_delay
    return Seconds(max(apparent_age, corrected_age_value))


def date_value(fields: Fields, response_time: UnixTime) -> UnixTime:
    """Return the Date field's time, or that of reception where there is none to read (RFC 9110 §6.6.1)."""
    value = fields.get(b"date")
    date = None if value is None else parse_date(value, response_time)
    return response_time if date is None else date
