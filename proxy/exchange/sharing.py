"""How does a response that is to be stored get to everybody who waits for it, and into the storage?"""

from __future__ import annotations

from collections.abc import Callable

from proxy.config.units import Seconds, UnixTime
from proxy.exchange.body import Before, Body
from proxy.exchange.collapse import Flights, Shared
from proxy.exchange.job import Job
from proxy.exchange.keeping import keep
from proxy.exchange.passing import head_of, length_line, passed_on
from proxy.exchange.replies import Replies
from proxy.message.fields import serialise
from proxy.message.framing import Chunked, Framing, Length
from proxy.message.heads import Response
from proxy.message.stream import Sink
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Store, Unkept
from proxy.policy.key import variant_key
from proxy.policy.partial import Received, stands_alone
from proxy.policy.preconditions import has_preconditions
from proxy.policy.ranges import stated_extent
from proxy.policy.stored import StoredResponse
from proxy.policy.storing import without
from proxy.policy.tags import tags_of
from proxy.policy.told import site_fields
from proxy.upstream.connection import Answer

#: Bytes of a body that takes longer to come than others should wait for.
_LONG = 2**20


class Sharing:
    """Sends responses that are to be stored to all who may have them, and stores them when they are whole."""

    def __init__(self, flights: Flights, replies: Replies, clock: Callable[[], UnixTime]) -> None:
        self._flights = flights
        self._replies = replies
        self._clock = clock
        self.keeping = 0
        """Bodies that are on their way and are to be stored."""

    def store(self, job: Job, answer: Answer, store: Store) -> None:
        """Answer with a response of which the policy says how it is to be stored."""
        rules = job.exchange.route.rules
        response = answer.response
        fields = passed_on(response, job.times[1], rules)
        fields = [field for field in fields if field[0].lower() != b"age"]
        fields = site_fields(fields, store.terms, rules, response.status)
        if store.withheld:
            job.own = [field for field in fields if field[0].lower() in store.withheld]
        head = head_of(response, without(fields, store.withheld))
        tags = tags_of(response.fields)
        pending = StoredResponse(response.status, head, b"", store.terms, stated_extent(response), tags)
        self.share(job, answer, pending, store.retention)

    def share(
        self, job: Job, answer: Answer, pending: StoredResponse, retention: Seconds, part: StoredResponse | None = None
    ) -> None:
        """Answer everybody who waits with a response on its way, and store it when it is whole.

        ``part`` is what is stored of its body, and then only the rest of it comes.
        """
        if part is None and self._shared_with_nobody(job, answer, pending, retention):
            return
        exchange = job.exchange
        response = answer.response
        framing = answer.framing if part is None else Length(part.complete_size)
        received = Received(exchange.request, response, job.times, pending, retention)

        def ended(whole: bytes | None) -> None:
            self._ended(job, received, framing, whole, body.size)

        body = Body(answer.body, exchange.route.rules.stored_body, ended)
        self.keeping += 1
        self._land(job, pending, body, framing)
        outcome = _outcome(job, response, pending)
        answer.body.attach(body if part is None else _around(body, part))
        self._replies.stream(exchange, sent(job, pending), body, framing, outcome, aged=b"age" in response.fields)

    def _shared_with_nobody(self, job: Job, answer: Answer, pending: StoredResponse, retention: Seconds) -> bool:
        """Store and answer with what came whole, in one go, where nobody waits for it but this client."""
        exchange, flight = job.exchange, job.flight
        whole = answer.body.whole if isinstance(answer.framing, Length) else None
        if whole is None or len(whole) > exchange.route.rules.stored_body or has_preconditions(exchange.request):
            return False
        if flight is not None and flight.is_joined:
            return False
        if job.key is not None:
            self._flights.forget_uncacheable(job.key)
        outcome = _outcome(job, answer.response, pending)
        received = Received(exchange.request, answer.response, job.times, pending, retention)
        self.keeping += 1
        # First stored, then sent: whoever has read the last byte may ask again and is entitled to a hit.
        self._ended(job, received, answer.framing, whole, len(whole))
        head = sent(job, pending).head
        if b"age" in answer.response.fields:
            head += b"Age: %d\r\n" % pending.terms.age(self._clock())
        self._replies.whole(exchange, pending.status, head, whole, outcome)
        return True

    def _land(self, job: Job, pending: StoredResponse, body: Body, framing: Framing) -> None:
        """Let those who wait for this have it, too."""
        if job.key is not None:
            self._flights.forget_uncacheable(job.key)
        flight = job.flight
        if flight is None:
            return
        exchange = job.exchange
        route = exchange.route
        primary = exchange.primary
        if route.searches is not None:
            primary = route.shared_as(primary, exchange.request, pending)
        variant = variant_key(primary, pending.terms.vary, exchange.request, route.rules.distinctions)
        flight.land(Shared(pending, variant, body, framing))
        if isinstance(framing, Length) and framing.size > _LONG:
            # Other workers cannot read along, and would wait for its end.
            flight.let_go()

    def _ended(self, job: Job, received: Received, framing: Framing, whole: bytes | None, size: int) -> None:
        """The body has come whole, or is not kept; ``size`` bytes of it have come."""
        self.keeping -= 1
        flight = job.flight
        try:
            if flight is not None and job.key is not None:
                self._flights.close(job.key, flight)
            if whole is None:
                too_large = size > job.exchange.route.rules.stored_body
                job.fate.unkept = Unkept.TOO_LARGE if too_large else Unkept.CUT_SHORT
            elif not job.exchange.storage_failed:
                self._keep(job, received, framing, whole)
        finally:
            if flight is not None:
                flight.let_go()

    def _keep(self, job: Job, received: Received, framing: Framing, whole: bytes) -> None:
        exchange = job.exchange
        if self._flights.was_invalidated(exchange.primary, job.valid_since):
            job.fate.unkept = Unkept.INVALIDATED
            return
        pending = received.stored
        head = pending.head + length_line(whole) if isinstance(framing, Chunked) else pending.head
        stored = StoredResponse(pending.status, head, whole, pending.terms, pending.extent, pending.tags)
        kept = Received(received.request, received.response, received.times, stored, received.retention)
        keep(exchange, kept, self._flights, self._clock())


def _outcome(job: Job, response: Response, pending: StoredResponse) -> Outcome:
    exchange = job.exchange
    outcome = job.outcome()
    outcome.forward_status = response.status
    # RFC 9211 §2.5: said with the head, before the body is there; a storage that is known to fail is not praised.
    stands = pending.extent is None or stands_alone(exchange.request)
    outcome.stored = stands and not exchange.storage_failed and exchange.route.responses.accepts(exchange.primary)
    outcome.ttl = int(pending.terms.lifetime - pending.terms.age(job.times[1]))
    return outcome


def sent(job: Job, stored: StoredResponse) -> StoredResponse:
    """Return what the client of this exchange gets, with the fields that are for it alone."""
    if not job.own:
        return stored
    head = stored.head + serialise(job.own)
    return StoredResponse(stored.status, head, stored.body, stored.terms, stored.extent)


def _around(body: Body, part: StoredResponse) -> Sink:
    """Return what takes the rest of a body of which a part is stored, before or behind it."""
    if part.extent is None or part.extent.first > 0:
        return Before(body, part.body)
    body.feed(part.body)
    return body
