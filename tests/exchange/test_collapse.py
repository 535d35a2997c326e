"""Are many requests for one URL one request to the origin? (RFC 9111 §4, RFC 9211 §2.6)"""

from __future__ import annotations

import pytest

from proxy.errors import UpstreamError, UpstreamTimeout
from proxy.policy.key import PrimaryKey
from proxy.storage.memory import PageMemory
from proxy.storage.responses import MemoryResponses
from tests.exchange.making import RULES, Bench, Client, Clock, Gate, coming, request, settled, whole

FRESH = "cache-control: max-age=60"
TAG = 'etag: "a"'


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: UpstreamTimeout("late"), id="failed"),
        pytest.param(lambda: whole(FRESH), id="stored"),
        pytest.param(lambda: whole("cache-control: private"), id="not-shared"),
    ],
)
async def test_a_flight_is_over_when_its_answer_is_there(answer) -> None:
    bench = Bench(answer())
    await bench.get()
    assert len(bench.flights) == 0


async def test_a_flight_is_over_when_what_is_stored_was_validated() -> None:
    bench = Bench(whole(FRESH, TAG), whole(FRESH, TAG, status=304), whole(FRESH, TAG, status=304))
    await bench.get()
    for _ in range(2):
        bench.clock.turn(61)
        assert (await bench.get()).cache_status == "fwd=stale; fwd-status=304; ttl=60; stored"
        assert len(bench.flights) == 0


async def test_after_a_failure_the_origin_is_asked_again() -> None:
    bench = Bench(UpstreamTimeout("late"), whole(FRESH))
    assert (await bench.get()).status == 504
    assert (await bench.get()).got == (200, b"0123456789", True)


async def test_a_crowd_on_a_cold_url_is_one_request() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    clients = await bench.crowd(request() for _ in range(50))
    answer.feed(b"one ", b"two")
    answer.end()
    assert {client.got for client in clients} == {(200, b"one two", True)}
    assert bench.times_asked == 1
    assert bench.counters.collapsed == 49
    assert [client.cache_status for client in clients[:2]] == [
        "fwd=uri-miss; fwd-status=200; ttl=60; stored",
        "fwd=uri-miss; collapsed",
    ]
    assert (await bench.get()).cache_status == "hit; ttl=60"


async def test_a_slow_client_does_not_hold_a_fast_one() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    leader, slow, fast = await bench.crowd(request() for _ in range(3))
    slow.block()
    leader.block()
    answer.feed(b"one ", b"two ")
    assert not answer.wire.paused
    assert (fast.content, slow.content) == (b"one two ", b"")
    fast.block()
    answer.feed(b"three")
    assert answer.wire.paused
    slow.unblock()
    assert not answer.wire.paused
    answer.end()
    fast.unblock()
    leader.unblock()
    assert {leader.got, slow.got, fast.got} == {(200, b"one two three", True)}


async def test_a_body_too_large_to_be_kept_is_paced_by_the_slowest() -> None:
    answer = coming(FRESH)
    bench = Bench(answer, stored_body=10)
    slow, fast = await bench.crowd(request() for _ in range(2))
    slow.block()
    answer.feed(b"0123456789")
    assert not answer.wire.paused
    answer.feed(b"+")
    assert answer.wire.paused
    slow.unblock()
    assert not answer.wire.paused
    answer.end()
    assert slow.got == fast.got == (200, b"0123456789+", True)
    assert len(bench.memory) == 0


async def test_who_comes_while_the_body_flows_gets_it_from_the_beginning() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    leader = await bench.get()
    answer.feed(b"one ")
    late = await bench.get()
    assert late.content == b"one "
    answer.feed(b"two")
    answer.end()
    assert leader.got == late.got == (200, b"one two", True)
    assert bench.times_asked == 1


async def test_who_comes_when_the_body_is_no_longer_kept_asks_for_himself() -> None:
    answer = coming(FRESH)
    bench = Bench(answer, whole(FRESH, body=b"own"), stored_body=3)
    await bench.get()
    answer.feed(b"four")
    assert (await bench.get()).got == (200, b"own", True)


