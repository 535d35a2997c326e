"""Where do one worker's numbers come from? Its parts, as narrow as they are needed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Protocol

from proxy.config.units import Bytes, UnixTime
from proxy.exchange.counters import Counters
from proxy.ops.process import Usage
from proxy.storage.numbers import Numbers


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


class Storage(Protocol):
    """A cache outside the process."""

    @property
    def numbers(self) -> Numbers:
        """What it was asked, and what became of it."""

    @property
    def resting(self) -> Mapping[str, bool]:
        """Of each server that was asked: is it being left alone?"""

    @property
    def damaged(self) -> int:
        """Records that were not what had been written."""

    @property
    def owed(self) -> int:
        """Deletions that it could not be told yet."""

    @property
    def held(self) -> tuple[int, Bytes] | None:
        """Values and what they take, where that is known without asking."""


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
    storages: Mapping[str, Storage] = field(default_factory=dict)
    """By alias, too."""
    dropped_lines: Callable[[], int] = lambda: 0
    """Of the access log."""
