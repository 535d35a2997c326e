"""Does a changed configuration take effect while clients are served, and a broken one none? FEATURES S35."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.system.processes import PATIENCE, Process
from tests.system.scripted import Script, get, listening, request, response, run_proxy, tcp_port
from tests.system.test_routes import Answer, Origin
from tests.system.test_workers import metric, wait_for_end, workers

ROUTE = {"match": "/new/*", "cache_control": {"max_age": 77}}


class Running:
    """A proxy whose file can be written again."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.settings = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "CACHE_MIDDLEWARE_SECONDS": 600, **settings}
        self._directory = directory
        self.process = run_proxy(directory, self.settings)
        self.port = tcp_port(self.process)

    @property
    def file(self) -> Path:
        return next(self._directory.glob("sitecache-*.yaml"))

    def write(self, **changed: Any) -> None:
        self.settings |= changed
        self.file.write_text(json.dumps(self.settings))

    def signal(self, expected: str) -> list[str]:
        """Have the file read again; return the lines up to the one that is expected."""
        start = len(self.process.lines())
        self.process.signal(signal.SIGHUP)
        self.process.wait_for(expected, start=start)
        return self.process.lines()[start:]

    def reload(self, **changed: Any) -> list[str]:
        self.write(**changed)
        return self.signal(rf"^sitecache: reloaded {self.file}$")

    def ask(self, path: str, method: str = "GET", **fields: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, headers={"Host": "site.test", **fields})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def metric(self, line: str) -> float:
        return metric(self.process, line)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server
        server.shutdown()


Start = Callable[..., Running]


@pytest.fixture
def start(origin: Origin, tmp_path: Path) -> Iterator[Start]:
    """Start a proxy before the origin, with these settings."""
    with ExitStack() as stack:

        def started(**settings: Any) -> Running:
            running = Running(tmp_path, {"upstream": origin.url, **settings})
            stack.callback(running.process.stop)
            return running

        yield started


