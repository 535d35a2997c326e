"""No byte made for one user reaches another, unless the response said for whom it is.

Crowds of users known by cookies, Authorization and API keys, and anonymous clients, against storages in memory, behind
bytes, and shared by two drivers. ``owners`` judges every byte of what they get by the record of the origin. Around each
step an anonymous client looks what is stored for him: users may not end his hits.

``SITECACHE_FUZZ=50`` in the environment has fifty times as many sequences tried.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.model import CacheConfig
from proxy.config.units import UnixTime
from proxy.exchange.answer import Driver
from proxy.exchange.collapse import Flights
from proxy.exchange.counters import Counters
from proxy.exchange.fetch import Fetcher
from proxy.exchange.replies import Replies
from proxy.message.heads import Request
from proxy.policy.stored import StoredResponse
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared import SharedMemoryCache
from proxy.storage.memory import PageMemory
from proxy.storage.remote import key_maker
from proxy.storage.responses import MemoryResponses, Responses
from proxy.storage.shared import SharedResponses
from tests.exchange.making import Client, Clock, request, settled
from tests.exchange.remotes import Counting, remote
from tests.fuzz.owners import Got, Visit, forbidden, is_shared, judge, judge_storage
from tests.fuzz.users import (
    LONG_AGO,
    PATHS,
    PIECE,
    SAME,
    USERS,
    WORLDS,
    Asked,
    Made,
    Origin,
    Plan,
    Said,
    body_of,
    config,
    fields_of,
    numbered,
)

TIMES = int(os.environ.get("SITECACHE_FUZZ", "1"))
EXAMPLES = 30 * TIMES
_MARK = re.compile(rb"mark-(\d{6})")
_TTL = re.compile(r"^hit(?:; ttl=(\d+))?$")
#: Under which what is stored in shared memory is kept apart from earlier sequences.
_PREFIXES = count()


class Shared:
    """Memory that is shared by several drivers, and by one sequence after the other."""

    def __init__(self, folder: str) -> None:
        self.clock = Clock()
        limits = Limits(max_entries=None, max_bytes=64 * 2**20)
        self.cache = SharedMemoryCache(str(Path(folder) / "cache"), self._now, limits)

    def _now(self) -> UnixTime:
        return self.clock()


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Shared(folder)


class Stage:
    """The drivers of a world, whose origin keeps a record."""

    def __init__(self, world: str, kind: str, shared: Shared | None = None) -> None:
        self.world = world
        self.kind = kind
        self.clock = Clock()
        self.record = Origin(self.clock)
        self.visits = 0
        self.hits = 0
        self.written: dict[str, UnixTime] = {}
        """When somebody last wrote to a page: what was asked for in that moment is outdated."""
        self.memories: list[PageMemory] = []
        self.backends: list[Counting] = []
        self._prefix = f"{next(_PREFIXES)}"
        self._shared = shared
        if shared is not None:
            shared.clock = self.clock
        self._found: list[Responses] = []
        self.drivers = [self._driver() for _ in range(2 if kind == "shared" else 1)]

    def _driver(self) -> Driver:
        responses = self._responses()
        self._found.append(responses)
        sites = sites_of(Parts(config(self.world), lambda _: responses, lambda _: self.record))  # type: ignore[arg-type,return-value]
        counters, flights = Counters(lambda _: None), Flights()
        replies = Replies(counters, self.clock)
        return Driver(sites, Fetcher(sites, flights, replies, self.clock), flights, replies, counters, self.clock)

    def _responses(self) -> Responses:
        distinctions = distinctions_of(config(self.world))
        if self.kind == "remote":
            self.backends.append(Counting(self.clock))
            return remote(self.backends[-1]).told_apart_by(distinctions)
        if self._shared is not None:
            make_key = key_maker(CacheConfig("shared", KEY_PREFIX=self._prefix))
            return SharedResponses(self._shared.cache.store, make_key, distinctions, 128, self.clock)
        self.memories.append(PageMemory(self.clock, max_entries=None))
        return MemoryResponses(self.memories[-1], distinctions, 128)

    async def end(self) -> None:
        if self._shared is not None:
            for responses in self._found:
                await responses.finish()

    def kept(self) -> Iterator[bytes]:
        """Everything that lies in the storages, as bytes."""
        for backend in self.backends:
            yield from (held for held, _, _ in backend._slots.values() if isinstance(held, bytes))
        for memory in self.memories:
            responses = (kept.value for kept in memory.kept.values() if isinstance(kept.value, StoredResponse))
            yield from (response.head + response.body for response in responses)

    async def step(self, crowd: Sequence[Mapping[str, Any]], waiting: float) -> None:
        """Have a crowd come at once, and see what it gets when nobody waits any more."""
        places = {(one["target"], one["language"]) for one in crowd}
        before = {place: await self.probe(*place) for place in sorted(places)}
        first, started = len(self.record.made), self.clock()
        self.record.is_open = False
        clients = [self.begin(**one) for one in crowd]
        await settled()
        elapsed = waiting if self.record.keeps_waiting else 0
        self.clock.turn(elapsed)
        while self.record.release():
            await settled()
        for visit, client in clients:
            self.judge(visit, client)
        judge_storage(self.world, [self.record.made[serial] for serial in self._stored()])
        new = self.record.made[first:]
        self.written |= {one["target"]: self.clock() for one in crowd if one["extra"] == "POST"}
        if all(self.is_of_no_account(made) for made in new):
            for place, (ttl, marks) in before.items():
                await self.expect(place, ttl - elapsed, marks)
        is_new = all(self.written.get(one["target"], 0) < started for one in crowd)
        if len(crowd) == len(new) == 1 and is_new and self.is_to_be_kept(new[0], elapsed):
            target, language = new[0].asked.target, new[0].asked.fields["accept-language"]
            ttl, marks = await self.probe(target, language)
            assert ttl >= 0, f"not stored, and everybody may have it: {new[0]}"
            assert marks == [first]

    def _stored(self) -> set[int]:
        return {int(found) for held in self.kept() for found in _MARK.findall(held)}

    def is_of_no_account(self, made: Made) -> bool:
        """Tell whether a response may change nothing for who is nobody."""
        known = made.asked.identity(self.world)
        is_read = made.asked.method in ("GET", "HEAD")
        # What varies by something else changes what is stored beside it.
        return bool(known) and is_read and not is_shared(self.world, made) and made.said.vary is None

    def is_to_be_kept(self, made: Made, elapsed: float) -> bool:
        """Tell whether the next anonymous client has to get this from the cache."""
        asked, said = made.asked, made.said
        extra = {"range", "if-range", "if-none-match", "if-modified-since", "cache-control"} & asked.fields.keys()
        # What is odd may be kept, and need not be.
        extra |= {"odd"} if said.is_odd or said.no or said.set_cookie else set()
        # A stale page may stand in for an error.
        is_plain = (
            asked.method == "GET"
            and said.status < 500
            and not extra
            and not made.unchanged
            and not forbidden(self.world, made)
        )
        is_stated = (said.stated or 0) > elapsed or (
            said.stated is None and said.status == 200 and self.world != "letter"
        )
        if self.world in ("default", "routed") and said.stated is None and said.kind != "text/html":
            return False
        # config/rfc9111.yaml knows no key, but what varies by one is not for the next.
        is_anonymous = not asked.identity(self.world) and "x-api-key" not in asked.fields
        return is_plain and is_anonymous and is_stated and "no-cache" not in said.words

    async def expect(self, place: tuple[str, str], ttl: float, marks: Sequence[int]) -> None:
        """What was a hit for everybody is one still."""
        if ttl > 0:
            found, now = await self.probe(*place)
            assert found >= 0, f"a user ended the hits of others: {self.record.made[-1]}"
            assert now == marks, f"a user changed what others get: {self.record.made[-1]}"

    async def probe(self, target: str, language: str) -> tuple[float, list[int]]:
        """Look what is stored for anybody: how long it is fresh still, or -1, and by which responses."""
        self.record.probes.add(self.visits + 1)
        visit, client = self.begin("anonymous", target, language, wish="only-if-cached")
        if not client.is_whole:
            await settled()
        self.judge(visit, client)
        hit = _TTL.match(client.cache_status)
        ttl = float(hit[1] or 0) if hit else -1
        self.hits += ttl >= 0
        return ttl, marks_of(client)

    def begin(
        self, user: str, target: str, language: str, extra: str = "", wish: str = "", driver: int = 0
    ) -> tuple[Visit, Client]:
        self.visits += 1
        lines = [*USERS[user], f"accept-language: {language}", f"x-visit: {self.visits}", *EXTRAS[extra]]
        lines += [f"cache-control: {wish}"] if wish else []
        method = extra if extra in ("HEAD", "POST") else "GET"
        visit = Visit(self.visits, fields_of(tuple(lines)), target, method, wish)
        client = Client()
        self.drivers[driver % len(self.drivers)].handle(self.request(target, *lines, method=method), client)
        return visit, client

    def request(self, target: str, *lines: str, method: str) -> Request:
        return request(target, "host: site.test", *lines, method=method)

    def judge(self, visit: Visit, client: Client) -> None:
        assert client.is_whole, "somebody waits for ever"
        marks = marks_of(client)
        judge(
            self.world,
            visit,
            Got(client.status, marks, numbered(client.fields, b"x-vary"), self.merged(client)),
            self.record.made,
        )
        if client.status == 200 and visit.method == "GET" and marks:
            assert len(client.content) == len(body_of(0)), "not whole"

    def merged(self, client: Client) -> Said | None:
        """Return what the response says that the client got, by the responses that each field came with."""
        names = [(b"x-cc", "words"), (b"x-ex", "expires"), (b"x-vary", "vary"), (b"x-no", "no")]
        if b"x-mark" not in client.fields:
            return None
        # A client that has the page is not told again what it is.
        whole = [self.record.made[serial] for serial in marks_of(client) if not self.record.made[serial].unchanged]
        said = Said(kind=whole[0].said.kind if whole else "text/html")
        for name, what in names:
            serial = numbered(client.fields, name)
            if serial is not None:
                of = self.record.made[serial].said
                said = replace(said, **{what: getattr(of, what)})
                if name == b"x-cc":
                    said = replace(said, max_age=of.max_age, s_maxage=of.s_maxage, between=of.between)
        return said


EXTRAS: Mapping[str, tuple[str, ...]] = {
    "": (),
    "HEAD": (),
    "POST": (),
    "range": (f"range: bytes={PIECE}-{2 * PIECE - 1}",),
    "end": (f"range: bytes={2 * PIECE}-",),
    "if-range": (f"range: bytes=0-{PIECE - 1}", f"if-range: {SAME}"),
    # A validator that the client has from its own copy, and that everybody's has.
    "tag": (f"if-none-match: {SAME}",),
    "date": (f"if-modified-since: {LONG_AGO}",),
}


def marks_of(client: Client) -> list[int]:
    return sorted({int(found) for found in _MARK.findall(client.head + client.content)})


def often(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Draw the usual one half of the time: where everything is odd at once, nothing is ever stored."""
    return st.sampled_from([usual] * len(others) + list(others))


