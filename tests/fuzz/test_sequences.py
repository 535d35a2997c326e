"""Does any sequence of requests, answers and waits make the cache serve what it must not?

The origin writes into each response who asked for what, and under which terms; what a client gets is judged by that
record alone, with rules written from RFC 9111 and DESIGN §5, not with the policy's own code.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.errors import UpstreamTimeout
from proxy.message.framing import CHUNKED, UNTIL_CLOSE, Length
from proxy.upstream.connection import Answer, Ask
from tests.exchange.making import RULES, Bench, Client, Clock, Reached, _head_fields, request, settled, whole

USERS = {
    "anonymous": [],
    "alice": ["cookie: s=alice"],
    "bob": ["cookie: s=bob; _ga=1"],
    "carol": ["authorization: Basic Y2Fyb2w="],
    "tracked": ["cookie: _ga=2"],
}
TARGETS = ["/a", "/b", "/a?b"]
LANGUAGES = ["de", "en"]


@dataclass(frozen=True)
class Shape:
    """What the origin says about one response."""

    max_age: int | None = None
    s_maxage: int | None = None
    words: frozenset[str] = frozenset()
    while_revalidate: int | None = None
    if_error: int | None = None
    vary: str | None = None
    set_cookie: bool = False
    etag: bool = False
    age: int = 0
    status: int = 200
    framing: str = "length"

    @property
    def is_explicit(self) -> bool:
        return self.max_age is not None or self.s_maxage is not None

    @property
    def is_sharable(self) -> bool:
        """It says that it is for others: neither "stale at once" nor "ask me on each use" does."""
        stated = self.max_age if self.s_maxage is None else self.s_maxage
        return "public" in self.words or (bool(stated) and "no-cache" not in self.words)

    @property
    def lifetime(self) -> float:
        if self.s_maxage is not None:
            return self.s_maxage
        return RULES.site_lifetime if self.max_age is None else self.max_age

    @property
    def never_stale(self) -> bool:
        return bool(self.words & {"must-revalidate", "no-cache"}) or self.s_maxage is not None

    @property
    def is_for_one(self) -> bool:
        return bool(self.words & {"private", "no-store"}) or self.vary == "*" or self.set_cookie

    @property
    def may_answer_credentials(self) -> bool:
        return bool(self.words & {"public", "must-revalidate"}) or self.s_maxage is not None

    def lines(self, serial: int) -> list[str]:
        numbers = {
            "max-age": self.max_age,
            "s-maxage": self.s_maxage,
            "stale-while-revalidate": self.while_revalidate,
            "stale-if-error": self.if_error,
        }
        said = [f"{name}={number}" for name, number in numbers.items() if number is not None] + sorted(self.words)
        lines = [f"x-serial: {serial}"]
        lines += [f"cache-control: {', '.join(said)}"] if said else []
        lines += [f"vary: {self.vary}"] if self.vary else []
        lines += [f'etag: "{serial}"'] if self.etag else []
        lines += [f"age: {self.age}"] if self.age else []
        return lines + (["set-cookie: s=new"] if self.set_cookie else [])


@dataclass
class Made:
    """One response the origin made, and for whom."""

    shape: Shape
    target: str
    user: str
    language: str
    asked_at: float
    born: float
    event: int
    """When it was last sent, or said to hold, in the order of things."""


@dataclass
class Plan:
    """How the origin answers next."""

    shape: Shape
    still_holds: bool
    fails: bool
    waits: bool


class Origin(Reached):
    """An origin that follows plans and keeps a record."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.plan = Plan(Shape(), False, False, False)
        self.made: list[Made] = []
        self.events = 0
        self.failed_at = -1
        self.written: dict[str, float] = {}
        self._held: list[asyncio.Future[None]] = []

    @property
    def is_at_hand(self) -> bool:  # type: ignore[override]
        """Every other time, so that both ways of asking are gone."""
        return self.events % 2 == 0

    def release(self) -> None:
        held, self._held = self._held, []
        for one in held:
            one.set_result(None)

    async def send(self, ask: Ask) -> Answer:
        plan = self.plan
        asked_at = self._clock()
        if plan.waits and ask.method == b"GET":
            one: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._held.append(one)
            await one
        self.events += 1
        if plan.fails:
            self.failed_at = self.events
            raise UpstreamTimeout("as planned")
        target = ask.head.split(b" ", 2)[1].decode()
        if ask.method == b"POST":
            self.written[target] = self._clock()
            return whole().answer
        fields = _head_fields(ask.head)
        holds = fields.get(b"if-none-match")
        if plan.still_holds and holds is not None:
            serial = int(holds.strip(b'"'))
            made = self.made[serial]
            made.born, made.event, made.asked_at = self._clock() - made.shape.age, self.events, asked_at
            return whole(*made.shape.lines(serial), status=304).answer
        return self._make(plan.shape, ask, fields, target, asked_at)

    def _make(self, shape: Shape, ask: Ask, fields: Any, target: str, asked_at: float) -> Answer:
        if shape.status == 503:
            self.failed_at = self.events
        serial = len(self.made)
        user = _user(fields)
        language = (fields.get(b"accept-language") or b"").decode()
        self.made.append(Made(shape, target, user, language, asked_at, self._clock() - shape.age, self.events))
        body = b"" if ask.method == b"HEAD" else _body(serial)
        framing = {"length": Length(len(body)), "chunked": CHUNKED, "until-close": UNTIL_CLOSE}[shape.framing]
        return whole(*shape.lines(serial), status=shape.status, body=body, framing=framing).answer


