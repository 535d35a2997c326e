"""What can go wrong, and the status each fault becomes for the client."""

from __future__ import annotations

from dataclasses import dataclass


class SitecacheError(Exception):
    """The root of every error this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a configuration, in the parts of the one line that reports it."""

    path: str
    """The path of the key, as in ``upstream.timeouts.connect``."""
    expected: str
    found: str
    where: str = ""
    """``file:line`` where the value stands, the environment variable or the option it came from."""
    hint: str = ""
    """What to do, such as ``did you mean "connect"?``."""

    def __str__(self) -> str:
        """Render the line: where, path, what was expected, what was found, what to do."""
        where = f"{self.where}: " if self.where else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"config error: {where}{self.path}: expected {self.expected}, found {self.found}{hint}"


class ConfigError(SitecacheError):
    """The configuration cannot be used; it holds every fault that was found, not only the first."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class RequestError(SitecacheError):
    """A client broke the rules of HTTP or our limits: it gets ``status`` and the connection is closed."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class UpstreamError(SitecacheError):
    """The origin gave no usable answer; ``reason`` is the word for Cache-Status, log and metrics."""

    status = 502
    reason = "upstream-error"


class UpstreamUnreachable(UpstreamError):
    """No connection to the origin could be made."""

    reason = "upstream-unreachable"


class UpstreamTimeout(UpstreamError):
    """The origin was too slow: to accept, to begin its answer, or between two parts of it."""

    status = 504
    reason = "upstream-timeout"


class UpstreamClosed(UpstreamError):
    """The origin closed the connection before its answer was whole."""

    reason = "upstream-closed"


class UpstreamGarbage(UpstreamError):
    """What the origin sent is not an HTTP response we can delimit without guessing."""

    reason = "upstream-garbage"


class RequestBodyLost(UpstreamError):
    """The client went away, or broke the framing, in the middle of the request body we were passing on."""

    status = 400
    reason = "request-body-lost"


class StorageError(SitecacheError):
    """A cache could not do what it was asked: its server is gone, slow, full or refuses us. Never seen by a client."""


class StorageDamaged(StorageError):
    """What a cache holds is not what was written there: it is passed over."""


class ListenError(SitecacheError):
    """A listener cannot be opened: the port is taken, or not ours to open."""
