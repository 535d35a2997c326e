"""May this response be stored, and under which terms? (RFC 9111 §3)"""

from __future__ import annotations

from proxy.config.model import SetCookie
from proxy.config.units import UnixTime
from proxy.message.fields import Fields, RawField
from proxy.message.grammar import TOKEN, tokens
from proxy.message.heads import Request, Response
from proxy.policy.decisions import Detail, Discard, Store, Storing
from proxy.policy.directives import Directives, RequestTerms
from proxy.policy.freshness import date_value, explicit_lifetime
from proxy.policy.identity import unaccounted
from proxy.policy.lifetimes import is_sharable, operators_word, retention, terms_of
from proxy.policy.negotiation import coding_guard
from proxy.policy.posting import answers_get
from proxy.policy.ranges import stated_extent
from proxy.policy.rules import Rules
from proxy.policy.said import Said, said
from proxy.policy.stored import StoredResponse, Terms
from proxy.policy.surrogate import READERS
from proxy.policy.tags import HIDDEN

#: RFC 9111 §3.5: what lets a shared cache store the answer to a request with Authorization.
_SHARED_BY = frozenset((b"public", b"s-maxage", b"must-revalidate"))

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
    if not FOR_CACHES.isdisjoint(response.fields.index) and operators_word(response, words, times[1], rules).forbids:
        return Discard(Detail.NO_STORE)
    terms = terms_of(request, response, words, vary or (), times, rules)
    if terms is None or (not terms.explicit and (response.status == 206 or request.method != b"GET")):
        return Discard(_why_no_lifetime(request, response, rules))
    if (personal := _personal(request, response, terms, words, rules)) is not None:
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
    if b"content-encoding" in response.fields.index:
        more += coding_guard(vary, response.fields)
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
    return _may_not_share(request, vary, directives, rules)


def _may_not_share(request: Request, vary: tuple[bytes, ...], directives: Directives, rules: Rules) -> Detail | None:
    """Which credentials of a request keep its answer from being stored, for it does not say that it may be (§3.5)."""
    index = request.fields.index
    if b"authorization" not in index and rules.distinctions.identity.usual.issuperset(index):
        return None
    if not directives.keys().isdisjoint(_SHARED_BY):
        return None
    if b"authorization" in index:
        return Detail.AUTHORIZATION
    is_known = any(name not in vary for name in rules.distinctions.identity.sent(index))
    return Detail.IDENTITY if is_known else None


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
    """What makes a response personal, for all we know: its origin did not say that it is for others (DESIGN §5)."""
    if terms.explicit and terms.sharable:
        return None
    if _sets_cookie(response, words):
        return Detail.SET_COOKIE
    # must-revalidate satisfies §3.5, but says nothing about whom a page is for.
    return None if terms.sharable else unaccounted(request, terms.vary, rules.distinctions)


def is_personal(request: Request, stored: StoredResponse, response: Response, now: UnixTime, rules: Rules) -> bool:
    """Tell whether a response is for a client whom what is stored for others does not tell apart from them.

    What its own Vary says is of no account: it is about other responses.
    """
    if unaccounted(request, stored.terms.vary, rules.distinctions) is None:
        return False
    words = said(response.fields, rules.targeted)
    if _may_not_share(request, stored.terms.vary, words.directives, rules) is not None:
        return True
    date = date_value(response.fields, now)
    stated = explicit_lifetime(words.directives, response.fields, date, is_targeted=words.is_targeted)
    no_cache = b"no-cache" in words.directives
    forbidden = b"no-store" in words.directives or b"private" in words.directives
    return forbidden or not is_sharable(response.status, words, stated, no_cache=no_cache)


def _why_no_lifetime(request: Request, response: Response, rules: Rules) -> Detail:
    is_page = rules.page_types is not None and response.status == 200 and rules.page_types.take(response.fields)
    return Detail.HEALTH_CHECK if is_page and rules.health_checks.ask(request) else Detail.NO_FRESHNESS


def outdates(request: Request, stored: StoredResponse, response: Response, why: Detail, rules: Rules) -> bool:
    """Tell whether a response that is discarded shows that the one stored for the same request no longer holds.

    An answer to somebody whom the stored one does not tell apart from others ends nothing for them.
    """
    if why not in _WHOEVER_ASKS or response.status == 304 or response.status >= 500:
        return False
    return unaccounted(request, stored.terms.vary, rules.distinctions) is None


FOR_CACHES = HIDDEN.union(READERS)
"""The lower-case names of fields of responses that some or all clients do not get."""


def hidden_fields(response: Response, now: UnixTime, rules: Rules) -> frozenset[bytes]:
    """Return the lower-case names of the fields of a response that are for caches, and that clients do not get.

    What is said to surrogates is among them where it was obeyed.
    """
    return rules.hidden | operators_word(response, said(response.fields, rules.targeted), now, rules).fields


def vary_names(fields: Fields) -> tuple[bytes, ...] | None:
    """Return the names in Vary, in lower case and sorted; None when ``*`` is among them (§4.1)."""
    value = fields.index.get(b"vary")
    if value is None:
        return ()
    names = set(tokens(value))
    # What is no name of a field, as "*" in quotation marks, is as little known to match.
    return None if b"*" in names or not all(map(TOKEN.fullmatch, names)) else tuple(sorted(names))


def without(raw: list[RawField], withheld: frozenset[bytes]) -> list[RawField]:
    """Return the fields of a response that may be stored (§3.1); ``withheld`` are lower-case names."""
    return [field for field in raw if field[0].lower() not in withheld] if withheld else raw