def _user(fields: Any) -> str:
    cookie = fields.get(b"cookie") or b""
    if fields.get(b"authorization"):
        return "carol"
    return "alice" if b"alice" in cookie else "bob" if b"bob" in cookie else "anonymous"


def _body(serial: int) -> bytes:
    return b"body of %06d" % serial


@dataclass
class Visit:
    """One request on its way."""

    user: str
    target: str
    language: str
    wish: str
    client: Client
    started: float
    since: int
    tag: str | None
    is_judged: bool = False


@dataclass
class Play:
    """A bench on which a sequence is played, and every answer judged."""

    bench: Bench = field(default_factory=lambda: Bench(stored_body=1000))
    visits: list[Visit] = field(default_factory=list)
    tags: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.origin = Origin(self.bench.clock)
        self.bench.origin.send = self.origin.send  # type: ignore[method-assign]

    async def step(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("turn", seconds):
                self.bench.clock.turn(seconds)
            case ("release",):
                self.bench.clock.turn(1)
                self.origin.release()
            case ("write", target):
                self.bench.clock.turn(1)
                self.bench.start(request(target, method="POST"))
            case ("visits", visits):
                self.bench.clock.turn(1)
                for visit in visits:
                    self.visit(*visit)
        await settled()
        self.judge()

    def visit(self, user: str, target: str, language: str, wish: str, extra: str) -> None:
        lines = [*USERS[user], f"accept-language: {language}"]
        lines += [f"cache-control: {wish}"] if wish else []
        tag = self.tags.get((user, target, language)) if extra == "tag" else None
        lines += [f"if-none-match: {tag}"] if tag else []
        lines += ["range: bytes=2-4"] if extra == "range" else []
        method = "HEAD" if extra == "head" else "GET"
        known = "anonymous" if user == "tracked" else user
        client = Client()
        visit = Visit(known, target, language, wish, client, self.bench.clock(), self.origin.events, tag)
        self.visits.append(visit)
        self.bench.start(request(target, *lines, method=method), client)

    def judge(self) -> None:
        """Judge every visit that is over."""
        for visit in self.visits:
            if not visit.is_judged and visit.client.is_whole:
                visit.is_judged = True
                self.judge_visit(visit)
            assert not visit.client.is_aborted

    def judge_visit(self, visit: Visit) -> None:
        client = visit.client
        if client.status == 304:
            assert client.fields.get(b"etag") == (visit.tag or "").encode()
            return
        serial = client.fields.get(b"x-serial")
        if serial is None:
            assert client.status in (416, 502, 504)
            return
        made = self.origin.made[int(serial)]
        if made.shape.etag:
            self.tags[visit.user, visit.target, visit.language] = f'"{int(serial)}"'
        expected = _body(int(serial))
        assert client.content in (b"", expected, expected[2:5])
        judge_answer(visit, made, self)


def judge_answer(visit: Visit, made: Made, play: Play) -> None:
    """Say whether this response may reach this client now."""
    shape = made.shape
    assert made.target == visit.target, "two URLs share a response"
    is_new = made.event > visit.since
    if made.user == visit.user and is_new:
        return
    assert not shape.is_for_one, "shared or stored although it is for one"
    assert shape.framing != "until-close"
    assert shape.status == 200 or shape.is_explicit
    if shape.vary == "accept-language":
        assert made.language == visit.language
    if made.user != visit.user:
        assert shape.is_sharable, "one user's response reached another, and the origin did not call it shared"
        if shape.vary == "cookie":
            # Carol has credentials, and no cookie.
            assert {made.user, visit.user} == {"carol", "anonymous"}
    if made.user == "carol":
        assert shape.may_answer_credentials
        assert shape.is_sharable
    if made.user in ("alice", "bob"):
        assert shape.is_sharable or shape.vary == "cookie"
    written = play.origin.written.get(visit.target)
    if written is not None and written < visit.started:
        assert made.asked_at > written, "outdated by a write"
    if not is_new:
        judge_age(visit, made, play)


def judge_age(visit: Visit, made: Made, play: Play) -> None:
    """Say whether a stored response was young enough; it was judged at the end of the visit, so not by the clock."""
    shape = made.shape
    has_failed = play.origin.failed_at > visit.since
    staleness = visit.started - made.born - shape.lifetime
    age = visit.client.age
    assert age is not None
    assert age >= int(visit.started - made.born)
    if staleness >= 0 or "no-cache" in shape.words:
        assert not shape.never_stale, "stale although it forbids that"
        if_error = RULES.stale_if_error if shape.if_error is None else shape.if_error
        assert (
            staleness < (shape.while_revalidate or 0)
            or visit.wish == "max-stale"
            or (has_failed and staleness < if_error)
        ), "served stale without a reason"
    if not has_failed:
        assert visit.wish != "no-cache"
        if visit.wish == "max-age=3":
            assert visit.started - made.born <= 3


def _often(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Draw the usual one half of the time: sequences in which everything is odd at once reach nothing."""
    return st.sampled_from([usual] * len(others) + list(others))


SHAPES = st.builds(
    Shape,
    max_age=st.sampled_from([None, 0, 5, 60]),
    s_maxage=_often(None, None, 10),
    words=_often("", "private", "no-store", "no-cache", "public", "must-revalidate").map(
        lambda word: frozenset({word} - {""})
    ),
    while_revalidate=_often(None, None, 20),
    if_error=st.sampled_from([None, 0, 30]),
    vary=_often(None, "accept-language", "cookie", "*"),
    set_cookie=_often(False, False, False, True),
    etag=st.booleans(),
    age=_often(0, 0, 4),
    status=_often(200, 200, 404, 503),
    framing=_often("length", "length", "chunked", "until-close"),
)
RARELY = _often(False, False, True)
PLANS = st.builds(Plan, SHAPES, st.booleans(), RARELY, RARELY)
VISITS = st.tuples(
    st.sampled_from(list(USERS)),
    _often(TARGETS[0], *TARGETS[1:]),
    _often(*LANGUAGES),
    _often("", "", "no-cache", "max-age=3", "max-stale", "no-store", "only-if-cached"),
    _often("", "", "head", "tag", "range"),
)
CROWDS = st.lists(VISITS, min_size=1, max_size=4)
ROUNDS = st.lists(
    st.tuples(
        # What the origin does from now on, if that changes; who comes; what happens then.
        st.one_of(st.none(), PLANS),
        CROWDS,
        st.one_of(
            st.tuples(st.just("turn"), st.sampled_from([0, 1, 4, 11, 30, 61, 700])),
            st.tuples(st.just("turn"), st.sampled_from([0, 1, 4])),
            st.tuples(st.just("write"), _often(TARGETS[0], *TARGETS[1:])),
            st.tuples(st.just("release")),
        ),
    ),
    min_size=3,
    max_size=12,
)


@given(PLANS, ROUNDS)
@settings(max_examples=1200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
async def test_nothing_is_served_that_must_not_be(first: Plan, rounds: list[tuple[Any, ...]]) -> None:
    play = Play()
    play.origin.plan = first
    for plan, crowd, then in rounds:
        play.origin.plan = plan or play.origin.plan
        await play.step(("visits", crowd))
        await play.step(then)
    play.origin.plan = replace(play.origin.plan, waits=False)
    await play.step(("release",))
    assert all(visit.is_judged for visit in play.visits), "somebody waits for ever"
    assert len(play.bench.driver.tasks) == 0
    assert len(play.bench.flights) == 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        pytest.param(Shape(words=frozenset({"private"})), "for one", id="private"),
        pytest.param(Shape(max_age=1, words=frozenset({"must-revalidate"})), "forbids", id="stale"),
        pytest.param(Shape(max_age=1, if_error=0), "without a reason", id="stale-too"),
        pytest.param(Shape(), "did not call it shared", id="another-user"),
    ],
)
def test_the_judge_is_not_blind(wrong: Shape, why: str) -> None:
    play = Play()
    client = Client()
    client.head = b"HTTP/1.1 200 OK\r\nAge: 100\r\n"
    now = play.bench.clock()
    user = "alice" if "shared" in why else "anonymous"
    visit = Visit("anonymous", "/a", "de", "", client, now, 5, None)
    with pytest.raises(AssertionError, match=why):
        judge_answer(visit, Made(wrong, "/a", user, "de", now - 50, now - 50, 1), play)
