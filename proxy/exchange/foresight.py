"""What would be done with a request now? Without doing it: nothing is fetched, stored, counted or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from proxy.config.units import UnixTime
from proxy.errors import StorageDamaged, StorageError
from proxy.exchange.site import Route, Sites
from proxy.message.heads import Request
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, Fetch, ForwardReason, Refuse, Serve, Validate
from proxy.policy.key import PrimaryKey
from proxy.policy.reuse import bypass, decide_reuse, terms_asked
from proxy.policy.stored import StoredResponse

_MOST_LISTED = 20
"""Variants that are shown of one URL."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """What would be done, as Cache-Status would begin to say it, and what is stored meanwhile."""

    route: Route
    primary: PrimaryKey
    outcome: Outcome
    selected: StoredResponse | None = None
    """The stored response that the request selects, whether it may be used or not."""
    listed: tuple[StoredResponse, ...] = ()
    """All that is stored for the URL, as far as it can be had."""
    vary: tuple[bytes, ...] | None = None
    """What the stored responses vary by; None where none is known."""


async def foresee(sites: Sites, request: Request, now: UnixTime) -> Foresight:
    """Say what the driver would do with a request; the storage is asked as it would be for any request."""
    route = sites.route(request)
    primary = route.key(request)
    selected, failed = await _look(route, primary, request, now)
    outcome = _outcome(route, request, selected, now)
    specs = route.responses.vary_specs(primary, now)
    if outcome.forward is ForwardReason.URI_MISS and specs:
        outcome.forward = ForwardReason.VARY_MISS
    if failed is not None and outcome.forward in (ForwardReason.URI_MISS, ForwardReason.VARY_MISS):
        outcome.detail = failed
    vary = specs[0] if specs else None
    if selected is not None:
        vary = selected.terms.vary
    return Foresight(route, primary, outcome, selected, await _listed(route, primary, now), vary)


async def _listed(route: Route, primary: PrimaryKey, now: UnixTime) -> tuple[StoredResponse, ...]:
    try:
        return tuple(await route.responses.listed(primary, _MOST_LISTED, now))
    except StorageError:
        return ()


async def _look(
    route: Route, primary: PrimaryKey, request: Request, now: UnixTime
) -> tuple[StoredResponse | None, Detail | None]:
    try:
        return await route.responses.look(primary, request, now), None
    except StorageDamaged:
        return None, Detail.STORAGE_DAMAGED
    except StorageError:
        return None, Detail.STORAGE_FAILED


def _outcome(route: Route, request: Request, selected: StoredResponse | None, now: UnixTime) -> Outcome:
    if not route.is_ours:
        return Outcome(detail=Detail.HOST_NOT_ALLOWED)
    passing = bypass(request)
    if passing is not None or route.bypass:
        passing = passing or Fetch(ForwardReason.BYPASS, Detail.ROUTE)
        return Outcome(forward=passing.reason, detail=passing.detail)
    match decide_reuse(request, terms_asked(request, route.rules), selected, now, route.rules):
        case Serve(stored, stale):
            return Outcome(hit=True, ttl=int(stored.terms.lifetime - stored.terms.age(now)), detail=stale)
        case Refuse(detail):
            return Outcome(detail=detail)
        case Validate(_, reason, detail) | Fetch(reason, detail):
            return Outcome(forward=reason, detail=detail)
        case never:
            assert_never(never)