async def test_the_client_that_leads_leaves_before_the_head() -> None:
    gate = Gate()
    bench = Bench(gate)
    leader, follower = await bench.crowd(request() for _ in range(2))
    leader.leave()
    gate.open(whole(FRESH))
    await settled()
    assert follower.got == (200, b"0123456789", True)
    assert (await bench.get()).cache_status == "hit; ttl=60"


async def test_the_client_that_leads_leaves_in_the_middle_of_the_body() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    leader, follower = await bench.crowd(request() for _ in range(2))
    answer.feed(b"one ")
    leader.leave()
    answer.feed(b"two")
    answer.end()
    assert follower.got == (200, b"one two", True)
    assert leader.content == b"one "
    assert (await bench.get()).got == (200, b"one two", True)


async def test_every_client_leaves_and_the_response_is_stored() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    clients = await bench.crowd(request() for _ in range(3))
    for client in clients:
        client.leave()
    answer.feed(b"all")
    answer.end()
    assert (await bench.get()).got == (200, b"all", True)


@pytest.mark.parametrize("limit", [pytest.param(2, id="while-it-streams"), pytest.param(5, id="at-once")])
async def test_nobody_is_left_for_a_body_that_is_too_large(limit: int) -> None:
    answer = coming(FRESH)
    bench = Bench(answer, stored_body=limit)
    client = await bench.get()
    answer.feed(b"12")
    client.leave()
    answer.feed(b"3456")
    assert answer.wire.abandoned
    assert len(bench.flights) == 0


async def test_the_failure_of_the_origin_is_everybodys() -> None:
    gate = Gate()
    bench = Bench(gate)
    clients = await bench.crowd(request() for _ in range(20))
    gate.open(UpstreamTimeout("late"))
    await settled()
    assert bench.times_asked == 1
    assert {client.status for client in clients} == {504}
    assert [client.cache_status for client in clients[:2]] == [
        "fwd=uri-miss; detail=upstream-timeout",
        "fwd=uri-miss; collapsed; detail=upstream-timeout",
    ]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(lambda: UpstreamTimeout("late"), id="no-answer"),
        pytest.param(lambda: whole(status=503), id="answer-503"),
    ],
)
async def test_where_the_origin_fails_everybody_gets_the_stale_response(failure) -> None:
    gate = Gate()
    bench = Bench(whole(FRESH), gate)
    await bench.get()
    bench.clock.turn(61)
    clients = await bench.crowd(request() for _ in range(20))
    gate.open(failure())
    await settled()
    assert bench.times_asked == 2
    assert {client.got for client in clients} == {(200, b"0123456789", True)}
    assert {client.detail for client in clients} == {"stale-if-error"}


async def test_what_is_validated_for_one_answers_the_others() -> None:
    gate = Gate()
    bench = Bench(whole(FRESH, TAG), gate)
    await bench.get()
    bench.clock.turn(61)
    clients = await bench.crowd(request() for _ in range(20))
    gate.open(whole(FRESH, TAG, status=304))
    await settled()
    assert bench.times_asked == 2
    assert {client.got for client in clients} == {(200, b"0123456789", True)}


@pytest.mark.rfc(9111, "5.2.2.4")
async def test_what_is_validated_on_each_use_is_not_validated_one_after_the_other() -> None:
    first, others = Gate(), [Gate() for _ in range(9)]
    bench = Bench(whole("cache-control: no-cache", TAG), first, *others)
    await bench.get()
    clients = await bench.crowd(request() for _ in range(10))
    first.open(whole(TAG, status=304))
    await settled()
    assert bench.times_asked == 11, "all the others ask at once"
    for gate in others:
        gate.open(whole(TAG, status=304))
    await settled()
    assert {client.got for client in clients} == {(200, b"0123456789", True)}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("cache-control: private", id="private"),
        pytest.param("cache-control: no-store", id="no-store"),
        pytest.param("set-cookie: a=b", id="set-cookie"),
        pytest.param("vary: *", id="vary-star"),
    ],
)
async def test_a_response_for_one_is_not_shared(line: str) -> None:
    gate = Gate()
    bench = Bench(gate, *[whole(line, body=b"own%d" % number) for number in range(12)])
    clients = await bench.crowd(request() for _ in range(10))
    assert bench.times_asked == 1
    gate.open(whole(line, body=b"leader"))
    await settled()
    assert bench.times_asked == 10
    bodies = [client.content for client in clients]
    assert bodies[0] == b"leader"
    assert len(set(bodies)) == 10, "nobody got what was another's"
    # Its URL is remembered: nobody waits for anybody now.
    held = [Gate(), Gate()]
    bench.origin.answers = list(held)
    await bench.crowd(request() for _ in range(2))
    assert bench.times_asked == 12


