"""Are parts stored, joined, completed and served as RFC 9111 §3.3 and §3.4 allow, and by nobody else's bytes?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from email import message_from_bytes

import pytest

from proxy.config.units import Bytes, Seconds
from proxy.errors import UpstreamClosed, UpstreamTimeout
from proxy.message.framing import CHUNKED, UNTIL_CLOSE, Framing, Length
from proxy.storage.backends.base import Value
from proxy.storage.responses import NoResponses
from tests.exchange.making import EARLIER, Bench, Clock, Coming, Gate, coming, request, settled, whole
from tests.exchange.remotes import Counting, Unreachable, pages_of, remote

FRESH, TAG, TAG_B = "cache-control: max-age=60", 'etag: "a"', 'etag: "b"'
BODY = b"".join(b"%03d " % number for number in range(25))


def part(first: int, last: int, *lines: str, framing: Framing | None = None, body: bytes = BODY) -> Coming:
    lines = lines or (FRESH, TAG)
    content = body[first : last + 1]
    return whole(*lines, f"content-range: bytes {first}-{last}/{len(body)}", status=206, body=content, framing=framing)


async def with_part(first: int, last: int, *lines: str, bench: Bench | None = None) -> Bench:
    bench = bench or Bench()
    bench.give(part(first, last, *lines))
    client = await bench.get("/page", f"range: bytes={first}-{last}")
    assert client.got == (206, BODY[first : last + 1], True)
    assert client.cache_status == "fwd=uri-miss; fwd-status=206; ttl=60; stored"
    return bench


def kinds() -> list[Bench]:
    """One in memory, and one whose storage has to be waited for."""
    clock = Clock()
    return [Bench(), Bench(storage=remote(Counting(clock)))]


# What is stored, and what it answers.


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.parametrize("kind", [0, 1])
async def test_a_stored_part_answers_ranges_that_lie_in_it(kind: int) -> None:
    bench = await with_part(10, 39, bench=kinds()[kind])
    for line, first, last in (("10-39", 10, 39), ("12-20", 12, 20), ("39-39", 39, 39)):
        client = await bench.get("/page", f"range: bytes={line}")
        assert client.got == (206, BODY[first : last + 1], True)
        assert client.fields.get(b"content-range") == b"bytes %d-%d/100" % (first, last)
        assert client.cache_status == "hit; ttl=60"
    assert bench.times_asked == 1
    bench.clock.turn(20)
    assert (await bench.get("/page", "range: bytes=12-20")).age == 20


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.rfc(9211, "2.2")
@pytest.mark.parametrize("kind", [0, 1])
async def test_a_stored_part_answers_nothing_else(kind: int) -> None:
    bench = await with_part(10, 39, bench=kinds()[kind])
    bench.give(part(12, 45))
    beyond = await bench.get("/page", "range: bytes=12-45")
    assert beyond.got == (206, BODY[12:46], True)
    assert beyond.cache_status == "fwd=partial; fwd-status=206; ttl=60; stored"
    bench.give(whole(FRESH, TAG, body=BODY))
    head = await bench.ask(request(method="HEAD"))
    assert (head.status, head.cache_status) == (200, "fwd=partial; fwd-status=200")
    bench.give(whole(FRESH, TAG, body=BODY))
    complete = await bench.get()
    assert complete.got == (200, BODY, True)
    assert complete.cache_status == "fwd=partial; fwd-status=200; ttl=60; stored"
    assert b"range" not in bench.origin.fields(), "two ranges are missing"
    assert (await bench.get()).cache_status == "hit; ttl=60"


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(part(0, 9, TAG), "detail=no-freshness", id="no-lifetime"),
        pytest.param(
            whole(FRESH, "content-range: bytes 4-9/10", status=206, body=b"01234"), "detail=partial-content", id="lies"
        ),
        pytest.param(
            whole(FRESH, "content-range: bytes 0-4/*", status=206, body=b"01234"), "detail=partial-content", id="open"
        ),
        pytest.param(
            whole(FRESH, "content-type: multipart/byteranges; boundary=x", status=206),
            "detail=partial-content",
            id="multipart",
        ),
        pytest.param(part(0, 9, FRESH, "set-cookie: a=b"), "detail=set-cookie", id="set-cookie"),
        pytest.param(part(0, 9, "cache-control: max-age=60, private"), "detail=private", id="private"),
        pytest.param(part(0, 9, framing=UNTIL_CLOSE), "detail=undelimited", id="until-close"),
    ],
)
async def test_parts_that_are_not_stored_are_passed_on_untouched(answer: Coming, status: str) -> None:
    bench = Bench(answer)
    client = await bench.get("/page", "range: bytes=0-9")
    assert client.status == 206
    assert client.is_whole
    assert client.cache_status == "fwd=uri-miss; fwd-status=206; " + status
    assert client.fields.get(b"content-range") == answer.answer.response.fields.get(b"content-range")
    assert len(bench.memory) == 0


@pytest.mark.rfc(9110, "14.4")
async def test_a_chunked_part_is_stored_only_when_it_was_what_it_says() -> None:
    bench = Bench(part(0, 9, framing=CHUNKED))
    assert (await bench.get("/page", "range: bytes=0-9")).content == BODY[:10]
    assert (await bench.get("/page", "range: bytes=0-9")).cache_status == "hit; ttl=60"
    for size in (9, 11):
        bench = Bench(whole(FRESH, TAG, "content-range: bytes 0-9/100", status=206, body=BODY[:size], framing=CHUNKED))
        assert (await bench.get("/page", "range: bytes=0-9")).content == BODY[:size], "passed on untouched"
        assert len(bench.memory) == 0


async def test_a_part_that_is_cut_short_is_not_stored() -> None:
    answer = coming(FRESH, TAG, "content-range: bytes 0-9/100", status=206, framing=Length(10))
    bench = Bench(answer)
    client = await bench.get("/page", "range: bytes=0-9")
    answer.feed(b"000")
    answer.fail(UpstreamClosed("gone"))
    await settled()
    assert client.is_aborted
    assert len(bench.memory) == 0


async def test_a_part_that_is_all_answers_for_the_whole() -> None:
    bench = Bench(part(0, 99))
    assert (await bench.get("/page", "range: bytes=0-")).status == 206
    assert (await bench.get()).got == (200, BODY, True)


@pytest.mark.rfc(9110, "14.6")
async def test_several_parts_of_what_is_stored() -> None:
    long = b"0123456789" * 100
    bench = Bench(whole(FRESH, TAG, "content-type: text/plain", body=long))
    await bench.get()
    client = await bench.get("/page", "range: bytes=0-4,-5,500-501")
    assert client.status == 206
    kind = client.fields.get(b"content-type") or b""
    parts = message_from_bytes(b"content-type: " + kind + b"\r\n\r\n" + client.content).get_payload()
    assert [(one["content-range"], one.get_payload()) for one in parts] == [
        ("bytes 0-4/1000", "01234"),
        ("bytes 995-999/1000", "56789"),
        ("bytes 500-501/1000", "01"),
    ]
    assert client.cache_status == "hit; ttl=60"
    again = await bench.get("/page", "range: bytes=0-4,-5,500-501")
    assert again.fields.get(b"content-type") != kind, "nobody can know the boundary beforehand"
    assert (await bench.get("/page", 'if-range: "b"', "range: bytes=0-4,-5")).got == (200, long, True)


# Joining.


@pytest.mark.rfc(9111, "3.4")
@pytest.mark.parametrize("kind", [0, 1])
async def test_parts_of_one_representation_become_one(kind: int) -> None:
    bench = await with_part(0, 29, bench=kinds()[kind])
    bench.give(part(30, 59), part(50, 99))
    await bench.get("/page", "range: bytes=30-59")
    client = await bench.get("/page", "range: bytes=5-55")
    assert (client.content, client.cache_status) == (BODY[5:56], "hit; ttl=60")
    await bench.get("/page", "range: bytes=50-99")
    client = await bench.get()
    assert (client.got, client.cache_status) == ((200, BODY, True), "hit; ttl=60")
    assert client.fields.get(b"content-length") == b"100"
    assert b"content-range" not in client.fields
    assert bench.times_asked == 3


@pytest.mark.rfc(9111, "3.4")
async def test_parts_of_two_representations_are_never_joined() -> None:
    bench = await with_part(0, 49)
    other = bytes(reversed(BODY))
    bench.give(part(50, 99, FRESH, TAG_B, body=other))
    assert (await bench.get("/page", "range: bytes=50-99")).content == other[50:]
    bench.give(part(0, 49, FRESH, TAG_B, body=other))
    assert (await bench.get("/page", "range: bytes=0-49")).content == other[:50], "the part of the former is gone"
    assert (await bench.get()).got == (200, other, True)


async def test_two_ranges_on_their_way_at_once_are_joined_in_the_end() -> None:
    first, second = Gate(), Gate()
    bench = Bench(first, second)
    clients = await bench.crowd([request("/page", "range: bytes=0-49"), request("/page", "range: bytes=50-99")])
    second.open(part(50, 99))
    first.open(part(0, 49))
    await settled()
    assert [client.content for client in clients] == [BODY[:50], BODY[50:]]
    assert (await bench.get()).cache_status == "hit; ttl=60"


@pytest.mark.parametrize("kind", [0, 1])
async def test_a_part_never_displaces_what_is_complete_and_fresh(kind: int) -> None:
    gate = Gate()
    bench = kinds()[kind]
    bench.give(gate, whole(FRESH, TAG, body=BODY))
    slow = bench.start(request("/page", "range: bytes=0-9"))
    await settled()
    await bench.get()
    gate.open(part(0, 9, FRESH, TAG_B))
    await settled()
    assert slow.got == (206, BODY[:10], True)
    assert (await bench.get()).cache_status == "hit; ttl=60"


async def test_a_part_of_the_same_representation_freshens_what_is_complete() -> None:
    bench = Bench(whole(FRESH, "last-modified: " + EARLIER, "date: Sun, 09 Sep 2001 01:46:40 GMT", body=BODY))
    gate = Gate()
    bench.origin.answers.insert(0, gate)
    slow = bench.start(request("/page", "range: bytes=0-9"))
    await settled()
    await bench.get()
    bench.clock.turn(50)
    gate.open(
        part(0, 9, "cache-control: max-age=600", "last-modified: " + EARLIER, "date: Sun, 09 Sep 2001 01:47:30 GMT")
    )
    await settled()
    assert slow.is_whole
    client = await bench.get()
    assert (client.got, client.cache_status) == ((200, BODY, True), "hit; ttl=550")


@pytest.mark.rfc(9111, "4.1")
async def test_parts_vary_as_whole_responses_do() -> None:
    bench = Bench(*(part(0, 9, FRESH, TAG, "vary: accept", body=body) for body in (BODY, BODY[::-1])))
    for accept in ("a", "b"):
        await bench.get("/page", "range: bytes=0-9", f"accept: {accept}")
    assert (await bench.get("/page", "range: bytes=0-9", "accept: a")).content == BODY[:10]
    assert (await bench.get("/page", "range: bytes=0-9", "accept: b")).content == BODY[::-1][:10]
    # One that would take their places leaves them.
    bench.give(part(0, 9, FRESH, TAG))
    await bench.get("/page", "range: bytes=0-9", "accept: c")
    kept = await bench.get("/page", "range: bytes=0-9", "accept: b")
    assert (kept.content, kept.cache_status) == (BODY[::-1][:10], "hit; ttl=60")


@pytest.mark.rfc(9111, "4.4")
@pytest.mark.parametrize("kind", [0, 1])
async def test_a_write_invalidates_parts_stored_and_on_their_way(kind: int) -> None:
    bench = await with_part(0, 9, bench=kinds()[kind])
    gate = Gate()
    bench.give(gate, whole(status=204))
    slow = bench.start(request("/page", "range: bytes=10-19"))
    await settled()
    bench.clock.turn(1)
    await bench.ask(request(method="POST"))
    gate.open(part(10, 19))
    await settled()
    assert slow.is_whole
    bench.clock.turn(1)
    bench.give(part(0, 9), part(10, 19))
    assert (await bench.get("/page", "range: bytes=0-9")).cache_status.startswith("fwd=uri-miss")
    assert (await bench.get("/page", "range: bytes=10-19")).cache_status.startswith("fwd=partial")


class Slow(Counting):
    """A storage whose look-ups wait until they are let through, where the test wants that."""

    gate: asyncio.Future[None] | None = None

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        if self.gate is not None:
            await self.gate
        return await super().get_many(keys)


@pytest.mark.rfc(9111, "4.4")
async def test_a_write_while_it_is_looked_up_what_is_stored_keeps_the_part_out() -> None:
    backend, gate = Slow(Clock()), Gate()
    bench = Bench(gate, whole(status=204), storage=remote(backend))
    client = bench.start(request("/page", "range: bytes=0-9"))
    await settled()
    backend.gate = asyncio.get_running_loop().create_future()
    gate.open(part(0, 9))
    await settled()
    assert client.is_whole
    bench.clock.turn(1)
    bench.start(request(method="POST"))
    await settled()
    backend.gate.set_result(None)
    backend.gate = None
    await settled()
    assert not pages_of(backend)


@pytest.mark.rfc(9111, "4.4")
async def test_a_write_while_it_is_looked_up_what_is_stored_keeps_the_freshened_part_out() -> None:
    backend = Slow(Clock())
    bench = await with_part(0, 29, bench=Bench(storage=remote(backend)))
    bench.clock.turn(61)
    gate = Gate()
    bench.give(gate, whole(status=204))
    client = bench.start(request("/page", "range: bytes=0-9"))
    await settled()
    backend.gate = asyncio.get_running_loop().create_future()
    gate.open(whole(FRESH, TAG, status=304))
    await settled()
    assert client.content == BODY[:10]
    bench.clock.turn(1)
    bench.start(request(method="POST"))
    await settled()
    backend.gate.set_result(None)
    backend.gate = None
    await settled()
    assert not pages_of(backend)


async def test_without_a_place_to_store_parts_pass() -> None:
    for storage in (NoResponses(), remote(Unreachable())):
        bench = Bench(part(0, 9), part(0, 9), storage=storage)
        for _ in range(2):
            assert (await bench.get("/page", "range: bytes=0-9")).content == BODY[:10]


async def test_a_storage_that_fails_between_keeps_nothing() -> None:
    backend = Unreachable()
    backend.gone = False
    gate = Gate()
    bench = Bench(gate, storage=remote(backend))
    client = bench.start(request("/page", "range: bytes=0-9"))
    await settled()
    backend.gone = True
    gate.open(part(0, 9))
    await settled()
    assert client.is_whole
    assert not pages_of(backend)


# Stale.


@pytest.mark.rfc(9111, "4.3.1")
async def test_a_stale_part_is_validated_with_its_range() -> None:
    bench = await with_part(0, 29)
    bench.clock.turn(61)
    bench.give(whole(FRESH, TAG, status=304))
    client = await bench.get("/page", "range: bytes=5-9", 'if-none-match: "z"', 'if-range: "a"')
    assert client.got == (206, BODY[5:10], True)
    assert client.cache_status == "fwd=stale; fwd-status=304; ttl=60; stored"
    asked = bench.origin.fields()
    assert asked.lines(b"if-none-match") == [b'"a"']
    assert asked.get(b"range") == b"bytes=5-9"
    assert b"if-range" not in asked
    assert b"if-modified-since" not in asked
    assert (await bench.get("/page", "range: bytes=0-29")).cache_status == "hit; ttl=60"


async def test_a_stale_part_gives_way_to_the_new_representation() -> None:
    bench = await with_part(0, 29)
    bench.clock.turn(61)
    other = bytes(reversed(BODY))
    bench.give(part(5, 9, FRESH, TAG_B, body=other))
    assert (await bench.get("/page", "range: bytes=5-9")).content == other[5:10]
    assert (await bench.get("/page", "range: bytes=5-9")).content == other[5:10]
    bench.give(whole(FRESH, TAG_B, body=other))
    assert (await bench.get("/page", "range: bytes=0-29")).content == other, "the origin gave all"


async def test_a_stale_part_stands_in_for_an_origin_that_fails_and_only_for_what_lies_in_it() -> None:
    bench = await with_part(0, 29)
    bench.clock.turn(61)
    bench.give(UpstreamTimeout("slow"), UpstreamTimeout("slow"), UpstreamTimeout("slow"))
    client = await bench.get("/page", "range: bytes=5-9")
    assert (client.got, client.detail) == ((206, BODY[5:10], True), "stale-if-error")
    assert (await bench.get()).status == 504
    assert (await bench.get("/page", "range: bytes=5-40")).status == 504


async def test_a_304_that_comes_late_does_not_displace_what_is_complete() -> None:
    bench = await with_part(0, 29)
    bench.clock.turn(61)
    gate = Gate()
    bench.give(gate, whole(FRESH, TAG, body=BODY))
    slow = bench.start(request("/page", "range: bytes=5-9"))
    await settled()
    await bench.get()
    gate.open(whole(FRESH, TAG, status=304))
    await settled()
    assert slow.content == BODY[5:10]
    assert (await bench.get()).cache_status == "hit; ttl=60"


# Completing.


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.rfc(9111, "3.4")
@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(
    ("stored", "missing", "asked"),
    [
        pytest.param((0, 29), (30, 99), b"bytes=30-", id="the-end"),
        pytest.param((70, 99), (0, 69), b"bytes=0-69", id="the-beginning"),
    ],
)
async def test_only_what_is_missing_is_asked_for(
    kind: int, stored: tuple[int, int], missing: tuple[int, int], asked: bytes
) -> None:
    bench = await with_part(*stored, bench=kinds()[kind])
    bench.give(part(*missing, FRESH, TAG, "x-new: 1"))
    client = await bench.get()
    assert client.got == (200, BODY, True)
    assert client.fields.get(b"content-length") == b"100"
    assert client.fields.lines(b"content-length") == [b"100"]
    assert client.fields.get(b"x-new") == b"1"
    assert client.cache_status == "fwd=partial; fwd-status=206; ttl=60; stored"
    assert bench.origin.fields().get(b"range") == asked
    assert bench.origin.fields().get(b"if-range") == b'"a"'
    again = await bench.get()
    assert (again.got, again.cache_status) == ((200, BODY, True), "hit; ttl=60")


async def test_a_crowd_shares_what_is_stored_and_what_comes() -> None:
    bench = await with_part(0, 29)
    rest = coming(FRESH, TAG, "content-range: bytes 30-99/100", status=206, framing=Length(70))
    bench.give(rest)
    leader, *others = await bench.crowd(request() for _ in range(3))
    assert leader.content == BODY[:30], "what is there need not wait"
    rest.feed(BODY[30:60])
    late = bench.start(request())
    await settled()
    rest.feed(BODY[60:])
    rest.end()
    await settled()
    for client in (leader, *others, late):
        assert client.got == (200, BODY, True)
    assert bench.times_asked == 2


@pytest.mark.parametrize("extent", [(0, 29), (70, 99)])
async def test_a_rest_that_is_cut_short_makes_nothing_complete(extent: tuple[int, int]) -> None:
    bench = await with_part(*extent)
    missing = (30, 99) if extent[0] == 0 else (0, 69)
    rest = coming(FRESH, TAG, f"content-range: bytes {missing[0]}-{missing[1]}/100", status=206, framing=Length(70))
    bench.give(rest)
    client = bench.start(request())
    await settled()
    rest.feed(b"1234")
    rest.fail(UpstreamClosed("gone"))
    await settled()
    assert client.is_aborted
    assert not client.is_whole
    assert (await bench.get("/page", f"range: bytes={extent[0]}-{extent[1]}")).cache_status == "hit; ttl=60"


@pytest.mark.rfc(9110, "13.1.5")
async def test_another_representation_replaces_the_part() -> None:
    bench = await with_part(0, 29)
    bench.give(whole(FRESH, TAG_B, body=b"new"))
    client = await bench.get()
    assert (client.got, client.cache_status) == ((200, b"new", True), "fwd=partial; fwd-status=200; ttl=60; stored")
    assert (await bench.get("/page", "range: bytes=0-0")).content == b"n"


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(part(30, 99, FRESH, TAG_B), id="206-of-another"),
        pytest.param(part(30, 98), id="206-of-less"),
        pytest.param(part(30, 99, framing=CHUNKED), id="206-of-unknown-length"),
        pytest.param(whole("content-range: bytes */20", status=416), id="416"),
        pytest.param(whole(TAG, status=304), id="304"),
    ],
)
async def test_an_answer_about_our_own_range_is_not_the_clients(odd: Coming) -> None:
    bench = await with_part(0, 29)
    bench.give(odd, whole(FRESH, TAG_B, body=b"new"))
    client = await bench.get()
    assert client.got == (200, b"new", True)
    assert b"range" not in bench.origin.fields()
    assert b"if-range" not in bench.origin.fields()


@pytest.mark.parametrize("status", [404, 302, 503])
async def test_any_other_answer_is_as_the_origin_says(status: int) -> None:
    bench = await with_part(0, 29)
    bench.give(whole(status=status, body=b"no"))
    assert (await bench.get()).got == (status, b"no", True)


async def test_an_origin_that_fails_is_not_helped_by_a_part() -> None:
    bench = await with_part(0, 29)
    bench.give(UpstreamTimeout("slow"))
    assert (await bench.get()).status == 504


async def test_a_client_that_wants_nothing_stored_gets_the_whole_from_the_origin() -> None:
    bench = await with_part(0, 29)
    bench.give(whole(FRESH, TAG, body=BODY))
    client = await bench.get("/page", "cache-control: no-store")
    assert client.got == (200, BODY, True)
    assert b"range" not in bench.origin.fields()


async def test_a_url_remembered_as_uncacheable_is_not_completed() -> None:
    bench = Bench(whole("cache-control: no-store"))
    await bench.get()
    bench.give(part(0, 29), whole(FRESH, TAG, body=BODY))
    await bench.get("/page", "range: bytes=0-29")
    assert (await bench.get()).got == (200, BODY, True)
    assert b"range" not in bench.origin.fields()


async def test_a_route_says_how_long_parts_and_what_was_completed_are_fresh() -> None:
    bench = Bench(part(0, 29), part(30, 99), cache_page=Seconds(10))
    first = await bench.get("/page", "range: bytes=0-29")
    assert first.cache_status == "fwd=uri-miss; fwd-status=206; ttl=10; stored"
    assert first.fields.get(b"cache-control") == b"max-age=10"
    client = await bench.get()
    assert client.cache_status == "fwd=partial; fwd-status=206; ttl=10; stored"
    assert client.fields.get(b"cache-control") == b"max-age=10"


async def test_a_route_that_stores_no_page_stores_no_part() -> None:
    bench = Bench(*(part(0, 29, FRESH) for _ in range(2)), cache_page=Seconds(0))
    for _ in range(2):
        client = await bench.get("/page", "range: bytes=0-29")
        assert client.cache_status == "fwd=uri-miss; fwd-status=206; detail=not-reusable"
        assert client.fields.get(b"cache-control") == b"max-age=0"


# Collapsing.


@pytest.mark.rfc(9111, "4")
async def test_the_same_range_is_asked_for_once() -> None:
    gate = Gate()
    bench = Bench(gate)
    clients = await bench.crowd(request("/page", "range: bytes=0-9") for _ in range(5))
    gate.open(part(0, 9))
    await settled()
    assert [client.got for client in clients] == [(206, BODY[:10], True)] * 5
    assert [client.fields.get(b"content-range") for client in clients] == [b"bytes 0-9/100"] * 5
    assert clients[1].cache_status == "fwd=uri-miss; collapsed"
    assert bench.times_asked == 1
    assert len(bench.flights) == 0


async def test_an_origin_without_ranges_gives_all_of_them_the_whole() -> None:
    gate = Gate()
    bench = Bench(gate)
    clients = await bench.crowd(request("/page", "range: bytes=0-9") for _ in range(3))
    gate.open(whole(FRESH, body=BODY))
    await settled()
    assert [client.got for client in clients] == [(200, BODY, True)] * 3
    assert bench.times_asked == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["range: bytes=0-9"], ["range: bytes=0-8"], id="another-range"),
        pytest.param(["range: bytes=0-9"], ["range: bytes=0-9", 'if-range: "a"'], id="if-range"),
        pytest.param(["range: bytes=0-9"], ["range: bytes=0-9", 'if-none-match: "a"'], id="if-none-match"),
        pytest.param(["range: bytes=0-9"], ["range: bytes=0-9", "cookie: s=1"], id="a-cookie"),
        pytest.param(["range: bytes=0-9"], ["range: bytes=0-9", "cache-control: no-store"], id="no-store"),
        pytest.param(["range: bytes=0-9"], [], id="the-whole"),
        pytest.param(["range: bytes=0-9" + "," * 60], ["range: bytes=0-9" + "," * 60], id="a-long-range"),
    ],
)
async def test_other_requests_do_not_wait_for_it(one: list[str], other: list[str]) -> None:
    gates = [Gate(), Gate()]
    bench = Bench(*gates)
    await bench.crowd([request("/page", *one), request("/page", *other)])
    assert bench.times_asked == 2
    for gate in gates:
        gate.open(part(0, 9))
    await settled()


async def test_a_range_that_cannot_be_shared_is_remembered_as_such() -> None:
    gate = Gate()
    bench = Bench(gate, *[part(0, 9, TAG) for _ in range(4)])
    clients = await bench.crowd(request("/page", "range: bytes=0-9") for _ in range(3))
    gate.open(part(0, 9, TAG))
    await settled()
    assert all(client.got == (206, BODY[:10], True) for client in clients)
    assert bench.times_asked == 3
    late = [Gate(), Gate()]
    bench.origin.answers[:] = late
    await bench.crowd(request("/page", "range: bytes=0-9") for _ in range(2))
    assert bench.times_asked == 5, "nobody waits"
    for one in late:
        one.open(part(0, 9, TAG))
    await settled()


async def test_a_part_of_less_than_was_asked_for_is_not_shared() -> None:
    gate = Gate()
    bench = Bench(gate, part(0, 9))
    first, second = await bench.crowd(request("/page", "range: bytes=0-9") for _ in range(2))
    gate.open(part(0, 4))
    await settled()
    assert (first.content, second.content) == (BODY[:5], BODY[:10])


@pytest.mark.parametrize("ranges", ["0-99999", "0-69999,150000-", "-100000"])
async def test_a_large_part_is_written_from_what_is_stored(ranges: str) -> None:
    body = bytes(range(250)) * 800
    bench = Bench(whole("cache-control: max-age=60", body=body), stored_body=Bytes(10**6))
    await bench.get()
    client = await bench.get("/page", f"range: bytes={ranges}")
    assert client.status == 206
    assert client.is_whole
    assert client.cache_status.startswith("hit")
    assert client.framing == Length(len(client.content))
    assert client.fields.get(b"content-length") == b"%d" % len(client.content)
    first = body[:100000] if ranges == "0-99999" else body[:70000] if "," in ranges else body[100000:200000]
    assert first[:100000] in client.content
