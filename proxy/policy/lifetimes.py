"""Terms of a response that may be stored: its lifetime, who gave it, and what may be done once it is stale."""

from __future__ import annotations

from proxy.config.units import Seconds, UnixTime
from proxy.message.heads import Request, Response
from proxy.policy.default_lifetime import shortest
from proxy.policy.directives import Directives, delta_seconds, parse_directives
from proxy.policy.freshness import age_value, corrected_initial_age, date_value, explicit_lifetime
from proxy.policy.heuristic import heuristic_lifetime
from proxy.policy.rules import Rules
from proxy.policy.said import Said
from proxy.policy.stored import Terms, shared
from proxy.policy.surrogate import NO_WORD, READERS, SurrogateWord, surrogate_word
from proxy.policy.told import PAGES

#: RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10
_NEVER_STALE = frozenset((b"must-revalidate", b"proxy-revalidate", b"s-maxage"))
_BUT_S_MAXAGE = _NEVER_STALE - {b"s-maxage"}
#: RFC 5861
_STALE_ALLOWED = frozenset((b"stale-while-revalidate", b"stale-if-error"))

#: Answers to who asks, and not to what is asked for: for other credentials the application may have another one.
_REFUSALS = frozenset({401, 403, 407})

#: How long a stale response with a validator is kept for the chance that it still holds.
_KEEP_FOR_VALIDATION = 86400.0

_NO_FRESHNESS = Seconds(0)


def terms_of(
    request: Request,
    response: Response,
    words: Said,
    vary: tuple[bytes, ...],
    times: tuple[UnixTime, UnixTime],
    rules: Rules,
) -> Terms | None:
    """Return the terms of a response; None where nobody gives it a lifetime.

    ``times`` are request_time and response_time (RFC 9111 §4.2.3).
    """
    fields, directives = response.fields, words.directives
    request_time, response_time = times
    date = date_value(fields, response_time)
    stated = explicit_lifetime(directives, fields, date, is_targeted=words.is_targeted)
    explicit = stated is not None
    overridden = rules.cache_page is not None and response.status in PAGES
    no_cache = b"no-cache" in directives
    lifetime, given, unsaid = stated, None, words.is_targeted and not overridden
    if overridden or not explicit:
        no_cache = no_cache or _says_pragma(response)
        given, is_kept = _given_lifetime(request, response, words, response_time, rules)
        unsaid = unsaid or is_kept
    if given is not None:
        # "Stale at once" is no word of sharing: the lifetime is the operator's, and decision 6 holds.
        is_ours = given > 0 and not stated
        unsaid = unsaid or (is_ours and explicit and not rules.downstream_headers)
        explicit = explicit and not is_ours
        lifetime, date = given, response_time
    elif not explicit:
        lifetime, unsaid = _likely_lifetime(response, words, date, rules, no_cache=no_cache), True
    if lifetime is None or not (lifetime or explicit or no_cache):
        return None
    initial_age = corrected_initial_age(date, age_value(fields), request_time, response_time)
    if not rules.response_lifetimes.keys().isdisjoint(fields.index):
        lifetime = Seconds(min(lifetime, initial_age + shortest(rules.response_lifetimes, fields)))
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
        sharable=is_sharable(response.status, words, stated, no_cache=no_cache),
    )


def _likely_lifetime(
    response: Response, words: Said, date: UnixTime, rules: Rules, *, no_cache: bool
) -> Seconds | None:
    """Return the lifetime of what nobody gives one: a guess, or none where it is validated on each use."""
    lifetime = heuristic_lifetime(response, words.directives, date, rules.heuristic)
    return _NO_FRESHNESS if lifetime is None and no_cache and response.status == 200 else lifetime


def is_sharable(status: int, words: Said, stated: Seconds | None, *, no_cache: bool) -> bool:
    """Tell whether the origin said that a response is for others than who asked (DESIGN §5, rule 4).

    "Stale at once" and "ask me on each use" say nothing of that: a validator may be the same for all users.
    """
    if status in _REFUSALS:
        return False
    return b"public" in words.directives or (bool(stated) and not no_cache)


def _must_revalidate(directives: Directives, rules: Rules, *, overridden: bool) -> bool:
    """Tell whether a response must never be served stale (RFC 9111 §4.2.4).

    What s-maxage means (§5.2.2.10) goes with it where the operator's lifetime stands in its place.
    """
    believed = rules.stale_after_s_maxage and not _STALE_ALLOWED.isdisjoint(directives)
    return not directives.keys().isdisjoint(_BUT_S_MAXAGE if overridden or believed else _NEVER_STALE)


def _while_revalidate(directives: Directives, rules: Rules) -> Seconds:
    """RFC 5861 §3: the origin's word, or the operator's where it has none."""
    if b"stale-while-revalidate" not in directives:
        return rules.stale_while_revalidate
    value = directives[b"stale-while-revalidate"]
    return rules.bare_while_revalidate if value is None else delta_seconds(value) or _NO_FRESHNESS


def _given_lifetime(
    request: Request, response: Response, words: Said, now: UnixTime, rules: Rules
) -> tuple[Seconds | None, bool]:
    """Return the lifetime that is not HTTP's: above that of the origin, or in the place of one.

    The other value tells whether nobody behind this cache is told of it.
    """
    status = response.status
    if status in PAGES and rules.cache_page is not None:
        return rules.cache_page, False
    lifetimes = rules.status_lifetimes
    lifetime = lifetimes.get(status, lifetimes.get(status // 100))
    if lifetime is None and status != 200:
        return None, False
    word = operators_word(response, words, now, rules)
    if word.lifetime is not None:
        return word.lifetime, True
    if lifetime is not None:
        return lifetime, False
    return _default_lifetime(request, response, rules), not rules.tells_default


def _default_lifetime(request: Request, response: Response, rules: Rules) -> Seconds | None:
    """Return CACHE_MIDDLEWARE_SECONDS, which is for pages and files only where the operator did not set it."""
    if rules.page_types is not None and not (
        rules.page_types.take(response.fields) and not rules.health_checks.ask(request)
    ):
        return None
    return rules.site_lifetime or None


def _is_operators(response: Response, words: Said, rules: Rules) -> bool:
    """Tell whether the lifetime of a response is for the operator to give: the origin gave none, or does not count."""
    if rules.cache_page is not None and response.status in PAGES:
        return True
    directives = words.directives
    if b"max-age" in directives or b"s-maxage" in directives:
        return False
    return words.is_targeted or b"expires" not in response.fields.index


def _says_pragma(response: Response) -> bool:
    """Tell whether a response says ``Pragma: no-cache``, which means in old applications what Cache-Control does."""
    value = response.fields.index.get(b"pragma")
    return value is not None and b"no-cache" in parse_directives(value)


def operators_word(response: Response, words: Said, now: UnixTime, rules: Rules) -> SurrogateWord:
    """Return what a response says to surrogates, where the lifetime would be the operator's, and only there."""
    if READERS.keys().isdisjoint(response.fields.index) or not _is_operators(response, words, rules):
        return NO_WORD
    return surrogate_word(response.fields, now)


def retention(terms: Terms, rules: Rules) -> Seconds:
    """Return how long a response is of use to us, counted from its birth."""
    if_error = rules.stale_if_error if terms.stale_if_error is None else terms.stale_if_error
    stale = 0.0 if terms.must_revalidate else max(terms.stale_while_revalidate, if_error)
    return Seconds(terms.lifetime + max(stale, _KEEP_FOR_VALIDATION if terms.has_validator else 0.0))
