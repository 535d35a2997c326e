"""Whose page is it, wherever it is stored: in process memory, in a cache of two workers, in files and in Redis."""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from tests.system.processes import PATIENCE, start_proxy
from tests.system.storing import Storage

KINDS = ("memory", "shared", "files", "redis")
ETAG = '"one-for-all"'
USERS = {
    "nobody": {},
    "alice": {"Cookie": "sessionid=alice"},
    "bob": {"Authorization": "Basic Ym9i"},
    "carol": {"X-Api-Key": "carol"},
}
#: What the application says of each path, to whoever asks, and whether that is a word of sharing.
SAID = {
    "/nothing": [],
    "/max-age-0": [("Cache-Control", "max-age=0")],
    "/no-cache": [("Cache-Control", "no-cache, must-revalidate, max-age=0")],
    "/loose": [("Cache-Control", "no-store; no-cache")],
    "/vary": [("Vary", "Cookie, Authorization, X-Api-Key")],
    "/refused": [("Cache-Control", "max-age=10, s-maxage=60, public")],
}


class Application(ThreadingHTTPServer):
    """An application with one ETag for all users, as WordPress' feed; ``/refused`` is 401 for who is not known."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        named = (self.headers["Cookie"], self.headers["Authorization"], self.headers["X-Api-Key"])
        who = next((name for name in named if name), "nobody")
        is_known = self.headers["If-None-Match"] == ETAG
        is_refused = self.path == "/refused" and who == "nobody"
        body = b"" if is_known else f"for {who}".encode()
        self.send_response(304 if is_known else 401 if is_refused else 200)
        said = SAID[self.path]
        if self.path == "/refused" and not is_refused:
            said = [("Cache-Control", "private")]
        for name, value in [("Content-Type", "text/html"), ("ETag", ETAG), *said]:
            self.send_header(name, value)
        if not is_known:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Site:
    """A proxy before the application, and what it answered."""

    port: int
    hits: Counter[str] = field(default_factory=Counter)

    def get(self, path: str, user: str, **fields: str) -> str:
        """Return for whom the page was that a user got."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers={"Host": "site.test", **USERS[user], **fields})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        self.hits[path, user] += "; hit" in response.headers["Cache-Status"]
        return "nothing new" if response.status == 304 else body


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, storages: Callable[[str], Storage], tmp_path: Path) -> Iterator[Site]:
    settings: dict[str, object] = {"trusted_proxies": ["127.0.0.1"]}
    if request.param == "shared":
        settings |= {"workers": 2}
    elif request.param != "memory":
        settings |= storages(request.param).settings(KEY_PREFIX=uuid4().hex)
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump(settings))
    with ExitStack() as stack:
        application = stack.enter_context(Application())
        process, port = start_proxy(f"http://127.0.0.1:{application.server_port}", "--config", str(file))
        stack.callback(application.shutdown)
        stack.callback(process.stop)
        yield Site(port)


def test_no_byte_made_for_one_reaches_another(site: Site) -> None:
    chance = random.Random(7)
    mine = {user: next(iter(fields.values()), "nobody") for user, fields in USERS.items()}
    for _ in range(400):
        path, user = chance.choice(list(SAID)), chance.choice(list(USERS))
        fields = {"If-None-Match": ETAG} if chance.random() < 0.2 else {}
        fields |= {"Cache-Control": "no-cache"} if chance.random() < 0.1 else {}
        got = site.get(path, user, **fields)
        assert got in (f"for {mine[user]}", "nothing new"), (path, user)
    # Nobody's pages are kept all the same, and everybody's where each has a variant.
    assert site.hits["/nothing", "nobody"] > 0
    assert site.hits["/vary", "alice"] > 0
    assert not site.hits["/loose", "nobody"]


def test_a_refusal_is_a_hit_for_who_is_not_known_and_for_nobody_else(site: Site) -> None:
    while not site.hits["/refused", "nobody"]:
        assert site.get("/refused", "nobody") == "for nobody"
    for user in ("alice", "bob", "carol"):
        assert site.get("/refused", user) != "for nobody"
    assert site.get("/refused", "nobody") == "for nobody"
