"""Does each alert rule fire when a real proxy gets into what it is for? By what its metrics page says then."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.storage.servers import await_that, running
from tests.system.processes import PATIENCE, ROOT, Process, admin_port, start_proxy
from tests.system.promtool import ALERTS, INTERVAL, RULES, Phase, alerts, promtool, show, silent
from tests.system.test_workers import workers

MINUTES = 60 // INTERVAL


class _Pages(BaseHTTPRequestHandler):
    """Pages that may be stored for ten minutes; what begins with /never may not, and /broken is an error."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Cache-Control", "no-store" if self.path.startswith("/never") else "max-age=600")
        self.send_header("Content-Length", "4")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"page")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Running:
    """An origin, and a proxy before it."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.stack = stack
        self.origin = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
        self.origin.daemon_threads = True
        threading.Thread(target=self.origin.serve_forever, args=(0.02,), daemon=True).start()
        stack.callback(self.stop_origin)
        self.file = directory / "site.yaml"
        self.process: Process
        self.port = 0

    def stop_origin(self) -> None:
        self.origin.shutdown()
        self.origin.server_close()

    def start(self, **settings: Any) -> None:
        self.file.write_text(yaml.safe_dump(settings))
        upstream = f"http://127.0.0.1:{self.origin.server_port}"
        self.process, self.port = start_proxy(upstream, "--config", str(self.file), "--access-log", "off")
        self.stack.callback(self.process.stop)

    def ask(self, path: str, method: str = "GET") -> str:
        """Return what the cache did."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, headers={"Host": "site.test", "Connection": "close"})
        response = connection.getresponse()
        response.read()
        connection.close()
        return str(response.headers["Cache-Status"])

    def scrape(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", admin_port(self.process), timeout=PATIENCE)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
        return page

    def says(self, line: str) -> bool:
        """Tell whether the page has a line that begins like this."""
        return any(each.startswith(line) for each in self.scrape().splitlines())

    def alerts(self, phases: list[Phase], *names: str) -> None:
        for name in names:
            alerts(name, phases, self.directory)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Running]:
    with ExitStack() as stack:
        yield Running(tmp_path, stack)


Cause = Callable[[Running], None]
CAUSES: dict[str, Cause] = {}


def causes(*names: str) -> Callable[[Cause], Cause]:
    """Say which alerts a function has the proxy get into."""

    def register(cause: Cause) -> Cause:
        CAUSES.update(dict.fromkeys(names, cause))
        return cause

    return register


def lasting(before: str, after: str | None, **lasts: int) -> list[Phase]:
    """What is on the second page goes on for half an hour."""
    return [Phase(before, lasts.get("first", 4)), Phase(after, 30 * MINUTES)]


@causes("SitecacheDown")
def the_proxy_is_killed(proxy: Running) -> None:
    proxy.start()
    before = proxy.scrape()
    os.kill(proxy.process.pid, signal.SIGKILL)
    proxy.process.stop()
    with pytest.raises(OSError, match=r".+"):
        proxy.scrape()
    proxy.alerts(lasting(before, None), "SitecacheDown")


@causes("SitecacheOriginFailing", "SitecacheOriginErrors")
def the_origin_is_gone(proxy: Running) -> None:
    proxy.start()
    proxy.ask("/a")
    before = proxy.scrape()
    proxy.stop_origin()
    for number in range(4):
        assert "upstream-unreachable" in proxy.ask(f"/gone/{number}")
    proxy.alerts(lasting(before, proxy.scrape()), "SitecacheOriginFailing", "SitecacheOriginErrors")


def the_origin_answers_with_errors(proxy: Running) -> None:
    proxy.start()
    before = proxy.scrape()
    for _ in range(4):
        proxy.ask("/broken")
    proxy.alerts(lasting(before, proxy.scrape()), "SitecacheOriginErrors")


@causes("SitecacheStorageResting", "SitecacheStorageFailing", "SitecacheDeletionsOwed")
def redis_is_killed(proxy: Running) -> None:
    with running("redis-server") as redis:
        cache = {"BACKEND": "redis", "LOCATION": f"unix://{redis.name}", "DEADLINE": "2s", "BREAKER_FAILURES": 2}
        proxy.start(CACHES={"default": cache})
        await_that(lambda: "; hit" in proxy.ask("/a"))
        before = proxy.scrape()
        redis.kill()
        await_that(
            lambda: (
                "storage-failed" in proxy.ask("/a")
                and proxy.says("sitecache_storage_server_resting{")
                and (proxy.says('sitecache_storage_server_resting{alias="default",server="-"} 1'))
            )
        )
        proxy.ask("/a", "POST")
        await_that(lambda: not proxy.says('sitecache_storage_owed_deletions{alias="default"} 0'))
        proxy.alerts(
            lasting(before, proxy.scrape()),
            "SitecacheStorageResting",
            "SitecacheStorageFailing",
            "SitecacheDeletionsOwed",
        )


