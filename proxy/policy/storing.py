"""May this response be stored, and under which terms? (RFC 9111 §3)"""

from __future__ import annotations

import re

from proxy.config.model import SetCookie
from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields, RawField
from proxy.message.grammar import TOKEN, format_date, members, tokens
from proxy.message.heads import Request, Response
from proxy.policy.cookies import SINGLE_COOKIE
from proxy.policy.decisions import Detail, Discard, Store, Storing
from proxy.policy.directives import Directives, RequestTerms, delta_seconds, parse_directives
from proxy.policy.freshness import age_value, corrected_initial_age, date_value, explicit_lifetime
from proxy.policy.heuristic import heuristic_lifetime
from proxy.policy.posting import answers_get
from proxy.policy.ranges import stated_extent
from proxy.policy.rules import Rules
from proxy.policy.said import Said, said
from proxy.policy.stored import Terms, shared

#: RFC 9111 §3.5: what lets a shared cache store the answer to a request with Authorization.
_SHARED_BY = (b"public", b"s-maxage", b"must-revalidate")

#: RFC 9110 §15: the final statuses that we know, and whose caching requirements there are we meet (RFC 9111 §5.2.2.3).
_UNDERSTOOD = frozenset(
    (*range(200, 207), *range(300, 306), 307, 308, *range(400, 418), 421, 422, 426, *range(500, 506))
) - {304}

#: Reasons to discard a response that would hold whoever had asked.
_WHOEVER_ASKS = frozenset(
    (
        *(Detail.NO_STORE, Detail.PRIVATE, Detail.VARY_STAR, Detail.NO_FRESHNESS, Detail.NOT_REUSABLE),
        *(Detail.TOO_LARGE, Detail.EVENT_STREAM, Detail.UNDELIMITED),
    )
)

#: §5.2.2.2, §5.2.2.8, §5.2.2.10
_NEVER_STALE = (b"must-revalidate", b"proxy-revalidate", b"s-maxage")
#: RFC 5861
_STALE_ALLOWED = frozenset((b"stale-while-revalidate", b"stale-if-error"))
_MAX_AGE = re.compile(rb"(?:s-maxage|max-age)[ \t]*(?:=|\Z)", re.IGNORECASE)

#: What ``cache_page`` counts for: a part of a page has the lifetime of the page.
_PAGES = frozenset({200, 206})

#: How long a stale response with a validator is kept for the chance that it still holds.
_KEEP_FOR_VALIDATION = 86400.0


def decide_storing(
    request: Request,
    asked: RequestTerms,
    response: Response,
    times: tuple[UnixTime, UnixTime],
    rules: Rules,
) -> Storing:
    """Say whether to store a response; ``times`` are request_time and response_time (§4.2.3)."""
    if request.method != b"GET" and not (rules.store_post and answers_get(request, response)):
        return Discard(Detail.METHOD)
    if asked.no_store:
        return Discard(Detail.REQUEST_NO_STORE)
    words = said(response.fields, rules.targeted)
    vary = _varied_by(request, response, rules)
    if (forbidden := _forbidden(request, response, words, vary, rules)) is not None:
        return Discard(forbidden)
    terms = _terms(response, words, vary or (), times, rules)
    if terms is None or (not terms.explicit and (response.status == 206 or request.method != b"GET")):
        return Discard(Detail.NO_FRESHNESS)
    if not terms.explicit and (personal := _personal(request, response, terms, words, rules)) is not None:
        return Discard(personal)
    if not _is_of_use(terms, times[1]):
        return Discard(Detail.NOT_REUSABLE)
    length = response.fields.get(b"content-length")
    if length is not None and int(length) > rules.stored_body:
        return Discard(Detail.TOO_LARGE)
    return Store(terms, retention(terms, rules), words.withheld)


def _is_of_use(terms: Terms, now: UnixTime) -> bool:
    """Tell whether it could answer anything: while it is fresh, after a validation, or while it is refreshed."""
    if terms.has_validator:
        return True
    return not terms.no_cache and (terms.lifetime > terms.age(now) or terms.stale_while_revalidate > 0)


def _varied_by(request: Request, response: Response, rules: Rules) -> tuple[bytes, ...] | None:
    """Return what a response varies by in its own words and in the operator's; None for everything."""
    vary = vary_names(response.fields)
    if vary is None:
        return None
    distinctions = rules.distinctions
    more = (*rules.varied_cookies, *distinctions.varied(request, response.fields))
    more += distinctions.guards(vary, request, response.fields)
    return tuple(sorted({*vary, *more})) if more else vary


def _forbidden(
    request: Request, response: Response, words: Said, vary: tuple[bytes, ...] | None, rules: Rules
) -> Detail | None:
    """What forbids storing whatever the freshness: one rule a rung."""
    directives = words.directives
    if (unusable := _unusable(request, response, directives)) is not None:
        return unusable
    if response.is_event_stream:
        # It has no end, and each client's begins when the client comes.
        return Detail.EVENT_STREAM
    if b"no-store" in directives and b"must-understand" not in directives:
        return Detail.NO_STORE
    if b"private" in directives:
        return Detail.PRIVATE
    if vary is None:
        return Detail.VARY_STAR
    if rules.set_cookie is SetCookie.NEVER and _sets_cookie(response, words):
        return Detail.SET_COOKIE
    if b"authorization" in request.fields and not any(name in directives for name in _SHARED_BY):
        return Detail.AUTHORIZATION
    return None