NOS = ["pragma: no-cache", "x-accel-expires: 0", "x-accel-expires: @0", "surrogate-control: no-store"]
NOS += [
    'surrogate-control: max-age=0, content="ESI/1.0"',
    "edge-control: no-store",
    "edge-control: !no-store, max-age=0",
]
_ALL_WORDS = ["no-cache", "no-cache", "public", "private", "must-revalidate", "no-store"]
WORDS = st.one_of(
    st.just(frozenset()),
    st.sampled_from(_ALL_WORDS).map(lambda word: frozenset({word})),
    st.frozensets(st.sampled_from(_ALL_WORDS), max_size=2),
)
AGES = st.sampled_from([None, None, 0, 5, 60, 60])
#: Of what is odd there is little in one response: where everything is odd at once, nothing is ever stored.
ODD: Mapping[str, st.SearchStrategy[Any]] = {
    "s_maxage": st.sampled_from([0, 10]),
    "expires": st.sampled_from([0, 20]),
    "while_revalidate": st.just(20),
    "vary": st.sampled_from(
        ["Cookie", "Cookie", "Authorization", "X-Api-Key", "Accept-Language", "Cookie, Authorization", "*"]
    ),
    "set_cookie": st.just(True),
    "status": st.sampled_from([401, 403, 404, 500]),
    "kind": st.just("application/json"),
    "between": st.sampled_from([" , ", "; ", ";", " ", "\t", "|"]),
    "no": st.sampled_from(NOS),
}
TAGS = st.sampled_from(["equal", "equal", "equal", "own", ""])