async def test_a_url_is_remembered_as_uncacheable_for_a_while_only() -> None:
    bench = Bench(whole("cache-control: private"), Gate(), Gate())
    await bench.get()
    bench.clock.turn(121)
    await bench.crowd(request() for _ in range(5))
    assert bench.times_asked == 2


async def test_a_url_that_became_cacheable_is_collapsed_again() -> None:
    bench = Bench(whole("cache-control: private"), whole(FRESH), Gate())
    await bench.get()
    await bench.get()
    bench.clock.turn(61)
    await bench.crowd(request() for _ in range(5))
    assert bench.times_asked == 3


async def test_a_304_for_the_client_does_not_prolong_the_memory_of_an_uncacheable_url() -> None:
    bench = Bench(whole("cache-control: private", TAG), whole(TAG, status=304), Gate())
    await bench.get()
    bench.clock.turn(100)
    assert (await bench.get("/page", 'if-none-match: "a"')).status == 304
    bench.clock.turn(100)
    await bench.crowd(request() for _ in range(5))
    assert bench.times_asked == 3


async def test_an_error_of_the_origin_says_nothing_of_the_url() -> None:
    bench = Bench(whole(status=500), Gate())
    assert (await bench.get()).status == 500
    await bench.crowd(request() for _ in range(5))
    assert bench.times_asked == 2


@pytest.mark.rfc(9111, "4.1")
async def test_those_who_select_the_same_variant_ask_together() -> None:
    gate = Gate()
    english = [FRESH, "vary: accept-language", "content-language: en"]
    german = [FRESH, "vary: accept-language", "content-language: de"]
    bench = Bench(gate, whole(*german, body=b"Hallo"))
    languages = ["en", "de", "en", "de", "de"]
    clients = await bench.crowd(request("/page", f"accept-language: {language}") for language in languages)
    gate.open(whole(*english, body=b"Hello"))
    await settled()
    assert [client.content for client in clients] == [b"Hello", b"Hallo", b"Hello", b"Hallo", b"Hallo"]
    assert bench.times_asked == 2


@pytest.mark.parametrize(
    ("first", "other"),
    [
        pytest.param(request(), request(method="HEAD"), id="head"),
        pytest.param(request(), request("/page", "range: bytes=0-1"), id="range"),
        pytest.param(request(), request("/page", "cache-control: no-store"), id="no-store"),
        pytest.param(request("/page", "cache-control: no-store"), request(), id="no-store-does-not-lead"),
        pytest.param(request(), request("/other"), id="other-url"),
        pytest.param(request(), request("/page", "cookie: session=1"), id="cookie"),
        pytest.param(request(), request("/page", "authorization: Basic eA=="), id="authorization"),
        pytest.param(request(), request(method="POST"), id="post"),
    ],
)
async def test_those_who_do_not_wait(first, other) -> None:
    bench = Bench(Gate(), Gate())
    await bench.crowd([first, other])
    assert bench.times_asked == 2


async def test_ignored_cookies_do_not_keep_from_waiting() -> None:
    bench = Bench(Gate())
    await bench.crowd([request(), request("/page", "cookie: _ga=1"), request("/page", "cookie: _ga=2")])
    assert bench.times_asked == 1


@pytest.mark.rfc(9111, "5.2.1.4")
async def test_who_will_have_no_stored_response_asks_for_himself() -> None:
    gate = Gate()
    bench = Bench(gate, whole(FRESH, body=b"new"))
    plain, reload = await bench.crowd([request(), request("/page", "cache-control: no-cache")])
    gate.open(whole(FRESH, body=b"first"))
    await settled()
    assert (plain.content, reload.content) == (b"first", b"new")


