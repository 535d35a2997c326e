"""How does a body pass from one connection to another? The two narrow seams every part of a body path fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.message.fields import RawField


class Sink(Protocol):
    """Takes a body as it comes. After ``end`` or ``fail`` nothing more is said."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, which are never empty."""

    def end(self, trailers: Sequence[RawField] = ()) -> None:
        """The body is whole."""

    def fail(self, error: Exception) -> None:
        """The body is cut short and will never be whole."""


class Source(Protocol):
    """Gives a body, and can be asked to hold back."""

    def pause(self) -> None:
        """Give nothing until resumed; what is on its way may still come."""

    def resume(self) -> None:
        """Go on giving."""

    def abandon(self) -> None:
        """Nobody wants the rest."""


class Arriving(Source, Protocol):
    """A body on its way to us, which begins to be given when a sink is attached."""

    def attach(self, sink: Sink) -> None:
        """Give what has come already, and from now on what comes."""
