"""What do a request and a response say before their bodies?"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.message.fields import Fields, serialise
from proxy.message.framing import Framing


@dataclass(slots=True)
class Request:
    """A request head that has been checked, with what the connection knows of its sender.

    Slotted and not frozen: one is made for each request, and frozen ones take twice as long to make (STYLE 8).
    """

    method: bytes
    """Any token, in its own case (RFC 9110 §9.1)."""
    target: bytes
    """In origin form (path and query, as sent), or ``*``."""
    fields: Fields
    framing: Framing
    host: bytes
    """Of the Host field or the absolute-form target: lower case, without the default port."""
    scheme: bytes = b"http"
    """As the client used it: of the listener, or what a trusted proxy in front of us says."""
    minor: int = 1
    """The protocol is HTTP/1.minor."""
    keep_alive: bool = True
    peer: str = ""
    """Address of the client's end of the connection; empty for a Unix socket."""
    trusted: bool = False
    """The peer is one whose forwarding fields count."""
    upgrade: bytes | None = None
    """The protocol asked for with Upgrade, when Connection names it (RFC 9110 §7.8)."""

    @property
    def is_safe(self) -> bool:
        """Tell whether the method is defined to be safe (RFC 9110 §9.2.1)."""
        return self.method in SAFE_METHODS


SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"QUERY"})
"""RFC 9110 §9.2.1, and QUERY by its own definition."""


_EVENTS = b"text/event-stream"


@dataclass(slots=True)
class Response:
    """A response head as the origin sent it."""

    status: int
    reason: bytes
    fields: Fields
    minor: int = 1

    @property
    def is_event_stream(self) -> bool:
        """Tell whether the body is a stream of events, which has no end and is for one client."""
        kind = self.fields.index.get(b"content-type")
        return kind is not None and kind[: len(_EVENTS)].lower() == _EVENTS

    def head(self) -> bytes:
        """Write the status line and the field lines, without the empty line."""
        return b"HTTP/1.1 %d %b\r\n%b" % (self.status, self.reason, serialise(self.fields))
