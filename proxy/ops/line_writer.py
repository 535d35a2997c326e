"""How do lines leave the process without anybody waiting for whoever reads them?"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator
from queue import Full, Queue
from select import PIPE_BUF
from threading import Thread

from proxy.config.units import Seconds

_WAITING = 16
_PATIENCE_MS = 1000
_LAST_WORDS = Seconds(1)


class LineWriter:
    """Writes whole lines to a file descriptor from a thread of its own.

    A pipe to a reader that has stopped blocks whoever writes to it, and making it non-blocking would do so for all that
    share it. To be made in the process that writes, not before a fork.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: Queue[bytes | None] = Queue(_WAITING)
        self._closed = False
        self.lost = 0
        """Lines that could not be written after they had been taken."""
        self._thread = Thread(target=self._run, name="sitecache-log", daemon=True)
        self._thread.start()

    def __call__(self, text: str) -> None:
        """Take lines to be written; BlockingIOError when too much waits already, BrokenPipeError after ``close``."""
        if self._closed:
            raise BrokenPipeError(errno.EPIPE, "closed")
        try:
            self._waiting.put_nowait(text.encode("utf-8", "backslashreplace"))
        except Full:
            raise BlockingIOError(errno.EAGAIN, "nobody reads the log") from None

    def close(self, within: Seconds = _LAST_WORDS) -> None:
        """Write what waits, unless it takes longer than this."""
        self._closed = True
        try:
            self._waiting.put(None, timeout=within)
        except Full:
            return
        self._thread.join(within)

    def _run(self) -> None:
        for data in iter(self._waiting.get, None):
            for piece in pieces(data):
                try:
                    self._write(piece)
                except OSError:
                    self.lost += piece.count(b"\n")

    def _write(self, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(self._fd, piece) :]
            except BlockingIOError:
                # Somebody else who has the file open made it non-blocking.
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                if not poll.poll(_PATIENCE_MS):
                    raise


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut into whole lines of together at most PIPE_BUF, which several workers can write to one pipe unmixed."""
    begin = 0
    while len(data) - begin > PIPE_BUF:
        end = data.rfind(b"\n", begin, begin + PIPE_BUF) + 1 or data.find(b"\n", begin) + 1 or len(data)
        yield data[begin:end]
        begin = end
    if begin < len(data):
        yield data[begin:]
