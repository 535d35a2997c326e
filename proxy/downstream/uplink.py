"""How does a worker ask its parent, who then asks all workers?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

Answering = Callable[[bytes], Awaitable[bytes]]


class Uplink:
    """A worker's end: one question after the other."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._asking = asyncio.Lock()

    async def ask(self, question: bytes) -> bytes:
        """Return what the parent answers; OSError where it is gone."""
        async with self._asking:
            if self._ends is None:
                self._ends = await asyncio.open_connection(sock=self._channel)
            reader, writer = self._ends
            writer.write(b"%d\n%b" % (len(question), question))
            try:
                return await reader.readexactly(int(await reader.readline()))
            except (ValueError, asyncio.IncompleteReadError) as error:
                raise ConnectionResetError("the parent is gone") from error

    def close(self) -> None:
        """Let go of it."""
        if self._ends is None:
            self._channel.close()
        else:
            self._ends[1].close()


async def answer_questions(channel: socket.socket, answering: Answering) -> None:
    """Be the parent's end until the worker is gone."""
    reader, writer = await asyncio.open_connection(sock=channel)
    try:
        with suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                answer = await answering(await reader.readexactly(int(line)))
                writer.write(b"%d\n%b" % (len(answer), answer))
                await writer.drain()
    finally:
        writer.close()
