"""How long does a hit take while a server is busy, but not more than it can be?"""

from collections.abc import Iterator
from functools import partial

from tests.bench.load import wrk
from tests.bench.load.processes import Running
from tests.bench.load.rounds import FEW, OTHER_CORE, Bench, Figure, Measurement, Round
from tests.bench.load.wrk import LoadError

LATENCY = "latency"
DELAY = "p99 ms that the generator itself was late"
SERVERS = ("sitecache", "nginx-debian")
#: Of the rate that the server answers when it is sent as much as it takes.
PART_OF_RATE = 0.6
SATURATED_SECONDS = 1


def measure(bench: Bench) -> Iterator[Measurement]:
    """In each round find the most that a server answers, then send it a part of that at a fixed rate; in turn."""
    return bench.in_turn(LATENCY, partial(bench.prepare, "hits"), partial(_round, bench))


def _round(bench: Bench, server: Running, number: int) -> Iterator[Round | Figure]:
    rate = PART_OF_RATE * bench.wrk("hits", server, number, SATURATED_SECONDS).per_second
    asked, used = bench.asked.so_far(), server.cpu_seconds()
    result = wrk.run_at(server.port, bench.seconds, OTHER_CORE, str(bench.requests("hits", server)), rate)
    busy = (server.cpu_seconds() - used) / result.seconds
    asked = bench.asked.so_far() - asked
    if asked > result.requests * FEW:
        raise LoadError(f"the origin was asked {asked} times")
    bench.say(f"{LATENCY:12} {number}  {server.name:19} {result.p99_ms:10.2f} ms p99 at {result.per_second:,.0f}/s")
    yield Round(
        LATENCY, server.name, number, result.per_second, result.p50_ms, result.p99_ms, busy, result.requests, asked
    )
    yield Figure(LATENCY, server.name, number, DELAY, result.delay_ms)
