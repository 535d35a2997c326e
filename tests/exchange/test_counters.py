"""Are hits counted and measured as they should be, at a cost that no hit sees?"""

from __future__ import annotations

import pytest

from proxy.config.units import UnixTime
from proxy.exchange.counters import Counters
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from tests.exchange.making import Bench, request, whole
from tests.ops.making import Route, counted, entry

FRESH = "cache-control: max-age=60"
PAGE = Request(b"GET", b"/page", Fields([]), NO_BODY, b"example.org")


def hits(counters: Counters, number: int, apart: float, since: float = 1000) -> int:
    """Have so many hits as the driver does, so many seconds apart; return how many were measured."""
    route = counted()
    measured = 0
    for i in range(number):
        now = UnixTime(since + i * apart)
        counters.unmeasured -= 1
        if not counters.unmeasured:
            counters.measure(PAGE, 200, route, now, UnixTime(now + 0.0002))
            measured += 1
    return measured


@pytest.mark.parametrize("apart", [pytest.param(0.01, id="a-hundred-a-second"), pytest.param(10, id="now-and-then")])
def test_where_there_are_few_each_is_measured(apart: float) -> None:
    counters = Counters()
    assert hits(counters, 500, apart) == 500
    assert sum(counters.took["hit"].counts) == 500
    assert counters.took["hit"].sum == pytest.approx(500 * 0.0002)
    assert counters.took["hit"].counts == counters.first_byte["hit"].counts


def test_where_there_are_many_one_stands_for_those_before_it() -> None:
    counters = Counters()
    measured = hits(counters, 61_000, 0.00002)
    assert 1000 <= measured <= 1010
    assert 61_000 - 61 < sum(counters.took["hit"].counts) <= 61_000
    (heavy,) = counters.busiest.first()
    assert heavy.requests == sum(counters.took["hit"].counts)


def test_when_they_become_few_again_each_is_measured_again() -> None:
    counters = Counters()
    hits(counters, 10_000, 0.00002)
    hits(counters, 500, 1, since=2000)
    assert hits(counters, 100, 1, since=3000) == 100


def test_hits_are_counted_on_through_a_reload() -> None:
    counters = Counters()
    former, later = counted((b"GET", 200), (b"GET", 200)), counted()
    counters.follow([former, counted((b"HEAD", 404))])
    counters.follow([later])
    later.hits[b"GET", 200] += 1
    assert counters.requests == {("-", "blog", b"GET", 200, "hit"): 3, ("-", "blog", b"HEAD", 404, "hit"): 1}
    counters.follow([Route(name="shop")])
    assert counters.requests["-", "blog", b"GET", 200, "hit"] == 3


async def test_the_driver_measures_hits() -> None:
    bench = Bench(whole(FRESH))
    for _ in range(3):
        await bench.get()
    assert {word: sum(took.counts) for word, took in bench.counters.took.items()} == {"uri-miss": 1, "hit": 2}


async def test_a_tunnel_has_no_duration() -> None:
    counters = Counters()
    counters.done(entry(status=101))
    assert counters.took == {}


async def test_validations_are_counted_by_what_the_origin_says() -> None:
    bench = Bench(whole("cache-control: max-age=1", 'etag: "a"'), whole(status=304), whole(status=503), whole(FRESH))
    for _ in range(4):
        await bench.get()
        bench.clock.turn(5)
    assert bench.counters.validations == {"not-modified": 1, "error": 1, "modified": 1}


async def test_what_the_origin_took_is_what_a_page_costs() -> None:
    counters = Counters()
    counters.done(entry())
    assert counters.costliest.first() == []
    bench = Bench(whole(FRESH), whole("set-cookie: a=b"), whole("set-cookie: a=b"))
    await bench.get("/a")
    await bench.get("/a")
    await bench.get("/b")
    await bench.ask(request("/b"))
    said = [(heavy.url, heavy.requests, heavy.last.word, heavy.last.detail) for heavy in bench.counters.busiest.first()]
    assert said == [
        (b"http://site.test/a", 2, "hit", None),
        (b"http://site.test/b", 2, "uri-miss", "set-cookie"),
    ]
    assert {heavy.url for heavy in bench.counters.costliest.first()} == {b"http://site.test/a", b"http://site.test/b"}


@pytest.mark.parametrize(
    ("forward", "detail", "reason"),
    [
        pytest.param(ForwardReason.METHOD, None, "method", id="method"),
        pytest.param(ForwardReason.METHOD, Detail.UPSTREAM_TIMEOUT, "method", id="method-and-the-origin-fails"),
        pytest.param(ForwardReason.BYPASS, Detail.UPGRADE, "upgrade", id="bypass"),
        pytest.param(ForwardReason.BYPASS, Detail.UPSTREAM_TIMEOUT, "other", id="bypass-and-the-origin-fails"),
    ],
)
def test_a_bypass_has_one_of_a_closed_set_of_reasons(forward: ForwardReason, detail: Detail, reason: str) -> None:
    counters = Counters()
    counters.done(entry(outcome=Outcome(forward=forward, detail=detail)))
    assert counters.bypasses == {reason: 1}
