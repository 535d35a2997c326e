"""Parts of a worker, made of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.exchange.counters import Counters, Entry
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request
from proxy.ops.process import Usage
from proxy.ops.sources import Sources, Store
from proxy.policy.cache_status import Outcome
from proxy.storage.numbers import Failure, Numbers, Operation

NOW = UnixTime(1_767_323_045.678)
"""2026-01-02T03:04:05.678Z"""


@dataclass(frozen=True)
class Pool:
    opened: int = 0
    connections: int = 0
    idle: int = 0


@dataclass(frozen=True)
class Origin:
    pool: Pool = Pool()
    requests: int = 0
    retries: int = 0
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    entries: int = 0
    bytes: int = 0
    evicted: int = 0

    def __len__(self) -> int:
        return self.entries


def memory(entries: int = 0, size: int = 0, evicted: int = 0) -> Store:
    return Store(Memory(entries, size, evicted), limit_entries=300, limit_bytes=Bytes(4096))


@dataclass
class Remote:
    """A cache outside the process."""

    numbers: Numbers = field(default_factory=Numbers)
    resting: dict[str, bool] = field(default_factory=dict)
    damaged: int = 0
    owed: int = 0
    held: tuple[int, Bytes] | None = None


def failing() -> Remote:
    """A cache of two servers, one of which fails."""
    storage = Remote(resting={"": False, "10.0.0.2:11211": True}, damaged=3, owed=4, held=(70, Bytes(8000)))
    for seconds in (0.0004, 0.001, 0.04, 60):
        storage.numbers.durations[Operation.GET].add(Seconds(seconds))
    storage.numbers.errors[Failure.TIMEOUT] = 2
    return storage


def sources(counters: Counters | None = None, **parts: object) -> Sources:
    given: dict[str, object] = {
        "clients": (),
        "origin": Origin(),
        "flights": (),
        "exchanges": (),
        "stores": {},
        "started_at": NOW,
        "usage": lambda: Usage(Seconds(0), Bytes(0)),
    }
    return Sources(counters or Counters(), **(given | parts))  # type: ignore[arg-type]


def request(
    method: bytes = b"GET", target: bytes = b"/", host: bytes = b"example.org", peer: str = "192.0.2.7"
) -> Request:
    return Request(method, target, Fields([]), NO_BODY, host, peer=peer)


def entry(asked: Request | None = None, outcome: Outcome | None = None, status: int = 200, size: int = 5) -> Entry:
    return Entry(NOW, asked or request(), status, size, Seconds(0.0125), outcome or Outcome(hit=True))
