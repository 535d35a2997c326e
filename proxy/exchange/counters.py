"""What has happened since the start? Plain numbers, which the metrics page reads and adds up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.config.units import Seconds, UnixTime
from proxy.exchange.heaviest import Became, Heaviest, url_of
from proxy.message.heads import Request
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from proxy.storage.numbers import Durations

_METHODS = frozenset(b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH QUERY".split())

REQUEST_BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper ends in seconds: the first for hits, the last for the default deadline of the origin."""

BYPASSES = (
    *(Detail.ROUTE, Detail.UPGRADE, Detail.PRECONDITION, Detail.REQUEST_BODY, Detail.COOKIE, Detail.AUTHORIZATION),
    *(Detail.IDENTITY, Detail.HEALTH_CHECK, Detail.METHOD),
)
"""Why a request is not for the cache."""
OTHER = "other"
"""The reason of a request that was not for the cache, and for which the origin failed: that is the reason it tells."""
NOT_STORED = frozenset(
    {
        Detail.COOKIE,
        Detail.AUTHORIZATION,
        Detail.IDENTITY,
        Detail.HEALTH_CHECK,
        Detail.REQUEST_NO_STORE,
        Detail.NO_STORE,
        Detail.PRIVATE,
        Detail.VARY_STAR,
        Detail.SET_COOKIE,
        Detail.STATUS,
        Detail.PARTIAL_CONTENT,
        Detail.EVENT_STREAM,
        Detail.NO_FRESHNESS,
        Detail.NOT_REUSABLE,
        Detail.TOO_LARGE,
        Detail.UNDELIMITED,
        Detail.UNTRUSTED_PROXY,
        Detail.STORAGE_FAILED,
    }
)
"""Why a response is not stored to a request that the cache could have answered."""
_BYPASSES = frozenset(detail.value for detail in BYPASSES)
#: Looked up: asking an enumeration for it takes two calls.
_VALUES = {detail: detail.value for detail in Detail}
_NOT_STORED = frozenset(detail.value for detail in NOT_STORED)

_MOST_UNMEASURED = 61
"""A prime: what comes round in a rhythm is measured at every beat of it."""
#: Seconds between two plain hits, on average, under and over which fewer and more of them are measured.
_CROWDED = 0.001
_QUIET = 0.004

Key = tuple[str, str, bytes, int, str]
"""Site, route, method, status and the outcome's word."""
Hits = defaultdict[tuple[bytes, int], int]
"""Plain hits by method and status. A Counter, with its own method for deleting, takes half as long again to write."""


@dataclass(slots=True)
class Entry:
    """One line of the access log. Slotted and not frozen: one for each exchange (STYLE 8)."""

    at: UnixTime
    request: Request
    status: int
    size: int
    """Bytes of the body that were sent."""
    duration: Seconds
    outcome: Outcome
    site: str = "-"
    route: str = "-"
    first_byte: Seconds | None = None
    """Until the head of the response was sent, where its body came later."""


class Counted(Protocol):
    """A route, as far as its plain hits are counted."""

    @property
    def site(self) -> str:
        """The name of its site."""

    @property
    def name(self) -> str:
        """Its own."""

    @property
    def hits(self) -> Hits:
        """Its plain hits."""


