"""What is answered from the storage, and what does the client get of it? (RFC 9111 §4, RFC 9110 §13, §14)"""

from __future__ import annotations

import pytest

from proxy.config.model import ClientCacheControl
from tests.exchange.making import EARLIER, Bench, Client, Coming, coming, request, whole

FRESH = "cache-control: max-age=60"
TAG = 'etag: "a"'
MODIFIED = f"last-modified: {EARLIER}"
STALE = "fwd=stale; fwd-status=200; ttl=60; stored"
ASKED = "fwd=request; fwd-status=200; ttl=60; stored; detail=request-"
UNSTORED = "fwd=stale; fwd-status=200; detail=request-no-store"
BYPASS = "fwd=bypass; fwd-status=200; detail="


async def primed(*lines: str, **changes: object) -> Bench:
    """A bench where a response with these lines is stored for /page."""
    bench = Bench(whole(*lines, **changes))  # type: ignore[arg-type]
    await bench.get()
    assert len(bench.memory)
    return bench


async def test_a_miss_then_hits() -> None:
    bench = Bench(whole(FRESH, "X-Case: Kept"))
    miss = await bench.get()
    assert miss.got == (200, b"0123456789", True)
    assert miss.cache_status == "fwd=uri-miss; fwd-status=200; ttl=60; stored"
    assert miss.age is None
    hit = bench.start(request())
    assert hit.got == (200, b"0123456789", True), "a hit is written before the call returns"
    assert hit.cache_status == "hit; ttl=60"
    assert b"X-Case: Kept\r\n" in hit.head
    assert bench.times_asked == 1


@pytest.mark.rfc(9111, "5.1")
async def test_age_and_ttl_move_with_the_clock() -> None:
    bench = await primed(FRESH)
    seen = []
    for _ in range(4):
        hit = await bench.get()
        seen.append((hit.age, hit.cache_status))
        bench.clock.turn(19)
    assert seen == [(0, "hit; ttl=60"), (19, "hit; ttl=41"), (38, "hit; ttl=22"), (57, "hit; ttl=3")]


@pytest.mark.rfc(9111, "4.2.3")
async def test_the_age_a_response_came_with_counts() -> None:
    bench = Bench(whole(FRESH, "age: 50"), whole(FRESH))
    assert (await bench.get()).age == 50
    bench.clock.turn(5)
    hit = await bench.get()
    assert (hit.age, hit.cache_status) == (55, "hit; ttl=5")
    assert len(hit.fields.lines(b"age")) == 1
    bench.clock.turn(5)
    assert (await bench.get()).cache_status == "fwd=stale; fwd-status=200; ttl=60; stored"


@pytest.mark.rfc(9110, "9.3.2")
async def test_head_is_answered_from_a_stored_get() -> None:
    bench = await primed(FRESH)
    head = await bench.ask(request(method="HEAD"))
    assert head.got == (200, b"", True)
    assert head.fields.get(b"content-length") == b"10"
    assert head.cache_status == "hit; ttl=60"


async def test_a_head_on_a_miss_is_a_head_and_stores_nothing() -> None:
    bench = Bench(whole(FRESH))
    head = await bench.ask(request(method="HEAD"))
    assert (head.status, head.content, head.cache_status) == (200, b"", "fwd=uri-miss; fwd-status=200")
    assert bench.origin.asked[0].method == b"HEAD"
    assert len(bench.memory) == 0


async def test_a_chunked_body_is_stored_with_its_length() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    first = await bench.get()
    answer.feed(b"ab", b"cde")
    answer.end((b"X-Sum", b"1"))
    assert first.trailers == ((b"X-Sum", b"1"),)
    assert (await bench.get()).fields.get(b"content-length") == b"5"


