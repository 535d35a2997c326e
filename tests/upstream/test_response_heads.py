"""Is what is no response head refused as soon as that is known, and what is one read within limits? (RFC 9112 §2)"""

from __future__ import annotations

import pytest

from proxy.config.model import UpstreamLimits
from proxy.config.units import Bytes
from proxy.errors import UpstreamClosed, UpstreamGarbage
from tests.transports import deliveries
from tests.upstream.origins import Origin, Upload

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#: What servers of other protocols, and broken ones of ours, say to a request, or before one.
NOT_HTTP = [
    pytest.param(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", id="ssh"),
    pytest.param(b"220 mail.example.org ESMTP Postfix\r\n", id="smtp"),
    pytest.param(b"220 (vsFTPd 3.0.3)\r\n", id="ftp"),
    pytest.param(b"+OK Dovecot ready.\r\n", id="pop3"),
    pytest.param(b"* OK [CAPABILITY IMAP4rev1] ready\r\n", id="imap"),
    pytest.param(b"J\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00", id="mysql"),
    pytest.param(b"E\x00\x00\x00bSFATAL\x00VFATAL\x00C08P01\x00", id="postgresql"),
    pytest.param(b"-ERR wrong number of arguments for 'get' command\r\n", id="redis"),
    pytest.param(b"ERROR\r\n", id="memcached"),
    pytest.param(b"\x15\x03\x01\x00\x02\x02\x46", id="tls-alert"),
    pytest.param(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76", id="tls-handshake"),
    pytest.param(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", id="http-2-settings"),
    pytest.param(b"<html><body>hello</body></html>", id="http-0.9"),
    pytest.param(b"\r\nHTTP/1.1 200 OK\r\n", id="empty-line-before"),
    pytest.param(b" HTTP/1.1 200 OK\r\n", id="space-before"),
    pytest.param(b"http/1.1 200 OK\r\n", id="lower-case"),
    pytest.param(b"HTTP/2.0 200 OK\r\n", id="http-2"),
    pytest.param(b"HTTP/1.2 200 OK\r\n", id="http-1.2"),
    pytest.param(b"HTTP/1.1200 OK\r\n", id="no-space"),
    pytest.param(b"HTTPS/1.1 200 OK\r\n", id="https"),
    pytest.param(b"ICY 200 OK\r\n", id="shoutcast"),
    pytest.param(b"Status: 200 OK\r\n", id="cgi"),
    pytest.param(b"Content-Type: text/plain\r\n", id="no-status-line"),
    pytest.param(b"GET / HTTP/1.1\r\n", id="echo"),
    pytest.param(b"\x00", id="one-byte"),
]


@pytest.mark.rfc(9112, "2.1")
@pytest.mark.parametrize("said", NOT_HTTP)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
async def test_what_is_not_http_is_garbage_at_once(said: bytes, method: bytes) -> None:
    for pieces in (*deliveries(said), [said + OK]):
        origin = Origin()
        asking = origin.ask(method, Upload() if method == b"POST" else None)
        origin.transport.receive(*pieces)
        assert isinstance(asking.error, UpstreamGarbage), pieces
        assert origin.transport.is_closing()


@pytest.mark.parametrize("said", NOT_HTTP)
async def test_and_so_it_is_where_the_origin_speaks_first(said: bytes) -> None:
    origin = Origin()
    origin.transport.receive(said)
    assert isinstance(origin.ask().error, UpstreamGarbage)


async def test_a_response_that_was_not_asked_for_is_no_answer_to_what_is_asked_next() -> None:
    origin = Origin()
    origin.transport.receive(b"HTTP/1.1 503 Too Many Connections\r\n\r\n")
    assert isinstance(origin.ask().error, UpstreamClosed)


@pytest.mark.rfc(9112, "2.2")
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n", id="all-lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\n", id="the-last"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\r\n", id="the-first"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: 1\nContent-Length: 2\r\n", id="one"),
        pytest.param(b"HTTP/1.1 200 OK\n\r\n", id="and-a-crlf"),
    ],
)
async def test_lines_that_end_with_lf_alone_are_refused_at_once(head: bytes) -> None:
    for pieces in (*deliveries(head), [head + b"ok"], [head + b"ok\r\n\r\n"]):
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(*pieces)
        assert isinstance(asking.error, UpstreamGarbage), pieces


LIMITS = UpstreamLimits(header_bytes=Bytes(100), headers=3, interim=2)
_FILLED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: %b\r\n\r\n"
_AT_LIMIT = _FILLED % (b"a" * (100 - len(_FILLED) + 2))
_HINT = b"HTTP/1.1 103 Hint\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        pytest.param(_AT_LIMIT, None, id="bytes"),
        pytest.param(_AT_LIMIT.replace(b"A:", b"Aa:"), "upstream.limits.header_bytes", id="a-byte-more"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100, "upstream.limits.header_bytes", id="without-end"),
        pytest.param(b"HTTP/1.1 200 O" + b"K" * 100, "upstream.limits.header_bytes", id="line-without-end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20, "upstream.limits.header_bytes", id="lines-without-end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA:\r\nB:\r\nContent-Length: 0\r\n\r\n", None, id="fields"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n", "upstream.limits.headers", id="a-field-more"),
        pytest.param(b"HTTP/1.1 103 H\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n", "upstream.limits.headers", id="of-an-interim"),
        pytest.param(_HINT * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None, id="interim"),
        pytest.param(_HINT * 3, "upstream.limits.interim", id="an-interim-more"),
    ],
)
async def test_limits_are_those_of_the_settings_and_named(data: bytes, limit: str | None) -> None:
    for pieces in deliveries(data):
        origin = Origin(limits=LIMITS)
        asking = origin.ask()
        origin.transport.receive(*pieces)
        if limit is None:
            assert asking.take().whole, pieces
        else:
            assert isinstance(asking.error, UpstreamGarbage), pieces
            assert limit in str(asking.error)


