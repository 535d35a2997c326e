"""What does ``sitecache explain`` say, and with which exit code?"""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main

TOKEN = "a-token-of-some-length"
URL = "http://www.example.org/blog"
NOW = {
    "cache": "hit",
    "detail": None,
    "cache_status": "sitecache; hit; ttl=50",
    "says": "It is fresh.",
    "do": "Nothing.",
}
REMEDY = {"reason": "hit", "says": "It is fresh.", "do": "Nothing.", "settings": []}
STORED = {
    "selected": True,
    "status": 200,
    "age": 10,
    "lifetime": 900,
    "lifetime_from": "`routes[].cache_page`",
    "fresh": True,
    "validated_on_each_use": False,
    "vary": ["Accept-Language"],
    "tags": ["blog"],
    "size": 5120,
    "part": False,
    "purged": False,
    "etag": True,
    "last_modified": None,
}
LAST = {
    "at": "2026-01-02T03:04:05Z",
    "seconds_ago": 400,
    "status": 200,
    "stored": True,
    "unkept": None,
    "background": False,
    "tags": [],
    "cache": "uri-miss",
    "detail": None,
    "says": "It was stored.",
    "do": "Nothing.",
}
WORKER = {
    "worker": 0, "request": {"method": "GET", "url": URL, "trusted": False}, "site": "-", "route": "blog",
    "allowed": True, "bypass": False, "now": NOW, "stored": [STORED], "last": LAST, "remedy": REMEDY,
    "key": [
        {"name": "path", "kept": "/blog", "ignored": [], "why": ""},
        {"name": "query", "kept": "a=1", "ignored": ["utm_source"], "why": "by `query.ignore`"},
    ],
}  # fmt: skip
MISS = {
    **WORKER,
    "worker": 1,
    "now": {**NOW, "cache": "uri-miss", "cache_status": "sitecache; fwd=uri-miss"},
    "stored": [],
    "last": {**LAST, "stored": False, "detail": "set-cookie", "background": True, "says": "It sets [red]a[/red]."},
    "remedy": {"reason": "set-cookie", "says": "It sets a cookie.", "do": "See `set_cookie`.", "settings": []},
}


class AdminListener(http.server.ThreadingHTTPServer):
    """An admin listener that answers what the test says, and remembers what it was asked."""

    def __init__(self, address: Any, family: socket.AddressFamily, token: str | None) -> None:
        self.address_family = family
        self.token = token
        self.asked: list[dict[str, list[str]]] = []
        self.answer: tuple[int, bytes] = (200, json.dumps({"workers": [WORKER]}).encode())
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: AdminListener

    def do_GET(self) -> None:
        refused = self.server.token is not None and self.headers["Authorization"] != f"Bearer {self.server.token}"
        self.server.asked.append(parse_qs(urlsplit(self.path).query))
        status, body = (401, b"401 Unauthorized\n") if refused else self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def listening(address: Any, family: socket.AddressFamily, token: str | None = None) -> Iterator[AdminListener]:
    with AdminListener(address, family, token) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()


@pytest.fixture
def admin() -> Iterator[AdminListener]:
    with listening(("127.0.0.1", 0), socket.AF_INET) as listener:
        yield listener


def invoke(*arguments: str, stdin: bytes | None = None, **environ: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("SITECACHE_")}
    return CliRunner().invoke(main, ["explain", *arguments], input=stdin, env={**clean, "COLUMNS": "120", **environ})


def at(listener: AdminListener) -> str:
    return f"127.0.0.1:{listener.server_address[1]}"


