"""Are pages served from storages outside the process, shared by proxies, and not missed when they fail?"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.storage.servers import Server, running
from tests.system.processes import PATIENCE, Process, start_proxy


class Origin(ThreadingHTTPServer):
    """An origin whose pages count how often they were made."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.made: Counter[str] = Counter()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.made[self.path] += 1
            body = f"{self.path} made {self.server.made[self.path]} times".encode()
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server
        server.shutdown()


@pytest.fixture
def redis() -> Iterator[Server]:
    with running("redis-server") as server:
        yield server


Start = Callable[[str], tuple[Process, int]]


@pytest.fixture
def start(origin: Origin, tmp_path: Path) -> Iterator[Start]:
    """Start a proxy with this entry of CACHES."""
    with ExitStack() as stack:

        def started(cache: str) -> tuple[Process, int]:
            file = tmp_path / "site.yaml"
            file.write_text(f"CACHES: {{default: {cache}}}\n")
            process, port = start_proxy(origin.url, "--config", str(file))
            stack.callback(process.stop)
            return process, port

        yield started


def get(port: int, path: str = "/page") -> tuple[str, str]:
    """Return the page and what the cache did with the request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers={"Host": "site.test"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200
    return body, response.headers["Cache-Status"].removeprefix("sitecache; ")


def until(port: int, wanted: str, path: str) -> str:
    """Ask until the cache says this; return the page."""
    while True:
        body, said = get(port, path)
        if said.startswith(wanted):
            return body


def in_redis(server: Server, **more: object) -> str:
    keys = "".join(f", {key}: {value}" for key, value in more.items())
    return f"{{BACKEND: django.core.cache.backends.redis.RedisCache, LOCATION: 'unix://{server.name}'{keys}}}"


def test_a_page_in_redis_outlives_the_proxy(start: Start, redis: Server) -> None:
    process, port = start(in_redis(redis))
    assert get(port)[1].endswith("stored")
    assert get(port)[1].startswith("hit")
    assert process.stop() == 0
    _, port = start(in_redis(redis))
    assert get(port)[0] == "/page made 1 times"


def test_a_page_in_files_outlives_the_proxy(start: Start, tmp_path: Path) -> None:
    cache = f"{{BACKEND: django.core.cache.backends.filebased.FileBasedCache, LOCATION: {tmp_path / 'pages'}}}"
    process, port = start(cache)
    assert get(port)[1].endswith("stored")
    assert get(port)[1].startswith("hit")
    assert process.stop() == 0
    _, port = start(cache)
    assert get(port)[0] == "/page made 1 times"


def test_a_page_in_memcached_outlives_the_proxy_and_a_dead_server_costs_misses(start: Start) -> None:
    with running("memcached") as server:
        cache = f"{{BACKEND: django.core.cache.backends.memcached.PyMemcacheCache, LOCATION: 'unix:{server.name}'}}"
        process, port = start(cache)
        assert get(port)[1].endswith("stored")
        assert get(port)[1].startswith("hit")
        assert process.stop() == 0
        _, port = start(cache)
        assert get(port)[0] == "/page made 1 times"
        server.kill()
        for number in range(20):
            get(port, f"/{number}")


def test_two_proxies_share_a_redis_unless_their_prefixes_differ(start: Start, redis: Server) -> None:
    _, first = start(in_redis(redis, KEY_PREFIX="a"))
    _, second = start(in_redis(redis, KEY_PREFIX="a"))
    _, other = start(in_redis(redis, KEY_PREFIX="b"))
    _, newer = start(in_redis(redis, KEY_PREFIX="a", VERSION=2))
    assert get(first)[0] == "/page made 1 times"
    assert until(second, "hit", "/page") == "/page made 1 times"
    assert get(other)[0] == "/page made 2 times"
    assert get(newer)[0] == "/page made 3 times"


def test_no_request_fails_while_redis_is_gone_and_it_is_used_again_when_it_is_back(start: Start, redis: Server) -> None:
    _, port = start(in_redis(redis))
    get(port)
    assert get(port)[1].startswith("hit")
    redis.kill()
    for number in range(20):
        assert get(port, f"/{number}")[1].endswith("detail=storage-failed")
    redis.start()
    until(port, "hit", "/again")
