"""What does ``sitecache purge`` ask for, say, and with which exit code?"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main


class Listener(http.server.HTTPServer):
    """An admin listener that answers what the test says."""

    status = 200
    told: Any = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, Any, str | None]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked, self.headers.get("Authorization")))
        told = self.server.told or {"status": "ok", "purged": asked, "caches": ["default"]}
        body = json.dumps(told).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def run(listener: Listener, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["purge", "--admin", f"127.0.0.1:{listener.server_port}", *arguments])


@pytest.mark.parametrize(
    ("arguments", "asked", "said"),
    [
        pytest.param(
            ["http://a.test/", "http://b.test/"],
            {"url": ["http://a.test/", "http://b.test/"]},
            "purged in default: url http://a.test/, http://b.test/",
            id="urls",
        ),
        pytest.param(
            ["--tag", "a", "--tag", "b", "--host", "a.test", "--soft"],
            {"tag": ["a", "b"], "host": ["a.test"], "soft": True},
            "made stale in default: tag a, b; host a.test",
            id="tags-of-a-host",
        ),
        pytest.param(
            ["--prefix", "/a", "--glob", "/*"],
            {"prefix": ["/a"], "glob": ["/*"]},
            "purged in default: prefix /a; glob /*",
            id="paths",
        ),
        pytest.param(["--all"], {"all": True}, "purged in default: all", id="all"),
    ],
)
def test_what_is_asked_for(listener: Listener, arguments: list[str], asked: dict[str, Any], said: str) -> None:
    done = run(listener, *arguments, "--token", "t")
    assert (done.exit_code, done.output) == (0, f"{said}\n")
    assert listener.asked == [("/purge", asked, "Bearer t")]


def test_for_programs(listener: Listener) -> None:
    done = run(listener, "--all", "--json")
    assert json.loads(done.output) == {"status": "ok", "purged": {"all": True}, "caches": ["default"]}


def test_a_cache_that_could_not_be_told(listener: Listener) -> None:
    listener.status = 503
    listener.told = {"status": "failed", "purged": {"all": True}, "caches": [], "failed": {"pages": "gone"}}
    done = run(listener, "--all")
    assert done.exit_code == 1
    assert done.output == "purged in no cache: all\nsitecache: pages could not be told, and will be: gone\n"


def test_what_is_refused_is_one_line(listener: Listener) -> None:
    listener.status, listener.told = 400, {"status": "refused", "error": "nothing is named"}
    done = run(listener)
    assert (done.exit_code, done.output) == (1, "sitecache: nothing is named\n")


def test_without_a_listener_there_is_nobody_to_ask(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://127.0.0.1:1\nadmin: off\n")
    done = CliRunner().invoke(main, ["purge", "--all", "-c", str(file)])
    assert (done.exit_code, "admin: off" in done.output) == (1, True)
    file.write_text("upstreams: 1\n")
    assert CliRunner().invoke(main, ["purge", "--all", "-c", str(file)]).exit_code == 2
