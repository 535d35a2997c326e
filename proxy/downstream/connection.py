"""One client's connection: which request comes next, and how does its response go out?

Requests that are pipelined are answered one after the other: the next is read when the response before it has been
handed to the transport. A hit is read, answered and written within one call of ``data_received``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from proxy.config.model import ClientTimeouts
from proxy.deadlines import NEVER, Deadlines
from proxy.departures import Departures
from proxy.downstream.body import RequestBody
from proxy.downstream.ending import Ending, untaken
from proxy.downstream.parser import WEBSOCKET, HeadLimits, HeadParser
from proxy.downstream.trust import Networks, believe, is_trusted
from proxy.errors import RequestError
from proxy.exchange.client import FarEnd
from proxy.exchange.counters import Counters
from proxy.message.framing import NO_BODY, Framing, Length
from proxy.message.heads import Request
from proxy.message.stream import Arriving

#: Pipelined bytes held while a response is on its way; then the client is paused.
_PIPELINED = 64 * 1024
#: Unsent bytes at which whoever writes is asked to wait.
_UNSENT_HIGH = 1024 * 1024
_UNSENT_LOW = 256 * 1024
#: RFC 9112 §2.2: empty lines before a request are passed over, all of them in one go.
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")

_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"


class Clients:
    """Who is connected."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.connected: set[Connection] = set()
        self._emptied: asyncio.Future[None] | None = None

    def leave(self, connection: Connection) -> None:
        """A client is gone."""
        self.connected.discard(connection)
        if self._emptied is not None and not self.connected and not self._emptied.done():
            self._emptied.set_result(None)

    async def emptied(self) -> None:
        """Return when nobody is connected."""
        if self.connected:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied


@dataclass(frozen=True, slots=True)
class Serving:
    """What holds for every connection of a server."""

    handle: Callable[[Request, Connection], None]
    limits: HeadLimits
    body_limit: int
    unwanted_body: int
    """Bytes read and dropped of a body behind the response to it."""
    timeouts: ClientTimeouts
    trusted: Networks
    """Peers whose forwarding fields count."""
    deadlines: Deadlines
    departures: Departures
    counters: Counters
    clients: Clients
    upgrades: frozenset[bytes] = WEBSOCKET
    """Protocols that clients may switch to, in lower case."""


