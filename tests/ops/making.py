"""Parts of a worker, made of numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.exchange.counters import Counters, Entry
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request
from proxy.ops.process import Usage
from proxy.ops.sources import Sources, Store
from proxy.policy.cache_status import Outcome
from proxy.storage.numbers import Failure, Numbers, Operation, Room

NOW = UnixTime(1_767_323_045.678)
"""2026-01-02T03:04:05.678Z"""


@dataclass(frozen=True)
class Memory:
    entries: int = 0
    bytes: int = 0
    evictions: Counter[Room] = field(default_factory=Counter)

    def __len__(self) -> int:
        return self.entries


@dataclass
class Route:
    """One that plain hits are counted on."""

    site: str = "-"
    name: str = "blog"
    hits: Counter[tuple[bytes, int]] = field(default_factory=Counter)


def memory(entries: int = 0, size: int = 0, evicted: int = 0) -> Store:
    return Store(Memory(entries, size, Counter({Room.BYTES: evicted})), limit_entries=300, limit_bytes=Bytes(4096))


@dataclass
class Remote:
    """A cache outside the process."""

    numbers: Numbers = field(default_factory=Numbers)
    resting: dict[str, bool] = field(default_factory=dict)
    damaged: int = 0
    owed: int = 0
    held: tuple[int, Bytes] | None = None
    limits: tuple[int | None, Bytes | None] = (None, None)
    evictions: Counter[Room] | None = None


@dataclass
class Tier:
    """Copies of what is hot in such a cache."""

    bytes: Bytes = Bytes(700)
    most: Bytes = Bytes(1000)
    hits: int = 9

    def __len__(self) -> int:
        return 2


def failing() -> Remote:
    """A cache of two servers, one of which fails."""
    storage = Remote(
        resting={"": False, "10.0.0.2:11211": True},
        damaged=3,
        owed=4,
        held=(70, Bytes(8000)),
        limits=(100, Bytes(9000)),
    )
    storage.evictions = Counter({Room.DISK: 6})
    for seconds in (0.0004, 0.001, 0.04, 60):
        storage.numbers.durations[Operation.GET].add(Seconds(seconds))
    storage.numbers.errors[Failure.TIMEOUT] = 2
    return storage


def sources(counters: Counters | None = None, **parts: object) -> Sources:
    given: dict[str, object] = {
        "clients": (),
        "origins": dict,
        "flights": (),
        "exchanges": (),
        "stores": {},
        "started_at": NOW,
        "usage": lambda: Usage(Seconds(0), Bytes(0)),
    }
    return Sources(counters or Counters(), **(given | parts))  # type: ignore[arg-type]


def counted(*hits: tuple[bytes, int]) -> Route:
    """A route that has answered these methods with plain hits of these statuses."""
    route = Route()
    for hit in hits:
        route.hits[hit] += 1
    return route


def request(
    method: bytes = b"GET", target: bytes = b"/", host: bytes = b"example.org", peer: str = "192.0.2.7"
) -> Request:
    return Request(method, target, Fields([]), NO_BODY, host, peer=peer)


def entry(
    asked: Request | None = None,
    outcome: Outcome | None = None,
    status: int = 200,
    size: int = 5,
    first_byte: float | None = None,
) -> Entry:
    until_head = None if first_byte is None else Seconds(first_byte)
    done = outcome or Outcome(hit=True)
    return Entry(NOW, asked or request(), status, size, Seconds(0.0125), done, first_byte=until_head)
