"""What is stored, what is passed on and forgotten, and what does a write make invalid? (RFC 9111 §3, §4.4)"""

from __future__ import annotations

import pytest

from proxy.errors import UpstreamClosed, UpstreamTimeout
from proxy.message.framing import CHUNKED, UNTIL_CLOSE, Length
from proxy.message.heads import Request
from tests.exchange.making import Bench, Client, Gate, coming, request, settled, whole

FRESH = "cache-control: max-age=60"
TAG = 'etag: "a"'
COOKIE = "cookie: session=1"
BASIC = "authorization: Basic eA=="


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        pytest.param(["cache-control: no-store, max-age=60"], "no-store", id="no-store"),
        pytest.param(["cache-control: private, max-age=60"], "private", id="private"),
        pytest.param([FRESH, "vary: *"], "vary-star", id="vary-star"),
        pytest.param([FRESH, "vary: accept, *"], "vary-star", id="vary-star-among-others"),
        pytest.param([FRESH, "set-cookie: a=b"], "set-cookie", id="set-cookie"),
        pytest.param(["cache-control: max-age=0"], "not-reusable", id="stale-at-once-without-validator"),
        pytest.param(["expires: 0"], "not-reusable", id="expires-0"),
        pytest.param(["cache-control: no-cache"], "not-reusable", id="no-cache-without-validator"),
        pytest.param([FRESH, "age: 60"], "not-reusable", id="comes-too-old"),
    ],
)
@pytest.mark.rfc(9111, "3")
async def test_what_is_not_stored(lines: list[str], detail: str) -> None:
    bench = Bench(whole(*lines), whole(*lines))
    for _ in range(2):
        client = await bench.get()
        assert client.got == (200, b"0123456789", True)
        assert client.cache_status == f"fwd=uri-miss; fwd-status=200; detail={detail}"
    assert len(bench.memory) == 0


@pytest.mark.parametrize(
    ("status", "lines", "stored"),
    [
        pytest.param(200, [], True, id="200"),
        pytest.param(404, [], False, id="404"),
        pytest.param(404, [FRESH], True, id="404-with-a-lifetime"),
        pytest.param(301, [FRESH, "location: /x"], True, id="301-with-a-lifetime"),
        pytest.param(302, [FRESH, "location: /x"], True, id="302-with-a-lifetime"),
        pytest.param(500, [], False, id="500"),
        pytest.param(500, [FRESH], True, id="500-with-a-lifetime"),
        pytest.param(204, [FRESH], True, id="204-with-a-lifetime"),
        pytest.param(999, [FRESH], True, id="999-with-a-lifetime"),
    ],
)
@pytest.mark.rfc(9111, "3")
async def test_which_statuses_are_stored(status: int, lines: list[str], stored: bool) -> None:
    bench = Bench(*[whole(*lines, status=status, body=b"") for _ in range(2)])
    first, second = await bench.get(), await bench.get()
    assert (first.status, second.status) == (status, status)
    assert ("stored" in first.cache_status, second.cache_status.startswith("hit")) == (stored, stored)
    assert first.detail == (None if stored else "no-freshness")


async def test_the_sites_lifetime_goes_to_the_client_too() -> None:
    bench = Bench(whole())
    for _ in range(2):
        client = await bench.get()
        assert client.fields.get(b"cache-control") == b"max-age=600"
        assert client.fields.get(b"expires") == b"Sun, 09 Sep 2001 01:56:40 GMT"


async def test_without_a_lifetime_of_the_site_only_the_origins_counts() -> None:
    bench = Bench(whole(), whole(FRESH), site_lifetime=0)
    assert (await bench.get()).detail == "no-freshness"
    assert (await bench.get()).cache_status.endswith("stored")


# Cookies and credentials (DESIGN §5, RFC 9111 §3.5).


@pytest.mark.parametrize(
    ("asked", "answer", "detail"),
    [
        pytest.param(COOKIE, [], "cookie", id="cookie-and-nothing-said"),
        pytest.param(COOKIE, [FRESH], None, id="cookie-and-a-lifetime"),
        pytest.param(COOKIE, ["vary: cookie"], None, id="cookie-and-vary"),
        pytest.param(COOKIE, ["vary: accept"], "cookie", id="cookie-and-other-vary"),
        pytest.param("cookie: _ga=1", [], None, id="ignored-cookie"),
        pytest.param("cookie: _ga=1; session=1", [], "cookie", id="cookie-among-ignored"),
        pytest.param(BASIC, [], "authorization", id="authorization"),
        pytest.param(BASIC, [FRESH], "authorization", id="authorization-and-max-age"),
        pytest.param(BASIC, ["cache-control: public, max-age=60"], None, id="authorization-and-public"),
        pytest.param(BASIC, ["cache-control: s-maxage=60"], None, id="authorization-and-s-maxage"),
        pytest.param(BASIC, [FRESH, "cache-control: must-revalidate"], None, id="authorization-and-must-revalidate"),
    ],
)
@pytest.mark.rfc(9111, "3.5")
async def test_answers_to_somebody_in_particular(asked: str, answer: list[str], detail: str | None) -> None:
    bench = Bench(whole(*answer))
    client = await bench.get("/page", asked)
    assert client.detail == detail
    assert (len(bench.memory) > 0) is (detail is None)


