"""How fast does a large body pass that is not stored, and how much memory does that take?"""

import random
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.load.processes import Running
from tests.bench.load.rounds import NGINX, Bench, Figure, Measurement
from tests.bench.load.traffic import FILM, FILM_BYTES, request_bytes, visitor_fields
from tests.bench.load.wrk import LoadError

STREAM = "stream"
SERVERS = NGINX
MEGABYTES = "MB/s"
GROWTH = "memory growth, MiB"
BLOCK = 1_000_000
SAMPLE_EVERY = 0.05


def measure(bench: Bench) -> Iterator[Measurement]:
    """Send the body through each server in turn, once with a look at every byte of it."""
    block = random.Random(1).randbytes(BLOCK)
    write_film(bench.folder / "origin" / "film", block)
    return bench.in_turn(STREAM, partial(fetch, expected=block), partial(_round, bench))


def _round(bench: Bench, server: Running, number: int) -> Iterator[Figure]:
    asked, before = bench.asked.so_far(), server.memory_bytes()
    with Highest(server) as highest:
        took = fetch(server, None)
    growth = (highest.bytes - before) / 2**20
    if bench.asked.so_far() != asked + 1:
        raise LoadError("the body did not come from the origin")
    bench.say(f"{STREAM:12} {number}  {server.name:19} {FILM_BYTES / took / 1e6:10,.0f} MB/s  {growth:+.1f} MiB")
    yield Figure(STREAM, server.name, number, MEGABYTES, FILM_BYTES / took / 1e6)
    yield Figure(STREAM, server.name, number, GROWTH, growth)


def write_film(to: Path, block: bytes) -> None:
    """Write the body of the origin: the block, over and over."""
    with to.open("wb") as file:
        for _ in range(FILM_BYTES // BLOCK):
            file.write(block)


def fetch(server: Running, expected: bytes | None) -> float:
    """Fetch the body and return how many seconds it took; with `expected` every block is compared with it.

    Without, the kernel throws the bytes away: the client must not be what is measured.
    """
    fields = visitor_fields(0, f"127.0.0.1:{server.port}")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        began = time.perf_counter()
        client.sendall(request_bytes(FILM, fields))
        data = b""
        while b"\r\n\r\n" not in data:
            data += client.recv(4096)
        head, _, data = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 ") or f"content-length: {FILM_BYTES}" not in head.decode().lower():
            raise LoadError(f"an answer that begins with {head[:200]!r}")
        _read(client, data, expected)
        return time.perf_counter() - began


def _read(client: socket.socket, data: bytes, expected: bytes | None) -> None:
    buffer, at = bytearray(BLOCK), len(data)
    buffer[:at] = data
    left = FILM_BYTES - at
    view = memoryview(buffer)
    while left:
        if expected is None:
            got = client.recv_into(view, min(left, BLOCK), socket.MSG_TRUNC)
        else:
            got = client.recv_into(view[at:], BLOCK - at)
            at += got
        if not got:
            raise LoadError(f"the body ended {left} bytes too early")
        left -= got
        if at == BLOCK and expected is not None:
            at = 0
            if buffer != expected:
                raise LoadError("a block of the body is not the origin's")


class Highest:
    """The most memory that a server had while this was open, looked at now and then."""

    def __init__(self, server: Running) -> None:
        self.bytes = 0
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Highest":
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look once more and end."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        over = False
        while not over:
            over = self._ended.wait(SAMPLE_EVERY)
            self.bytes = max(self.bytes, self._server.memory_bytes())
