"""What would one worker do with a request, and why? As plain values, for JSON, without anybody's secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from proxy.config.units import UnixTime
from proxy.config.wording import one_line
from proxy.exchange.foresight import Foresight, foresee
from proxy.exchange.last_fetch import LastFetch, LastFetches
from proxy.exchange.site import Route, Sites
from proxy.message.heads import Request, Response
from proxy.policy.cache_status import Outcome, cache_status
from proxy.policy.decisions import Detail, ForwardReason
from proxy.policy.facts import Facts, cookie_names, facts_of, field_name
from proxy.policy.identity import unaccounted
from proxy.policy.key_parts import Keying, key_parts, without_secrets
from proxy.policy.lifetime_rule import lifetime_source
from proxy.policy.remedies import DETAILS, UNKEPT, WORDS, Remedy, remedy_of
from proxy.policy.reuse import terms_asked
from proxy.policy.stored import StoredResponse
from proxy.policy.tags import EVERY_TAG

Values = dict[str, Any]

AskWorkers = Callable[[bytes], Awaitable[Sequence[tuple[int, bytes | None]]]]
"""Asks each worker a question, which is JSON; the answers are JSON too, None where a worker gave none."""
EXPLAIN = "explain"
"""What such a question asks, to be answered by ``explain``."""

_MOST_TAGS = 20
_SHOWN_FIELDS = (b"content-type", b"content-encoding", b"content-language")


async def explain(sites: Sites, last: LastFetches, request: Request, now: UnixTime) -> Values:
    """Say what would be done with a request, what is stored for it, and what became of the last fetch of its URL."""
    seen = await foresee(sites, request, now)
    route = seen.route
    fetch = last.find(request.method, seen.primary)
    if fetch is None and request.method == b"HEAD":
        fetch = last.find(b"GET", seen.primary)
    chosen = _chosen(seen)
    listed = seen.listed if chosen is None or chosen in seen.listed else (chosen, *seen.listed)
    at_hand = _now(request, seen)
    latest = None if fetch is None else _last(fetch, request, route, now)
    counts = fetch is not None and _concerns(fetch, request, route)
    return {
        "request": shown_request(request),
        **shown_route(route),
        "key": [asdict(part) for part in key_parts(request, keying(route, request), seen.vary)],
        "vary": None if seen.vary is None else [varied_name(name) for name in seen.vary],
        "stored": [_stored(one, route, now, is_selected=one is chosen) for one in listed],
        "now": at_hand,
        "last": latest,
        "remedy": _advice(seen.outcome, at_hand, latest if counts else None),
    }


def shown_request(request: Request) -> Values:
    """Return what of a request identifies it."""
    url = f"{request.scheme.decode('latin-1')}://{request.host.decode('latin-1')}{without_secrets(request.target)}"
    return {"method": request.method.decode("latin-1"), "url": url, "trusted": request.trusted}


def shown_route(route: Route) -> Values:
    """Return which site and route these are."""
    return {"site": route.site, "route": route.name, "allowed": route.is_ours, "bypass": route.bypass}


def keying(route: Route, request: Request) -> Keying:
    """Return what the keys of a route are made by."""
    return Keying(route.scope, route.rules.distinctions, route.query, route.known_variance(request))


def reasons() -> Values:
    """Return every word of logs and metrics with its meaning, for whoever knows no more of a request than these."""
    tables: dict[str, Mapping[str, Remedy]] = {
        "cache": WORDS,
        "detail": {detail.value: remedy for detail, remedy in DETAILS.items()},
    }
    nothing = Facts()
    return {
        name: {word: shown_remedy(remedy.about(nothing)) for word, remedy in table.items()}
        for name, table in tables.items()
    }


def shown_reason(outcome: Outcome, remedy: Remedy) -> Values:
    """Return the words of an outcome, as everything else says them, with what they mean and what to do."""
    return {
        "cache": outcome.word(),
        "detail": None if outcome.detail is None else outcome.detail.value,
        "cache_status": cache_status(outcome).decode("ascii").partition(": ")[2].strip(),
        **shown_remedy(remedy),
    }


def shown_remedy(remedy: Remedy) -> Values:
    """Return the plain words for a reason."""
    return {"says": remedy.says, "do": remedy.do, "settings": list(remedy.settings)}


def _now(request: Request, seen: Foresight) -> Values:
    rules = seen.route.rules
    # Where none is selected, one of those for other requests says whether it is a file.
    stored = seen.selected or next(iter(seen.listed), None)
    response = None if stored is None else _response(stored)
    facts = facts_of(request, response, rules, seen.route.name)
    facts = replace(facts, vary=tuple(map(varied_name, seen.vary or ())))
    return shown_reason(seen.outcome, remedy_of(seen.outcome, facts))


def _response(stored: StoredResponse) -> Response:
    return Response(stored.status, b"", stored.fields())


def _concerns(fetch: LastFetch, request: Request, route: Route) -> bool:
    """Tell whether what kept the last answer from being stored would do so for this request, which may be another's."""
    rules = route.rules
    match fetch.outcome.detail:
        case Detail.COOKIE | Detail.AUTHORIZATION | Detail.IDENTITY as detail:
            return unaccounted(request, (), rules.distinctions) is detail
        case Detail.HEALTH_CHECK:
            return rules.health_checks.ask(request)
        case Detail.REQUEST_NO_STORE:
            return terms_asked(request, rules).no_store
        case _:
            return True


