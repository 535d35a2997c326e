"""Does anything configured make the cache serve or keep what it must not: routes, languages, queries, the letter?

Crowds of requests, with wishes of their own, against storages in memory and behind bytes. The origin records what it
made for whom, and may keep them waiting; ``judging`` says what of it they may get.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.exchange.site import Route, Sites
from proxy.policy.key import Distinctions
from proxy.policy.stored import StoredResponse
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.storage.memory import PageMemory
from proxy.storage.responses import MemoryResponses, Responses
from tests.exchange.making import Bench, Client, Clock, request, settled
from tests.exchange.remotes import Counting, remote
from tests.fuzz.judging import (
    SEARCHES,
    WISHES,
    Visit,
    born,
    forbidden,
    judge,
    judge_asking,
    judge_error,
    shares_cookies,
)
from tests.fuzz.worlds import (
    HOSTS,
    MOST_TARGETS,
    TARGETS,
    USERS,
    WORLDS,
    Asked,
    Made,
    Origin,
    Plan,
    Said,
    body_of,
    config,
    mark,
)

_MARK = re.compile(rb"mark-(\d{6})")


class World(Bench):
    """A driver with the sites of a world, whose origin keeps a record."""

    def __init__(self, world: str, kind: str, places: Sequence[int] = (0,)) -> None:
        self.world = world
        self.places = places
        """Where clients go, of all targets: to neighbours, so that they meet."""
        self.kind = kind
        self.memories: list[PageMemory] = []
        self.backends: list[Counting] = []
        self.found: dict[str, Responses] = {}
        super().__init__()
        self.record = Origin(self.clock)
        self.origin.send = self.record.send  # type: ignore[method-assign]
        self.visits = 0
        self.given: dict[int, set[int]] = {}
        """The visits that got a response."""

    def sites(self, plain: Route) -> Sites:
        del plain
        return sites_of(Parts(config(self.world), self._of, lambda _: self.origin))  # type: ignore[arg-type,return-value]

    def _of(self, alias: str) -> Responses:
        if alias not in self.found:
            distinctions = distinctions_of(config(self.world))
            self.found[alias] = self._responses(distinctions).told_apart_by(distinctions)
        return self.found[alias]

    def _responses(self, distinctions: Distinctions) -> Responses:
        if self.kind == "remote":
            self.backends.append(Counting(self.clock))
            return remote(self.backends[-1])
        self.memories.append(PageMemory(self.clock, max_entries=None))
        return MemoryResponses(self.memories[-1], distinctions, 128)

    def kept(self) -> Iterator[bytes]:
        """Everything that lies in the storages, as bytes."""
        for backend in self.backends:
            yield from (held for held, _, _ in backend._slots.values() if isinstance(held, bytes))
        for memory in self.memories:
            responses = (kept.value for kept in memory.kept.values() if isinstance(kept.value, StoredResponse))
            yield from (response.head + response.body for response in responses)

    async def step(self, crowd: Sequence[tuple[str, str, int, str, str, str]], waiting: float) -> None:
        """Have a crowd come at once, and see what it gets when nobody waits any more."""
        self.record.is_open = False
        visits = [self.begin(*one) for one in crowd]
        await settled()
        if self.record._waiting:
            self.clock.turn(waiting)
        while self.record.release():
            await settled()
        for visit, client in visits:
            self.judge(visit, client)
        self.judge_storage()

    def begin(self, user: str, host: str, place: int, language: str, extra: str, wish: str) -> tuple[Visit, Client]:
        targets = TARGETS[self.world]
        target = targets[self.places[place % len(self.places)] % len(targets)]
        self.visits += 1
        lines = [f"host: {host}", *USERS[user], f"accept-language: {language}", f"x-visit: {self.visits}"]
        lines += ["range: bytes=2-4"] if extra == "range" else []
        lines += ["pragma: no-cache"] if wish == "pragma" else [f"cache-control: {wish}"] if wish else []
        method = extra if extra in ("HEAD", "POST") else "GET"
        visit = Visit(
            *(self.visits, user, host, target, language, method, wish), since=self.record.events, started=self.clock()
        )
        return visit, self.start(request(target, *lines, method=method, host=host.encode()))

    def judge(self, visit: Visit, client: Client) -> None:
        assert client.is_whole, "somebody waits for ever"
        found = client.fields.get(b"x-serial")
        made = None if found is None else self.record.made[int(found)]
        judge_asking(self.world, visit, self.record, made)
        if found is None or made is None:
            judge_error(self.world, visit, client.status, self.record)
            return
        self.judge_message(visit, client, int(found), made)
        judge(self.world, visit, made, self.record)
        got = self.given.setdefault(int(found), set())
        got.add(visit.number)
        assert len(got) == 1 or not forbidden(self.world, made), "two got what is for one"
        if made.event <= visit.since:
            assert client.age is not None
            assert client.age >= int(visit.started - born(self.world, made))

    def judge_message(self, visit: Visit, client: Client, serial: int, made: Made) -> None:
        body = body_of(serial)
        expected = body[2:5] if client.status == 206 else body
        assert client.content == (b"" if visit.method == "HEAD" else expected)
        length = client.fields.get(b"content-length")
        assert length is None or int(length) == len(expected), "another length than the body's"
        cookie = client.fields.get(b"set-cookie")
        is_own = cookie in (None, b"s=%d" % visit.number)
        assert is_own or shares_cookies(self.world, made), "another's cookie"

    def judge_storage(self) -> None:
        for serial in {int(found) for held in self.kept() for found in _MARK.findall(held)}:
            assert not forbidden(self.world, self.record.made[serial]), "it lies in the storage"


def often(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Draw the usual one three times in four: where everything is odd at once, nothing is ever stored."""
    return st.sampled_from([usual] * (3 * len(others)) + list(others))


