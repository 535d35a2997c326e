"""Where do one worker's numbers come from? Its parts, as narrow as they are needed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Protocol

from proxy.config.units import Bytes, UnixTime
from proxy.exchange.counters import Counters
from proxy.ops.process import LAG_BUCKETS, Usage
from proxy.storage.numbers import Durations, Numbers, Room
from proxy.upstream.client import Asked


class StoreNumbers(Protocol):
    """A cache in the memory of the process."""

    def __len__(self) -> int:
        """Values held now."""

    @property
    def bytes(self) -> int:
        """What they take."""

    @property
    def evictions(self) -> Mapping[Room, int]:
        """Values that went to make room, by what there was too little of."""


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

    @property
    def limits(self) -> tuple[int | None, Bytes | None]:
        """How many values there may be, and what they may take; None is no limit, or one that is not ours."""

    @property
    def evictions(self) -> Mapping[Room, int] | None:
        """Values that this process took away to make room; None where others do that."""


class TierNumbers(Protocol):
    """Copies in the memory of the process of what lies in a cache outside it."""

    def __len__(self) -> int:
        """Copies held now, and lists of what they vary by."""

    @property
    def bytes(self) -> int:
        """What they take."""

    @property
    def most(self) -> int:
        """What they may take."""

    @property
    def hits(self) -> int:
        """Requests that were answered from them."""


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
    origins: Callable[[], Mapping[str, Asked]]
    """What was asked of each origin, by its address."""
    flights: Sized
    exchanges: Sized
    stores: Mapping[str, Store]
    """By alias."""
    started_at: UnixTime
    usage: Callable[[], Usage]
    storages: Mapping[str, Storage] = field(default_factory=dict)
    """By alias, too."""
    tiers: Mapping[str, TierNumbers] = field(default_factory=dict)
    """By alias of the cache behind each."""
    dropped_lines: Callable[[], int] = lambda: 0
    """Of the access log."""
    lag: Durations = field(default_factory=lambda: Durations(LAG_BUCKETS))
    """How late the event loop was."""