@causes("SitecacheHitRatioCollapsed")
def pages_are_not_stored_any_more(proxy: Running) -> None:
    proxy.start()
    proxy.ask("/a")
    first = proxy.scrape()
    for _ in range(70):
        proxy.ask("/a")
    hits = proxy.scrape()
    for _ in range(70):
        proxy.ask("/never/a")
    # In minutes, for Prometheus takes long over so many hours.
    phases = [Phase(first, 1), Phase(hits, 6 * 60), Phase(proxy.scrape(), 15)]
    alerts("SitecacheHitRatioCollapsed", phases, proxy.directory, interval=60)


@causes("SitecacheEventLoopLag")
def a_function_of_the_operator_blocks_the_loop(proxy: Running) -> None:
    cache = {
        "BACKEND": "filebased",
        "LOCATION": str(proxy.directory / "pages"),
        "KEY_FUNCTION": "tests.sites.slow_keys.make_key",
        "DEADLINE": "10s",
    }
    proxy.start(CACHES={"default": cache})
    before = proxy.scrape()
    proxy.ask("/a")
    proxy.alerts(lasting(before, proxy.scrape()), "SitecacheEventLoopLag")


@causes("SitecacheWorkersRestarting")
def workers_are_killed(proxy: Running) -> None:
    proxy.start(workers=2)
    before = proxy.scrape()
    for number in range(1, 4):
        await_that(lambda: len(workers(proxy.process)) == 2)
        os.kill(workers(proxy.process)[0], signal.SIGKILL)
        await_that(lambda number=number: proxy.says(f"sitecache_worker_restarts_total {number}"))
    proxy.alerts([Phase(before, 4), Phase(proxy.scrape(), 4)], "SitecacheWorkersRestarting")


@causes("SitecacheReloadFailed")
def the_new_configuration_has_a_fault(proxy: Running) -> None:
    proxy.start()
    before = proxy.scrape()
    proxy.file.write_text("CACHES: nothing\n")
    proxy.process.signal(signal.SIGHUP)
    proxy.process.wait_for("not reloaded")
    proxy.alerts(lasting(before, proxy.scrape()), "SitecacheReloadFailed")


@causes("SitecacheRejectedSurge")
def clients_send_what_is_not_http(proxy: Running) -> None:
    proxy.start()
    before = proxy.scrape()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    proxy.alerts(lasting(before, proxy.scrape()), "SitecacheRejectedSurge")


@causes("SitecacheEvictionPressure")
def the_cache_is_too_small(proxy: Running) -> None:
    proxy.start(CACHES={"default": {"BACKEND": "locmem", "OPTIONS": {"MAX_ENTRIES": 4}}})
    before = proxy.scrape()
    for number in range(40):
        proxy.ask(f"/{number}")
    proxy.alerts([Phase(before, 4), Phase(proxy.scrape(), 40 * MINUTES)], "SitecacheEvictionPressure")


@pytest.mark.parametrize("cause", [pytest.param(cause, id=cause.__name__) for cause in dict.fromkeys(CAUSES.values())])
def test_an_alert_fires_when_what_it_is_for_happens(cause: Cause, proxy: Running) -> None:
    cause(proxy)


def test_errors_of_the_origin_are_enough_for_an_alert(proxy: Running) -> None:
    the_origin_answers_with_errors(proxy)


def test_every_alert_has_its_cause() -> None:
    assert set(CAUSES) == set(ALERTS)


def test_none_fires_while_all_is_well(proxy: Running) -> None:
    proxy.start()
    proxy.ask("/a")
    before = proxy.scrape()
    for _ in range(3):
        proxy.ask("/a")
    page = proxy.scrape()
    silent(lasting(before, page), proxy.directory)
    assert "SUCCESS" in promtool("check", "rules", str(RULES))


def _queries() -> list[str]:
    """Return the queries of the dashboard, without asking only for what is more than 0."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "sitecache.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    for variable, value in {"$__rate_interval": "1m", "$job": "sitecache", "$instance": ".*", " > 0": ""}.items():
        queries = [query.replace(variable, value) for query in queries]
    return queries


def test_every_query_of_the_dashboard_has_something_to_show(proxy: Running) -> None:
    files = {"BACKEND": "filebased", "LOCATION": str(proxy.directory / "pages"), "OPTIONS": {"MAX_BYTES": 1_000_000}}
    redis = {"BACKEND": "redis", "LOCATION": f"unix://{proxy.directory}/nobody.sock", "BREAKER_FAILURES": 1}
    routes = [{"match": "/files*", "cache": "files"}, {"match": "/redis*", "cache": "redis"}]
    proxy.start(CACHES={"default": {"BACKEND": "locmem"}, "files": files, "redis": redis}, routes=routes)
    before = proxy.scrape()
    for path in ("/a", "/a", "/never", "/files", "/redis"):
        proxy.ask(path)
    await_that(lambda: proxy.says("sitecache_storage_server_resting{"))
    await_that(lambda: "; hit" in proxy.ask("/files"))
    show(_queries(), lasting(before, proxy.scrape()), proxy.directory)


def test_prometheus_finds_no_fault_with_the_page(proxy: Running) -> None:
    proxy.start(workers=2)
    proxy.ask("/a")
    await_that(lambda: "; hit" in proxy.ask("/a"))
    assert promtool("check", "metrics", given=proxy.scrape()) == ""
