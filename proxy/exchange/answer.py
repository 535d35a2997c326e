"""How is a request answered? The driver: it asks the policy, and does what the policy answers.

A hit takes no task and no await: it is written before the call returns. Nor does a request that has to wait for nothing
but the origin's answer. Everything else is one task, which lives until the head of the response is known; the body then
flows by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import assert_never

from proxy.config.units import UnixTime
from proxy.errors import StorageDamaged, StorageError
from proxy.exchange.background import Tasks, Work, guarded, log_fault
from proxy.exchange.client import Client, Nobody
from proxy.exchange.collapse import Failed, Flight, FlightKey, Flights, NotShared, Settled, Shared, range_flight
from proxy.exchange.counters import Counters
from proxy.exchange.fetch import Fetcher
from proxy.exchange.job import Job
from proxy.exchange.replies import Exchange, Replies
from proxy.exchange.site import Sites
from proxy.message.fields import Fields
from proxy.message.heads import Request
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, Fetch, ForwardReason, Refuse, Reuse, Serve, Validate
from proxy.policy.directives import NO_TERMS
from proxy.policy.forwarding import PRECONDITIONS
from proxy.policy.identity import unaccounted
from proxy.policy.key import PrimaryKey, primary_key, variant_key
from proxy.policy.parts import at_once
from proxy.policy.preconditions import has_preconditions
from proxy.policy.reuse import bypass, decide_reuse, terms_asked
from proxy.policy.stored import StoredResponse
from proxy.storage.looking import settled
from proxy.storage.responses import NotAtHand, StoredSought

_NO_KEY = PrimaryKey(b"")
#: Bytes of a Range that others may wait by: enough for one range, and not for filling our memory with keys.
_LONGEST_RANGE = 64
_CONDITIONS = PRECONDITIONS - {b"range"}
_WISHES = frozenset({b"cache-control", b"pragma"})
_BY_ROUTE = Fetch(ForwardReason.BYPASS, Detail.ROUTE)


class Driver:
    """Answers requests."""

    def __init__(
        self,
        sites: Sites,
        fetcher: Fetcher,
        flights: Flights,
        replies: Replies,
        counters: Counters,
        clock: Callable[[], UnixTime],
    ) -> None:
        self._sites = sites
        self._only = sites.only
        counters.follow(sites.routes)
        self._fetcher = fetcher
        self._flights = flights
        self._replies = replies
        self._counters = counters
        self._clock = clock
        self.tasks = Tasks()
        self.purging: Callable[[Exchange], bool] | None = None
        """Takes requests that purge, where there may be some; it tells whether this was one."""
        self._seeking = 0
        """Requests that wait for a storage."""

    @property
    def is_busy(self) -> bool:
        """Tell whether anything that it has begun may still ask the origin or the storage."""
        return bool(self.tasks) or self._seeking > 0 or self._fetcher.keeping > 0

    def handle(self, request: Request, client: Client) -> None:
        """Answer one request, now or later."""
        now = self._clock()
        route = self._only or self._sites.route(request)
        reason = bypass(request)
        if reason is not None or route.bypass:
            exchange = Exchange(request, client, now, NO_TERMS, _NO_KEY, route)
            self._pass_by(exchange, reason or _BY_ROUTE)
            return
        rules = route.rules
        if route.query is None:
            primary = primary_key(route.scope, request, rules.distinctions.fields)
        else:
            primary = route.key(request)
        responses = route.responses
        asked = terms_asked(request, rules)
        if not responses.immediate:
            # The log has how long each took.
            self._seek(Exchange(request, client, now, asked, primary, route), plainly=not self._counters.logs)
            return
        try:
            stored = responses.select(primary, request, now)
        except NotAtHand:
            self._seek(Exchange(request, client, now, asked, primary, route), plainly=not self._counters.logs)
            return
        reuse = decide_reuse(request, asked, stored, now, rules)
        if type(reuse) is Serve and reuse.stale is None:
            answer = at_once(request, reuse.stored, now)
            if answer is not None:
                # The plain hit, which nearly every request should be.
                status, head, body = answer
                counters = self._counters
                route.hits[request.method, status] += 1
                counters.bytes_from_cache += len(body)
                if counters.logs:
                    counters.log_hit(request, status, len(body), now, (route.site, route.name))
                client.respond(head, reuse.stored.tail(now), body)
                counters.unmeasured -= 1
                if not counters.unmeasured:
                    counters.measure(request, status, route, now, self._clock())
                return
        self._go_on(Exchange(request, client, now, asked, primary, route), reuse, now)

    def handle_telling(self, request: Request, client: Client) -> None:
        """Answer one request as ``handle`` does, save that no hit is so plain that it could not tell its key."""
        now = self._clock()
        route = self._only or self._sites.route(request)
        reason = bypass(request)
        if reason is not None or route.bypass:
            self._pass_by(Exchange(request, client, now, NO_TERMS, _NO_KEY, route), reason or _BY_ROUTE)
            return
        exchange = Exchange(request, client, now, terms_asked(request, route.rules), route.key(request), route)
        if route.responses.immediate:
            with suppress(NotAtHand):
                stored = route.responses.select(exchange.primary, request, now)
                self._go_on(exchange, decide_reuse(request, exchange.asked, stored, now, route.rules), now)
                return
        self._seek(exchange, plainly=False)

    def _seek(self, exchange: Exchange, *, plainly: bool) -> None:
        """Look for what has to be waited for, without a task: a hit needs none, and may be counted as a plain one."""
        self._seeking += 1
        told = partial(self._sought, exchange, plainly)
        exchange.route.responses.seek(exchange.primary, exchange.request, exchange.started, told)

    def _sought(self, exchange: Exchange, plainly: bool, sought: StoredSought) -> None:
        self._seeking -= 1
        if type(sought) is not StoredResponse:
            self._start(exchange, partial(self._look_on, exchange, sought))
            return
        try:
            now = self._clock()
            reuse = decide_reuse(exchange.request, exchange.asked, sought, now, exchange.route.rules)
            is_plain = plainly and type(reuse) is Serve and reuse.stale is None
            answer = at_once(exchange.request, sought, now) if is_plain else None
            if answer is None:
                self._go_on(exchange, reuse, now)
            else:
                self._hit(exchange, answer, sought.tail(now))
        except Exception:
            exchange.client.abort()
            raise

    def _hit(self, exchange: Exchange, answer: tuple[int, bytes, bytes], tail: bytes) -> None:
        """Answer as ``handle`` does a plain hit; what was waited for is measured with it."""
        status, head, body = answer
        request, route, counters = exchange.request, exchange.route, self._counters
        route.hits[request.method, status] += 1
        counters.bytes_from_cache += len(body)
        if counters.logs:
            counters.log_hit(request, status, len(body), exchange.started, (route.site, route.name))
        exchange.client.respond(head, tail, body)
        counters.unmeasured -= 1
        if not counters.unmeasured:
            counters.measure(request, status, route, exchange.started, self._clock())

    def _go_on(self, exchange: Exchange, reuse: Reuse, now: UnixTime) -> None:
        """Do what the policy says of a request that is no plain hit."""
        if isinstance(reuse, Serve):
            self._serve(exchange, reuse, now)
        else:
            self._ask_origin(exchange, reuse)

    def _pass_by(self, exchange: Exchange, reason: Fetch) -> None:
        """Ask the origin without a look at what is stored, or nobody where the host is none of ours."""
        if self.purging is not None and self.purging(exchange):
            return
        if not exchange.route.is_ours:
            self._replies.error(exchange, 421, Outcome(detail=Detail.HOST_NOT_ALLOWED))
            return
        self._ask_origin(exchange, Job(exchange, reason.reason, reason.detail))

    def purge(self, concerns: Callable[[PrimaryKey], bool]) -> None:
        """Let nobody wait for what may be outdated when it comes."""
        self._flights.purge(concerns)

    # Answering from what is stored.

    def _serve(self, exchange: Exchange, serve: Serve, now: UnixTime) -> None:
        terms = serve.stored.terms
        outcome = Outcome(hit=True, ttl=int(terms.lifetime - terms.age(now)), detail=serve.stale)
        if serve.refresh:
            self._refresh(exchange, serve.stored)
        self._replies.stored(exchange, serve.stored, outcome, now)

    def _refresh(self, exchange: Exchange, stored: StoredResponse) -> None:
        """Validate in the background, once at a time for each stored response (RFC 5861 §3)."""
        key = variant, personal = self._flight_key(exchange)
        if self._flights.find(key) is None and self._flights.find((variant, not personal)) is None:
            self._counters.refreshed += 1
            # It is ours: what the client wants of caches is not said to those behind us, nor obeyed here.
            fields = Fields(exchange.request.fields.without(_WISHES))
            request = replace(exchange.request, method=b"GET", fields=fields)
            behind = Exchange(request, Nobody(), self._clock(), NO_TERMS, exchange.primary, exchange.route)
            reason = ForwardReason.STALE
            job = Job(behind, reason, Detail.STALE_WHILE_REVALIDATE, fallback=stored, whole=True)
            job.validating = stored if stored.terms.has_validator else None
            leases = exchange.route.responses.leases
            lease = None if leases is None else leases.take(_lease_key(key))
            if leases is not None and lease is None:
                # Another worker does so.
                return
            self._launch(job, key).lease = lease
            self._start(behind, partial(self._fetcher.run, job))

    # Asking the origin.

    def _ask_origin(self, exchange: Exchange, what: Reuse | Job) -> None:
        """Ask the origin, without a task where only its answer has to be waited for; a job is for nobody else."""
        job = what if isinstance(what, Job) else None
        flight = None
        try:
            if not isinstance(what, Job):
                job = self._job(exchange, what)
                flight = None if job is None else self._prepare(job)
            if job is None or (flight is None and self._may_lead(job) and self._fetcher.begin(job, self.tasks)):
                return
        except Exception as error:  # noqa: BLE001 - as a task would, which the client's connection outlives
            if job is not None:
                self._fetcher.over(job)
            exchange.client.abort()
            log_fault(error)
        else:
            self._start(exchange, partial(self._carry_on, job, flight))

    async def _look_on(self, exchange: Exchange, sought: StoredSought) -> None:
        await self._answer(exchange, await self._judged(exchange, settled(sought)))

    async def _look(self, exchange: Exchange) -> Reuse:
        """Ask the policy about what is stored now."""
        if exchange.storage_failed:
            return decide_reuse(exchange.request, exchange.asked, None, self._clock(), exchange.route.rules)
        looking = exchange.route.responses.look(exchange.primary, exchange.request, self._clock())
        return await self._judged(exchange, looking)

    async def _judged(self, exchange: Exchange, looking: Coroutine[object, object, StoredResponse | None]) -> Reuse:
        stored = None
        try:
            stored = await looking
        except StorageDamaged:
            exchange.storage_damaged = True
        except StorageError:
            # The site goes on as if nothing were stored, and nothing is stored.
            exchange.storage_failed = True
        return decide_reuse(exchange.request, exchange.asked, stored, self._clock(), exchange.route.rules)

    async def _answer(self, exchange: Exchange, reuse: Reuse | None) -> None:
        """Ask the origin, or wait for another's request to it and look again."""
        while reuse is not None:
            job = self._job(exchange, reuse)
            if job is None:
                return
            reuse = await self._asked(job, self._prepare(job))

    async def _carry_on(self, job: Job, flight: Flight | None) -> None:
        """Do this, and then what it leads to."""
        await self._answer(job.exchange, await self._asked(job, flight))

    async def _asked(self, job: Job, flight: Flight | None) -> Reuse | None:
        """Carry a job out, or wait for a flight instead; return what the policy says then, if there is more to do."""
        return await (self._led(job) if flight is None else self._joined(job, flight))

    def _job(self, exchange: Exchange, reuse: Reuse) -> Job | None:
        """Return what the origin is to be asked for; None where the client has been answered without it."""
        exchange.specs = None
        match reuse:
            case Serve():
                self._serve(exchange, reuse, self._clock())
                return None
            case Refuse(detail, status):
                self._replies.error(exchange, status, Outcome(detail=detail))
                return None
            case Validate(subject, reason, detail):
                return Job(exchange, reason, detail, validating=subject, fallback=subject)
            case Fetch(reason, detail, fallback, completing):
                if exchange.storage_failed:
                    detail = Detail.STORAGE_FAILED
                elif exchange.storage_damaged:
                    detail = Detail.STORAGE_DAMAGED
                job = Job(exchange, self._missed(exchange, reason), detail, fallback=fallback)
                job.completing = completing
                return job
            case never:
                assert_never(never)

    async def _led(self, job: Job) -> Reuse | None:
        """Ask the origin, unless another worker does so and its answer will do for this request, too: return it."""
        found = None if self._may_lead(job) else await self._asked_elsewhere(job)
        if found is None:
            await self._fetcher.run(job)
        return found

    async def _joined(self, job: Job, flight: Flight) -> Reuse | None:
        """Wait for another's request; where the client has not been answered by it, look again."""
        return None if await self._followed(job, flight) else await self._look(job.exchange)

    def _may_lead(self, job: Job) -> bool:
        """Tell whether no other worker asks the origin for the same; none may from then on."""
        leases, flight, key = job.exchange.route.responses.leases, job.flight, job.key
        if leases is None or flight is None or key is None:
            return True
        if flight.lease is None:
            flight.lease = leases.take(_lease_key(key))
        return flight.lease is not None

    async def _asked_elsewhere(self, job: Job) -> Serve | None:
        """Wait while another worker asks the origin for the same; return what it has stored, if that answers this."""
        leases, flight, key = job.exchange.route.responses.leases, job.flight, job.key
        if leases is None or flight is None or key is None:
            return None
        found: Reuse | None = None
        try:
            await leases.ended(_lease_key(key))
            found = await self._look(job.exchange)
        finally:
            if not isinstance(found, Fetch | Validate):
                flight.land(Settled())
                self._flights.close(key, flight)
        return found if isinstance(found, Serve) else None

    def _missed(self, exchange: Exchange, reason: ForwardReason) -> ForwardReason:
        if reason is not ForwardReason.URI_MISS:
            return reason
        exchange.specs = exchange.route.responses.vary_specs(exchange.primary, self._clock())
        return ForwardReason.VARY_MISS if exchange.specs else reason

    def _prepare(self, job: Job) -> Flight | None:
        """Return the flight to wait for; None when this job is to be run, as a flight for others or alone."""
        exchange = job.exchange
        request = exchange.request
        if request.method != b"GET":
            # A HEAD is forwarded as it is, and what it brings is not stored.
            job.validating = None
            return None
        if b"range" in request.fields and (job.validating is None or job.validating.extent is not None):
            # The range is forwarded; fetching all of a large file for it would be dear.
            return self._prepare_range(job)
        key = self._flight_key(exchange)
        if self._flights.is_uncacheable(key, exchange.started):
            job.whole = job.validating is not None
            job.completing = None
            job.key = key
            return None
        is_plain = not exchange.asked.no_store and not has_preconditions(request)
        job.whole = is_plain or job.validating is not None or not self._is_the_origins(job, key)
        if exchange.asked.no_store or not exchange.collapse or not job.whole:
            job.key = None if exchange.asked.no_store else key
            return None
        return self._launched(job, key)

    def _is_the_origins(self, job: Job, key: FlightKey) -> bool:
        """Tell whether the conditions of a request are the origin's to judge, for what comes is not to be stored."""
        exchange = job.exchange
        if exchange.asked.no_store:
            return True
        if self._flights.find(key) is not None:
            return False
        return exchange.storage_failed or not exchange.route.responses.accepts(exchange.primary)

    def _prepare_range(self, job: Job) -> Flight | None:
        """Let those who ask for the same range, and make no conditions, wait for one answer."""
        exchange = job.exchange
        fields = exchange.request.fields
        asked = fields.get(b"range") or b""
        if job.validating is not None or exchange.asked.no_store or not exchange.collapse:
            return None
        if len(asked) > _LONGEST_RANGE or not _CONDITIONS.isdisjoint(fields.index):
            return None
        key = range_flight(self._flight_key(exchange), asked)
        if self._flights.is_uncacheable(key, exchange.started):
            job.key = key
            return None
        return self._launched(job, key)

    def _launched(self, job: Job, key: FlightKey) -> Flight | None:
        """Return the flight that has this key already, to be waited for; None where this job is the one now."""
        flight = self._flights.find(key)
        if flight is None:
            self._launch(job, key)
        else:
            flight.join()
        return flight

    def _launch(self, job: Job, key: FlightKey) -> Flight:
        job.key = key
        job.flight = flight = self._flights.open(key, job.exchange.primary)
        return flight

    def _flight_key(self, exchange: Exchange) -> FlightKey:
        """Return what this request could share a flight by, as far as it is known what responses vary by."""
        request = exchange.request
        specs = exchange.specs
        if specs is None:
            specs = exchange.route.responses.vary_specs(exchange.primary, exchange.started)
        vary = exchange.vary if exchange.vary is not None else specs[0] if specs else ()
        distinctions = exchange.route.rules.distinctions
        return variant_key(exchange.primary, vary, request, distinctions), unaccounted(
            request, (), distinctions
        ) is not None

    async def _followed(self, job: Job, flight: Flight) -> bool:
        """Wait for another's request; tell whether the client has been answered by it."""
        exchange = job.exchange
        landing = await flight.landed()
        match landing:
            case Shared(stored, variant, body, framing):
                if self._may_share(exchange, stored) and body.joinable:
                    key = variant_key(
                        exchange.primary, stored.terms.vary, exchange.request, exchange.route.rules.distinctions
                    )
                    if key == variant:
                        outcome = Outcome(forward=job.reason, collapsed=True, detail=job.detail)
                        self._replies.stream(exchange, stored, body, framing, outcome, aged=True)
                        return True
                    # Another variant: ask for this one, together with those who want the same.
                    exchange.collapse = exchange.vary != stored.terms.vary
                    exchange.vary = stored.terms.vary
                    return False
                exchange.collapse = False
            case Settled() | NotShared():
                exchange.collapse = False
            case Failed(error):
                outcome = job.outcome()
                outcome.collapsed = True
                self._fetcher.failure(exchange, outcome, job.validating or job.fallback, error)
                self._fetcher.last.note(job)
                return True
            case never:
                assert_never(never)
        return False

    def _may_share(self, exchange: Exchange, stored: StoredResponse) -> bool:
        reuse = decide_reuse(exchange.request, exchange.asked, stored, self._clock(), exchange.route.rules)
        return isinstance(reuse, Serve)

    def _start(self, exchange: Exchange, work: Work) -> None:
        self.tasks.start(guarded(exchange.client, work))


def _lease_key(key: FlightKey) -> bytes:
    variant, personal = key
    return b"personal %b" % variant if personal else variant
