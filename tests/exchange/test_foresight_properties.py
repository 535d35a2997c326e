"""Whatever was asked and answered before: is what is foreseen what the driver then does?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.exchange.foresight import foresee
from proxy.message.heads import Request
from tests.exchange.making import Bench, request, whole
from tests.exchange.test_details import FRESH, TAG

WISHES = ("no-cache", "no-store", "max-age=5", "min-fresh=50", "max-stale", "only-if-cached")
SAID = (
    *("cookie: sid=1", "authorization: x", "accept: b", "range: bytes=0-4", "range: bytes=20-"),
    *('if-none-match: "a"', 'if-match: "a"', *(f"cache-control: {wish}" for wish in WISHES)),
)
ANSWERED = (
    *(
        FRESH,
        "cache-control: max-age=60, stale-while-revalidate=60",
        "cache-control: no-cache",
        "cache-control: private",
    ),
    *("age: 100", TAG, "vary: accept", "vary: cookie", "set-cookie: a=b"),
)

Answer = tuple[Sequence[str], int]
REQUESTS = st.builds(
    lambda method, target, lines: request(target, *lines, method=method),
    st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
    st.sampled_from(["/a", "/a", "/b?c=1"]),
    st.lists(st.sampled_from(SAID), max_size=2, unique=True),
)
ANSWERS = st.tuples(
    st.lists(st.sampled_from(ANSWERED), max_size=3, unique_by=lambda line: line.partition(":")[0]),
    st.sampled_from([200, 200, 200, 404, 500]),
)


async def _all_as_foreseen(steps: list[tuple[Request, Answer, int]]) -> None:
    bench = Bench()
    for asked, (lines, status), seconds in steps:
        # More than one is asked for where a validation leads nowhere, or goes on in the background.
        bench.origin.answers = [whole(*lines, status=status) for _ in range(4)]
        seen = await foresee(bench.driver._sites, asked, bench.clock())
        told = len(bench.entries)
        client = await bench.ask(asked)
        done = bench.entries[told].outcome
        assert (seen.outcome.word(), seen.outcome.hit) == (done.word(), done.hit), client.cache_status
        if done.forward is None:
            assert seen.outcome.detail is done.detail
        bench.clock.turn(seconds)


@given(steps=st.lists(st.tuples(REQUESTS, ANSWERS, st.sampled_from([0, 30, 70])), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_what_is_foreseen_is_done(steps: list[tuple[Request, Answer, int]]) -> None:
    asyncio.run(_all_as_foreseen(steps))
