"""One connection to the origin: a request goes out, a response comes in, and is it good for another after that?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Protocol, cast

from proxy.config.model import UpstreamLimits, UpstreamTimeouts
from proxy.deadlines import NEVER, Deadlines
from proxy.departures import Departures
from proxy.errors import RequestBodyLost, UpstreamClosed, UpstreamError, UpstreamGarbage, UpstreamTimeout
from proxy.message.chunked import ChunkedDecoder, MalformedChunk
from proxy.message.fields import RawField
from proxy.message.framing import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    Chunked,
    Framing,
    Length,
    NoBody,
    UntilClose,
    response_framing,
)
from proxy.message.grammar import protocol_names
from proxy.message.heads import Response
from proxy.message.stream import Arriving
from proxy.upstream.body import ResponseBody
from proxy.upstream.heads import HeadReader, persists, suggests_body, without_framing
from proxy.upstream.leftover import has_unread, left_over
from proxy.upstream.parser import could_begin, not_http
from proxy.upstream.upload import Upload

#: How an origin says that it waits no more for a request, which is no answer to one.
_WAITED_IN_VAIN = b"HTTP/1.1 408"
#: Bytes that come so soon behind a response belong to it.
_SOON = 5.0
LIMITS = UpstreamLimits()

NO_DOUBT, SLIGHT_DOUBT, STRONG_DOUBT = 0, 1, 2
"""How likely it is that bytes follow the last response which belong to none (RFC 9112 §6.3): hardly, where it has a
body; rather, where it has none, whatever is sent; and all the more where it has none though it is delimited as if it
had one, or is the answer to HEAD."""


@dataclass(slots=True)
class Ask:
    """One request, ready to be sent."""

    head: bytes
    """With its empty line."""
    method: bytes
    interim: Callable[[Response], None]
    """Called with each 1xx response, in order, before the final one."""
    body: Arriving | None = None
    framing: Framing = NO_BODY
    """Of the request body."""
    upgrade: bytes | None = None
    """The protocols that it asks to switch to."""
    repeatable: bool = False
    """May be sent again when a reused connection ends before the first byte: a safe method, and no body."""


Told = Callable[["Answer | UpstreamError"], None]
"""Called once with the final response to an Ask, or with why there is none."""


class TunnelEnd(Protocol):
    """The origin's end of a connection whose protocol has been switched."""

    on_tunnel_writable: Callable[[bool], None] | None
    """Told when the origin stops, and begins again, to take what comes through the tunnel."""

    def write(self, data: bytes) -> None:
        """Send bytes to the origin."""

    def write_eof(self) -> None:
        """The client says no more."""

    def close(self) -> None:
        """The client is gone."""


@dataclass(slots=True)
class Answer:
    """The final response to an Ask."""

    response: Response
    body: ResponseBody
    framing: Framing
    tunnel: TunnelEnd | None = None
    """After 101: the connection to send the client's bytes through."""