@pytest.mark.rfc(9110, "8.6")
@pytest.mark.rfc(9112, "6.1")
@pytest.mark.parametrize("line", [b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_what_has_no_body_is_not_delimited(line: bytes) -> None:
    """RFC 9110 §8.6: neither with 1xx nor with 204; RFC 9112 §6.1: nor is there a transfer coding."""
    hint = b"HTTP/1.1 103 Hint\r\nA: 1\r\n" + line + b"\r\n\r\n"
    done = b"HTTP/1.1 204 Done\r\nB: 2\r\n" + line + b"\r\nC: 3\r\n\r\n"
    for pieces in deliveries(hint + done):
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(*pieces)
        assert [one.fields.raw for one in origin.interim] == [[(b"A", b"1")]]
        assert asking.answer.response.fields.raw == [(b"B", b"2"), (b"C", b"3")]
        assert asking.take().whole


@pytest.mark.rfc(9110, "7.8")
@pytest.mark.parametrize(
    ("asked", "lines", "switches"),
    [
        pytest.param(b"websocket", b"Upgrade: websocket\r\n", True, id="as-asked"),
        pytest.param(b"WebSocket", b"Upgrade: websocket\r\n", True, id="in-another-case"),
        pytest.param(b"websocket", b"Upgrade: websocket/13\r\n", True, id="with-its-version"),
        pytest.param(b"a, websocket", b"Upgrade: websocket\r\n", True, id="one-of-a-list"),
        pytest.param(b"a, b", b"Upgrade: a, b\r\n", True, id="layers"),
        pytest.param(None, b"Upgrade: websocket\r\n", False, id="not-asked"),
        pytest.param(b"websocket", b"Upgrade: h2c\r\n", False, id="another"),
        pytest.param(b"websocket", b"Upgrade: websocket, h2c\r\n", False, id="another-beside-it"),
        pytest.param(b"websocket", b"", False, id="none"),
        pytest.param(b"websocket", b"Upgrade:\r\n", False, id="empty"),
    ],
)
async def test_a_switch_is_to_what_was_asked_for(asked: bytes | None, lines: bytes, switches: bool) -> None:
    for pieces in deliveries(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n" + lines + b"\r\n"):
        origin = Origin()
        asking = origin.ask(upgrade=asked)
        origin.transport.receive(*pieces)
        if switches:
            assert asking.answer.tunnel is not None
        else:
            assert isinstance(asking.error, UpstreamGarbage)
