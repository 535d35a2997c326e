"""How many requests a second does each server answer, round by round, and did it do what its load claims?"""

import os
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.load import traffic, wrk
from tests.bench.load.checks import NOT_STORED, STORED, Asked, check_pages
from tests.bench.load.processes import Running, free_port, start
from tests.bench.load.servers import BARE, BARE_NGINX, SERVERS, STORES, Place, Server, origin_command
from tests.bench.load.wrk import LoadError

#: The server under test has one core; the load generator, the origin and the stores share the other.
TESTED_CORE, OTHER_CORE = 0, 1
WARM_UP_SECONDS = 1
SAMPLE = 50
FEW = 0.001
#: Of stores outside the process, which are passed over where they do not answer in time.
FEW_PASSED_OVER = 0.01
CEILING = "ceiling"
PEERS = ("sitecache", "sitecache-native", "nginx", "nginx-debian", "varnish", "haproxy")
NGINX = ("sitecache", "sitecache-native", "nginx", "nginx-debian")


@dataclass(frozen=True, slots=True)
class Round:
    """One measured run of one load against one server; `busy` is the part of its core that the server used."""

    load: str
    server: str
    number: int
    per_second: float
    p50_ms: float
    p99_ms: float
    busy: float
    requests: int
    origin_asked: int


@dataclass(frozen=True, slots=True)
class Figure:
    """What else was measured, once in a round: a number with its unit."""

    load: str
    server: str
    number: int
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Failure:
    """What was not measured, or must not be believed: a server did not do what the load claims."""

    load: str
    server: str
    """empty where it was the whole load"""
    why: str


