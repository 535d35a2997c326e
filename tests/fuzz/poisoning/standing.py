"""Proxies before the two applications: one in this process, of which every byte is ours, and a real one on sockets."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import yaml

from proxy.config.load import load
from proxy.config.model import UpstreamTimeouts
from proxy.upstream.connection import UpstreamConnection
from proxy.worker import Worker
from tests.bench.wire import Transport
from tests.fuzz.poisoning.applications import APPLICATIONS, Application, Sight, parse
from tests.system.processes import Process

LETTER = Path(__file__).parents[3] / "config" / "rfc9111.yaml"
WORLDS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # The attacker stands behind a proxy that the operator trusts, and that passes on what he says.
    "trusted": {"trusted_proxies": ["127.0.0.1"]},
    "letter": yaml.safe_load(LETTER.read_text()),
    "routed": {"routes": [{"match": ["/secret", "/secret/*"], "bypass": True}]},
}
SIGHTS: Mapping[str, Sight] = {
    # What it says of clients differs with each, and is in no key.
    "trusted": Sight(clients=False),
    # The RFC knows no field that says who asks but Authorization.
    "letter": Sight(identities=False, analytics=False),
}
_TURNS = 60
"""Of the loop, after which nothing moves any more."""


@dataclass(frozen=True)
class Answered:
    """What a client got; without a status, nothing."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""

    @property
    def is_hit(self) -> bool:
        return b"; hit" in self.cache_status

    @property
    def cache_status(self) -> bytes:
        found = re.search(rb"\r\ncache-status: *([^\r]*)", self.head, re.IGNORECASE)
        return b"" if found is None else found[1]

    @property
    def page(self) -> tuple[int, bytes]:
        return self.status, self.body


class Standing(Protocol):
    """A proxy that can be asked."""

    async def ask(self, raw: bytes) -> Answered:
        """Ask on a new connection."""

    async def close(self) -> None:
        """End it."""


def read(sent: bytes, method: str) -> Answered | None:
    """Read one response; None while it is not whole."""
    while True:
        head, found, rest = sent.partition(b"\r\n\r\n")
        if not found:
            return None
        status = int(head.split(b" ", 2)[1])
        if status >= 200 or status == 101:
            break
        sent = rest
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if method == "HEAD" or status in (204, 304):
        return Answered(status, head)
    if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        return Answered(status, head, rest) if rest.endswith(b"0\r\n\r\n") else None
    if length is None or len(rest) >= int(length[1]):
        return Answered(status, head, rest)
    return None


def method_of(raw: bytes) -> str:
    return raw.split(b" ", 1)[0].decode("latin-1")


# In this process.


class _Site:
    """The origin's end of a connection: it answers each request when it is whole."""

    def __init__(self, application: Application, sight: Sight) -> None:
        self._application = application
        self._sight = sight
        self._buffer = b""

    def take(self, data: bytes) -> bytes:
        """Return what is answered to these bytes."""
        self._buffer += data
        answers = b""
        while (cut := _cut(self._buffer)) is not None:
            head, body, self._buffer = cut
            raw = parse(head, body)
            answers += self._application(raw, self._sight).bytes_for(raw.method)
        return answers