async def test_a_personal_page_without_a_lifetime_is_not_for_the_next_with_cookies() -> None:
    gate = Gate()
    bench = Bench(gate, whole(body=b"Bob"))
    alice, bob = await bench.crowd([request("/page", "cookie: s=alice"), request("/page", "cookie: s=bob")])
    gate.open(whole(body=b"Alice"))
    await settled()
    assert (alice.content, bob.content) == (b"Alice", b"Bob")


async def test_a_body_cut_short_is_cut_short_for_everybody() -> None:
    answer = coming(FRESH)
    bench = Bench(answer, whole(FRESH))
    clients = await bench.crowd(request() for _ in range(3))
    answer.feed(b"one")
    answer.fail(UpstreamError("gone"))
    assert {(client.content, client.is_whole, client.is_aborted) for client in clients} == {(b"one", False, True)}
    assert (await bench.get()).got == (200, b"0123456789", True)
    assert bench.times_asked == 2


# Faults of our own.


class Broken(Exception):
    """A fault of ours."""


@pytest.mark.parametrize("followers", [pytest.param(0, id="alone"), pytest.param(3, id="with-followers")])
async def test_a_fault_of_ours_ends_the_exchange_at_once(followers: int, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    bench = Bench(gate, *[whole(FRESH) for _ in range(followers)])
    leader, *others = await bench.crowd(request() for _ in range(1 + followers))
    gate.open(Broken("ours"))
    await settled()
    assert leader.is_aborted
    assert {client.got for client in others} <= {(200, b"0123456789", True)}
    assert len(bench.driver.tasks) == 0
    assert len(bench.flights) == 0
    assert "a fault of ours" in caplog.text


class FailingStorage:
    """Storage whose shelf breaks."""

    immediate = True
    leases = None

    def select(self, *_: object) -> None:
        return None

    def vary_specs(self, *_: object) -> tuple[()]:
        return ()

    def accepts(self, *_: object) -> bool:
        return True

    def begun(self) -> FailingStorage:
        return self

    def store(self, *_: object) -> bool:
        raise Broken("the shelf")

    def invalidate(self, *_: object) -> bool:
        return False


async def test_a_storage_that_fails_does_not_keep_the_body_from_ending() -> None:
    answer = coming(FRESH)
    bench = Bench(answer, storage=FailingStorage())
    leader, follower = await bench.crowd(request() for _ in range(2))
    answer.feed(b"all")
    with pytest.raises(Broken):
        answer.end()
    assert leader.got == follower.got == (200, b"all", True)
    assert len(bench.flights) == 0


async def test_clients_that_left_while_they_waited_are_let_go() -> None:
    gate = Gate()
    bench = Bench(gate)
    clients: list[Client] = await bench.crowd(request() for _ in range(3))
    for client in clients:
        client.leave()
    gate.open(whole("cache-control: private"))
    bench.give(whole("cache-control: private"), whole("cache-control: private"))
    await settled()
    assert len(bench.driver.tasks) == 0


class FailsOnce(MemoryResponses):
    """Fails the first time that it is asked whether it would store something."""

    failed = False

    def accepts(self, primary: PrimaryKey) -> bool:
        if not self.failed:
            self.failed = True
            raise Broken("ours")
        return super().accepts(primary)


@pytest.mark.parametrize("arriving", [False, True])
async def test_after_a_fault_of_ours_nobody_waits_for_the_body(arriving: bool) -> None:
    bench = Bench(storage=FailsOnce(PageMemory(Clock(), max_entries=None), RULES.distinctions, 128))
    gate = Gate()
    bench.give(gate, whole(FRESH), whole(FRESH))
    leader, follower, later = Client(), Client(), Client()
    bench.driver.handle(request(), leader)
    bench.driver.handle(request(), follower)
    await settled()
    answer = coming(FRESH) if arriving else whole(FRESH)
    gate.open(answer)
    await settled()
    bench.driver.handle(request(), later)
    await settled()
    assert leader.is_aborted
    assert follower.got == later.got == (200, b"0123456789", True)
    assert answer.wire.abandoned is arriving
    assert not bench.driver.is_busy
    assert len(bench.flights) == 0
