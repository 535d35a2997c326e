"""How does a response body get from a connection to whoever takes it, who may not be there yet?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.message.fields import RawField
from proxy.message.stream import Sink

#: Bytes held before somebody takes them; then the origin is paused.
_HELD = 64 * 1024


class _Connection(Protocol):
    """What a body needs of the connection it comes over."""

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def abandon_body(self) -> None: ...


class ResponseBody:
    """The body of one response. It outlives its time on the connection, which by then may carry the next one."""

    __slots__ = ("_connection", "_ended", "_held", "_held_bytes", "_sink")

    def __init__(self, connection: _Connection) -> None:
        self._connection: _Connection | None = connection
        self._sink: Sink | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._ended: tuple[Sequence[RawField], Exception | None] | None = None

    # The side of whoever takes it (``Arriving``).

    def attach(self, sink: Sink) -> None:
        """Give to this sink what has come already, and from now on what comes."""
        self._sink = sink
        held, self._held = self._held, []
        overfull = self._held_bytes > _HELD
        self._held_bytes = 0
        for piece in held:
            sink.feed(piece)
        if self._ended is not None:
            self._tell(*self._ended)
        elif overfull:
            self.resume()

    def pause(self) -> None:
        """Hold the origin back."""
        if self._connection is not None:
            self._connection.pause_body()

    def resume(self) -> None:
        """Let the origin go on."""
        if self._connection is not None:
            self._connection.resume_body()

    def abandon(self) -> None:
        """Nobody wants the rest."""
        self._sink = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon_body()

    @property
    def whole(self) -> bytes | None:
        """Return all of it, where it has come already and nobody has taken it; None otherwise, or with trailers."""
        if self._ended is None or self._sink is not None:
            return None
        trailers, error = self._ended
        if trailers or error is not None:
            return None
        held = self._held
        return held[0] if len(held) == 1 else b"".join(held)

    # The connection's side.

    def give(self, data: bytes) -> None:
        """Pass on the next bytes."""
        if self._sink is not None:
            self._sink.feed(data)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD:
            self.pause()

    def finish(self, trailers: Sequence[RawField], error: Exception | None = None) -> None:
        """Pass on that the body is whole, or that it never will be."""
        self._connection = None
        if self._sink is None:
            self._ended = (trailers, error)
        else:
            self._tell(trailers, error)

    def _tell(self, trailers: Sequence[RawField], error: Exception | None) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        if error is None:
            sink.end(trailers)
        else:
            sink.fail(error)
