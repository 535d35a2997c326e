"""What does an exchange cost without sockets? Bytes go into a connection with a transport that only counts.

``python -m tests.bench.wire [hits|forward|cold]`` prints microseconds an exchange: the part of the work that is Python.
Under ``valgrind --tool=callgrind`` with ``--rounds`` it gives instruction counts, which other load does not disturb.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable

import uvloop

from proxy.config.model import Config, Limits, UpstreamConfig, UpstreamTimeouts
from proxy.deadlines import NEVER, Deadlines
from proxy.message.grammar import format_date
from proxy.upstream.connection import UpstreamConnection
from proxy.worker import Worker

URLS = 2000
BATCH = 500
REQUEST = (
    b"GET /page/%d?x=1 HTTP/1.1\r\nHost: example.test\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: http://example.test/\r\n"
    b"DNT: 1\r\nConnection: keep-alive\r\nCookie: _ga=GA1.2.3; _gid=GA1.2.4\r\nUpgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: %b\r\nContent-Type: text/html\r\n"
    b'Content-Length: 4096\r\nCache-Control: %b\r\nETag: "abc"\r\nLast-Modified: Sat, 21 Nov 2026 00:00:00 GMT\r\n'
    b"Connection: keep-alive\r\n\r\n"
) + b"x" * 4096


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

    def __init__(self, deadlines: Deadlines, response: bytes) -> None:
        self._deadlines = deadlines
        self._response = response
        self._idle: list[UpstreamConnection] = []

    def take(self) -> UpstreamConnection | None:
        return self._idle.pop() if self._idle else None

    def close(self) -> None:
        """Nothing is open."""

    async def open(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        connection = UpstreamConnection(self._deadlines, UpstreamTimeouts(), self._idle.append, lambda lost: None)
        connection.connection_made(Transport(lambda: loop.call_soon(connection.data_received, self._response) and None))
        return connection


def worker_for(load: str) -> Worker:
    """Build a worker whose origin suits the load."""
    upstream = UpstreamConfig(url="http://127.0.0.1:1")
    worker = Worker(Config(upstream=upstream, limits=Limits()))
    said = b"no-store" if load == "forward" else b"max-age=3600"
    # A page that is hours old is not fresh: bytes piling up behind a request to the origin would be measured.
    date = format_date(time.time())  # noqa: TID251  a benchmark has no other
    worker.origins.of(upstream).pool = InstantPool(worker.deadlines, RESPONSE % (date, said))  # type: ignore[assignment]
    return worker


async def measure(load: str, rounds: int) -> float:
    """Return the least microseconds an exchange took, of some rounds of 500."""
    worker = worker_for(load)
    written = asyncio.Event()
    client = worker.server._connection()
    transport = Transport(written.set)
    client.connection_made(transport)
    client.deadline = NEVER
    number = 0

    async def exchange(url: int) -> None:
        written.clear()
        client.data_received(REQUEST % url)
        await written.wait()

    for url in range(URLS if load == "hits" else BATCH):
        await exchange(url)
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        if load == "hits":
            expected = transport.writes + BATCH
            for url in range(BATCH):
                client.data_received(REQUEST % (url * 7 % URLS))
            if transport.writes != expected:
                raise RuntimeError("not every request was answered from what is stored")
        else:
            for _ in range(BATCH):
                number += 1
                await exchange(URLS + number if load == "cold" else 1)
        best = min(best, (time.perf_counter() - began) / BATCH)
    worker.close()
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loads", nargs="*", default=["hits", "forward", "cold"])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    for load in options.loads:
        took = uvloop.run(measure(load, options.rounds))
        print(f"{load:8} {took:8.2f} us")


if __name__ == "__main__":
    main()