def test_it_asks_the_running_proxy(admin: AdminListener) -> None:
    got = invoke(
        URL, "-H", "Accept-Language: de", "-H", "Cookie: a=1", "-X", "HEAD", "--from", "10.0.0.1", "--admin", at(admin)
    )
    assert got.exit_code == 0, got.output
    assert admin.asked == [
        {"url": [URL], "method": ["HEAD"], "header": ["Accept-Language: de", "Cookie: a=1"], "from": ["10.0.0.1"]}
    ]
    lines = got.stdout.splitlines()
    assert lines[0] == f"GET {URL}"
    assert lines[1] == "site -, route blog"
    assert lines[2] == "A stored response answers.  (sitecache; hit; ttl=50)"
    said = " ".join(got.stdout.split())
    assert "Why: It is fresh. (hit) Do: Nothing." in said
    assert "query a=1 utm_source by query.ignore" in said
    assert "→ 200 fresh 10s 15m routes[].cache_page 5,120 B Accept-Language blog" in said
    assert "Last fetch: 6.7m ago: status 200, stored. It was stored." in said
    assert "`" not in said


def test_workers_that_differ_are_told_apart(admin: AdminListener) -> None:
    late = {"worker": 2, "error": "this worker is not ready"}
    admin.answer = (200, json.dumps({"workers": [WORKER, MISS, late]}).encode())
    said = " ".join(invoke(URL, "--admin", at(admin)).stdout.split())
    assert said.startswith(f"worker 2: this worker is not ready GET {URL}")
    assert "worker 0: A stored response answers." in said
    assert "worker 1: The application is asked." in said
    assert "Each worker has a locmem of its own" in said
    assert "Why: It sets a cookie. (set-cookie) Do: See set_cookie." in said
    assert "Why: It is fresh." not in said
    assert (
        "Last fetch (worker 1): 6.7m ago, in the background: status 200, not stored (set-cookie). It sets [red]a[/red]."
        in said
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"stored": [], "last": None}, "Stored: nothing for this URL. Last fetch: none", id="new"),
        pytest.param({"allowed": False}, "a host that is none of ours", id="another-host"),
        pytest.param({"bypass": True}, "route blog, which bypasses the cache", id="bypass"),
        pytest.param({"now": {**NOW, "cache": "refused"}}, "It is refused.", id="refused"),
        pytest.param({"now": {**NOW, "cache": "hit-stale"}}, "A stale stored response answers.", id="stale"),
        pytest.param({"last": {**LAST, "status": None}}, "no answer, stored", id="no-answer"),
        pytest.param({"stored": [{**STORED, "fresh": False, "part": True}]}, "200 stale", id="stale-part"),
        pytest.param({"stored": [{**STORED, "validated_on_each_use": True}]}, "validated on each use", id="no-cache"),
        pytest.param({"stored": [{**STORED, "purged": True}]}, "200 purged, so stale", id="purged"),
    ],
)
def test_what_else_may_be(admin: AdminListener, changes: dict[str, Any], expected: str) -> None:
    admin.answer = (200, json.dumps({"workers": [{**WORKER, **changes}]}).encode())
    assert expected in " ".join(invoke(URL, "--admin", at(admin)).stdout.split())


def test_for_programs_it_is_the_json_of_the_page(admin: AdminListener) -> None:
    assert json.loads(invoke(URL, "--json", "--admin", at(admin)).stdout) == {"workers": [WORKER]}


def test_address_and_token_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    file = tmp_path / "site.yaml"
    file.write_text(f"upstream: http://127.0.0.1:8000\nadmin: {{listen: 'unix:{path}', token: {TOKEN}}}\n")
    with listening(str(path), socket.AF_UNIX, TOKEN) as listener:
        assert invoke(URL, "-c", str(file)).exit_code == 0
        assert invoke(URL, SITECACHE_CONFIG=str(file)).exit_code == 0
        assert invoke(URL, "--admin", f"unix:{path}", "--token", TOKEN).exit_code == 0
        assert invoke(URL, SITECACHE_ADMIN=f"unix:{path}", SITECACHE_ADMIN_TOKEN=TOKEN).exit_code == 0
        got = invoke(URL, "--admin", f"unix:{path}")
        assert (got.exit_code, got.stdout) == (1, "")
        assert "wants its token" in got.stderr
        assert len(listener.asked) == 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param((400, b'{"error": "not a URL"}'), "not a URL", id="refused"),
        pytest.param((404, b"404 Not Found\n"), "no answer of sitecache: 404 404 Not Found", id="something-else"),
        pytest.param((500, b"[]"), "status 500", id="another-status"),
    ],
)
def test_what_it_could_not_learn_is_one_line(admin: AdminListener, answer: tuple[int, bytes], expected: str) -> None:
    admin.answer = answer
    got = invoke(URL, "--admin", at(admin))
    assert (got.exit_code, got.stdout, len(got.stderr.splitlines())) == (1, "", 1)
    assert expected in got.stderr


