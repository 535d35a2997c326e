"""What does a worker keep, open and close when it changes over to another configuration?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Config, SiteConfig, UpstreamConfig
from proxy.config.units import Seconds
from proxy.downstream.listeners import close_listeners, open_listeners
from proxy.errors import StorageError
from proxy.storage.backends.locmem import LocMemCache
from proxy.worker import Worker
from tests.exchange.making import Clock
from tests.system.processes import PATIENCE

HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\n"


class Counted(LocMemCache):
    """A cache that has to be waited for, notes who is open, and fails when it is told to."""

    opened: list[Counted]

    def __init__(self, *_: object) -> None:
        super().__init__(Clock(), max_entries=None)
        self.closed = asyncio.Event()
        self.fails = False
        Counted.opened.append(self)

    @classmethod
    def build(cls, *_: object) -> Counted:
        return cls()

    async def delete(self, key: str) -> bool:
        if self.fails:
            raise StorageError("told to")
        return await super().delete(key)

    async def close(self) -> None:
        self.closed.set()
        if self.fails:
            raise OSError("told to")


class Origin:
    """An origin whose answer to ``/slow`` stops in the middle until it is told to go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go_on = asyncio.Event()
        self.running: set[asyncio.Task[None] | None] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.running.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
                self.asked.append(path)
                writer.write(HEAD + b"he")
                if path == "/slow":
                    await self.go_on.wait()
                writer.write(b"llo")
        writer.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """A response whose body may still come."""

    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def body(self) -> bytes:
        body = await self.reader.readexactly(5)
        self.writer.close()
        return body


@dataclass(frozen=True, slots=True)
class Stage:
    """A worker between clients and an origin."""

    worker: Worker
    origin: Origin
    config: Config
    """What it began with."""
    port: int

    async def ask(self, path: str, method: str = "GET") -> Asked:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: site.test\r\n{length}\r\n".encode())
        return Asked(await reader.readuntil(b"\r\n\r\n"), reader, writer)

    async def get(self, path: str, method: str = "GET") -> bytes:
        """Return the head of the answer, when its body has come."""
        asked = await self.ask(path, method)
        assert await asked.body() == b"hello"
        return asked.head

    def value(self, name: str, *labels: str) -> float:
        """Return the sum of what was counted with these labels, whatever the others are."""
        rows = self.worker.snapshot().samples.get(name, {})
        return sum(value for said, value in rows.items() if set(labels) <= set(said))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for what is used no more in every turn of the loop."""
    monkeypatch.setattr("proxy.worker._TIDY_EVERY", 0)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A site whose pages lie in the cache ``far``."""
    file = tmp_path / "site.yaml"
    file.write_text(
        "upstream: http://127.0.0.1:1\nCACHE_MIDDLEWARE_ALIAS: far\nCACHES:\n  default: {BACKEND: locmem}\n"
        "  near: {BACKEND: locmem, LOCATION: near}\n  far: {BACKEND: tests.system.test_changeover.Counted}\n"
        "  more: {BACKEND: tests.system.test_changeover.Counted}\nroutes:\n- {match: /near/*, cache: near}\n"
    )
    return load(file, {}, {}).config


