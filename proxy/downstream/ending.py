"""How does a client's connection end: after its last response, with a refusal, by a deadline, or at once?"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from abc import abstractmethod

from proxy.config.model import ClientTimeouts
from proxy.deadlines import NEVER, Deadlines
from proxy.departures import Departures
from proxy.downstream.writer import Writer
from proxy.errors import RequestError
from proxy.exchange.counters import Counters

#: Bytes behind what is no request that are read and dropped before closing, so that the client can read our response.
_DRAINED = 64 * 1024
#: Seconds of silence after which nothing more is waited for.
_SILENCE = 5.0

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Ending(Writer):
    """The part of a client's connection that knows when it is over, and how to let the client know."""

    __slots__ = (
        "_buffer",
        "_busy",
        "_counters",
        "_deadlines",
        "_draining",
        "_drains_until",
        "_eof",
        "_timeouts",
        "_untaken",
        "_unwanted",
        "deadline",
        "last",
    )

    def __init__(
        self, deadlines: Deadlines, departures: Departures, timeouts: ClientTimeouts, counters: Counters
    ) -> None:
        super().__init__(departures)
        self._deadlines = deadlines
        self._timeouts = timeouts
        self._counters = counters
        self._buffer = b""
        """Bytes of requests to come."""
        self._busy = False
        """A request is being answered."""
        self._eof = False
        """The client says no more."""
        self._draining = -1
        """Bytes that may still come from a client whose connection is over; negative while it is not."""
        self._drains_until = NEVER
        self._unwanted = 0
        """Bytes that may come of a request body behind the response to it."""
        self._untaken = 0
        """What the client had still to take when it was last looked at; 0 if it was not."""
        self.last = False
        """No further request is read: the server is stopping."""
        self.deadline = NEVER

    def stop(self) -> None:
        """Read no further request; close when the one under way has been answered."""
        self.last = True
        if not self._busy and not self.gone:
            self._close()
        elif self._tunnel is None:
            self._close_after()

    def kill(self) -> None:
        """Close at once."""
        self._reset()

    def overdue(self) -> None:
        """The client took too long."""
        if (self.blocked or self.gone or not self._busy) and (left := untaken(self._transport)):
            self._look_at_writing(left)
        elif self.gone or self._transport.is_closing():
            self._transport.abort()
        elif self._begun:
            self._reset()
        elif self._incoming is not None:
            self._incoming.lose()
            self._refuse(RequestError(408, "the request body took too long"))
        elif self._buffer and not self._busy:
            self._refuse(RequestError(408, "the request head took too long"))
        else:
            self._close()

    def _look_at_writing(self, left: int) -> None:
        """Wait on as long as the client takes something."""
        if self._untaken and left >= self._untaken:
            self._reset()
        else:
            self._expect_taking(left)

    def _expect_taking(self, left: int) -> None:
        self._untaken = left
        self.deadline = self._deadlines.now + self._timeouts.write

    def _refuse(self, error: RequestError) -> None:
        """Answer a request that breaks a rule or a limit, and close."""
        self._counters.refused(error.status)
        if not self._begun:
            self._write_refusal(error)
        self._linger(always=True, is_body=error.status == 413)

    def _linger(self, *, always: bool = False, is_body: bool = False) -> None:
        """Close; where the client may still be sending, read on for a while first, or it would get a reset instead.

        A client may send all of a body before it reads the response (RFC 9112 §9.6).
        """
        if not always and self._incoming is None and not self._buffer:
            self._close()
            return
        is_body = is_body or self._incoming is not None
        self._retire()
        self.depart()
        if self._transport.is_closing():
            return
        now = self._deadlines.now
        self._draining = max(_DRAINED, self._unwanted) if is_body else _DRAINED
        self._drains_until = now + self._timeouts.linger if is_body else now + _SILENCE
        self.deadline = min(now + _SILENCE, self._drains_until)
        self.resume_reading()
        if self._transport.can_write_eof() and not self._eof:
            self._transport.write_eof()
        else:
            self._transport.close()

    def _drop(self, data: bytes) -> None:
        """Take what still comes from a client whose connection is over."""
        self._draining -= len(data)
        now = self._deadlines.now
        if self._draining < 0 or now >= self._drains_until:
            self._transport.abort()
        else:
            self.deadline = min(now + _SILENCE, self._drains_until)

    def _close(self) -> None:
        self._retire()
        self.depart()
        self._transport.close()
        self.deadline = self._deadlines.now + self._timeouts.write

    def _reset(self) -> None:
        """Cut the connection off, so that a body which would end with it is not taken for whole (RFC 9112 §8)."""
        self.depart()
        _reset_on_close(self._transport)
        self._transport.abort()

    def _retire(self) -> None:
        """Nothing more is written to this client."""
        self.gone = True
        self._buffer = b""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.lose()
        on_gone, self.on_gone = self.on_gone, None
        if on_gone is not None:
            on_gone()

    @abstractmethod
    def resume_reading(self) -> None:
        """Read again."""


def untaken(transport: asyncio.Transport) -> int:
    """Return how many bytes the client has still to take: ours, and those that the kernel holds.

    The kernel asks for more only when a good part of its own buffer is free, which takes a slow client minutes.
    """
    unsent = transport.get_write_buffer_size()
    held = bytearray(4)
    if unsent and (sock := transport.get_extra_info("socket")) is not None:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, held)
    return unsent + int.from_bytes(held, "little")


def _reset_on_close(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
