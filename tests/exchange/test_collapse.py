"""Are many requests for one URL one request to the origin? (RFC 9111 §4, RFC 9211 §2.6)"""

from __future__ import annotations

import pytest

from proxy.errors import UpstreamError, UpstreamTimeout
from tests.exchange.making import Bench, Client, Gate, coming, request, settled, whole

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
