"""Is somebody asking the origin for this already? (RFC 9111 §4, RFC 9211 §2.6)"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from proxy.config.units import UnixTime
from proxy.errors import UpstreamError
from proxy.exchange.body import Body
from proxy.message.framing import Framing
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.policy.stored import StoredResponse
from proxy.storage.leases import Lease

FlightKey = tuple[VariantKey, bool]
"""Which request a flight stands for: the variant as far as it is known, and whether it has credentials or cookies."""

_Key = TypeVar("_Key")

_REMEMBERED_FOR = 120.0
_REMEMBERED = 10_000


@dataclass(slots=True)
class Shared:
    """The response is being stored; whoever it may be reused for reads along."""

    stored: StoredResponse
    """Its terms; the body is still on its way."""
    variant: VariantKey
    body: Body
    framing: Framing


@dataclass(frozen=True, slots=True)
class Settled:
    """What is stored has been validated: look again."""


@dataclass(frozen=True, slots=True)
class NotShared:
    """The response is for the leader alone: everybody asks for himself."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The origin failed, and would fail the others too."""

    error: UpstreamError


Landing = Shared | Settled | NotShared | Failed


class Flight:
    """One request to the origin that others wait for."""

    __slots__ = ("_landed", "landing", "lease", "primary")

    def __init__(self, primary: PrimaryKey) -> None:
        self.primary = primary
        self.landing: Landing | None = None
        """What the head of the response said."""
        self._landed: asyncio.Future[Landing] | None = None
        self.lease: Lease | None = None
        """What keeps other workers from asking for the same."""

    def join(self) -> None:
        """Wait for it, too, from now on."""
        if self._landed is None:
            self._landed = asyncio.get_running_loop().create_future()
            if self.landing is not None:
                self._landed.set_result(self.landing)

    @property
    def is_joined(self) -> bool:
        """Tell whether anybody waits, or has waited, for it."""
        return self._landed is not None

    async def landed(self) -> Landing:
        """Return what the head of the response says, once it is there."""
        self.join()
        return await cast("asyncio.Future[Landing]", self._landed)

    def land(self, landing: Landing) -> None:
        """Tell those who wait what the head of the response said."""
        if self.landing is None:
            self.landing = landing
            if self._landed is not None:
                self._landed.set_result(landing)

    def let_go(self) -> None:
        """Let other workers go on: they find what is stored, or ask for themselves."""
        if self.lease is not None:
            self.lease.give_back()


class Flights:
    """The requests to the origin that are on their way, and the URLs that are not worth waiting for."""

    def __init__(self) -> None:
        self._flying: dict[FlightKey, Flight] = {}
        self._uncacheable: OrderedDict[FlightKey, UnixTime] = OrderedDict()
        self._invalidated: OrderedDict[PrimaryKey, UnixTime] = OrderedDict()

    def successor(self) -> Flights:
        """Return those of whoever goes by another configuration: with none of these, but with what was invalidated."""
        flights = Flights()
        flights._invalidated = self._invalidated
        return flights

    def __len__(self) -> int:
        return len(self._flying)

    def find(self, key: FlightKey) -> Flight | None:
        """Return the flight for this key."""
        return self._flying.get(key)

    def open(self, key: FlightKey, primary: PrimaryKey) -> Flight:
        """Begin a flight, which others may join until it is closed."""
        flight = self._flying[key] = Flight(primary)
        return flight

    def close(self, key: FlightKey, flight: Flight) -> None:
        """Let nobody join any more."""
        if self._flying.get(key) is flight:
            del self._flying[key]

    def invalidate(self, primary: PrimaryKey, now: UnixTime) -> None:
        """What is on its way for this resource, or a part of it, is outdated before it comes (RFC 9111 §4.4)."""
        # As keys of several for one URL go on.
        others = primary + b"#"
        for key, flight in list(self._flying.items()):
            if flight.primary == primary or flight.primary.startswith(others):
                del self._flying[key]
        _remember(self._invalidated, primary, now)

    def purge(self, concerns: Callable[[PrimaryKey], bool]) -> None:
        """Let nobody join any more what may bring what was purged before it comes."""
        self._flying = {key: flight for key, flight in self._flying.items() if not concerns(flight.primary)}

    def was_invalidated(self, primary: PrimaryKey, since: UnixTime) -> bool:
        """Tell whether the resource was invalidated after this time, so that what was asked for then is not stored."""
        if self._invalidated.get(primary, UnixTime(0)) >= since:
            return True
        # Of several keys of one URL, the one that was invalidated is what stands before the mark.
        return primary.find(b"#") >= 0 and self.was_invalidated(PrimaryKey(primary.rpartition(b"#")[0]), since)

    def is_uncacheable(self, key: FlightKey, now: UnixTime) -> bool:
        """Tell whether the last response could not be shared, so that waiting for the next one is in vain."""
        until = self._uncacheable.get(key)
        return until is not None and now < until

    def remember_uncacheable(self, key: FlightKey, now: UnixTime) -> None:
        """The response could not be shared."""
        _remember(self._uncacheable, key, UnixTime(now + _REMEMBERED_FOR))

    def forget_uncacheable(self, key: FlightKey) -> None:
        """The response could be shared this time."""
        self._uncacheable.pop(key, None)


def range_flight(key: FlightKey, asked: bytes) -> FlightKey:
    """Return what requests for one Range of a variant share a flight by: the key of no variant goes on like this."""
    variant, personal = key
    return VariantKey(b"%br%d:%b" % (variant, len(asked), asked)), personal


def _remember(memory: OrderedDict[_Key, UnixTime], key: _Key, at: UnixTime) -> None:
    memory[key] = at
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