class _State(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    TUNNEL = auto()
    CLOSED = auto()


class UpstreamConnection(asyncio.Protocol):
    """The protocol of one connection; ``released`` is called when it is clean and idle, ``lost`` when it is gone."""

    def __init__(
        self,
        deadlines: Deadlines,
        departures: Departures,
        timeouts: UpstreamTimeouts,
        released: Callable[[UpstreamConnection], None],
        lost: Callable[[UpstreamConnection], None],
        limits: UpstreamLimits = LIMITS,
    ) -> None:
        self.deadline = NEVER
        self.doubt = NO_DOUBT
        """Of what may still come behind the last response."""
        self.strayed = False
        """Bytes that belong to no response came behind one without a body, or so late that they could meet the next."""
        self.fault: UpstreamGarbage | None = None
        """What the origin sent that nobody can read."""
        self.touched = False
        """A byte of the current response has come, so the origin has seen the request."""
        self.on_tunnel_writable: Callable[[bool], None] | None = None
        """Told when the origin stops, and begins again, to take what comes through the tunnel."""
        self._deadlines = deadlines
        self._departures = departures
        self._timeouts = timeouts
        self._released = released
        self._lost = lost
        self._transport = cast(asyncio.Transport, None)
        self._state = _State.IDLE
        self._ask: Ask | None = None
        self._told: Told = _nobody
        self._unsent = b""
        """A request that leaves at the end of this turn of the event loop."""
        self._heads = HeadReader(limits)
        self._is_reused = False
        """It has carried a response before."""
        self._sending = False
        """The request body is on its way."""
        self._blocked = False
        """The origin takes no more of it now."""
        self._paused = False
        self._no_body = self._body = ResponseBody(self)
        self._framing: Framing = NO_BODY
        self._left = 0
        self._decoder = ChunkedDecoder()
        self._keep = False
        self._refuses = False
        """The response says that the request, which has a body, is not taken."""
        self._endless = False

    # The exchange's side.

    @property
    def is_idle(self) -> bool:
        """Tell whether a request can be sent now."""
        return self._state is _State.IDLE and not self._transport.is_closing()

    @property
    def has_unread(self) -> bool:
        """Tell whether bytes have come that answer nothing, and have not been read yet."""
        return has_unread(self._transport)

    def ask(self, ask: Ask) -> asyncio.Future[Answer]:
        """Send a request; the future becomes its final response, or an UpstreamError."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.begin(ask, partial(_tell, answer))
        return answer

    def begin(self, ask: Ask, told: Told) -> None:
        """Send a request; ``told`` is called with what becomes of it."""
        self.touched = False
        if self._state is not _State.IDLE:
            told(self.fault or UpstreamClosed("the origin closed the connection before it was asked"))
            return
        self._told = told
        self._ask = ask
        self._state = _State.HEAD
        self._heads.begin()
        self.deadline = self._deadlines.now + self._timeouts.first_byte
        if ask.body is None:
            self._unsent = ask.head
            self._departures.add(self)
        else:
            self._transport.write(ask.head)
            self._sending = True
            ask.body.attach(Upload(self, ask.framing))

    def depart(self) -> None:
        """Send the request that waits for the end of the turn."""
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self._transport.write(unsent)

    def rest(self, until: float) -> None:
        """Wait for the next request until this deadline."""
        self.deadline = until

    def close(self) -> None:
        """Close the connection, whatever it is doing; nobody is told of it."""
        self._state = _State.CLOSED
        self._ask = None
        self._told = _nobody
        self._unsent = b""
        self.deadline = NEVER
        self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send bytes through the tunnel."""
        self._transport.write(data)

    def write_eof(self) -> None:
        """End our direction of the tunnel."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # The side of the body that is on its way.

    def pause_body(self) -> None:
        """Stop reading: whoever takes the body cannot take more now."""
        if not self._paused and self._state in (_State.BODY, _State.TUNNEL):
            self._paused = True
            self.deadline = NEVER
            self._transport.pause_reading()

    def resume_body(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
            self._expect()

    def abandon_body(self) -> None:
        """Nobody wants the rest of the response."""
        self.close()

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch the deadline."""
        self._transport = cast(asyncio.Transport, transport)
        self._deadlines.watch(self)

    def data_received(self, data: bytes) -> None:
        """Read what the origin sent."""
        match self._state:
            case _State.HEAD:
                self.touched = True
                self._read_heads(data)
            case _State.BODY:
                self._read_body(data)
            case _State.TUNNEL:
                self._body.give(data)
            case _State.IDLE:
                self._stray(data)
            case _State.CLOSED:
                pass

    def eof_received(self) -> bool:
        """The origin ends its direction: a body without a length ends with it, and a tunnel is half closed."""
        if self._state is _State.TUNNEL:
            self._body.finish(())
            return True
        if self._state is _State.BODY and isinstance(self._framing, UntilClose):
            self._end(())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that nothing more will come."""
        self._deadlines.forget(self)
        if exc is not None:
            self._read_on()
        self._fail(UpstreamClosed(str(exc) if exc else "the origin closed the connection"))
        self._lost(self)

    def _read_on(self) -> None:
        """Read what came before the connection was reset.

        An origin that answers an upload and closes has the kernel reset it, as soon as more of that comes.
        """
        if self._state in (_State.HEAD, _State.BODY) and (data := left_over(self._transport)):
            self.data_received(data)
        ask = self._ask
        has_answered = self._state is _State.BODY and isinstance(self._framing, UntilClose)
        if has_answered and ask is not None and ask.body is not None and self._refuses:
            self._end(())

    def _stray(self, data: bytes) -> None:
        """Nothing was asked, so whatever is said could only be taken for the answer to the next request."""
        if self._is_reused:
            is_soon = self._deadlines.now < self.deadline - self._timeouts.idle + _SOON
            self.strayed = is_soon and not data.startswith(_WAITED_IN_VAIN)
        elif not could_begin(data):
            self.fault = not_http(data)
        self.close()

    def pause_writing(self) -> None:
        """The origin takes no more of what we send now."""
        self._blocked = True
        if self._state is _State.TUNNEL and self.on_tunnel_writable is not None:
            self.on_tunnel_writable(False)
        elif self._ask is not None and self._ask.body is not None:
            self._ask.body.pause()
            self._expect()

    def resume_writing(self) -> None:
        """The origin takes more of what we send."""
        self._blocked = False
        if self._state is _State.TUNNEL and self.on_tunnel_writable is not None:
            self.on_tunnel_writable(True)
        elif self._ask is not None and self._ask.body is not None:
            self._expect()
            self._ask.body.resume()

    def overdue(self) -> None:
        """The origin took too long, or an idle connection was not needed."""
        if self._state is _State.IDLE:
            self.close()
        else:
            self._fail(UpstreamTimeout("the origin sent nothing for too long"))

    def _expect(self) -> None:
        """Set the deadline for what the origin has to do next."""
        if self._sending and not self._blocked:
            # It may wait for the rest of the request, and how long that may take is a matter of the client's deadline.
            self.deadline = NEVER
        elif self._state is _State.HEAD:
            self.deadline = self._deadlines.now + self._timeouts.first_byte
        elif self._state is _State.BODY and not self._endless and not self._paused:
            self.deadline = self._deadlines.now + self._timeouts.between_bytes
        else:
            self.deadline = NEVER

    # The response head.

    def _read_heads(self, data: bytes) -> None:
        # Before the body is read: when that is whole, the connection may be closed.
        told = self._told
        try:
            response = self._final_response(data)
            if response is None:
                return
            answer = self._begin_body(response)
        except (UpstreamGarbage, UpstreamClosed) as error:
            self._fail(error)
            return
        self._told = _nobody
        # Last, because whoever is told may send the next request over this connection at once.
        told(answer)

    def _final_response(self, data: bytes) -> Response | None:
        """Read heads up to that of the final response; None where it has not come."""
        heads = self._heads
        while (ask := self._ask) is not None:
            try:
                response = heads.read(data)
            except UpstreamGarbage:
                self.strayed = self._is_reused and heads.is_first
                raise
            if response is None or response.status >= 200 or response.status == 101:
                if response is not None and response.status == 408 and self._is_reused and heads.is_first:
                    # RFC 9110 §15.5.9: it waited in vain for a request, and ours was on its way.
                    self.touched = False
                    raise UpstreamClosed("the origin waited in vain for a request")
                return response
            self._expect()
            ask.interim(response)
            data = heads.behind()
            if not data:
                break
        return None

    def _begin_body(self, response: Response) -> Answer:
        """Read what of the body came with its head; the answer has its whole where that is all."""
        ask = self._ask
        switches = response.status == 101
        if ask is None or (switches and not _was_asked_for(response, ask.upgrade)):
            raise UpstreamGarbage("a switch of protocols that was not asked for")
        framing = UNTIL_CLOSE if switches else response_framing(response.fields, response.status, ask.method)
        self._framing = framing
        self._left = framing.size if isinstance(framing, Length) else 0
        if framing is CHUNKED:
            self._decoder = ChunkedDecoder()
        self._body = body = ResponseBody(self)
        self._state = _State.TUNNEL if switches else _State.BODY
        self._keep = persists(response)
        self._endless = response.is_event_stream
        if framing is NO_BODY:
            self._doubt(ask.method, response)
        elif self.doubt:
            self.doubt = NO_DOUBT
        if ask.body is not None:
            self._refuses = response.status >= 400
        self._is_reused = True
        self._expect()
        rest = self._heads.behind()
        if not switches:
            self._read_body(rest)
        elif rest:
            body.give(rest)
        return Answer(response, body, framing, self if switches else None)

    def _doubt(self, method: bytes, response: Response) -> None:
        """Judge what may come behind a response without a body."""
        suggests = suggests_body(response)
        self.doubt = STRONG_DOUBT if suggests or method == b"HEAD" else SLIGHT_DOUBT
        if response.status == 204:
            # RFC 9110 §8.6, RFC 9112 §6.1: it must not, and what is sent next may be anything.
            self._keep = self._keep and not suggests
            without_framing(response)

    # The response body.

    def _read_body(self, data: bytes) -> None:
        if data:
            self._expect()
        match self._framing:
            case NoBody():
                self._behind(data)
                self._end(())
            case Length():
                self._read_length(data)
            case Chunked():
                self._read_chunks(data)
            case UntilClose():
                if data:
                    self._body.give(data)

    def _read_length(self, data: bytes) -> None:
        if len(data) > self._left:
            self._behind(data[self._left :])
            data = data[: self._left]
        self._left -= len(data)
        if data:
            self._body.give(data)
        if not self._left:
            self._end(())

    def _read_chunks(self, data: bytes) -> None:
        try:
            content, behind = self._decoder.feed(data)
        except MalformedChunk as error:
            self._fail(UpstreamGarbage(str(error)))
            return
        for piece in content:
            self._body.give(piece)
        if self._decoder.done:
            self._behind(behind)
            self._end(self._decoder.trailers)

    def _behind(self, data: bytes) -> None:
        """What lies behind the body was not asked for: the response is whole, the connection is not clean."""
        if data:
            self._keep = False
            self.strayed = self.doubt > 0

    def _end(self, trailers: Sequence[RawField]) -> None:
        if self._state is not _State.BODY:
            # Whoever took the last piece has abandoned the body.
            return
        clean = self._keep and not self._sending and not isinstance(self._framing, UntilClose)
        self._state = _State.IDLE if clean else _State.CLOSED
        self._ask = None
        self.deadline = NEVER
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if clean:
            self._released(self)
        elif self._transport.get_write_buffer_size():
            # An upload that the origin does not take would keep it open for ever.
            self._transport.abort()
        else:
            self._transport.close()
        # What has come is held by whoever takes it, and not until the next response.
        body, self._body = self._body, self._no_body
        body.finish(trailers)

    def _fail(self, error: UpstreamError) -> None:
        state, self._state = self._state, _State.CLOSED
        if state is _State.CLOSED:
            return
        self._ask = None
        self._unsent = b""
        self.deadline = NEVER
        if isinstance(error, UpstreamGarbage):
            self.fault = error
        self._transport.abort()
        if state is _State.HEAD:
            told, self._told = self._told, _nobody
            told(error)
        elif state in (_State.BODY, _State.TUNNEL):
            self._body.finish((), error)

    # The request body.

    def request_feed(self, data: bytes) -> None:
        """Send the next bytes of the request body."""
        if self._state in (_State.HEAD, _State.BODY):
            self._expect()
            self._transport.write(data)

    def request_sent(self) -> None:
        """The request is whole."""
        self._sending = False
        self._expect()

    def request_lost(self) -> None:
        """The request will never be whole, so the origin must not take it for one."""
        self._fail(RequestBodyLost("the request body was cut short"))


def _tell(future: asyncio.Future[Answer], answer: Answer | UpstreamError) -> None:
    """Let the future become what is told; where nobody waits for it any more, nobody takes the body either."""
    if isinstance(answer, UpstreamError):
        if not future.done():
            future.set_exception(answer)
    elif future.done():
        answer.body.abandon()
    else:
        future.set_result(answer)


def _was_asked_for(response: Response, upgrade: bytes | None) -> bool:
    """Tell whether a 101 switches to what was asked for (RFC 9110 §7.8)."""
    names = protocol_names(response.fields.get(b"upgrade") or b"")
    return upgrade is not None and bool(names) and names <= protocol_names(upgrade)


def _nobody(answer: Answer | UpstreamError) -> None:
    """Nobody waits for an answer."""