@pytest.mark.parametrize(
    ("asked", "answer", "status"),
    [
        pytest.param(COOKIE, [], "fwd=bypass; fwd-status=200; detail=cookie", id="cookie"),
        pytest.param(BASIC, [], "fwd=bypass; fwd-status=200; detail=authorization", id="authorization"),
        pytest.param("cookie: _ga=1", [], "hit; ttl=600", id="ignored-cookie"),
        pytest.param(COOKIE, [FRESH], "hit; ttl=60", id="cookie-and-a-lifetime"),
        pytest.param(BASIC, [FRESH], "hit; ttl=60", id="authorization-and-a-lifetime"),
    ],
)
async def test_the_anonymous_page_for_somebody_in_particular(asked: str, answer: list[str], status: str) -> None:
    bench = Bench(whole(*answer), whole(body=b"personal"))
    await bench.get()
    client = await bench.get("/page", asked)
    assert client.cache_status == status
    assert (await bench.get()).content == b"0123456789", "the anonymous page stays"


# Bodies.


@pytest.mark.parametrize("cut", [pytest.param(b"", id="before-the-body"), pytest.param(b"0123", id="in-the-middle")])
@pytest.mark.parametrize("framing", [pytest.param(Length(10), id="length"), pytest.param(CHUNKED, id="chunked")])
@pytest.mark.rfc(9111, "3.3")
async def test_a_body_cut_short_is_passed_on_as_such_and_not_stored(cut: bytes, framing: Length) -> None:
    answer = coming(FRESH, framing=framing)
    bench = Bench(answer)
    client = await bench.get()
    if cut:
        answer.feed(cut)
    answer.fail(UpstreamClosed("gone"))
    assert (client.content, client.is_whole, client.is_aborted) == (cut, False, True)
    assert len(bench.memory) == 0
    assert len(bench.flights) == 0


async def test_a_body_that_ends_with_the_connection_is_not_stored() -> None:
    bench = Bench(whole(FRESH, framing=UNTIL_CLOSE))
    client = await bench.get()
    assert client.got == (200, b"0123456789", True)
    assert client.cache_status == "fwd=uri-miss; fwd-status=200; detail=undelimited"
    assert len(bench.memory) == 0


@pytest.mark.parametrize("size", [pytest.param(1000, id="at-the-limit"), pytest.param(1001, id="beyond")])
async def test_a_body_with_a_length_beyond_the_limit(size: int) -> None:
    bench = Bench(whole(FRESH, body=b"x" * size))
    client = await bench.get()
    assert client.got == (200, b"x" * size, True)
    assert client.detail == (None if size == 1000 else "too-large")
    assert len(bench.memory) == (size == 1000)


@pytest.mark.parametrize("size", [pytest.param(1000, id="at-the-limit"), pytest.param(1001, id="beyond")])
async def test_a_body_that_grows_beyond_the_limit(size: int) -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    client = await bench.get()
    for _ in range(size):
        answer.feed(b"x")
    answer.end()
    assert client.got == (200, b"x" * size, True)
    assert len(bench.memory) == (size == 1000)


async def test_a_slow_client_holds_the_origin_back() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    client = await bench.get()
    client.block()
    answer.feed(b"one")
    assert answer.wire.paused
    client.unblock()
    assert (answer.wire.paused, client.content) == (False, b"one")


async def test_a_client_that_leaves_ends_a_body_that_is_not_stored() -> None:
    answer = coming("cache-control: private")
    bench = Bench(answer)
    client = await bench.get()
    answer.feed(b"one")
    client.leave()
    assert answer.wire.abandoned


async def test_interim_responses_reach_the_client() -> None:
    gate = Gate()
    bench = Bench(gate)
    client = await bench.get()
    assert gate.ask is not None
    gate.ask.interim(whole(status=103).answer.response)
    gate.open(whole(FRESH))
    await settled()
    assert (client.interims, client.status) == ([103], 200)


# What a write makes invalid (RFC 9111 §4.4).


async def shelf() -> Bench:
    """A bench where three pages are stored."""
    bench = Bench(*[whole(FRESH, body=name.encode()) for name in ("/page", "/list", "/other")])
    for target in ("/page", "/list", "/other"):
        await bench.get(target)
    bench.clock.turn(1)
    return bench


