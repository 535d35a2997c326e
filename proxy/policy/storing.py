"""May this response be stored, and under which terms? (RFC 9111 §3)"""

from __future__ import annotations

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields, RawField
from proxy.message.grammar import format_date, tokens
from proxy.message.heads import Request, Response
from proxy.policy.decisions import Detail, Discard, Store, Storing
from proxy.policy.directives import Directives, RequestTerms, delta_seconds, parse_directives
from proxy.policy.freshness import age_value, corrected_initial_age, date_value, explicit_lifetime
from proxy.policy.rules import Rules
from proxy.policy.stored import Terms

#: RFC 9111 §3.5: what lets a shared cache store the answer to a request with Authorization.
_SHARED_BY = (b"public", b"s-maxage", b"must-revalidate")

#: Reasons to discard a response that would hold whoever had asked.
_WHOEVER_ASKS = frozenset(
    (
        *(Detail.NO_STORE, Detail.PRIVATE, Detail.VARY_STAR, Detail.NO_FRESHNESS, Detail.NOT_REUSABLE),
        *(Detail.TOO_LARGE, Detail.EVENT_STREAM, Detail.UNDELIMITED),
    )
)

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
    if request.method != b"GET":
        return Discard(Detail.METHOD)
    if asked.no_store:
        return Discard(Detail.REQUEST_NO_STORE)
    directives = parse_directives(response.fields.get(b"cache-control"))
    vary = vary_names(response.fields)
    if (forbidden := _forbidden(request, response, directives, vary)) is not None:
        return Discard(forbidden)
    terms = _terms(response, directives, vary or (), times, rules)
    if terms is None:
        return Discard(Detail.NO_FRESHNESS)
    if not terms.explicit and (personal := _personal(request, terms, directives, rules)) is not None:
        return Discard(personal)
    reusable = terms.lifetime > terms.age(times[1]) and not terms.no_cache
    refreshable = terms.stale_while_revalidate > 0 and not terms.no_cache
    if not reusable and not terms.has_validator and not refreshable:
        return Discard(Detail.NOT_REUSABLE)
    length = response.fields.get(b"content-length")
    if length is not None and int(length) > rules.stored_body:
        return Discard(Detail.TOO_LARGE)
    return Store(terms, retention(terms, rules))


def _forbidden(
    request: Request, response: Response, directives: Directives, vary: tuple[bytes, ...] | None
) -> Detail | None:
    """What forbids storing whatever the freshness: one rule a rung."""
    status = response.status
    if status < 200 or status == 304:
        return Detail.STATUS
    if status == 206 or b"content-range" in response.fields:
        return Detail.PARTIAL_CONTENT
    if response.is_event_stream:
        # It has no end, and each client's begins when the client comes.
        return Detail.EVENT_STREAM
    if b"no-store" in directives:
        return Detail.NO_STORE
    if b"private" in directives:
        return Detail.PRIVATE
    if vary is None:
        return Detail.VARY_STAR
    if b"set-cookie" in response.fields:
        return Detail.SET_COOKIE
    if b"authorization" in request.fields and not any(name in directives for name in _SHARED_BY):
        return Detail.AUTHORIZATION
    return None


def _personal(request: Request, terms: Terms, directives: Directives, rules: Rules) -> Detail | None:
    """What makes a response without explicit freshness personal, for all we know (DESIGN §5)."""
    if b"authorization" in request.fields and b"public" not in directives:
        # must-revalidate satisfies §3.5, but says nothing about whom a page is for.
        return Detail.AUTHORIZATION
    return Detail.COOKIE if personal_cookies(request, terms, rules) else None


def personal_cookies(request: Request, terms: Terms, rules: Rules) -> bool:
    """Tell whether the request has cookies that the response does not name in Vary."""
    cookie = request.fields.index.get(b"cookie")
    if cookie is None or b"cookie" in terms.vary:
        return False
    return bool(rules.ignored_cookies.remaining(cookie))


def _terms(
    response: Response,
    directives: Directives,
    vary: tuple[bytes, ...],
    times: tuple[UnixTime, UnixTime],
    rules: Rules,
) -> Terms | None:
    fields = response.fields
    request_time, response_time = times
    date = date_value(fields, response_time)
    lifetime = explicit_lifetime(directives, fields, date)
    explicit = lifetime is not None
    no_cache = b"no-cache" in directives
    if lifetime is None:
        if response.status != 200 or not (rules.site_lifetime or no_cache):
            return None
        lifetime = rules.site_lifetime
        date = response_time
    initial_age = corrected_initial_age(date, age_value(fields), request_time, response_time)
    return Terms(
        born=UnixTime(response_time - initial_age),
        lifetime=lifetime,
        explicit=explicit,
        no_cache=no_cache,
        must_revalidate=any(name in directives for name in (b"must-revalidate", b"proxy-revalidate", b"s-maxage")),
        stale_while_revalidate=delta_seconds(directives.get(b"stale-while-revalidate")) or Seconds(0),
        stale_if_error=delta_seconds(directives.get(b"stale-if-error")),
        etag=fields.get(b"etag"),
        last_modified=fields.get(b"last-modified"),
        vary=vary,
    )


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
    return None if b"*" in names else tuple(sorted(names))


def site_fields(raw: list[RawField], terms: Terms, now: UnixTime) -> list[RawField]:
    """Return the fields with the site's lifetime written into them, as Django's middleware does (DESIGN §5).

    Expires is added; max-age is added to Cache-Control.
    """
    if terms.explicit or terms.no_cache:
        return raw
    max_age = b"max-age=%d" % terms.lifetime
    said = [value for name, value in raw if name.lower() == b"cache-control" and value]
    kept = [field for field in raw if field[0].lower() not in (b"cache-control", b"expires")]
    expires = format_date(now + terms.lifetime)
    return [*kept, (b"Expires", expires), (b"Cache-Control", b", ".join([*said, max_age]))]
