"""Do several workers behave as one cache, whatever becomes of one of them?"""

from __future__ import annotations

import http.client
import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.system.processes import PATIENCE, Process
from tests.system.scripted import run_proxy, tcp_port
from tests.system.test_workers import metric, workers

SHARED = Path("/dev/shm")


class Origin(ThreadingHTTPServer):
    """Counts how often each page was made; ``/slow`` waits until it is let go."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.made: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.asked, self.go = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Origin

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.made[self.path] += 1
            body = f"{self.path} made {self.server.made[self.path]} times".encode()
        if self.path.startswith("/slow"):
            self.server.asked.set()
            self.server.go.wait(PATIENCE)
        if self.path.startswith("/large"):
            body += b"\n" + b"x" * 700_000
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600")
        if self.path.startswith("/varied"):
            self.send_header("Vary", "Accept-Language")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def handle(self) -> None:
        """Workers are killed while they talk to us."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server
        server.go.set()
        server.shutdown()


Start = Callable[..., "Site"]


class Site:
    """A proxy with two workers, of which the test says which one answers."""

    def __init__(self, directory: Path, origin: Origin, settings: dict[str, object]) -> None:
        self.file = directory / "site.yaml"
        whole = {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "workers": 2,
            "upstream": f"http://127.0.0.1:{origin.server_port}",
            **settings,
        }
        self.process: Process = run_proxy(directory, whole)
        self.port = tcp_port(self.process)
        self._wires: list[http.client.HTTPConnection] = []
        self.file = next(directory.glob("sitecache-*.yaml"))
        self.file.write_text(yaml.safe_dump(whole))

    def ask(self, path: str = "/page", method: str = "GET") -> tuple[str, str]:
        """Return the first line of the body and what the cache did, in whichever worker."""
        with closing(self._connection()) as connection:
            return exchanged(connection, path, method)

    def on(self, worker: int, path: str = "/page", method: str = "GET") -> tuple[str, str]:
        """The same, over a connection to this worker."""
        if not self._wires:
            self._wires = [self._connected(each) for each in (0, 1)]
        return exchanged(self._wires[worker], path, method)

    def _connected(self, worker: int) -> http.client.HTTPConnection:
        """Return a connection that this worker has accepted: the other one was stopped meanwhile."""
        other = workers(self.process)[1 - worker]
        connection = self._connection()
        os.kill(other, signal.SIGSTOP)
        try:
            exchanged(connection, "/nothing", "POST")
        finally:
            os.kill(other, signal.SIGCONT)
        return connection

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def stop(self) -> None:
        """End it."""
        for connection in self._wires:
            connection.close()
        self._wires = []
        self.process.stop()

    def directories(self) -> list[Path]:
        """Return where its caches lie."""
        return [each for each in SHARED.glob(f"sitecache-{os.geteuid()}-*") if self._has_open(each)]

    def _has_open(self, directory: Path) -> bool:
        said = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in workers(self.process))
        return f"{directory}/" in said


def exchanged(connection: http.client.HTTPConnection, path: str, method: str) -> tuple[str, str]:
    connection.request(method, path, b"change" if method == "POST" else None, {"Host": "site.test"})
    response = connection.getresponse()
    text = response.read().decode()
    assert response.status in (200, 204)
    return text.partition("\n")[0], response.headers["Cache-Status"].removeprefix("sitecache; ")


@pytest.fixture
def start(tmp_path: Path, origin: Origin) -> Iterator[Start]:
    started: list[Site] = []

    def one(**settings: object) -> Site:
        started.append(Site(tmp_path, origin, settings))
        return started[-1]

    yield one
    for site in started:
        site.stop()
        assert "Traceback" not in site.process.output()


@pytest.mark.parametrize("path", ["/page", "/varied"])
def test_what_one_worker_stores_is_a_hit_in_the_other(start: Start, origin: Origin, path: str) -> None:
    site = start()
    first, said = site.on(0, path)
    assert said.startswith("fwd=uri-miss"), said
    for worker in (1, 0, 1):
        again, said = site.on(worker, path)
        assert said.startswith("hit"), said
        assert again == first
    assert origin.made[path] == 1


@pytest.mark.parametrize("path", ["/page", "/varied"])
@pytest.mark.rfc(9111, "4.4")
def test_what_one_worker_invalidates_is_gone_in_all(start: Start, path: str) -> None:
    site = start()
    for turn in range(1, 4):
        for worker in (0, 1):
            assert site.on(worker, path)[0] == f"{path} made {turn} times"
        site.on(turn % 2, path, "POST")


@pytest.mark.rfc(9111, "4.4")
def test_what_was_asked_for_before_an_invalidation_elsewhere_is_not_stored(start: Start, origin: Origin) -> None:
    site = start()
    site.on(0, "/other")
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(site.on, 0, "/slow")
        assert origin.asked.wait(PATIENCE)
        site.on(1, "/slow", "POST")
        origin.go.set()
        assert got.result(PATIENCE)[0] == "/slow made 1 times"
    assert site.ask("/slow")[0] == "/slow made 2 times", "the page from before the change must not come back"
    assert site.ask("/slow")[1].startswith("hit")


def test_a_reload_keeps_what_is_stored(start: Start) -> None:
    site = start()
    site.ask()
    settings = yaml.safe_load(site.file.read_text())
    site.file.write_text(yaml.safe_dump({**settings, "CACHE_MIDDLEWARE_SECONDS": 7}))
    said = len(site.process.lines())
    site.process.signal(signal.SIGHUP)
    site.process.wait_for(r"^sitecache: reloaded", start=said)
    assert [site.on(worker)[1][:3] for worker in (0, 1)] == ["hit", "hit"]


