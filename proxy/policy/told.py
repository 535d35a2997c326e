"""Cache-Control, Expires and Vary as clients are told them, with the operator's lifetime where that counts.

Django's rules for patching them: a lifetime that the application stated is never made longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields, RawField
from proxy.message.grammar import format_date, members, tokens
from proxy.message.heads import Response
from proxy.policy.cookies import SINGLE_COOKIE
from proxy.policy.directives import parse_directives
from proxy.policy.freshness import date_value, lifetime_for_browsers
from proxy.policy.rules import Rules
from proxy.policy.stored import Terms

#: What ``cache_page`` counts for: a part of a page has the lifetime of the page.
PAGES = frozenset({200, 206})

_MAX_AGE = re.compile(rb"max-age[ \t]*(?:=|\Z)", re.IGNORECASE)
_FORBIDDEN = (b"no-store", b"private", b"no-cache")


def site_fields(raw: list[RawField], terms: Terms, rules: Rules, status: int = 200) -> list[RawField]:
    """Return the fields of a response to be stored, with what the operator decided written into them (DESIGN §5).

    Where a single cookie is in the key, Cookie stands in Vary, which has no word for less.
    """
    raw = _with_vary(raw, terms.vary)
    overridden = rules.cache_page is not None and status in PAGES
    if terms.no_cache or terms.unsaid or not rules.downstream_headers or not (overridden or not terms.explicit):
        return raw
    return with_lifetime(raw, terms.lifetime, UnixTime(terms.born + terms.lifetime))


def spent_fields(raw: list[RawField], response: Response, rules: Rules, now: UnixTime) -> list[RawField]:
    """Return the fields of an answer to GET that is not stored, with what the operator decided written into them.

    A lifetime of 0 is said downstream as Django says it, where the application did not forbid caches to store anyhow.
    """
    raw = _with_vary(raw, rules.varied_cookies)
    if not rules.downstream_headers or not _is_spent(response, rules):
        return raw
    if any(name in parse_directives(response.fields.get(b"cache-control")) for name in _FORBIDDEN):
        return raw
    return with_lifetime(raw, Seconds(0), now)


def _is_spent(response: Response, rules: Rules) -> bool:
    """Tell whether the operator's lifetime of a response is 0."""
    if rules.cache_page is not None:
        return not rules.cache_page and response.status in PAGES
    return not rules.site_lifetime and rules.page_types is None and response.status == 200


def with_lifetime(raw: list[RawField], lifetime: Seconds, until: UnixTime) -> list[RawField]:
    """Return the fields with this lifetime, unless they state one that is as short."""
    fields = Fields(raw)
    directives = parse_directives(fields.get(b"cache-control"))
    born = date_value(fields, UnixTime(until - lifetime))
    stated = lifetime_for_browsers(directives, fields, born)
    if stated is not None and stated <= lifetime:
        return raw
    said = [
        member for value in fields.lines(b"cache-control") for member in members(value) if not _MAX_AGE.match(member)
    ]
    kept = fields.without((b"cache-control", b"expires"))
    max_age = b"max-age=%d" % lifetime
    return [*kept, (b"Expires", format_date(until)), (b"Cache-Control", b", ".join([*said, max_age]))]


def without_lifetime(raw: list[RawField], terms: Terms) -> list[RawField]:
    """Return the fields of a stored response that the origin stated: what ``site_fields`` wrote is taken back."""
    ours = not terms.explicit and not terms.no_cache and not terms.unsaid
    max_age, expires = b"max-age=%d" % terms.lifetime, format_date(terms.born + terms.lifetime)
    single = b"cookie" not in terms.vary and any(name.startswith(SINGLE_COOKIE) for name in terms.vary)
    stated: list[RawField] = []
    for name, value in raw:
        lower = name.lower()
        if lower == b"expires" and ours and value == expires:
            continue
        if lower == b"cache-control" and ours:
            value = _without_last(value, max_age)  # noqa: PLW2901
        if lower == b"vary" and single:
            value = b", ".join(member for member in members(value) if member.lower() != b"cookie")  # noqa: PLW2901
        if value or lower not in (b"cache-control", b"vary"):
            stated.append((name, value))
    return stated


def _without_last(value: bytes, member: bytes) -> bytes:
    said, _, last = value.rpartition(b", ")
    return said if last == member else value


def _with_vary(raw: list[RawField], vary: Iterable[bytes]) -> list[RawField]:
    """Return the fields with every name in Vary that the response varies by, as other caches can understand it."""
    if not vary:
        return raw
    values = [value for name, value in raw if name.lower() == b"vary" and value]
    said = set(tokens(b", ".join(values)))
    names = dict.fromkeys(b"cookie" if name.startswith(SINGLE_COOKIE) else name for name in vary)
    more = [name.title() for name in names if name not in said and b":" not in name]
    if not more or b"*" in said:
        return raw
    return [*(field for field in raw if field[0].lower() != b"vary"), (b"Vary", b", ".join([*values, *more]))]