SAID = st.builds(
    Said,
    max_age=st.sampled_from([None, 0, 5, 60, 60, 60]),
    s_maxage=often(None, 10),
    expires=st.sampled_from([None, 20]),
    targeted=often(None, "max-age=40", "no-store", "private"),
    word=often("", "private", "no-store", "no-cache", "public", "must-revalidate"),
    while_revalidate=often(0, 20),
    modified=often(None, 100, 1000),
    vary=often(None, "accept-language", "cookie", "*"),
    set_cookie=often(False, True),
    etag=st.booleans(),
    status=often(200, 404, 503),
    group=st.booleans(),
    same=st.booleans(),
    age=often(0, 4),
    dated=often(0, 4, 7),
    search=st.sampled_from([None, *SEARCHES]),
)
PLACES = st.integers(0, MOST_TARGETS - 1).map(lambda first: range(first, first + 3))
PLANS = st.builds(Plan, SAID, st.booleans(), often(False, True), st.booleans(), often(False, True))
VISITS = st.tuples(
    st.sampled_from(list(USERS)),
    often(*HOSTS),
    st.integers(0, 2),
    often("en", "de"),
    often("", "HEAD", "POST", "range"),
    st.one_of(st.just(""), st.sampled_from(list(WISHES))),
)
STEPS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.none(), PLANS),
        st.one_of(st.lists(VISITS, min_size=1, max_size=1), st.lists(VISITS, min_size=2, max_size=4)),
        # While the origin keeps them waiting, and behind it.
        often(1, 0, 6),
        often(1, 0, 6, 11, 16, 21, 41, 61, 700, 5000),
    ),
    min_size=5,
    max_size=16,
)


@pytest.mark.parametrize("kind", ["memory", "remote"])
@pytest.mark.parametrize("world", list(WORLDS))
@given(places=PLACES, first=PLANS, steps=STEPS)
@settings(max_examples=110, deadline=None, suppress_health_check=list(HealthCheck))
async def test_nothing_is_served_or_kept_that_must_not_be(
    world: str, kind: str, places: range, first: Plan, steps: list[tuple[Any, ...]]
) -> None:
    bench = World(world, kind, places)
    bench.record.plan = first
    for plan, crowd, waiting, seconds in steps:
        bench.record.plan = plan or bench.record.plan
        await bench.step(crowd, waiting)
        bench.clock.turn(seconds)


