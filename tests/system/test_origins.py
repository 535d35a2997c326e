"""Does what the origin and the client say to each other pass through the proxy as it must?"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from tests.system.scripted import (
    Script,
    Wire,
    get,
    lines_of,
    listening,
    request,
    response,
    run_proxy,
    tcp_port,
)

MIB = 1024 * 1024
NO_STORE = b"Cache-Control: no-store"
CHUNKED = b"Transfer-Encoding: chunked"
RAW = ["websocket", "raw"]
HASTY = {"timeouts": {"connect": "1s", "first_byte": "1s", "between_bytes": "1s"}}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxies")


@pytest.fixture(scope="module")
def plain_script(directory: Path) -> Iterator[Script]:
    with Script(directory, {"upgrades": RAW}, listening()) as script:
        yield script


@pytest.fixture(scope="module")
def hasty_script(directory: Path) -> Iterator[Script]:
    settings = {"upstream": dict(HASTY), "trusted_proxies": ["127.0.0.0/8"], "upgrades": RAW}
    with Script(directory, settings, listening()) as script:
        yield script


@pytest.fixture
def plain(plain_script: Script) -> Iterator[Script]:
    """A proxy with its defaults."""
    yield plain_script
    plain_script.hang_up()


@pytest.fixture
def hasty(hasty_script: Script) -> Iterator[Script]:
    """A proxy that waits for the origin no longer than a second, and trusts the proxy before it."""
    yield hasty_script
    hasty_script.hang_up()


@pytest.fixture
def target(request: pytest.FixtureRequest) -> bytes:
    """A target that no other test asks for."""
    return b"/" + re.sub(r"[^A-Za-z0-9]+", "-", request.node.nodeid.partition("::")[2]).encode()


def answered(client: Wire) -> bytes:
    """Read a chunked response and return its body."""
    assert CHUNKED in client.read_head()
    body = b""
    while size := int(client.until(b"\r\n"), 16):
        body += client.read(size)
        assert client.read(2) == b"\r\n"
    assert client.read(2) == b"\r\n"
    return body


class TestHeads:
    @pytest.mark.rfc(9110, "5.2")
    @pytest.mark.rfc(9110, "5.3")
    def test_fields_of_a_request_pass_untouched(self, plain: Script, target: bytes) -> None:
        lines = [b"zeta: \xe9\xff", b"X-Empty:", b"ALPHA: 1", b"x-Twice: a, b", b'X-Other: "q;,"', b"x-Twice: c"]
        plain.client(get(target, *lines))
        origin = plain.accept(target)
        sent = lines_of(origin.head)
        # What could be stored is asked for as its key has it: several lines of one name as one.
        *lines, twice = lines
        lines = [line.replace(b"Empty:", b"Empty: ").replace(b"a, b", b"a, b, c") for line in lines]
        assert sent[:6] == [b"Host: site.test", *lines]
        assert twice not in sent
        assert origin.head.startswith(b"GET " + target + b" HTTP/1.1\r\n")

    @pytest.mark.rfc(9110, "5.3")
    def test_fields_of_a_response_pass_untouched(self, plain: Script, target: bytes) -> None:
        lines = [b"Date: Sun, 06 Nov 1994 08:49:37 GMT", b"zeta: \xe9\xff", b"X-Empty: ", b"Set-Cookie: a=b", b"B: 1"]
        lines += [b"Set-Cookie: c=d", NO_STORE]
        client, _ = plain.exchange(target, response(*lines, status=b"200 F\xefne", body=b""))
        head = client.read_head()
        assert head.startswith(b"HTTP/1.1 200 F\xefne\r\n")
        assert lines_of(head)[:8] == [*lines, b"Content-Length: 0"]

    @pytest.mark.rfc(9110, "9.1")
    @pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"BREW", b"x!~"])
    def test_any_method_passes(self, plain: Script, target: bytes, method: bytes) -> None:
        client = plain.client(request(method, target))
        origin = plain.accept(target)
        assert origin.head.startswith(method + b" ")
        origin.send(response(body=b"done"))
        assert client.response() == (200, b"done")

    @pytest.mark.rfc(9110, "15")
    @pytest.mark.parametrize("status", [200, 201, 207, 299, 302, 404, 418, 451, 500, 599, 600, 999])
    def test_any_status_passes(self, plain: Script, target: bytes, status: int) -> None:
        client, _ = plain.exchange(target, response(NO_STORE, status=b"%d Why not" % status, body=b"x"))
        assert client.response() == (status, b"x")
        assert client.head.startswith(b"HTTP/1.1 %d Why not\r\n" % status)

    @pytest.mark.rfc(9110, "7.6.1")
    def test_hop_by_hop_fields_stay_behind(self, plain: Script, target: bytes) -> None:
        hops = [b"Connection: keep-alive, X-Mine, TE", b"Keep-Alive: timeout=5", b"X-Mine: 1", b"TE: trailers"]
        hops += [b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eDp5"]
        client = plain.client(get(target, *hops, b"X-Kept: 1"))
        origin = plain.accept(target)
        names = {line.partition(b":")[0].lower() for line in lines_of(origin.head)}
        assert b"x-kept" in names
        assert names.isdisjoint(b"connection keep-alive x-mine te proxy-connection proxy-authorization".split())
        back = [b"Connection: X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Proxy-Connection: x", NO_STORE]
        origin.send(response(*back, b"X-Kept: 2", body=b""))
        names = {line.partition(b":")[0].lower() for line in lines_of(client.read_head())}
        assert b"x-kept" in names
        assert names.isdisjoint(b"connection keep-alive x-hop proxy-connection".split())

    @pytest.mark.rfc(9110, "7.6.3")
    @pytest.mark.rfc(7239, "4")
    def test_what_a_client_says_of_itself_is_not_believed(self, plain: Script, target: bytes) -> None:
        plain.client(get(target, b"X-Forwarded-For: 6.6.6.6", b"Forwarded: for=6.6.6.6", b"X-Forwarded-Proto: https"))
        lines = lines_of(plain.accept(target).head)
        assert lines[0] == b"Host: site.test"
        assert b"Via: 1.1 sitecache" in lines
        assert b"X-Forwarded-For: 127.0.0.1" in lines
        assert b"X-Forwarded-Proto: http" in lines
        assert b"X-Forwarded-Host: site.test" in lines
        assert b'Forwarded: for=127.0.0.1;host="site.test";proto=http' in lines

    @pytest.mark.rfc(7239, "4")
    def test_what_a_trusted_proxy_says_of_its_client_is(self, hasty: Script, target: bytes) -> None:
        said = [b"X-Forwarded-For: 6.6.6.6", b"Forwarded: for=6.6.6.6;proto=https", b"X-Forwarded-Proto: https"]
        said += [b"X-Forwarded-Host: shop.test", b"Via: 1.0 edge"]
        hasty.client(get(target, *said, version=b"HTTP/1.0"))
        lines = lines_of(hasty.accept(target).head)
        assert b"X-Forwarded-For: 6.6.6.6, 127.0.0.1" in lines
        assert b"X-Forwarded-Proto: https" in lines
        assert b"X-Forwarded-Host: shop.test" in lines
        assert b"Via: 1.0 edge, 1.0 sitecache" in lines
        assert [line for line in lines if line.startswith(b"Forwarded:")] == [said[1]]

    @pytest.mark.rfc(9110, "15.2")
    def test_interim_responses_pass_in_order(self, plain: Script, target: bytes) -> None:
        client = plain.client(get(target))
        origin = plain.accept(target)
        origin.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        assert client.read_head() == b"HTTP/1.1 102 Processing\r\n\r\n"
        origin.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(NO_STORE, body=b"x"))
        assert client.read_head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert client.response() == (200, b"x")


class TestFramings:
    @pytest.mark.rfc(9112, "6")
    @pytest.mark.rfc(9112, "7.1")
    def test_a_chunked_body_streams_at_once(self, plain: Script, target: bytes) -> None:
        client, origin = plain.exchange(target, response(NO_STORE, CHUNKED))
        assert CHUNKED in client.read_head()
        for piece in (b"one", b"two"):
            origin.send(b"3\r\n", piece, b"\r\n")
            assert client.read(8) == b"3\r\n" + piece + b"\r\n"
        origin.send(b"0\r\nX-Sum: 1\r\n\r\n")
        assert client.until(b"\r\n\r\n") == b"0\r\nX-Sum: 1\r\n\r\n"

    @pytest.mark.rfc(9112, "6.3")
    def test_a_body_that_ends_with_the_connection(self, plain: Script, target: bytes) -> None:
        client, origin = plain.exchange(target, response(NO_STORE) + b"hello")
        origin.close()
        assert answered(client) == b"hello"

    @pytest.mark.rfc(9112, "6.3")
    def test_http_1_0_gets_a_body_that_ends_with_the_connection(self, plain: Script, target: bytes) -> None:
        client = plain.client(get(target, version=b"HTTP/1.0"))
        plain.accept(target).send(response(NO_STORE, CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n")
        assert b"Connection: close" in client.read_head()
        assert CHUNKED not in client.head
        assert client.rest() == b"hello"

    @pytest.mark.rfc(9110, "9.3.2")
    def test_head_has_no_body_and_the_connection_goes_on(self, plain: Script, target: bytes) -> None:
        """That of the client at once; that to the origin is kept, and used again when nothing has come for a while."""
        client = plain.client(request(b"HEAD", target))
        origin = plain.accept(target)
        origin.send(response(b"Content-Length: 1000", NO_STORE))
        assert b"Content-Length: 1000\r\n" in client.read_head()
        client.send(get(target + b"2"))
        plain.accept(target + b"2").send(response(NO_STORE, body=b"x"))
        assert client.response() == (200, b"x")
        assert not select.select([origin.sock], [], [], 0)[0]

    @pytest.mark.rfc(9112, "8")
    @pytest.mark.parametrize(
        "cut",
        [
            pytest.param(b"Content-Length: 10\r\n\r\nhello", id="length"),
            pytest.param(CHUNKED + b"\r\n\r\n5\r\nhello\r\n", id="chunked"),
        ],
    )
    @pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
    def test_a_body_cut_short_is_passed_on_as_such_and_not_stored(
        self, plain: Script, target: bytes, cut: bytes, version: bytes
    ) -> None:
        client = plain.client(get(target, version=version))
        origin = plain.accept(target)
        origin.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n", cut)
        client.until(b"hello")
        origin.close()
        if version == b"HTTP/1.0" and CHUNKED in cut:
            with pytest.raises(ConnectionResetError):
                client.rest()
        else:
            assert b"0\r\n\r\n" not in client.rest()
        again, _ = plain.exchange(target, response(body=b"whole"))
        assert again.response() == (200, b"whole")

    @pytest.mark.rfc(9112, "8")
    def test_a_body_until_close_that_is_reset_is_passed_on_as_cut_short(self, plain: Script, target: bytes) -> None:
        client, origin = plain.exchange(target, response(b"Cache-Control: max-age=60") + b"hello")
        client.until(b"hello\r\n")
        origin.reset()
        assert client.rest() == b""
        again, _ = plain.exchange(target, response(body=b"whole"))
        assert again.response() == (200, b"whole")

    @pytest.mark.rfc(9112, "6.3")
    def test_bytes_behind_a_response_never_answer_the_next_request(self, plain: Script, target: bytes) -> None:
        client, first = plain.exchange(target, response(NO_STORE, body=b"one") + response(body=b"evil"))
        assert client.response() == (200, b"one")
        client.send(get(target + b"2"))
        plain.accept(target + b"2").send(response(NO_STORE, body=b"two"))
        assert client.response() == (200, b"two")
        assert first.rest() == b""


class TestFlow:
    def test_a_slow_client_holds_the_origin_back(self, plain: Script, target: bytes) -> None:
        size = 64 * MIB
        client = plain.client(get(target))
        origin = plain.accept(target)
        origin.send(response(NO_STORE, b"Content-Length: %d" % size))
        accepted = origin.push(size)
        assert accepted < 32 * MIB
        client.read_head()
        assert client.drain(origin, accepted, size) == size

    @pytest.mark.parametrize("framing", ["length", "chunked"])
    def test_a_slow_origin_holds_the_client_back(self, plain: Script, target: bytes, framing: str) -> None:
        size = 64 * MIB
        line = CHUNKED if framing == "chunked" else b"Content-Length: %d" % size
        client = plain.client(request(b"POST", target, line))
        if framing == "chunked":
            client.send(b"%x\r\n" % size)
        origin = plain.accept(target)
        accepted = client.push(size)
        assert 0 < accepted < 32 * MIB
        # The others go on meanwhile.
        other, _ = plain.exchange(target + b"2", response(body=b"hi"))
        assert other.response() == (200, b"hi")
        client.reset()
        with suppress(ConnectionResetError):
            assert len(origin.rest()) < size

    def test_an_upload_of_many_chunks_arrives_whole(self, plain: Script, target: bytes) -> None:
        client = plain.client(request(b"POST", target, CHUNKED))
        origin = plain.accept(target)
        assert CHUNKED in origin.head
        body = b""
        for number in range(50):
            client.send(b"%x\r\n" % (number + 1), b"a" * (number + 1), b"\r\n")
            if number % 10 == 0:
                # Each part comes while the next has not been sent.
                size = int(origin.until(b"\r\n"), 16)
                body += origin.read(size)
                assert origin.read(2) == b"\r\n"
        client.send(b"0\r\nX-Sum: 1\r\n\r\n")
        while size := int(origin.until(b"\r\n"), 16):
            body += origin.read(size)
            assert origin.read(2) == b"\r\n"
        assert origin.until(b"\r\n\r\n") == b"X-Sum: 1\r\n\r\n"
        assert len(body) == 50 * 51 / 2
        origin.send(response(body=b"thanks"))
        assert client.response() == (200, b"thanks")

    @pytest.mark.rfc(9110, "10.1.1")
    def test_expect_100_continue(self, plain: Script, target: bytes) -> None:
        client = plain.client(request(b"PUT", target, b"Expect: 100-continue", b"Content-Length: 5"))
        origin = plain.accept(target)
        assert b"Expect: 100-continue\r\n" in origin.head
        origin.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.read_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert origin.read(5) == b"hello"
        origin.send(response(status=b"201 Created", body=b""))
        assert client.response() == (201, b"")

    @pytest.mark.rfc(9110, "10.1.1")
    def test_expectation_failed(self, plain: Script, target: bytes) -> None:
        client = plain.client(request(b"PUT", target, b"Expect: 100-continue", b"Content-Length: 5"))
        plain.accept(target).send(response(status=b"417 Expectation Failed", body=b"no"))
        assert client.response() == (417, b"no")
        client.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.rest() == b""

    @pytest.mark.rfc(9112, "9.3")
    def test_a_final_response_that_comes_early(self, plain: Script, target: bytes) -> None:
        client = plain.client(request(b"POST", target, b"Content-Length: 1000"), b"a" * 10)
        origin = plain.accept(target)
        origin.send(response(status=b"413 Content Too Large", body=b"too much"))
        assert client.response() == (413, b"too much")
        assert b"Connection: close" in client.head
        assert client.rest() == b""

    @pytest.mark.rfc(9112, "8")
    @pytest.mark.parametrize("line", [CHUNKED, b"Content-Length: 10"], ids=["chunked", "length"])
    @pytest.mark.parametrize("how", ["end", "close", "reset"])
    def test_an_upload_that_the_client_breaks_off_never_seems_whole(
        self, plain: Script, target: bytes, line: bytes, how: str
    ) -> None:
        client = plain.client(request(b"POST", target, line))
        client.send(b"5\r\nhello\r\n" if line is CHUNKED else b"hello")
        origin = plain.accept(target)
        origin.until(b"hello")
        getattr(client, how)()
        try:
            rest = origin.rest()
        except ConnectionResetError:
            rest = b""
        assert rest in (b"", b"\r\n")


class TestReuse:
    def test_a_connection_is_used_again(self, plain: Script, target: bytes) -> None:
        client, origin = plain.exchange(target, response(NO_STORE, body=b"1"))
        assert client.response() == (200, b"1")
        client.send(get(target + b"2"))
        assert origin.read_head().startswith(b"GET " + target + b"2 ")
        origin.send(response(NO_STORE, body=b"2"))
        assert client.response() == (200, b"2")

    @pytest.mark.rfc(9112, "9.3.1")
    @pytest.mark.parametrize("how", ["close", "reset"])
    def test_a_get_over_a_used_connection_that_ends_is_sent_once_more(
        self, plain: Script, target: bytes, how: str
    ) -> None:
        client, origin = plain.exchange(target, response(NO_STORE, body=b"1"))
        assert client.response() == (200, b"1")
        client.send(get(target + b"2"))
        origin.read_head()
        getattr(origin, how)()
        plain.accept(target + b"2").send(response(NO_STORE, body=b"2"))
        assert client.response() == (200, b"2")

    def test_it_is_not_sent_a_third_time(self, plain: Script, target: bytes) -> None:
        client, origin = plain.exchange(target, response(NO_STORE, body=b"1"))
        assert client.response() == (200, b"1")
        client.send(get(target + b"2"))
        origin.read_head()
        origin.close()
        plain.accept(target + b"2").close()
        assert client.response()[0] == 502

    def test_not_once_a_byte_of_the_response_has_come(self, plain: Script, target: bytes) -> None:
        client, origin = plain.exchange(target, response(NO_STORE, body=b"1"))
        assert client.response() == (200, b"1")
        client.send(get(target + b"2"))
        origin.read_head()
        origin.send(b"H")
        origin.close()
        assert client.response()[0] == 502

    @pytest.mark.rfc(9110, "9.2.2")
    @pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"BREW"])
    def test_what_may_change_something_goes_over_a_fresh_connection_and_only_once(
        self, plain: Script, target: bytes, method: bytes
    ) -> None:
        client, used = plain.exchange(target, response(NO_STORE, body=b"1"))
        assert client.response() == (200, b"1")
        client.send(request(method, target + b"2", b"Content-Length: 1"), b"x")
        fresh = plain.accept(target + b"2")
        assert fresh is not used
        fresh.read(1)
        fresh.close()
        assert client.response()[0] == 502

    def test_a_connection_with_bytes_that_answer_nothing_is_not_used_again(self, plain: Script, target: bytes) -> None:
        client, origin = plain.exchange(target, response(NO_STORE, body=b"1"))
        assert client.response() == (200, b"1")
        origin.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises((EOFError, ConnectionResetError)):
            origin.read(1)
        client.send(get(target + b"2"))
        plain.accept(target + b"2").send(response(NO_STORE, body=b"2"))
        assert client.response() == (200, b"2")


class TestFailures:
    @pytest.mark.rfc(9110, "15.6.3")
    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            pytest.param(b"", b"upstream-closed", id="closed"),
            pytest.param(b"HTTP/1.1 200", b"upstream-closed", id="closed-in-the-head"),
            pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", b"upstream-garbage", id="garbage"),
            pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 300_000, b"upstream-garbage", id="large-head"),
            pytest.param(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n", b"upstream-garbage", id="101-not-asked-for"),
        ],
    )
    def test_502(self, plain: Script, target: bytes, said: bytes, reason: bytes) -> None:
        client = plain.client(get(target))
        origin = plain.accept(target)
        origin.push(len(said), said)
        origin.close()
        status, body = client.response()
        assert (status, body) == (502, b"502 Bad Gateway: " + reason + b"\n")
        assert b"detail=" + reason in client.head
        assert NO_STORE in client.head

    def test_502_reset(self, plain: Script, target: bytes) -> None:
        client = plain.client(get(target))
        plain.accept(target).reset()
        assert client.response()[0] == 502

    def test_502_refused_and_then_it_is_there(self, directory: Path, target: bytes) -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        with Script(directory, {}, listener) as script:
            client = script.client(get(target))
            assert client.response() == (502, b"502 Bad Gateway: upstream-unreachable\n")
            listener.listen()
            client.send(get(target))
            script.accept(target).send(response(body=b"here"))
            assert client.response() == (200, b"here")

    @pytest.mark.rfc(9110, "15.6.5")
    def test_504_when_nobody_accepts(self, directory: Path, target: bytes) -> None:
        with listening(backlog=0) as listener:
            crowd = []
            while True:
                # Until the queue is full: from then on the kernel answers nobody.
                crowd.append(socket.socket())
                crowd[-1].setblocking(False)
                crowd[-1].connect_ex(listener.getsockname())
                if not select.select([], [crowd[-1]], [], 0.2)[1]:
                    break
            with Script(directory, {"upstream": dict(HASTY)}, listener) as script:
                assert script.client(get(target)).response() == (504, b"504 Gateway Timeout: upstream-timeout\n")
            for one in crowd:
                one.close()

    @pytest.mark.rfc(9110, "15.6.5")
    @pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n"], ids=["nothing", "half-a-head"])
    def test_504_when_no_response_begins(self, hasty: Script, target: bytes, said: bytes) -> None:
        client = hasty.client(get(target))
        origin = hasty.accept(target)
        origin.send(said)
        assert client.response() == (504, b"504 Gateway Timeout: upstream-timeout\n")
        with pytest.raises((EOFError, ConnectionResetError)):
            origin.read(1)

    def test_a_body_that_stops_is_cut_short_and_an_event_stream_is_not(self, hasty: Script, target: bytes) -> None:
        stream, events = hasty.exchange(target, response(b"Content-Type: text/event-stream", CHUNKED))
        events.send(b"3\r\none\r\n")
        stream.until(b"3\r\none\r\n")
        # This one began later and has been given up since.
        client, origin = hasty.exchange(target + b"2", response(NO_STORE, CHUNKED) + b"2\r\nhi\r\n")
        assert client.rest().endswith(b"2\r\nhi\r\n")
        with pytest.raises((EOFError, ConnectionResetError)):
            origin.read(1)
        events.send(b"3\r\ntwo\r\n")
        stream.until(b"3\r\ntwo\r\n")

    def test_a_client_that_uploads_slowly_is_not_taken_for_a_slow_origin(self, hasty: Script, target: bytes) -> None:
        client = hasty.client(request(b"POST", target, b"Content-Length: 2"), b"a")
        origin = hasty.accept(target)
        assert origin.read(1) == b"a"
        # This one was asked later, and the origin has been given up for it since.
        assert hasty.client(get(target + b"2")).response()[0] == 504
        client.send(b"b")
        assert origin.read(1) == b"b"
        origin.send(response(body=b"ok"))
        assert client.response() == (200, b"ok")


SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\nX-Kept: 1\r\n\r\n"


@pytest.mark.rfc(9110, "7.8")
class TestTunnel:
    def open(self, script: Script, target: bytes) -> tuple[Wire, Wire]:
        client = script.client(get(target, b"Connection: Upgrade", b"Upgrade: raw"), b"early")
        origin = script.accept(target)
        assert {b"Connection: Upgrade", b"Upgrade: raw"} < set(lines_of(origin.head))
        origin.send(SWITCHED)
        assert client.read_head().startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert {b"Connection: Upgrade", b"Upgrade: raw", b"X-Kept: 1"} < set(lines_of(client.head))
        assert origin.read(5) == b"early"
        return client, origin

    def test_bytes_go_both_ways_as_they_are(self, hasty: Script, target: bytes) -> None:
        client, origin = self.open(hasty, target)
        data = bytes(range(256)) * 400 + b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        for one, other in ((client, origin), (origin, client)):
            one.send(data)
            assert other.read(len(data)) == data

    def test_the_client_ends_and_still_gets_what_the_origin_says(self, plain: Script, target: bytes) -> None:
        client, origin = self.open(plain, target)
        client.send(b"bye")
        client.end()
        assert origin.rest() == b"bye"
        origin.send(b"bye yourself")
        origin.close()
        assert client.rest() == b"bye yourself"

    def test_the_origin_ends(self, plain: Script, target: bytes) -> None:
        client, origin = self.open(plain, target)
        origin.send(b"x" * 200_000)
        origin.end()
        assert client.rest() == b"x" * 200_000

    @pytest.mark.parametrize("how", ["close", "reset"])
    @pytest.mark.parametrize("who", ["client", "origin"])
    def test_one_side_dies(self, plain: Script, target: bytes, who: str, how: str) -> None:
        client, origin = self.open(plain, target)
        dying, other = (client, origin) if who == "client" else (origin, client)
        getattr(dying, how)()
        assert other.is_ended()

    def test_who_does_not_read_holds_the_other_back(self, plain: Script, target: bytes) -> None:
        client, origin = self.open(plain, target)
        assert client.push(64 * MIB) < 32 * MIB
        assert origin.push(64 * MIB) < 32 * MIB

    def test_an_upgrade_that_the_origin_does_not_want(self, plain: Script, target: bytes) -> None:
        client = plain.client(get(target, b"Connection: Upgrade", b"Upgrade: raw"))
        origin = plain.accept(target)
        origin.send(response(NO_STORE, body=b"plain"))
        assert client.response() == (200, b"plain")
        client.send(get(target + b"2"))
        assert origin.read_head().startswith(b"GET " + target + b"2 ")
        origin.send(response(NO_STORE, body=b"still HTTP"))
        assert client.response() == (200, b"still HTTP")


class TestUnixAndTls:
    def test_an_origin_on_a_unix_socket(self, directory: Path, tmp_path: Path, target: bytes) -> None:
        path = tmp_path / "app.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        with Script(directory, {}, listener, url=f"unix:{path}") as script:
            client, origin = script.exchange(target, response(NO_STORE, body=b"1"))
            assert client.response() == (200, b"1")
            assert b"Host: site.test" in origin.head
            client.send(get(target + b"2"))
            assert origin.read_head()

    @pytest.mark.parametrize(
        ("name", "known", "status"),
        [
            pytest.param("localhost", True, 200, id="verified"),
            pytest.param("other.test", True, 502, id="wrong-name"),
            pytest.param("localhost", False, 502, id="unknown-authority"),
        ],
    )
    def test_https(self, directory: Path, tmp_path: Path, name: str, known: bool, status: int) -> None:
        authority = trustme.CA()
        (authority if known else trustme.CA()).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        raw = listening()
        url = f"https://localhost:{raw.getsockname()[1]}"
        settings = {"listen": "127.0.0.1:0", "admin": {"listen": "off"}}
        proxy = run_proxy(directory, {**settings, "upstream": {"url": url, "ca_file": str(tmp_path / "ca.pem")}})
        try:
            with socket.create_connection(("127.0.0.1", tcp_port(proxy)), 30) as sock, raw:
                client = Wire(sock)
                client.send(get(b"/"))
                raw.settimeout(30)
                try:
                    tls = context.wrap_socket(raw.accept()[0], server_side=True)
                except ssl.SSLError:
                    assert status == 502
                else:
                    with tls:
                        origin = Wire(tls)
                        if status == 200:
                            origin.read_head()
                            origin.send(response(body=b"secret"))
                got, body = client.response()
                assert got == status
                assert body == (b"secret" if status == 200 else b"502 Bad Gateway: upstream-unreachable\n")
        finally:
            proxy.stop()
