"""Do sites and routes decide over real connections what their settings say? FEATURES S27-S34, S55."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.storage.servers import running
from tests.system.processes import PATIENCE, Process
from tests.system.scripted import run_proxy, tcp_port


class Origin(ThreadingHTTPServer):
    """An origin that sends the fields its paths are told to have, and counts what it is asked."""

    daemon_threads = True

    def __init__(self, name: str = "one") -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.name = name
        self.fields: dict[str, list[tuple[str, str]]] = {}
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked[self.path] += 1
            body = f"{self.server.name} {self.path} {self.server.asked[self.path]}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        for name, value in self.server.fields.get(urlsplit(self.path).path, []):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.fields = response.headers
        self.body = response.read().decode()
        self.said = (response.headers["Cache-Status"] or "").removeprefix("sitecache; ")

    @property
    def is_hit(self) -> bool:
        return self.said.startswith("hit")

    @property
    def lasts(self) -> float:
        """Seconds from Date to Expires."""
        dates = [parsedate_to_datetime(self.fields[name]) for name in ("Date", "Expires")]
        return (dates[1] - dates[0]).total_seconds()


class Site:
    """A proxy with some settings."""

    def __init__(self, proxy: Process) -> None:
        self.port = tcp_port(proxy)
        self.proxy = proxy

    def ask(self, path: str, method: str = "GET", **fields: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, headers={"Host": "site.test", **fields})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer


Start = Callable[..., Site]


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server
        server.shutdown()


@pytest.fixture
def start(origin: Origin, tmp_path: Path) -> Iterator[Start]:
    """Start a proxy with these settings."""
    with ExitStack() as stack:

        def started(settings: Mapping[str, Any]) -> Site:
            whole = {"upstream": origin.url, "listen": "127.0.0.1:0", "admin": "off", "access_log": "text", **settings}
            proxy = run_proxy(tmp_path, whole)
            stack.callback(proxy.stop)
            return Site(proxy)

        yield started


def test_the_three_settings_of_the_middleware(start: Start, origin: Origin) -> None:
    with running("redis-server") as redis:
        caches = {
            "default": {"BACKEND": "redis", "LOCATION": f"unix://{redis.name}"},
            "other": {"BACKEND": "redis", "LOCATION": f"unix://{redis.name}", "KEY_PREFIX": "o"},
        }
        settings: list[dict[str, Any]] = [
            {"CACHE_MIDDLEWARE_SECONDS": 60},
            {"CACHE_MIDDLEWARE_ALIAS": "other"},
            {"CACHE_MIDDLEWARE_KEY_PREFIX": "p"},
        ]
        ages = []
        for each in settings:
            site = start({"CACHES": caches, "CACHE_MIDDLEWARE_SECONDS": 600, **each})
            first = site.ask("/page")
            assert first.said.startswith("fwd=uri-miss")
            assert site.ask("/page").is_hit
            ages.append((first.fields["Cache-Control"], first.lasts))
        assert ages == [("max-age=60", 60), ("max-age=600", 600), ("max-age=600", 600)]
        assert origin.asked["/page"] == 3


def test_query_strings_are_different_pages_unless_told_otherwise(start: Start, origin: Origin) -> None:
    site = start({"routes": [{"match": "/s", "query": {"ignore": ["utm_*"], "sort": True}}]})
    for path in ("/p?a=1&b=2", "/p?b=2&a=1", "/p?b=2&a=1&utm_x=1", "/s?a=1&b=2", "/s?utm_x=1&b=2&a=1", "/s?b=2&a=1"):
        site.ask(path)
    assert sorted(origin.asked) == ["/p?a=1&b=2", "/p?b=2&a=1", "/p?b=2&a=1&utm_x=1", "/s?a=1&b=2"]
    assert site.ask("/s?utm_y=3&b=2&a=1").is_hit


LASTING: dict[str, tuple[dict[str, Any], str | None, str | None, float | None]] = {
    "the-sites": ({}, None, "max-age=600", 600),
    "the-views-beats-the-sites": ({}, "max-age=60", "max-age=60", None),
    "the-routes-over": ({"cache_page": 900}, "max-age=60", "max-age=60", None),
    "the-routes-under": ({"cache_page": 3}, "max-age=60", "max-age=3", 3),
    "the-routes-over-0": ({"cache_page": 30}, "max-age=0", "max-age=0", None),
    "0": ({"cache_page": 0}, None, "max-age=0", 0),
    "nothing-downstream": ({"downstream_headers": False}, None, None, None),
    "patched": ({"cache_control": {"max_age": 30}}, "max-age=60", "max-age=30", None),
}
"""The settings of a route, what the origin says, what goes out, and the seconds from Date to Expires."""


def test_whose_lifetime_counts_and_is_said(start: Start, origin: Origin) -> None:
    routes = [{"match": f"/{name}", **row[0]} for name, row in LASTING.items()]
    site = start({"CACHE_MIDDLEWARE_SECONDS": 600, "routes": routes})
    for name, (settings, said, control, lasts) in LASTING.items():
        origin.fields[f"/{name}"] = [] if said is None else [("Cache-Control", said)]
        first = site.ask(f"/{name}")
        assert first.fields["Cache-Control"] == control, name
        assert (None if first.fields["Expires"] is None else first.lasts) == lasts, name
        second = site.ask(f"/{name}")
        assert second.is_hit is (settings.get("cache_page") != 0), name
        assert second.fields["Expires"] == first.fields["Expires"] or not second.is_hit, name


def test_never_cache_and_bypass(start: Start, origin: Origin) -> None:
    site = start({"routes": [{"match": "/n", "never_cache": True}, {"match": "/b/*", "bypass": True}]})
    never = site.ask("/n")
    assert set(never.fields["Cache-Control"].split(", ")) == {
        *("max-age=0", "no-cache", "no-store", "must-revalidate", "private"),
    }
    assert abs(never.lasts) <= 1
    for path in ("/n", "/b/x", "/%62/x"):
        assert [site.ask(path).said for _ in range(2)] == ["fwd=bypass; fwd-status=200; detail=route"] * 2
    assert origin.asked == {"/n": 3, "/b/x": 2, "/%62/x": 2}


def test_each_url_of_a_route_is_a_page_of_its_own(start: Start, origin: Origin) -> None:
    site = start({"routes": [{"match": "/foo/*", "cache_page": 900, "key_prefix": "site1"}]})
    for path in ("/foo/1/", "/foo/23/", "/foo/1/"):
        site.ask(path)
    assert origin.asked == {"/foo/1/": 1, "/foo/23/": 1}


def test_what_a_route_varies_on(start: Start, origin: Origin) -> None:
    origin.fields["/page"] = [("Cache-Control", "max-age=60"), ("Vary", "Accept")]
    site = start({"routes": [{"vary_on": ["User-Agent", "cookie:lang"]}]})
    asked = [
        {"User-Agent": "Mozilla", "Cookie": "lang=de"},
        {"User-Agent": "Mozilla", "Cookie": "foo=bar; lang=de"},
        {"User-Agent": "Mozilla", "Cookie": "lang=es"},
        {"User-Agent": "curl", "Cookie": "lang=de"},
    ]
    answers = [site.ask("/page", **fields) for fields in asked]
    assert [answer.is_hit for answer in answers] == [False, True, False, False]
    assert {name.strip().lower() for name in answers[0].fields["Vary"].split(",")} == {"accept", "user-agent", "cookie"}
    assert answers[1].fields["Vary"] == answers[0].fields["Vary"]


def test_two_sites_with_their_own_origins_share_one_redis(start: Start, origin: Origin) -> None:
    with running("redis-server") as redis, Origin("two") as two:
        sites = {
            "one": {"hosts": [".one.test"]},
            "two": {"hosts": "two.test", "upstream": two.url, "CACHE_MIDDLEWARE_SECONDS": 30},
        }
        caches = {"default": {"BACKEND": "redis", "LOCATION": f"unix://{redis.name}"}}
        site = start({"CACHES": caches, "sites": sites, "ALLOWED_HOSTS": [".one.test", "two.test"]})
        hosts = ("one.test", "www.one.test:81", "TWO.test")
        bodies = [site.ask("/page", Host=host).body for host in hosts]
        assert bodies == ["one /page 1", "one /page 2", "two /page 1"]
        hits = [site.ask("/page", Host=host) for host in hosts]
        assert [hit.body for hit in hits] == bodies
        assert all(hit.is_hit for hit in hits)
        refused = site.ask("/page", Host="evil.test")
        assert (refused.status, refused.said) == (421, "detail=host-not-allowed")
        assert (origin.asked["/page"], two.asked["/page"]) == (2, 1)
        site.proxy.wait_for(r" 200 .* hit - site=two route=-$")
        site.proxy.wait_for(r" 421 .* refused host-not-allowed site=- route=-$")
        two.shutdown()


def test_a_write_under_one_route_invalidates_the_page_of_another(start: Start, origin: Origin) -> None:
    caches = {"default": {"BACKEND": "locmem"}, "blog": {"BACKEND": "locmem", "LOCATION": "blog"}}
    reading = {"match": "/blog/*", "methods": "GET", "cache": "blog", "key_prefix": "b", "query": {"sort": True}}
    site = start({"CACHES": caches, "routes": [{"methods": "POST", "bypass": True, "name": "writing"}, reading]})
    site.ask("/blog/?a&b")
    assert site.ask("/blog/?b&a").is_hit
    assert site.ask("/blog/?b&a", "POST").said.startswith("fwd=method")
    assert not site.ask("/blog/?a&b").is_hit
    assert json.dumps(sorted(origin.asked.items())) == '[["/blog/?a&b", 2], ["/blog/?b&a", 1]]'
    site.proxy.wait_for(r"site=- route=writing$")


def test_the_example_serves(start: Start, origin: Origin) -> None:
    text = (Path(__file__).parents[2] / "config" / "routes.yaml").read_text()
    settings = yaml.safe_load(text.replace("http://127.0.0.1:8001", origin.url)) | {"upstream": origin.url}
    origin.fields["/shop/1/"] = [("Set-Cookie", "visit=1")]
    site = start(settings)
    assert site.ask("/", Host="site.test").status == 421
    asked = {
        "/accounts/login/": "fwd=bypass",
        "/blog/x": "hit; ttl=900",
        "/media/a.png?v=1": "hit; ttl=86400",
        "/search/?q=x&utm_source=y": "hit; ttl=60",
        "/shop/1/": "hit; ttl=600",
        "/other": "hit; ttl=600",
    }
    for path, expected in asked.items():
        site.ask(path, Host="www.example.org")
        said = site.ask(path, Host="www.example.org").said
        # A second may have passed.
        assert said.split("=")[0] == expected.split("=")[0]
        if said.startswith("hit"):
            assert int(expected.split("=")[1]) - int(said.split("=")[1]) in range(10)
    assert site.ask("/latest/", Host="docs.example.org").fields["Cache-Control"] == "max-age=300"