@pytest.mark.parametrize(
    ("kept", "asked", "status"),
    [
        pytest.param(TAG, 'if-none-match: "a"', 304, id="same-tag"),
        pytest.param(TAG, 'if-none-match: W/"a"', 304, id="weak-comparison"),
        pytest.param(TAG, 'if-none-match: "b", "a"', 304, id="one-of-several"),
        pytest.param(TAG, "if-none-match: *", 304, id="any-tag"),
        pytest.param(TAG, 'if-none-match: "b"', 200, id="other-tag"),
        pytest.param(MODIFIED, f"if-modified-since: {EARLIER}", 304, id="not-modified-since"),
        pytest.param(MODIFIED, "if-modified-since: Sun, 09 Sep 2001 00:46:39 GMT", 200, id="modified-since"),
        pytest.param(MODIFIED, "if-modified-since: yesterday", 200, id="no-date"),
    ],
)
@pytest.mark.rfc(9111, "4.3.2")
@pytest.mark.rfc(9110, "13.2.2")
async def test_a_conditional_client_gets_what_it_lacks(kept: str, asked: str, status: int) -> None:
    bench = await primed(FRESH, kept, "content-type: text/plain")
    client = await bench.get("/page", asked)
    assert client.status == status
    assert client.content == (b"" if status == 304 else b"0123456789")
    assert client.cache_status == "hit; ttl=60"
    assert (b"content-length" in client.fields) is (status == 200)
    assert b"cache-control" in client.fields


async def test_if_none_match_wins_over_if_modified_since() -> None:
    bench = await primed(FRESH, TAG, MODIFIED)
    assert (await bench.get("/page", 'if-none-match: "b"', f"if-modified-since: {EARLIER}")).status == 200


async def test_a_conditional_client_on_a_miss_is_answered_from_the_whole_response() -> None:
    bench = Bench(whole(FRESH, TAG))
    client = await bench.get("/page", 'if-none-match: "a"')
    assert (client.status, client.content, client.is_whole) == (304, b"", True)
    assert b"if-none-match" not in bench.origin.fields()
    assert (await bench.get()).got == (200, b"0123456789", True)


@pytest.mark.parametrize(
    ("line", "status", "extent", "body"),
    [
        pytest.param("range: bytes=2-4", 206, b"bytes 2-4/10", b"234", id="middle"),
        pytest.param("range: bytes=7-", 206, b"bytes 7-9/10", b"789", id="from"),
        pytest.param("range: bytes=-3", 206, b"bytes 7-9/10", b"789", id="last"),
        pytest.param("range: bytes=8-99", 206, b"bytes 8-9/10", b"89", id="beyond-the-end"),
        pytest.param("range: bytes=10-", 416, b"bytes */10", b"", id="outside"),
        pytest.param("range: bytes=4-2", 200, None, b"0123456789", id="backwards"),
        pytest.param("range: bytes=0-1,3-4", 206, b"bytes 0-4/10", b"01234", id="several-near-each-other"),
        pytest.param("range: lines=0-1", 200, None, b"0123456789", id="other-unit"),
    ],
)
@pytest.mark.rfc(9110, "14.2")
async def test_a_range_of_a_stored_response(line: str, status: int, extent: bytes | None, body: bytes) -> None:
    bench = await primed(FRESH, TAG)
    client = await bench.get("/page", line)
    assert client.got == (status, body, True)
    assert client.fields.get(b"content-range") == extent
    assert client.fields.get(b"content-length") == b"%d" % len(body)
    assert client.cache_status == "hit; ttl=60"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        pytest.param('if-range: "a"', 206, id="same"),
        pytest.param('if-range: "b"', 200, id="other"),
        pytest.param('if-range: W/"a"', 200, id="weak"),
    ],
)
@pytest.mark.rfc(9110, "13.1.5")
async def test_if_range(line: str, status: int) -> None:
    bench = await primed(FRESH, TAG)
    assert (await bench.get("/page", "range: bytes=0-1", line)).status == status


@pytest.mark.rfc(9111, "3.3")
async def test_a_range_with_if_range_on_a_miss_is_passed_through_and_not_stored() -> None:
    bench = Bench(whole(FRESH, "content-range: bytes 0-1/10", status=206, body=b"01"), whole(FRESH))
    part = await bench.get("/page", "range: bytes=0-1", 'if-range: "a"')
    assert part.got == (206, b"01", True)
    assert part.cache_status == "fwd=uri-miss; fwd-status=206; ttl=60"
    assert bench.origin.fields().get(b"range") == b"bytes=0-1"
    assert bench.origin.fields().get(b"if-range") == b'"a"'
    assert (await bench.get()).got == (200, b"0123456789", True)


async def test_a_range_of_a_stale_response_is_cut_from_the_validated_one() -> None:
    bench = await primed(FRESH, TAG)
    bench.give(whole(FRESH, TAG, status=304))
    bench.clock.turn(61)
    part = await bench.get("/page", "range: bytes=2-4")
    assert part.got == (206, b"234", True)
    assert part.cache_status == "fwd=stale; fwd-status=304; ttl=60; stored"
    assert b"range" not in bench.origin.fields()


