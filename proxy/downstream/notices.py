"""How does each worker learn at once what another has to say to all of them? The parent passes it on, unread.

Nothing waits for a notice, and none is said twice: what a worker has no room for is lost.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

LONGEST = 32 * 1024
"""Bytes of one notice."""
#: Notices taken at once; the loop has other things to do, too.
_AT_ONCE = 100


class Notices:
    """A worker's end."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Call this with each notice of another worker."""
        asyncio.get_running_loop().add_reader(self._channel, self._take, heard)

    def say(self, notice: bytes) -> None:
        """Let the other workers know, as far as that can be done now."""
        with suppress(OSError):
            self._channel.send(notice)

    def close(self) -> None:
        """Let go of it."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()

    def _take(self, heard: Callable[[bytes], None]) -> None:
        for _ in range(_AT_ONCE):
            notice = _received(self._channel)
            if notice is None:
                return
            if not notice:
                # The parent is gone.
                asyncio.get_running_loop().remove_reader(self._channel)
                return
            heard(notice)


class Relay:
    """The parent's ends, one for each worker."""

    def __init__(self) -> None:
        self._channels: dict[int, socket.socket] = {}

    def join(self, number: int) -> socket.socket:
        """Return the end for the worker that fills this place from now on."""
        self._leave(number)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._channels[number] = ours
        asyncio.get_running_loop().add_reader(ours, self._pass_on, number)
        return theirs

    def close(self) -> None:
        """Let go of all of them."""
        for number in list(self._channels):
            self._leave(number)

    def _leave(self, number: int) -> None:
        channel = self._channels.pop(number, None)
        if channel is not None:
            asyncio.get_running_loop().remove_reader(channel)
            channel.close()

    def _pass_on(self, number: int) -> None:
        for _ in range(_AT_ONCE):
            notice = _received(self._channels[number])
            if notice is None:
                return
            if not notice:
                self._leave(number)
                return
            for other, channel in self._channels.items():
                if other != number:
                    with suppress(OSError):
                        channel.send(notice)


def _received(channel: socket.socket) -> bytes | None:
    """Return the next notice; None while there is none, and nothing where there will be no more."""
    try:
        return channel.recv(LONGEST)
    except BlockingIOError:
        return None
    except OSError:
        return b""
