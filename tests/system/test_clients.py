"""Are real clients served as their connection, their protocol version and the settings say?"""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.system.processes import Process
from tests.system.scripted import Script, Wire, get, listening, request, response, run_proxy

NO_STORE = b"Cache-Control: no-store"
FRESH = b"Cache-Control: max-age=600"
MIB = 1024 * 1024
HASTY = {
    "timeouts": {"header": "1s", "body": "1s", "idle": "1s", "write": "1s"},
    "limits": {"header_bytes": "2KiB", "headers": 10, "target": 200, "body": 1000, "connections": 20},
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxies")


@pytest.fixture(scope="module")
def hasty_script(directory: Path) -> Iterator[Script]:
    with Script(directory, dict(HASTY), listening()) as script:
        yield script


@pytest.fixture
def hasty(hasty_script: Script) -> Iterator[Script]:
    """A proxy with little patience and small limits."""
    yield hasty_script
    hasty_script.hang_up()


@pytest.fixture
def target(request: pytest.FixtureRequest) -> bytes:
    """A target that no other test asks for."""
    return b"/" + re.sub(r"[^A-Za-z0-9]+", "-", request.node.nodeid.rpartition("::")[2]).encode()


class TestTimeouts:
    """What is waited for is the end of the connection; how long it took is nobody's matter."""

    def test_one_who_says_nothing(self, hasty: Script) -> None:
        assert hasty.client().rest() == b""

    def test_one_who_says_nothing_more(self, hasty: Script, target: bytes) -> None:
        client, _ = hasty.exchange(target, response(NO_STORE, body=b"x"))
        assert client.response() == (200, b"x")
        assert client.rest() == b""

    def test_half_a_head(self, hasty: Script) -> None:
        client = hasty.client(b"GET / HTTP/1.1\r\n")
        assert client.response()[0] == 408
        assert client.rest() == b""

    def test_half_a_body(self, hasty: Script, target: bytes) -> None:
        client = hasty.client(request(b"POST", target, b"Content-Length: 5"), b"hi")
        origin = hasty.accept(target)
        assert origin.read(2) == b"hi"
        assert client.response()[0] == 408
        assert client.rest() == b""
        assert origin.is_ended()

    def test_one_who_reads_nothing(self, hasty: Script, target: bytes) -> None:
        hasty.client(get(target))
        origin = hasty.accept(target)
        size = 64 * MIB
        origin.send(response(NO_STORE, b"Content-Length: %d" % size))
        assert origin.push(size) < size
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            origin.send(b"x" * size)

    def test_one_who_reads_a_little_now_and_then_gets_everything(self, hasty: Script, target: bytes) -> None:
        """He is told apart from one who stopped reading: those who did so later are cut off, one after the other."""
        size = 24 * MIB
        client = hasty.client(receive=65536)
        client.send(get(target))
        origin = hasty.accept(target)
        origin.send(response(NO_STORE, b"Content-Length: %d" % size))
        sent = origin.push(size)
        client.read_head()
        read = 0
        for number in range(2):
            stopped = target + b"%d" % number
            hasty.client(get(stopped), receive=65536)
            other = hasty.accept(stopped)
            other.send(response(NO_STORE, b"Content-Length: %d" % size))
            other.push(size)
            while not select.select([other.sock], [], [], 0.1)[0]:
                read += len(client.read(65536))
        assert read + client.drain(origin, sent - read, size - read) == size


class TestLimits:
    @pytest.mark.parametrize(
        ("said", "status"),
        [
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no-host"),
            pytest.param(get(b"/" + b"a" * 200), 414, id="target"),
            pytest.param(b"GET /" + b"a" * 300, 414, id="target-without-end"),
            pytest.param(get(b"/", b"A: " + b"a" * 2100), 431, id="header-bytes"),
            pytest.param(get(b"/", *[b"A:"] * 10), 431, id="headers"),
            pytest.param(request(b"POST", b"/", b"Content-Length: 1001"), 413, id="body"),
            pytest.param(request(b"POST", b"/", b"Transfer-Encoding: gzip, chunked"), 501, id="coding"),
            pytest.param(get(b"/", version=b"HTTP/3.0"), 505, id="version"),
        ],
    )
    def test_what_breaks_one_is_refused_and_nothing_behind_it_read(
        self, hasty: Script, said: bytes, status: int
    ) -> None:
        client = hasty.client(said, b"GET /smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n" * 3)
        assert client.response()[0] == status
        assert b"Connection: close" in client.head
        assert client.rest() == b""

    @pytest.mark.parametrize("large", [2_000, 200_000])
    def test_a_chunked_body_that_grows_too_large(self, hasty: Script, target: bytes, large: int) -> None:
        client = hasty.client(request(b"POST", target, b"Transfer-Encoding: chunked"), b"1\r\na\r\n")
        origin = hasty.accept(target)
        origin.until(b"1\r\na\r\n")
        client.send(b"%x\r\n" % large)
        client.push(1500)
        assert client.response()[0] == 413
        assert b"0\r\n\r\n" not in origin.rest()

    def test_too_many_connections(self, hasty: Script, target: bytes) -> None:
        crowd = [hasty.client() for _ in range(20)]
        client = hasty.client()
        assert client.response()[0] == 503
        assert client.rest() == b""
        for one in crowd:
            one.reset()
        # As soon as they are gone there is room again.
        while True:
            client = hasty.client(get(target))
            if select.select([client.sock, hasty.listener], [], [], 30)[0] == [hasty.listener]:
                break
        hasty.accept(target).send(response(NO_STORE, body=b"room"))
        assert client.response() == (200, b"room")

    def test_empty_lines_keep_nobody_busy(self, hasty: Script, target: bytes) -> None:
        client = hasty.client(b"\r\n" * MIB, get(target))
        hasty.accept(target).send(response(NO_STORE, body=b"x"))
        assert client.response() == (200, b"x")


class TestConnections:
    @pytest.mark.rfc(9112, "9.3.2")
    def test_pipelined_requests_are_answered_in_order(self, hasty: Script, target: bytes) -> None:
        targets = [target + b"%d" % number for number in range(5)]
        client = hasty.client(b"".join(map(get, targets)))
        for one in targets:
            hasty.accept(one).send(response(NO_STORE, b"Connection: close", body=one))
        assert [client.response()[1] for _ in targets] == targets

    @pytest.mark.rfc(9112, "9.6")
    def test_nothing_behind_the_last_request_is_carried_out(self, hasty: Script, target: bytes) -> None:
        after = request(b"POST", b"/smuggled", b"Content-Length: 0")
        client = hasty.client(get(target, b"Connection: close") + after)
        hasty.accept(target).send(response(FRESH, body=b"last"))
        assert client.response() == (200, b"last")
        assert client.rest() == b""
        # The same when it needs no origin, for it is stored now.
        client = hasty.client(get(target, b"Connection: close") + after)
        assert client.response() == (200, b"last")
        assert client.rest() == b""
        assert not select.select([hasty.listener], [], [], 0)[0]

    @pytest.mark.rfc(9112, "9.6")
    def test_a_half_closed_client_is_answered(self, hasty: Script, target: bytes) -> None:
        client = hasty.client(get(target + b"1") + get(target + b"2"))
        client.end()
        for number in (b"1", b"2"):
            hasty.accept(target + number).send(response(NO_STORE, b"Connection: close", body=number))
        assert [client.response() for _ in range(2)] == [(200, b"1"), (200, b"2")]
        assert client.rest() == b""

    @pytest.mark.rfc(9112, "9.3")
    def test_http_1_0_with_keep_alive(self, hasty: Script, target: bytes) -> None:
        client = hasty.client(get(target, b"Connection: keep-alive", version=b"HTTP/1.0"))
        hasty.accept(target).send(response(FRESH, body=b"x"))
        for _ in range(3):
            assert client.response() == (200, b"x")
            assert b"Connection: keep-alive\r\n" in client.head
            client.send(get(target, b"Connection: keep-alive", version=b"HTTP/1.0"))

    def test_a_pipelining_client_that_does_not_read_is_held_back(self, hasty: Script, target: bytes) -> None:
        client = hasty.client(get(target))
        hasty.accept(target).send(response(body=b"x" * 100_000))
        assert client.response()[0] == 200
        asked = get(target)
        accepted = client.push(64 * MIB, asked * (65536 // len(asked)))
        assert accepted < 32 * MIB

    def test_a_client_that_vanishes_hurts_nobody(self, hasty: Script, target: bytes) -> None:
        gone = hasty.client(get(target))
        origin = hasty.accept(target)
        gone.reset()
        origin.send(response(NO_STORE, b"Content-Length: 1000000"))
        with suppress(ConnectionResetError, BrokenPipeError):
            origin.send(b"x" * 1_000_000)
        client, _ = hasty.exchange(target + b"2", response(NO_STORE, body=b"x"))
        assert client.response() == (200, b"x")
        assert "Traceback" not in hasty.proxy.output()


class TestListeners:
    def ask(self, proxy: Process, listener: socket.socket, family: socket.AddressFamily, address: object) -> None:
        with socket.socket(family) as sock:
            sock.settimeout(30)
            sock.connect(address)  # type: ignore[arg-type]
            client = Wire(sock)
            target = b"/%d" % sock.fileno() + str(address).encode().hex().encode()
            client.send(get(target))
            accepted, _ = listener.accept()
            with accepted:
                origin = Wire(accepted)
                assert origin.read_head().split(b" ")[1] == target
                origin.send(response(NO_STORE, b"Connection: close", body=b"x"))
                assert client.response() == (200, b"x")
            forwarded = re.search(rb"X-Forwarded-For: (.*)\r\n", origin.head)
            assert forwarded is not None
            peer = {socket.AF_INET: b"127.0.0.1", socket.AF_INET6: b"::1", socket.AF_UNIX: b"unknown"}[family]
            assert forwarded[1] == peer

    def test_several_at_once(self, directory: Path, tmp_path: Path) -> None:
        path = str(tmp_path / "site.sock")
        with listening() as listener:
            listener.settimeout(30)
            upstream = {"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}
            listen = ["127.0.0.1:0", "[::1]:0", f"unix:{path}"]
            proxy = run_proxy(directory, {"listen": listen, "admin": {"listen": "off"}, "upstream": upstream})
            try:
                four = int(proxy.wait_for(r"listening on 127\.0\.0\.1:(\d+)$")[1])
                six = int(proxy.wait_for(r"listening on \[::1\]:(\d+)$")[1])
                assert proxy.wait_for(r"listening on unix:(.*)$")[1] == path
                self.ask(proxy, listener, socket.AF_INET, ("127.0.0.1", four))
                self.ask(proxy, listener, socket.AF_INET6, ("::1", six))
                self.ask(proxy, listener, socket.AF_UNIX, path)
            finally:
                assert proxy.stop() == 0
            assert not Path(path).exists()

    def test_every_address(self, directory: Path) -> None:
        with listening() as listener:
            listener.settimeout(30)
            upstream = {"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}
            proxy = run_proxy(directory, {"listen": ":0", "admin": {"listen": "off"}, "upstream": upstream})
            try:
                port = int(proxy.wait_for(r"listening on 0\.0\.0\.0:(\d+)$")[1])
                self.ask(proxy, listener, socket.AF_INET, ("127.0.0.1", port))
                self.ask(proxy, listener, socket.AF_INET6, ("::1", port))
            finally:
                assert proxy.stop() == 0