# What the client asks of caches (RFC 9111 §5.2.1).


@pytest.mark.parametrize(
    ("line", "age", "status"),
    [
        pytest.param("cache-control: no-cache", 0, ASKED + "no-cache", id="no-cache"),
        pytest.param("pragma: no-cache", 0, ASKED + "no-cache", id="pragma"),
        pytest.param("cache-control: max-age=9", 10, ASKED + "max-age", id="max-age-passed"),
        pytest.param("cache-control: max-age=10", 10, "hit; ttl=50", id="max-age-holds"),
        pytest.param("cache-control: min-fresh=51", 10, ASKED + "min-fresh", id="min-fresh-lacks"),
        pytest.param("cache-control: min-fresh=50", 10, "hit; ttl=50", id="min-fresh-holds"),
        pytest.param("cache-control: max-stale", 99, "hit; ttl=-39; detail=max-stale", id="max-stale"),
        pytest.param("cache-control: max-stale=38", 99, STALE, id="max-stale-passed"),
        pytest.param("cache-control: only-if-cached", 10, "hit; ttl=50", id="only-if-cached-fresh"),
        pytest.param("cache-control: no-store", 10, "hit; ttl=50", id="no-store-may-be-served"),
        pytest.param("cache-control: no-store", 61, UNSTORED, id="no-store-not-stored"),
    ],
)  # fmt: skip
@pytest.mark.rfc(9111, "5.2.1")
async def test_what_the_client_asks_of_caches(line: str, age: float, status: str) -> None:
    bench = await primed(FRESH)
    bench.give(whole(FRESH))
    bench.clock.turn(age)
    assert (await bench.get("/page", line)).cache_status == status


@pytest.mark.parametrize("age", [pytest.param(None, id="nothing-stored"), pytest.param(61, id="stale")])
@pytest.mark.rfc(9111, "5.2.1.7")
async def test_only_if_cached_never_asks_the_origin(age: float | None) -> None:
    bench = Bench() if age is None else await primed(FRESH)
    bench.clock.turn(age or 0)
    client = await bench.get("/page", "cache-control: only-if-cached")
    assert client.status == 504
    assert client.cache_status == "detail=only-if-cached"
    assert b"only-if-cached" in client.content


async def test_no_store_stores_nothing_of_the_answer() -> None:
    bench = Bench(whole(FRESH))
    client = await bench.get("/page", "cache-control: no-store")
    assert client.cache_status == "fwd=uri-miss; fwd-status=200; detail=request-no-store"
    assert len(bench.memory) == 0


@pytest.mark.rfc(9111, "5.2.1.5")
async def test_no_store_stores_nothing_of_a_validation() -> None:
    bench = await primed(FRESH, TAG)
    bench.give(whole("cache-control: max-age=999", TAG, status=304), whole(FRESH, TAG, status=304))
    bench.clock.turn(61)
    client = await bench.get("/page", "cache-control: no-store")
    assert (client.status, client.cache_status) == (200, "fwd=stale; fwd-status=304; ttl=999")
    assert (await bench.get()).cache_status.startswith("fwd=stale")


@pytest.mark.parametrize(
    ("setting", "trusted", "status"),
    [
        pytest.param(ClientCacheControl.IGNORE, True, "hit; ttl=60", id="ignored"),
        pytest.param(ClientCacheControl.TRUSTED, False, "hit; ttl=60", id="not-trusted"),
        pytest.param(ClientCacheControl.TRUSTED, True, "fwd=request", id="trusted"),
    ],
)
async def test_whose_wishes_count(setting: ClientCacheControl, trusted: bool, status: str) -> None:
    bench = Bench(whole(FRESH), whole(FRESH), client_cache_control=setting)
    await bench.get("/page", trusted=trusted)
    client = await bench.get("/page", "cache-control: no-cache", trusted=trusted)
    assert client.cache_status.startswith(status)


# Variants (RFC 9111 §4.1).


def language(name: str, body: bytes) -> Coming:
    return whole(FRESH, "vary: Accept-Language", f"content-language: {name}", body=body)


