"""Which connection to the origin carries the next request?"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any
from urllib.parse import urlsplit

from proxy.config.addresses import parse_origin
from proxy.config.model import UpstreamConfig
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.errors import UpstreamTimeout, UpstreamUnreachable
from proxy.upstream.connection import NO_DOUBT, SLIGHT_DOUBT, STRONG_DOUBT, UpstreamConnection

#: Seconds for which a connection is not used again behind a response without a body, by what may follow it.
_SETTLES = {NO_DOUBT: 0.25, SLIGHT_DOUBT: 0.1, STRONG_DOUBT: 0.25}
#: Seconds for which an origin is not trusted that has sent what belongs to no response.
_WARY = 600.0
#: Seconds between two lines of the log about what an origin sends.
_QUIET = 60.0

_log = logging.getLogger("sitecache")


class Pool:
    """Opens connections to one origin and keeps the clean ones for later requests."""

    def __init__(
        self, config: UpstreamConfig, deadlines: Deadlines, departures: Departures, clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._deadlines = deadlines
        self._departures = departures
        self._clock = clock
        self._idle: list[UpstreamConnection] = []
        self._settling: list[tuple[float, int, UpstreamConnection]] = []
        """Idle ones that may be used again only at a time: a heap, with a number for those of one time."""
        self._settled = 0
        self._wary_until = float("-inf")
        """Till then no connection is used again behind a response without a body."""
        self._slow_until = float("-inf")
        """Till then none is used again at once."""
        self._quiet_until = float("-inf")
        self._all: set[UpstreamConnection] = set()
        self._addresses: list[tuple[str, int]] = []
        self._resolved_at = float("-inf")
        self._connector = _connector(config)
        self.opened = 0
        """Connections made since the start."""
        self.keeps = True
        """Connections that have been used are kept for later requests."""

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._all)

    @property
    def idle(self) -> int:
        """Connections that wait for a request now."""
        return len(self._idle) + len(self._settling)

    def take(self) -> UpstreamConnection | None:
        """Return the idle connection that was used last, if there is one."""
        if self._settling:
            self._settle()
        while self._idle:
            connection = self._idle.pop()
            if connection.doubt and connection.is_idle and connection.has_unread:
                connection.strayed = True
                connection.close()
            elif connection.is_idle:
                return connection
        return None

    def _settle(self) -> None:
        """Let those be used again behind whose responses nothing has come."""
        now = asyncio.get_running_loop().time()
        while self._settling and self._settling[0][0] <= now:
            self._idle.append(heappop(self._settling)[2])

    async def open(self) -> UpstreamConnection:
        """Make a new connection; raise UpstreamUnreachable or UpstreamTimeout."""
        try:
            async with asyncio.timeout(self._config.timeouts.connect):
                connection = await self._connect()
        except TimeoutError as error:
            self._resolved_at = float("-inf")
            raise UpstreamTimeout("connecting took too long") from error
        except OSError as error:
            self._resolved_at = float("-inf")
            raise UpstreamUnreachable(str(error)) from error
        self.opened += 1
        if connection.is_idle:
            # One that has ended by now has been lost already.
            self._all.add(connection)
        return connection

    async def _connect(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        url = urlsplit(self._config.url)
        if url.scheme == "unix":
            _, connection = await loop.create_unix_connection(self._protocol, url.path)
            return connection
        failure: OSError = UpstreamNameError(f"no address for {url.hostname}")
        for address in await self._resolve(url.hostname or "", url.port or self._connector["port"]):
            try:
                _, connection = await loop.create_connection(self._protocol, *address, **self._connector["tls"])
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure

    async def _resolve(self, host: str, port: int) -> list[tuple[str, int]]:
        """Look the name up again when the last answer is old or did not lead anywhere."""
        if self._clock() - self._resolved_at >= self._config.resolve_every:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self._addresses = [(str(address[0]), int(address[1])) for *_, address in found]
            self._resolved_at = self._clock()
        return self._addresses

    def _protocol(self) -> UpstreamConnection:
        config = self._config
        return UpstreamConnection(
            self._deadlines, self._departures, config.timeouts, self._release, self._lose, config.limits
        )

    def _release(self, connection: UpstreamConnection) -> None:
        now = self._deadlines.now
        doubt = connection.doubt
        if not self.keeps or self.idle >= self._config.max_idle or (doubt and self._wary_until > now):
            connection.close()
            return
        connection.rest(now + self._config.timeouts.idle)
        if doubt or self._slow_until > now:
            self._settled += 1
            heappush(self._settling, (asyncio.get_running_loop().time() + _SETTLES[doubt], self._settled, connection))
        else:
            self._idle.append(connection)

    def _lose(self, connection: UpstreamConnection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        elif self._settling:
            self._settling = [settling for settling in self._settling if settling[2] is not connection]
            heapify(self._settling)
        if connection.strayed:
            self._beware(connection)
        elif connection.fault is not None:
            self._complain(str(connection.fault))

    def _beware(self, connection: UpstreamConnection) -> None:
        """Learn from bytes that belong to no response: the next may look like one, and come when one is waited for."""
        self._wary_until = self._deadlines.now + _WARY
        if not connection.doubt:
            self._slow_until = self._wary_until
        self._complain("bytes that belong to no response; its connections are used again with care for ten minutes")

    def _complain(self, what: str) -> None:
        now = self._deadlines.now
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            _log.warning("%s sends what is not HTTP: %s", parse_origin(self._config.url).address, what)

    def close(self) -> None:
        """Close what is idle; what is in use is closed by those who use it."""
        for connection in (*self._idle, *(settling for _, _, settling in self._settling)):
            connection.close()
        self._idle.clear()
        self._settling.clear()


class UpstreamNameError(OSError):
    """The origin's name has no address."""


def _connector(config: UpstreamConfig) -> dict[str, Any]:
    url = urlsplit(config.url)
    if url.scheme != "https":
        return {"port": 80, "tls": {}}
    context = ssl.create_default_context(cafile=config.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return {"port": 443, "tls": {"ssl": context, "server_hostname": url.hostname}}
