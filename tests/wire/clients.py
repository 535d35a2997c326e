"""How does a test talk to the connection of a client? Bytes in, bytes out, and a site that tells what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, ip_network

from proxy.config.model import ClientTimeouts
from proxy.config.units import Seconds
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.downstream.connection import Clients, Connection, Serving
from proxy.downstream.parser import HeadLimits
from proxy.exchange.counters import Counters
from proxy.message.fields import RawField
from proxy.message.heads import Request
from tests.transports import Loop, Transport

HOST = b"Host: site.test\r\n"
TIMEOUTS = ClientTimeouts(header=Seconds(10), body=Seconds(30), idle=Seconds(75), write=Seconds(60), drain=Seconds(30))
UNWANTED = 200_000
LIMITS = HeadLimits(total=2000, fields=20, target=200)


@dataclass
class Asked:
    """One request as the site saw it; it is the sink of the request's body."""

    request: Request
    client: Connection
    body: bytes = b""
    trailers: Sequence[RawField] = ()
    whole: bool = False
    lost: bool = False
    on_whole: Callable[[Asked], None] = field(default=lambda _: None)

    def feed(self, chunk: bytes) -> None:
        assert chunk
        assert not self.is_over
        self.body += chunk

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        assert not self.is_over
        self.whole = True
        self.trailers = trailers
        self.on_whole(self)

    def fail(self, error: Exception) -> None:
        assert not self.is_over
        self.lost = True

    @property
    def is_over(self) -> bool:
        """Tell whether the body has ended, one way or the other."""
        return self.whole or self.lost

    @property
    def said(self) -> tuple[bytes, bytes, bytes]:
        """Return the method, the target and the body."""
        return self.request.method, self.request.target, self.body


def answer(asked: Asked) -> None:
    """Answer with what was asked."""
    body = b" ".join(asked.said)
    asked.client.respond(b"HTTP/1.1 200 OK\r\n", b"Content-Length: %d\r\n\r\n" % len(body), body)


class Talk:
    """One client's connection and the site behind it, which answers each request when it is whole."""

    def __init__(
        self,
        *,
        on_whole: Callable[[Asked], None] = answer,
        attach: bool = True,
        limits: HeadLimits = LIMITS,
        body_limit: int = 1000,
        most: int = 10,
        trusted: str = "",
        beside: Talk | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self._on_whole = on_whole
        self._attach = attach
        self.loop = Loop()
        networks: tuple[IPv4Network, ...] = (ip_network(trusted),) if trusted else ()  # type: ignore[assignment]
        self.serving = Serving(
            handle=self._handle,
            limits=limits,
            body_limit=body_limit,
            unwanted_body=UNWANTED,
            timeouts=TIMEOUTS,
            trusted=networks,
            deadlines=Deadlines(self.loop),  # type: ignore[arg-type]
            departures=Departures(self.loop),
            counters=Counters(),
            clients=Clients(most),
        )
        if beside is not None:
            self.serving = replace(self.serving, clients=beside.serving.clients)
        self.transport = transport or Transport()
        self.transport.after = self.loop.end_turn
        self.connection = Connection(self.serving)
        self.transport.attach(self.connection)

    def _handle(self, request: Request, client: Connection) -> None:
        asked = Asked(request, client, on_whole=self._on_whole)
        self.asked.append(asked)
        if client.body is None:
            asked.end()
        elif self._attach:
            client.body.attach(asked)

    @property
    def said(self) -> list[tuple[bytes, bytes, bytes]]:
        """Return what was asked, each with its body."""
        return [asked.said for asked in self.asked]

    @property
    def sent(self) -> bytes:
        """Return what the client was sent."""
        self.loop.end_turn()
        return bytes(self.transport.sent)

    @property
    def is_over(self) -> bool:
        """Tell whether the client will get nothing more."""
        self.loop.end_turn()
        return self.transport.ended or self.transport.is_closing()


def talk(pieces: Sequence[bytes], **options: object) -> Talk:
    """Say these bytes on a new connection."""
    talking = Talk(**options)  # type: ignore[arg-type]
    talking.transport.receive(*pieces)
    return talking


def answered(*requests: tuple[bytes, bytes, bytes], line: bytes = b"") -> bytes:
    """Return the bytes of the answers to these requests, with the Connection line that each should have."""
    said = [b" ".join(request) for request in requests]
    return b"".join(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (line, len(body), body) for body in said)
