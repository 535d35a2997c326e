"""Where do one worker's numbers come from? Its parts, as narrow as they are needed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from typing import Protocol

from proxy.config.units import Bytes, UnixTime
from proxy.exchange.counters import Counters
from proxy.ops.process import Usage


class PoolNumbers(Protocol):
    """Connections to the origin."""

    @property
    def opened(self) -> int:
        """Made since the start."""

    @property
    def connections(self) -> int:
        """Open now."""

    @property
    def idle(self) -> int:
        """Of these, those that wait for a request."""


class OriginNumbers(Protocol):
    """Requests to the origin."""

    @property
    def pool(self) -> PoolNumbers:
        """Its connections."""

    @property
    def requests(self) -> int:
        """Asked since the start."""

    @property
    def retries(self) -> int:
        """Asked again because a reused connection had ended."""

    @property
    def errors(self) -> Mapping[str, int]:
        """Failures by reason."""


class StoreNumbers(Protocol):
    """A cache in the memory of the process."""

    def __len__(self) -> int:
        """Values held now."""

    @property
    def bytes(self) -> int:
        """What they take."""

    @property
    def evicted(self) -> int:
        """Values that went to make room."""


@dataclass(frozen=True, slots=True)
class Store:
    """One cache with the limits it was configured with; None is no limit."""

    numbers: StoreNumbers
    limit_entries: int | None
    limit_bytes: Bytes | None


@dataclass(frozen=True, slots=True)
class Sources:
    """The parts of one worker that numbers are taken from."""

    counters: Counters
    clients: Sized
    """Connections of clients."""
    origin: OriginNumbers
    flights: Sized
    exchanges: Sized
    stores: Mapping[str, Store]
    """By alias."""
    started_at: UnixTime
    usage: Callable[[], Usage]
    dropped_lines: Callable[[], int] = lambda: 0
    """Of the access log."""
