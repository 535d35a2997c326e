"""Is what an operator, or the application, purges gone for all workers and all proxies on one storage?"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.forwarder import forwarding
from tests.storage.servers import await_that
from tests.system.processes import PATIENCE, ROOT, Process, admin_port
from tests.system.storing import STORAGES, Proxies, get, proxies, until

TOKEN = "a-token-of-some-length"
MEMORY = {"CACHES": {"default": {"BACKEND": "locmem"}}}
#: A machine that is busy is no reason to ask the application.
PATIENT = {"DEADLINE": "20s"}
SHARED = {"CACHES": {"default": {"BACKEND": "shared"}}}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with proxies(tmp_path) as started:
        yield started


def purge(process: Process, *arguments: str) -> tuple[int, str]:
    """Run ``sitecache purge``; return its exit code and what it said."""
    command = [sys.executable, "-m", "proxy", "purge", "--admin", f"127.0.0.1:{admin_port(process)}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


def made(port: int, path: str = "/page", times: int = 6) -> set[str]:
    """Return what is answered to several clients, whichever worker takes them."""
    return {get(port, path)[0] for _ in range(times)}


def number(body: str) -> int:
    return int(body.split()[2])


def newest(bodies: set[str]) -> int:
    return max(map(number, bodies))


def holders(process: Process, path: str) -> int:
    """Return how many workers have something stored for this path."""
    url = f"http://127.0.0.1:{admin_port(process)}/explain?url=http://site.test{path}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return sum(bool(worker.get("stored")) for worker in json.load(answer)["workers"])


def purged_with_two_workers(start: Proxies, settings: dict[str, object]) -> None:
    process, port = start.start({**settings, "workers": 2})
    for arguments in ((f"http://127.0.0.1:{port}/page", "--json"), ("--tag", "/page", "--json")):
        for path in ("/page", "/other"):
            # Each worker may have a memory of its own, and it is not for us to say which of them takes a client.
            await_that(lambda path=path: get(port, path) and holders(process, path) == 2)
        before, other = start.origin.made["/page"], start.origin.made["/other"]
        url = f"http://site.test{arguments[0].partition(str(port))[2]}" if arguments[0][0] == "h" else arguments[0]
        code, said = purge(process, url, *arguments[1:])
        assert (code, json.loads(said)["status"]) == (0, "ok")
        assert min(map(number, made(port))) > before, "no worker has it any more"
        made(port, "/other")
        assert start.origin.made["/other"] == other, "and what was not meant stays"


@pytest.mark.parametrize("kind", STORAGES)
def test_by_url_and_by_tag_with_two_workers_on_every_storage(start: Proxies, storages, kind: str) -> None:
    purged_with_two_workers(start, storages(kind).settings(**PATIENT))


@pytest.mark.parametrize("settings", [pytest.param(MEMORY, id="memory"), pytest.param(SHARED, id="shared")])
def test_by_url_and_by_tag_with_two_workers_in_memory(start: Proxies, settings: dict[str, object]) -> None:
    purged_with_two_workers(start, settings)


def test_two_proxies_on_one_redis(start: Proxies, storages) -> None:
    if storage := storages("redis"):
        (first, port), (_, other) = [start.start(storage.settings(KEY_PREFIX="two", **PATIENT)) for _ in range(2)]
        for path in ("/page", "/page2", "/stays"):
            until(port, "hit", path)
            storage.until_stored("two", path)
            assert until(other, "hit", path) == f"{path} made 1 times"
        assert purge(first, "http://site.test/page")[0] == 0
        assert get(other)[0] == "/page made 2 times"
        assert purge(first, "--tag", "/page2")[0] == 0
        assert get(other, "/page2")[0] == "/page2 made 2 times"
        assert get(other, "/stays")[0] == "/stays made 1 times"
        assert purge(first, "--all", "--soft")[0] == 0
        body, said = get(other, "/stays")
        assert (body, said.endswith("detail=purged")) == ("/stays made 2 times", True)
        until(other, "hit", "/stays")
        code, said = purge(first, "--prefix", "/pa", "--host", "site.test")
        assert (code, said) == (0, "purged in default: prefix /pa; host site.test\n")
        assert get(other)[0] == "/page made 3 times"
        assert until(other, "hit", "/stays") == "/stays made 2 times"


async def test_a_storage_that_cannot_be_told_is_told_later(start: Proxies, storages) -> None:
    if storage := storages("redis"):
        async with forwarding(storage.server) as way:
            _, other = start.start(storage.settings(KEY_PREFIX="later", **PATIENT))
            process, port = await asyncio.to_thread(
                start.start, storage.through(way.port, KEY_PREFIX="later", **PATIENT)
            )
            body = await asyncio.to_thread(until, port, "hit")
            await asyncio.to_thread(storage.until_stored, "later", "/page")
            assert await asyncio.to_thread(until, other, "hit") == body
            way.cut()
            code, said = await asyncio.to_thread(purge, process, "http://site.test/page")
            assert code == 1
            assert "default could not be told, and will be" in said
            assert get(other)[0] == body, "nobody can have told it"
            way.restore()
            async with asyncio.timeout(PATIENCE):
                while (await asyncio.to_thread(get, other))[0] == body:  # noqa: ASYNC110  it is told each second
                    await asyncio.sleep(0.05)


WRONG = [
    pytest.param(["--tag", " news"], "tag: expected a tag of 1 to 1024 characters, without blanks around it", id="tag"),
    pytest.param(["page"], "url: expected a URL such as http://www.example.org/page, and not 'page'", id="no-url"),
    pytest.param([], "nothing is named: expected url, prefix, glob, tag, host or all", id="nothing"),
    pytest.param(["--prefix", "blog"], "prefix: expected a path that begins with /", id="no-path"),
]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int]]:
    dialects = ["wagtail", "wordpress", "w3tc", "varnish", "varnish-xkey", "fastly"]
    allowed = {"dialects": dialects, "networks": ["127.0.0.1"], "token": TOKEN}
    with proxies(tmp_path_factory.mktemp("purging")) as started:
        yield started.start({**MEMORY, "workers": 2, "purge": allowed})


@pytest.mark.parametrize(("arguments", "why"), WRONG)
def test_what_cannot_be_purged_is_said_in_one_line(one: tuple[Process, int], arguments: list[str], why: str) -> None:
    code, said = purge(one[0], *arguments)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith(f"sitecache: {why}")


# The application's own requests, on the public port.


def send(port: int, *lines: str, token: str | None = f"X-Purge-Token: {TOKEN}") -> tuple[int, str]:
    """Send a request as a program writes it; return the status and the body."""
    request = "\r\n".join([*lines, *([token] if token else []), "Connection: close", "", ""])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


W3TC = "User-Agent: W3 Total Cache/2.8.2"
WORDPRESS = "User-Agent: WordPress/6.8; http://site.test"
HOST = "Host: site.test"

REQUESTS = [
    pytest.param(["PURGE /blog/a HTTP/1.1", HOST, W3TC], True, False, id="w3tc-a-page"),
    pytest.param(["PURGE /.* HTTP/1.1", HOST, W3TC], True, True, id="w3tc-all"),
    pytest.param(
        ["PURGE /blog/a HTTP/1.1", HOST, "X-Purge-Method: default", WORDPRESS, "Accept: */*"],
        True,
        False,
        id="proxy-cache-purge-a-page",
    ),
    pytest.param(
        ["PURGE /blog/.* HTTP/1.1", HOST, "X-Purge-Method: regex", WORDPRESS, "Accept: */*"],
        True,
        False,
        id="proxy-cache-purge-below",
    ),
    pytest.param(
        ["PURGE /.* HTTP/1.1", HOST, "X-Purge-Method: regex", WORDPRESS], True, True, id="proxy-cache-purge-all"
    ),
    pytest.param(["BAN /blog HTTP/1.1", HOST], True, False, id="varnish-ban"),
    pytest.param(["PURGE / HTTP/1.1", HOST, "xkey: /blog/a another"], True, False, id="xkey"),
    pytest.param(["PURGE / HTTP/1.1", HOST, "xkey-purge: pages"], True, True, id="xkey-purge"),
    pytest.param(["PURGEKEYS / HTTP/1.1", HOST, "xkey-softpurge: /blog/a"], True, False, id="xkey-softpurge"),
    pytest.param(["PURGE /blog/a HTTP/1.1", HOST, "Fastly-Soft-Purge: 1"], True, False, id="fastly-soft"),
    pytest.param(["PURGE / HTTP/1.1", HOST, "Surrogate-Key: pages x"], True, True, id="fastly-keys"),
    pytest.param(["PURGE /blog/b HTTP/1.1", HOST], False, False, id="another-page"),
    pytest.param(["PURGE /blog/a HTTP/1.1", "Host: other.test"], False, False, id="another-host"),
]


@pytest.mark.parametrize(("lines", "page", "other"), REQUESTS)
def test_what_programs_send(one: tuple[Process, int], lines: list[str], page: bool, other: bool) -> None:
    _, port = one
    for path in ("/blog/a", "/shop"):
        until(port, "hit", path)
    before = {path: newest(made(port, path)) for path in ("/blog/a", "/shop")}
    status, body = send(port, *lines)
    assert (status, json.loads(body)["status"]) == (200, "ok")
    for path, is_meant in {"/blog/a": page, "/shop": other}.items():
        after = made(port, path)
        assert (min(map(number, after)) > before[path]) is is_meant


def test_wagtail(one: tuple[Process, int]) -> None:
    backends = pytest.importorskip("wagtail.contrib.frontend_cache.backends.http")
    _, port = one
    until(port, "hit", "/wagtail/")
    before = newest(made(port, "/wagtail/"))
    location = f"http://127.0.0.1:{port}"
    # What settings.py has to do, for Wagtail's backend sends no token by itself.
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    passwords.add_password(None, location, "purge", TOKEN, is_authenticated=True)
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords)))
    try:
        backends.HTTPBackend({"LOCATION": location}).purge("http://site.test/wagtail/")
    finally:
        urllib.request.install_opener(None)  # type: ignore[arg-type]  # as it was before
    assert min(map(number, made(port, "/wagtail/"))) > before


def test_refresh_asks_the_application_again(one: tuple[Process, int]) -> None:
    _, port = one
    body = until(port, "hit", "/refreshed")
    status, fresh = send(port, "REFRESH /refreshed HTTP/1.1", HOST)
    assert (status, number(fresh) > number(body)) == (200, True)
    assert number(until(port, "hit", "/refreshed")) >= number(fresh)


REFUSED = [
    pytest.param(["PURGE / HTTP/1.1", HOST], None, 401, "has to show the token", id="no-token"),
    pytest.param(["PURGE / HTTP/1.1", HOST], "Authorization: Bearer nonsense", 401, "the token", id="wrong-token"),
    pytest.param(["PURGE / HTTP/1.1", HOST], "Authorization: Basic !", 401, "the token", id="no-basic"),
    pytest.param(
        ["BAN /a(b|c) HTTP/1.1", HOST], f"Fastly-Key: {TOKEN}", 400, "only a path and .* behind it", id="pattern"
    ),
    pytest.param(
        ["PURGE / HTTP/1.1", HOST, f"xkey: {'x' * 2000}"], f"Authorization: Bearer {TOKEN}", 400, "a tag", id="tag"
    ),
    pytest.param(["PURGEKEYS / HTTP/1.1", HOST], f"Fastly-Key: {TOKEN}", 405, "no dialect", id="no-keys"),
]


@pytest.mark.parametrize(("lines", "token", "status", "why"), REFUSED)
def test_what_is_not_allowed_or_not_understood(
    one: tuple[Process, int], lines: list[str], token: str | None, status: int, why: str
) -> None:
    got, body = send(one[1], *lines, token=token)
    assert (got, body.count("\n")) == (status, 1)
    assert why in json.loads(body)["error"]


def test_from_another_network(start: Proxies) -> None:
    allowed = {"dialects": ["wagtail"], "networks": ["192.0.2.0/24"], "token": TOKEN}
    _, port = start.start({"purge": allowed, "trusted_proxies": ["127.0.0.1"]})
    assert send(port, "PURGE / HTTP/1.1", HOST)[0] == 403
    assert send(port, "PURGE / HTTP/1.1", HOST, "X-Forwarded-For: nonsense")[0] == 403
    assert send(port, "PURGE / HTTP/1.1", HOST, "X-Forwarded-For: 198.51.100.1, 192.0.2.7")[0] == 200


def test_off_it_is_a_request_like_others(start: Proxies) -> None:
    _, port = start.start({})
    until(port, "hit")
    assert send(port, "PURGE /page HTTP/1.1", HOST)[0] == 501, "which the application does not know"
    assert made(port) == {"/page made 1 times"}


def test_tags_are_for_caches_unless_told_otherwise(start: Proxies) -> None:
    for settings, expected in (({}, None), ({"downstream_tags": True}, "pages /page")):
        _, port = start.start(settings)
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            connection.request("GET", "/page", headers={"Host": "site.test"})
            response = connection.getresponse()
            response.read()
            connection.close()
            assert response.headers["xkey"] == expected