def _cut(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Cut the first request off; None while it is not whole."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        content = b""
        while True:
            line, found, rest = rest.partition(b"\r\n")
            size = int(line or b"0", 16) if found else 0
            if not found or len(rest) < size + 2:
                return None
            if size == 0:
                return head, content, rest[2:]
            content, rest = content + rest[:size], rest[size + 2 :]
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    size = int(length[1]) if length else 0
    return (head, rest[:size], rest[size:]) if len(rest) >= size else None


class _Connected(Transport):
    """The proxy's end of a connection to a site."""

    def __init__(self, site: _Site) -> None:
        super().__init__()
        self._site = site
        self.connection: UpstreamConnection | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        answers = self._site.take(bytes(data))
        if answers and self.connection is not None:
            asyncio.get_running_loop().call_soon(self.connection.data_received, answers)

    def close(self) -> None:
        pass

    abort = close


class _Pool:
    """Gives connections to a site in this process."""

    def __init__(self, worker: Worker, application: Application, sight: Sight) -> None:
        self._worker = worker
        self._made = lambda: _Site(application, sight)
        self._idle: list[UpstreamConnection] = []

    def take(self) -> UpstreamConnection | None:
        return self._idle.pop() if self._idle else None

    @property
    def idle(self) -> int:
        return len(self._idle)

    def close(self) -> None:
        """Nothing is open."""

    async def open(self) -> UpstreamConnection:
        worker, transport = self._worker, _Connected(self._made())
        connection = UpstreamConnection(
            worker.deadlines, worker.departures, UpstreamTimeouts(), self._idle.append, lambda lost: None
        )
        transport.connection = connection
        connection.connection_made(transport)
        return connection


class _Client(Transport):
    """The client's end."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.closed


class InProcess:
    """A worker whose sockets are only bytes."""

    def __init__(self, world: str, application: str) -> None:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "site.yaml"
            file.write_text(yaml.safe_dump({**WORLDS[world], "upstream": "http://127.0.0.1:1"}))
            config = load(file, {}, {}).config
        self._worker = Worker(config)
        pool = _Pool(self._worker, APPLICATIONS[application], SIGHTS.get(world, Sight()))
        self._worker.origins.of(config.upstream).pool = pool  # type: ignore[arg-type,assignment]

    async def ask(self, raw: bytes) -> Answered:
        """Ask, until nothing moves any more."""
        client, connection = _Client(), self._worker.server._connection()
        connection.connection_made(client)
        connection.data_received(raw)
        answered = None
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            answered = read(bytes(client.sent), method_of(raw))
            if answered is not None:
                break
        client.closed = True
        connection.connection_lost(None)
        return answered or Answered()

    async def close(self) -> None:
        self._worker.close()


# On sockets.


class Served:
    """An application on a socket, and ``sitecache serve`` before it."""

    def __init__(self, server: asyncio.Server, process: Process, port: int, folder: TemporaryDirectory[str]) -> None:
        self._server = server
        self._process = process
        self._port = port
        self._folder = folder

    @classmethod
    async def start(cls, world: str, application: str) -> Served:
        """Start both on ports that the kernel chooses, on loopback."""
        made, sight = APPLICATIONS[application], SIGHTS.get(world, Sight())
        server = await asyncio.start_server(lambda r, w: _serve(_Site(made, sight), r, w), "127.0.0.1", 0)
        origin = server.sockets[0].getsockname()[1]
        folder = TemporaryDirectory()
        file = Path(folder.name) / "site.yaml"
        settings = {"upstream": f"http://127.0.0.1:{origin}", "listen": "127.0.0.1:0", "admin": "off"}
        file.write_text(yaml.safe_dump({**WORLDS[world], **settings}))
        process = Process("proxy", [sys.executable, "-m", "proxy", "serve", "--config", str(file)])
        await asyncio.to_thread(process.wait_for, r"^sitecache: ready")
        matched = await asyncio.to_thread(process.wait_for, r"^sitecache: listening on 127\.0\.0\.1:(\d+)$")
        return cls(server, process, int(matched[1]), folder)

    async def ask(self, raw: bytes) -> Answered:
        """Ask on a new connection; what takes a second has no answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        sent, answered = b"", None
        with suppress(OSError, TimeoutError):
            writer.write(raw)
            async with asyncio.timeout(1):
                while answered is None and (more := await reader.read(65536)):
                    sent += more
                    answered = read(sent, method_of(raw))
        writer.close()
        return answered or Answered()

    async def close(self) -> None:
        self._server.close()
        await asyncio.to_thread(self._process.stop)
        self._folder.cleanup()


async def _serve(site: _Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while more := await reader.read(65536):
            writer.write(site.take(more))
            await writer.drain()
    writer.close()


Start = Callable[[str, str], Any]


def monotonic() -> float:
    return time.monotonic()
