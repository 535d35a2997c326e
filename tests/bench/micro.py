"""What do the single steps of an exchange cost: parsing heads, the key, the two decisions, the codec?

``python -m tests.bench.micro [STEP ...]`` prints operations a second, of the best of some rounds.
``tests.bench.instructions`` counts instructions instead.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping

import uvloop

from proxy.config.units import UnixTime
from proxy.downstream.parser import HeadLimits, HeadParser
from proxy.message.grammar import format_date
from proxy.policy.directives import NO_TERMS
from proxy.policy.key import primary_key, variant_key
from proxy.policy.reuse import decide_reuse
from proxy.policy.storing import decide_storing
from proxy.storage.codec import decode, encode
from proxy.upstream.parser import parse_response_head
from tests.bench.wire import REQUEST, RESPONSE, Wire

BATCH = 500
VARY = (b"accept-encoding", b"accept-language")

Step = Callable[[], object]


async def steps() -> Mapping[str, Step]:
    """The steps by name, on the objects of a worker that has stored a page."""
    wire = Wire("cold")
    await wire.prepare()
    await asyncio.sleep(0)
    route = wire.worker.driver._sites.only
    if route is None:
        raise RuntimeError("a worker with one site has one route")
    parser = HeadParser(HeadLimits(65536, 100, 16384))
    asking, now = REQUEST % 1, UnixTime(time.time())  # noqa: TID251  a benchmark has no other
    answer = (RESPONSE % (format_date(now), b"max-age=3600")).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    request, response = parser.parse(asking), parse_response_head(answer)
    key, rules = route.key(request), route.rules
    stored = route.responses.select(key, request, now)
    if stored is None:
        raise RuntimeError("the page is not stored")
    record = encode(key, stored)
    wire.close()
    return {
        "parse request head": lambda: parser.parse(asking),
        "parse response head": lambda: parse_response_head(answer),
        "primary_key": lambda: primary_key(route.scope, request),
        "variant_key": lambda: variant_key(key, VARY, request, rules.distinctions),
        "decide_reuse": lambda: decide_reuse(request, NO_TERMS, stored, now, rules),
        "decide_storing": lambda: decide_storing(request, NO_TERMS, response, (now, now), rules),
        "encode": lambda: encode(key, stored),
        "decode": lambda: decode(key, record),
    }


def repeat(step: Step, count: int) -> None:
    """Take a step so many times."""
    for _ in range(count):
        step()


def per_second(step: Step, rounds: int) -> float:
    """Return the most operations a second, of some rounds of 500."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        repeat(step, BATCH)
        best = min(best, time.perf_counter() - began)
    return BATCH / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="*")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    known = uvloop.run(steps())
    for name in options.steps or known:
        print(f"{name:20} {per_second(known[name], options.rounds):12,.0f}/s")


if __name__ == "__main__":
    main()
