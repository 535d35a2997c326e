"""What is remembered of the last fetch of a URL?"""

from __future__ import annotations

import pytest

from proxy.errors import UpstreamTimeout
from proxy.exchange.last_fetch import LastFetch, LastFetches
from proxy.message.framing import CHUNKED
from proxy.policy.decisions import Detail, Unkept
from tests.exchange.making import NOW, Bench, Gate, coming, request, settled, whole
from tests.exchange.test_details import FRESH, ROWS, TAG


def remembered(bench: Bench) -> LastFetches:
    return bench.driver._fetcher.last


def last(bench: Bench, target: str = "/page", method: str = "GET") -> LastFetch | None:
    asked = request(target, method=method)
    return remembered(bench).find(asked.method, bench.driver._sites.route(asked).key(asked))


def known(bench: Bench, target: str = "/page", method: str = "GET") -> LastFetch:
    fetch = last(bench, target, method)
    assert fetch is not None
    return fetch


async def test_a_response_that_was_stored() -> None:
    bench = Bench(whole(FRESH, 'cache-groups: "blog", "news"'))
    await bench.get()
    fetch = known(bench)
    assert (fetch.at, fetch.status, fetch.tags, fetch.background) == (NOW, 200, (b"blog", b"news"), False)
    assert (fetch.outcome.stored, fetch.outcome.word(), fetch.fate.unkept) == (True, "uri-miss", None)


async def test_a_hit_writes_nothing() -> None:
    bench = Bench(whole(FRESH))
    await bench.get()
    fetch = known(bench)
    bench.clock.turn(5)
    await bench.get()
    assert known(bench) is fetch
    assert fetch.at == NOW


async def test_it_says_what_cache_status_said() -> None:
    bench = Bench(whole("set-cookie: csrftoken=s3cret"))
    client = await bench.get("/page", "cookie: _ga=s3cret; sid=s3cret")
    fetch = known(bench)
    assert client.detail == fetch.outcome.detail == Detail.SET_COOKIE
    assert (fetch.facts.set_cookies, fetch.facts.cookies) == (("csrftoken",), ("sid",))
    assert "s3cret" not in repr(fetch)


async def test_the_latest_counts() -> None:
    bench = Bench(whole("cache-control: private"), whole(FRESH))
    await bench.get()
    bench.clock.turn(5)
    await bench.get()
    assert (known(bench).at, known(bench).outcome.detail) == (NOW + 5, None)
    assert len(remembered(bench)) == 1


async def test_a_validation_in_the_background() -> None:
    bench = Bench(whole("cache-control: max-age=60, stale-while-revalidate=9", TAG), whole(FRESH, TAG, status=304))
    await bench.get()
    bench.clock.turn(61)
    await bench.get()
    fetch = known(bench)
    assert (fetch.background, fetch.status, fetch.outcome.word()) == (True, 304, "stale")


async def test_an_origin_that_fails() -> None:
    bench = Bench(UpstreamTimeout("late"))
    await bench.get()
    assert (known(bench).status, known(bench).outcome.detail) == (None, Detail.UPSTREAM_TIMEOUT)


async def test_who_waits_for_another_fetches_nothing() -> None:
    gate = Gate()
    bench = Bench(gate)
    await bench.crowd([request("/page", f"user-agent: {number}") for number in range(3)])
    gate.open(whole(FRESH))
    await settled()
    assert (known(bench).outcome.collapsed, known(bench).outcome.stored) == (False, True)


async def test_methods_are_told_apart() -> None:
    bench = Bench(whole(FRESH), whole())
    await bench.get()
    await bench.ask(request(method="POST"))
    assert known(bench).outcome.word() == "uri-miss"
    assert known(bench, method="POST").outcome.word() == "method"


@pytest.mark.parametrize(
    ("answer", "unkept"),
    [
        pytest.param([b"x" * 1001], Unkept.TOO_LARGE, id="too-large"),
        pytest.param([b"x", None], Unkept.CUT_SHORT, id="cut-short"),
        pytest.param([b"x"], None, id="whole"),
    ],
)
async def test_what_became_of_a_body(answer: list[bytes | None], unkept: Unkept | None) -> None:
    coming_up = coming(FRESH, framing=CHUNKED)
    bench = Bench(coming_up)
    await bench.get()
    assert known(bench).fate.unkept is None
    for chunk in answer:
        if chunk is None:
            coming_up.fail(UpstreamTimeout("late"))
        else:
            coming_up.feed(chunk)
    if None not in answer:
        coming_up.end()
    assert known(bench).fate.unkept is unkept
    assert known(bench).outcome.stored


async def test_a_write_meanwhile() -> None:
    slow = coming(FRESH)
    bench = Bench(slow, whole())
    await bench.get()
    await bench.ask(request(method="POST"))
    slow.end()
    assert known(bench).fate.unkept is Unkept.INVALIDATED


@pytest.mark.parametrize("detail", [Detail.ROUTE, Detail.REQUEST_BODY_LOST, Detail.PRECONDITION])
async def test_what_bypasses_the_cache_is_remembered_too(detail: Detail) -> None:
    row = ROWS[detail]()
    bench = Bench(route=row.route)
    if row.answer is not None:
        bench.give(row.answer)
    await bench.ask(row.asked)
    assert known(bench, method=row.asked.method.decode()).outcome.detail is detail


async def test_no_more_are_remembered_than_that() -> None:
    bench = Bench(*(whole(FRESH) for _ in range(4)))
    bench.driver._fetcher.last = LastFetches(most=2)
    for number in (1, 2, 3):
        await bench.get(f"/{number}")
    assert [last(bench, f"/{number}") is None for number in (1, 2, 3)] == [True, False, False]
    long = "/" + "x" * 5000
    await bench.get(long)
    assert known(bench, long).status == 200
    assert len(remembered(bench)) == 2
    assert max(map(len, remembered(bench)._fetches)) <= 200


async def test_what_is_said_again_at_once_is_noted_once() -> None:
    bench = Bench(*[whole("cache-control: private")] * 3)
    await bench.get()
    first = known(bench)
    bench.clock.turn(0.5)
    await bench.get()
    assert known(bench) is first
    bench.clock.turn(1)
    await bench.get()
    assert known(bench).at == NOW + 1.5
