"""Which goals are set, and does a run reach them?"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.load import footprint, latency, starting, streaming
from tests.bench.load.rounds import Figure, Round

RATE = "requests/s"
P99 = "p99 ms"

#: What 20,000 and 15,000 a second are on a core that does 57,000 with nginx, as the goals say it.
REDIS_OF_NGINX = 20_000 / 57_000
OTHERS_OF_NGINX = 15_000 / 57_000


@dataclass(frozen=True, slots=True)
class Goal:
    """One line: a figure of a server, or its ratio to that of another in the same round, and its bound."""

    line: str
    load: str
    name: str
    bound: float
    of: str = ""
    server: str = "sitecache"
    at_most: bool = False
    unit: str = ""

    @property
    def text(self) -> str:
        """The goal in words."""
        return f"{'at most' if self.at_most else 'at least'} {self._of(self.bound)}"

    def _of(self, value: float) -> str:
        return f"{value:.2f} of {self.of}" if self.of else f"{value:.2f} {self.unit}"

    def result(self, measured: Sequence[Round | Figure]) -> float | None:
        """The median over the rounds; None where it was not measured."""
        own, other = values(measured, self, self.server), values(measured, self, self.of)
        if self.of:
            own = {number: value / other[number] for number, value in own.items() if number in other}
        return median(own.values()) if own else None

    def row(self, measured: Sequence[Round | Figure]) -> tuple[str, str, str, str]:
        """Line, goal, result, and whether that is reached."""
        result = self.result(measured)
        if result is None:
            return self.line, self.text, "not measured", ""
        reached = result <= self.bound if self.at_most else result >= self.bound
        return self.line, self.text, self._of(result), "yes" if reached else "no"


def values(measured: Sequence[Round | Figure], goal: Goal, server: str) -> dict[int, float]:
    """By round, what a server reached of what the goal is about."""
    found: dict[int, float] = {}
    for each in measured:
        if (each.load, each.server) != (goal.load, server):
            continue
        if isinstance(each, Round):
            found[each.number] = each.p99_ms if goal.name == P99 else each.per_second
        elif each.name == goal.name:
            found[each.number] = each.value
    return found


def _rates() -> Iterator[Goal]:
    """The goals that are ratios of rates: (line, load, {of whom: bound})."""
    table: tuple[tuple[str, str, dict[str, float]], ...] = (
        ("hits", "hits", {"nginx-debian": 1.2, "varnish": 1.2, "haproxy": 1.0}),
        ("forwarding without storing", "uncacheable", {"nginx-debian": 1.0, "haproxy": 0.9}),
        ("cold: fetch and store", "cold", {"nginx-debian": 2.0, "varnish": 2.0, "haproxy": 0.8}),
        ("conditional hits (304)", "conditional", {"nginx-debian": 1.0}),
        ("ranges (206)", "ranges", {"nginx-debian": 1.0}),
    )
    for line, load, bounds in table:
        for of, bound in bounds.items():
            yield Goal(line, load, RATE, bound, of)


GOALS = (
    *_rates(),
    Goal("hits from the cache shared by workers", "stores", RATE, 0.8, "sitecache", "sitecache-shared"),
    Goal("hits from Redis, no local tier", "stores", RATE, REDIS_OF_NGINX, "nginx-debian", "sitecache-redis"),
    Goal("hits from memcached, no local tier", "stores", RATE, OTHERS_OF_NGINX, "nginx-debian", "sitecache-memcached"),
    Goal("hits from files, no local tier", "stores", RATE, OTHERS_OF_NGINX, "nginx-debian", "sitecache-files"),
    Goal("1 GB streamed, not stored", streaming.STREAM, streaming.MEGABYTES, 0.7, "nginx-debian"),
    Goal("memory growth meanwhile", streaming.STREAM, streaming.GROWTH, 16, at_most=True, unit="MiB"),
    *(
        Goal(
            f"memory per stored 4 KiB response, {where}",
            footprint.MEMORY,
            footprint.OF_BYTES,
            1.2,
            server=server,
            at_most=True,
            unit="of its bytes",
        )
        for where, server in (("process memory", "sitecache"), ("two workers that share it", "sitecache-shared"))
    ),
    Goal("idle keep-alive connection", footprint.IDLE, footprint.EACH_CONNECTION, 8, at_most=True, unit="KiB"),
    Goal("p99 of hits at 60 % of the most", latency.LATENCY, P99, 1.0, "nginx-debian", at_most=True),
    Goal("start to first answer", starting.START, starting.SECONDS, 0.4, at_most=True, unit="s"),
)


def rows(measured: Sequence[Round | Figure], loads: Collection[str]) -> list[tuple[str, str, str, str]]:
    """Every goal that these loads are about, with what was measured."""
    return [goal.row(measured) for goal in GOALS if goal.load in loads]