def _unusable(request: Request, response: Response, directives: Directives) -> Detail | None:
    """Why no other request could be answered with a response of this status.

    A Content-Range means something in a 206 and a 416 only (RFC 9110 §14.4).
    """
    status = response.status
    if status < 200 or status == 304:
        return Detail.STATUS
    if b"must-understand" in directives and status not in _UNDERSTOOD:
        return Detail.STATUS
    if status == 206 and stated_extent(response) is None:
        # §3.3: what is not one part that agrees with itself, we do not understand.
        return Detail.PARTIAL_CONTENT
    if status == 416 and b"range" in request.fields:
        # It is about the range, which is in no key.
        return Detail.PARTIAL_CONTENT
    return None


def _sets_cookie(response: Response, words: Said) -> bool:
    return b"set-cookie" in response.fields and b"set-cookie" not in words.withheld


def _personal(request: Request, response: Response, terms: Terms, words: Said, rules: Rules) -> Detail | None:
    """What makes a response without explicit freshness personal, for all we know (DESIGN §5)."""
    if _sets_cookie(response, words):
        return Detail.SET_COOKIE
    if b"authorization" in request.fields and b"public" not in words.directives:
        # must-revalidate satisfies §3.5, but says nothing about whom a page is for.
        return Detail.AUTHORIZATION
    return Detail.COOKIE if personal_cookies(request, terms, rules) else None


def personal_cookies(request: Request, terms: Terms, rules: Rules) -> bool:
    """Tell whether the request has cookies that the response does not name in Vary."""
    cookie = request.fields.index.get(b"cookie")
    if cookie is None or b"cookie" in terms.vary:
        return False
    left = rules.distinctions.cookies.remaining(cookie)
    if not left or not rules.varied_cookies:
        return bool(left)
    # A cookie that the response varies by is in its key.
    named = [name.removeprefix(SINGLE_COOKIE) for name in terms.vary if name.startswith(SINGLE_COOKIE)]
    return any(pair.partition(b"=")[0].strip() not in named for pair in left.split(b";"))


def _terms(
    response: Response,
    words: Said,
    vary: tuple[bytes, ...],
    times: tuple[UnixTime, UnixTime],
    rules: Rules,
) -> Terms | None:
    fields, directives = response.fields, words.directives
    request_time, response_time = times
    date = date_value(fields, response_time)
    lifetime = explicit_lifetime(directives, fields, date, is_targeted=words.is_targeted)
    explicit = lifetime is not None
    no_cache = b"no-cache" in directives
    given = _given_lifetime(response.status, lifetime, rules)
    unsaid = words.is_targeted and (rules.cache_page is None or response.status not in _PAGES)
    if given is None and not explicit:
        lifetime = heuristic_lifetime(response, directives, date, rules.heuristic)
        unsaid = True
        if lifetime is None and no_cache and response.status == 200:
            lifetime = Seconds(0)
    elif given is not None:
        # "Stale at once" is no word of sharing: the lifetime is the operator's, and decision 6 holds.
        is_ours = given > 0 and not lifetime
        unsaid = unsaid or (is_ours and explicit and not rules.downstream_headers)
        explicit = explicit and not is_ours
        lifetime = given
        date = response_time
    if lifetime is None or not (lifetime or explicit or no_cache):
        return None
    initial_age = corrected_initial_age(date, age_value(fields), request_time, response_time)
    return Terms(
        born=UnixTime(response_time - initial_age),
        lifetime=shared(lifetime),
        explicit=explicit,
        no_cache=no_cache,
        must_revalidate=_must_revalidate(directives, rules, overridden=bool(given)),
        stale_while_revalidate=_while_revalidate(directives, rules),
        stale_if_error=delta_seconds(directives.get(b"stale-if-error")),
        etag=fields.get(b"etag"),
        last_modified=fields.get(b"last-modified"),
        vary=shared(vary),
        unsaid=unsaid and not explicit,
        immutable=b"immutable" in directives,
    )


def _must_revalidate(directives: Directives, rules: Rules, *, overridden: bool) -> bool:
    """Tell whether a response must never be served stale (§4.2.4).

    What s-maxage means (§5.2.2.10) goes with it where the operator's lifetime stands in its place.
    """
    believed = rules.stale_after_s_maxage and not _STALE_ALLOWED.isdisjoint(directives)
    return any(name in directives for name in (_NEVER_STALE[:2] if overridden or believed else _NEVER_STALE))


