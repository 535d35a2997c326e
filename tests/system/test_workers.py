"""Do several workers share the port, replace each other, and stop together?"""

from __future__ import annotations

import http.client
import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.processes import PATIENCE, Process, admin_port, listening_socket, start_proxy


class SlowOrigin:
    """An origin that answers when the test says so."""

    def __init__(self) -> None:
        self._listener = listening_socket()
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]

    def accept(self) -> socket.socket:
        """Return the connection of the next request, when its head has come."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        return connection

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def origin() -> Iterator[SlowOrigin]:
    slow = SlowOrigin()
    yield slow
    slow.close()


@pytest.fixture
def proxy(origin: SlowOrigin) -> Iterator[tuple[Process, int]]:
    process, port = start_proxy(f"http://127.0.0.1:{origin.port}", "--workers", "2")
    yield process, port
    process.stop()


def workers(process: Process) -> list[int]:
    """Return the pids of a proxy's workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def ask(port: int, path: str = "/") -> socket.socket:
    """Send a request and leave the answer to be read."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n".encode())
    return client


def read_all(client: socket.socket) -> bytes:
    """Read until the other end closes."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    client.close()
    return b"".join(parts)


def answer(connection: socket.socket, body: bytes = b"done") -> None:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    connection.close()


def metric(process: Process, line: str) -> float:
    """Return one number from the metrics page."""
    connection = http.client.HTTPConnection("127.0.0.1", admin_port(process), timeout=PATIENCE)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    return sum(float(found.rpartition(" ")[2]) for found in page.splitlines() if found.startswith(line))


def wait_for_end(pid: int) -> None:
    """Return when a process that is not our child has ended."""
    watched = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([watched], [], [], PATIENCE)
        assert ended, f"process {pid} is still there"
    finally:
        os.close(watched)


def test_one_scrape_counts_the_requests_of_all_workers(origin: SlowOrigin, proxy: tuple[Process, int]) -> None:
    process, port = proxy
    # Held open at the same time, so that no single worker can be busy with one after the other by necessity.
    clients = [ask(port, f"/{number}") for number in range(20)]
    for _ in clients:
        answer(origin.accept())
    assert all(read_all(client).endswith(b"done") for client in clients)
    assert metric(process, "sitecache_requests_total{") == 20
    assert metric(process, "sitecache_workers ") == 2


def test_a_worker_that_is_killed_is_replaced(origin: SlowOrigin, proxy: tuple[Process, int]) -> None:
    process, port = proxy
    first, second = workers(process)
    os.kill(first, signal.SIGKILL)
    number = process.wait_for(r"worker (\d) ended with -9")[1]
    process.wait_for(rf"worker {number} is back")
    now = workers(process)
    assert len(now) == 2
    assert second in now
    assert first not in now
    client = ask(port)
    answer(origin.accept())
    assert read_all(client).endswith(b"done")


def test_clients_are_served_while_no_worker_can_take_them_in(origin: SlowOrigin, proxy: tuple[Process, int]) -> None:
    # The parent holds the listeners, so whoever comes between two workers waits in the backlog.
    process, port = proxy
    for pid in workers(process):
        os.kill(pid, signal.SIGKILL)
    client = ask(port)
    answer(origin.accept())
    assert read_all(client).endswith(b"done")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_runs_is_finished_before_the_workers_stop(
    origin: SlowOrigin, proxy: tuple[Process, int], number: signal.Signals
) -> None:
    process, port = proxy
    clients = [ask(port, f"/{count}") for count in range(4)]
    waiting = [origin.accept() for _ in clients]
    process.signal(number)
    process.wait_for("^sitecache: draining$")
    for connection in waiting:
        answer(connection)
    assert [read_all(client)[-4:] for client in clients] == [b"done"] * 4
    assert process.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_workers_do_not_outlive_their_parent(proxy: tuple[Process, int]) -> None:
    process, port = proxy
    pids = workers(process)
    process.signal(signal.SIGKILL)
    for pid in pids:
        wait_for_end(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_draining_is_not_ready(origin: SlowOrigin, proxy: tuple[Process, int]) -> None:
    process, port = proxy
    admin = http.client.HTTPConnection("127.0.0.1", admin_port(process), timeout=PATIENCE)
    admin.request("GET", "/readyz")
    answered = admin.getresponse()
    assert (answered.status, answered.read()) == (200, b"ready\n")
    client = ask(port)
    waiting = origin.accept()
    process.signal(signal.SIGTERM)
    process.wait_for("^sitecache: draining$")
    admin.request("GET", "/readyz")
    answered = admin.getresponse()
    assert (answered.status, answered.read()) == (503, b"draining\n")
    admin.close()
    answer(waiting)
    assert read_all(client).endswith(b"done")
    assert process.wait() == 0
