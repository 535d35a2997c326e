"""Who asked for what, what did the cache do, and why? One line for each request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from json import JSONEncoder

from proxy.config.model import AccessLog as Style
from proxy.config.units import UnixTime
from proxy.exchange.counters import Entry
from proxy.exchange.site import NONE

_EVERY = 0.25
_MOST = 64 * 1024
_NOT_PLAIN = re.compile(rb"[^!-\[\]-~]")
"""A space, what is not printable ASCII, and the backslash that the escapes begin with."""
_DEL = "\x7f"

Later = Callable[[float, Callable[[], None]], object]
"""``loop.call_later``."""


def text_line(entry: Entry) -> str:
    """Write the line: time, peer, method, URL, status, bytes, milliseconds, cache, detail, site and route.

    What was wrong with the origin's answer is written behind them, in quotation marks.
    What a client sent has every byte that is not printable written as ``\\xNN``, so that each line is one request.
    """
    request, outcome = entry.request, entry.outcome
    url = request.scheme + b"://" + request.host + request.target
    cause = f" cause={_encode(outcome.cause)}" if outcome.cause else ""
    return (
        f"{_time(entry.at)} {_peer(request.peer)} {_escape(request.method) or '-'} {_escape(url)} {entry.status} "
        f"{entry.size}B {entry.duration * 1000:.3f}ms {outcome.word()} {outcome.detail or '-'} "
        f"site={_escape(entry.site.encode())} route={entry.route}{cause}\n"
    )


def json_line(entry: Entry) -> str:
    """Write one object, always with the same keys.

    What a client sent stands as it came, each byte as the character with its number (ISO 8859-1).
    """
    request, outcome = entry.request, entry.outcome
    line = _encode(
        {
            "time": _time(entry.at),
            "peer": _peer(request.peer),
            "method": request.method.decode("latin-1"),
            "scheme": request.scheme.decode("latin-1"),
            "host": request.host.decode("latin-1"),
            "target": request.target.decode("latin-1"),
            "status": entry.status,
            "bytes": entry.size,
            "duration_ms": round(entry.duration * 1000, 3),
            "cache": outcome.word(),
            "detail": outcome.detail,
            "ttl": outcome.ttl,
            "stored": outcome.stored,
            "collapsed": outcome.collapsed,
            "upstream_status": outcome.forward_status,
            "cause": outcome.cause or None,
            "site": _named(entry.site),
            "route": _named(entry.route),
        }
    )
    # The one control character that JSON allows as it is, and a terminal need not see.
    return line.replace(_DEL, "\\u007f") + "\n"


_LINES: dict[Style, Callable[[Entry], str]] = {Style.TEXT: text_line, Style.JSON: json_line}


class AccessLog:
    """Writes lines some at a time: no request waits for its line, and none fails because nobody takes it."""

    def __init__(
        self,
        style: Style,
        write: Callable[[str], None],
        lost: Callable[[], int] = lambda: 0,
        later: Later | None = None,
    ) -> None:
        """Write lines in this style, which is not ``off``.

        ``write`` takes whole lines at once and may raise OSError or ValueError: they are dropped then. ``lost`` counts
        those it took and lost later. ``later`` is the running loop's ``call_later`` unless another is given.
        """
        self._line = _LINES[style]
        self._write = write
        self._lost = lost
        self._later = later
        self._lines: list[str] = []
        self._size = 0
        self._most = _MOST
        self._waiting = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Lines that nobody took."""
        return self._dropped + self._lost()

    def __call__(self, entry: Entry) -> None:
        """Log one request."""
        line = self._line(entry)
        self._lines.append(line)
        self._size += len(line)
        if self._size >= self._most:
            self.flush()
        elif not self._waiting:
            self._waiting = True
            later = self._later or asyncio.get_running_loop().call_later
            later(_EVERY, self._due)

    def _due(self) -> None:
        self._waiting = False
        self.flush()

    def flush(self) -> None:
        """Write what has come together."""
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        try:
            self._write("".join(lines))
        except (OSError, ValueError):
            # Closed, full, or gone (ValueError is a Python file that was closed).
            self._dropped += len(lines)

    def close(self) -> None:
        """Write what there is, and whatever comes after at once."""
        self._most = 0
        self.flush()


_encode = JSONEncoder(separators=(",", ":")).encode


def _escape(sent: bytes) -> str:
    text = sent.decode("latin-1")
    if text.isascii() and text.isprintable() and " " not in text and "\\" not in text:
        return text  # as nearly always; a third of the time that the pattern takes
    return _NOT_PLAIN.sub(lambda found: b"\\x%02x" % found[0][0], sent).decode("ascii")


def _named(label: str) -> str | None:
    return None if label == NONE else label


@lru_cache(maxsize=1024)
def _peer(peer: str) -> str:
    # The zone of an IPv6 address is the name of an interface, and may be anything.
    return _escape(peer.encode("utf-8", "backslashreplace")) or "-"


def _time(at: UnixTime) -> str:
    second, thousandths = divmod(round(at * 1000), 1000)
    return f"{_second(second)}.{thousandths:03d}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
