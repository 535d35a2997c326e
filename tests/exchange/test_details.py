"""Does every word of the vocabulary come out of some exchange, and say the same everywhere? (RFC 9211)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.errors import (
    RequestBodyLost,
    UpstreamClosed,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.exchange.counters import BYPASSES, OTHER
from proxy.message.framing import CHUNKED, UNTIL_CLOSE
from proxy.message.heads import Request
from proxy.policy.decisions import Detail, ForwardReason
from proxy.policy.default_lifetime import HealthChecks, MediaTypes
from proxy.policy.identity import IdentityFields
from proxy.policy.key import Distinctions
from proxy.policy.purging import Kind, Purge, Rule
from proxy.storage.responses import Responses
from tests.exchange.making import Bench, Client, Given, coming, request, whole
from tests.exchange.remotes import Damaged, Unreachable, remote

FRESH = "cache-control: max-age=60"
TAG = 'etag: "a"'
KEYS = IdentityFields(["x-api-key"])


@dataclass
class Row:
    """One exchange that has this detail: after what was stored, and how long after it, is what asked and answered?"""

    asked: Request = field(default_factory=request)
    answer: Given | None = None
    before: Sequence[str] | None = None
    after: float = 0
    storage: Responses | None = None
    route: dict[str, bool] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    purge: Purge | None = None


ROWS = {
    Detail.HOST_NOT_ALLOWED: lambda: Row(route={"is_ours": False, "bypass": True}),
    Detail.ROUTE: lambda: Row(answer=whole(FRESH), route={"bypass": True}),
    Detail.UPGRADE: lambda: Row(request(upgrade=b"h2c"), whole(FRESH)),
    Detail.PRECONDITION: lambda: Row(request("/page", 'if-match: "a"'), whole(FRESH)),
    Detail.REQUEST_BODY: lambda: Row(request(framing=CHUNKED), whole(FRESH)),
    Detail.COOKIE: lambda: Row(request("/page", "cookie: s=1"), whole()),
    Detail.AUTHORIZATION: lambda: Row(request("/page", "authorization: x"), whole(FRESH)),
    Detail.IDENTITY: lambda: Row(
        request("/page", "x-api-key: 1"), whole(FRESH), rules={"distinctions": Distinctions((), identity=KEYS)}
    ),
    Detail.HEALTH_CHECK: lambda: Row(
        request("/healthz"),
        whole("content-type: text/html"),
        rules={"page_types": MediaTypes(["text/html"]), "health_checks": HealthChecks(["/healthz"], [])},
    ),
    Detail.REQUEST_NO_CACHE: lambda: Row(request("/page", "cache-control: no-cache"), whole(FRESH), [FRESH]),
    Detail.REQUEST_NO_STORE: lambda: Row(request("/page", "cache-control: no-store"), whole(FRESH)),
    Detail.REQUEST_MAX_AGE: lambda: Row(request("/page", "cache-control: max-age=5"), whole(FRESH), [FRESH], 6),
    Detail.REQUEST_MIN_FRESH: lambda: Row(request("/page", "cache-control: min-fresh=60"), whole(FRESH), [FRESH], 1),
    Detail.ONLY_IF_CACHED: lambda: Row(request("/page", "cache-control: only-if-cached")),
    Detail.NO_STORE: lambda: Row(answer=whole("cache-control: no-store")),
    Detail.PRIVATE: lambda: Row(answer=whole("cache-control: private")),
    Detail.STORAGE_FAILED: lambda: Row(answer=whole(FRESH), storage=remote(Unreachable())),
    Detail.STORAGE_DAMAGED: lambda: Row(answer=whole(FRESH), storage=remote(Damaged())),
    Detail.EVENT_STREAM: lambda: Row(answer=whole(FRESH, "content-type: text/event-stream")),
    Detail.VARY_STAR: lambda: Row(answer=whole("vary: *")),
    Detail.SET_COOKIE: lambda: Row(answer=whole("set-cookie: a=b")),
    Detail.STATUS: lambda: Row(answer=whole(status=304)),
    Detail.PARTIAL_CONTENT: lambda: Row(request("/page", "range: bytes=0-9"), whole(status=206)),
    Detail.NO_FRESHNESS: lambda: Row(answer=whole(status=404)),
    Detail.NOT_REUSABLE: lambda: Row(answer=whole("cache-control: max-age=0")),
    Detail.TOO_LARGE: lambda: Row(answer=whole(FRESH, body=b"x" * 1001)),
    Detail.UNDELIMITED: lambda: Row(answer=whole(FRESH, framing=UNTIL_CLOSE)),
    Detail.UNTRUSTED_PROXY: lambda: Row(
        request("/page", "x-forwarded-proto: https"), whole(FRESH, "location: https://site.test/page", status=301)
    ),
    Detail.NO_CACHE: lambda: Row(answer=whole(TAG, status=304), before=["cache-control: no-cache", TAG]),
    Detail.PURGED: lambda: Row(answer=whole(FRESH), before=[FRESH], purge=Purge((Rule(Kind.ALL),), soft=True)),
    Detail.STALE_WHILE_REVALIDATE: lambda: Row(
        answer=whole(FRESH), before=["cache-control: max-age=60, stale-while-revalidate=9"], after=61
    ),
    Detail.STALE_IF_ERROR: lambda: Row(answer=UpstreamTimeout("late"), before=[FRESH], after=61),
    Detail.MAX_STALE: lambda: Row(request("/page", "cache-control: max-stale"), before=[FRESH], after=61),
    Detail.UPSTREAM_UNREACHABLE: lambda: Row(answer=UpstreamUnreachable("no")),
    Detail.UPSTREAM_TIMEOUT: lambda: Row(answer=UpstreamTimeout("no")),
    Detail.UPSTREAM_CLOSED: lambda: Row(answer=UpstreamClosed("no")),
    Detail.UPSTREAM_GARBAGE: lambda: Row(answer=UpstreamGarbage("no")),
    Detail.UPSTREAM_ERROR: lambda: Row(answer=UpstreamError("no")),
    Detail.REQUEST_BODY_LOST: lambda: Row(request(method="POST", framing=CHUNKED), RequestBodyLost("no")),
}

#: ``fwd=method`` says it already: the response to another method than GET is not stored, and nobody expects it.
UNSAID = {Detail.METHOD}


def test_every_detail_is_produced_by_a_row() -> None:
    assert set(Detail) - set(ROWS) == UNSAID


@pytest.mark.parametrize("detail", [pytest.param(detail, id=detail.value) for detail in ROWS])
@pytest.mark.rfc(9211, "2.8")
async def test_the_field_the_counters_and_the_log_say_the_same(detail: Detail) -> None:
    row = ROWS[detail]()
    bench = Bench(storage=row.storage, route=row.route, **row.rules)
    if row.before is not None:
        bench.give(whole(*row.before))
        await bench.get()
        bench.clock.turn(row.after)
    if row.purge is not None:
        await bench.responses.purge(row.purge, alone=False)
    if row.answer is not None:
        bench.give(row.answer)
    body = coming().body if row.asked.framing is CHUNKED else None
    client = await bench.ask(row.asked, Client(body))
    assert client.detail == detail.value
    said = [entry for entry in bench.entries if entry.outcome.detail is detail]
    assert said[0].status == client.status
    assert said[0].size == len(client.content)
    assert bench.counters.details[detail.value] == len(said)
    outcome = said[0].outcome
    assert bench.counters.requests["-", "-", row.asked.method, client.status, outcome.word()] >= 1
    if outcome.forward is ForwardReason.METHOD:
        assert bench.counters.bypasses["method"] == len(said)
    elif outcome.forward is ForwardReason.BYPASS:
        assert bench.counters.bypasses[detail.value if detail in BYPASSES else OTHER] == len(said)
    elif outcome.forward is not None and outcome.forward_status == 200 and not outcome.stored:
        assert bench.counters.not_stored[detail.value] == len(said)


async def test_each_exchange_is_counted_once() -> None:
    bench = Bench(whole(FRESH), whole(), UpstreamTimeout("late"))
    await bench.get()
    await bench.get()
    await bench.ask(request(method="HEAD"))
    await bench.ask(request(method="POST"))
    await bench.get("/other")
    assert dict(bench.counters.requests) == {
        ("-", "-", b"GET", 200, "uri-miss"): 1,
        ("-", "-", b"GET", 200, "hit"): 1,
        ("-", "-", b"HEAD", 200, "hit"): 1,
        ("-", "-", b"POST", 200, "method"): 1,
        ("-", "-", b"GET", 504, "uri-miss"): 1,
    }
    assert (bench.counters.bytes_from_cache, bench.counters.stored) == (10, 1)
    assert bench.counters.bytes_from_origin >= 20
    assert len(bench.entries) == 5


async def test_the_log_says_how_long_an_exchange_took() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    await bench.get()
    bench.clock.turn(2.5)
    answer.feed(b"12345")
    answer.end()
    assert [(entry.at, entry.duration, entry.size) for entry in bench.entries] == [(bench.clock(), 2.5, 5)]
    assert [entry.first_byte for entry in bench.entries] == [0]


async def test_a_client_that_left_early_is_counted_with_what_it_got() -> None:
    answer = coming(FRESH)
    bench = Bench(answer)
    client = await bench.get()
    answer.feed(b"12345")
    client.leave()
    answer.feed(b"67890")
    answer.end()
    assert [entry.size for entry in bench.entries] == [5]


async def test_a_refresh_in_the_background_is_no_request_of_a_client() -> None:
    bench = Bench(whole("cache-control: max-age=60, stale-while-revalidate=9"), whole(FRESH))
    await bench.get()
    bench.clock.turn(61)
    await bench.get()
    assert sum(bench.counters.requests.values()) == len(bench.entries) == 2
    assert bench.counters.refreshed == 1
    assert [(heavy.last.word, heavy.requests) for heavy in bench.counters.costliest.first()] == [("stale", 2)]
