"""What is handed to the storage, once a response is whole or a stored one has been freshened?"""

from __future__ import annotations

from proxy.config.units import UnixTime
from proxy.exchange.collapse import Flights
from proxy.exchange.replies import Exchange
from proxy.policy.key import PrimaryKey
from proxy.policy.partial import Received, merge
from proxy.policy.stored import StoredResponse
from proxy.storage.responses import VarySpecs


def _place(exchange: Exchange, stored: StoredResponse) -> PrimaryKey:
    """Return the key that a response is to lie under."""
    route = exchange.route
    return exchange.primary if route.searches is None else route.place(exchange.request, stored)


def keep(exchange: Exchange, received: Received, flights: Flights, now: UnixTime) -> None:
    """Store a response that is whole; a part only as far as what is stored then leaves room for it."""
    stored = received.stored
    responses = exchange.storing or exchange.route.responses
    primary = _place(exchange, stored)
    if stored.extent is None:
        until = UnixTime(stored.terms.born + received.retention)
        responses.store(primary, exchange.request, stored, until, now)
        if (too := exchange.route.rules.distinctions.normal.answers_too(exchange.request, stored)) is not None:
            responses.store(primary, *too, until, now)
        return
    if len(stored.body) != stored.extent.size:
        # In the chunked coding it is the end that shows that a part is not what it says.
        return

    def revision(current: StoredResponse | None, specs: VarySpecs) -> tuple[StoredResponse, UnixTime] | None:
        if flights.was_invalidated(exchange.primary, received.times[0]):
            return None
        if current is None and specs and stored.terms.vary not in specs:
            # It would take the places of responses that others select.
            return None
        kept = merge(received, current, exchange.route.rules)
        return None if kept is None else (kept.stored, UnixTime(kept.stored.terms.born + kept.retention))

    responses.revise(primary, exchange.request, revision, now)


def keep_freshened(
    exchange: Exchange, stored: StoredResponse, until: UnixTime, times: tuple[UnixTime, UnixTime], flights: Flights
) -> bool:
    """Store a response that a validation has freshened; a part only where nothing complete has come meanwhile."""
    now = times[1]
    responses = exchange.storing or exchange.route.responses
    primary = _place(exchange, stored)
    if stored.extent is None:
        return responses.store(primary, exchange.request, stored, until, now)

    def revision(current: StoredResponse | None, specs: VarySpecs) -> tuple[StoredResponse, UnixTime] | None:
        del specs
        is_outdated = flights.was_invalidated(exchange.primary, times[0])
        return None if is_outdated or (current is not None and current.extent is None) else (stored, until)

    responses.revise(primary, exchange.request, revision, now)
    return responses.accepts(primary)
