"""Does the admin listener answer whoever asks how we are, and tell nothing else?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from proxy.config.model import AdminConfig, Config, UpstreamConfig
from proxy.config.units import Seconds
from proxy.ops.admin import Page, admin_app, start_admin, stop_admin
from proxy.ops.config_page import config_pages
from proxy.ops.health import health_pages
from proxy.ops.metrics import metrics_pages
from proxy.ops.readiness import Degraded, Readiness, Unready
from proxy.ops.snapshot import Snapshot, take
from proxy.ops.stats import stats_pages
from tests.ops.making import NOW, sources

Client = TestClient[aiohttp.web.Request, aiohttp.web.Application]


@dataclass
class Workers:
    """What the admin listener sees of the workers."""

    snapshots: list[Snapshot] = field(default_factory=lambda: [take(sources()), take(sources())])
    readiness: Readiness = field(default_factory=Readiness)
    collected: int = 0
    config: Config = field(default_factory=lambda: Config(upstream=UpstreamConfig("http://127.0.0.1:8000")))

    async def collect(self) -> Sequence[Snapshot]:
        self.collected += 1
        return self.snapshots

    def ready(self) -> Readiness:
        return self.readiness

    @property
    def pages(self) -> Sequence[Page]:
        return [
            *metrics_pages(self.collect),
            *stats_pages(self.collect, lambda: NOW),
            *health_pages(self.ready),
            *config_pages(lambda: self.config),
        ]


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
async def client(workers: Workers) -> AsyncIterator[Client]:
    async with TestClient(TestServer(admin_app(workers.pages))) as client:
        yield client


async def test_metrics_of_all_workers(client: Client) -> None:
    response = await client.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nsitecache_workers 2.0\n" in await response.text()


async def test_metrics_in_the_format_that_was_asked_for(client: Client) -> None:
    response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert (await response.text()).endswith("# EOF\n")


async def test_alive(client: Client) -> None:
    response = await client.get("/livez")
    assert (response.status, await response.text()) == (200, "ok\n")


@pytest.mark.parametrize(
    ("readiness", "status", "text"),
    [
        pytest.param(Readiness(), 200, "ready\n", id="ready"),
        pytest.param(Readiness((Unready.DRAINING,)), 503, "draining\n", id="draining"),
        pytest.param(Readiness((Unready.NO_WORKER,)), 503, "no worker ready\n", id="no-worker"),
        pytest.param(
            Readiness((Unready.DRAINING, Unready.NO_WORKER)), 503, "draining\nno worker ready\n", id="two-reasons"
        ),
        pytest.param(
            Readiness(degraded=(Degraded.ORIGIN,)), 200, "ready\ndegraded: origin failing\n", id="degraded-is-not-down"
        ),
        pytest.param(
            Readiness((Unready.DRAINING,), (Degraded.ORIGIN,)), 503, "draining\ndegraded: origin failing\n", id="both"
        ),
    ],
)
async def test_ready(client: Client, workers: Workers, readiness: Readiness, status: int, text: str) -> None:
    workers.readiness = readiness
    response = await client.get("/readyz")
    assert (response.status, await response.text()) == (status, text)


async def test_health_checks_ask_no_worker_for_numbers(client: Client, workers: Workers) -> None:
    await client.get("/livez")
    await client.get("/readyz")
    assert workers.collected == 0


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
async def test_head_is_get_without_the_body(client: Client, path: str) -> None:
    got, head = await client.get(path), await client.head(path)
    assert (head.status, head.headers["Content-Length"]) == (200, got.headers["Content-Length"])
    assert await head.read() == b""


@pytest.mark.parametrize("path", ["/", "/metrics/", "/nothing", "/%00"])
async def test_another_page_is_answered_with_those_there_are(client: Client, path: str) -> None:
    response = await client.get(path)
    text = await response.text()
    assert (response.status, response.content_type) == (404, "text/plain")
    assert all(page in text for page in ("/metrics", "/livez", "/readyz"))


async def test_another_method_is_refused(client: Client) -> None:
    response = await client.post("/metrics")
    assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")


async def test_the_configuration_that_counts_now_has_no_secrets(client: Client, workers: Workers) -> None:
    assert "upstream:\n  url: http://127.0.0.1:8000\n" in await (await client.get("/config")).text()
    workers.config = Config(admin=AdminConfig(token="x" * 16), CACHE_MIDDLEWARE_SECONDS=Seconds(7))
    response = await client.get("/config")
    text = await response.text()
    assert "CACHE_MIDDLEWARE_SECONDS: 7s\n" in text
    assert '  token: "***"\n' in text
    assert "x" * 16 not in text
    assert response.content_type == "text/plain"


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/stats", "/config", "/nothing"])
async def test_no_answer_is_stored_or_tells_versions(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["Server"] == "sitecache"
    assert headers["Cache-Control"] == "no-store"


# On a socket that somebody else has bound.


def tcp(_: Path) -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def unix(directory: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "admin.sock"))
    listener.listen()
    return listener


async def ask(listener_at: object, sent: bytes) -> bytes:
    if isinstance(listener_at, str):
        reader, writer = await asyncio.open_unix_connection(listener_at)
    else:
        reader, writer = await asyncio.open_connection(*listener_at)  # type: ignore[misc]
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("bind", [pytest.param(tcp, id="tcp"), pytest.param(unix, id="unix")])
async def test_it_answers_on_a_given_socket(workers: Workers, bind: object, tmp_path: Path) -> None:
    listener: socket.socket = bind(tmp_path)  # type: ignore[operator]
    address = listener.getsockname()
    runner = await start_admin(admin_app(workers.pages), listener)
    answer = await ask(address, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok\n")
    await stop_admin(runner)
    with pytest.raises(OSError, match=r".+"):
        await ask(address, b"")


async def test_what_is_not_http_learns_no_version(workers: Workers) -> None:
    listener = tcp(Path())
    address = listener.getsockname()
    runner = await start_admin(admin_app(workers.pages), listener)
    answer = await ask(address, b"\x16\x03\x01 hello\r\n\r\n")
    await stop_admin(runner)
    assert answer.startswith(b"HTTP/1.")
    assert b" 400 " in answer.splitlines()[0]
    assert b"Server: sitecache\r\n" in answer
    assert b"aiohttp" not in answer


async def test_a_fault_of_ours_is_a_short_500(workers: Workers) -> None:
    async def broken() -> Sequence[Snapshot]:
        raise RuntimeError("the secret of the house")

    listener = tcp(Path())
    address = listener.getsockname()
    runner = await start_admin(admin_app(metrics_pages(broken)), listener)
    answer = await ask(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await stop_admin(runner)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"Server: sitecache\r\n" in answer
    assert b"secret" not in answer
