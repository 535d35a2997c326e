"""What do the tests of storages share? An origin, storages of every kind, a way to their records, and many clients."""

from __future__ import annotations

import asyncio
import http.client
import random
import threading
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

import redis
import yaml
from pymemcache import Client
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from proxy.storage.createcachetable import create_cache_table
from proxy.storage.databases import read_databases
from tests.storage import mariadb, postgresql
from tests.storage.servers import Server, running
from tests.system.processes import PATIENCE, Process, start_proxy

# The origin.

NOISE = b"\n" + b64encode(random.Random(1).randbytes(562_500))


class Origin(ThreadingHTTPServer):
    """An origin whose pages count how often they were made.

    Below their first line, ``/large...`` have a quarter of a megabyte that nothing compresses, and ``/huge`` has three.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.made: Counter[str] = Counter()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Origin

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.made[self.path] += 1
            body = f"{self.path} made {self.server.made[self.path]} times".encode()
        if self.path.startswith("/large"):
            body += NOISE[:250_000]
        if self.path.startswith("/huge"):
            body += NOISE
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("xkey", f"pages {self.path}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# The proxies.


@dataclass
class Proxies:
    """Starts proxies before one origin, with the settings it is given."""

    origin: Origin
    directory: Path
    stack: ExitStack
    _number: int = 0

    def start(self, settings: Mapping[str, object]) -> tuple[Process, int]:
        self._number += 1
        file = self.directory / f"site{self._number}.yaml"
        file.write_text(yaml.safe_dump(settings))
        process, port = start_proxy(self.origin.url, "--config", str(file), "--access-log", "off")
        self.stack.callback(process.stop)
        return process, port


@contextmanager
def proxies(directory: Path) -> Iterator[Proxies]:
    with Origin() as origin, ExitStack() as stack:
        yield Proxies(origin, directory, stack)
        origin.shutdown()


def get(port: int, path: str = "/page") -> tuple[str, str]:
    """Return the page and what the cache did with the request; it must be the right page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers={"Host": "site.test"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200
    assert body.startswith(f"{path} made ")
    return body.partition("\n")[0], response.headers["Cache-Status"].removeprefix("sitecache; ")


def until(port: int, wanted: str, path: str = "/page") -> str:
    """Ask until the cache says this, at its beginning or its end; return the page."""
    while True:
        body, said = get(port, path)
        if said.startswith(wanted) or said.endswith(wanted):
            return body


# The storages.


@dataclass
class Storage:
    """A kind of storage that runs."""

    cache: Mapping[str, object]
    """Its entry of CACHES."""
    beside: Mapping[str, object] = field(default_factory=dict)
    """What stands beside CACHES."""
    server: Server | None = None
    records: Callable[[], dict[str, bytes]] = dict
    """Everything that lies there, as the backend gave it away, by its key or its file."""
    put: Callable[[str, bytes], None] = lambda _name, _record: None

    def settings(self, **more: object) -> dict[str, object]:
        return {"CACHES": {"default": {**self.cache, **more}}, **self.beside}

    def of(self, prefix: str) -> dict[str, bytes]:
        """Return the records with that KEY_PREFIX; files lie in a directory that nobody else uses."""
        return {name: record for name, record in self.records().items() if name.startswith((f"{prefix}:", "/"))}

    def until_stored(self, prefix: str, path: str) -> None:
        """Return when the page lies there: whoever stores one has hits of it before."""
        key = b"%d:%b" % (len(path), path.encode())
        while not any(key in record for record in self.of(prefix).values()):
            pass

    def through(self, port: int, **more: object) -> dict[str, object]:
        """Return the settings of a way to its server that begins at another port."""
        text = yaml.safe_dump(self.settings(**more))
        return yaml.safe_load(text.replace(f":{self.server.port}", f":{port}"))


DJANGO = "django.core.cache.backends"


@contextmanager
def in_redis(*arguments: str) -> Iterator[Storage]:
    with running("redis-server", *arguments, listen="tcp") as server, redis.Redis(port=server.port) as client:
        yield Storage(
            {"BACKEND": f"{DJANGO}.redis.RedisCache", "LOCATION": f"redis://{server.name}"},
            server=server,
            records=lambda: {name.decode(): client.get(name) for name in client.scan_iter()},
            put=lambda name, record: client.set(name, record, keepttl=True),
        )


@contextmanager
def in_memcached(*arguments: str, backend: str = "PyMemcacheCache") -> Iterator[Storage]:
    with running("memcached", *arguments, listen="tcp") as server:

        def records() -> dict[str, bytes]:
            with closing(Client(server.address)) as client:
                said = client.raw_command(b"lru_crawler metadump all", b"END\r\n").decode().splitlines()
                names = [unquote(line.split()[0].removeprefix("key=")) for line in said if line.startswith("key=")]
                return client.get_many(names)

        def put(name: str, record: bytes) -> None:
            with closing(Client(server.address)) as client:
                client.set(name, record, noreply=False)

        yield Storage(
            {"BACKEND": f"{DJANGO}.memcached.{backend}", "LOCATION": server.name},
            server=server,
            records=records,
            put=put,
        )


@contextmanager
def in_pylibmc(*arguments: str) -> Iterator[Storage]:
    with in_memcached(*arguments, backend="PyLibMCCache") as storage:
        yield storage


def in_table(url: str, server: Server | None = None) -> Storage:
    """Make a table of that database, and return it as a storage."""
    databases = read_databases({"default": url}, None)
    asyncio.run(create_cache_table(databases, "default", "pages"))

    def run(work) -> object:
        async def whole() -> object:
            engine = create_async_engine(databases.url("default"))
            try:
                async with engine.begin() as connection:
                    return await work(connection)
            finally:
                await engine.dispose()

        return asyncio.run(whole())

    def records() -> dict[str, bytes]:
        async def read(connection: AsyncConnection) -> dict[str, bytes]:
            rows = await connection.execute(text("SELECT cache_key, value FROM pages"))
            return {key: b64decode(value) for key, value in rows}

        return run(read)

    def put(name: str, record: bytes) -> None:
        sql = text("UPDATE pages SET value = :value WHERE cache_key = :key")
        run(lambda connection: connection.execute(sql, {"key": name, "value": b64encode(record).decode()}))

    cache = {"BACKEND": f"{DJANGO}.db.DatabaseCache", "LOCATION": "pages", "OPTIONS": {"MAX_ENTRIES": 10_000}}
    return Storage(cache, {"DATABASES": {"default": url}}, server, records, put)


@contextmanager
def in_sqlite() -> Iterator[Storage]:
    with TemporaryDirectory() as directory:
        yield in_table(f"sqlite:///{directory}/pages.sqlite3")


@contextmanager
def in_postgresql() -> Iterator[Storage]:
    with postgresql.postgresql() as server:
        yield in_table(postgresql.address(server), server)


@contextmanager
def in_mariadb() -> Iterator[Storage]:
    with mariadb.mariadb() as server:
        yield in_table(mariadb.address(server), server)


def _is_value(file: Path) -> bool:
    # Others hold nothing: they are there to be locked.
    return file.is_file() and file.stat().st_size > 0


@contextmanager
def in_files() -> Iterator[Storage]:
    with TemporaryDirectory() as directory:
        place = Path(directory) / "pages"
        yield Storage(
            {"BACKEND": f"{DJANGO}.filebased.FileBasedCache", "LOCATION": str(place)},
            records=lambda: {str(file): file.read_bytes() for file in place.rglob("*") if _is_value(file)},
            put=lambda name, record: Path(name).write_bytes(record) and None,
        )


SERVED = {"redis": in_redis, "memcached": in_memcached, "pylibmc": in_pylibmc}
DATABASES = {"postgresql": in_postgresql, "mariadb": in_mariadb}
STORAGES = {**SERVED, **DATABASES, "sqlite": in_sqlite, "files": in_files}
"""How each kind is started."""


# Clients.


class Load:
    """Many clients on connections that stay open, each asking for one page after the other."""

    def __init__(self, port: int, clients: int = 24, pages: int = 40) -> None:
        self.prefix = "/before"
        self.answers = self.hits = 0
        self.faults: list[str] = []
        self.said: Counter[str] = Counter()
        self._port = port
        self._clients = clients
        self._pages = pages
        self._news = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._visit(number)) for number in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when this is so; it is asked for after every answer."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def more(self, answers: int = 0, hits: int = 0) -> None:
        """Return after so many more answers, and so many more hits."""
        wanted = self.answers + answers, self.hits + hits
        await self.until(lambda: self.answers >= wanted[0] and self.hits >= wanted[1])

    async def _visit(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                number += 1
                await self._ask(reader, writer, f"{self.prefix}/{number % self._pages}")
        except (OSError, EOFError, ValueError, AssertionError) as error:
            self.faults.append(repr(error))
        finally:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: site.test\r\n\r\n".encode())
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        values = dict(field.split(": ", 1) for field in fields if field)
        body = (await reader.readexactly(int(values["content-length"]))).decode()
        assert line.startswith("http/1.1 200 "), line
        assert body.startswith(f"{path} made "), body
        self.answers += 1
        said = values["cache-status"]
        self.hits += "; hit" in said
        self.said[said.partition("; detail=")[2]] += 1
        self._news.set()
