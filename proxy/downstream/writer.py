"""How does a response go out to a client?"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import cast

from proxy.departures import Departures
from proxy.downstream.body import RequestBody
from proxy.errors import RequestError
from proxy.exchange.client import FarEnd
from proxy.message.chunked import chunk, last_chunk
from proxy.message.fields import RawField, serialise
from proxy.message.framing import Chunked, Framing, UntilClose
from proxy.message.heads import Response
from proxy.policy.forwarding import end_to_end

#: A body up to this size is copied behind its head, so that both leave in one call.
_JOINED = 64 * 1024

_CLOSE = b"Connection: close\r\n"


class Writer(asyncio.Protocol):
    """The half of a client's connection that responses go out through; the other half says when it is free again."""

    __slots__ = (
        "_begun",
        "_chunked",
        "_departures",
        "_held",
        "_incoming",
        "_keep",
        "_line",
        "_minor",
        "_transport",
        "_tunnel",
        "_unsent",
        "_until_close",
        "blocked",
        "endless",
        "gone",
        "on_gone",
        "on_writable",
    )

    def __init__(self, departures: Departures) -> None:
        self._departures = departures
        self._transport = cast(asyncio.Transport, None)
        self._incoming: RequestBody | None = None
        """The request body, while it is still coming."""
        self._tunnel: FarEnd | None = None
        self._minor = 1
        self._keep = True
        self._line = b""
        """The Connection field line of the current response, if it needs one."""
        self._begun = False
        self._chunked = False
        self._held = b""
        """A head that waits for the first bytes of its body, so that both leave in one call."""
        self._until_close = False
        self._unsent: tuple[bytes, ...] = ()
        """A whole response that leaves at the end of this turn of the event loop; in pieces, since joined it would lie
        between what is stored meanwhile, and leave holes that nothing fits."""
        self.gone = False
        self.blocked = False
        self.endless = False
        self.on_writable: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None

    @abstractmethod
    def _finish(self) -> None:
        """A response has been handed to the transport."""

    @abstractmethod
    def _close(self) -> None:
        """Close when what was written has been sent."""

    @abstractmethod
    def _linger(self) -> None:
        """Close, as soon as the client may be expected to have read what was written."""

    @abstractmethod
    def _reset(self) -> None:
        """Cut the connection off."""

    @abstractmethod
    def _refuse(self, error: RequestError) -> None:
        """Answer with an error of our own, and close."""

    def respond(self, head: bytes, tail: bytes, body: bytes) -> None:
        """Send a whole response."""
        if self.gone:
            return
        if self._incoming is not None:
            self._close_after()
        if len(body) > _JOINED:
            self._send(b"".join((head, self._line, tail)))
            self._transport.write(body)
        elif self._unsent or not self._keep:
            # Whoever asks for much at once is to be held back by what has been written, and what ends is ended now.
            self._send(b"".join((head, self._line, tail, body)))
        else:
            self._unsent = (head, self._line, tail, body)
            self._departures.add(self)
        self._finish()

    def depart(self) -> None:
        """Send what waits for the end of the turn."""
        unsent, self._unsent = self._unsent, ()
        if unsent:
            self._transport.write(b"".join(unsent))

    def _send(self, data: bytes | memoryview) -> None:
        """Send this now, behind what waits for the end of the turn."""
        if self._unsent:
            self.depart()
        self._transport.write(data)

    def interim(self, response: Response) -> None:
        """Send a 1xx response, which HTTP/1.0 does not know (RFC 9110 §15.2)."""
        if self._minor and not self.gone and not self._begun:
            fields = serialise(end_to_end(response.fields))
            self._send(b"HTTP/1.1 %d %b\r\n%b\r\n" % (response.status, response.reason, fields))

    def begin(self, head: bytes, framing: Framing) -> None:
        """Prepare a head; it is sent with the first bytes of the body, or by ``flush``."""
        if self.gone:
            return
        if self._incoming is not None:
            self._close_after()
        unsized = isinstance(framing, Chunked | UntilClose)
        self._begun = True
        self._chunked = unsized and self._minor == 1
        self._until_close = unsized and not self._minor
        if self._until_close:
            self._close_after()
        coding = b"Transfer-Encoding: chunked\r\n" if self._chunked else b""
        self._held = b"".join((head, coding, self._line, b"\r\n"))

    def write(self, data: bytes | memoryview) -> None:
        """Send the next bytes of the body, or of the tunnel."""
        if self.gone:
            return
        if self._chunked:
            data = chunk(data)
        if self._held:
            data, self._held = self._held + data, b""
        self._send(data)

    def flush(self) -> None:
        """Send the head now: its body is not there yet."""
        if self._held and not self.gone:
            held, self._held = self._held, b""
            self._send(held)

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """The body is whole, or the origin has ended the tunnel."""
        if self.gone:
            return
        if self._tunnel is not None:
            self._close()
            return
        if self._chunked:
            self._held += last_chunk(list(trailers))
        self.flush()
        self._finish()

    def abort(self) -> None:
        """End a response that will never be whole, so that the client cannot take it for one."""
        if self.gone:
            return
        if not self._begun and self._tunnel is None:
            self._refuse(RequestError(500, "a fault in the proxy"))
        elif self._until_close:
            self._reset()
        else:
            self.flush()
            self._linger()

    def _write_refusal(self, error: RequestError) -> None:
        phrase = HTTPStatus(error.status).phrase.encode()
        body = b"%d %b: %b\n" % (error.status, phrase, error.why.encode("ascii", "replace"))
        self._send(
            b"HTTP/1.1 %d %b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
            b"Cache-Control: no-store\r\nConnection: close\r\n\r\n%b" % (error.status, phrase, len(body), body)
        )

    def _close_after(self) -> None:
        """Let this response be the last."""
        self._keep = False
        self._line = _CLOSE