@pytest.mark.rfc(9111, "4.1")
async def test_two_languages() -> None:
    bench = Bench(language("en", b"Hello"), language("de", b"Hallo"))
    first = await bench.get("/page", "accept-language: en")
    second = await bench.get("/page", "accept-language: de")
    assert second.cache_status == "fwd=vary-miss; fwd-status=200; ttl=60; stored"
    assert [first.content, second.content] == [b"Hello", b"Hallo"]
    for name, body in (("en", b"Hello"), ("de", b"Hallo")):
        hit = await bench.get("/page", f"accept-language: {name}")
        assert (hit.content, hit.cache_status) == (body, "hit; ttl=60")


@pytest.mark.rfc(9111, "4.1")
async def test_absent_and_empty_are_two_variants() -> None:
    bench = Bench(language("en", b"none"), language("en", b"empty"))
    await bench.get()
    await bench.get("/page", "accept-language:")
    assert (await bench.get()).content == b"none"
    assert (await bench.get("/page", "accept-language:")).content == b"empty"


async def test_vary_cookie_keeps_users_apart_and_ignores_what_is_ignored() -> None:
    bench = Bench(*[whole(FRESH, "vary: cookie", body=body) for body in (b"Alice", b"Bob", b"anonymous")])
    await bench.get("/page", "cookie: s=alice")
    await bench.get("/page", "cookie: s=bob")
    await bench.get()
    got = [
        (await bench.get("/page", *lines)).content
        for lines in (["cookie: _ga=1; s=alice"], ["cookie: s=bob; _ga=2"], ["cookie: _ga=3"], [])
    ]
    assert got == [b"Alice", b"Bob", b"anonymous", b"anonymous"]


async def test_the_number_of_variants_of_a_url_is_bounded() -> None:
    bench = Bench(*[language(str(number), b"%d" % number) for number in range(4)], variants=3)
    for number in range(4):
        await bench.get("/page", f"accept-language: {number}")
    for number in (1, 2, 3):
        assert (await bench.get("/page", f"accept-language: {number}")).cache_status == "hit; ttl=60"
    bench.give(language("0", b"again"))
    assert (await bench.get("/page", "accept-language: 0")).content == b"again"


async def test_a_response_may_begin_to_vary_and_cease_to() -> None:
    bench = await primed(FRESH)
    bench.clock.turn(61)
    bench.give(language("en", b"Hello"), whole(FRESH, body=b"for all"))
    await bench.get("/page", "accept-language: en")
    assert (await bench.get("/page", "accept-language: de")).content == b"for all"
    assert (await bench.get("/page", "accept-language: en")).content == b"for all"


# What the cache keeps out of.


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param(request(method="OPTIONS"), "fwd=method; fwd-status=200", id="method"),
        pytest.param(request("/page", 'if-match: "a"'), BYPASS + "precondition", id="if-match"),
        pytest.param(
            request("/page", f"if-unmodified-since: {EARLIER}"),
            BYPASS + "precondition",
            id="if-unmodified-since",
        ),
        pytest.param(request(upgrade=b"h2c"), BYPASS + "upgrade", id="upgrade-declined"),
    ],
)
async def test_what_is_not_for_the_cache_is_neither_answered_nor_stored(asked, status: str) -> None:
    bench = Bench(whole(FRESH), whole(FRESH))
    assert (await bench.ask(asked)).cache_status == status
    assert (await bench.ask(asked)).cache_status == status
    assert len(bench.memory) == 0


async def test_a_client_that_has_gone_gets_nothing() -> None:
    bench = Bench(whole(FRESH))
    client = Client()
    client.gone = True
    await bench.ask(request(), client)
    assert client.head == b""
    assert (await bench.get()).cache_status == "hit; ttl=60"


@pytest.mark.rfc(9211, "2")
async def test_each_cache_on_the_way_says_what_it_did_behind_those_before_it() -> None:
    before = "cache-status: origin-cache; hit, cdn; fwd=stale"
    bench = Bench(whole("cache-control: max-age=60", before), whole("cache-control: no-store", before))
    first, hit = await bench.get(), await bench.get()
    passed = await bench.get("/other")
    for client, ours in ((first, "fwd=uri-miss"), (hit, "hit"), (passed, "fwd=uri-miss")):
        earlier, said = client.fields.lines(b"cache-status")
        assert earlier == b"origin-cache; hit, cdn; fwd=stale"
        assert said.startswith(f"sitecache; {ours}".encode())
