"""What do the answers of ``/stats`` say one after the other? Rates, shares and quantiles."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.config.units import Seconds

Values = Mapping[str, Any]

_MINUTE = 60.0
_SERVED = frozenset({"hit", "hit-stale"})
_NEITHER = frozenset({"refused", "purge"})
"""Neither a stored response answered, nor the application."""


@dataclass(frozen=True, slots=True)
class Span:
    """What happened in some time, all workers together."""

    seconds: Seconds
    requests: int
    hits: int
    errors: int
    """Answered with 5xx."""
    saved: int
    """Bytes of bodies that came from the cache."""
    sent: int
    """Bytes of bodies in all."""
    asked: int
    """Requests sent to the application."""
    hits_took: Counter[str]
    """How many took so long, by the upper ends in which they were counted."""
    misses_took: Counter[str]


def since_start(stats: Values) -> Span:
    """Return what an answer says: the sums since the start; how long that is, nobody knows of workers that ended."""
    took: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    durations = stats["duration_seconds"]
    for word, histogram in durations["cache"].items():
        if word not in _NEITHER:
            took[word in _SERVED].update(dict(zip(durations["ends"], histogram["counts"], strict=True)))
    requests, sent = stats["requests"], stats["bytes"]
    return Span(
        Seconds(stats["time"]),
        requests["total"],
        requests["hits"],
        requests["codes"].get("5xx", 0),
        sent["cache"],
        sent["cache"] + sent["origin"],
        sum(origin["requests"] for origin in stats["upstreams"].values()),
        took[True],
        took[False],
    )


class History:
    """The answers of the last minute."""

    def __init__(self) -> None:
        self._held: deque[Span] = deque()

    def add(self, stats: Values) -> Span | None:
        """Take an answer; return what happened in the last minute, or None when there is no other answer to tell."""
        now = since_start(stats)
        # Sums fall when the proxy has been started again: what was before says nothing about rates.
        if self._held and (now.requests < self._held[-1].requests or now.seconds <= self._held[-1].seconds):
            self._held.clear()
        self._held.append(now)
        while self._held[0].seconds < now.seconds - _MINUTE - 1:
            self._held.popleft()
        return None if len(self._held) == 1 else _between(self._held[0], now)


def _between(then: Span, now: Span) -> Span:
    return Span(
        Seconds(now.seconds - then.seconds),
        now.requests - then.requests,
        now.hits - then.hits,
        now.errors - then.errors,
        now.saved - then.saved,
        now.sent - then.sent,
        now.asked - then.asked,
        now.hits_took - then.hits_took,
        now.misses_took - then.misses_took,
    )


def quantile(took: Counter[str], ends: Sequence[str], share: float) -> float | None:
    """Return how many seconds this share took at most; None where nothing is counted, inf beyond the last end."""
    left = took.total() * share
    if not left:
        return None
    begin = 0.0
    for name in ends:
        end, count = float(name.replace("+Inf", "inf")), took[name]
        if count and left <= count:
            return end if math.isinf(end) else begin + (end - begin) * left / count
        left -= count
        begin = end
    return math.inf


# Numbers as people read them.


def ratio(part: float, whole: float) -> float | None:
    """Return the share; None of nothing."""
    return part / whole if whole else None


def percent(share: float | None) -> str:
    """Write a share."""
    return "-" if share is None else f"{share * 100:.1f} %"


def number(value: float) -> str:
    """Write how many."""
    for least, size, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / size:.1f} {unit}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def bytes_of(value: float) -> str:
    """Write a size."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def took(seconds: float | None) -> str:
    """Write how long something took."""
    if seconds is None:
        return "-"
    if math.isinf(seconds):
        return "over 30 s"
    for size, unit in ((1, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds * 1e6:.0f} µs"
