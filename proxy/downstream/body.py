"""How does a request body get from a client's connection to whoever takes it, and where does it end?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.errors import RequestBodyLost, RequestError
from proxy.message.chunked import ChunkedDecoder, MalformedChunk
from proxy.message.fields import RawField
from proxy.message.framing import Framing, Length
from proxy.message.stream import Sink

#: Bytes held before somebody takes them; then the client is paused.
_HELD = 64 * 1024


class _Connection(Protocol):
    """What a body needs of the connection it comes over."""

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...


class RequestBody:
    """The body of one request (``Arriving``)."""

    __slots__ = (
        "_connection",
        "_decoder",
        "_held",
        "_held_bytes",
        "_left",
        "_limit",
        "_sink",
        "_size",
        "complete",
        "lost",
    )

    def __init__(self, connection: _Connection, framing: Framing, limit: int) -> None:
        self._connection = connection
        self._decoder = None if isinstance(framing, Length) else ChunkedDecoder()
        self._left = framing.size if isinstance(framing, Length) else 0
        self._limit = limit
        self._size = 0
        self._sink: Sink | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.complete = isinstance(framing, Length) and not framing.size
        self.lost = False

    # The connection's side.

    def take(self, data: bytes) -> bytes:
        """Take body bytes; return what lies behind the body. Raise RequestError where it breaks a rule or a limit."""
        if self._decoder is None:
            content, rest = [data[: self._left]], data[self._left :]
            self._left -= len(content[0])
            done = not self._left
        else:
            try:
                content, rest = self._decoder.feed(data)
            except MalformedChunk as error:
                raise RequestError(400, str(error)) from error
            done = self._decoder.done
        for piece in content:
            self._give(piece)
        self.complete = done
        return rest

    def conclude(self) -> None:
        """Tell whoever takes the body, which is complete, that it is: the response to it may come at once."""
        if self._sink is not None:
            self._sink.end(self._trailers())

    def lose(self) -> None:
        """The body will never be whole."""
        if self.complete or self.lost:
            return
        self.lost = True
        self._held.clear()
        if self._sink is not None:
            self._sink.fail(RequestBodyLost("the client did not finish the request body"))

    def _give(self, data: bytes) -> None:
        if not data:
            return
        self._size += len(data)
        if self._size > self._limit:
            raise RequestError(413, "the request body is too large")
        if self._sink is not None:
            self._sink.feed(data)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD:
            self._connection.pause_body()

    def _trailers(self) -> Sequence[RawField]:
        return () if self._decoder is None else self._decoder.trailers

    # The side of whoever takes it.

    def attach(self, sink: Sink) -> None:
        """Give to this sink what has come already, and from now on what comes."""
        self._sink = sink
        held, self._held = self._held, []
        for piece in held:
            sink.feed(piece)
        if self.lost:
            sink.fail(RequestBodyLost("the client did not finish the request body"))
        elif self.complete:
            sink.end(self._trailers())
        elif self._held_bytes > _HELD:
            self._connection.resume_body()
        self._held_bytes = 0

    def pause(self) -> None:
        """Hold the client back."""
        if not self.complete:
            self._connection.pause_body()

    def resume(self) -> None:
        """Let the client go on."""
        self._connection.resume_body()

    def abandon(self) -> None:
        """Nobody wants the rest; what still comes is dropped when the response has been sent."""
        self._sink = None
