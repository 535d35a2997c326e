"""How does one body get from the origin to any number of clients, each at its pace, and to the storage?

While the body is kept, to be stored, a client that comes later reads from its beginning, and the origin is held back
when no client can take more: the fastest sets the pace. Once it is too large to be stored, only what somebody has still
to read is held, and the slowest sets the pace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.exchange.client import Client
from proxy.message.fields import RawField
from proxy.message.stream import Sink, Source

#: Called once, when the body ends: with the kept body, or with None when it was not kept, or is not whole.
Ended = Callable[[bytes | None], None]


def _nobody(whole: bytes | None) -> None:
    """Whoever was to be told has been."""


class Body:
    """A body on its way; it is the sink of the response body and the source of its readers."""

    __slots__ = (
        "_awaited",
        "_came",
        "_chunks",
        "_dropped",
        "_ended",
        "_error",
        "_keep",
        "_limit",
        "_on_end",
        "_readers",
        "_source",
        "_trailers",
        "size",
    )

    def __init__(self, source: Source, limit: int | None, on_end: Ended) -> None:
        self._source = source
        self._limit = limit or 0
        self._keep = limit is not None
        self._on_end = on_end
        self._chunks: list[bytes] = []
        self._dropped = 0
        self._readers: list[Reader] = []
        self._awaited = True
        """The client that it was fetched for has not been heard of yet."""
        self._ended = False
        self._came = False
        """The origin has sent all of it."""
        self._error: Exception | None = None
        self._trailers: Sequence[RawField] = ()
        self.size = 0
        """Bytes that have come."""

    @property
    def joinable(self) -> bool:
        """Tell whether a client that comes now can still read all of it."""
        return self._keep and self._error is None

    @property
    def whole(self) -> bytes | None:
        """Return all of it, where it has come already and nobody has read any of it; None otherwise."""
        if not self._came or self._trailers or self._dropped:
            return None
        return b"".join(self._chunks)

    def join(self, client: Client, done: Callable[[int], None]) -> None:
        """Write the body to this client; ``done`` is called with the bytes written when it has ended or left."""
        self._awaited = False
        reader = Reader(self, client, done)
        self._readers.append(reader)
        client.on_writable = reader.writable
        client.on_gone = reader.leave
        if client.gone:
            reader.leave()
        else:
            reader.writable()

    def nobody_joined(self) -> None:
        """The client that this body was fetched for is gone: go on only if it is to be stored."""
        self._awaited = False
        if not self._readers and not self._keep:
            self._give_up()

    # The sink of the response body.

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._ended:
            # It was given up, and this was on its way.
            return
        self.size += len(chunk)
        if self._keep and self.size > self._limit:
            self._keep = False
            if not self._readers and not self._awaited:
                self._give_up()
                return
        self._chunks.append(chunk)
        for reader in self._readers[:]:
            reader.pump()
        self._trim()
        self._pace()

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """The body is whole."""
        self._ended = self._came = True
        self._trailers = trailers
        # First stored, then sent: whoever has read the last byte may ask again and is entitled to a hit.
        try:
            self._tell(b"".join(self._chunks) if self._keep else None)
        finally:
            # A fault of the storage is not the clients'.
            for reader in self._readers[:]:
                reader.pump()

    def fail(self, error: Exception) -> None:
        """The body is cut short."""
        self._ended = True
        self._error = error
        self._keep = False
        self._tell(None)
        for reader in self._readers[:]:
            reader.pump()

    # The readers' side.

    def take(self, position: int) -> bytes | None:
        """Return the chunk at this position; None when it has not come."""
        index = position - self._dropped
        return self._chunks[index] if index < len(self._chunks) else None

    @property
    def ended(self) -> bool:
        """Tell whether no more bytes will come."""
        return self._ended

    def conclude(self, reader: Reader) -> None:
        """Tell the client of a reader that has read everything how the body ended."""
        self._readers.remove(reader)
        reader.release()
        # Last, because the client may go on to its next request at once.
        if self._error is None:
            reader.client.end(self._trailers)
        else:
            reader.client.abort()

    def moved(self) -> None:
        """A reader went on after it had been blocked."""
        self._trim()
        self._pace()

    def left(self, reader: Reader) -> None:
        """A reader's client is gone."""
        if reader not in self._readers:
            return
        self._readers.remove(reader)
        if self._ended:
            return
        if not self._readers and not self._keep:
            self._give_up()
        else:
            self.moved()

    def _give_up(self) -> None:
        self._ended = True
        self._chunks.clear()
        self._source.abandon()
        self._tell(None)

    def _tell(self, whole: bytes | None) -> None:
        """Say that it has ended; who is told is let go, and with it whatever leads from there back to this."""
        on_end, self._on_end = self._on_end, _nobody
        on_end(whole)

    def _trim(self) -> None:
        if self._keep or not self._readers:
            return
        read = min(reader.position for reader in self._readers) - self._dropped
        if read:
            del self._chunks[:read]
            self._dropped += read

    def _pace(self) -> None:
        if self._ended:
            return
        blocked = [reader.client.blocked for reader in self._readers]
        if blocked and (all(blocked) if self._keep else any(blocked)):
            self._source.pause()
        else:
            self._source.resume()


class Before:
    """The sink of a body that comes before what is there already: both become one."""

    __slots__ = ("_behind", "_sink")

    def __init__(self, sink: Sink, behind: bytes) -> None:
        self._sink = sink
        self._behind = behind

    def feed(self, chunk: bytes) -> None:
        """Pass on the next bytes."""
        self._sink.feed(chunk)

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """What comes is whole: what is there follows."""
        self._sink.feed(self._behind)
        self._sink.end(trailers)

    def fail(self, error: Exception) -> None:
        """What comes is cut short, and so is the whole."""
        self._sink.fail(error)


class Reader:
    """One client that a body is written to."""

    __slots__ = ("_body", "_done", "_written", "client", "position")

    def __init__(self, body: Body, client: Client, done: Callable[[int], None]) -> None:
        self._body = body
        self._done = done
        self._written = 0
        self.client = client
        self.position = 0

    def pump(self) -> None:
        """Write what has come, as far as the client takes it."""
        client = self.client
        while not client.blocked:
            chunk = self._body.take(self.position)
            if chunk is None:
                if self._body.ended:
                    self._body.conclude(self)
                return
            self.position += 1
            self._written += len(chunk)
            client.write(chunk)

    def writable(self) -> None:
        """The client takes more."""
        self.pump()
        if not self._body.ended:
            self._body.moved()

    def leave(self) -> None:
        """The client is gone."""
        self._body.left(self)
        self.release()

    def release(self) -> None:
        """Have nothing more to do with the client."""
        self.client.on_writable = None
        self.client.on_gone = None
        self._done(self._written)