class Visitor(threading.Thread):
    """A client that asks for one page after the other over one connection, until it is told to stop."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__()
        self._port = port
        self._number = number
        self.stopped = threading.Event()
        self.statuses: list[int] = []
        self.faults: list[Exception] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        connection.connect()
        # http.client would connect again without a word where the proxy hung up.
        connection.auto_open = 0
        try:
            while not self.stopped.is_set():
                path = f"/{'page' if len(self.statuses) % 2 else 'own'}/{self._number}-{len(self.statuses) % 20}"
                connection.request("GET", path, headers={"Host": "site.test"})
                answered = connection.getresponse()
                answered.read()
                self.statuses.append(answered.status)
        except (OSError, http.client.HTTPException) as error:
            self.faults.append(error)
        finally:
            connection.close()


@pytest.mark.parametrize("count", [1, 2])
def test_nobody_notices_five_reloads_but_for_what_they_bring(start: Start, count: int) -> None:
    site = start(workers=count, routes=[{"match": "/own/*", "never_cache": True}])
    visitors = [Visitor(site.port, number) for number in range(6)]
    for visitor in visitors:
        visitor.start()
    try:
        for number in range(5):
            path = f"/new{number}/"
            assert site.ask(f"{path}before").fields["Cache-Control"] == "max-age=600"
            route = {"match": f"{path}*", "cache_control": {"max_age": 50 + number}}
            site.reload(routes=[*site.settings["routes"], route])
            answers = [site.ask(f"{path}{each}") for each in range(8)]
            assert {answer.fields["Cache-Control"] for answer in answers} == {f"max-age={50 + number}"}
    finally:
        for visitor in visitors:
            visitor.stopped.set()
        for visitor in visitors:
            visitor.join(PATIENCE)
    assert [visitor.faults for visitor in visitors] == [[]] * 6
    statuses = [status for visitor in visitors for status in visitor.statuses]
    assert set(statuses) == {200}
    assert len(statuses) > 6 * 5
    # Nothing that was counted before a reload is lost by it.
    assert site.metric("sitecache_requests_total{") == len(statuses) + 5 * 9
    assert site.metric('sitecache_reloads_total{result="success"}') == 5
    assert "Traceback" not in site.process.output()


@pytest.mark.parametrize("count", [1, 2])
def test_a_broken_file_changes_nothing_and_each_fault_is_a_line(start: Start, count: int) -> None:
    site = start(workers=count, routes=[ROUTE])
    assert not site.ask("/new/page").is_hit
    site.write(routes=[{"match": "/new/*", "bypas": True}], timeouts={"idle": "soon"})
    said = site.signal("not reloaded")
    assert {line.split(": expected")[0] for line in said[:2]} == {
        f"sitecache: config error: {site.file}:1: routes[0].bypas",
        f"sitecache: config error: {site.file}:1: timeouts.idle",
    }
    assert said[2:] == [f"sitecache: not reloaded {site.file}: the configuration stays as it was"]
    answer = site.ask("/new/other")
    assert answer.fields["Cache-Control"] == "max-age=77"
    site.file.write_text("routes: [")
    assert len(site.signal("not reloaded")) == 2
    assert site.metric('sitecache_reloads_total{result="failure"}') == 2
    assert site.metric('sitecache_reloads_total{result="success"}') == 0
    assert site.metric("sitecache_last_reload_time_seconds") == 0
    site.reload(routes=[], timeouts={})
    assert site.metric("sitecache_last_reload_time_seconds") > 0
    assert site.ask("/new/third").fields["Cache-Control"] == "max-age=600"


@pytest.mark.parametrize("count", [1, 2])
def test_what_can_be_read_and_not_be_built_changes_nothing(start: Start, tmp_path: Path, count: int) -> None:
    site = start(workers=count)
    before = workers(site.process)
    authority = tmp_path / "ca.pem"
    authority.write_text("none")
    site.write(upstream={"url": "https://127.0.0.1:1", "ca_file": str(authority)})
    said = site.signal("not reloaded")
    assert [line.startswith("sitecache: config error: ") for line in said[-2:]] == [True, False]
    assert site.ask("/").status == 200
    assert workers(site.process) == before
    assert site.metric('sitecache_reloads_total{result="failure"}') == 1


def test_pages_stay_hits_where_a_route_is_added(start: Start, origin: Origin) -> None:
    caches = {"default": {"BACKEND": "locmem"}, "other": {"BACKEND": "locmem", "LOCATION": "other"}}
    site = start(CACHES=caches, routes=[{"match": "/other/*", "cache": "other"}])
    paths = ["/one", "/two", "/other/one"]
    for path in paths:
        site.ask(path)
    site.reload(routes=[ROUTE, *site.settings["routes"]])
    assert [site.ask(path).is_hit for path in paths] == [True] * 3
    assert site.metric('sitecache_store_entries{alias="other"}') == 1
    # Other limits make it another store.
    caches["other"] = caches["other"] | {"OPTIONS": {"MAX_ENTRIES": 7}}  # type: ignore[dict-item]
    site.reload(CACHES=caches)
    assert [site.ask(path).is_hit for path in paths] == [True, True, False]
    assert origin.asked["/other/one"] == 2


def test_pages_in_memory_begin_anew_where_queries_mean_something_else(start: Start) -> None:
    site = start()
    site.ask("/page")
    assert site.ask("/page").is_hit
    site.reload(no_vary_search=True)
    assert not site.ask("/page").is_hit


def test_pages_in_memory_begin_anew_where_cookies_mean_something_else(start: Start) -> None:
    site = start(cookies={"ignore": ["visitor"]})
    site.ask("/page", Cookie="visitor=1")
    assert site.ask("/page", Cookie="visitor=2").is_hit
    site.reload(cookies={"ignore": ["seen"]})
    assert not site.ask("/page").is_hit


def test_pages_in_memory_begin_anew_where_a_route_does_not_share_cookies_any_more(start: Start) -> None:
    site = start(routes=[{"set_cookie": "explicit"}])
    site.ask("/page")
    assert site.ask("/page").is_hit
    site.reload(routes=[{"cache_page": "5m"}])
    assert not site.ask("/page").is_hit


def test_what_needs_a_restart_is_said_and_stays(start: Start) -> None:
    site = start(admin={"listen": "127.0.0.1:0", "token": "0123456789abcdef"})
    said = site.reload(listen="127.0.0.1:1", workers=2, access_log="text", routes=[ROUTE], CACHE_MIDDLEWARE_SECONDS=5)
    assert said[-2:] == [
        f"sitecache: listen, workers, access_log in {site.file}: takes effect at the next start",
        f"sitecache: reloaded {site.file}",
    ]
    assert site.ask("/new/page").fields["Cache-Control"] == "max-age=77"
    assert site.ask("/page").fields["Cache-Control"] == "max-age=5"
    said = site.reload(CACHES={"default": {"BACKEND": "dummy"}})
    assert said[-2:] == [
        f"sitecache: CACHES in {site.file}: for the caches over HTTP, at the next start",
        f"sitecache: reloaded {site.file}",
    ]
    assert workers(site.process) == []


def test_options_and_environment_stay_above_the_file(origin: Origin, tmp_path: Path) -> None:
    # The file names an origin that nobody is at; SITECACHE_UPSTREAM is the one.
    file = tmp_path / "site.yaml"
    settings = {"upstream": "http://127.0.0.1:9", "listen": "127.0.0.1:0", "admin": "off"}
    file.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(file), "--access-log", "text"]
    process = Process("sitecache", command, {"SITECACHE_UPSTREAM": origin.url})
    try:
        process.wait_for(r"^sitecache: ready")
        file.write_text(json.dumps({**settings, "routes": [ROUTE]}))
        process.signal(signal.SIGHUP)
        process.wait_for("reloaded")
        connection = http.client.HTTPConnection("127.0.0.1", tcp_port(process), timeout=PATIENCE)
        connection.request("GET", "/new/page")
        assert Answer(connection.getresponse()).fields["Cache-Control"] == "max-age=77"
        connection.close()
        assert "next start" not in process.output()
    finally:
        process.stop()


def test_connections_go_by_the_new_limits_from_their_next_request_on(start: Start) -> None:
    site = start()
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
    path = "/" + "x" * 2000
    connection.request("GET", path)
    assert Answer(connection.getresponse()).status == 200
    site.reload(limits={"target": "1KiB"})
    connection.request("GET", path)
    assert Answer(connection.getresponse()).status == 414
    connection.close()


def reloading(script: Script, directory: Path) -> Callable[..., None]:
    """Return what has the proxy of a script go by other settings."""
    file = next(directory.glob("sitecache-*.yaml"))
    settings = json.loads(file.read_text())

    def reload(**changed: Any) -> None:
        file.write_text(json.dumps(settings | changed))
        start = len(script.proxy.lines())
        script.proxy.signal(signal.SIGHUP)
        script.proxy.wait_for("sitecache: reloaded", start=start)

    return reload


def test_what_runs_ends_by_the_old_and_what_begins_goes_by_the_new(tmp_path: Path) -> None:
    with Script(tmp_path, {"CACHE_MIDDLEWARE_KEY_PREFIX": "a"}, listening()) as script, Origin("new") as other:
        reload = reloading(script, tmp_path)
        waiting = script.client(get(b"/page"))
        asked = script.accept(b"/page")
        streaming = script.client(get(b"/streaming"))
        stream = script.accept(b"/streaming")
        stream.send(response(b"Cache-Control: max-age=60", b"Content-Length: 10"), b"hello")
        streaming.until(b"hello")
        writing = script.client(request(b"POST", b"/both", b"Content-Length: 0"))
        write = script.accept(b"/both")
        idle, kept = script.exchange(b"/idle", response(b"Cache-Control: no-store", body=b"x"))
        assert idle.response() == (200, b"x")
        reload(upstream=other.url, CACHE_MIDDLEWARE_KEY_PREFIX="b")
        # The old pool keeps nothing: what was idle there ends at once.
        assert kept.rest() == b""
        fresh = script.client(get(b"/page"))
        assert fresh.response() == (200, b"new /page 1")
        asked.send(response(b"Cache-Control: max-age=60", body=b"old"))
        assert waiting.response() == (200, b"old")
        stream.send(b"world")
        assert streaming.read(5) == b"world"
        # A write that began before makes invalid what was stored since.
        assert script.client(get(b"/both")).response() == (200, b"new /both 1")
        assert script.client(get(b"/both")).response() == (200, b"new /both 1")
        write.send(response(body=b"done"))
        assert writing.response() == (200, b"done")
        assert script.client(get(b"/both")).response() == (200, b"new /both 2")
        for wire in (asked, stream):
            assert wire.rest() == b""
        # What the old ones have stored is there for whoever goes back.
        reload()
        back = script.client(get(b"/page"))
        assert back.response() == (200, b"old")
        other.shutdown()


def test_what_a_write_under_the_new_made_invalid_is_not_stored_by_the_old(tmp_path: Path) -> None:
    with Script(tmp_path, {}, listening()) as script, Origin("new") as other:
        reload = reloading(script, tmp_path)
        client = script.client(get(b"/page"))
        asked = script.accept(b"/page")
        reload(upstream=other.url)
        written = script.client(request(b"POST", b"/page", b"Content-Length: 0"))
        assert written.response() == (200, b"new /page 1")
        # The answer of before the write is for who asked then, and is not stored.
        asked.send(response(b"Cache-Control: max-age=60", body=b"old"))
        assert client.response() == (200, b"old")
        assert script.client(get(b"/page")).response() == (200, b"new /page 2")
        other.shutdown()


def test_flights_of_before_are_not_joined(tmp_path: Path) -> None:
    with Script(tmp_path, {}, listening()) as script, Origin("new") as other:
        reload = reloading(script, tmp_path)
        client = script.client(get(b"/page"))
        asked = script.accept(b"/page")
        reload(upstream=other.url)
        assert script.client(get(b"/page")).response() == (200, b"new /page 1")
        asked.send(response(b"Cache-Control: max-age=60", body=b"old"))
        assert client.response() == (200, b"old")
        other.shutdown()


class TestWorkers:
    def test_one_that_is_replaced_starts_with_the_new(self, start: Start) -> None:
        site = start(workers=2)
        site.reload(routes=[ROUTE])
        for pid in workers(site.process):
            os.kill(pid, signal.SIGKILL)
            wait_for_end(pid)
        for number in (0, 1):
            site.process.wait_for(rf"worker {number} is back")
        answers = [site.ask(f"/new/{each}") for each in range(8)]
        assert {answer.fields["Cache-Control"] for answer in answers} == {"max-age=77"}

    def test_one_that_starts_meanwhile_changes_over(self, start: Start) -> None:
        site = start(workers=2)
        first, second = workers(site.process)
        os.kill(first, signal.SIGKILL)
        site.process.wait_for(r"worker \d ended with -9")
        while not (started := set(workers(site.process)) - {first, second}):
            time.sleep(0.001)  # nothing says that a process has started before it is ready
        os.kill(next(iter(started)), signal.SIGSTOP)
        site.reload(routes=[ROUTE])
        os.kill(next(iter(started)), signal.SIGCONT)
        site.process.wait_for(r"worker \d is back")
        os.kill(second, signal.SIGKILL)
        wait_for_end(second)
        answers = [site.ask(f"/new/{each}") for each in range(8)]
        assert {answer.fields["Cache-Control"] for answer in answers} == {"max-age=77"}

    def test_one_that_does_not_answer_is_replaced(self, start: Start) -> None:
        site = start(workers=2)
        first, second = workers(site.process)
        os.kill(first, signal.SIGSTOP)
        start_at = len(site.process.lines())
        site.write(routes=[ROUTE])
        site.process.signal(signal.SIGHUP)
        os.kill(first, signal.SIGKILL)
        site.process.wait_for("sitecache: reloaded", start=start_at)
        site.process.wait_for(r"worker \d is back")
        assert second in workers(site.process)
        answers = [site.ask(f"/new/{each}") for each in range(8)]
        assert {answer.fields["Cache-Control"] for answer in answers} == {"max-age=77"}

    def test_they_do_not_mind_a_hangup_of_their_own(self, start: Start) -> None:
        site = start(workers=2)
        before = workers(site.process)
        for pid in before:
            os.kill(pid, signal.SIGHUP)
        site.reload(routes=[ROUTE])
        assert workers(site.process) == before


def test_without_a_file_a_hangup_ends_it_as_ever(origin: Origin) -> None:
    # Under nohup every process is deaf to it, ours included.
    command = ["env", "--default-signal=HUP", sys.executable, "-m", "proxy", "serve", "--upstream", origin.url]
    process = Process("sitecache", [*command, "--listen", "127.0.0.1:0", "--admin", "off"])
    try:
        process.wait_for("^sitecache: ready")
        process.signal(signal.SIGHUP)
        assert process.wait() == -signal.SIGHUP
    finally:
        process.stop()
