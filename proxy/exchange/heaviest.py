"""Which URLs weigh most? A bounded list of them, whatever clients ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from proxy.config.units import UnixTime
from proxy.message.heads import Request

_MOST = 128
#: So many times as many are held before room is made: ranking them is what an addition costs.
_SLACK = 8
_LONGEST = 512
"""Bytes of a URL that are kept: a client may send targets of any length."""
_HALF_LIFE = 600.0


class Became(NamedTuple):
    """What became of a request."""

    site: str
    route: str
    word: str
    detail: str | None
    status: int


@dataclass(slots=True)
class Heavy:
    """One URL, and what became of it last."""

    url: bytes
    weight: float
    """At most ``error`` too high. Halved every ten minutes, so that what was heavy yesterday goes."""
    error: float
    requests: float
    """Counted since it is on the list, and halved like its weight."""
    last: Became


def url_of(request: Request) -> bytes:
    """Return what a URL is listed by."""
    return (request.scheme + b"://" + request.host + request.target)[:_LONGEST]


class Heaviest:
    """Space-Saving (Metwally, Agrawal, El Abbadi 2005), making room for many at once so that adding one stays cheap.

    Who comes anew begins with the most that anybody had who was dropped: nobody's weight is ever too low.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._held: dict[bytes, Heavy] = {}
        self._floor = 0.0
        self._halve_at = UnixTime(0)

    def add(self, url: bytes, became: Became, weight: float, times: int, now: UnixTime) -> None:
        """Add the weight of one request, or of one that stands for several."""
        if now >= self._halve_at:
            self._halve(now)
        heavy = self._held.get(url)
        if heavy is not None:
            heavy.weight += weight
            heavy.requests += times
            heavy.last = became
            return
        if len(self._held) >= _SLACK * self._most:
            self._make_room()
        self._held[url] = Heavy(url, self._floor + weight, self._floor, times, became)

    def first(self) -> list[Heavy]:
        """Return the heaviest, the heaviest of them first."""
        return sorted(self._held.values(), key=_weight, reverse=True)[: self._most]

    def _make_room(self) -> None:
        ranked = sorted(self._held.values(), key=_weight, reverse=True)
        self._held = {heavy.url: heavy for heavy in ranked[: self._most]}
        self._floor = max(self._floor, ranked[self._most].weight)

    def _halve(self, now: UnixTime) -> None:
        if self._halve_at:
            self._floor /= 2
            for heavy in self._held.values():
                heavy.weight /= 2
                heavy.error /= 2
                heavy.requests /= 2
        self._halve_at = UnixTime(now + _HALF_LIFE)


def _weight(heavy: Heavy) -> float:
    return heavy.weight
