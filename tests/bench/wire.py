"""What does an exchange cost without sockets? Bytes go into a connection with a transport that only counts.

``python -m tests.bench.wire [hits|conditional|ranges|forward|cold]`` prints microseconds an exchange: the part of
the work that is Python. ``tests.bench.instructions`` counts instructions instead, which other load does not disturb.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable

import uvloop

from proxy.config.model import Config, Limits, UpstreamConfig, UpstreamTimeouts
from proxy.deadlines import NEVER, Deadlines
from proxy.departures import Departures
from proxy.message.grammar import format_date
from proxy.upstream.connection import UpstreamConnection
from proxy.worker import Worker

LOADS = ("hits", "conditional", "ranges", "forward", "cold")
#: Those that are hit in turn.
URLS = 2000
BATCH = 500
BODY_BYTES = 4096
REQUEST = (
    b"GET /page/%d?x=1 HTTP/1.1\r\nHost: example.test\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: http://example.test/\r\n"
    b"DNT: 1\r\nConnection: keep-alive\r\nCookie: _ga=GA1.2.3; _gid=GA1.2.4\r\nUpgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)
#: What is answered from what is stored: the field that the request has besides, and the size of each answer at least.
STORED = {
    "hits": (b"", BODY_BYTES),
    # A browser that has the page.
    "conditional": (b'If-None-Match: "abc"\r\n', 0),
    # A quarter of the page.
    "ranges": (b"Range: bytes=1024-2047\r\n", BODY_BYTES // 4),
}
#: Bytes that the head of an answer has at most.
_HEAD = 768
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: %b\r\nContent-Type: text/html\r\n"
    b'Content-Length: 4096\r\nCache-Control: %b\r\nETag: "abc"\r\nLast-Modified: Sat, 21 Nov 2026 00:00:00 GMT\r\n'
    b"Connection: keep-alive\r\n\r\n"
) + b"x" * BODY_BYTES


class Transport(asyncio.Transport):
    """Takes everything, counts it, and tells who listens that something was written."""

    def __init__(self, written: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.bytes = 0
        self.writes = 0
        self._written = written

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.bytes += len(data)
        self.writes += 1
        self._written()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 50000) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class InstantPool:
    """Gives connections whose origin answers each request in the next turn of the loop."""

    def __init__(self, deadlines: Deadlines, departures: Departures, response: bytes) -> None:
        self._deadlines = deadlines
        self._departures = departures
        self._response = response
        self._idle: list[UpstreamConnection] = []

    def take(self) -> UpstreamConnection | None:
        return self._idle.pop() if self._idle else None

    @property
    def idle(self) -> int:
        return len(self._idle)

    def close(self) -> None:
        """Nothing is open."""

    async def open(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        connection = UpstreamConnection(
            self._deadlines, self._departures, UpstreamTimeouts(), self._idle.append, lambda lost: None
        )
        connection.connection_made(Transport(lambda: loop.call_soon(connection.data_received, self._response) and None))
        return connection


def worker_for(load: str) -> Worker:
    """Build a worker whose origin suits the load."""
    upstream = UpstreamConfig(url="http://127.0.0.1:1")
    worker = Worker(Config(upstream=upstream, limits=Limits()))
    said = b"no-store" if load == "forward" else b"max-age=3600"
    # A page that is hours old is not fresh: bytes piling up behind a request to the origin would be measured.
    date = format_date(time.time())  # noqa: TID251  a benchmark has no other
    worker.origins.of(upstream).pool = InstantPool(worker.deadlines, worker.departures, RESPONSE % (date, said))  # type: ignore[assignment]
    return worker


class Wire:
    """A connection of a client to a worker, and exchanges of one load on it."""

    def __init__(self, load: str, urls: int = URLS) -> None:
        self.load = load
        self._urls = urls
        self.worker = worker_for(load)
        self._written = asyncio.Event()
        self._client = self.worker.server._connection()
        self._transport = Transport(self._written.set)
        self._client.connection_made(self._transport)
        self._client.deadline = NEVER
        self._number = 0

    async def prepare(self) -> None:
        """Have everything stored that is to be hit."""
        for url in range(self._urls if self.load in STORED else min(self._urls, BATCH)):
            await self._exchange(url)

    async def run(self, count: int) -> None:
        """Make so many exchanges; RuntimeError where one is not what the load claims."""
        if self.load in STORED:
            await self._hit(count)
            return
        for _ in range(count):
            self._number += 1
            await self._exchange(self._urls + self._number if self.load == "cold" else 1)

    async def _hit(self, count: int) -> None:
        field, least = STORED[self.load]
        request = REQUEST[: -len(b"\r\n")] + field + b"\r\n"
        before, received = self._transport.writes, self._transport.bytes
        for url in range(count):
            self._client.data_received(request % (url * 7 % self._urls))
        # What was written in this turn leaves at its end.
        await asyncio.sleep(0)
        if self._transport.writes - before != count:
            raise RuntimeError("not every request was answered from what is stored")
        if not least * count < self._transport.bytes - received < (least + _HEAD) * count:
            raise RuntimeError("the answers are not of the kind that was asked for")

    async def _exchange(self, url: int) -> None:
        self._written.clear()
        self._client.data_received(REQUEST % url)
        await self._written.wait()

    def close(self) -> None:
        """End the worker."""
        self.worker.close()


async def measure(load: str, rounds: int) -> float:
    """Return the least microseconds an exchange took, of some rounds of 500."""
    wire = Wire(load)
    await wire.prepare()
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        await wire.run(BATCH)
        best = min(best, (time.perf_counter() - began) / BATCH)
    wire.close()
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loads", nargs="*", default=LOADS)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    for load in options.loads:
        took = uvloop.run(measure(load, options.rounds))
        print(f"{load:12} {took:8.2f} us")


if __name__ == "__main__":
    main()
