"""Do parts go over real sockets, and come back from what is stored, byte by byte as RFC 9110 §14 and §15.3.7 say?"""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.system.processes import PATIENCE
from tests.system.scripted import Script, get, listening, response
from tests.system.storing import Proxies

LIFE = (b"Cache-Control: max-age=600", b'ETag: "a"', b"Content-Type: text/plain")
BODY = b"".join(b"%04d " % number for number in range(400))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Script]:
    with Script(tmp_path_factory.mktemp("proxies"), {}, listening()) as script:
        yield script


@pytest.fixture
def proxied(script: Script) -> Iterator[Script]:
    yield script
    script.hang_up()


def partial(first: int, last: int) -> bytes:
    extent = b"Content-Range: bytes %d-%d/%d" % (first, last, len(BODY))
    return response(*LIFE, extent, status=b"206 Partial Content", body=BODY[first : last + 1])


@pytest.mark.rfc(9110, "14.6")
@pytest.mark.rfc(9110, "15.3.7.2")
def test_several_parts_of_a_stored_response(proxied: Script) -> None:
    client, _ = proxied.exchange(b"/several", response(*LIFE, body=BODY))
    assert client.response() == (200, BODY)
    client.send(get(b"/several", b"Range: bytes=-5, 0-4, 1000-1009"))
    status, body = client.response()
    assert status == 206
    assert b"content-range" not in client.head.lower()
    boundary = re.search(rb"\r\nContent-Type: multipart/byteranges; boundary=([0-9a-f]{24})\r\n", client.head)
    assert boundary is not None
    dash = b"--" + boundary[1]
    expected = b"".join(
        b"%b\r\nContent-Type: text/plain\r\nContent-Range: bytes %d-%d/2000\r\n\r\n%b\r\n"
        % (dash, first, last, BODY[first : last + 1])
        for first, last in ((1995, 1999), (0, 4), (1000, 1009))
    )
    assert body == expected + dash + b"--\r\n"
    # The connection is where it should be for the next request.
    client.send(get(b"/several", b"Range: bytes=2000-"))
    assert client.response() == (416, b"")
    assert b"\r\nContent-Range: bytes */2000\r\n" in client.head
    client.send(get(b"/several", b"Range: bytes=" + b",".join([b"0-"] * 65)))
    assert client.response() == (200, BODY)


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.rfc(9111, "3.4")
def test_parts_are_stored_joined_and_completed(proxied: Script) -> None:
    client = proxied.client(get(b"/parts", b"Range: bytes=0-499"))
    origin = proxied.accept(b"/parts")
    origin.send(partial(0, 499))
    assert client.response() == (206, BODY[:500])
    client.send(get(b"/parts", b"Range: bytes=100-199"))
    assert client.response() == (206, BODY[100:200])
    assert b"\r\nContent-Range: bytes 100-199/2000\r\n" in client.head
    assert b"\r\nCache-Status: sitecache; hit; ttl=" in client.head

    client.send(get(b"/parts", b"Range: bytes=400-999"))
    origin.read_head()
    origin.send(partial(400, 999))
    assert client.response() == (206, BODY[400:1000])
    client.send(get(b"/parts"))
    head = origin.read_head()
    assert b"\r\nRange: bytes=1000-\r\n" in head
    assert b'\r\nIf-Range: "a"\r\n' in head
    origin.send(partial(1000, 1999))
    assert client.response() == (200, BODY)
    assert b"content-range" not in client.head.lower()
    assert b"\r\nCache-Status: sitecache; fwd=partial; fwd-status=206; ttl=" in client.head
    client.send(get(b"/parts"))
    assert client.response() == (200, BODY)
    assert b"; hit; " in client.head


def test_a_part_that_contradicts_itself_is_passed_on_and_not_stored(proxied: Script) -> None:
    client = proxied.client(get(b"/lie", b"Range: bytes=-5"))
    origin = proxied.accept(b"/lie")
    for _ in range(2):
        origin.send(response(*LIFE, b"Content-Range: bytes 4-9/10", status=b"206 Partial Content", body=b"01234"))
        assert client.response() == (206, b"01234")
        assert b"\r\nContent-Range: bytes 4-9/10\r\n" in client.head
        assert b"; detail=partial-content\r\n" in client.head
        client.send(get(b"/lie", b"Range: bytes=-5"))
        origin.read_head()


class _Ranges(BaseHTTPRequestHandler):
    """An origin of one file, of which it gives the ranges that are asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2] or len(BODY) - 1)) if asked else (0, len(BODY) - 1)
        self.send_response(206 if asked else 200)
        for line in LIFE:
            name, _, value = line.decode().partition(": ")
            self.send_header(name, value)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(BODY)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(BODY[first : last + 1])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _File(ThreadingHTTPServer):
    daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    """Start proxies before that origin."""
    with _File(("127.0.0.1", 0), _Ranges) as origin, ExitStack() as stack:
        threading.Thread(target=origin.serve_forever, args=(0.02,), daemon=True).start()
        yield Proxies(origin, tmp_path, stack)  # type: ignore[arg-type]  # fits what is used of it
        origin.shutdown()


def ask(port: int, bounds: str = "") -> tuple[int, bytes, str]:
    """Return status, body and what the cache did."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/file", headers={"Host": "site.test"} | ({"Range": f"bytes={bounds}"} if bounds else {}))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer.headers["Cache-Status"].removeprefix("sitecache; ")


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.rfc(9111, "3.4")
@pytest.mark.parametrize("kind", ["redis", "memcached", "files"])
def test_parts_lie_in_storages_outside_the_process(start: Proxies, storages, kind: str) -> None:
    settings = storages(kind).settings(KEY_PREFIX=f"ranges-{kind}")
    process, port = start.start(settings)
    for bounds, within, part in (("0-499", "100-199", BODY[100:200]), ("300-999", "450-550", BODY[450:551])):
        assert ask(port, bounds)[0] == 206
        while not (got := ask(port, within))[2].startswith("hit"):
            assert got[:2] == (206, part)
        assert got[:2] == (206, part)
    assert process.stop() == 0
    _, again = start.start(settings)
    status, body, said = ask(again)
    assert (status, body) == (200, BODY)
    assert said.startswith("fwd=partial; fwd-status=206; ")
    while not (got := ask(again))[2].startswith("hit"):
        assert got[:2] == (200, BODY)
    assert got[:2] == (200, BODY)