def _last(fetch: LastFetch, request: Request, route: Route, now: UnixTime) -> Values:
    unkept = fetch.fate.unkept
    outcome = fetch.outcome
    # Cookies of other visitors are not this one's business, not by their names either.
    own = cookie_names(route.rules.distinctions, request)
    facts = replace(fetch.facts, cookies=tuple(name for name in fetch.facts.cookies if name in own))
    remedy = remedy_of(outcome, facts) if unkept is None else UNKEPT[unkept].about(facts)
    return {
        "at": datetime.fromtimestamp(fetch.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds_ago": max(0, round(now - fetch.at)),
        "status": fetch.status,
        "stored": outcome.stored and unkept is None,
        "unkept": None if unkept is None else unkept.value,
        "background": fetch.background,
        "tags": shown_tags(fetch.tags),
        **shown_reason(outcome, remedy),
    }


def _stored(stored: StoredResponse, route: Route, now: UnixTime, *, is_selected: bool) -> Values:
    terms = stored.terms
    fields = stored.fields()
    shown = {name.decode().replace("-", "_"): _text(fields.get(name)) for name in _SHOWN_FIELDS}
    return {
        "selected": is_selected,
        "status": stored.status,
        "age": int(terms.age(now)),
        "lifetime": int(terms.lifetime),
        "lifetime_from": lifetime_source(stored.status, terms, route.rules),
        "fresh": not terms.no_cache and not stored.purged and now < terms.born + terms.lifetime,
        "purged": stored.purged,
        "validated_on_each_use": terms.no_cache,
        "vary": [varied_name(name) for name in terms.vary],
        "tags": shown_tags(stored.tags),
        "size": len(stored.body),
        "part": stored.extent is not None,
        "etag": terms.etag is not None,
        "last_modified": _text(terms.last_modified),
        **shown,
    }


def _chosen(seen: Foresight) -> StoredResponse | None:
    """Return the selected one as it is listed, if it is: what is read from a storage twice is two objects."""
    selected = seen.selected
    if selected is None or any(one is selected for one in seen.listed):
        return selected
    same = (one for one in seen.listed if (one.terms, one.head) == (selected.terms, selected.head))
    return next(same, selected)


def _advice(outcome: Outcome, at_hand: Values, latest: Values | None) -> Values:
    """Return the reason that matters most: where nothing is stored, why the last answer was not."""
    is_missing = outcome.forward in (ForwardReason.URI_MISS, ForwardReason.VARY_MISS) and outcome.detail is None
    told = latest if latest is not None and is_missing and not latest["stored"] else at_hand
    reason = told.get("unkept") or told["detail"] or told["cache"]
    return {"reason": reason, **{name: told[name] for name in ("says", "do", "settings")}}


def varied_name(name: bytes) -> str:
    """Return the name of what responses vary by; some stand for less, or more, than a field."""
    kind, colon, cookie = name.partition(b":")
    if not colon:
        return field_name(name)
    return f"the cookie {cookie.decode('latin-1')}" if kind else f"{field_name(cookie)} as sent"


def shown_tags(tags: Sequence[bytes]) -> list[str]:
    """Return the first of the tags of a response, short and printable."""
    return [one_line(tag.decode("latin-1"), 100) if tag != EVERY_TAG else "(too many)" for tag in tags[:_MOST_TAGS]]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")[:100]
