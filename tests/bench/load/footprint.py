"""How much memory does a stored response take, and how much a connection on which nothing happens?"""

import resource
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tests.bench.load import traffic
from tests.bench.load.checks import STORED, check_pages
from tests.bench.load.processes import Running
from tests.bench.load.rounds import Bench, Figure, Measurement
from tests.bench.load.servers import SHARED, Place, Server, configured, keeping_in, own_version, shared
from tests.bench.load.wrk import LoadError

MEMORY = "memory"
RESPONSES = 100_000
OF_BYTES = "memory / bytes stored"
EACH_RESPONSE = "bytes a response"
IDLE = "idle"
CONNECTIONS = 10_000
EACH_CONNECTION = "KiB a connection"
#: Of the bench itself, for logs and the like.
OTHER_FILES = 200
#: So many connections ask for pages at the same time.
AT_ONCE = 32
ROOM_MEGABYTES = 1024
PAGE = f"{traffic.STORED}{0:010d}"


def _roomy(_: Place) -> dict[str, object]:
    return {"BACKEND": "locmem", "OPTIONS": {"MAX_ENTRIES": None, "MAX_BYTES": f"{ROOM_MEGABYTES}MiB"}}


def _two_workers(place: Place) -> dict[str, object]:
    return {"workers": 2, "CACHES": {"default": shared(place, ROOM_MEGABYTES)}}


MEMORY_SERVERS = {
    "sitecache": Server(keeping_in(_roomy), own_version),
    "sitecache-shared": Server(configured(_two_workers), own_version, module=SHARED),
}
IDLE_SERVERS = {
    "sitecache": Server(configured(lambda _: {"limits": {"connections": 2 * CONNECTIONS}}), own_version),
}


class Asking:
    """Several connections to a server that ask for pages of one size."""

    def __init__(self, server: Running, connections: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(connections)]
        host = f"127.0.0.1:{server.port}"
        self._visitors = [traffic.visitor_fields(number, host) for number in range(connections)]

    def ask(self, paths: list[str]) -> int:
        """Ask for these, each on a connection of its own; returns the bytes of all answers."""
        used = self._sockets[: len(paths)]
        for number, (client, path) in enumerate(zip(used, paths, strict=True)):
            client.sendall(traffic.request_bytes(path, self._visitors[number]))
        return sum(self._answer(client, path) for client, path in zip(used, paths, strict=True))

    def _answer(self, client: socket.socket, path: str) -> int:
        data = client.recv(65536)
        while (head := data.find(b"\r\n\r\n") + 4) < 4 or len(data) < head + traffic.PAGE_BYTES:
            more = client.recv(65536)
            if not more:
                raise LoadError(f"the connection for {path} was closed")
            data += more
        if data[head:] != traffic.page(path):
            raise LoadError(f"{path} was answered wrongly: {data[:200]!r}")
        return len(data)

    def close(self) -> None:
        """Close the connections."""
        for client in self._sockets:
            client.close()


def memory(bench: Bench) -> Iterator[Measurement]:
    """Have each server store pages, and compare what its memory grew by with what the origin sent."""
    return replace(bench, rounds=1).in_turn(MEMORY, _warm_up, partial(_store, bench))


def _warm_up(server: Running) -> None:
    asking = Asking(server, AT_ONCE)
    asking.ask([PAGE])
    for number in range(20):
        asking.ask([f"{traffic.UNCACHEABLE}{number * AT_ONCE + one:010d}" for one in range(AT_ONCE)])
        asking.ask([PAGE] * AT_ONCE)
    asking.close()


def _store(bench: Bench, server: Running, number: int) -> Iterator[Figure]:
    asking = Asking(server, AT_ONCE)
    before, asked = server.memory_bytes(), bench.asked.so_far()
    paths = [f"{traffic.COLD}{url:010d}" for url in range(RESPONSES)]
    for first in range(0, RESPONSES, AT_ONCE):
        asking.ask(paths[first : first + AT_ONCE])
    if bench.asked.so_far() - asked != RESPONSES:
        raise LoadError("not every response came from the origin")
    asking.close()
    growth = server.memory_bytes() - before
    check_pages(server, paths[:: RESPONSES // 1_000], STORED)
    if bench.asked.so_far() - asked != RESPONSES:
        raise LoadError("not every response was stored")
    stored = RESPONSES * _origins_bytes(bench, paths[0])
    bench.say(f"{MEMORY:12}    {server.name:19} {growth / stored:10.2f} of the bytes stored")
    yield Figure(MEMORY, server.name, number, OF_BYTES, growth / stored)
    yield Figure(MEMORY, server.name, number, EACH_RESPONSE, growth / RESPONSES)


def _origins_bytes(bench: Bench, path: str) -> int:
    """Bytes of the origin's answer for a path, head and body."""
    asking = Asking(bench.origin, 1)
    answer = asking.ask([path])
    asking.close()
    return answer


def idle(bench: Bench) -> Iterator[Measurement]:
    """Open connections to each server, ask once on each, and leave them open."""
    return replace(bench, rounds=1).in_turn(IDLE, _warm_up, partial(_connect, bench))


def _connect(bench: Bench, server: Running, number: int) -> Iterator[Figure]:
    before = server.memory_bytes()
    opened = []
    for _ in range(CONNECTIONS // AT_ONCE):
        opened.append(Asking(server, AT_ONCE))
        opened[-1].ask([PAGE] * AT_ONCE)
    each = (server.memory_bytes() - before) / len(opened) / AT_ONCE / 1024
    for asking in opened:
        asking.close()
    bench.say(f"{IDLE:12}    {server.name:19} {each:10.2f} KiB a connection")
    yield Figure(IDLE, server.name, number, EACH_CONNECTION, each)


def allow_connections() -> str:
    """Allow this process and those that it starts the files for the idle connections; tells why not, if not."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + OTHER_FILES
    if most != resource.RLIM_INFINITY and most < needed:
        return f"{CONNECTIONS} connections need {needed} open files, and `ulimit -Hn` is {most}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return ""
