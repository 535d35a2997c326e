"""What stands between a cache and its server in tests: a forwarder that can be cut, hold back, and count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.storage.servers import Server


class Forwarder:
    """A way to a server that goes on running while it is cut."""

    def __init__(self, server: Server) -> None:
        self._to = server.address
        self._ways: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.commands: list[bytes] = []
        """The first words of each piece that came from the cache."""

    async def open(self) -> asyncio.Server:
        self._listener = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        return self._listener

    @property
    def port(self) -> int:
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Close every connection, and each new one at once."""
        self._is_cut = True
        for way in self._ways:
            way.cancel()

    def restore(self) -> None:
        self._is_cut = False

    def hold(self) -> None:
        """Take what comes, and pass nothing on until it is released."""
        self._flows.clear()

    def release(self) -> None:
        self._flows.set()

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        opening = asyncio.open_unix_connection(self._to) if isinstance(self._to, str) else None
        there, back = await (opening or asyncio.open_connection(*self._to))
        for source, sink, counts in ((reader, back, True), (there, writer, False)):
            task = asyncio.create_task(self._pass_on(source, sink, counts))
            self._ways.add(task)
            task.add_done_callback(self._ways.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, counts: bool) -> None:
        try:
            while data := await source.read(65536):
                if counts:
                    self.commands.append(data.partition(b" ")[0])
                await self._flows.wait()
                sink.write(data)
        finally:
            with suppress(OSError):
                sink.close()


@asynccontextmanager
async def forwarding(server: Server) -> AsyncIterator[Forwarder]:
    forwarder = Forwarder(server)
    async with await forwarder.open():
        try:
            yield forwarder
        finally:
            forwarder.cut()
