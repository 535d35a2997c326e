"""How long is a copy served, who waits for whose look-up, and what is never told to anybody?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.units import Bytes, UnixTime
from proxy.errors import StorageError
from proxy.policy.key import Distinctions, PrimaryKey
from proxy.policy.purging import Kind, Purge, Rule
from proxy.policy.ranges import Extent
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.base import Value
from proxy.storage.responses import NotAtHand, StoredSought
from proxy.storage.tier import Tier
from proxy.storage.tiered import TieredResponses
from tests.exchange.making import Bench, request, settled, whole
from tests.exchange.remotes import Counting, remote
from tests.storage.contract import Clock
from tests.storage.test_responses import BY_ENCODING, BY_LANGUAGE, NO_COOKIES, asking, stored
from tests.storage.tiers import BOUND, GROUP, LATER, OTHER, PAGE, Process


class Held(Counting):
    """A storage whose look-ups wait, once it is told so, until they are let through one by one."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.holds = False
        self.waiting: list[asyncio.Future[None]] = []

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        found = await super().get_many(keys)
        if self.holds:
            self.waiting.append(asyncio.get_running_loop().create_future())
            await self.waiting[-1]
        return found

    async def let_through(self, error: Exception | None = None) -> None:
        """Answer with what was there when it was asked."""
        one = self.waiting.pop(0)
        one.set_exception(error) if error else one.set_result(None)
        await settled()


class Shelf:
    """A storage with two processes, of which the first has a tier to be tested."""

    def __init__(self, most: int = 2**20) -> None:
        self.clock = Clock()
        self.backend = Held(self.clock)
        self.mine = Process(self.backend, self.clock, most)
        self.other = Process(self.backend, self.clock, most)

    async def hold(self) -> None:
        self.backend.holds = True
        self.backend.trips.clear()


@pytest.fixture
async def shelf() -> Shelf:
    return Shelf()


# The bound.


@pytest.mark.parametrize(
    ("after", "body"),
    [
        pytest.param(0.0, b"page", id="at-once"),
        pytest.param(BOUND - 0.01, b"page", id="just-before"),
        pytest.param(BOUND, None, id="then"),
        pytest.param(10 * BOUND, None, id="later"),
    ],
)
async def test_what_was_invalidated_elsewhere_is_served_until_the_bound(
    shelf: Shelf, after: float, body: bytes | None
) -> None:
    await shelf.mine.put(stored(b"page"))
    began = shelf.clock()
    assert await shelf.mine.body() == b"page"
    await shelf.other.invalidate()
    shelf.clock.now = UnixTime(began + after)
    assert await shelf.mine.body() == body


async def test_the_bound_counts_from_when_a_look_up_began(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.hold()
    slow = shelf.mine.begin(PAGE)
    await settled()
    shelf.clock.turn(BOUND - 0.1)
    await shelf.backend.let_through()
    assert await slow == b"page"
    assert await shelf.mine.body() == b"page"
    assert shelf.mine.tier.hits == 1
    shelf.clock.turn(0.1)
    shelf.mine.begin(PAGE)
    await settled()
    assert len(shelf.backend.trips) == 2


async def test_a_hit_does_not_make_a_copy_good_for_longer(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.mine.body()
    await shelf.other.invalidate()
    for _ in range(4):
        shelf.clock.turn(BOUND / 5)
        assert await shelf.mine.body() == b"page"
    shelf.clock.turn(BOUND / 5)
    assert await shelf.mine.body() is None


async def test_a_stale_page_is_asked_for_each_time(shelf: Shelf) -> None:
    """Somebody else may have had it validated."""
    await shelf.mine.put(stored(b"old", born=1000.0))
    assert await shelf.mine.body() == b"old"
    shelf.clock.now = UnixTime(1049.9)
    await shelf.mine.body()
    shelf.clock.now = UnixTime(1050.0)
    await shelf.other.put(stored(b"new", born=1050.0))
    assert await shelf.mine.body() == b"new"


async def test_a_part_is_asked_for_each_time(shelf: Shelf) -> None:
    plain = stored(b"part")
    await shelf.mine.put(StoredResponse(206, plain.head, b"part", plain.terms, Extent(0, 3, 9)))
    for _ in range(2):
        assert await shelf.mine.body() == b"part"
    assert shelf.mine.tier.hits == 0


# What this process does.


async def test_what_this_process_does_holds_while_it_is_on_its_way(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"old"))
    await shelf.mine.body()
    shelf.mine.pages.store(PAGE, asking(), stored(b"new"), LATER, shelf.clock())
    assert await shelf.mine.body() == b"new"
    shelf.mine.pages.invalidate(PAGE)
    assert await shelf.mine.body() is None
    await shelf.mine.settled()
    assert await shelf.mine.body() is None


async def test_what_another_invalidates_while_a_page_is_being_written_is_not_served_for_longer(shelf: Shelf) -> None:
    """What is on its way counts as being there, and as not confirmed as soon as it has arrived."""
    await shelf.mine.put(stored(b"other"), primary=OTHER)
    shelf.mine.pages.store(PAGE, asking(), stored(b"page"), LATER, shelf.clock())
    shelf.clock.turn(0.01)
    assert await shelf.mine.body() == b"page"
    await shelf.mine.settled()
    await shelf.other.invalidate()
    assert await shelf.mine.body() is None


async def test_dropping_forgets_the_copy(shelf: Shelf) -> None:
    page = stored(b"page", BY_LANGUAGE)
    await shelf.mine.put(page, "accept-language: de")
    assert await shelf.mine.body(PAGE, "accept-language: de") == b"page"
    shelf.mine.pages.drop(PAGE, asking("accept-language: de"), page)
    assert await shelf.mine.body(PAGE, "accept-language: de") is None


async def test_a_revision_is_seen_at_once(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"one"))
    await shelf.mine.body()
    shelf.mine.pages.revise(PAGE, asking(), lambda *_: (stored(b"two"), LATER), shelf.clock())
    await shelf.mine.settled()
    assert await shelf.mine.body() == b"two"


