"""Does what `make run` starts work, and does it all end with one Ctrl-C?"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.system.processes import Process

_OPEN = r"^  Open +(http://127\.0\.0\.1:\d+/)$"


def _quickstart(*arguments: str) -> Process:
    return Process("quickstart", [sys.executable, "deploy/quickstart.py", *arguments])


@pytest.fixture
def running() -> Iterator[Process]:
    process = _quickstart()
    yield process
    process.stop()


def _asked(url: str) -> str:
    """Read a whole page and return what the cache did for it."""
    with urlopen(url) as response:
        response.read()
        return str(response.headers["Cache-Status"])


def _children(process: Process) -> set[int]:
    return {int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()}


def test_the_demo_is_served_through_the_proxy_until_ctrl_c(running: Process) -> None:
    url = running.wait_for(_OPEN)[1]
    first, second = _asked(url), _asked(url)
    assert "stored" in first
    assert second.startswith("sitecache; hit")
    with urlopen(running.wait_for(r"^  Metrics +(\S+)$")[1]) as metrics:
        assert b"sitecache_" in metrics.read()
    running.wait_for(r"GET .* 200 .* hit")
    children = _children(running)
    assert len(children) == 2
    running.signal(signal.SIGINT)
    assert running.wait() == 0
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def test_it_stands_before_ones_own_site_on_a_port_of_ones_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as site, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.close()
        process = _quickstart("--upstream", f"http://127.0.0.1:{site.getsockname()[1]}", "--port", str(port))
        try:
            assert process.wait_for(_OPEN)[1] == f"http://127.0.0.1:{port}/"
            assert len(_children(process)) == 1
        finally:
            process.signal(signal.SIGTERM)
            assert process.wait() == 0
            process.stop()


def test_a_port_that_is_taken_is_named_and_nothing_is_left_running() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = _quickstart("--upstream", "http://127.0.0.1:9", "--port", str(port))
        assert process.wait() == 1
        process.stop()
        assert f"cannot listen on 127.0.0.1:{port}" in process.output()


def test_an_address_that_is_none_is_refused_as_the_command_line_does() -> None:
    process = _quickstart("--upstream", "gopher://example.org")
    assert process.wait() == 1
    process.stop()
    assert "config error: option --upstream" in process.output()
