"""What happens to a stale response: is it validated, replaced, or served? (RFC 9111 §4.2.4, §4.3, RFC 5861)"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.errors import (
    RequestBodyLost,
    UpstreamClosed,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tests.exchange.making import EARLIER, Bench, Gate, Given, coming, request, settled, whole

FRESH = "cache-control: max-age=60"
TAG = 'etag: "a"'
OTHER_TAG = 'etag: "b"'
MODIFIED = f"last-modified: {EARLIER}"
WHILE = "cache-control: max-age=60, stale-while-revalidate=30"
FAILURES = [
    pytest.param(lambda: UpstreamUnreachable("no"), id="unreachable"),
    pytest.param(lambda: UpstreamTimeout("no"), id="timeout"),
    pytest.param(lambda: UpstreamClosed("no"), id="closed"),
    pytest.param(lambda: UpstreamGarbage("no"), id="garbage"),
    pytest.param(lambda: UpstreamError("no"), id="error"),
    pytest.param(lambda: whole(status=500), id="500"),
    pytest.param(lambda: whole(status=502), id="502"),
    pytest.param(lambda: whole(status=503), id="503"),
    pytest.param(lambda: whole(status=504), id="504"),
]


async def stale(*lines: str, after: float = 61, **rules: object) -> Bench:
    """A bench where a response with these lines was stored for /page that long ago."""
    bench = Bench(whole(*lines), **rules)  # type: ignore[arg-type]
    await bench.get()
    bench.clock.turn(after)
    return bench


@pytest.mark.parametrize(
    ("answer", "stands_in"),
    [
        pytest.param(lambda: whole("cache-control: no-store"), False, id="no-store"),
        pytest.param(lambda: whole("cache-control: private"), False, id="private"),
        pytest.param(lambda: whole("vary: *"), False, id="vary-star"),
        pytest.param(lambda: whole(status=404), False, id="gone"),
        pytest.param(lambda: whole("set-cookie: a=b"), True, id="for-one-client-only"),
        pytest.param(lambda: whole(status=429), False, id="another-error-of-the-page"),
    ],
)
async def test_a_page_that_may_not_be_stored_any_more_takes_the_old_one_with_it(
    answer: Callable[[], Given], stands_in: bool
) -> None:
    bench = await stale(FRESH)
    bench.give(answer(), UpstreamClosed("no"))
    await bench.get()
    client = await bench.get()
    assert client.status == (200 if stands_in else 502)


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        pytest.param([TAG], {b"if-none-match": b'"a"', b"if-modified-since": None}, id="etag"),
        pytest.param([MODIFIED], {b"if-none-match": None, b"if-modified-since": EARLIER.encode()}, id="last-modified"),
        pytest.param([TAG, MODIFIED], {b"if-none-match": b'"a"', b"if-modified-since": EARLIER.encode()}, id="both"),
        pytest.param([], {b"if-none-match": None, b"if-modified-since": None}, id="no-validator"),
    ],
)
@pytest.mark.rfc(9111, "4.3.1")
async def test_the_origin_is_asked_about_what_is_stored(lines: list[str], asked: dict[bytes, bytes | None]) -> None:
    bench = await stale(FRESH, *lines)
    bench.give(whole(FRESH, body=b"new"))
    client = await bench.get("/page", 'if-none-match: "the client\'s own"')
    assert {name: bench.origin.fields().get(name) for name in asked} == asked
    assert client.got == (200, b"new", True)


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.rfc(9111, "3.2")
async def test_a_304_freshens() -> None:
    bench = await stale(FRESH, TAG, "X-Kept: 1", "X-New: old", "content-type: text/plain")
    bench.give(whole("cache-control: max-age=30", TAG, "X-New: new", "content-length: 99", status=304))
    client = await bench.get()
    assert client.got == (200, b"0123456789", True)
    assert client.cache_status == "fwd=stale; fwd-status=304; ttl=30; stored"
    hit = await bench.get()
    assert hit.cache_status == "hit; ttl=30"
    got = {name: hit.fields.get(name) for name in (b"x-kept", b"x-new", b"content-length", b"cache-control")}
    assert got == {b"x-kept": b"1", b"x-new": b"new", b"content-length": b"10", b"cache-control": b"max-age=30"}
    bench.clock.turn(31)
    bench.give(whole(FRESH, TAG, status=304))
    assert (await bench.get()).cache_status == "fwd=stale; fwd-status=304; ttl=60; stored"


@pytest.mark.rfc(9111, "4.3.3")
async def test_a_200_replaces() -> None:
    bench = await stale(FRESH, TAG)
    bench.give(whole(FRESH, OTHER_TAG, body=b"new"))
    client = await bench.get()
    assert (client.content, client.cache_status) == (b"new", "fwd=stale; fwd-status=200; ttl=60; stored")
    assert (await bench.get()).content == b"new"


@pytest.mark.parametrize(
    ("line", "next_status"),
    [
        pytest.param(OTHER_TAG, "hit; ttl=60", id="other-etag"),
        pytest.param("set-cookie: a=b", "hit; ttl=60", id="set-cookie"),
        pytest.param("cache-control: no-store", "hit; ttl=60", id="no-store"),
        pytest.param("cache-control: private", "hit; ttl=60", id="private"),
        pytest.param("vary: *", "hit; ttl=60", id="vary-star"),
    ],
)
@pytest.mark.rfc(9111, "4.3.3")
async def test_a_304_that_must_not_touch_what_is_stored_is_asked_again(line: str, next_status: str) -> None:
    bench = await stale(FRESH, TAG)
    lines = [line] if line.startswith("etag") else [TAG, line]
    bench.give(whole(*lines, status=304), whole(FRESH, OTHER_TAG, body=b"new"))
    client = await bench.get()
    assert client.got == (200, b"new", True)
    assert b"if-none-match" in bench.origin.fields(-2)
    assert b"if-none-match" not in bench.origin.fields(-1)
    assert (await bench.get()).cache_status == next_status


async def test_a_304_nobody_asked_for_ends_the_exchange() -> None:
    bench = await stale(FRESH)
    bench.give(whole(status=304))
    client = await bench.get()
    assert client.status == 304
    assert (client.is_whole, client.detail) == (True, "status")


@pytest.mark.rfc(9111, "4.3.2")
async def test_a_conditional_client_gets_its_304_after_a_validation() -> None:
    bench = await stale(FRESH, TAG)
    bench.give(whole(FRESH, TAG, status=304))
    client = await bench.get("/page", 'if-none-match: "a"')
    assert (client.status, client.cache_status) == (304, "fwd=stale; fwd-status=304; ttl=60; stored")


@pytest.mark.rfc(9111, "5.2.2.4")
async def test_no_cache_is_validated_on_each_use() -> None:
    bench = Bench(whole("cache-control: no-cache", TAG), *[whole(TAG, status=304) for _ in range(3)])
    await bench.get()
    for _ in range(3):
        client = await bench.get()
        assert client.got == (200, b"0123456789", True)
        assert client.cache_status.startswith("fwd=stale; fwd-status=304;")
        assert client.detail == "no-cache"
    assert bench.times_asked == 4


# Stale while it is validated (RFC 5861 §3).


@pytest.mark.rfc(5861, "3")
async def test_stale_while_revalidate_answers_at_once_and_refreshes_once() -> None:
    bench = await stale(WHILE, TAG)
    gate = Gate()
    bench.give(gate)
    clients = [bench.start(request()) for _ in range(50)]
    assert {client.got for client in clients} == {(200, b"0123456789", True)}, "answered before the call returned"
    assert {client.cache_status for client in clients} == {"hit; ttl=-1; detail=stale-while-revalidate"}
    await settled()
    assert bench.times_asked == 2
    assert bench.counters.refreshed == 1
    gate.open(whole(WHILE, TAG, status=304))
    await settled()
    assert (await bench.get()).cache_status == "hit; ttl=60"
    assert len(bench.flights) == 0


@pytest.mark.rfc(5861, "3")
async def test_a_refresh_may_bring_another_response() -> None:
    bench = await stale(WHILE)
    answer = coming(WHILE)
    bench.give(answer)
    assert (await bench.get()).content == b"0123456789"
    answer.feed(b"new")
    answer.end()
    assert (await bench.get()).got == (200, b"new", True)


async def test_a_refresh_is_one_whoever_asks() -> None:
    bench = await stale(WHILE, TAG)
    bench.give(Gate())
    asked = [request(), request("/page", "cookie: s=1"), request("/page", "cookie: s=2"), request()]
    await bench.crowd(asked)
    assert bench.times_asked == 2


async def test_a_refresh_after_a_head_is_a_get() -> None:
    bench = await stale(WHILE)
    bench.give(whole(WHILE, body=b"new"))
    head = await bench.ask(request("/page", "range: bytes=0-1", method="HEAD"))
    assert head.got == (200, b"", True)
    assert bench.origin.asked[-1].method == b"GET"
    assert (await bench.get()).content == b"new"


@pytest.mark.rfc(9111, "5.2.1")
@pytest.mark.parametrize(
    "wish",
    [
        pytest.param("cache-control: only-if-cached", id="only-if-cached"),
        pytest.param("cache-control: no-store", id="no-store"),
        pytest.param("cache-control: max-stale=60", id="max-stale"),
        pytest.param("Pragma: something", id="pragma"),
    ],
)
async def test_a_refresh_is_not_what_the_client_wishes_of_caches(wish: str) -> None:
    """A cache behind us would answer only-if-cached with 504, or max-stale with what is stale there."""
    bench = await stale(WHILE, TAG)
    bench.give(whole(WHILE, TAG, status=304))
    assert (await bench.get("/page", wish, "x-other: 1")).detail == "stale-while-revalidate"
    asked = bench.origin.fields()
    assert not {b"cache-control", b"pragma"} & asked.index.keys()
    assert (asked.get(b"x-other"), asked.get(b"if-none-match")) == (b"1", b'"a"')
    assert (await bench.get()).cache_status == "hit; ttl=60"


@pytest.mark.rfc(5861, "3")
async def test_after_its_time_a_stale_response_waits_for_the_validation() -> None:
    bench = await stale(WHILE, TAG, after=90)
    bench.give(whole(WHILE, TAG, status=304))
    assert (await bench.get()).cache_status == "fwd=stale; fwd-status=304; ttl=60; stored"


async def test_a_refresh_that_fails_leaves_the_stale_response_and_may_be_tried_again() -> None:
    bench = await stale(WHILE, TAG)
    bench.give(UpstreamTimeout("late"), whole(WHILE, TAG, status=304))
    for _ in range(2):
        assert (await bench.get()).detail == "stale-while-revalidate"
    assert (await bench.get()).cache_status == "hit; ttl=60"


async def test_a_refresh_too_large_to_be_stored_is_given_up() -> None:
    bench = await stale(WHILE)
    answer = coming(WHILE)
    bench.give(answer)
    await bench.get()
    answer.feed(b"x" * 999)
    assert not answer.wire.abandoned
    answer.feed(b"xx")
    assert answer.wire.abandoned
    assert len(bench.flights) == 0


@pytest.mark.parametrize("word", ["must-revalidate", "proxy-revalidate", "no-cache"])
@pytest.mark.rfc(9111, "4.2.4")
async def test_a_response_that_forbids_it_is_never_served_stale(word: str) -> None:
    bench = await stale(f"cache-control: max-age=60, stale-while-revalidate=30, stale-if-error=99, {word}", TAG)
    bench.give(UpstreamTimeout("late"))
    client = await bench.get("/page", "cache-control: max-stale")
    assert (client.status, client.detail) == (504, "upstream-timeout")


# Stale when the origin fails (RFC 5861 §4).


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("lines", [pytest.param([TAG], id="validated"), pytest.param([], id="fetched")])
@pytest.mark.rfc(5861, "4")
async def test_stale_if_error(failure, lines: list[str]) -> None:
    bench = await stale("cache-control: max-age=60, stale-if-error=30", *lines, stale_if_error=0)
    given = failure()
    bench.give(given, failure())
    client = await bench.get()
    assert client.got == (200, b"0123456789", True)
    assert client.detail == "stale-if-error"
    assert client.age == 61
    assert "ttl=-1" in client.cache_status
    assert ("fwd-status=5" in client.cache_status) is not isinstance(given, Exception)
    bench.clock.turn(29)
    late = await bench.get()
    assert late.status >= 500
    assert late.detail != "stale-if-error"


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("word", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"])
@pytest.mark.rfc(9111, "5.2.2.2")
async def test_stale_if_error_not_where_the_response_forbids_it(failure, word: str) -> None:
    bench = await stale(f"cache-control: max-age=60, stale-if-error=30, {word}", TAG)
    bench.give(failure())
    client = await bench.get()
    assert client.status >= 500
    assert client.detail != "stale-if-error"


async def test_the_operators_stale_if_error_counts_where_the_origin_did_not_say() -> None:
    bench = await stale(FRESH, stale_if_error=100)
    bench.give(UpstreamTimeout("late"))
    assert (await bench.get()).detail == "stale-if-error"
    bench = await stale("cache-control: max-age=60, stale-if-error=0", stale_if_error=100)
    bench.give(UpstreamTimeout("late"))
    assert (await bench.get()).status == 504


async def test_other_errors_of_the_origin_are_its_answer() -> None:
    bench = await stale(FRESH, TAG)
    bench.give(whole(status=404, body=b"gone"))
    assert (await bench.get()).got == (404, b"gone", True)


async def test_the_body_of_an_error_that_is_not_passed_on_is_given_up() -> None:
    bench = await stale(FRESH, TAG)
    answer = coming(status=503)
    bench.give(answer)
    assert (await bench.get()).detail == "stale-if-error"
    assert answer.wire.abandoned


@pytest.mark.parametrize(
    ("failure", "status", "detail"),
    [
        pytest.param(UpstreamUnreachable("no"), 502, "upstream-unreachable", id="unreachable"),
        pytest.param(UpstreamTimeout("no"), 504, "upstream-timeout", id="timeout"),
        pytest.param(UpstreamClosed("no"), 502, "upstream-closed", id="closed"),
        pytest.param(UpstreamGarbage("no"), 502, "upstream-garbage", id="garbage"),
        pytest.param(UpstreamError("no"), 502, "upstream-error", id="error"),
        pytest.param(RequestBodyLost("no"), 400, "request-body-lost", id="request-body-lost"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_an_error_carries_its_reason(failure: UpstreamError, status: int, detail: str, method: str) -> None:
    bench = Bench(failure)
    client = await bench.ask(request(method=method))
    assert (client.status, client.detail, client.is_whole) == (status, detail, True)
    assert (client.fields.get(b"cache-control"), client.fields.get(b"date")) == (
        b"no-store",
        b"Sun, 09 Sep 2001 01:46:40 GMT",
    )
    assert (detail.encode() in client.content) is (method != "HEAD")
    assert bench.counters.details[detail] == 1
    assert len(bench.memory) == 0