@asynccontextmanager
async def playing(config: Config) -> AsyncIterator[Stage]:
    """Let a worker serve by this configuration, but before an origin of its own."""
    Counted.opened = []
    listeners = open_listeners(["127.0.0.1:0"])
    origin = Origin()
    server = await asyncio.start_server(origin, "127.0.0.1", 0)
    config = replace(config, upstream=UpstreamConfig(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    worker = Worker(config)
    await worker.prepare()
    await worker.server.start(listeners)
    try:
        async with asyncio.timeout(PATIENCE):
            yield Stage(worker, origin, config, listeners[0].getsockname()[1])
    finally:
        origin.go_on.set()
        await worker.server.drain(Seconds(1))
        await worker.finish()
        close_listeners(listeners)
        server.close()
        await asyncio.gather(*filter(None, origin.running))


def more_patient(config: Config) -> Config:
    """Return it with another entry for ``far``."""
    far = replace(config.CACHES["far"], DEADLINE=Seconds(0.2))
    return replace(config, CACHES={**config.CACHES, "far": far})


async def test_what_is_named_as_before_stays_open(config: Config) -> None:
    async with playing(config) as stage:
        await stage.get("/page")
        await stage.get("/near/page")
        await stage.worker.change(replace(stage.config, stale_if_error=Seconds(1)))
        assert b"sitecache; hit" in await stage.get("/page")
        assert b"sitecache; hit" in await stage.get("/near/page")
        assert stage.origin.asked == ["/page", "/near/page"]
        assert len(Counted.opened) == 1
        assert stage.value("sitecache_upstream_connections_opened_total") == 1
    assert Counted.opened[0].closed.is_set()


async def test_what_is_replaced_is_closed_after_its_last_exchange(config: Config) -> None:
    async with playing(config) as stage:
        # What it counts purges by.
        own = len(Counted.opened[0])
        await stage.get("/page")
        asked = await stage.ask("/slow")
        sets = stage.value("sitecache_storage_operation_duration_seconds", "far", "set", "+Inf")
        await stage.worker.change(more_patient(stage.config))
        first, second = Counted.opened
        assert b"fwd=uri-miss" in await stage.get("/page")
        assert not first.closed.is_set()
        stage.origin.go_on.set()
        assert await asked.body() == b"hello"
        await first.closed.wait()
        # It had been stored where the exchange had begun.
        assert len(first) == own + 2
        assert not second.closed.is_set()
        assert stage.value("sitecache_storage_operation_duration_seconds", "far", "set", "+Inf") >= sets
        assert stage.value("sitecache_requests_total", "GET", "2xx", "uri-miss") == 3
    assert second.closed.is_set()


async def test_what_is_owed_to_it_is_said_before(config: Config) -> None:
    async with playing(config) as stage:
        first = Counted.opened[0]
        own = len(first)
        await stage.get("/page")
        first.fails = True
        await stage.get("/page", "POST")
        await stage.worker.change(more_patient(stage.config))
        assert stage.value("sitecache_storage_errors_total", "far", "error") > 0
        errors = stage.value("sitecache_storage_errors_total", "far", "error")
        assert not first.closed.is_set()
        first.fails = False
        await first.closed.wait()
        # The page is gone, and what is new is the mark of its path.
        assert len(first) == own + 1
        assert stage.value("sitecache_storage_errors_total", "far", "error") >= errors


async def test_what_comes_back_before_it_was_closed_goes_on(config: Config) -> None:
    async with playing(config) as stage:
        await stage.get("/page")
        asked = await stage.ask("/slow")
        await stage.worker.change(more_patient(stage.config))
        await stage.worker.change(stage.config)
        first, second = Counted.opened
        assert b"sitecache; hit" in await stage.get("/page")
        stage.origin.go_on.set()
        await asked.body()
        await second.closed.wait()
        assert b"sitecache; hit" in await stage.get("/slow")
        assert not first.closed.is_set()


async def test_what_was_built_in_vain_is_closed(config: Config, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("none")
    async with playing(config) as stage:
        await stage.get("/page")
        # Its storage is opened before the certificates of the other site are read.
        whole = SiteConfig(("whole.test",), stage.config.upstream, CACHE_MIDDLEWARE_ALIAS="more")
        broken = UpstreamConfig("https://127.0.0.1:1", ca_file=str(authority))
        with pytest.raises(OSError, match="certificate"):
            await stage.worker.change(replace(stage.config, upstream=broken, sites={"whole": whole}))
        assert [one.closed.is_set() for one in Counted.opened] == [False, True]
        assert b"sitecache; hit" in await stage.get("/page")
        assert stage.worker.config is stage.config


async def test_what_cannot_be_closed_is_a_line(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    async with playing(config) as stage:
        Counted.opened[0].fails = True
        await stage.worker.change(more_patient(stage.config))
        assert stage.worker._tidying is not None
        await stage.worker._tidying
        assert "storage 'far' could not be closed: OSError: told to" in caplog.text
        await stage.get("/page")
        Counted.opened[0].fails = False


async def test_a_memory_that_is_named_no_more_leaves_its_counts(config: Config) -> None:
    near = replace(config.CACHES["near"], OPTIONS=replace(config.CACHES["near"].OPTIONS, MAX_ENTRIES=1))  # type: ignore[arg-type, type-var]
    config = replace(config, CACHES={**config.CACHES, "near": near})
    async with playing(config) as stage:
        for path in ("/near/1", "/near/2", "/near/3"):
            await stage.get(path)
        assert stage.value("sitecache_evictions_total", "near") == 2
        await stage.worker.change(replace(stage.config, routes=()))
        assert stage.value("sitecache_evictions_total", "near") == 2
        assert stage.value("sitecache_store_entries", "near") == 0
        await stage.worker.change(stage.config)
        assert b"fwd=uri-miss" in await stage.get("/near/3")


async def test_an_origin_that_is_gone_leaves_its_counts(config: Config) -> None:
    async with playing(config) as stage:
        asked = await stage.ask("/slow")
        await stage.get("/page")
        assert stage.value("sitecache_upstream_connections", "idle") == 1
        await stage.worker.change(replace(stage.config, upstream=UpstreamConfig("http://127.0.0.1:1")))
        assert stage.value("sitecache_upstream_connections", "idle") == 0
        stage.origin.go_on.set()
        await asked.body()
        # Its connections have ended, and so has the look for what is used no more.
        await asyncio.gather(*filter(None, stage.origin.running))
        assert stage.worker._tidying is not None
        await stage.worker._tidying
        assert stage.value("sitecache_upstream_requests_total") == 2
        assert stage.value("sitecache_upstream_connections_opened_total") == 2
        await stage.worker.change(stage.config)
        await stage.get("/other")
        assert stage.value("sitecache_upstream_requests_total") == 3
        assert stage.value("sitecache_upstream_connections", "idle") == 1