Measurement = Round | Figure | Failure


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk sends, to whom, and what has to come back."""

    servers: tuple[str, ...]
    prefix: str = traffic.STORED
    more: traffic.More = traffic.no_more
    answer_bytes: tuple[float, float] = (traffic.PAGE_BYTES, traffic.PAGE_BYTES + 1_500)
    """least and most of a whole answer: one of another kind would lie outside"""
    few: float = FEW
    """hits are hits when at most this part of the requests reached the origin"""

    @property
    def is_stored(self) -> bool:
        """Whether the pages are asked for once, and then come from what is stored."""
        return self.prefix == traffic.STORED


LOADS = {
    "hits": Load(PEERS),
    "uncacheable": Load(PEERS, traffic.UNCACHEABLE),
    "cold": Load(PEERS, traffic.COLD),
    "conditional": Load(NGINX, more=traffic.known_page, answer_bytes=(100, 1_500)),
    "ranges": Load(NGINX, more=traffic.part_of_page, answer_bytes=(1_024, 2_500)),
    "stores": Load(
        ("sitecache", "nginx-debian", "sitecache-shared", "sitecache-redis", "sitecache-memcached", "sitecache-files"),
        few=FEW_PASSED_OVER,
    ),
    CEILING: Load((BARE_NGINX,)),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """The running parts that every round needs."""

    folder: Path
    origin: Running
    asked: Asked
    servers: Sequence[Running]
    seconds: int
    rounds: int
    say: Callable[[str], None]

    def measure(self, name: str) -> Iterator[Measurement]:
        """Run a load, the servers in turn within each round."""
        return self.in_turn(name, partial(self.prepare, name), partial(self._round, name))

    def in_turn(
        self,
        name: str,
        prepare: Callable[[Running], object],
        round_of: Callable[[Running, int], Iterable[Round | Figure]],
    ) -> Iterator[Measurement]:
        """Measure round by round, the servers in turn; one that fails has no further rounds."""
        left = list(self.servers)
        for number in range(self.rounds + 1):
            for server in tuple(left):
                try:
                    if number:
                        yield from round_of(server, number)
                    else:
                        prepare(server)
                except (LoadError, OSError) as error:
                    left.remove(server)
                    self.say(f"{name:12} {number}  {server.name:19} FAILED: {error}")
                    yield Failure(name, server.name, f"round {number}: {error}")

    def prepare(self, name: str, server: Running) -> None:
        """Let a server store what the load finds there, and warm up."""
        if LOADS[name].is_stored and server.name != BARE_NGINX:
            # Twice: the first answer comes from the origin, the second from what was stored.
            every_url = [f"{traffic.STORED}{url:010d}" for url in range(traffic.URLS)]
            check_pages(server, every_url * 2, STORED)
        self.wrk(name, server, 0, WARM_UP_SECONDS)

    def _round(self, name: str, server: Running, number: int) -> Iterator[Round]:
        asked, used = self.asked.so_far(), server.cpu_seconds()
        result = self.wrk(name, server, number, self.seconds)
        busy = (server.cpu_seconds() - used) / result.seconds
        asked = self.asked.so_far() - asked
        if fault := claim_fault(name, result.requests, asked):
            raise LoadError(fault)
        self._check_sample(name, server, number, result.requests)
        self.say(f"{name:12} {number}  {server.name:19} {result.per_second:10,.0f}/s  core {busy:4.0%}")
        yield Round(
            name, server.name, number, result.per_second, result.p50_ms, result.p99_ms, busy, result.requests, asked
        )

    def wrk(self, name: str, server: Running, number: int, seconds: int) -> wrk.WrkResult:
        """Have wrk load a server for some seconds; raises LoadError unless every answer was good."""
        args = [str(self.requests(name, server))]
        if name == "cold":
            args.append(cold_prefix(number))
        return wrk.run(server.port, seconds, OTHER_CORE, args, LOADS[name].answer_bytes)

    def requests(self, name: str, server: Running) -> Path:
        """The file with the requests of a load, made where it is not there yet."""
        host, load = f"127.0.0.1:{server.port}", LOADS[name]
        file = self.folder / f"{name}-{server.name}"
        if not file.exists() and name == "cold":
            traffic.write_new_url_requests(file, host)
        elif not file.exists():
            traffic.write_requests(file, load.prefix, host, load.more)
        return file

    def _check_sample(self, name: str, server: Running, number: int, requests: int) -> None:
        """Ask for some of the pages once more: were they the right ones, and were they stored or not as claimed?"""
        load = LOADS[name]
        if name == "cold":
            # Of the newer ones, because a cache that is full has already evicted the first; not of the newest,
            # because wrk leaves some of those before they are answered.
            newest = max(requests - 1_000, SAMPLE)
            paths = [f"{cold_prefix(number)}{url:07d}" for url in range(newest - SAMPLE + 1, newest + 1)]
        else:
            some = random.Random(number).sample(range(traffic.URLS), SAMPLE)
            paths = [f"{load.prefix}{url:010d}" for url in some]
        not_stored = load.prefix == traffic.UNCACHEABLE
        asked = self.asked.so_far()
        check_pages(server, paths, NOT_STORED if not_stored else STORED, load.more)
        asked = self.asked.so_far() - asked
        if (asked < SAMPLE) if not_stored else (asked > SAMPLE // 10):
            raise LoadError(f"{SAMPLE} pages asked for once more: the origin was asked {asked} times")


def cold_prefix(number: int) -> str:
    """What the URLs of a cold round begin with; seven digits follow."""
    return f"{traffic.COLD}{number:03d}"


def claim_fault(load: str, requests: int, asked: int) -> str:
    """Why the origin's count contradicts the load; empty where it does not."""
    if LOADS[load].is_stored:
        few = load == CEILING or asked <= requests * LOADS[load].few
        return "" if few else f"the origin was asked {asked} times for {requests} hits"
    # wrk leaves with one request under way on each connection.
    if requests <= asked <= requests + wrk.CONNECTIONS:
        return ""
    return f"the origin was asked {asked} times for {requests} requests that all had to reach it"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often, and who hears of it."""

    seconds: int
    rounds: int
    say: Callable[[str], None]


@contextmanager
def bench(servers: Mapping[str, Server], plan: Plan) -> Iterator[Bench]:
    """Start the origin, the servers given and their stores, and end them all and remove their files, come what may."""
    # On tmpfs where there is one: the caches are to be measured, not a disk.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="bench-load-", dir=memory)))

        def started(name: str, server: Server, core: int, origin: int = 0) -> Running:
            own = folder / name
            own.mkdir(mode=0o700)
            store = started(f"{name}-store", STORES[server.store], OTHER_CORE).port if server.store else 0
            place = Place(own, free_port(), origin, store)
            running = start(name, server.command(place), place.port, core, own)
            ending.callback(running.stop)
            return running

        origin = started("origin", Server(origin_command, str), OTHER_CORE)
        tested = [started(name, server, TESTED_CORE, origin.port) for name, server in servers.items()]
        yield Bench(folder, origin, Asked(origin.port), tested, plan.seconds, plan.rounds, plan.say)


def server_named(name: str) -> Server:
    """How a server that a load names is started."""
    return BARE if name == BARE_NGINX else SERVERS[name]


def cores_are_there() -> bool:
    """Whether this process may use the cores that the loads are spread over."""
    return {TESTED_CORE, OTHER_CORE} <= os.sched_getaffinity(0)