class Counters:
    """Counts exchanges by the same values that Cache-Status is written from."""

    def __init__(self, log: Callable[[Entry], None] | None = None) -> None:
        self._log = log
        self.logs = log is not None
        self._done: Counter[Key] = Counter()
        """What was not a plain hit, and the plain hits of routes that are no more."""
        self._routes: Sequence[Counted] = ()
        self.details: Counter[str] = Counter()
        """By the outcome's detail."""
        self.not_stored: Counter[str] = Counter()
        """Responses of the origin that were not stored, by the outcome's detail."""
        self.bypasses: Counter[str] = Counter()
        """Requests that were not for the cache, by the outcome's detail."""
        self._timed: dict[str, _Timed] = {}
        """By the outcome's word."""
        self.stored = 0
        """Responses stored."""
        self.collapsed = 0
        """Requests answered by another's request to the origin."""
        self.refreshed = 0
        """Validations in the background."""
        self.validations: Counter[str] = Counter()
        """Answers of the origin to validations: ``not-modified``, ``modified`` or ``error``."""
        self.bytes_from_cache = 0
        self.bytes_from_origin = 0
        self.rejected: Counter[int] = Counter()
        """Requests that broke a rule or a limit, by the status they got."""
        self.accepted = 0
        """Clients that have connected."""
        self.purges: Counter[tuple[str, ...]] = Counter()
        """By what was named (``url``, ``tag``, ...) and the result."""
        self.busiest = Heaviest()
        """By requests."""
        self.costliest = Heaviest()
        """By the seconds that the origin took."""
        self.unmeasured = 1
        """Plain hits until one is measured."""
        self._stride = 1
        self._measured_at = UnixTime(0)

    # Plain hits. The driver counts them itself, on their route, for each operation there costs every hit.

    def follow(self, routes: Sequence[Counted]) -> None:
        """Count the hits of these routes from now on; the former ones have no more."""
        for route in self._routes:
            self._done.update(_hits(route))
            route.hits.clear()
        self._routes = routes

    def measure(self, request: Request, status: int, route: Counted, began: UnixTime, ended: UnixTime) -> None:
        """Measure a plain hit, which stands for those that have been since the last one that was measured.

        Every one is measured up to some hundreds a second; then fewer are, down to one in ``_MOST_UNMEASURED``.
        """
        times = self._stride
        took = Seconds(max(0.0, ended - began))
        self._time("hit", took, took, times)
        became = Became(route.site, route.name, "hit", None, status)
        self.busiest.add(url_of(request), became, times, times, began)
        apart = (began - self._measured_at) / times
        self._measured_at = began
        if apart < _CROWDED:
            self._stride = min(_MOST_UNMEASURED, 2 * times + 1)
        elif apart > _QUIET:
            self._stride = times // 2 or 1
        self.unmeasured = self._stride

    def log_hit(self, request: Request, status: int, size: int, now: UnixTime, route: tuple[str, str]) -> None:
        """Log a plain hit, where a log is kept; ``route`` is the site and the route."""
        if self._log is not None:
            self._log(Entry(now, request, status, size, Seconds(0), Outcome(hit=True), *route))

    def log(self, entry: Entry) -> None:
        """Log what is no request of a client, where a log is kept."""
        if self._log is not None:
            self._log(entry)

    @property
    def requests(self) -> Counter[Key]:
        """Return how many exchanges there were, by site, route, method, status and the outcome's word."""
        found = self._done.copy()
        for route in self._routes:
            found.update(_hits(route))
        return found

    # All else.

    def done(self, entry: Entry) -> None:
        """Count and log an exchange that was not a plain hit."""
        outcome = entry.outcome
        word = outcome.word()
        method = entry.request.method
        # Any token is a method, and a client that sends a new one each time must not fill our memory.
        method = method if method in _METHODS else b"other"
        self._done[entry.site, entry.route, method, entry.status, word] += 1
        became = _became(entry, word)
        if became.detail is not None:
            self.details[became.detail] += 1
        url = url_of(entry.request)
        until_head = entry.duration if entry.first_byte is None else entry.first_byte
        if outcome.hit or outcome.collapsed or outcome.forward_status == 304:
            self.bytes_from_cache += entry.size
        else:
            self.bytes_from_origin += entry.size
        self.collapsed += outcome.collapsed
        if entry.status != 101:  # a tunnel ends when somebody wants it to
            self._time(word, entry.duration, until_head)
        self.busiest.add(url, became, 1, 1, entry.at)
        self._asked(entry, url, became, until_head)
        if self._log is not None:
            self._log(entry)

    def asked_behind(self, entry: Entry) -> None:
        """Count what the origin was asked for in the background."""
        first_byte = entry.duration if entry.first_byte is None else entry.first_byte
        self._asked(entry, url_of(entry.request), _became(entry, entry.outcome.word()), first_byte)

    def _asked(self, entry: Entry, url: bytes, became: Became, until_head: Seconds) -> None:
        outcome = entry.outcome
        self.stored += outcome.stored
        forward = outcome.forward
        if forward is None or outcome.collapsed:
            return
        detail = became.detail
        if forward is ForwardReason.METHOD:
            self.bypasses[Detail.METHOD.value] += 1
        elif forward is ForwardReason.BYPASS:
            self.bypasses[detail if detail in _BYPASSES else OTHER] += 1
        elif detail in _NOT_STORED and not outcome.stored:
            self.not_stored[detail] += 1
        self.costliest.add(url, became, until_head, 1, entry.at)

    def _time(self, word: str, took: Seconds, first_byte: Seconds, times: int = 1) -> None:
        timed = self._timed.get(word)
        if timed is None:
            timed = self._timed[word] = _Timed()
        timed.took.add(took, times)
        timed.first_byte.add(first_byte, times)

    @property
    def took(self) -> dict[str, Durations]:
        """Return how long it was from a request's head to the end of the response, by the outcome's word."""
        return {word: timed.took for word, timed in self._timed.items()}

    @property
    def first_byte(self) -> dict[str, Durations]:
        """Return how long it was from a request's head to the head of the response, by the outcome's word."""
        return {word: timed.first_byte for word, timed in self._timed.items()}

    def validated(self, status: int) -> None:
        """Count the status of the origin's answer to a validation."""
        self.validations["not-modified" if status == 304 else "error" if status >= 500 else "modified"] += 1

    def refused(self, status: int) -> None:
        """Count a request that was not understood."""
        self.rejected[status] += 1


def _hits(route: Counted) -> Counter[Key]:
    return Counter({(route.site, route.name, *key, "hit"): count for key, count in route.hits.items()})


def _became(entry: Entry, word: str) -> Became:
    detail = entry.outcome.detail
    return Became(entry.site, entry.route, word, None if detail is None else _VALUES[detail], entry.status)


class _Timed:
    """How long exchanges with one word took."""

    __slots__ = ("first_byte", "took")

    def __init__(self) -> None:
        self.took = Durations(REQUEST_BUCKETS)
        self.first_byte = Durations(REQUEST_BUCKETS)
