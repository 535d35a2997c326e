"""How does serving begin, and how does it end?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from proxy.config.units import Seconds
from proxy.downstream.connection import Connection, Serving
from proxy.downstream.listeners import BACKLOG


class Server:
    """Takes clients in on the listeners until it is told to drain."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._accepting: list[asyncio.Server] = []
        self.draining = False

    async def start(self, listeners: Sequence[socket.socket]) -> None:
        """Accept clients on sockets that are already listening; the caller's stay open when the server stops."""
        for listener in listeners:
            self._accepting.append(await self._accept(listener.dup()))

    async def _accept(self, listener: socket.socket) -> asyncio.Server:
        # The loop calls ``listen`` once more, and would leave room for a hundred clients only.
        loop = asyncio.get_running_loop()
        if listener.family == socket.AF_UNIX:
            return await loop.create_unix_server(self._connection, sock=listener, backlog=BACKLOG)
        return await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)

    def _connection(self) -> Connection:
        return Connection(self._serving)

    def adopt(self, serving: Serving) -> None:
        """Serve by this from now on, also those who are connected; their next requests are the first to go by it."""
        self._serving = serving
        for connection in serving.clients.connected:
            connection.adopt(serving)

    async def drain(self, within: Seconds) -> bool:
        """Accept nobody more and let what runs finish; cut off what has not by then, and tell whether all had."""
        self.draining = True
        for server in self._accepting:
            server.close()
        clients = self._serving.clients
        for connection in list(clients.connected):
            connection.stop()
        try:
            async with asyncio.timeout(within):
                await clients.emptied()
        except TimeoutError:
            for connection in list(clients.connected):
                connection.kill()
            return False
        return True