@st.composite
def saids(draw: st.DrawFn) -> Said:
    """Draw what the origin says of a response."""
    names = draw(st.lists(st.sampled_from(list(ODD)), max_size=2, unique=True))
    odd = {name: draw(ODD[name]) for name in names}
    return Said(max_age=draw(AGES), words=draw(WORDS), tag=draw(TAGS), dated=draw(st.booleans()), **odd)


PLANS = st.builds(
    Plan,
    saids(),
    holds=st.booleans(),
    fails=often(False, False, False, True),
    waits=st.booleans(),
    ranges=st.booleans(),
)


#: The same page, of which something else is said: so do the 304s of applications that have one validator for all.
CHANGES = st.fixed_dictionaries({"max_age": AGES, "words": WORDS, "holds": often(True, False)})


def planned(before: Plan, change: Plan | Mapping[str, Any] | None) -> Plan:
    """Return how the origin answers from now on."""
    if change is None or isinstance(change, Plan):
        return change or before
    said = {name: value for name, value in change.items() if name != "holds"}
    return replace(before, said=replace(before.said, **said), holds=change["holds"], fails=False)


@st.composite
def steps(draw: st.DrawFn, world: str) -> list[tuple[Any, ...]]:
    """Draw what a few users do on a page or two: where everybody goes everywhere, nobody meets."""
    users = draw(st.lists(st.sampled_from(list(USERS)), min_size=1, max_size=2))
    targets = draw(st.lists(st.sampled_from(PATHS[world]), min_size=1, max_size=2))
    one = st.fixed_dictionaries(
        {
            "user": often("anonymous", *users),
            "target": st.sampled_from(targets),
            "language": often("en", "en", "de"),
            "extra": often("", "", "", "HEAD", "POST", *EXTRAS),
            "wish": often("", "", "no-cache", "no-cache", "max-age=0", "no-store", "max-stale", "min-fresh=30"),
            "driver": st.integers(0, 1),
        }
    )
    together = st.lists(one, min_size=2, max_size=4).map(
        lambda crowd: [{**visit, "target": crowd[0]["target"]} for visit in crowd]
    )
    crowds = st.one_of(st.lists(one, min_size=1, max_size=1), together)
    plan = st.one_of(st.none(), st.none(), PLANS, CHANGES)
    # While the origin keeps them waiting, and behind it.
    step = st.tuples(plan, crowds, st.sampled_from([0, 1, 6]), often(0, 1, 6, 16, 61, 700))
    return draw(st.lists(step, min_size=4, max_size=14))


