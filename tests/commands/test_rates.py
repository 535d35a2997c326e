"""What do two answers of /stats make together?"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from proxy.commands.rates import History, bytes_of, number, percent, quantile, ratio, since_start, took
from proxy.config.units import UnixTime
from proxy.exchange.counters import Counters
from proxy.ops.snapshot import take
from proxy.ops.stats import stats
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from proxy.upstream.client import Asked
from tests.ops.making import NOW, counted, entry, request, sources

ENDS = ("0.001", "0.01", "0.1", "+Inf")


def answer(after: float, hits: int, misses: int) -> dict[str, Any]:
    """What a worker says that has answered so many requests."""
    counters = Counters()
    route = counted(*[(b"GET", 200)] * hits)
    counters.follow([route])
    for _ in range(misses):
        counters.done(entry(request()))
    origins = {"app:80": Asked(requests=misses)}
    return stats([take(sources(counters, origins=lambda: origins))], UnixTime(NOW + after))


def test_one_answer_makes_no_rate_and_two_do() -> None:
    history = History()
    assert history.add(answer(0, hits=10, misses=2)) is None
    lately = history.add(answer(2, hits=16, misses=4))
    assert lately is not None
    assert (lately.seconds, lately.requests, lately.asked) == (2, 8, 2)
    assert lately.hits == 8


def test_what_is_longer_ago_than_a_minute_does_not_count() -> None:
    history = History()
    for i in range(100):
        lately = history.add(answer(2 * i, hits=i, misses=0))
    assert lately is not None
    assert (lately.seconds, lately.requests) == (60, 30)


@pytest.mark.parametrize(
    ("after", "hits"), [pytest.param(2, 3, id="sums-have-fallen"), pytest.param(-5, 30, id="clock-went-back")]
)
def test_a_proxy_that_was_started_again_makes_no_rate(after: float, hits: int) -> None:
    history = History()
    history.add(answer(0, hits=10, misses=0))
    assert history.add(answer(after, hits=hits, misses=0)) is None


@pytest.mark.parametrize(
    ("outcome", "hits", "misses"),
    [
        pytest.param(Outcome(hit=True), 1, 0, id="hit"),
        pytest.param(Outcome(hit=True, detail=Detail.MAX_STALE), 1, 0, id="stale-hit"),
        pytest.param(Outcome(forward=ForwardReason.STALE), 0, 1, id="forwarded"),
        pytest.param(Outcome(detail=Detail.ONLY_IF_CACHED), 0, 0, id="refused"),
        pytest.param(Outcome(purge=True), 0, 0, id="purge"),
    ],
)
def test_what_counts_as_a_hit_and_as_a_miss(outcome: Outcome, hits: int, misses: int) -> None:
    counters = Counters()
    counters.done(entry(request(), outcome))
    span = since_start(stats([take(sources(counters))], NOW))
    assert (span.hits_took.total(), span.misses_took.total()) == (hits, misses)


@pytest.mark.parametrize(
    ("counts", "share", "seconds"),
    [
        pytest.param({}, 0.5, None, id="nothing"),
        pytest.param({"0.001": 10}, 0.5, 0.0005, id="half-of-the-first"),
        pytest.param({"0.001": 10, "0.01": 10}, 0.5, 0.001, id="all-of-the-first"),
        pytest.param({"0.001": 10, "0.01": 10}, 0.75, 0.0055, id="half-of-the-second"),
        pytest.param({"0.1": 4}, 0.5, 0.055, id="from-the-end-before"),
        pytest.param({"0.001": 1, "+Inf": 99}, 0.5, math.inf, id="beyond-the-last"),
    ],
)
def test_quantiles(counts: dict[str, int], share: float, seconds: float | None) -> None:
    assert quantile(Counter(counts), ENDS, share) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        pytest.param(percent(ratio(1, 3)), "33.3 %", id="share"),
        pytest.param(percent(ratio(0, 0)), "-", id="share-of-nothing"),
        pytest.param(number(0), "0", id="none"),
        pytest.param(number(1.25), "1.2", id="a-few-each-second"),
        pytest.param(number(1234), "1,234", id="thousands"),
        pytest.param(number(12_340), "12.3 k", id="many-thousands"),
        pytest.param(number(4_200_000), "4.2 M", id="millions"),
        pytest.param(number(4_200_000_000), "4.2 G", id="thousands-of-millions"),
        pytest.param(bytes_of(12), "12 B", id="bytes"),
        pytest.param(bytes_of(2048), "2.0 KiB", id="kib"),
        pytest.param(bytes_of(200 * 1024**2), "200 MiB", id="mib"),
        pytest.param(bytes_of(3 * 1024**4), "3.0 TiB", id="tib"),
        pytest.param(took(None), "-", id="nothing-took"),
        pytest.param(took(0.0002), "200 µs", id="microseconds"),
        pytest.param(took(0.0025), "2.5 ms", id="milliseconds"),
        pytest.param(took(42), "42 s", id="seconds"),
        pytest.param(took(math.inf), "over 30 s", id="beyond"),
    ],
)
def test_numbers_are_written_as_people_read_them(written: str, text: str) -> None:
    assert written == text
