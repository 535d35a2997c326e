"""How do bytes go both ways once the protocol has been switched? (RFC 9110 §7.8)"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.exchange.client import Client
from proxy.message.fields import Fields, RawField
from proxy.message.grammar import protocol_names
from proxy.upstream.body import ResponseBody
from proxy.upstream.connection import TunnelEnd


class Tunnel:
    """Both ends of a switched connection: the sink of what the origin sends, and the far end of the client's."""

    def __init__(self, client: Client, body: ResponseBody, connection: TunnelEnd, done: Callable[[int], None]) -> None:
        self._client = client
        self._body = body
        self._connection = connection
        self._done = done
        self._sent = 0
        self._over = False

    def start(self, head: bytes) -> None:
        """Tell the client that the protocol is switched, and let bytes flow."""
        self._client.on_writable = self._writable
        self._connection.on_tunnel_writable = self._origin_writable
        self._client.switch(head, self)
        self._body.attach(self)

    # What the origin sends.

    def feed(self, chunk: bytes) -> None:
        """Pass bytes to the client."""
        self._sent += len(chunk)
        self._client.write(chunk)
        if self._client.blocked:
            self._body.pause()

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """The origin says no more."""
        del trailers
        self._client.end()
        self._finish()

    def fail(self, error: Exception) -> None:
        """The origin is gone."""
        del error
        self._client.abort()
        self._finish()

    # What the client sends.

    def write(self, data: bytes) -> None:
        """Pass bytes to the origin."""
        self._connection.write(data)

    def write_eof(self) -> None:
        """The client says no more."""
        self._connection.write_eof()

    def abandon(self) -> None:
        """The client is gone."""
        self._body.abandon()
        self._connection.close()
        self._finish()

    def _writable(self) -> None:
        self._body.resume()

    def _origin_writable(self, writable: bool) -> None:
        if writable:
            self._client.resume_reading()
        else:
            self._client.pause_reading()

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self._client.on_writable = None
            self._done(self._sent)


def upgrade_fields(fields: Fields, upgrade: bytes) -> list[RawField]:
    """Return the fields that ask for these protocols, or say that one of them begins, with what they need of a message.

    Only h2c needs something: its settings, which belong to the connection, too (RFC 7540 §3.2.1).
    """
    settings = fields.get(b"http2-settings") if b"h2c" in protocol_names(upgrade) else None
    if settings is None:
        return [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    return [(b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", upgrade), (b"HTTP2-Settings", settings)]