async def test_a_look_up_from_before_an_invalidation_is_not_kept(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.hold()
    before = shelf.mine.begin(PAGE)
    await settled()
    shelf.clock.turn(0.01)
    shelf.backend.holds = False
    await shelf.mine.invalidate()
    after = shelf.mine.begin(PAGE)
    assert await after is None
    await shelf.backend.let_through()
    assert await before == b"page", "it was asked for before"
    assert await shelf.mine.body() is None


async def test_all_can_be_forgotten(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.mine.body()
    shelf.clock.turn(0.01)
    shelf.mine.tier.forget_all()
    shelf.clock.turn(0.01)
    shelf.backend.trips.clear()
    for _ in range(2):
        assert await shelf.mine.body() == b"page"
    assert len(shelf.backend.trips) == 1


async def test_what_was_purged_here_is_judged_like_what_lies_in_the_storage(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.mine.put(stored(b"other"), primary=OTHER)
    for primary in (PAGE, OTHER):
        await shelf.mine.body(primary)
    shelf.clock.turn(0.01)
    hits = shelf.mine.tier.hits
    rule = Rule(Kind.URL, b"/page", b"site.test")
    await shelf.mine.pages.purge(Purge((rule,), at=shelf.clock()), alone=True)
    assert await shelf.mine.body(OTHER) == b"other"
    assert shelf.mine.tier.hits == hits + 1, "that one was not meant"
    assert await shelf.mine.body(PAGE) is None


async def test_what_was_purged_by_what_only_a_newer_page_says_is_gone(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"old"))
    await shelf.mine.body()
    plain = stored(b"new")
    await shelf.other.put(StoredResponse(200, plain.head, b"new", plain.terms, tags=(b"news",)))
    await shelf.mine.pages.purge(Purge((Rule(Kind.TAG, b"news"),), at=shelf.clock()), alone=False)
    assert await shelf.mine.body() is None


async def test_what_was_purged_softly_is_not_served_from_a_copy(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.mine.body()
    await shelf.mine.pages.purge(Purge((Rule(Kind.ALL),), soft=True, at=shelf.clock()), alone=True)
    found = await shelf.mine.pages.look(PAGE, asking(), shelf.clock())
    assert found is not None
    assert found.purged
    hits = shelf.mine.tier.hits
    assert await shelf.mine.body() == b"page"
    assert shelf.mine.tier.hits == hits


# Who waits for whom.


async def test_one_look_up_is_on_its_way_and_nobody_gets_the_copy_meanwhile(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"old"))
    await shelf.mine.body()
    shelf.clock.turn(BOUND)
    await shelf.other.put(stored(b"new"))
    await shelf.hold()
    crowd = [shelf.mine.begin(PAGE) for _ in range(5)]
    await settled()
    crowd += [shelf.mine.begin(PAGE) for _ in range(5)]
    await settled()
    assert len(shelf.backend.trips) == 1
    assert not any(one.done() for one in crowd)
    await shelf.backend.let_through()
    assert [await one for one in crowd] == [b"new"] * 10
    assert shelf.mine.tier.hits == 0


async def test_a_page_that_is_gone_is_told_to_all_who_wait(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.mine.body()
    await shelf.other.invalidate()
    shelf.clock.turn(BOUND)
    await shelf.hold()
    crowd = [shelf.mine.begin(PAGE) for _ in range(3)]
    await settled()
    await shelf.backend.let_through()
    assert [await one for one in crowd] == [None] * 3


async def test_an_error_is_told_to_all_who_wait(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.mine.body()
    shelf.clock.turn(BOUND)
    await shelf.hold()
    crowd = [shelf.mine.begin(PAGE) for _ in range(3)]
    await settled()
    await shelf.backend.let_through(StorageError("gone"))
    errors = [await one for one in crowd]
    assert [str(error) for error in errors] == ["gone"] * 3
    assert len({id(error) for error in errors}) == 3, "what raises one writes into it"
    await shelf.hold()
    again = shelf.mine.begin(PAGE)
    await settled()
    await shelf.backend.let_through()
    assert await again == b"page"


@pytest.mark.rfc(9111, "4.1")
async def test_who_waits_gets_his_own_where_responses_vary_since(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"for all"))
    await shelf.mine.body()
    for language in ("en", "de"):
        await shelf.other.body(PAGE, f"accept-language: {language}")
        await shelf.other.put(stored(language.encode(), BY_LANGUAGE), f"accept-language: {language}")
    shelf.clock.turn(BOUND)
    languages = ("en", "de", "en", "fr")
    crowd = [shelf.mine.begin(PAGE, f"accept-language: {language}") for language in languages]
    assert [await one for one in crowd] == [b"en", b"de", b"en", None]


@pytest.mark.rfc(9111, "4.1")
async def test_the_latest_of_two_variants_that_would_do_is_selected(shelf: Shelf) -> None:
    both = ("accept-language: en", "accept-encoding: br")
    await shelf.mine.put(stored(b"en", BY_LANGUAGE), both[0])
    assert await shelf.mine.body(PAGE, *both) == b"en"
    await shelf.other.body(PAGE, both[1])
    await shelf.other.put(stored(b"br", BY_ENCODING), both[1])
    shelf.clock.turn(BOUND)
    for _ in range(2):
        assert await shelf.mine.body(PAGE, both[0]) == b"en"
        assert await shelf.mine.body(PAGE, *both) == b"br"
    assert shelf.mine.tier.hits == 2


async def test_who_waits_asks_himself_where_his_group_became_invalid_meanwhile(shelf: Shelf) -> None:
    plain = stored(b"news")
    page = StoredResponse(200, plain.head + b'Cache-Groups: "news"\r\n', b"news", plain.terms)
    await shelf.mine.put(page)
    await shelf.mine.body()
    shelf.clock.turn(BOUND)
    await shelf.hold()
    first = shelf.mine.begin(PAGE)
    await settled()
    await shelf.backend.let_through()
    # It has the page now, and asks for the group.
    shelf.clock.turn(0.01)
    shelf.mine.pages.invalidate_group(GROUP, shelf.clock())
    second = shelf.mine.begin(PAGE)
    await settled()
    shelf.backend.holds = False
    while shelf.backend.waiting:
        await shelf.backend.let_through()
    await first
    assert await second is None


async def test_who_waits_asks_himself_where_the_answer_took_longer_than_the_bound(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    await shelf.mine.body()
    shelf.clock.turn(BOUND)
    await shelf.hold()
    crowd = [shelf.mine.begin(PAGE) for _ in range(2)]
    await settled()
    shelf.clock.turn(BOUND)
    shelf.backend.holds = False
    await shelf.other.invalidate()
    await shelf.backend.let_through()
    assert [await one for one in crowd] == [b"page", None]


async def test_a_large_page_that_is_read_in_a_thread_is_told_to_all(shelf: Shelf) -> None:
    large = b"x" * 400_000
    await shelf.mine.put(stored(large))
    await shelf.mine.body()
    shelf.clock.turn(BOUND)
    shelf.backend.trips.clear()
    crowd = [shelf.mine.begin(PAGE) for _ in range(3)]
    assert [await one for one in crowd] == [large] * 3
    assert len(shelf.backend.trips) == 1
    assert await shelf.mine.body() == large
    assert shelf.mine.tier.hits == 1


async def test_an_error_behind_the_first_look_is_told_to_all(shelf: Shelf) -> None:
    plain = stored(b"x" * 300_000)
    await shelf.mine.put(StoredResponse(200, plain.head + b'Cache-Groups: "news"\r\n', plain.body, plain.terms))
    await shelf.mine.body()
    shelf.clock.turn(BOUND)
    await shelf.hold()
    crowd = [shelf.mine.begin(PAGE) for _ in range(2)]
    await settled()
    await shelf.backend.let_through()
    async with asyncio.timeout(20):
        while not shelf.backend.waiting:  # noqa: ASYNC110  # the thread that reads tells nobody
            await asyncio.sleep(0.001)
    await shelf.backend.let_through(StorageError("gone"))
    assert [await one for one in crowd] == [None, None], "what is not known of a group makes a miss"


# The memory.


async def test_the_copies_stay_within_their_bytes(shelf: Shelf) -> None:
    shelf = Shelf(most=50_000)
    for number in range(100):
        page = PrimaryKey(b"7:default4:http9:site.test5:/%03d" % number)
        await shelf.mine.put(stored(b"x" * 1000, BY_LANGUAGE), "accept-language: en", primary=page)
        for _ in range(2):
            assert await shelf.mine.body(page, "accept-language: en") == b"x" * 1000
    assert 10 < len(shelf.mine.tier) < 100
    assert shelf.mine.tier.bytes <= shelf.mine.tier.most == 50_000
    assert shelf.mine.tier.hits == 100


async def test_a_page_larger_than_the_tier_is_served_without_it() -> None:
    shelf = Shelf(most=2000)
    await shelf.mine.put(stored(b"x" * 5000))
    for _ in range(2):
        assert await shelf.mine.body() == b"x" * 5000
    assert shelf.mine.tier.bytes <= 2000


# With all around it.


async def test_routes_that_tell_requests_apart_differently_share_the_tier(shelf: Shelf) -> None:
    await shelf.mine.put(stored(b"page"))
    apart = shelf.mine.pages.told_apart_by(Distinctions(("_ga",)))
    await shelf.mine.body()
    assert apart.select(PAGE, asking(), shelf.clock()).body == b"page"
    assert shelf.mine.tier.hits == 1


async def test_who_waits_is_told_apart_by_his_own_route(shelf: Shelf) -> None:
    """A cookie that means nothing on one route may be a session on another."""
    await shelf.mine.put(stored(b"for all"))
    await shelf.mine.body()
    lax = shelf.mine.pages.told_apart_by(Distinctions(("sid",)))
    await shelf.other.body()
    await shelf.other.put(stored(b"anonymous", (b"cookie",)))
    shelf.clock.turn(BOUND)
    crowd = [shelf.mine.begin(PAGE, "cookie: sid=1", pages=lax), shelf.mine.begin(PAGE, "cookie: sid=2")]
    assert [await one for one in crowd] == [b"anonymous", None]


async def test_a_fault_of_one_who_waits_is_not_that_of_the_others(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    await shelf.mine.put(stored(b"for all"))
    await shelf.mine.body()
    for language in ("en", "de"):
        await shelf.other.body(PAGE, f"accept-language: {language}")
        await shelf.other.put(stored(language.encode(), BY_LANGUAGE), f"accept-language: {language}")
    shelf.clock.turn(BOUND)

    def fail(sought: StoredSought) -> None:
        raise RuntimeError("a fault")

    crowd = [shelf.mine.begin(PAGE, "accept-language: en")]
    for language in ("en", "de"):
        shelf.mine.pages.seek(PAGE, asking(f"accept-language: {language}"), shelf.clock(), fail)
        crowd.append(shelf.mine.begin(PAGE, f"accept-language: {language}"))
    assert [await one for one in crowd] == [b"en", b"en", b"de"]
    assert len(caplog.messages) == 2


async def test_what_is_not_about_hits_is_asked_of_the_storage(shelf: Shelf) -> None:
    page = stored(b"page", BY_LANGUAGE)
    await shelf.mine.put(page, "accept-language: de")
    pages, now = shelf.mine.pages, shelf.clock()
    with pytest.raises(NotAtHand):
        pages.select(PAGE, asking("accept-language: de"), now)
    assert list(pages.vary_specs(PAGE, now)) == [BY_LANGUAGE]
    assert list(pages.tags(PAGE, now)) == list(shelf.mine.behind.tags(PAGE, now))
    assert await pages.tagged(PAGE, asking(), b'"none"', now) is None
    assert [one.body for one in await pages.listed(PAGE, 5, now)] == [b"page"]
    assert pages.accepts(PAGE)


async def test_hits_are_plain_ones_and_writes_hold_at_once() -> None:
    moment = Clock()
    backend = Counting()
    behind = remote(backend)
    tier = behind.watcher = Tier(Bytes(2**20), BOUND, moment, moment)
    bench = Bench(
        whole("cache-control: max-age=60", body=b"one"),
        whole("cache-control: max-age=60", body=b"posted"),
        whole("cache-control: max-age=60", body=b"two"),
        storage=TieredResponses(behind, tier, NO_COOKIES),
    )
    for body in (b"one", b"two"):
        for _ in range(4):
            assert (await bench.get()).content == body
            moment.turn(0.1)
        if body == b"one":
            await bench.ask(request("/page", method="POST"))
            moment.turn(0.1)
            bench.clock.turn(1)
    assert tier.hits == 4, "of four times, one fetched and one asked the storage"
    assert bench.times_asked == 3
    assert (await bench.get()).cache_status == "hit; ttl=60"


PAGES = (PAGE, OTHER)
LANGUAGES = ("en", "de")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["store", "vary", "group", "invalidate", "invalidate-group", "purge", "look", "look", "turn"]),
        st.integers(0, 1),
        st.sampled_from(PAGES),
        st.sampled_from(LANGUAGES),
        st.sampled_from([0.2, 0.4, 0.7, 1.0]),
    ),
    max_size=40,
)


class Model:
    """Two processes, and what the storage would have said at each moment."""

    def __init__(self) -> None:
        self.clock = Clock()
        backend = Counting(self.clock)
        self.processes = [Process(backend, self.clock) for _ in range(2)]
        self.truth = Process(backend, self.clock)
        self.said: dict[tuple[PrimaryKey, str], list[tuple[float, object]]] = {}
        self.own: dict[tuple[int, PrimaryKey], float] = {}
        """When each process changed each page last."""
        self.stored: dict[PrimaryKey, tuple[int, float]] = {}
        """Who stored each page last, and when."""
        self.number = 0

    async def note(self) -> None:
        """Write down what the storage says now."""
        for page in PAGES:
            for language in LANGUAGES:
                asked = asking(f"accept-language: {language}")
                found = await self.truth.behind.look(page, asked, self.clock())
                body = None if found is None else found.body
                self.said.setdefault((page, language), []).append((self.clock(), body))

    def possible(self, process: int, page: PrimaryKey, language: str) -> list[object]:
        """Return what a process may answer now: what was so within the bound, and not before its own last change."""
        since = max(self.clock() - BOUND, self.own.get((process, page), 0.0))
        said = self.said[page, language]
        first = max((at for at, _ in said if at <= since), default=0.0)
        return [body for at, body in said if at >= first]

    async def change(self, what: str, process: int, page: PrimaryKey, language: str) -> None:
        pages = self.processes[process].pages
        self.number += 1
        body = b"%d" % self.number
        before = {key: said[-1][1] for key, said in self.said.items()}
        match what:
            case "invalidate":
                pages.invalidate(page)
            case "invalidate-group":
                pages.invalidate_group(GROUP, self.clock())
            case "purge":
                await pages.purge(Purge((Rule(Kind.URL, b"/page", b"site.test"),), at=self.clock()), alone=False)
            case _:
                plain = stored(body, BY_LANGUAGE if what == "vary" else (), self.clock())
                head = plain.head + (b'Cache-Groups: "news"\r\n' if what == "group" else b"")
                response = StoredResponse(200, head, body, plain.terms)
                pages.store(page, asking(f"accept-language: {language}"), response, LATER, self.clock())
                self.stored[page] = process, self.clock()
        await self.processes[process].settled()
        await self.note()
        for key, said in self.said.items():
            # Nobody can know of a page that it was put into a group elsewhere, a moment ago.
            by, since = self.stored.get(key[0], (process, 0.0))
            known = what != "invalidate-group" or by == process or self.clock() - since >= BOUND
            if said[-1][1] != before[key] and known:
                self.own[process, key[0]] = self.clock()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_what_is_answered_was_so_within_the_bound(steps: list[tuple[str, int, PrimaryKey, str, float]]) -> None:
    async def run() -> None:
        model = Model()
        await model.note()
        for what, process, page, language, seconds in steps:
            if what == "turn":
                model.clock.turn(seconds)
            elif what == "look":
                body = await model.processes[process].body(page, f"accept-language: {language}")
                assert body in model.possible(process, page, language)
            else:
                await model.change(what, process, page, language)

    asyncio.run(run())
