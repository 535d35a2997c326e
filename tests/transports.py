"""How are protocols tested without a network and without waiting? A transport and a loop that one turns by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator


class Transport(asyncio.Transport):
    """What a protocol writes to. The peer takes every byte at once, unless it is told to ``stall``."""

    def __init__(self, peer: object = ("192.0.2.7", 4711), *, half_closes: bool = True) -> None:
        super().__init__({"peername": peer})
        self.protocol: asyncio.Protocol | None = None
        self.sent = bytearray()
        """Every byte that was written."""
        self.taken = 0
        """How many of them the peer has taken."""
        self.stalled = False
        self.ended = False
        """Our direction was ended with ``write_eof``."""
        self.closed = False
        self.aborted = False
        self.reading = True
        self.after: Callable[[], None] = lambda: None
        """Called when a turn of the event loop is over that began with bytes for the protocol."""
        self.blocked = False
        self._half_closes = half_closes
        self._high, self._low = 64 * 1024, 16 * 1024

    def attach(self, protocol: asyncio.Protocol) -> None:
        """Connect a protocol."""
        self.protocol = protocol
        protocol.connection_made(self)

    def receive(self, *pieces: bytes) -> None:
        """Let the protocol have these bytes, as far as it reads."""
        assert self.protocol is not None
        for piece in pieces:
            if self.reading and not self.is_closing():
                self.protocol.data_received(piece)
        self.after()

    def receive_eof(self) -> None:
        """Let the peer end its direction."""
        assert self.protocol is not None
        if not self.is_closing() and not self.protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None = None) -> None:
        """Let the connection be gone."""
        assert self.protocol is not None
        self.closed = True
        self.protocol.connection_lost(error)

    def take(self, size: int) -> None:
        """Let a stalled peer take some bytes."""
        assert self.protocol is not None
        self.taken = min(self.taken + size, len(self.sent))
        if self.blocked and self.get_write_buffer_size() <= self._low:
            self.blocked = False
            self.protocol.resume_writing()

    # What the protocol calls.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.protocol is not None
        if self.ended:
            raise RuntimeError("write after write_eof")
        if self.is_closing():
            return
        self.sent += data
        if not self.stalled:
            self.taken = len(self.sent)
        elif not self.blocked and self.get_write_buffer_size() > self._high:
            self.blocked = True
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.sent) - self.taken

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def can_write_eof(self) -> bool:
        return self._half_closes

    def write_eof(self) -> None:
        if self.is_closing():
            raise RuntimeError("the transport is closed")
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Loop:
    """The part of an event loop that ``Deadlines`` and ``Departures`` need, with a clock that is turned by hand."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._timers: list[_Timer] = []
        self._soon: list[Callable[[], None]] = []
        self.turns_end_at_once = False

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)
        if self.turns_end_at_once:
            self.end_turn()

    def end_turn(self) -> None:
        """Call what was to be called soon."""
        while self._soon:
            self._soon.pop(0)()

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(self._now + delay, callback)
        self._timers.append(timer)
        return timer

    def turn(self, seconds: float) -> None:
        """Let this much time pass."""
        self.end_turn()
        until = self._now + seconds
        while due := [timer for timer in self._timers if timer.at <= until and not timer.cancelled]:
            timer = min(due, key=lambda one: one.at)
            self._timers.remove(timer)
            self._now = timer.at
            timer.callback()
        self._now = until


class _Timer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def deliveries(data: bytes) -> Iterator[list[bytes]]:
    """Return the ways in which bytes can come: whole, one by one, and cut in two at every place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
