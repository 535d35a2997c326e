"""What does the driver need around it to be tested? A list-made origin, clients that record, a clock one can turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.config.model import ClientCacheControl
from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.errors import UpstreamError
from proxy.exchange.answer import Driver
from proxy.exchange.client import FarEnd
from proxy.exchange.collapse import Flights
from proxy.exchange.counters import Counters, Entry
from proxy.exchange.fetch import Fetcher
from proxy.exchange.replies import Replies
from proxy.exchange.site import Route, Sites
from proxy.message.fields import Fields, RawField
from proxy.message.framing import CHUNKED, NO_BODY, Framing, Length
from proxy.message.heads import Request, Response
from proxy.message.stream import Arriving
from proxy.policy.key import Distinctions
from proxy.policy.rules import Rules
from proxy.storage.memory import PageMemory
from proxy.storage.responses import MemoryResponses, Responses
from proxy.upstream.body import ResponseBody
from proxy.upstream.connection import Answer, Ask

NOW = UnixTime(1_000_000_000.0)
"""Sun, 09 Sep 2001 01:46:40 GMT"""
EARLIER = "Sun, 09 Sep 2001 00:46:40 GMT"

RULES = Rules(
    site_lifetime=Seconds(600),
    stale_if_error=Seconds(3600),
    stored_body=Bytes(1000),
    client_cache_control=ClientCacheControl.HONOUR,
    distinctions=Distinctions(("_ga", "_ga_*")),
)

_ROUNDS = 40
"""Turns of the loop after which nothing moves any more, however many wait for each other."""


async def settled() -> None:
    """Let everything run that can run without news from outside."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)


@dataclass
class Clock:
    now: UnixTime = NOW

    def __call__(self) -> UnixTime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now = UnixTime(self.now + seconds)


def fields(*lines: str) -> Fields:
    pairs = [line.partition(":") for line in lines]
    return Fields([(name.encode("latin-1"), value.strip(" ").encode("latin-1")) for name, _, value in pairs])


def request(target: str = "/page", *lines: str, method: str = "GET", **changes: Any) -> Request:
    plain = Request(method.encode(), target.encode(), fields(*lines), NO_BODY, b"site.test", peer="192.0.2.1")
    return replace(plain, **changes)


class Wire:
    """The connection a response body comes over: it remembers what it was told."""

    def __init__(self) -> None:
        self.paused = False
        self.abandoned = False

    def pause_body(self) -> None:
        self.paused = True

    def resume_body(self) -> None:
        self.paused = False

    def abandon_body(self) -> None:
        self.abandoned = True


