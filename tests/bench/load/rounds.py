"""How many requests a second does each server answer, round by round, and did it do what its load claims?"""

import http.client
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import traffic, wrk
from tests.bench.load.processes import Running, free_port, start
from tests.bench.load.servers import ASKED, BARE, SERVERS, origin_command
from tests.bench.load.wrk import LoadError

#: The server under test has one core; the load generator and the origin share the other.
TESTED_CORE, OTHER_CORE = 0, 1
WARM_UP_SECONDS = 1
SAMPLE = 50
#: Hits are hits when at most this part of the requests reached the origin.
FEW = 0.001
#: Seconds without a request after which the origin has had all that were sent.
SETTLE = 0.1
CEILING = "ceiling"
BARE_NGINX = "bare-nginx"
LOADS = ("hits", "uncacheable", "cold")


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


class Asked:
    """How many requests the origin on `port` has had, those of this class not counted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = 0

    def so_far(self) -> int:
        """The number once it no longer changes: requests that were still under way have arrived by then."""
        count, before = self._read(), -1
        while count != before:
            time.sleep(SETTLE)
            count, before = self._read(), count
        return count

    def _read(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.request("GET", ASKED)
        # The third line of stub_status has three numbers: connections accepted and handled, and requests.
        counts = connection.getresponse().read().split(b"\n")[2]
        connection.close()
        self._own += 1
        return int(counts.split()[2]) - self._own


@dataclass(frozen=True, slots=True)
class Bench:
    """The running parts that every round needs."""

    folder: Path
    asked: Asked
    servers: Sequence[Running]
    seconds: int
    rounds: int
    say: Callable[[str], None]

    def measure(self, loads: Sequence[str]) -> Iterator[Round]:
        """Run the loads one after the other, the servers in turn within each round."""
        for load in loads:
            for server in self.servers:
                self._prepare(load, server)
            for number in range(1, self.rounds + 1):
                for server in self.servers:
                    yield self._round(load, server, number)

    def _prepare(self, load: str, server: Running) -> None:
        if load == "hits":
            # Twice: the first answer comes from the origin, the second from what was stored.
            every_url = [f"{traffic.STORED}{url:010d}" for url in range(traffic.URLS)]
            check_pages(server, every_url * 2, "max-age=3600")
        self._wrk(load, server, 0, WARM_UP_SECONDS)

    def _round(self, load: str, server: Running, number: int) -> Round:
        asked, used = self.asked.so_far(), server.cpu_seconds()
        try:
            result = self._wrk(load, server, number, self.seconds)
            busy = (server.cpu_seconds() - used) / result.seconds
            asked = self.asked.so_far() - asked
            if fault := claim_fault(load, result.requests, asked):
                raise LoadError(fault)
            self._check_sample(load, server, number, result.requests)
        except LoadError as error:
            raise LoadError(f"{server.name}, {load}, round {number}: {error}") from None
        self.say(f"{load:12} {number}  {server.name:10} {result.per_second:10,.0f}/s  core {busy:4.0%}")
        return Round(
            load, server.name, number, result.per_second, result.p50_ms, result.p99_ms, busy, result.requests, asked
        )

    def _wrk(self, load: str, server: Running, number: int, seconds: int) -> wrk.WrkResult:
        host = f"127.0.0.1:{server.port}"
        requests = self.folder / f"{load}-{server.name}"
        args = [str(requests)]
        if load == "cold":
            args.append(cold_prefix(number))
        if not requests.exists():
            if load == "cold":
                traffic.write_new_url_requests(requests, host)
            else:
                prefix = traffic.UNCACHEABLE if load == "uncacheable" else traffic.STORED
                traffic.write_requests(requests, prefix, host)
        return wrk.run(server.port, seconds, OTHER_CORE, args)

    def _check_sample(self, load: str, server: Running, number: int, requests: int) -> None:
        """Ask for some of the pages once more: were they the right ones, and were they stored or not as claimed?"""
        cache_control, few = "max-age=3600", SAMPLE // 10
        match load:
            case "cold":
                # Of the newer ones, because a cache that is full has already evicted the first; not of the newest,
                # because wrk leaves some of those before they are answered.
                newest = max(requests - 1_000, SAMPLE)
                paths = [f"{cold_prefix(number)}{url:07d}" for url in range(newest - SAMPLE + 1, newest + 1)]
            case "uncacheable":
                paths = [f"{traffic.UNCACHEABLE}{url:010d}" for url in range(SAMPLE)]
                cache_control = "no-store"
            case _:
                some = random.Random(number).sample(range(traffic.URLS), SAMPLE)
                paths = [f"{traffic.STORED}{url:010d}" for url in some]
        asked = self.asked.so_far()
        check_pages(server, paths, cache_control)
        asked = self.asked.so_far() - asked
        if (asked < SAMPLE) if load == "uncacheable" else (asked > few):
            raise LoadError(f"{SAMPLE} pages asked for once more: the origin was asked {asked} times")


def cold_prefix(number: int) -> str:
    """What the URLs of a cold round begin with; seven digits follow."""
    return f"{traffic.COLD}{number:03d}"


def claim_fault(load: str, requests: int, asked: int) -> str:
    """Why the origin's count contradicts the load; empty where it does not."""
    if load in ("hits", CEILING):
        few = load == CEILING or asked <= requests * FEW
        return "" if few else f"the origin was asked {asked} times for {requests} hits"
    # wrk leaves with one request under way on each connection.
    if requests <= asked <= requests + wrk.CONNECTIONS:
        return ""
    return f"the origin was asked {asked} times for {requests} requests that all had to reach it"


def check_pages(server: Running, paths: Sequence[str], cache_control: str) -> None:
    """Ask for each path as some visitor; raises LoadError where an answer is not the page of that path."""
    chance = random.Random(1)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for path in paths:
        fields = dict(traffic.visitor_fields(chance.randrange(traffic.VISITORS), f"127.0.0.1:{server.port}"))
        connection.request("GET", path, headers=fields)
        answer = connection.getresponse()
        said = (answer.status, answer.getheader("Cache-Control"), answer.getheader("Content-Type"))
        if answer.read() != traffic.page(path) or said != (200, cache_control, "text/html; charset=utf-8"):
            raise LoadError(f"{server.name} answered {path} wrongly: {said}")
    connection.close()


@contextmanager
def bench(names: Sequence[str], seconds: int, rounds: int, say: Callable[[str], None]) -> Iterator[Bench]:
    """Start the origin and the servers named, and end them all and remove their files, come what may."""
    # On tmpfs where there is one: the caches are to be measured, not a disk.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="bench-load-", dir=memory)))

        def started(name: str, core: int, command: Callable[[Path, int], list[str]]) -> Running:
            own, port = folder / name, free_port()
            own.mkdir()
            running = start(name, command(own, port), port, core, own)
            ending.callback(running.stop)
            return running

        origin = started("origin", OTHER_CORE, origin_command)

        def tested(name: str) -> Running:
            made = SERVERS[name].command if name in SERVERS else BARE.command
            return started(name, TESTED_CORE, lambda own, port: made(own, port, origin.port))

        yield Bench(folder, Asked(origin.port), [tested(name) for name in names], seconds, rounds, say)
