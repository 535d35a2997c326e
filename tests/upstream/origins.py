"""How does a test talk to the connection to an origin? Bytes in, bytes out, and a taker of the body."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.config.model import UpstreamLimits, UpstreamTimeouts
from proxy.config.units import Seconds
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.message.fields import RawField
from proxy.message.framing import CHUNKED, NO_BODY, Framing
from proxy.message.heads import Response
from proxy.message.stream import Arriving, Sink
from proxy.upstream.connection import Answer, Ask, UpstreamConnection
from tests.transports import Loop, Transport

HEAD = b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n"
TIMEOUTS = UpstreamTimeouts(connect=Seconds(2), first_byte=Seconds(30), between_bytes=Seconds(20), idle=Seconds(60))


@dataclass
class Taken:
    """What came of a response body; it is the sink."""

    body: bytes = b""
    trailers: Sequence[RawField] = ()
    whole: bool = False
    error: Exception | None = None

    def feed(self, chunk: bytes) -> None:
        assert chunk
        assert not self.is_over
        self.body += chunk

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        assert not self.is_over
        self.whole = True
        self.trailers = trailers

    def fail(self, error: Exception) -> None:
        assert not self.is_over
        self.error = error

    @property
    def is_over(self) -> bool:
        """Tell whether the body has ended, one way or the other."""
        return self.whole or self.error is not None


@dataclass
class Upload:
    """A request body that the test gives piece by piece (``Arriving``)."""

    sink: Sink | None = None
    paused: bool = False
    abandoned: bool = False

    def attach(self, sink: Sink) -> None:
        self.sink = sink

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def abandon(self) -> None:
        self.abandoned = True


@dataclass
class Origin:
    """One connection to an origin, and what its pool was told of it."""

    transport: Transport = field(default_factory=Transport)
    loop: Loop = field(default_factory=Loop)
    released: int = 0
    lost: int = 0
    limits: UpstreamLimits = field(default_factory=UpstreamLimits)

    def __post_init__(self) -> None:
        self.connection = UpstreamConnection(
            Deadlines(self.loop),  # type: ignore[arg-type]
            Departures(self.loop),
            TIMEOUTS,
            self._release,
            self._lose,
            self.limits,
        )
        self.transport.after = self.loop.end_turn
        self.transport.attach(self.connection)
        self.interim: list[Response] = []

    def _release(self, connection: UpstreamConnection) -> None:
        assert connection.is_idle
        self.released += 1

    def _lose(self, connection: UpstreamConnection) -> None:
        self.lost += 1

    def ask(self, method: bytes = b"GET", body: Arriving | None = None, *, upgrade: bytes | None = None) -> Asking:
        """Send a request."""
        framing: Framing = NO_BODY if body is None else CHUNKED
        ask = Ask(HEAD, method, self.interim.append, body, framing, upgrade)
        return Asking(self, self.connection.ask(ask))

    @property
    def sent(self) -> bytes:
        """Return what the origin was sent."""
        self.loop.end_turn()
        return bytes(self.transport.sent)

    @property
    def is_reusable(self) -> bool:
        """Tell whether another request may be sent."""
        return self.connection.is_idle


@dataclass
class Asking:
    """A request that was sent."""

    origin: Origin
    future: asyncio.Future[Answer]

    @property
    def answer(self) -> Answer:
        """Return the final response, which must have come."""
        return self.future.result()

    @property
    def error(self) -> BaseException | None:
        """Return why there is no response; None while that is open."""
        return self.future.exception() if self.future.done() else None

    def take(self) -> Taken:
        """Take the body from now on."""
        taken = Taken()
        self.answer.body.attach(taken)
        return taken
