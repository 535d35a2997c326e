"""Which loads are there, which servers has each, and how is it measured?"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from tests.bench.load import footprint, latency, starting, streaming
from tests.bench.load.rounds import CEILING, LOADS, Bench, Failure, Measurement, Plan, bench, server_named
from tests.bench.load.servers import Server
from tests.bench.load.wrk import LoadError


@dataclass(frozen=True, slots=True)
class Entry:
    """A load by its name: its servers, and what measures them once they run."""

    servers: Mapping[str, Server]
    measure: Callable[[Bench], Iterator[Measurement]]
    starts_its_own: bool = False


def _named(names: Collection[str]) -> dict[str, Server]:
    return {name: server_named(name) for name in names}


def _rate(name: str) -> Entry:
    def measure(running: Bench) -> Iterator[Measurement]:
        return running.measure(name)

    return Entry(_named(LOADS[name].servers), measure)


ENTRIES: Mapping[str, Entry] = {
    **{name: _rate(name) for name in LOADS},
    latency.LATENCY: Entry(_named(latency.SERVERS), latency.measure),
    streaming.STREAM: Entry(_named(streaming.SERVERS), streaming.measure),
    footprint.MEMORY: Entry(footprint.MEMORY_SERVERS, footprint.memory),
    footprint.IDLE: Entry(footprint.IDLE_SERVERS, footprint.idle),
    starting.START: Entry(_named(starting.SERVERS), starting.measure, starts_its_own=True),
}
#: The loads of a run that names none: all but what tells how much the generator can do.
USUAL = tuple(name for name in ENTRIES if name != CEILING)


def run(name: str, servers: Collection[str], plan: Plan) -> Iterator[Measurement]:
    """Measure one load; where the bench itself fails, there is a Failure of it."""
    try:
        yield from _run(name, servers, plan)
    except (LoadError, RuntimeError) as error:
        plan.say(f"{name:12}    FAILED: {error}")
        yield Failure(name, "", str(error))


def _run(name: str, servers: Collection[str], plan: Plan) -> Iterator[Measurement]:
    """Measure one load with those of its servers that were asked for and are there; tells of those that are not."""
    entry = ENTRIES[name]
    chosen = {one: server for one, server in entry.servers.items() if one in servers or name == CEILING}
    for one in [one for one, server in chosen.items() if not server.is_there]:
        plan.say(f"{name:12}    {one:19} left out: there is no {chosen.pop(one).module}")
    if name == footprint.IDLE and (lacking := footprint.allow_connections()):
        plan.say(f"{name:12}    left out: {lacking}")
    elif entry.starts_its_own:
        with bench({}, plan) as running:
            yield from entry.measure(running)
    elif chosen:
        with bench(chosen, plan) as running:
            yield from entry.measure(running)