@pytest.mark.rfc(9111, "3.5")
@pytest.mark.parametrize("kind", ["memory", "remote", "shared"])
@pytest.mark.parametrize("world", list(WORLDS))
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_byte_made_for_one_user_reaches_another(
    world: str, kind: str, shared: Shared, data: st.DataObject
) -> None:
    stage = Stage(world, kind, shared if kind == "shared" else None)
    stage.record.plan = data.draw(PLANS, "first plan")
    for plan, crowd, waiting, seconds in data.draw(steps(world), "steps"):
        stage.record.plan = planned(stage.record.plan, plan)
        await stage.step(crowd, waiting)
        stage.clock.turn(seconds)
    await stage.end()


NOTHING = Said()
PUBLIC = Said(words=frozenset({"public"}))
LASTS = Said(max_age=60)
SHARED = Said(s_maxage=60, words=frozenset({"public"}))
KNOWN = ("alice", "carol", "dave")
LIFETIMES = ((None, None), (0, None), (60, None), (None, 0), (None, 60), (60, 0))
SENTENCES = ((), ("no-cache",), ("public",), ("must-revalidate",), ("private",), ("public", "no-cache"))
COMBINED = [
    Said(max_age=max_age, s_maxage=s_maxage, words=frozenset(words), vary=vary, tag="equal")
    for (max_age, s_maxage), words, vary in product(
        LIFETIMES, SENTENCES, (None, "Cookie", "Authorization", "X-Api-Key") if TIMES > 9 else (None,)
    )
]


