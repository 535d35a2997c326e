"""Which URLs weigh most? A bounded list of them, whatever clients ask for."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config.units import UnixTime
from proxy.message.heads import Request

_MOST = 256
_LONGEST = 512
"""Bytes of a target that are kept: a client may send targets of any length."""
_HALF_LIFE = 600.0


@dataclass(slots=True)
class Heavy:
    """One URL, and what became of it last."""

    url: bytes
    site: str
    route: str
    weight: float
    """At most ``error`` too high. Halved every ten minutes, so that what was heavy yesterday goes."""
    error: float
    requests: float
    """Counted since it is on the list, and halved like its weight."""
    word: str
    detail: str | None
    status: int


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a request."""

    site: str
    route: str
    word: str
    detail: str | None
    status: int


class Heaviest:
    """Space-Saving (Metwally, Agrawal, El Abbadi 2005), making room for many at once so that adding one stays cheap.

    Who comes anew begins with the most that anybody had who was dropped: nobody's weight is ever too low.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._held: dict[bytes, Heavy] = {}
        self._floor = 0.0
        self._halve_at = UnixTime(0)

    def add(self, request: Request, became: Became, weight: float, times: int, now: UnixTime) -> None:
        """Add the weight of one request, or of one that stands for several."""
        if now >= self._halve_at:
            self._halve(now)
        url = request.scheme + b"://" + request.host + request.target[:_LONGEST]
        heavy = self._held.get(url)
        if heavy is None:
            if len(self._held) >= 2 * self._most:
                self._make_room()
            floor = self._floor
            self._held[url] = Heavy(
                url,
                became.site,
                became.route,
                floor + weight,
                floor,
                times,
                became.word,
                became.detail,
                became.status,
            )
            return
        heavy.weight += weight
        heavy.requests += times
        heavy.site, heavy.route = became.site, became.route
        heavy.word, heavy.detail, heavy.status = became.word, became.detail, became.status

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
