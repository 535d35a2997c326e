"""May the cache answer this request? (RFC 9111 §4)"""

from __future__ import annotations

from typing import assert_never

from proxy.config.model import ClientCacheControl
from proxy.config.units import UnixTime
from proxy.message.framing import NO_BODY, has_body
from proxy.message.heads import Request
from proxy.policy.decisions import Detail, Fetch, ForwardReason, Refuse, Reuse, Serve, Validate
from proxy.policy.directives import NO_TERMS, RequestTerms, request_terms
from proxy.policy.identity import unaccounted
from proxy.policy.partial import missing
from proxy.policy.preconditions import is_covered
from proxy.policy.rules import Rules
from proxy.policy.stored import StoredResponse
from proxy.policy.validators import strong_tag


def bypass(request: Request) -> Fetch | None:
    """Say why a request is not for the cache at all; None when the cache may look for an answer."""
    method = request.method
    if method not in (b"GET", b"HEAD"):
        return _METHOD
    index = request.fields.index
    if request.upgrade is not None:
        return Fetch(ForwardReason.BYPASS, Detail.UPGRADE)
    if b"if-match" in index or b"if-unmodified-since" in index:
        return Fetch(ForwardReason.BYPASS, Detail.PRECONDITION)
    if request.framing is not NO_BODY and has_body(request.framing):
        # RFC 9110 §9.3.1: content in a GET has no meaning we know, so no stored response is known to answer it.
        return Fetch(ForwardReason.BYPASS, Detail.REQUEST_BODY)
    return None


_METHOD = Fetch(ForwardReason.METHOD)


def terms_asked(request: Request, rules: Rules) -> RequestTerms:
    """Return what the request asks of caches, as far as the operator lets it (``client_cache_control``)."""
    index = request.fields.index
    if b"cache-control" not in index and b"pragma" not in index:
        return NO_TERMS
    match rules.client_cache_control:
        case ClientCacheControl.HONOUR:
            return request_terms(request.fields)
        case ClientCacheControl.IGNORE:
            return NO_TERMS
        case ClientCacheControl.TRUSTED:
            return request_terms(request.fields) if request.trusted else NO_TERMS
        case never:
            assert_never(never)


def decide_reuse(
    request: Request, asked: RequestTerms, stored: StoredResponse | None, now: UnixTime, rules: Rules
) -> Reuse:
    """Say whether the selected stored response answers the request (§4)."""
    if stored is None:
        if asked.only_if_cached:
            return Refuse(Detail.ONLY_IF_CACHED)
        return _MISS
    terms = stored.terms
    if not terms.sharable and (personal := _personal(request, stored, rules)) is not None:
        return Refuse(Detail.ONLY_IF_CACHED) if asked.only_if_cached else Fetch(ForwardReason.BYPASS, personal)
    if asked is NO_TERMS and now < stored.fresh_until:
        return Serve(stored)
    if stored.extent is not None:
        return _part(request, asked, stored, now, rules)
    if asked is NO_TERMS:
        return _stale(asked, stored, now)
    if (refused := _client_refuses(asked, stored, now)) is not None:
        return (
            Refuse(Detail.ONLY_IF_CACHED)
            if asked.only_if_cached
            else _ask_origin(stored, ForwardReason.REQUEST, refused)
        )
    return Serve(stored) if now < stored.fresh_until else _stale(asked, stored, now)


_MISS = Fetch(ForwardReason.URI_MISS)


def _personal(request: Request, stored: StoredResponse, rules: Rules) -> Detail | None:
    """Why a response whose origin said nothing about sharing is not for this client (DESIGN §5)."""
    terms = stored.terms
    if rules.page_types is not None and not terms.explicit and rules.health_checks.sends(request):
        return Detail.HEALTH_CHECK
    return unaccounted(request, terms.vary, rules.distinctions)


def _client_refuses(asked: RequestTerms, stored: StoredResponse, now: UnixTime) -> Detail | None:
    """What the client will not have (§5.2.1)."""
    terms = stored.terms
    age = terms.age(now)
    if asked.no_cache:
        return Detail.REQUEST_NO_CACHE
    # RFC 8246 §2.1: what is immutable has not changed however old it is; no-cache is a signal, and this is a reload.
    is_pinned = terms.immutable and now < stored.fresh_until
    too_old = asked.max_age is not None and age > asked.max_age and not _stale_enough(asked, age - asked.max_age)
    if too_old and not is_pinned:
        return Detail.REQUEST_MAX_AGE
    if asked.min_fresh is not None and terms.lifetime - age < asked.min_fresh:
        return Detail.REQUEST_MIN_FRESH
    return None


def _stale_enough(asked: RequestTerms, staleness: float) -> bool:
    return asked.max_stale is not None and staleness <= asked.max_stale


def _stale(asked: RequestTerms, stored: StoredResponse, now: UnixTime) -> Reuse:
    """A stored response that is not fresh (§4.2.4)."""
    terms = stored.terms
    staleness = terms.age(now) - terms.lifetime
    if not terms.no_cache and not terms.must_revalidate:
        if staleness < terms.stale_while_revalidate and stored.is_good:
            return Serve(stored, Detail.STALE_WHILE_REVALIDATE, refresh=True)
        if _stale_enough(asked, staleness):
            return Serve(stored, Detail.MAX_STALE)
    if asked.only_if_cached:
        return Refuse(Detail.ONLY_IF_CACHED)
    return _ask_origin(stored, ForwardReason.STALE, _why_stale(stored))


def _why_stale(stored: StoredResponse) -> Detail | None:
    """Why it is not fresh, where that is not for its age alone."""
    if stored.terms.no_cache:
        return Detail.NO_CACHE
    return Detail.PURGED if stored.purged else None


def _ask_origin(stored: StoredResponse, reason: ForwardReason, detail: Detail | None) -> Validate | Fetch:
    if stored.terms.has_validator:
        return Validate(stored, reason, detail)
    return Fetch(reason, detail, stored)


def _part(request: Request, asked: RequestTerms, stored: StoredResponse, now: UnixTime, rules: Rules) -> Reuse:
    """A stored response that is a part: it answers requests for what lies in it (§3.3), and nothing while stale."""
    terms = stored.terms
    refused = None if asked is NO_TERMS else _client_refuses(asked, stored, now)
    is_fresh = not terms.no_cache and now < terms.born + terms.lifetime
    covered = is_covered(request, stored, now)
    if covered and is_fresh and refused is None:
        return Serve(stored)
    if asked.only_if_cached:
        return Refuse(Detail.ONLY_IF_CACHED)
    if is_fresh and refused is None:
        is_whole = request.method == b"GET" and b"range" not in request.fields and not asked.no_store
        completing = stored if is_whole and missing(stored, rules) is not None else None
        return Fetch(ForwardReason.PARTIAL, completing=completing)
    reason = ForwardReason.STALE if refused is None else ForwardReason.REQUEST
    detail = _why_stale(stored) if refused is None else refused
    if not covered:
        return Fetch(reason, detail)
    # §4.3.1: by a strong tag only, for a client may put the part together with another.
    return Validate(stored, reason, detail) if strong_tag(stored.fields()) else Fetch(reason, detail, stored)