@pytest.mark.rfc(9111, "3.2")
@pytest.mark.parametrize("method", ["GET", "HEAD", "304"])
@pytest.mark.parametrize("user", KNOWN)
async def test_nothing_that_a_user_is_told_changes_what_others_get(user: str, method: str) -> None:
    """Whatever it says of caching: a response, one to HEAD, and a 304, where there is a page for everybody or none."""
    others = [other for other in ("anonymous", *KNOWN) if other != user]
    reload = {"extra": "HEAD" if method == "HEAD" else "", "wish": "no-cache"}
    for first, said in product((None, LASTS) if method == "GET" else (LASTS, SHARED), COMBINED):
        stage = Stage("default", "memory")
        plans = [] if first is None else [(Plan(replace(first, tag="equal")), ["anonymous"], {})]
        plans.append((Plan(said, holds=method == "304"), [user], reload))
        plans.append((Plan(Said()), others, {}))
        for plan, users, more in plans:
            stage.record.plan = plan
            for one in users:
                visit = {"user": one, "target": "/a", "language": "en", "extra": "", "wish": "", "driver": 0}
                await stage.step([visit | more], 0)


@pytest.mark.parametrize("kind", ["memory", "remote", "shared"])
@pytest.mark.parametrize("world", list(WORLDS))
@pytest.mark.parametrize("who", ["anonymous", "alice", "carol", "dave", "erin"])
async def test_what_is_for_everybody_is_a_hit_for(who: str, world: str, kind: str, shared: Shared) -> None:
    """The property above would hold of a proxy that never stores anything."""
    stage = Stage(world, kind, shared if kind == "shared" else None)
    stage.record.plan = Plan(Said(max_age=60, tag="equal"))
    for user in ("anonymous", who, "tracked", who):
        visit, client = stage.begin(user, "/a", "en", driver=stage.visits)
        await settled()
        stage.judge(visit, client)
    assert len(stage.record.made) == 1
    assert client.cache_status == "hit; ttl=60"
    if kind != "shared":
        assert stage._stored() == {0}
    await stage.end()


def made_for(user: str, said: Said, *lines: str, target: str = "/a", unchanged: bool = False) -> Made:
    asked = fields_of((*USERS[user], "accept-language: en", *lines))
    return Made(said, Asked(1, target, "GET", asked), unchanged)


CHECKED = Said(max_age=60, words=frozenset({"must-revalidate"}))
BY_COOKIE = Said(vary="Cookie")
REFUSED = Said(max_age=60, words=frozenset({"public"}), status=401)
UNSAID = "a user's bytes reached another"
STRANGER = "nobody had said is for him"
_ANYBODY = ("anonymous", "tracked", "alice", "carol", "dave")


