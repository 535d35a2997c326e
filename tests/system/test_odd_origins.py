"""Does every client get its own answer when the origin refuses early, says too much or speaks no HTTP?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.scripted import Script, Wire, get, lines_of, listening, request, response

MIB = 1024 * 1024
NO_STORE = b"Cache-Control: no-store"
STORED = b"Cache-Control: max-age=600"
STALE = b"Cache-Control: max-age=0, stale-while-revalidate=600"
EVIL = response(STORED, body=b"evil")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxies")


@pytest.fixture(scope="module")
def script(directory: Path) -> Iterator[Script]:
    with Script(directory, {"access_log": "json"}, listening()) as script:
        yield script


@pytest.fixture
def plain(script: Script) -> Iterator[Script]:
    """A proxy with its defaults."""
    yield script
    script.hang_up()


@pytest.fixture
def target(request: pytest.FixtureRequest) -> bytes:
    """A target that no other test asks for."""
    return b"/" + re.sub(r"[^A-Za-z0-9]+", "-", request.node.nodeid.partition("::")[2]).encode()


@pytest.mark.rfc(9112, "9.6")
class TestRefusedUploads:
    """A client that sends all before it reads is not cut off: it finds the answer."""

    SIZE = 20 * MIB
    CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"

    @pytest.mark.parametrize("framing", ["length", "chunked", "expect"])
    @pytest.mark.parametrize("how", ["stay", "end", "close"])
    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            pytest.param(response(status=b"413 Too Large", body=b"no"), b"no", id="413"),
            pytest.param(response(b"Connection: close", status=b"401 No", body=b"no"), b"no", id="401-close"),
            pytest.param(response(status=b"204 Done"), b"", id="204"),
            pytest.param(response(status=b"303 There", body=b""), b"", id="303"),
            pytest.param(response(body=b"x" * 50_000), b"x" * 50_000, id="200"),
        ],
    )
    def test_the_client_reads_the_answer(
        self, plain: Script, target: bytes, answer: bytes, body: bytes, how: str, framing: str
    ) -> None:
        client = plain.client(request(b"POST", target, *self.lines(framing)))
        origin = plain.accept(target)
        origin.send(answer)
        if how != "stay":
            getattr(origin, how)()
        self.upload(client, framing)
        head, _, rest = client.rest().partition(b"\r\n\r\n")
        assert head.split(b" ")[1] == answer.split(b" ")[1]
        assert b"\r\nConnection: close" in head
        assert rest == body

    @pytest.mark.parametrize("framing", ["length", "chunked", "expect"])
    @pytest.mark.parametrize("how", ["end", "close"])
    def test_and_one_that_ends_with_the_connection(self, plain: Script, target: bytes, how: str, framing: str) -> None:
        client = plain.client(request(b"POST", target, *self.lines(framing)))
        origin = plain.accept(target)
        origin.send(response(status=b"403 No") + b"no")
        getattr(origin, how)()
        self.upload(client, framing)
        said = client.rest()
        assert said.startswith(b"HTTP/1.1 403 No\r\n")
        assert said.endswith(b"\r\n\r\n2\r\nno\r\n0\r\n\r\n")

    def lines(self, framing: str) -> list[bytes]:
        if framing == "chunked":
            return [b"Transfer-Encoding: chunked"]
        lines = [b"Content-Length: %d" % self.SIZE]
        return [*lines, b"Expect: 100-continue"] if framing == "expect" else lines

    def upload(self, client: Wire, framing: str) -> None:
        """Send the whole body, whatever comes meanwhile."""
        pieces = self.SIZE // 65536
        client.send(*[self.CHUNK if framing == "chunked" else b"x" * 65536] * pieces)
        if framing == "chunked":
            client.send(b"0\r\n\r\n")

    def test_one_that_we_refuse(self, directory: Path, target: bytes) -> None:
        with Script(directory, {"limits": {"body": "1MiB"}}, listening()) as small:
            for framing in ("length", "chunked"):
                client = small.client(request(b"POST", target, *self.lines(framing)))
                self.upload(client, framing)
                assert client.rest().startswith(b"HTTP/1.1 413 ")


BODILESS = {
    "304-length": (b"GET", response(b'ETag: "q"', b"Content-Length: 5", status=b"304 Same"), b"hello"),
    "304": (b"GET", response(b'ETag: "q"', status=b"304 Same"), b"hello"),
    "204-length": (b"GET", response(b"Content-Length: 5", status=b"204 None"), b"hello"),
    "204-chunked": (b"GET", response(b"Transfer-Encoding: chunked", status=b"204 None"), b"0\r\n\r\n"),
    "204": (b"GET", response(status=b"204 None"), b"hello"),
    "head": (b"HEAD", response(NO_STORE, b"Content-Length: 5"), b"hello"),
    "length": (b"GET", response(NO_STORE, body=b"five!"), b"more"),
    "204-like-a-response": (b"GET", response(b"Content-Length: %d" % len(EVIL), status=b"204 None"), EVIL),
    "head-like-a-response": (b"HEAD", response(NO_STORE, b"Content-Length: %d" % len(EVIL)), EVIL),
    "304-like-a-response": (b"GET", response(b"Content-Length: %d" % len(EVIL), status=b"304 Same"), EVIL),
}


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize("kind", list(BODILESS))
class TestStrayBytes:
    """Bytes behind a response without a body, or with one that was longer than it said.

    They come with the answer to the next request, which is later than anything can be seen before it is sent; where the
    next request goes over a connection of its own, they come to nobody.
    """

    def prepare(self, script: Script, target: bytes, kind: str) -> tuple[Wire, bytes]:
        """Return the connection of the origin over which such a response has gone, and the stray bytes."""
        method, answer, stray = BODILESS[kind]
        client = script.client(request(method, target + b"-bad", b'If-None-Match: "q"', b"Connection: close"))
        origin = script.accept(target + b"-bad")
        origin.send(answer)
        client.rest()
        return origin, stray

    def asked(self, script: Script, used: Wire, stray: bytes, target: bytes) -> Wire:
        """Return the connection over which the next request comes to where it is answered."""
        used.sock.settimeout(0.3)
        try:
            used.read_head()
            used.send(stray + response(STORED, body=b"stray"))
        except (TimeoutError, EOFError, ConnectionResetError):
            pass
        return script.accept(target)

    @pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
    def test_the_next_request(self, plain: Script, target: bytes, kind: str, method: bytes) -> None:
        used, stray = self.prepare(plain, target, kind)
        client = plain.client(request(method, target, b"Connection: close"))
        origin = self.asked(plain, used, stray, target)
        origin.send(response(STORED, body=b"" if method == b"HEAD" else b"good"))
        said = client.rest()
        assert said.startswith(b"HTTP/1.1 200 ")
        assert said.endswith(b"\r\n\r\n" if method == b"HEAD" else b"good")

    def test_those_who_wait_for_one_request(self, plain: Script, target: bytes, kind: str) -> None:
        used, stray = self.prepare(plain, target, kind)
        clients = [plain.client(get(target, b"Connection: close")) for _ in range(3)]
        origin = self.asked(plain, used, stray, target)
        origin.send(response(STORED, body=b"good"))
        assert all(client.rest().endswith(b"good") for client in clients)
        assert plain.client(get(target, b"Connection: close")).rest().endswith(b"good")

    def test_a_refresh_in_the_background(self, plain: Script, target: bytes, kind: str) -> None:
        client, origin = plain.exchange(target, response(STALE, body=b"old"))
        assert client.response() == (200, b"old")
        origin.close()
        used, stray = self.prepare(plain, target, kind)
        client.send(get(target))
        assert client.response() == (200, b"old")
        origin = self.asked(plain, used, stray, target)
        origin.send(response(STORED, body=b"new"))
        while True:
            client.send(get(target))
            status, body = client.response()
            assert (status, body) in {(200, b"old"), (200, b"new")}
            if body == b"new":
                break


@pytest.mark.rfc(9110, "7.8")
class TestUpgrades:
    OFFER = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")

    @pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
    def test_h2c_does_not_reach_the_application(self, plain: Script, target: bytes, method: bytes) -> None:
        client = plain.client(request(method, target, *self.OFFER, b"Content-Length: 0"))
        origin = plain.accept(target)
        names = {line.partition(b":")[0].lower() for line in lines_of(origin.head)}
        assert not names & {b"connection", b"upgrade", b"http2-settings"}
        origin.send(response(NO_STORE, body=b"" if method == b"HEAD" else b"page"))
        assert client.response() == (200, b"" if method == b"HEAD" else b"page")

    def test_it_is_answered_from_the_cache(self, plain: Script, target: bytes) -> None:
        client, _ = plain.exchange(target, response(STORED, body=b"page"))
        assert client.response() == (200, b"page")
        client.send(get(target, *self.OFFER))
        assert client.response() == (200, b"page")
        assert b"Cache-Status: sitecache; hit" in client.head

    def test_what_is_allowed_of_a_list_is_passed_on(self, plain: Script, target: bytes) -> None:
        client = plain.client(get(target, b"Connection: Upgrade", b"Upgrade: h2c, websocket"))
        origin = plain.accept(target)
        assert {b"Connection: Upgrade", b"Upgrade: websocket"} < set(lines_of(origin.head))
        origin.send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert client.read_head().startswith(b"HTTP/1.1 101 ")
        client.send(b"ping")
        assert origin.read(4) == b"ping"

    @pytest.mark.parametrize("switched", [b"Upgrade: h2c\r\n", b""], ids=["another", "none"])
    def test_a_switch_to_another_protocol_is_garbage(self, plain: Script, target: bytes, switched: bytes) -> None:
        client = plain.client(get(target, b"Connection: Upgrade", b"Upgrade: websocket"))
        plain.accept(target).send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n" + switched + b"\r\n")
        assert client.response() == (502, b"502 Bad Gateway: upstream-garbage\n")

    def test_nothing_is_passed_on_where_nothing_is_allowed(self, directory: Path, target: bytes) -> None:
        with Script(directory, {"upgrades": []}, listening()) as script:
            client = script.client(get(target, b"Connection: Upgrade", b"Upgrade: websocket"))
            origin = script.accept(target)
            assert not any(line.lower().startswith(b"upgrade") for line in lines_of(origin.head))
            origin.send(response(STORED, body=b"page"))
            assert client.response() == (200, b"page")


class TestGarbage:
    @pytest.mark.parametrize(
        ("said", "named"),
        [
            pytest.param(b"SSH-2.0-OpenSSH\r\n", "SSH-2.0-OpenSSH", id="ssh"),
            pytest.param(b"\x15\x03\x01\x00\x02\x02\x46", "https", id="tls"),
            pytest.param(b"<html>", "<html>", id="http-0.9"),
            pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "LF", id="lf"),
            pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 300_000, "upstream.limits.header_bytes", id="head"),
            pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 501 + b"\r\n", "upstream.limits.headers", id="fields"),
            pytest.param(b"HTTP/1.1 103 H\r\n\r\n" * 17, "upstream.limits.interim", id="interim"),
            pytest.param(b"HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n", "X Y: 1", id="field"),
            pytest.param(response(b"Content-Length: 1", b"Content-Length: 2"), "content-length", id="lengths"),
        ],
    )
    def test_it_is_known_at_once_and_named(self, plain: Script, target: bytes, said: bytes, named: str) -> None:
        client = plain.client(get(target))
        origin = plain.accept(target)
        origin.push(len(said), said)
        while (answer := client.response())[0] == 103:
            pass
        assert answer == (502, b"502 Bad Gateway: upstream-garbage\n")
        line = plain.proxy.wait_for(rf'^(\{{.*"target":"{re.escape(target.decode())}".*\}})$')[1]
        logged = json.loads(line)
        assert (logged["detail"], named.lower() in logged["cause"].lower()) == ("upstream-garbage", True), logged


class TestFieldsThatAreNotPassedOn:
    @pytest.mark.rfc(9110, "8.6")
    @pytest.mark.parametrize("line", [b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked"])
    @pytest.mark.parametrize("kept", [NO_STORE, STORED])
    def test_the_framing_of_what_has_no_body(self, plain: Script, target: bytes, line: bytes, kept: bytes) -> None:
        client, _ = plain.exchange(
            target, response(line, status=b"103 Hint"), response(line, kept, b"X: 1", status=b"204 None")
        )
        for head in (client.read_head(), client.read_head()):
            assert not re.search(rb"(?i)\r\n(content-length|transfer-encoding):", head)
        assert b"\r\nX: 1\r\n" in client.head

    @pytest.mark.rfc(9111, "5.1")
    @pytest.mark.parametrize("kept", [NO_STORE, STORED])
    @pytest.mark.parametrize("age", [b"-5", b"abc", b"1.5", b"99999999999999999999", b"x, 5", b""])
    def test_an_age_that_is_none(self, plain: Script, target: bytes, age: bytes, kept: bytes) -> None:
        client, _ = plain.exchange(target, response(kept, b"Age: " + age, body=b"page"))
        assert client.response() == (200, b"page")
        ages = re.findall(rb"(?i)\r\nage: *([^\r]*)", client.head)
        assert ages == ([b"2147483648"] if age.isdigit() else [])