def _given_lifetime(status: int, explicit: Seconds | None, rules: Rules) -> Seconds | None:
    """Return the operator's lifetime, where it counts: above the origin's, or in the place of one."""
    if status in _PAGES and rules.cache_page is not None:
        return rules.cache_page
    if explicit is not None:
        return None
    lifetimes = rules.status_lifetimes
    lifetime = lifetimes.get(status, lifetimes.get(status // 100))
    return rules.site_lifetime or None if lifetime is None and status == 200 else lifetime


def _while_revalidate(directives: Directives, rules: Rules) -> Seconds:
    """RFC 5861 §3: the origin's word, or the operator's where it has none."""
    if b"stale-while-revalidate" not in directives:
        return rules.stale_while_revalidate
    return delta_seconds(directives[b"stale-while-revalidate"]) or Seconds(0)


def outdates(response: Response, why: Detail) -> bool:
    """Tell whether a response that is discarded shows that the one stored for the same request no longer holds."""
    return why in _WHOEVER_ASKS and response.status != 304 and response.status < 500


def retention(terms: Terms, rules: Rules) -> Seconds:
    """Return how long a response is of use to us, counted from its birth."""
    if_error = rules.stale_if_error if terms.stale_if_error is None else terms.stale_if_error
    stale = 0.0 if terms.must_revalidate else max(terms.stale_while_revalidate, if_error)
    return Seconds(terms.lifetime + max(stale, _KEEP_FOR_VALIDATION if terms.has_validator else 0.0))


def vary_names(fields: Fields) -> tuple[bytes, ...] | None:
    """Return the names in Vary, in lower case and sorted; None when ``*`` is among them (§4.1)."""
    value = fields.index.get(b"vary")
    if value is None:
        return ()
    names = set(tokens(value))
    # What is no name of a field, as "*" in quotation marks, is as little known to match.
    return None if b"*" in names or not all(map(TOKEN.fullmatch, names)) else tuple(sorted(names))


def site_fields(raw: list[RawField], terms: Terms, rules: Rules, status: int = 200) -> list[RawField]:
    """Return the fields of a response to be stored, with what the operator decided written into them (DESIGN §5).

    Where the lifetime is the operator's, it stands in Expires and max-age, as Django's middleware writes it; and where
    a single cookie is in the key, Cookie stands in Vary, which has no word for less.
    """
    raw = _with_vary(raw, terms.vary)
    overridden = rules.cache_page is not None and status in _PAGES
    if terms.no_cache or terms.unsaid or not rules.downstream_headers or not (overridden or not terms.explicit):
        return raw
    replaced = overridden or terms.explicit
    return with_lifetime(raw, terms.lifetime, UnixTime(terms.born + terms.lifetime), replaced=replaced)


def spent_fields(raw: list[RawField], response: Response, rules: Rules, now: UnixTime) -> list[RawField]:
    """Return the fields of a response that is not stored, with what the operator decided written into them.

    ``cache_page: 0`` is said downstream as Django says it, where the origin did not forbid caches to store anyhow.
    """
    raw = _with_vary(raw, rules.varied_cookies)
    is_meant = rules.cache_page is not None and not rules.cache_page and response.status in _PAGES
    if not is_meant or not rules.downstream_headers:
        return raw
    directives = parse_directives(response.fields.get(b"cache-control"))
    if any(name in directives for name in (b"no-store", b"private", b"no-cache")):
        return raw
    return with_lifetime(raw, Seconds(0), now, replaced=True)


def without(raw: list[RawField], withheld: frozenset[bytes]) -> list[RawField]:
    """Return the fields of a response that may be stored (§3.1); ``withheld`` are lower-case names."""
    return [field for field in raw if field[0].lower() not in withheld] if withheld else raw


def with_lifetime(raw: list[RawField], lifetime: Seconds, until: UnixTime, *, replaced: bool) -> list[RawField]:
    """Return the fields with this lifetime; ``replaced`` says that they may state another."""
    said = [value for name, value in raw if name.lower() == b"cache-control" and value]
    if replaced:
        said = [member for value in said for member in members(value) if not _MAX_AGE.match(member)]
    kept = [field for field in raw if field[0].lower() not in (b"cache-control", b"expires")]
    max_age = b"max-age=%d" % lifetime
    return [*kept, (b"Expires", format_date(until)), (b"Cache-Control", b", ".join([*said, max_age]))]


def without_lifetime(raw: list[RawField], terms: Terms) -> list[RawField]:
    """Return the fields of a stored response that the origin stated: what ``site_fields`` wrote is taken back."""
    stated: list[RawField] = []
    single = b"cookie" not in terms.vary and any(name.startswith(SINGLE_COOKIE) for name in terms.vary)
    ours = not terms.explicit and not terms.no_cache and not terms.unsaid
    for name, value in raw:
        lower = name.lower()
        if lower == b"expires" and ours:
            continue
        if lower == b"cache-control" and ours:
            said, _, last = value.rpartition(b", ")
            value = said if last.startswith(b"max-age=") else value  # noqa: PLW2901
        if lower == b"vary" and single:
            value = b", ".join(member for member in members(value) if member.lower() != b"cookie")  # noqa: PLW2901
        if value or lower not in (b"cache-control", b"vary"):
            stated.append((name, value))
    return stated


def _with_vary(raw: list[RawField], vary: tuple[bytes, ...]) -> list[RawField]:
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