@pytest.mark.parametrize(
    ("maker", "said", "visitor", "why"),
    [
        *(pytest.param("anonymous", LASTS, who, None, id=f"lasts-{who}") for who in _ANYBODY),
        *(pytest.param("anonymous", PUBLIC, who, None, id=f"public-{who}") for who in _ANYBODY),
        pytest.param("anonymous", NOTHING, "tracked", None, id="analytics-are-nobody"),
        pytest.param("tracked", NOTHING, "anonymous", None, id="nobody-has-analytics"),
        pytest.param("anonymous", NOTHING, "alice", STRANGER, id="cookie-gets-the-operators"),
        pytest.param("anonymous", NOTHING, "carol", STRANGER, id="authorization-gets-the-operators"),
        pytest.param("anonymous", NOTHING, "erin", STRANGER, id="identity-gets-the-operators"),
        pytest.param("anonymous", BY_COOKIE, "carol", STRANGER, id="varies-by-another-field"),
        pytest.param("anonymous", BY_COOKIE, "alice", "another variant", id="another-cookie"),
        pytest.param("alice", BY_COOKIE, "alice", None, id="her-own-variant"),
        pytest.param("alice", BY_COOKIE, "alice-and-carol", STRANGER, id="her-cookie-and-more"),
        pytest.param("alice", NOTHING, "alice", UNSAID, id="her-own-that-nobody-said"),
        pytest.param("alice", LASTS, "bob", None, id="cookie-lasts"),
        pytest.param("alice", PUBLIC, "anonymous", None, id="cookie-public"),
        pytest.param("alice", Said(max_age=0), "anonymous", UNSAID, id="cookie-max-age-0"),
        pytest.param("alice", Said(s_maxage=0, max_age=60), "anonymous", UNSAID, id="cookie-s-maxage-0"),
        pytest.param("alice", Said(expires=0), "anonymous", UNSAID, id="cookie-expired"),
        pytest.param("alice", Said(max_age=60, words=frozenset({"no-cache"})), "bob", UNSAID, id="cookie-no-cache"),
        pytest.param("alice", Said(words=frozenset({"no-cache"}), tag="equal"), "bob", UNSAID, id="cookie-tag"),
        pytest.param("carol", LASTS, "anonymous", UNSAID, id="authorization-max-age"),
        pytest.param("carol", Said(s_maxage=60), "anonymous", None, id="authorization-s-maxage"),
        pytest.param("carol", CHECKED, "anonymous", None, id="authorization-must-revalidate"),
        pytest.param("carol", Said(max_age=0, words=CHECKED.words), "anonymous", UNSAID, id="authorization-max-age-0"),
        pytest.param("carol", Said(words=CHECKED.words), "anonymous", UNSAID, id="authorization-operators"),
        pytest.param("carol", BY_COOKIE, "anonymous", UNSAID, id="authorization-by-cookie"),
        pytest.param("dave", LASTS, "anonymous", UNSAID, id="key-max-age"),
        pytest.param("dave", PUBLIC, "anonymous", None, id="key-public"),
        pytest.param("erin", NOTHING, "anonymous", UNSAID, id="identity"),
        pytest.param("alice-and-carol", LASTS, "anonymous", UNSAID, id="both-max-age"),
        pytest.param("anonymous", REFUSED, "carol", "a refusal", id="refusal-authorization"),
        pytest.param("anonymous", REFUSED, "dave", "a refusal", id="refusal-key"),
        pytest.param("anonymous", REFUSED, "alice", "a refusal", id="refusal-cookie"),
        pytest.param("carol", REFUSED, "carl", "a refusal", id="refusal-of-others"),
        pytest.param("carol", REFUSED, "carol", None, id="refusal-of-the-same"),
        pytest.param("carol", REFUSED, "anonymous", None, id="refusal-of-nobody"),
        pytest.param("anonymous", Said(words=frozenset({"private"})), "anonymous", "is for one", id="private"),
        pytest.param(
            "anonymous", Said(max_age=1, words=frozenset({"private"}), between=";"), "bob", "is for one", id="odd"
        ),
        pytest.param("anonymous", Said(no="pragma: no-cache"), "anonymous", "not to be kept", id="pragma"),
        pytest.param("alice", Said(max_age=60, words=PUBLIC.words, between="; "), "bob", UNSAID, id="odd-permits"),
        pytest.param("alice", Said(max_age=60, words=PUBLIC.words, between=","), "bob", None, id="comma-permits"),
        pytest.param("anonymous", Said(kind="application/json"), "anonymous", "nobody stated", id="data"),
        pytest.param("anonymous", Said(kind="application/json", max_age=9), "anonymous", None, id="data-that-lasts"),
    ],
)  # fmt: skip
def test_the_judge_is_not_blind(maker: str, said: Said, visitor: str, why: str | None) -> None:
    visit = Visit(2, fields_of((*USERS[visitor], "accept-language: en")), "/a")
    with nullcontext() if why is None else pytest.raises(AssertionError, match=why):
        judge("default", visit, Got(said.status, [0], 0 if said.vary else None, said), [made_for(maker, said)])


@pytest.mark.rfc(9111, "3.2")
def test_what_freshens_is_judged_by_itself() -> None:
    """RFC 9110 §15.4.5: a 304 says again what the 200 would have said, so alice's without a word is alice's."""
    record = [made_for("anonymous", LASTS), made_for("alice", NOTHING, unchanged=True)]
    visit = Visit(2, fields_of(("accept-language: en",)), "/a")
    judge("default", visit, Got(200, [0], None, LASTS), record)
    with pytest.raises(AssertionError, match=UNSAID):
        judge("default", visit, Got(200, [0, 1], None, LASTS), record)
