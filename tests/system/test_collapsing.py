"""Do 1,000 clients on one cold, slow URL cost the origin one request, over real sockets?"""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest
import uvloop

from proxy.config.model import Config, UpstreamConfig
from proxy.downstream.listeners import close_listeners, open_listeners
from proxy.worker import Worker
from tests.system.processes import PATIENCE

CROWD = 1000
HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 40000\r\n\r\n"
BODY = bytes(range(250)) * 160
HALF = len(BODY) // 2
REQUEST = b"GET /cold HTTP/1.1\r\nHost: site.test\r\n\r\n"


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    """Both ends of each connection are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CROWD
    if soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass
class Origin:
    """An origin that answers when it is told to: first the head with half of the body, then the rest."""

    requests: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_begin: asyncio.Event = field(default_factory=asyncio.Event)
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.requests += 1
            self.asked.set()
            await self.may_begin.wait()
            writer.write(HEAD + BODY[:HALF])
            await self.may_finish.wait()
            writer.write(BODY[HALF:])
        writer.close()


class Visitor:
    """One client on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def arrive(cls, port: int) -> Visitor:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def ask(self) -> None:
        """Send the request."""
        self._writer.write(REQUEST)

    async def head(self) -> bytes:
        return await self._reader.readuntil(b"\r\n\r\n")

    async def body(self, size: int = len(BODY)) -> bytes:
        return await self._reader.readexactly(size)

    async def response(self) -> tuple[bytes, bytes]:
        return await self.head(), await self.body()

    def kill(self) -> None:
        """Be gone with a reset: a mere end of the stream could be a client that still reads."""
        at_once = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self._writer.transport.abort()

    def leave(self) -> None:
        self._writer.close()


@dataclass
class Stage:
    """The proxy of a test, with the origin behind it."""

    origin: Origin
    upstream: UpstreamConfig
    worker: Worker
    port: int

    async def crowd(self, size: int) -> list[Visitor]:
        """Let so many clients send their requests, and return when the proxy is at work on every one."""
        before = len(self.worker.driver.tasks)
        visitors: list[Visitor] = []
        while len(visitors) < size:
            # No more at a time than the queue of a listener holds, whatever its length.
            some = min(50, size - len(visitors))
            connected = self.connected + some
            visitors += await asyncio.gather(*[Visitor.arrive(self.port) for _ in range(some)])
            await self.until(lambda connected=connected: self.connected == connected)  # type: ignore[misc]
        for visitor in visitors:
            visitor.ask()
        await self.until(lambda: len(self.worker.driver.tasks) == before + size)
        return visitors

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when something has come about in this process; each turn of the loop may bring it."""
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)

    @property
    def connected(self) -> int:
        return len(self.worker.sources.clients)


def on_stage(play: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a test on the loop that the proxy runs on in earnest."""

    async def run() -> None:
        origin = Origin()
        behind = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
        upstream = UpstreamConfig(f"http://127.0.0.1:{behind.sockets[0].getsockname()[1]}")
        listeners = open_listeners(["127.0.0.1:0"])
        worker = Worker(Config(upstream))
        await worker.server.start(listeners)
        try:
            async with asyncio.timeout(PATIENCE):
                await play(Stage(origin, upstream, worker, listeners[0].getsockname()[1]))
        finally:
            await worker.server.drain(within=PATIENCE)  # type: ignore[arg-type]
            worker.close()
            close_listeners(listeners)
            behind.close()
            await behind.wait_closed()

    uvloop.run(run())


async def check(stage: Stage, visitors: list[Visitor]) -> None:
    """Every one gets the whole answer; the origin was asked once, and is not asked again."""
    answers = await asyncio.gather(*[visitor.response() for visitor in visitors])
    assert {body for _, body in answers} == {BODY}
    assert stage.origin.requests == 1
    late = await Visitor.arrive(stage.port)
    late.ask()
    head, body = await late.response()
    assert b"sitecache; hit;" in head
    assert body == BODY
    assert stage.origin.requests == 1
    for visitor in [*visitors, late]:
        visitor.leave()


def test_a_thousand_clients_are_one_request() -> None:
    async def play(stage: Stage) -> None:
        visitors = await stage.crowd(CROWD)
        stage.origin.may_begin.set()
        stage.origin.may_finish.set()
        await check(stage, visitors)
        assert stage.worker.sources.counters.collapsed == CROWD - 1

    on_stage(play)


@pytest.mark.parametrize("is_reset", [pytest.param(True, id="reset"), pytest.param(False, id="ended")])
def test_the_client_that_leads_is_killed_before_the_answer(is_reset: bool) -> None:
    async def play(stage: Stage) -> None:
        [leader] = await stage.crowd(1)
        await stage.origin.asked.wait()
        visitors = await stage.crowd(CROWD - 1)
        if is_reset:
            leader.kill()
            await stage.until(lambda: stage.connected == CROWD - 1)
        else:
            leader.leave()
        stage.origin.may_begin.set()
        stage.origin.may_finish.set()
        await check(stage, visitors)

    on_stage(play)


def test_the_client_that_leads_is_killed_in_the_middle_of_the_answer() -> None:
    async def play(stage: Stage) -> None:
        [leader] = await stage.crowd(1)
        await stage.origin.asked.wait()
        visitors = await stage.crowd(CROWD - 1)
        stage.origin.may_begin.set()
        await leader.head()
        assert await leader.body(HALF) == BODY[:HALF]
        leader.kill()
        await stage.until(lambda: stage.connected == CROWD - 1)
        stage.origin.may_finish.set()
        await check(stage, visitors)

    on_stage(play)


def test_an_origin_that_is_lost_in_the_middle_cuts_everybody_short() -> None:
    async def play(stage: Stage) -> None:
        visitors = await stage.crowd(50)
        stage.origin.may_begin.set()
        for visitor in visitors:
            await visitor.head()
            await visitor.body(HALF)
        for connection in list(stage.worker.origins.of(stage.upstream).pool._all):
            connection._transport.abort()
        for visitor in visitors:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await visitor.body(1)
            visitor.leave()
        assert stage.origin.requests == 1
        stage.origin.may_finish.set()
        again = await Visitor.arrive(stage.port)
        again.ask()
        assert (await again.response())[1] == BODY
        assert stage.origin.requests == 2
        again.leave()

    on_stage(play)