def test_where_nobody_answers_it_says_what_to_give() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    got = invoke(URL, "--admin", address)
    assert got.exit_code == 1
    assert got.stderr.startswith(f"sitecache: no proxy answers at {address} (")
    assert "--admin" in got.stderr
    assert "-c" in got.stderr
    assert invoke(URL, "--admin", "nowhere").stderr.startswith("sitecache: --admin: ")


def test_without_an_admin_listener_nobody_can_be_asked(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://127.0.0.1:8000\nadmin: off\n")
    got = invoke(URL, "-c", str(file))
    assert (got.exit_code, got.stderr.count("admin: off")) == (1, 1)


def test_a_configuration_with_faults(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstrem: x\n")
    got = invoke(URL, "-c", str(file))
    assert got.exit_code == 2
    assert got.stderr.startswith(f"config error: {file}:1: upstrem:")


# A captured response.

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n%b\r\nhello"
TEN_MINUTES = "CACHE_MIDDLEWARE_SECONDS: 600\n"


def judged(tmp_path: Path, *lines: str, config: str = "", captured: bytes = b"", url: str = URL, **options: str) -> Any:
    file = tmp_path / "site.yaml"
    file.write_text(f"upstream: http://127.0.0.1:8000\n{TEN_MINUTES}{config}")
    response = tmp_path / "response"
    response.write_bytes(captured or PAGE % b"".join(f"{line}\r\n".encode() for line in lines))
    more = [part for name, value in options.items() for part in (f"--{name}", value)]
    got = invoke(url, "-c", str(file), "--response", str(response), "--json", *more)
    assert got.exit_code == 0, got.output
    return json.loads(got.stdout)


@pytest.mark.parametrize(
    ("lines", "config", "lifetime", "rule"),
    [
        pytest.param(["Cache-Control: max-age=60"], "", 60, "Cache-Control: max-age=60", id="the-application"),
        pytest.param([], "", 600, "`CACHE_MIDDLEWARE_SECONDS`", id="the-site"),
        pytest.param(
            ["Set-Cookie: csrftoken=1"],
            "routes: [{match: /blog*, name: blog, cache_page: 15m, remove_set_cookie: csrftoken}]",
            900,
            "`routes[].cache_page`",
            id="the-route",
        ),
    ],
)
def test_it_would_be_stored(tmp_path: Path, lines: list[str], config: str, lifetime: int, rule: str) -> None:
    told = judged(tmp_path, *lines, config=config)
    assert (told["stored"], told["reason"], told["lifetime"], told["lifetime_from"]) == (True, None, lifetime, rule)
    assert told["told"]["Cache-Control"] == f"max-age={lifetime}"


@pytest.mark.parametrize(
    ("lines", "config", "options", "reason"),
    [
        pytest.param(["Set-Cookie: csrftoken=s3cret"], "", {}, "set-cookie", id="set-cookie"),
        pytest.param(["Cache-Control: private"], "", {}, "private", id="private"),
        pytest.param(["Vary: *"], "", {}, "vary-star", id="vary-star"),
        pytest.param([], "", {"header": "Cookie: sid=s3cret"}, "cookie", id="cookie"),
        pytest.param([], "routes: [{match: /blog*, bypass: true}]", {}, "route", id="route"),
        pytest.param([], "ALLOWED_HOSTS: [site.test]", {}, "host-not-allowed", id="host"),
        pytest.param([], "", {"method": "POST"}, "method", id="method"),
        pytest.param([], "", {"header": 'If-Match: "a"'}, "precondition", id="precondition"),
        pytest.param([], "limits: {stored_body: 4}", {}, "too-large", id="too-large"),
    ],
)
def test_it_would_not_be_stored(
    tmp_path: Path, lines: list[str], config: str, options: dict[str, str], reason: str
) -> None:
    told = judged(tmp_path, *lines, config=config, **options)
    assert (told["stored"], told["reason"]) == (False, reason)
    assert told["remedy"]["do"]
    assert "s3cret" not in json.dumps(told)


@pytest.mark.parametrize(
    ("captured", "reason"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nhello", "undelimited", id="no-length"),
        pytest.param(b"HTTP/2 200\r\ncontent-type: text/html\r\n\r\nhello", None, id="http-2"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", None, id="line-feeds-only"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\nHTTP/1.1 200 OK\r\nCache-Control: private\r\n\r\n",
            "private",
            id="the-last-of-several",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0", None, id="no-end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"x" * 2000,
            "too-large",
            id="a-large-chunked-one",
        ),
    ],
)
def test_what_curl_prints_is_read(tmp_path: Path, captured: bytes, reason: str | None) -> None:
    assert judged(tmp_path, captured=captured, config="limits: {stored_body: 1KiB}")["reason"] == reason


def test_it_is_not_too_old_for_having_been_captured_a_while_ago(tmp_path: Path) -> None:
    told = judged(tmp_path, "Date: Fri, 02 Jan 2026 03:04:05 GMT", "Cache-Control: max-age=60", "Age: 7")
    assert (told["stored"], told["age"]) == (True, 7)


def test_an_answer_to_post_that_may_be_stored(tmp_path: Path) -> None:
    lines = ("Cache-Control: max-age=60", f"Content-Location: {URL}")
    assert judged(tmp_path, *lines, config="store_post: true", method="POST")["stored"]
    assert judged(tmp_path, *lines, method="POST")["reason"] == "method"


def test_what_was_captured_behind_the_proxy_is_pointed_out(tmp_path: Path) -> None:
    assert judged(tmp_path, "Via: 1.1 sitecache")["notes"]
    assert judged(tmp_path, "Cache-Status: sitecache; hit")["notes"]
    assert not judged(tmp_path, "Via: 1.1 other")["notes"]


def test_a_captured_response_on_a_screen(tmp_path: Path) -> None:
    head = (
        b'Cache-Control: max-age=60, no-cache="Set-Cookie"\r\nSet-Cookie: a=1\r\nAge: 5\r\n'
        b'Cache-Groups: "blog"\r\nVia: 1.1 sitecache\r\n'
    )
    got = invoke(URL, "--response", "-", stdin=PAGE % head)
    said = " ".join(got.stdout.split())
    assert "It would be stored, fresh for 60s. by Cache-Control: max-age=60; it is 5s old as it arrives" in said
    assert "without set-cookie tags blog It was captured behind sitecache" in said
    got = invoke(URL, "--response", "-", stdin=PAGE % b"Cache-Control: private\r\n")
    assert "It would not be stored. Why: The response says Cache-Control: private" in " ".join(got.stdout.split())
    got = invoke(URL, "--response", "-", stdin=PAGE % b'Cache-Control: max-age=60, no-cache\r\nETag: "a"\r\n')
    assert "fresh for 60s, and be validated on each use." in " ".join(got.stdout.split())


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        pytest.param(b"<html>", "expected what curl -i prints", id="no-head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno field\r\n\r\n", "sitecache: ", id="malformed"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "content-length", id="no-length"),
    ],
)
def test_a_file_that_is_no_response(captured: bytes, expected: str) -> None:
    got = invoke(URL, "--response", "-", stdin=captured)
    assert (got.exit_code, got.stdout, len(got.stderr.splitlines())) == (2, "", 1)
    assert expected in got.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    got = invoke(URL, "--response", str(tmp_path / "nothing"))
    assert (got.exit_code, len(got.stderr.splitlines())) == (2, 1)