async def is_stored(bench: Bench, target: str = "/page") -> bool:
    """Tell whether a page is there to be served, without asking the origin for it."""
    return (await bench.get(target, "cache-control: only-if-cached")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROBNICATE"])
@pytest.mark.parametrize(
    ("status", "lines", "gone"),
    [
        pytest.param(200, [], {"/page"}, id="success"),
        pytest.param(303, ["location: /list"], {"/page", "/list"}, id="location"),
        pytest.param(201, ["content-location: http://site.test/list"], {"/page", "/list"}, id="content-location"),
        pytest.param(201, ["location: other"], {"/page", "/other"}, id="relative"),
        pytest.param(201, ["location: http://elsewhere.test/list"], {"/page"}, id="another-origin"),
        pytest.param(404, ["location: /list"], set(), id="not-found"),
        pytest.param(500, [], set(), id="failure"),
    ],
)
@pytest.mark.rfc(9111, "4.4")
async def test_a_write_invalidates(method: str, status: int, lines: list[str], gone: set[str]) -> None:
    bench = await shelf()
    bench.give(whole(*lines, status=status))
    await bench.ask(request(method=method))
    left = {target for target in ("/page", "/list", "/other") if await is_stored(bench, target)}
    assert left == {"/page", "/list", "/other"} - gone


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "QUERY", "HEAD"])
async def test_what_is_safe_invalidates_nothing(method: str) -> None:
    bench = await shelf()
    bench.give(whole())
    await bench.ask(request(method=method))
    assert await is_stored(bench)


async def test_a_write_that_got_no_answer_invalidates_nothing() -> None:
    bench = await shelf()
    bench.give(UpstreamTimeout("late"))
    await bench.ask(request(method="POST"))
    assert await is_stored(bench)


async def test_a_write_invalidates_every_variant() -> None:
    bench = Bench(*[whole(FRESH, "vary: accept-language") for _ in range(2)], whole())
    asked = [request("/page", f"accept-language: {language}") for language in ("en", "de")]
    for one in asked:
        await bench.ask(one)
    assert len(bench.memory) == 3
    await bench.ask(request(method="POST"))
    assert len(bench.memory) == 0


@pytest.mark.rfc(9111, "4.4")
async def test_what_was_asked_for_before_a_write_is_not_stored_after_it() -> None:
    gate = Gate()
    bench = Bench(gate, whole(), whole(FRESH, body=b"new"))
    reader = bench.start(request())
    await settled()
    bench.clock.turn(1)
    await bench.ask(request(method="POST"))
    bench.clock.turn(1)
    late = bench.start(request())
    await settled()
    assert late.content == b"new", "who asks after the write does not wait for what was asked before it"
    gate.open(whole(FRESH, body=b"old"))
    await settled()
    assert reader.content == b"old"
    assert (await bench.get()).content == b"new"


async def test_a_body_on_its_way_during_a_write_is_not_stored() -> None:
    answer = coming(FRESH)
    bench = Bench(answer, whole())
    reader = await bench.get()
    answer.feed(b"ol")
    bench.clock.turn(1)
    await bench.ask(request(method="POST"))
    answer.feed(b"d")
    answer.end()
    assert reader.got == (200, b"old", True)
    assert len(bench.memory) == 0


async def test_a_validation_on_its_way_during_a_write_is_not_stored() -> None:
    bench = Bench(whole(FRESH, TAG))
    await bench.get()
    bench.clock.turn(61)
    gate = Gate()
    bench.give(gate, whole())
    reader = bench.start(request())
    await settled()
    bench.clock.turn(1)
    await bench.ask(request(method="POST"))
    gate.open(whole(FRESH, TAG, status=304))
    await settled()
    assert reader.got == (200, b"0123456789", True)
    assert len(bench.memory) == 0


async def test_the_body_of_a_request_goes_with_it() -> None:
    sent = coming()
    bench = Bench(whole())
    asked: Request = request(method="POST", framing=CHUNKED)
    client = await bench.ask(asked, Client(sent.body))
    assert client.cache_status == "fwd=method; fwd-status=200"
    assert bench.origin.asked[0].body is sent.body
    assert bench.origin.fields().get(b"transfer-encoding") == b"chunked"
    assert not bench.origin.asked[0].repeatable


async def test_a_get_with_a_body_is_not_for_the_cache() -> None:
    bench = Bench(whole(FRESH))
    client = await bench.ask(request(framing=Length(2), method="GET"), Client(coming().body))
    assert client.cache_status == "fwd=bypass; fwd-status=200; detail=request-body"
    assert len(bench.memory) == 0
