"""What does the origin say to one request, and what is done with its answer?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import assert_never

from proxy.config.units import UnixTime
from proxy.errors import UpstreamError
from proxy.exchange.asking import ask_of, is_shown_as_keyed
from proxy.exchange.background import Tasks, guarded, log_fault
from proxy.exchange.body import Body
from proxy.exchange.collapse import Failed, Flights, NotShared, Settled, Shared
from proxy.exchange.forgetting import Forgetting
from proxy.exchange.job import Job
from proxy.exchange.keeping import keep_freshened
from proxy.exchange.last_fetch import LastFetches
from proxy.exchange.loops import Loops
from proxy.exchange.passing import head_of, unstored, unstored_fields
from proxy.exchange.replies import Exchange, Replies
from proxy.exchange.sharing import Sharing, sent
from proxy.exchange.site import Sites
from proxy.exchange.tunnel import Tunnel, upgrade_fields
from proxy.message.framing import Length, NoBody, UntilClose
from proxy.message.heads import Response
from proxy.policy.cache_status import Outcome, cache_status
from proxy.policy.decisions import (
    AskAgain,
    Detail,
    Discard,
    ForwardReason,
    Freshen,
    PassOn,
    Replace,
    ServeStale,
    Store,
    Storing,
)
from proxy.policy.forwarding import response_fields
from proxy.policy.heading import Outdated, decide_heading
from proxy.policy.identity import is_identified, tells_clients_apart
from proxy.policy.partial import complete
from proxy.policy.patching import patched
from proxy.policy.posting import answers_get
from proxy.policy.preconditions import has_preconditions
from proxy.policy.reuse import terms_asked
from proxy.policy.stored import StoredResponse
from proxy.policy.storing import decide_storing, outdates
from proxy.policy.validation import decide_validation, may_stand_in
from proxy.policy.variants import named
from proxy.upstream.connection import Answer


class Fetcher:
    """Carries out jobs."""

    def __init__(
        self,
        sites: Sites,
        flights: Flights,
        replies: Replies,
        clock: Callable[[], UnixTime],
        last: LastFetches | None = None,
    ) -> None:
        """``last`` is told of each fetch."""
        self._sites = sites
        self._flights = flights
        self._replies = replies
        self._clock = clock
        self._sharing = Sharing(flights, replies, clock)
        self.forgetting = Forgetting(sites, flights)
        self.last = LastFetches() if last is None else last
        self._loops = Loops()

    @property
    def keeping(self) -> int:
        """Return how many bodies are on their way that are to be stored."""
        return self._sharing.keeping

    def begin(self, job: Job, tasks: Tasks) -> bool:
        """Ask the origin as ``run`` does, without a task, where a connection is at hand; False where none is."""
        exchange = job.exchange
        origin = exchange.route.origin
        if exchange.client.body is not None or not origin.is_at_hand or self._offers(job):
            return False
        job.times = (self._asked_at(exchange), job.times[1])
        job.asking = origin.begin(ask_of(job), partial(self._told, job, tasks))
        if job.asking is None:
            return False
        tasks.hold(job.asking)
        return True

    def _told(self, job: Job, tasks: Tasks, result: Answer | UpstreamError | None) -> None:
        """Go on with what has become of a request that was begun."""
        if job.asking is not None:
            tasks.release(job.asking)
        is_over = True
        try:
            if result is None:
                is_over = False
                tasks.start(guarded(job.exchange.client, partial(self.run, job, again=True)))
            elif isinstance(result, UpstreamError):
                self._failed(job, result, None)
            elif not self._taken(job, result):
                is_over = False
                job.validating = job.completing = None
                tasks.start(guarded(job.exchange.client, partial(self.run, job)))
        except Exception as error:  # noqa: BLE001 - there is nobody above us but the loop
            job.exchange.client.abort()
            log_fault(error)
        finally:
            if is_over:
                self.over(job)

    def _taken(self, job: Job, answer: Answer) -> bool:
        job.times = (job.times[0], self._clock())
        try:
            self._received(job, answer)
            return self._settled(job, answer)
        except Exception as error:
            _let_go(job, answer, error)
            raise

    async def run(self, job: Job, *, again: bool = False) -> None:
        """Ask the origin and answer the client; those who wait for the flight are told as soon as the head is there.

        ``again`` says that it was begun, and has to be asked anew.
        """
        exchange = job.exchange
        if not again and self._offers(job):
            job.offered = exchange.route.responses.tags(exchange.primary, self._clock())
        try:
            while True:
                request_time = self._asked_at(exchange)
                origin = exchange.route.origin
                try:
                    answer = await (origin.again if again else origin.send)(ask_of(job))
                except UpstreamError as error:
                    self._failed(job, error, None)
                    return
                job.times = (request_time, self._clock())
                try:
                    if await self._answered(job, answer):
                        return
                except Exception as error:
                    _let_go(job, answer, error)
                    raise
                again = False
                job.validating = job.completing = None
                job.offered = ()
        finally:
            # Whatever happened, nobody waits for ever.
            self.over(job)

    def over(self, job: Job) -> None:
        """Let nobody wait for a job that is over, and remember what became of it."""
        self._leave_flight(job)
        self.last.note(job)

    def _offers(self, job: Job) -> bool:
        """Tell whether the origin may say that another variant answers the request, too."""
        exchange = job.exchange
        rules = exchange.route.rules
        if not rules.validate_variants or not job.whole or job.reason is not ForwardReason.VARY_MISS:
            return False
        # A tag may be the same for all users.
        is_known = is_identified(exchange.request, rules.distinctions)
        return not is_known and not any(tells_clients_apart(vary, rules.distinctions) for vary in exchange.specs or ())

    def _asked_at(self, exchange: Exchange) -> UnixTime:
        """Return the time as the origin is asked, and remember what the storage was like then."""
        if exchange.primary:
            exchange.storing = exchange.route.responses.begun()
        return self._clock()

    async def _answered(self, job: Job, answer: Answer) -> bool:
        """Do what the answer calls for; False when the origin has to be asked again."""
        self._received(job, answer)
        names_one = bool(job.offered) and answer.response.status == 304
        return await self._recognised(job, answer.response) if names_one else self._settled(job, answer)

    def _received(self, job: Job, answer: Answer) -> None:
        _patch(job, answer)
        job.response = answer.response
        if job.validating is not None or job.offered:
            self._replies.validated(answer.response.status)

    def _settled(self, job: Job, answer: Answer) -> bool:
        """Do what the answer calls for; False when the origin has to be asked again, without preconditions."""
        if job.completing is not None:
            return self._completed(job, answer, job.completing)
        subject = job.validating or job.fallback
        if subject is None:
            self._pass_on(job, answer)
            return True
        if job.validating is None and answer.response.status == 304:
            # It answers the client's own preconditions, which went through.
            self._pass_on(job, answer)
            return True
        exchange = job.exchange
        match decide_validation(exchange.request, subject, answer.response, job.times, exchange.route.rules):
            case Freshen() as freshen:
                self._freshened(job, freshen)
            case ServeStale():
                answer.body.abandon()
                self._failed(job, UpstreamError("the origin answered with an error"), answer.response.status)
            case Replace():
                if exchange.request.method == b"HEAD":
                    self._headed(job, answer.response, subject)
                self._pass_on(job, answer)
            case AskAgain():
                return False
            case PassOn():
                self._pass_on(job, answer)
            case never:
                assert_never(never)
        return True

    async def _recognised(self, job: Job, response: Response) -> bool:
        """Answer with the variant that a 304 names; it is stored for what this request varies by, too."""
        exchange = job.exchange
        tag = named(job.offered, response)
        if tag is None:
            return False
        stored = await exchange.route.responses.tagged(exchange.primary, exchange.request, tag, job.times[1])
        if stored is None:
            # It has gone since its tag was noted.
            return False
        decision = decide_validation(exchange.request, stored, response, job.times, exchange.route.rules)
        if isinstance(decision, Freshen):
            self._freshened(job, decision)
        return isinstance(decision, Freshen)

    def _completed(self, job: Job, answer: Answer, part: StoredResponse) -> bool:
        """Answer with what is stored and the rest that comes, where both are of one representation."""
        exchange = job.exchange
        completed = complete(exchange.request, part, answer.response, job.times, exchange.route.rules)
        if completed is not None:
            self._sharing.share(job, answer, completed.stored, completed.retention, part)
            return True
        if answer.response.status in (206, 304, 416):
            # It is about the range that was ours, and the client asked for none.
            answer.body.abandon()
            return False
        self._pass_on(job, answer)
        return True

    def _freshened(self, job: Job, freshen: Freshen) -> None:
        exchange, stored = job.exchange, freshen.stored
        now = job.times[1]
        outcome = job.outcome()
        outcome.forward_status = 304
        outcome.ttl = int(stored.terms.lifetime - stored.terms.age(now))
        if not exchange.asked.no_store and not self._flights.was_invalidated(exchange.primary, job.times[0]):
            until = UnixTime(stored.terms.born + freshen.retention)
            outcome.stored = keep_freshened(exchange, stored, until, job.times, self._flights)
        job.own = list(freshen.own)
        self._replies.stored(exchange, sent(job, stored), outcome, now)
        if job.flight is not None:
            job.flight.land(Settled())

    def _headed(self, job: Job, response: Response, stored: StoredResponse) -> None:
        """Do with a stored response what a 200 to HEAD says of it."""
        exchange = job.exchange
        if exchange.asked.no_store or self._flights.was_invalidated(exchange.primary, job.times[0]):
            return
        match decide_heading(exchange.request, stored, response, job.times, exchange.route.rules):
            case Freshen(fresh, retention):
                keep_freshened(exchange, fresh, UnixTime(fresh.terms.born + retention), job.times, self._flights)
            case Outdated():
                exchange.route.responses.drop(exchange.primary, exchange.request, stored)
            case None:
                pass
            case never:
                assert_never(never)

    def _failed(self, job: Job, error: UpstreamError, status: int | None) -> None:
        if job.flight is not None:
            job.flight.land(Failed(error))
        self.failure(job.exchange, job.outcome(), job.validating or job.fallback, error, status)

    def failure(
        self,
        exchange: Exchange,
        outcome: Outcome,
        fallback: StoredResponse | None,
        error: UpstreamError,
        status: int | None = None,
    ) -> None:
        """Answer for an origin that failed: with what may stand in for it, else with the failure."""
        now = self._clock()
        outcome.forward_status = status
        outcome.cause = str(error)
        if fallback is not None and may_stand_in(exchange.request, fallback, now, exchange.route.rules):
            outcome.detail = Detail.STALE_IF_ERROR
            outcome.ttl = int(fallback.terms.lifetime - fallback.terms.age(now))
            self._replies.stored(exchange, fallback, outcome, now)
            return
        outcome.detail = Detail(error.reason)
        self._replies.error(exchange, error.status, outcome)

    def _pass_on(self, job: Job, answer: Answer) -> None:
        """Pass a new response to the client, and store it if that may be."""
        request = job.exchange.request
        response = answer.response
        if answer.tunnel is not None:
            self._tunnel(job, answer)
            return
        if not request.is_safe:
            self._replace_target(job, response)
            self.forgetting.forget(request, response, job.times[1])
            if job.is_write:
                # Not by what it has changed itself.
                job.exchange.storing = job.exchange.route.responses.begun()
        match self._storing(job, answer):
            case Store() as store:
                self._sharing.store(job, answer, store)
            case Discard(why):
                self._discard(job, answer, why)
            case never:
                assert_never(never)

    def _replace_target(self, job: Job, response: Response) -> None:
        """Let what a write brings take the place of its target, where it says that it may (RFC 9110 §9.3.3)."""
        exchange = job.exchange
        request = exchange.request
        rules = exchange.route.rules
        if not rules.store_post or not answers_get(request, response) or has_preconditions(request):
            return
        if not is_shown_as_keyed(exchange):
            # The application got what no GET with this key would tell it.
            return
        target = replace(request, method=b"GET")
        route = self._sites.route(target)
        primary = route.key(target)
        if route is exchange.route and not route.bypass and not self._flights.was_invalidated(primary, job.times[0]):
            exchange.primary = primary
            exchange.asked = terms_asked(request, rules)
            job.is_write = True

    def _storing(self, job: Job, answer: Answer) -> Storing:
        exchange = job.exchange
        response = answer.response
        is_loop = 300 <= response.status < 400 and self._loops.sees(exchange.request, response)
        if not exchange.primary:
            # It bypasses the cache: there is no key that anybody would select it by.
            return Discard(job.detail or Detail.METHOD)
        if is_loop:
            return Discard(Detail.UNTRUSTED_PROXY)
        storing = decide_storing(exchange.request, exchange.asked, response, job.times, exchange.route.rules)
        if isinstance(storing, Store) and isinstance(answer.framing, UntilClose):
            return Discard(Detail.UNDELIMITED)
        return storing

    def _discard(self, job: Job, answer: Answer, why: Detail) -> None:
        exchange = job.exchange
        response = answer.response
        now = job.times[1]
        if job.key is not None and response.status != 304 and response.status < 500:
            # A 304 to the client's own preconditions, or a failure, says nothing about the page.
            self._flights.remember_uncacheable(job.key, now)
        rules = exchange.route.rules
        if job.fallback is not None and outdates(exchange.request, job.fallback, response, why, rules):
            exchange.route.responses.drop(exchange.primary, exchange.request, job.fallback)
        self._leave_flight(job)
        exchange.client.endless = response.is_event_stream
        outcome = job.outcome()
        outcome.forward_status = response.status
        if exchange.request.method == b"GET" and (response.status != 304 or job.detail is None):
            # That a 304 is not stored is no news; why the origin judged the client's conditions is.
            outcome.detail = why
        head = head_of(response, unstored_fields(exchange, response, job.times))
        evaluate = job.whole and has_preconditions(exchange.request)
        whole = answer.body.whole if isinstance(answer.framing, Length | NoBody) and not evaluate else None
        if whole is not None:
            self._replies.whole(exchange, response.status, head, whole, outcome)
            return
        passing = unstored(response, head, now)
        body = Body(answer.body, None, _nothing)
        answer.body.attach(body)
        self._replies.stream(exchange, passing, body, answer.framing, outcome, evaluate=evaluate)

    def _tunnel(self, job: Job, answer: Answer) -> None:
        exchange = job.exchange
        if answer.tunnel is None:
            return
        outcome = job.outcome()
        outcome.forward_status = 101
        fields = answer.response.fields
        upgrade = upgrade_fields(fields, fields.get(b"upgrade") or b"")
        head = head_of(answer.response, [*response_fields(fields, answer.response.minor), *upgrade])
        tunnel = Tunnel(
            exchange.client, answer.body, answer.tunnel, lambda size: self._replies.count(exchange, 101, outcome, size)
        )
        tunnel.start(head + cache_status(outcome))

    def _leave_flight(self, job: Job) -> None:
        """Let nobody join any more, unless a body is on its way, and let those who wait go on by themselves."""
        flight = job.flight
        if flight is None or job.key is None:
            return
        flight.land(NotShared())
        if not isinstance(flight.landing, Shared):
            self._flights.close(job.key, flight)
            flight.let_go()


def _patch(job: Job, answer: Answer) -> None:
    """Write what the route says into the response, as if the origin had said it."""
    patches = job.exchange.route.patches
    if patches is not None and answer.tunnel is None:
        response = answer.response
        response.fields = patched(response.fields, patches, job.times[1], update=response.status == 304)


def _let_go(job: Job, answer: Answer, error: Exception) -> None:
    """After a fault of ours, let nobody wait for what comes of this answer: neither who joined nor the connection."""
    answer.body.abandon()
    landing = None if job.flight is None else job.flight.landing
    if isinstance(landing, Shared) and not landing.body.ended:
        landing.body.fail(error)


def _nothing(whole: bytes | None) -> None:
    """Nobody waits for the end of a body that is not stored."""
