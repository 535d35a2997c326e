"""What does an exchange need of the client's end of the connection?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from proxy.message.fields import RawField
from proxy.message.framing import Framing
from proxy.message.heads import Response
from proxy.message.stream import Arriving


class FarEnd(Protocol):
    """The origin's end of a tunnel, as the client's end sees it."""

    def write(self, data: bytes) -> None:
        """Take bytes from the client."""

    def write_eof(self) -> None:
        """The client says no more."""

    def abandon(self) -> None:
        """The client is gone."""


class Client(Protocol):
    """The client's end of one exchange. Heads come without the empty line: the connection has a field to add."""

    body: Arriving | None
    """The request body, when there is one."""
    gone: bool
    """Nobody reads what is written."""
    blocked: bool
    """More is unsent than should be; write when told that it is not."""
    endless: bool
    """The response has no end of its own, so that a client who says no more has left."""
    on_writable: Callable[[], None] | None
    """Called when ``blocked`` ends."""
    on_gone: Callable[[], None] | None
    """Called when the client is lost before the response is whole."""

    def respond(self, head: bytes, tail: bytes, body: bytes) -> None:
        """Send a whole response; ``tail`` is the last fields with the empty line."""

    def interim(self, response: Response) -> None:
        """Send a 1xx response."""

    def begin(self, head: bytes, framing: Framing) -> None:
        """Prepare a head; it is sent with the first ``write``, with ``end``, or by ``flush``."""

    def flush(self) -> None:
        """Send the head now: its body is not there yet."""

    def write(self, data: bytes | memoryview) -> None:
        """Send the next bytes of the body."""

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """The body is whole."""

    def abort(self) -> None:
        """The body will never be whole, and the client must be able to tell."""

    def switch(self, head: bytes, far: FarEnd) -> None:
        """Send a 101 head; from now on bytes go both ways as they are."""

    def pause_reading(self) -> None:
        """The far end of the tunnel takes no more now."""

    def resume_reading(self) -> None:
        """The far end of the tunnel takes more."""


class Nobody:
    """The client of a refresh in the background."""

    def __init__(self) -> None:
        self.body: Arriving | None = None
        self.gone = True
        self.blocked = False
        self.endless = False
        self.on_writable: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None

    def respond(self, head: bytes, tail: bytes, body: bytes) -> None:
        """Nobody reads it."""

    def interim(self, response: Response) -> None:
        """Nobody reads it."""

    def begin(self, head: bytes, framing: Framing) -> None:
        """Nobody reads it."""

    def flush(self) -> None:
        """Nobody reads it."""

    def write(self, data: bytes | memoryview) -> None:
        """Nobody reads it."""

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        """Nobody reads it."""

    def switch(self, head: bytes, far: FarEnd) -> None:
        """Nobody asked for it."""

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""
