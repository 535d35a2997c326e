"""What is one request to the origin for, and what has become of it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, nextafter

from proxy.config.units import UnixTime
from proxy.exchange.background import Asking
from proxy.exchange.collapse import Flight, FlightKey
from proxy.exchange.replies import Exchange
from proxy.message.fields import RawField
from proxy.message.heads import Response
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason, Unkept
from proxy.policy.stored import StoredResponse


@dataclass(slots=True)
class Fate:
    """What became of a body after its head had been answered."""

    unkept: Unkept | None = None
    """Why it was not stored, although it was to be."""


@dataclass(slots=True)
class Job:
    """One request to the origin, and what it is for."""

    exchange: Exchange
    reason: ForwardReason
    detail: Detail | None = None
    validating: StoredResponse | None = None
    """Ask the origin about this."""
    fallback: StoredResponse | None = None
    """What may stand in for the origin."""
    completing: StoredResponse | None = None
    """Ask the origin only for what is missing to this part."""
    offered: Sequence[bytes] = ()
    """Ask the origin whether the variant with one of these tags answers the request, which selects none of them."""
    flight: Flight | None = None
    """Others wait for what comes."""
    key: FlightKey | None = None
    whole: bool = False
    """Ask for the whole response, whatever part of it the client wants: it may be stored."""
    times: tuple[UnixTime, UnixTime] = field(default=(UnixTime(0), UnixTime(0)))
    own: list[RawField] = field(default_factory=list)
    """Fields of the response that are for the client of this exchange only (RFC 9111 §5.2.2.4, §5.2.2.7)."""

    is_write: bool = False
    """Its answer stands for the resource that it has changed."""
    response: Response | None = None
    """The head of the latest answer."""
    became: Outcome | None = None
    """What Cache-Status was written from."""
    fate: Fate = field(default_factory=Fate)
    asking: Asking | None = None
    """What is waited for, where no task does."""

    @property
    def valid_since(self) -> UnixTime:
        """Return since when an invalidation of the resource makes the response outdated: not its own, but any other."""
        return UnixTime(nextafter(self.times[1], inf)) if self.is_write else self.times[0]

    def outcome(self) -> Outcome:
        """Return what Cache-Status begins with."""
        self.became = outcome = Outcome(forward=self.reason, detail=self.detail)
        return outcome
