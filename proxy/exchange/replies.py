"""What exactly is sent to the client for a stored response, a part of one, or an error?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_hex

from proxy.config.units import Seconds, UnixTime
from proxy.exchange.body import Body
from proxy.exchange.client import Client, Nobody
from proxy.exchange.counters import Counters, Entry
from proxy.exchange.site import Route
from proxy.message.framing import Framing, Length, NoBody
from proxy.message.grammar import format_date
from proxy.message.heads import Request
from proxy.policy.cache_status import Outcome, cache_status
from proxy.policy.directives import RequestTerms
from proxy.policy.key import PrimaryKey
from proxy.policy.multipart import BOUNDARY_SIZE, Pieces
from proxy.policy.parts import cut
from proxy.policy.preconditions import WHOLE, NotModified, Parts, has_preconditions, wanted
from proxy.policy.stored import StoredResponse
from proxy.storage.responses import Responses, VarySpecs

#: Parts up to this size are copied, so that a response leaves in one call.
_JOINED = 64 * 1024


@dataclass(slots=True)
class Exchange:
    """One request on its way to its response."""

    request: Request
    client: Client
    started: UnixTime
    asked: RequestTerms
    primary: PrimaryKey
    route: Route
    storage_failed: bool = False
    """The storage could not say what it has."""
    storage_damaged: bool = False
    """What the storage has was damaged, and passed over."""
    collapse: bool = True
    """It may wait for another's request to the origin."""
    answered: UnixTime | None = None
    """When the head of a response was sent whose body came later."""
    vary: tuple[bytes, ...] | None = None
    """What the responses vary by, as learnt from a flight that was not for this request."""
    specs: VarySpecs | None = None
    """What the stored responses of its resource vary by; None where that was not looked up for what is done now."""
    storing: Responses | None = None
    """Where the answer of the origin is stored: as it was when the origin was asked."""


class Replies:
    """Sends to clients, and counts what was sent."""

    def __init__(self, counters: Counters, clock: Callable[[], UnixTime]) -> None:
        self._counters = counters
        self._clock = clock

    def stored(self, exchange: Exchange, stored: StoredResponse, outcome: Outcome, now: UnixTime) -> None:
        """Answer from a stored response that has what the request wants: with all of it, with parts, or with 304."""
        request = exchange.request
        part = wanted(request, stored, stored.complete_size, now) if has_preconditions(request) else WHOLE
        status, head, pieces = cut(stored, part, _boundary() if isinstance(part, Parts) else b"")
        if request.method == b"HEAD":
            pieces = ()
        size = sum(map(len, pieces))
        self.count(exchange, status, outcome, size)
        lines = b"Age: %d\r\n%b" % (stored.terms.age(now), _status(exchange, outcome))
        if size <= _JOINED or part == WHOLE:
            exchange.client.respond(head, lines + b"\r\n", b"".join(pieces))
        else:
            _write(exchange.client, head + lines, pieces, size)

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
        age = b"Age: %d\r\n" % stored.terms.age(now) if aged else b""
        lines = age + _status(exchange, outcome)
        if evaluate and has_preconditions(exchange.request) and wanted(exchange.request, stored, None, now) != WHOLE:
            self.count(exchange, 304, outcome, 0)
            client.respond(cut(stored, NotModified(), b"")[1], lines + b"\r\n", b"")
            body.nobody_joined()
            return
        if client.gone:
            self.count(exchange, stored.status, outcome, 0)
            body.nobody_joined()
            return
        whole = body.whole if isinstance(framing, Length | NoBody) else None
        if whole is not None:
            # It came together with its head, as small ones do, and goes out with it.
            self.count(exchange, stored.status, outcome, len(whole))
            client.respond(stored.head, lines + b"\r\n", whole)
            return
        exchange.answered = now
        client.begin(stored.head + lines, framing)
        body.join(client, lambda size: self.count(exchange, stored.status, outcome, size))
        client.flush()

    def whole(self, exchange: Exchange, status: int, head: bytes, body: bytes, outcome: Outcome) -> None:
        """Answer with a response that came whole, as it is; no precondition is evaluated."""
        client = exchange.client
        self.count(exchange, status, outcome, 0 if client.gone else len(body))
        if not client.gone:
            client.respond(head, _status(exchange, outcome) + b"\r\n", body)

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
        exchange.client.respond(head, _status(exchange, outcome) + b"\r\n", body)

    def count(self, exchange: Exchange, status: int, outcome: Outcome, size: int) -> None:
        """Count an exchange that is over."""
        now = self._clock()
        took = Seconds(max(0.0, now - exchange.started))
        answered = exchange.answered
        first_byte = None if answered is None else Seconds(max(0.0, answered - exchange.started))
        route = exchange.route
        entry = Entry(now, exchange.request, status, size, took, outcome, route.site, route.name, first_byte)
        if isinstance(exchange.client, Nobody):
            # No client's request: what it was done for has been counted, and so has that it was done.
            self._counters.asked_behind(entry)
        else:
            self._counters.done(entry)

    def validated(self, status: int) -> None:
        """Count the status of the origin's answer to a validation."""
        self._counters.validated(status)


def _status(exchange: Exchange, outcome: Outcome) -> bytes:
    """Write Cache-Status, with the key where there is one and it is to be told."""
    tells = exchange.route.rules.tells_keys and exchange.primary
    return cache_status(outcome, exchange.primary if tells else None)


def _write(client: Client, head: bytes, pieces: Pieces, size: int) -> None:
    """Send a large body piece by piece, none of them copied."""
    client.begin(head, Length(size))
    client.flush()
    for piece in pieces:
        client.write(piece)
    client.end()


def _boundary() -> bytes:
    return token_hex(BOUNDARY_SIZE // 2).encode()