class Coming:
    """A response whose body the test feeds."""

    def __init__(self, response: Response, framing: Framing, tunnel: Any = None) -> None:
        self.wire = Wire()
        self.body = ResponseBody(self.wire)
        self.answer = Answer(response, self.body, framing, tunnel)

    def feed(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.body.give(chunk)

    def end(self, *trailers: RawField) -> None:
        self.body.finish(trailers)

    def fail(self, error: Exception) -> None:
        self.body.finish((), error)


Script = Callable[[Ask], Awaitable[Answer]]


def coming(*lines: str, status: int = 200, framing: Framing = CHUNKED, tunnel: Any = None) -> Coming:
    """A response of which the head is there."""
    if isinstance(framing, Length):
        lines = (*lines, f"content-length: {framing.size}")
    return Coming(Response(status, b"OK", fields(*lines)), framing, tunnel)


def whole(*lines: str, body: bytes = b"0123456789", status: int = 200, framing: Framing | None = None) -> Coming:
    """A response that comes at once, with its length unless another framing is given."""
    if status in (204, 304):
        answer = coming(*lines, status=status, framing=NO_BODY)
    else:
        answer = coming(*lines, status=status, framing=Length(len(body)) if framing is None else framing)
        if body:
            answer.feed(body)
    answer.end()
    return answer


class Gate:
    """A request that the origin holds until the test says what becomes of it."""

    def __init__(self) -> None:
        self.ask: Ask | None = None
        self._answer: asyncio.Future[Coming] = asyncio.get_running_loop().create_future()

    def open(self, answer: Coming | Exception) -> None:
        if isinstance(answer, Exception):
            self._answer.set_exception(answer)
        else:
            self._answer.set_result(answer)

    async def pass_through(self, ask: Ask) -> Answer:
        self.ask = ask
        return (await self._answer).answer


Given = Coming | Exception | Gate


class Reached:
    """An origin that is asked without a task where ``is_at_hand``, and answers what its ``send`` does."""

    is_at_hand = True

    def begin(self, ask: Ask, told: Callable[[Answer | UpstreamError | None], None]) -> Waiting | None:
        """Answer later, or not at all where nobody waits any more."""
        return Waiting(asyncio.create_task(self._tell(ask, told))) if self.is_at_hand and ask.repeatable else None

    async def _tell(self, ask: Ask, told: Callable[[Answer | UpstreamError | None], None]) -> None:
        try:
            answer = await self.send(ask)
        except UpstreamError as error:
            told(error)
        except Exception:  # noqa: BLE001 - whatever a fault of ours is
            told(faulty())
        else:
            told(answer)

    async def send(self, ask: Ask) -> Answer:
        raise NotImplementedError

    async def again(self, ask: Ask) -> Answer:
        return await self.send(ask)


def faulty() -> Answer:
    """An answer that cannot be passed on without a fault of ours."""
    broken = Fields([])
    broken.raw.append(None)  # type: ignore[arg-type]
    return Answer(Response(200, b"OK", broken), whole().body, NO_BODY)


@dataclass
class Waiting:
    """A request that was begun."""

    task: asyncio.Task[None]

    __hash__ = object.__hash__

    def close(self) -> None:
        self.task.cancel()


@dataclass
class Origin(Reached):
    """An origin that gives the answers of a list, one after the other, and remembers what it was asked."""

    answers: list[Given] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)

    async def send(self, ask: Ask) -> Answer:
        self.asked.append(ask)
        if not self.answers:
            raise AssertionError(f"the origin was asked once too often: {ask.head!r}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Gate):
            return await answer.pass_through(ask)
        if ask.method == b"HEAD":
            return Answer(answer.answer.response, whole(status=204).body, NO_BODY)
        return answer.answer

    def fields(self, number: int = -1) -> Fields:
        """Return the fields of a request that was asked."""
        return _head_fields(self.asked[number].head)


def _head_fields(head: bytes) -> Fields:
    lines = head.split(b"\r\n")[1:]
    pairs = [line.partition(b": ") for line in lines if line]
    return Fields([(name, value) for name, _, value in pairs])


class Client:
    """The client of one exchange: it fits ``proxy.exchange.client.Client`` and records what it got."""

    def __init__(self, body: Arriving | None = None) -> None:
        self.body = body
        self.gone = False
        self.blocked = False
        self.endless = False
        self.on_writable: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None
        self.head = b""
        self.content = b""
        self.framing: Framing | None = None
        self.trailers: Sequence[RawField] = ()
        self.interims: list[int] = []
        self.is_whole = False
        self.is_aborted = False
        self.far: FarEnd | None = None
        self.reads = True

    # What the test asks.

    @property
    def status(self) -> int:
        assert self.head, "no head has come"
        return int(self.head.split(b" ", 2)[1])

    @property
    def fields(self) -> Fields:
        return _head_fields(self.head)

    @property
    def age(self) -> int | None:
        value = self.fields.get(b"age")
        return None if value is None else int(value)

    @property
    def cache_status(self) -> str:
        return (self.fields.get(b"cache-status") or b"").decode().removeprefix("sitecache; ")

    @property
    def detail(self) -> str | None:
        _, found, detail = self.cache_status.partition("detail=")
        return detail if found else None

    @property
    def got(self) -> tuple[int, bytes, bool]:
        """Status, body, and whether it is whole."""
        return self.status, self.content, self.is_whole

    # What the test does.

    def block(self) -> None:
        self.blocked = True

    def unblock(self) -> None:
        self.blocked = False
        if self.on_writable is not None:
            self.on_writable()

    def leave(self) -> None:
        self.gone = True
        if self.on_gone is not None:
            self.on_gone()

    # The seam.

    def respond(self, head: bytes, tail: bytes, body: bytes) -> None:
        self._started(head + tail)
        assert tail.endswith(b"\r\n\r\n") or tail == b"\r\n", tail
        self.content = body
        self.is_whole = True

    def interim(self, response: Response) -> None:
        self.interims.append(response.status)

    def begin(self, head: bytes, framing: Framing) -> None:
        self._started(head)
        self.framing = framing

    def flush(self) -> None:
        assert self.head

    def write(self, data: bytes | memoryview) -> None:
        self._open()
        self.content += data

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        self._open()
        self.is_whole = True
        self.trailers = trailers

    def abort(self) -> None:
        self.is_aborted = True

    def switch(self, head: bytes, far: FarEnd) -> None:
        self._started(head)
        self.far = far

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def _started(self, head: bytes) -> None:
        assert not self.head, "a second head"
        assert head.endswith(b"\r\n")
        self.head = head

    def _open(self) -> None:
        assert self.head, "a body before its head"
        assert not self.is_whole, "bytes behind the end"
        assert not self.is_aborted, "bytes behind the end"


class Bench:
    """A driver and everything around it."""

    def __init__(
        self,
        *answers: Given,
        storage: Responses | None = None,
        variants: int = 128,
        route: Mapping[str, Any] | None = None,
        **rules: Any,
    ) -> None:
        self.rules = replace(RULES, **rules)
        self.clock = Clock()
        self.origin = Origin(list(answers))
        self.memory = PageMemory(self.clock, max_entries=None)
        self.responses = storage or MemoryResponses(self.memory, self.rules.distinctions, variants)
        self.entries: list[Entry] = []
        self.counters = Counters(self.entries.append)
        self.flights = Flights()
        plain = Route(self.origin, self.responses, self.rules, b"")  # type: ignore[arg-type]  # fits what is used of it
        sites = self.sites(replace(plain, **(route or {})))
        replies = Replies(self.counters, self.clock)
        fetcher = Fetcher(sites, self.flights, replies, self.clock)
        self.driver = Driver(sites, fetcher, self.flights, replies, self.counters, self.clock)

    def sites(self, plain: Route) -> Sites:
        """Return the sites there are."""
        return Sites.of(plain)

    def give(self, *answers: Given) -> None:
        self.origin.answers.extend(answers)

    def start(self, asked: Request, client: Client | None = None) -> Client:
        """Hand a request to the driver; the client may have its answer when this returns."""
        client = client or Client()
        self.driver.handle(asked, client)
        return client

    async def ask(self, asked: Request, client: Client | None = None) -> Client:
        """Hand a request to the driver and let it run as far as it can."""
        client = self.start(asked, client)
        await settled()
        return client

    async def get(self, target: str = "/page", *lines: str, **changes: Any) -> Client:
        """Ask with GET."""
        return await self.ask(request(target, *lines, **changes))

    async def crowd(self, requests: Iterable[Request]) -> list[Client]:
        """Hand over many requests before any of them can be answered."""
        clients = [self.start(asked) for asked in requests]
        await settled()
        return clients

    @property
    def times_asked(self) -> int:
        return len(self.origin.asked)