class Connection(Ending):
    """The protocol of one client; it is the ``Client`` of its exchanges."""

    __slots__ = ("_parser", "_paused", "_peer", "_reading", "_serving", "_trusted", "body")

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving.deadlines, serving.departures, serving.timeouts, serving.counters)
        self._serving = serving
        self._unwanted = serving.unwanted_body
        self._parser = HeadParser(serving.limits, serving.upgrades)
        self._peer = ""
        self._trusted = False
        self._reading = False
        self._paused = False
        self.body: Arriving | None = None

    def adopt(self, serving: Serving) -> None:
        """Go by this from the next request on."""
        self._serving = serving
        self._timeouts = serving.timeouts
        self._unwanted = serving.unwanted_body
        self._trusted = is_trusted(self._peer, serving.trusted)
        self._parser = HeadParser(serving.limits, serving.upgrades, may_be_https=self._trusted)

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client in, unless there are too many."""
        serving = self._serving
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_UNSENT_HIGH, low=_UNSENT_LOW)
        serving.counters.accepted += 1
        serving.deadlines.watch(self)
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self._peer = str(name[0])
        self._trusted = self._parser.may_be_https = is_trusted(self._peer, serving.trusted)
        self.deadline = serving.deadlines.now + serving.timeouts.idle
        if len(serving.clients.connected) >= serving.clients.most:
            self._refuse(RequestError(503, "too many connections"))
        else:
            serving.clients.connected.add(self)

    def data_received(self, data: bytes) -> None:
        """Read what the client sent."""
        if self._busy or self._draining >= 0:
            self._read_aside(data)
        else:
            self._read(self._buffer + data if self._buffer else data)

    def eof_received(self) -> bool:
        """The client says no more; what it asked for is still answered."""
        self._eof = True
        # The transport is closed where this does not say that it is to stay.
        self.depart()
        if self._tunnel is not None:
            self._tunnel.write_eof()
            return True
        if self._incoming is not None:
            self._incoming.lose()
            return False
        if self.endless and self._begun:
            self._close()
        return not self.gone and (self._busy or self.blocked)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever writes to the client that nobody reads it."""
        del exc
        self.gone = True
        self._unsent = ()
        self._serving.deadlines.forget(self)
        self._serving.clients.leave(self)
        if self._incoming is not None:
            self._incoming.lose()
        if self._tunnel is not None:
            tunnel, self._tunnel = self._tunnel, None
            tunnel.abandon()
        if self.on_gone is not None:
            self.on_gone()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        self.blocked = True
        self._expect_taking(untaken(self._transport))

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.blocked = False
        self._untaken = 0
        if self.gone:
            return
        self.deadline = NEVER
        if self._incoming is not None and not self._paused:
            self.deadline = self._serving.deadlines.now + self._serving.timeouts.body
        if self.on_writable is not None:
            self.on_writable()
        elif not self._busy:
            self._wait()
            self._resume_requests()

    # Reading requests.

    def _read(self, data: bytes) -> None:
        """Read requests until the data ends or an exchange has to be waited for."""
        self._reading = True
        begins = not self._buffer
        while data and not self._busy and not self.blocked:
            if data[0] == 13 and (empty := _EMPTY_LINES.match(data)) is not None:
                data = data[empty.end() :]
                continue
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                self._wait_for_head(data, begins)
                break
            # What lies behind is kept before anything else is done: whoever ends the connection then drops it.
            if end == len(data):
                head, self._buffer = data, b""
            else:
                head, self._buffer = data[:end], data[end:]
            try:
                self._begin(self._parser.parse(head))
            except RequestError as error:
                self._refuse(error)
                break
            if self._incoming is not None and self._buffer:
                self._read_body(self._buffer)
            data = self._buffer
            begins = True
        else:
            self._buffer = data
            if data and self.blocked:
                self.pause_reading()
        self._reading = False
        if self._eof and not self._busy and not self.blocked:
            self._close()

    def _wait_for_head(self, data: bytes, begins: bool) -> None:
        serving = self._serving
        if begins:
            self.deadline = serving.deadlines.now + serving.timeouts.header
        self._buffer = data
        ended_by = serving.limits.line + len(b"\r\n")
        if len(data) >= ended_by and b"\r\n" not in data[:ended_by]:
            self._refuse(RequestError(414, "the request line is too long"))
        elif len(data) > serving.limits.total:
            self._refuse(RequestError(431, "the request head is too large"))

    def _begin(self, request: Request) -> None:
        """Hand a request to the driver."""
        self._busy = True
        self._begun = False
        self.endless = False
        self._untaken = 0
        self.deadline = NEVER
        self._minor = request.minor
        self._keep = request.keep_alive
        self._line = b"" if request.minor and request.keep_alive else _KEEP_ALIVE if request.keep_alive else _CLOSE
        request.peer = self._peer
        if self._trusted:
            request.trusted = True
            believe(request)
        if request.framing is not NO_BODY:
            self._expect_body(request.framing)
        else:
            self.body = None
        self._serving.handle(request, self)

    def _expect_body(self, framing: Framing) -> None:
        serving = self._serving
        if isinstance(framing, Length) and framing.size > serving.body_limit:
            raise RequestError(413, "the request body is too large")
        self.body = incoming = RequestBody(self, framing, serving.body_limit)
        if not incoming.complete:
            self._incoming = incoming
            self.deadline = serving.deadlines.now + serving.timeouts.body

    def _read_body(self, data: bytes) -> None:
        """Give body bytes to the body, and keep what lies behind it."""
        incoming = self._incoming
        if incoming is None:
            return
        self._buffer = b""
        try:
            behind = incoming.take(data)
        except RequestError as error:
            incoming.lose()
            self._refuse(error)
            return
        if incoming is not self._incoming:
            # Whoever took the last bytes has ended the connection.
            return
        if incoming.complete:
            self._incoming = None
            self._buffer = behind
            self.deadline = NEVER
            incoming.conclude()
        elif not self._paused:
            self.deadline = self._serving.deadlines.now + self._serving.timeouts.body

    def _read_aside(self, data: bytes) -> None:
        """Take bytes that are not a request to be answered now."""
        if self._draining >= 0:
            self._drop(data)
        elif self._tunnel is not None:
            self._tunnel.write(data)
        elif self._incoming is not None:
            self._reading = True
            self._read_body(data)
            self._reading = False
            if not self._busy:
                self._resume_requests()
        else:
            self._buffer += data
        if len(self._buffer) > _PIPELINED:
            self.pause_reading()

    # Flow of the request body and of the tunnel.

    def pause_body(self) -> None:
        """Whoever takes the request body cannot take more now."""
        self.deadline = NEVER
        self.pause_reading()

    def resume_body(self) -> None:
        """Whoever takes the request body can take more."""
        if self._incoming is not None:
            self.deadline = self._serving.deadlines.now + self._serving.timeouts.body
        self.resume_reading()

    def pause_reading(self) -> None:
        """Read nothing until resumed."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # The tunnel, and the end (``Client``).

    def switch(self, head: bytes, far: FarEnd) -> None:
        """Send a 101 head; from now on bytes go both ways as they are."""
        if self.gone:
            far.abandon()
            return
        self._begun = True
        self._chunked = False
        self._tunnel = far
        self._send(head + b"\r\n")
        self.resume_reading()
        buffer, self._buffer = self._buffer, b""
        if buffer:
            far.write(buffer)
        if self._eof:
            far.write_eof()

    # Going on.

    def _finish(self) -> None:
        """A response has been handed to the transport; go on to the next request."""
        self._busy = False
        self._begun = False
        if not self._keep or self.last:
            self._linger()
            return
        self._wait()
        if not self._reading:
            self._resume_requests()

    def _wait(self) -> None:
        timeouts = self._timeouts
        self.deadline = self._deadlines.now + (timeouts.write if self.blocked else timeouts.idle)

    def _resume_requests(self) -> None:
        self.resume_reading()
        buffer, self._buffer = self._buffer, b""
        if buffer:
            self._read(buffer)
        elif self._eof:
            self._close()