def test_its_place_is_private_and_ends_with_it(start: Start) -> None:
    site = start()
    site.ask()
    (place,) = site.directories()
    modes = {each.name: oct(each.stat().st_mode & 0o777) for each in place.iterdir()}
    assert oct(place.stat().st_mode & 0o777) == "0o700"
    assert set(modes.values()) == {"0o600"}, modes
    site.stop()
    assert not place.exists()


def test_what_a_killed_proxy_leaves_is_removed_by_the_next(start: Start) -> None:
    site = start()
    site.ask()
    (place,) = site.directories()
    pids = workers(site.process)
    site.process.signal(signal.SIGKILL)
    site.process.wait()
    for pid in pids:
        while Path(f"/proc/{pid}").exists():
            pass
    assert place.exists()
    start()
    assert not place.exists()


def test_a_place_on_disk_survives_a_restart(start: Start, tmp_path: Path, origin: Origin) -> None:
    place = tmp_path / "pages"
    caches = {"default": {"BACKEND": "shared", "LOCATION": str(place), "OPTIONS": {"MAX_BYTES": "16MiB"}}}
    site = start(CACHES=caches)
    first = site.ask()[0]
    site.stop()
    again = start(CACHES=caches)
    assert again.ask() == (first, again.ask()[1])
    assert origin.made["/page"] == 1


def test_a_cache_that_does_not_fit_stops_the_start(tmp_path: Path, origin: Origin) -> None:
    caches = {"default": {"BACKEND": "shared", "OPTIONS": {"MAX_BYTES": "900TiB"}}}
    settings = {"upstream": f"http://127.0.0.1:{origin.server_port}", "CACHES": caches, "listen": "127.0.0.1:0"}
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump(settings))
    process = Process("sitecache", [sys.executable, "-m", "proxy", "serve", "--config", str(file)])
    assert process.wait() == 1
    assert "CACHES.default.OPTIONS.MAX_BYTES: expected room for 900TiB in '/dev/shm', found" in process.output()


def test_what_is_kept_counts_once(start: Start) -> None:
    site = start()
    for number in range(5):
        site.ask(f"/page{number}")
    assert metric(site.process, 'sitecache_storage_entries{alias="default"}') == 5


def test_workers_that_are_killed_under_load_damage_nothing(start: Start, origin: Origin) -> None:
    site = start(CACHES={"default": {"BACKEND": "shared", "OPTIONS": {"MAX_BYTES": "8MiB"}}})
    stop = threading.Event()
    wrong: list[str] = []
    lost: list[str] = []
    answered = Counter[str]()

    def load(seed: int) -> None:
        draw = random.Random(seed)
        while not stop.is_set():
            path = draw.choice([f"/page{draw.randrange(200)}", f"/large{draw.randrange(20)}"])
            try:
                body, said = site.ask(path, "POST" if draw.random() < 0.1 else "GET")
            except (OSError, http.client.HTTPException) as error:
                lost.append(f"{type(error).__name__}")
                continue
            answered[said.partition(";")[0].partition("=")[0]] += 1
            if body and not body.startswith(f"{path} made "):
                wrong.append(f"{path}: {body[:80]}")

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        before = sum(answered.values())
        while sum(answered.values()) < before + 150 and not wrong:
            stop.wait(0.01)
        said = len(site.process.lines())
        victim = workers(site.process)[turn % len(workers(site.process))]
        os.kill(victim, signal.SIGKILL)
        site.process.wait_for(r"worker \d is back", start=said)
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert not wrong
    # A killed worker loses what it had in hand: at most one request of each client, each time.
    assert len(lost) <= 6 * len(threads), Counter(lost)
    assert "begun anew" not in site.process.output()
    assert answered["hit"] > 0
    assert site.ask("/page1")[0].startswith("/page1 made ")
    # What large bodies were on their way has displaced what it will.
    while not site.ask("/page1")[1].startswith("hit"):
        assert origin.made["/page1"] < 1000


@pytest.mark.rfc(9111, "4")
def test_a_cold_page_is_asked_for_once_by_all_workers(start: Start, origin: Origin) -> None:
    site = start()
    got = ask_both(site, origin)
    origin.go.set()
    answers = sorted(each.result(PATIENCE) for each in got)
    assert [body for body, _ in answers] == ["/slow made 1 times"] * 2
    assert origin.made["/slow"] == 1


@pytest.mark.rfc(9111, "4")
def test_a_worker_that_is_killed_lets_the_others_ask_at_once(start: Start, origin: Origin) -> None:
    site = start()
    got = ask_both(site, origin)
    origin.asked.clear()
    said = len(site.process.lines())
    os.kill(workers(site.process)[0], signal.SIGKILL)
    assert origin.asked.wait(PATIENCE), "the other one asks now"
    origin.go.set()
    assert got[1].result(PATIENCE)[0] == "/slow made 2 times"
    assert got[0].exception(PATIENCE) is not None
    site.process.wait_for(r"worker \d is back", start=said)


def ask_both(site: Site, origin: Origin) -> list[Future[tuple[str, str]]]:
    """Ask both workers for one cold page; the second waits for the first."""
    site.on(0, "/other")
    pool = ThreadPoolExecutor(2)
    got = [pool.submit(site.on, 0, "/slow")]
    assert origin.asked.wait(PATIENCE)
    got.append(pool.submit(site.on, 1, "/slow"))
    # It waits in the kernel, for the lock that the first one holds.
    while not waits_for_a_lease(site):
        assert origin.made["/slow"] == 1
    pool.shutdown(wait=False)
    return got


def waits_for_a_lease(site: Site) -> bool:
    """Tell whether one of its workers waits until another gives a lease back."""
    (place,) = site.directories()
    file = f":{(place / 'leases').stat().st_ino} "
    return any("->" in line and file in line for line in Path("/proc/locks").read_text().splitlines())
