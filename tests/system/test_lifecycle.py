"""Does serving begin and end cleanly: what is said, what is finished, what is cut off, and with which exit code?"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.processes import PATIENCE, ROOT
from tests.system.scripted import Script, get, listening, response, run_proxy

NO_STORE = b"Cache-Control: no-store"


def serve(directory: Path, listen: str | list[str], workers: int = 1) -> subprocess.CompletedProcess[str]:
    """Run a proxy that is expected to end by itself."""
    file = directory / "sitecache.yaml"
    upstream = "http://127.0.0.1:9"
    settings = {"listen": listen, "admin": {"listen": "off"}, "upstream": upstream, "workers": workers}
    file.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    """A proxy that waits long for what is running."""
    with Script(tmp_path, {}, listening()) as script:
        yield script


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_runs_is_finished_and_nothing_more_is_taken_in(script: Script, number: signal.Signals) -> None:
    idle, _ = script.exchange(b"/idle", response(NO_STORE, b"Connection: close", body=b"x"))
    assert idle.response() == (200, b"x")
    waiting = script.client(get(b"/waiting"))
    asked = script.accept(b"/waiting")
    streaming = script.client(get(b"/streaming") + get(b"/never"))
    stream = script.accept(b"/streaming")
    stream.send(response(NO_STORE, b"Content-Length: 10"), b"hello")
    streaming.until(b"hello")
    script.proxy.signal(number)
    # An idle connection is closed at once, and that is how it is known that draining has begun.
    assert idle.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        script.client()
    stream.send(b"world")
    assert streaming.rest() == b"world"
    streaming.close()
    asked.send(response(NO_STORE, body=b"late"))
    assert waiting.response() == (200, b"late")
    assert b"Connection: close" in waiting.head
    assert waiting.rest() == b""
    assert script.proxy.wait() == 0
    assert "Traceback" not in script.proxy.output()


def test_a_client_that_reads_slowly_gets_all_of_its_response(script: Script) -> None:
    size = 24 * 1024 * 1024
    client, origin = script.exchange(b"/", response(NO_STORE, b"Content-Length: %d" % size))
    idle = script.client()
    sent = origin.push(size)
    script.proxy.signal(signal.SIGTERM)
    assert idle.rest() == b""
    client.read_head()
    assert client.drain(origin, sent, size) == size
    assert client.rest() == b""
    assert script.proxy.wait() == 0


def test_what_hangs_is_cut_off_and_does_not_look_whole(tmp_path: Path) -> None:
    with Script(tmp_path, {"timeouts": {"drain": "1s"}}, listening()) as script:
        silent, _ = script.exchange(b"/silent")
        cut, _ = script.exchange(b"/cut", response(NO_STORE, b"Content-Length: 10"), b"hello")
        cut.until(b"hello")
        old = script.client(get(b"/old", version=b"HTTP/1.0"))
        script.accept(b"/old").send(response(NO_STORE) + b"hello")
        old.until(b"hello")
        tunnel = script.client(get(b"/ws", b"Connection: Upgrade", b"Upgrade: websocket"))
        script.accept(b"/ws").send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert tunnel.read_head()
        script.proxy.signal(signal.SIGTERM)
        for client in (silent, cut, tunnel):
            assert client.is_ended()
        # Its body would end with the connection: only a reset says that it has not.
        with pytest.raises(ConnectionResetError):
            old.rest()
        assert script.proxy.wait() == 0
        assert "Traceback" not in script.proxy.output()


def test_with_nobody_connected_it_ends_at_once(script: Script) -> None:
    script.proxy.signal(signal.SIGTERM)
    assert script.proxy.wait() == 0
    assert "Traceback" not in script.proxy.output()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_one_line(tmp_path: Path, workers: int) -> None:
    with listening() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = serve(tmp_path, ["127.0.0.1:0", address], workers)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"sitecache: cannot listen on {address}: Address already in use"
    assert "Traceback" not in ended.stderr
    assert "sitecache: ready" not in ended.stderr


class TestUnixSocket:
    def test_one_that_is_in_use_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "site.sock"
        with socket.socket(socket.AF_UNIX) as taken:
            taken.bind(str(path))
            taken.listen()
            ended = serve(tmp_path, f"unix:{path}")
            assert ended.returncode == 1
            assert f"sitecache: cannot listen on unix:{path}: Address already in use" in ended.stderr.splitlines()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))

    def test_one_in_use_by_somebody_busy_is_refused_too(self, tmp_path: Path) -> None:
        """The queue of who listens there is full: nobody may wait for room in it, least of all for ever."""
        path = tmp_path / "site.sock"
        with socket.socket(socket.AF_UNIX) as taken, socket.socket(socket.AF_UNIX) as waiting:
            taken.bind(str(path))
            taken.listen(0)
            waiting.connect(str(path))
            assert serve(tmp_path, f"unix:{path}").returncode == 1

    def test_a_file_that_is_no_socket_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "site.sock"
        path.write_text("precious")
        assert serve(tmp_path, f"unix:{path}").returncode == 1
        assert path.read_text() == "precious"

    def test_a_stale_one_is_replaced_and_removed_in_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "site.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        settings = {"listen": f"unix:{path}", "admin": {"listen": "off"}, "upstream": "http://127.0.0.1:9"}
        proxy = run_proxy(tmp_path, settings)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert proxy.stop() == 0
        assert not path.exists()
