"""What has happened since the start? Plain numbers, which the metrics page reads and adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from proxy.config.units import Seconds, UnixTime
from proxy.message.heads import Request
from proxy.policy.cache_status import Outcome

_METHODS = frozenset(b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH QUERY".split())


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the access log."""

    at: UnixTime
    request: Request
    status: int
    size: int
    """Bytes of the body that were sent."""
    duration: Seconds
    outcome: Outcome
    site: str = "-"
    route: str = "-"


class Counters:
    """Counts exchanges by the same values that Cache-Status is written from."""

    def __init__(self, log: Callable[[Entry], None] | None = None) -> None:
        self._log = log
        self.logs = log is not None
        self.requests: Counter[tuple[bytes, int, str]] = Counter()
        """By method, status and the outcome's word."""
        self.details: Counter[str] = Counter()
        """By the outcome's detail."""
        self.routed: Counter[tuple[str, str, str]] = Counter()
        """By site, route and the outcome's word."""
        self.has_routes = False
        """There is more than one route to count by."""
        self.stored = 0
        """Responses stored."""
        self.collapsed = 0
        """Requests answered by another's request to the origin."""
        self.refreshed = 0
        """Validations in the background."""
        self.bytes_from_cache = 0
        self.bytes_from_origin = 0
        self.rejected: Counter[int] = Counter()
        """Requests that broke a rule or a limit, by the status they got."""
        self.accepted = 0
        """Clients that have connected."""

    def hit(self, method: bytes, status: int, size: int) -> None:
        """Count a plain hit."""
        self.requests[method, status, "hit"] += 1
        self.bytes_from_cache += size

    def log_hit(self, request: Request, status: int, size: int, now: UnixTime, route: tuple[str, str]) -> None:
        """Log a plain hit, where a log is kept; ``route`` is the site and the route."""
        if self._log is not None:
            self._log(Entry(now, request, status, size, Seconds(0), Outcome(hit=True), *route))

    def done(self, entry: Entry) -> None:
        """Count and log an exchange that was not a plain hit."""
        outcome = entry.outcome
        method = entry.request.method
        # Any token is a method, and a client that sends a new one each time must not fill our memory.
        self.requests[method if method in _METHODS else b"other", entry.status, outcome.word()] += 1
        if outcome.detail is not None:
            self.details[outcome.detail.value] += 1
        if outcome.hit or outcome.collapsed or outcome.forward_status == 304:
            self.bytes_from_cache += entry.size
        else:
            self.bytes_from_origin += entry.size
        self.stored += outcome.stored
        self.collapsed += outcome.collapsed
        if self.has_routes:
            self.routed[entry.site, entry.route, outcome.word()] += 1
        if self._log is not None:
            self._log(entry)

    def refused(self, status: int) -> None:
        """Count a request that was not understood."""
        self.rejected[status] += 1
