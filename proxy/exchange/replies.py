"""What exactly is sent to the client for a stored response, a part of one, or an error?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from proxy.config.units import Seconds, UnixTime
from proxy.exchange.body import Body
from proxy.exchange.client import Client, Nobody
from proxy.exchange.counters import Counters, Entry
from proxy.message.framing import Framing
from proxy.message.grammar import format_date
from proxy.message.heads import Request
from proxy.policy.cache_status import Outcome, cache_status
from proxy.policy.directives import RequestTerms
from proxy.policy.key import PrimaryKey
from proxy.policy.preconditions import WHOLE, NotModified, Part, Unsatisfiable, Whole, has_preconditions, wanted
from proxy.policy.stored import StoredResponse

#: RFC 9110 §15.4.5, and Expires and Cache-Control, which freshen what the client has.
_IN_NOT_MODIFIED = (
    b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"last-modified", b"via",
)  # fmt: skip


@dataclass(slots=True)
class Exchange:
    """One request on its way to its response."""

    request: Request
    client: Client
    started: UnixTime
    asked: RequestTerms
    primary: PrimaryKey
    storage_failed: bool = False
    """The storage could not say what it has."""
    storage_damaged: bool = False
    """What the storage has was damaged, and passed over."""
    collapse: bool = True
    """It may wait for another's request to the origin."""
    vary: tuple[bytes, ...] | None = None
    """What the responses vary by, as learnt from a flight that was not for this request."""


class Replies:
    """Sends to clients, and counts what was sent."""

    def __init__(self, counters: Counters, clock: Callable[[], UnixTime]) -> None:
        self._counters = counters
        self._clock = clock

    def stored(self, exchange: Exchange, stored: StoredResponse, outcome: Outcome, now: UnixTime) -> None:
        """Answer from a complete stored response: with all of it, with a part, or with 304."""
        request = exchange.request
        part = wanted(request, stored, len(stored.body), now) if has_preconditions(request) else WHOLE
        status, head, body = _cut(stored, part)
        if request.method == b"HEAD":
            body = b""
        self.count(exchange, status, outcome, len(body))
        tail = b"Age: %d\r\n%b\r\n" % (stored.terms.age(now), cache_status(outcome))
        exchange.client.respond(head, tail, body)

    def stream(  # noqa: PLR0913 - an exchange, what it gets, and how
        self,
        exchange: Exchange,
        stored: StoredResponse,
        body: Body,
        framing: Framing,
        outcome: Outcome,
        *,
        aged: bool = False,
        evaluate: bool = True,
    ) -> None:
        """Answer with a response whose body is on its way: ``stored`` has its head and terms.

        ``evaluate`` the request's preconditions; they were evaluated by the origin otherwise.
        """
        client = exchange.client
        now = self._clock()
        if evaluate and has_preconditions(exchange.request) and wanted(exchange.request, stored, None, now) != WHOLE:
            self.count(exchange, 304, outcome, 0)
            client.respond(_cut(stored, NotModified())[1], cache_status(outcome) + b"\r\n", b"")
            body.nobody_joined()
            return
        if client.gone:
            self.count(exchange, stored.status, outcome, 0)
            body.nobody_joined()
            return
        age = b"Age: %d\r\n" % stored.terms.age(now) if aged else b""
        client.begin(stored.head + age + cache_status(outcome), framing)
        body.join(client, lambda size: self.count(exchange, stored.status, outcome, size))
        client.flush()

    def error(self, exchange: Exchange, status: int, outcome: Outcome) -> None:
        """Answer with an error of our own, and its reason."""
        why = outcome.detail.value if outcome.detail is not None else ""
        body = b"%d %b: %b\n" % (status, HTTPStatus(status).phrase.encode(), why.encode())
        head = (
            b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
            b"Cache-Control: no-store\r\n"
            % (status, HTTPStatus(status).phrase.encode(), format_date(self._clock()), len(body))
        )
        if exchange.request.method == b"HEAD":
            body = b""
        self.count(exchange, status, outcome, len(body))
        exchange.client.respond(head, cache_status(outcome) + b"\r\n", body)

    def count(self, exchange: Exchange, status: int, outcome: Outcome, size: int) -> None:
        """Count an exchange that is over."""
        if isinstance(exchange.client, Nobody):
            # No client's request: what it was done for has been counted, and so has that it was done.
            self._counters.stored += outcome.stored
            return
        now = self._clock()
        took = Seconds(max(0.0, now - exchange.started))
        self._counters.done(Entry(now, exchange.request, status, size, took, outcome))


def _cut(stored: StoredResponse, part: Whole | NotModified | Part | Unsatisfiable) -> tuple[int, bytes, bytes]:
    """Return the status, the head and the body to send for what the client wants of a stored response."""
    match part:
        case Whole():
            return stored.status, stored.head, stored.body
        case NotModified():
            return 304, b"HTTP/1.1 304 Not Modified\r\n" + _kept_lines(stored, _IN_NOT_MODIFIED), b""
        case Part(first, last):
            body = stored.body[first : last + 1]
            lines = _lines_without(stored, (b"content-length", b"content-range"))
            extent = b"Content-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n"
            sizes = (first, last, len(stored.body), len(body))
            return 206, b"HTTP/1.1 206 Partial Content\r\n" + lines + extent % sizes, body
        case Unsatisfiable():
            lines = _kept_lines(stored, (b"date", b"via"))
            extent = b"Content-Range: bytes */%d\r\nContent-Length: 0\r\n" % len(stored.body)
            return 416, b"HTTP/1.1 416 Range Not Satisfiable\r\n" + lines + extent, b""


def _kept_lines(stored: StoredResponse, names: tuple[bytes, ...]) -> bytes:
    return b"".join([line for name, line in _lines(stored) if name in names])


def _lines_without(stored: StoredResponse, names: tuple[bytes, ...]) -> bytes:
    return b"".join([line for name, line in _lines(stored) if name not in names])


def _lines(stored: StoredResponse) -> list[tuple[bytes, bytes]]:
    lines = stored.head.split(b"\r\n")[1:-1]
    return [(line.partition(b":")[0].lower(), line + b"\r\n") for line in lines]