@pytest.mark.parametrize("kind", ["memory", "remote"])
async def test_the_storage_shows_what_is_kept(kind: str) -> None:
    bench = World("plain", kind)
    bench.record.plan = Plan(Said(max_age=60))
    await bench.step([("anonymous", "one.test", 0, "en", "", "")], 0)
    assert mark(0).encode() in b"\n".join(bench.kept())


NOW = 1_000_000_000.0
FRESH = Said(max_age=60)


def made_for(user: str = "anonymous", said: Said = FRESH, target: str = "/a", **changes: Any) -> Made:
    """Return what was made for the first visit, 20 seconds before the second."""
    asked = {"method": "GET", "language": "en", "wish": "", **changes}
    return Made(said, Asked(1, "one.test", target, user=user, event=1, **asked), NOW - 20, 2, 1)


@pytest.mark.parametrize(
    ("world", "made", "wish", "why"),
    [
        pytest.param("plain", made_for(), "", None, id="fresh"),
        pytest.param("plain", made_for(target="/a?x=1"), "", "two resources", id="another-url"),
        pytest.param("queries", made_for(target="/a?u2"), "", None, id="an-ignored-parameter"),
        pytest.param("queries", made_for(target="/a?x=1"), "", "two resources", id="a-parameter"),
        pytest.param("search", made_for(target="/a?u=1"), "", "two resources", id="nothing-said-of-queries"),
        pytest.param("search", made_for(said=Said(max_age=60, search="except=()"), target="/a?u"), "", None, id="all"),
        pytest.param("plain", made_for(said=Said(word="private")), "", "must not be", id="private"),
        pytest.param("plain", made_for(wish="no-store"), "", "must not be", id="a-request-with-no-store"),
        pytest.param("queries", made_for(wish="no-store"), "", None, id="a-request-whose-wish-does-not-count"),
        pytest.param("plain", made_for("carol"), "", "must not be", id="credentials"),
        pytest.param("plain", made_for("alice", Said()), "", "called it shared", id="cookies"),
        pytest.param("plain", made_for(language="de", said=Said(vary="accept-language")), "", "variant", id="vary"),
        pytest.param("plain", made_for(), "no-cache", "validated", id="no-cache"),
        pytest.param("plain", made_for(), "max-age=3", "older", id="max-age"),
        pytest.param("queries", made_for(), "max-age=3", None, id="max-age-that-does-not-count"),
        pytest.param("plain", made_for(said=Said(max_age=40)), "min-fresh=30", "not fresh for", id="min-fresh"),
        pytest.param("plain", made_for(said=Said(max_age=15)), "", "without a reason", id="stale"),
        pytest.param("plain", made_for(said=Said(max_age=15)), "max-stale=10", None, id="max-stale"),
        pytest.param("plain", made_for(said=Said(max_age=5)), "max-stale=10", "without a reason", id="too-stale"),
        pytest.param("plain", made_for(said=Said(s_maxage=15)), "max-stale", "forbids", id="never-stale"),
        pytest.param("plain", made_for(said=Said(max_age=22, age=4)), "", "without a reason", id="age"),
        pytest.param("plain", made_for(said=Said(max_age=22, dated=4)), "", "without a reason", id="date"),
    ],
)  # fmt: skip
def test_the_judge_is_not_blind(world: str, made: Made, wish: str, why: str | None) -> None:
    visit = Visit(2, "anonymous", "one.test", "/a", "en", "GET", wish, since=3, started=NOW)
    with nullcontext() if why is None else pytest.raises(AssertionError, match=why):
        judge(world, visit, made, Origin(Clock(), made=[made]))
