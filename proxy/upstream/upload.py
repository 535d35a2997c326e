"""How does a request body go out over a connection to the origin?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.message.chunked import chunk, last_chunk
from proxy.message.fields import RawField
from proxy.message.framing import CHUNKED, Framing


class _Connection(Protocol):
    """What an upload needs of the connection it goes over."""

    def request_feed(self, data: bytes) -> None: ...

    def request_sent(self) -> None: ...

    def request_lost(self) -> None: ...


class Upload:
    """Takes a request body for a connection to the origin (``Sink``)."""

    __slots__ = ("_chunked", "_connection")

    def __init__(self, connection: _Connection, framing: Framing) -> None:
        self._connection = connection
        self._chunked = framing is CHUNKED

    def feed(self, data: bytes) -> None:
        """Send the next bytes."""
        self._connection.request_feed(chunk(data) if self._chunked else data)

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """Send the end."""
        if self._chunked:
            self._connection.request_feed(last_chunk(list(trailers)))
        self._connection.request_sent()

    def fail(self, error: Exception) -> None:
        """Let the origin see that the request was cut short."""
        del error
        self._connection.request_lost()
