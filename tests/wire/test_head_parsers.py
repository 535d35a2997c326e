"""Do head parsers take what RFC 9112 §2 to §5 allows, and give every other head the status it deserves?"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.downstream.parser import HeadLimits, HeadParser
from proxy.errors import RequestError, UpstreamGarbage
from proxy.message.framing import CHUNKED, NO_BODY, Length
from proxy.message.heads import Request
from proxy.upstream.parser import parse_response_head

LIMITS = HeadLimits(total=2000, fields=20, target=200)
GET = b"GET / HTTP/1.1\r\n"
HOST = b"Host: site.test\r\n"


def parse(head: bytes) -> Request:
    return HeadParser(LIMITS).parse(head)


def get(*lines: bytes) -> bytes:
    return GET + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def first(line: bytes) -> bytes:
    return line + b"\r\n" + HOST + b"\r\n"


@pytest.mark.rfc(9112, "2.1")
@pytest.mark.rfc(9112, "3")
@pytest.mark.rfc(9110, "9.1")
@pytest.mark.parametrize(
    "method",
    [
        *(
            pytest.param(name, id=name.decode())
            for name in b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH QUERY PURGE PROPFIND MKCOL COPY LOCK".split()
        ),
        pytest.param(b"BREW", id="unknown"),
        pytest.param(b"get", id="lower-case"),
        pytest.param(b"X-Purge_1", id="any-token"),
        pytest.param(b"!#$%&'*+-.^_`|~", id="every-sign"),
        pytest.param(b"M" * 100, id="long"),
    ],
)
def test_every_method_token_passes(method: bytes) -> None:
    request = parse(first(method + b" /a?b HTTP/1.1"))
    assert (request.method, request.target, request.host, request.minor) == (method, b"/a?b", b"site.test", 1)
    assert request.fields.raw == [(b"Host", b"site.test")]


@pytest.mark.rfc(9112, "3")
@pytest.mark.rfc(9112, "2.2")
@pytest.mark.rfc(9112, "2.3")
@pytest.mark.parametrize(
    ("line", "status"),
    [
        pytest.param(b"GET /", 400, id="http-0.9"),
        pytest.param(b"GET", 400, id="only-a-method"),
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"GET  / HTTP/1.1", 400, id="two-spaces-before-target"),
        pytest.param(b"GET /  HTTP/1.1", 400, id="two-spaces-after-target"),
        pytest.param(b"GET / HTTP/1.1 ", 400, id="space-behind"),
        pytest.param(b" GET / HTTP/1.1", 400, id="space-before"),
        pytest.param(b"GET\t/\tHTTP/1.1", 400, id="tabs"),
        pytest.param(b"GET  HTTP/1.1", 400, id="no-target"),
        pytest.param(b"GET /a b HTTP/1.1", 400, id="space-in-target"),
        pytest.param(b" / HTTP/1.1", 400, id="no-method"),
        pytest.param(b"G(T / HTTP/1.1", 400, id="method-is-no-token"),
        pytest.param(b"G\xc9T / HTTP/1.1", 400, id="method-latin-1"),
        pytest.param(b"GET: / HTTP/1.1", 400, id="method-with-colon"),
        pytest.param(b"CONNECT site.test:443 HTTP/1.1", 405, id="connect"),
        pytest.param(b"CONNECT / HTTP/1.1", 405, id="connect-path"),
        pytest.param(b"GET / http/1.1", 400, id="lower-case-version"),
        pytest.param(b"GET / HTTP/2.0", 505, id="http-2"),
        pytest.param(b"PRI * HTTP/2.0", 505, id="http-2-preface"),
        pytest.param(b"GET / HTTP/1.2", 505, id="http-1.2"),
        pytest.param(b"GET / HTTP/0.9", 505, id="http-0.9-version"),
        pytest.param(b"GET / HTTP/3", 505, id="http-3"),
        pytest.param(b"GET / HTTPS/1.1", 400, id="other-protocol"),
        pytest.param(b"GET / ICE/1.0", 400, id="ice"),
        pytest.param(b"GET / XHTTP/1.1", 400, id="letters-before-version"),
        pytest.param(b"GET /#a HTTP/1.1", 400, id="fragment"),
        pytest.param(b"GET http://a/#a HTTP/1.1", 400, id="fragment-in-url"),
        pytest.param(b"GET * HTTP/1.1", 400, id="star-for-get"),
        pytest.param(b"OPTIONS ** HTTP/1.1", 400, id="two-stars"),
        pytest.param(b"GET a HTTP/1.1", 400, id="relative-target"),
        pytest.param(b"GET ?a HTTP/1.1", 400, id="only-a-query"),
        pytest.param(b"GET site.test:80 HTTP/1.1", 400, id="authority-form"),
        pytest.param(b"GET ftp://a/ HTTP/1.1", 400, id="ftp"),
        pytest.param(b"GET file:///etc/passwd HTTP/1.1", 400, id="file"),
        pytest.param(b"GET http:/a HTTP/1.1", 400, id="url-without-authority"),
        pytest.param(b"GET http:///a HTTP/1.1", 400, id="url-with-empty-authority"),
        pytest.param(b"GET http://user@a/ HTTP/1.1", 400, id="userinfo"),
        pytest.param(b"GET http://user:x@a/ HTTP/1.1", 400, id="userinfo-and-password"),
        pytest.param(b"GET http://[::1/ HTTP/1.1", 400, id="bracket-not-closed"),
        pytest.param(b"GET http://a:b/ HTTP/1.1", 400, id="port-of-letters"),
        pytest.param(b"GET http://a\\b/ HTTP/1.1", 400, id="backslash-in-authority"),
        pytest.param(b"GET /\x00 HTTP/1.1", 400, id="nul-in-target"),
        pytest.param(b"GET /\x7f HTTP/1.1", 400, id="del-in-target"),
        pytest.param(b"GET /\rX HTTP/1.1", 400, id="cr-in-target"),
        pytest.param(b"GET /\nX HTTP/1.1", 400, id="lf-in-target"),
        pytest.param(b"GET /\t HTTP/1.1", 400, id="tab-in-target"),
        pytest.param("GET /ü HTTP/1.1".encode(), 400, id="utf-8-in-target"),
        pytest.param(b"GET /" + b"a" * 200 + b" HTTP/1.1", 414, id="long-target"),
        pytest.param(b"GET http://a/" + b"a" * 200 + b" HTTP/1.1", 414, id="long-url"),
    ],
)
def test_a_request_line_that_is_refused(line: bytes, status: int) -> None:
    with pytest.raises(RequestError) as raised:
        parse(first(line))
    assert raised.value.status == status


@pytest.mark.rfc(9112, "3.2")
@pytest.mark.rfc(9112, "3.2.1")
@pytest.mark.rfc(9112, "3.2.2")
@pytest.mark.rfc(9112, "3.2.4")
@pytest.mark.parametrize(
    ("line", "target", "host", "sent_host"),
    [
        pytest.param(b"GET / HTTP/1.1", b"/", b"site.test", b"site.test", id="origin-form"),
        pytest.param(b"GET //a/b HTTP/1.1", b"//a/b", b"site.test", b"site.test", id="two-slashes"),
        pytest.param(b"GET /%7e/../a?b=c%00 HTTP/1.1", b"/%7e/../a?b=c%00", b"site.test", b"site.test", id="as-sent"),
        pytest.param(b"GET /a? HTTP/1.1", b"/a?", b"site.test", b"site.test", id="empty-query"),
        pytest.param(b'GET /"<>^`{|} HTTP/1.1', b'/"<>^`{|}', b"site.test", b"site.test", id="odd-but-visible"),
        pytest.param(b"OPTIONS * HTTP/1.1", b"*", b"site.test", b"site.test", id="star"),
        pytest.param(b"GET http://B.test/x?y HTTP/1.1", b"/x?y", b"b.test", b"B.test", id="absolute-form"),
        pytest.param(b"GET HTTP://b.test/x HTTP/1.1", b"/x", b"b.test", b"b.test", id="scheme-without-case"),
        pytest.param(b"GET http://b.test:80/x HTTP/1.1", b"/x", b"b.test", b"b.test:80", id="default-port"),
        pytest.param(b"GET http://b.test:81/x HTTP/1.1", b"/x", b"b.test:81", b"b.test:81", id="port"),
        pytest.param(b"GET http://b.test HTTP/1.1", b"/", b"b.test", b"b.test", id="empty-path"),
        pytest.param(b"GET http://b.test?y HTTP/1.1", b"/?y", b"b.test", b"b.test", id="query-without-path"),
        pytest.param(b"GET http://[::1]:81/x HTTP/1.1", b"/x", b"[::1]:81", b"[::1]:81", id="ipv6"),
        pytest.param(b"GET http://h/x HTTP/1.1", b"/x", b"h", b"h", id="host-that-is-in-the-scheme"),
        pytest.param(b"GET http://p/p HTTP/1.1", b"/p", b"p", b"p", id="host-that-is-in-scheme-and-path"),
        pytest.param(b"GET http://b.test//c//b.test HTTP/1.1", b"//c//b.test", b"b.test", b"b.test", id="host-in-path"),
        pytest.param(b"OPTIONS http://b.test HTTP/1.1", b"*", b"b.test", b"b.test", id="options-for-the-server"),
        pytest.param(b"OPTIONS http://b.test/ HTTP/1.1", b"/", b"b.test", b"b.test", id="options-for-the-root"),
        pytest.param(b"OPTIONS http://b.test?y HTTP/1.1", b"/?y", b"b.test", b"b.test", id="options-with-a-query"),
    ],
)
def test_the_four_forms_of_a_target(line: bytes, target: bytes, host: bytes, sent_host: bytes) -> None:
    request = parse(first(line))
    assert (request.target, request.host) == (target, host)
    assert request.fields.get(b"host") == sent_host
    assert request.fields.lines(b"host") == [sent_host]


@pytest.mark.rfc(9112, "3.2")
@pytest.mark.rfc(9110, "7.2")
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="none"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\n\r\n", id="none-for-star"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\n\r\n", id="none-for-url"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", id="two-equal"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n", id="two"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", id="two-in-1.0"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two-for-url"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", id="space"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", id="path"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", id="userinfo"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", id="list"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", id="port"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\xff\r\n\r\n", id="latin-1"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", id="path-in-1.0"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n", id="path-for-url"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: b/c\r\n\r\n", id="path-for-star"),
    ],
)
def test_a_missing_doubled_or_invalid_host_is_refused(head: bytes) -> None:
    with pytest.raises(RequestError) as raised:
        parse(head)
    assert raised.value.status == 400


@pytest.mark.rfc(9112, "3.2")
@pytest.mark.rfc(9112, "3.3")
@pytest.mark.parametrize(
    ("head", "host"),
    [
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", b"", id="none-in-1.0"),
        pytest.param(b"GET http://a/ HTTP/1.0\r\n\r\n", b"a", id="none-in-1.0-for-url"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", b"a", id="in-1.0"),
        pytest.param(b"GET / HTTP/1.1\r\nhost:A:80\r\n\r\n", b"a", id="no-space-and-case"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a \t\r\n\r\n", b"a", id="whitespace-behind"),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"", id="empty"),
    ],
)
def test_host(head: bytes, host: bytes) -> None:
    assert parse(head).host == host


@pytest.mark.rfc(9112, "5")
@pytest.mark.rfc(9112, "5.1")
@pytest.mark.rfc(9110, "5.5")
@pytest.mark.parametrize(
    ("line", "field"),
    [
        pytest.param(b"X-A: b", (b"X-A", b"b"), id="plain"),
        pytest.param(b"X-A:b", (b"X-A", b"b"), id="no-space"),
        pytest.param(b"X-A: \t b \t ", (b"X-A", b"b"), id="whitespace-around"),
        pytest.param(b"X-A: b c\td", (b"X-A", b"b c\td"), id="whitespace-inside"),
        pytest.param(b"X-A:", (b"X-A", b""), id="empty"),
        pytest.param(b"X-A:  \t ", (b"X-A", b""), id="only-whitespace"),
        pytest.param(b"X-A: a:b", (b"X-A", b"a:b"), id="colon"),
        pytest.param(b"X-A: \xe9\xff\x80", (b"X-A", b"\xe9\xff\x80"), id="obs-text"),
        pytest.param(b"!#$%&'*+-.^_`|~09aZ: b", (b"!#$%&'*+-.^_`|~09aZ", b"b"), id="every-name-sign"),
    ],
)
def test_field_lines(line: bytes, field: tuple[bytes, bytes]) -> None:
    assert parse(get(line)).fields.raw == [(b"Host", b"site.test"), field]
    answer = parse_response_head(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")
    assert answer.fields.raw == [field]


def test_repeated_fields_keep_order_and_case() -> None:
    lines = [b"X-A: 1", b"x-b: 2", b"X-a: 3", b"COOKIE: c=d", b"X-A: 1"]
    raw = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
    assert parse(get(*lines)).fields.raw[1:] == raw
    head = b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
    assert parse_response_head(head).fields.raw == raw


MALFORMED_LINES = [
    pytest.param(b"X-A", id="no-colon"),
    pytest.param(b": b", id="no-name"),
    pytest.param(b"X-A : b", id="space-before-colon"),
    pytest.param(b"X-A\t: b", id="tab-before-colon"),
    pytest.param(b"X A: b", id="space-in-name"),
    pytest.param(b"X(A): b", id="name-is-no-token"),
    pytest.param(b"X\xe9: b", id="latin-1-in-name"),
    pytest.param(b"X\x00: b", id="nul-in-name"),
    pytest.param(b"X-A: b\x00c", id="nul"),
    pytest.param(b"X-A: b\x01c", id="control"),
    pytest.param(b"X-A: b\x7fc", id="del"),
    pytest.param(b"X-A: b\rc", id="bare-cr"),
    pytest.param(b"X-A: b\nX-C: d", id="bare-lf"),
    pytest.param(b"X-A: b\n", id="lf-at-the-end"),
    pytest.param(b"X-A: b\r", id="two-cr-at-the-end"),
    pytest.param(b"X-A: b\r\n c", id="obs-fold"),
    pytest.param(b"X-A: b\r\n\tc", id="obs-fold-tab"),
    pytest.param(b"X-A:\r\n b", id="obs-fold-of-empty"),
    pytest.param(b" X-A: b", id="space-before-name"),
]


@pytest.mark.rfc(9112, "2.2")
@pytest.mark.rfc(9112, "5.1")
@pytest.mark.rfc(9112, "5.2")
@pytest.mark.rfc(9110, "5.5")
@pytest.mark.parametrize("line", MALFORMED_LINES)
def test_malformed_field_lines_are_refused(line: bytes) -> None:
    for head in (get(line), get(line, b"X-Z: z"), GET + line + b"\r\n" + HOST + b"\r\n"):
        with pytest.raises(RequestError) as raised:
            parse(head)
        assert raised.value.status == 400
    with pytest.raises(UpstreamGarbage):
        parse_response_head(b"HTTP/1.1 200 OK\r\nX-Y: y\r\n" + line + b"\r\n\r\n")


@pytest.mark.rfc(9112, "2.2")
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\nHost: a\r\n\r\n", id="after-the-request-line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\n\r\n", id="after-a-field"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\n\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", id="two-make-no-end"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", id="everywhere"),
        pytest.param(b"GET / HTTP/1.1\rHost: a\r\n\r\n", id="bare-cr-after-the-request-line"),
        pytest.param(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", id="before-the-request-line"),
    ],
)
def test_a_bare_lf_ends_no_line(head: bytes) -> None:
    with pytest.raises(RequestError) as raised:
        parse(head)
    assert raised.value.status == 400


@pytest.mark.rfc(9110, "5.4")
@pytest.mark.rfc(6585, "5")
def test_limits_of_a_head() -> None:
    many = [b"X-%d: a" % i for i in range(19)]
    assert len(parse(get(*many)).fields.raw) == 20
    with pytest.raises(RequestError) as raised:
        parse(get(*many, b"X-A: b"))
    assert raised.value.status == 431
    room = LIMITS.total - len(get(b"X-A: "))
    assert parse(get(b"X-A: " + b"a" * room))
    with pytest.raises(RequestError) as raised:
        parse(get(b"X-A: " + b"a" * (room + 1)))
    assert raised.value.status == 431
    assert parse(first(b"GET /" + b"a" * 199 + b" HTTP/1.1"))


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize(
    ("lines", "framing"),
    [
        pytest.param([], NO_BODY, id="none"),
        pytest.param([b"Content-Length: 0"], Length(0), id="zero"),
        pytest.param([b"Content-Length: 5"], Length(5), id="length"),
        pytest.param([b"Content-Length: 5 \t"], Length(5), id="whitespace-behind"),
        pytest.param([b"Transfer-Encoding: chunked"], CHUNKED, id="chunked"),
        pytest.param([b"Transfer-Encoding: Chunked "], CHUNKED, id="chunked-whitespace-behind"),
    ],
)
@pytest.mark.parametrize("method", [b"POST", b"GET", b"BREW"])
def test_framing(lines: list[bytes], framing: object, method: bytes) -> None:
    assert parse(method + get(*lines)[3:]).framing == framing


@pytest.mark.rfc(9112, "6.1")
@pytest.mark.rfc(9112, "6.3")
@pytest.mark.rfc(9112, "11.2")
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param([b"Content-Length: 5", b"Transfer-Encoding: chunked"], 400, id="both"),
        pytest.param([b"Transfer-Encoding: chunked", b"Content-Length: 0"], 400, id="both-the-other-way"),
        pytest.param([b"Content-Length: 5", b"Content-Length: 5"], 400, id="two-lengths"),
        pytest.param([b"Content-Length: 5, 5"], 400, id="list-of-lengths"),
        pytest.param([b"Content-Length: 5 5"], 400, id="two-numbers"),
        pytest.param([b"Content-Length:"], 400, id="empty-length"),
        pytest.param([b"Content-Length: +5"], 400, id="plus"),
        pytest.param([b"Content-Length: -5"], 400, id="minus"),
        pytest.param([b"Content-Length: 0x5"], 400, id="hexadecimal"),
        pytest.param([b"Content-Length: 1_0"], 400, id="underscore"),
        pytest.param([b"Content-Length: 99999999999999999999"], 400, id="overflow"),
        pytest.param([b"Content-Length : 5"], 400, id="space-before-colon"),
        pytest.param([b"Transfer-Encoding: gzip"], 400, id="not-chunked"),
        pytest.param([b"Transfer-Encoding: identity"], 400, id="identity"),
        pytest.param([b"Transfer-Encoding: chunked, identity"], 400, id="chunked-not-final"),
        pytest.param([b"Transfer-Encoding: chunked, chunked"], 400, id="chunked-twice"),
        pytest.param([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], 400, id="two-lines"),
        pytest.param([b"Transfer-Encoding: xchunked"], 400, id="xchunked"),
        pytest.param([b"Transfer-Encoding: \x0bchunked"], 400, id="vertical-tab"),
        pytest.param([b"Transfer-Encoding:\r\n chunked"], 400, id="folded"),
        pytest.param([b"Transfer-Encoding : chunked"], 400, id="te-space-before-colon"),
        pytest.param([b"Transfer-Encoding: \x00chunked"], 400, id="nul"),
        pytest.param([b"Transfer-Encoding: gzip, chunked"], 501, id="unknown-coding"),
        pytest.param([b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked"], 400, id="hidden-by-connection"),
        pytest.param([b"Connection: content-length", b"Content-Length: 5"], 400, id="length-hidden-by-connection"),
    ],
)
def test_smuggling_is_refused(lines: list[bytes], status: int) -> None:
    for method in (b"POST", b"GET", b"BREW"):
        with pytest.raises(RequestError) as raised:
            parse(method + get(*lines)[3:])
        assert raised.value.status == status


@pytest.mark.rfc(9112, "6.1")
def test_transfer_encoding_in_http_1_0_is_refused() -> None:
    with pytest.raises(RequestError) as raised:
        parse(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert raised.value.status == 400


@pytest.mark.rfc(9112, "9.3")
@pytest.mark.rfc(9110, "7.6.1")
@pytest.mark.parametrize(
    ("minor", "lines", "keep_alive"),
    [
        pytest.param(1, [], True, id="1.1"),
        pytest.param(0, [], False, id="1.0"),
        pytest.param(1, [b"Connection: close"], False, id="1.1-close"),
        pytest.param(1, [b"Connection: CLOSE "], False, id="1.1-close-without-case"),
        pytest.param(1, [b"Connection: keep-alive"], True, id="1.1-keep-alive"),
        pytest.param(1, [b"Connection: x-a, close"], False, id="1.1-close-in-list"),
        pytest.param(1, [b"Connection: keep-alive", b"Connection: close"], False, id="1.1-both"),
        pytest.param(1, [b"Connection: closed"], True, id="1.1-another-word"),
        pytest.param(1, [b"Connection:"], True, id="1.1-empty"),
        pytest.param(0, [b"Connection: keep-alive"], True, id="1.0-keep-alive"),
        pytest.param(0, [b"Connection: Keep-Alive"], True, id="1.0-keep-alive-without-case"),
        pytest.param(0, [b"Connection: keep-alive, close"], False, id="1.0-both"),
        pytest.param(0, [b"Connection: x-a"], False, id="1.0-another-word"),
    ],
)
def test_persistence(minor: int, lines: list[bytes], keep_alive: bool) -> None:
    head = get(*lines).replace(b"HTTP/1.1", b"HTTP/1.%d" % minor, 1)
    assert parse(head).keep_alive is keep_alive


@pytest.mark.rfc(9110, "7.6.1")
def test_fields_that_connection_names_are_gone_before_any_decision() -> None:
    request = parse(get(b"Connection: X-A, accept-language,close", b"x-a: 1", b"X-B: 2", b"Accept-Language: de"))
    assert b"x-a" not in request.fields
    assert b"accept-language" not in request.fields
    assert request.fields.get(b"x-b") == b"2"


@pytest.mark.rfc(9110, "7.6.1")
@pytest.mark.parametrize(
    "name", ["Host", "Content-Length", "transfer-encoding", "Cache-Control", "authorization", "COOKIE"]
)
def test_connection_must_not_name_what_is_meant_for_the_origin(name: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse(get(b"Connection: close, " + name.encode()))
    assert raised.value.status == 400


SETTINGS = b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"


@pytest.mark.rfc(9110, "7.8")
@pytest.mark.parametrize(
    ("lines", "minor", "upgrade"),
    [
        pytest.param([b"Connection: Upgrade", b"Upgrade: websocket"], 1, b"websocket", id="websocket"),
        pytest.param([b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"], 1, b"websocket", id="in-a-list"),
        pytest.param([b"Upgrade: websocket"], 1, None, id="not-named-by-connection"),
        pytest.param([b"Connection: Upgrade"], 1, None, id="no-upgrade-field"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: websocket"], 0, None, id="in-1.0"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5"], 1, None, id="with-a-body"),
        pytest.param(
            [b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 0"], 1, b"websocket", id="empty-body"
        ),
        pytest.param([b"Connection: UPGRADE", b"Upgrade: WebSocket"], 1, b"WebSocket", id="any-case"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: websocket/13"], 1, b"websocket/13", id="with-a-version"),
        # RFC 9113 §3.1; Java's HttpClient and curl --http2 send it with each request.
        pytest.param([b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", SETTINGS], 1, None, id="h2c"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: TLS/1.3, HTTP/2.0"], 1, None, id="others"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: h2c, websocket"], 1, b"websocket", id="the-allowed-of-a-list"),
        pytest.param(
            [b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"], 1, b"websocket", id="and-of-two-lines"
        ),
        pytest.param([b"Connection: Upgrade", b"Upgrade: websockets"], 1, None, id="another-that-begins-so"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: ,"], 1, None, id="empty-list"),
        pytest.param([b"Connection: Upgrade", b"Upgrade:"], 1, None, id="empty"),
    ],
)
def test_upgrade(lines: list[bytes], minor: int, upgrade: bytes | None) -> None:
    head = get(*lines).replace(b"HTTP/1.1", b"HTTP/1.%d" % minor, 1)
    assert parse(head).upgrade == upgrade


@pytest.mark.rfc(9110, "7.8")
@pytest.mark.parametrize("method", [b"POST", b"HEAD", b"OPTIONS", b"PUT", b"BREW"])
def test_an_upgrade_with_another_method_than_get_is_an_ordinary_request(method: bytes) -> None:
    head = get(b"Connection: Upgrade", b"Upgrade: websocket").replace(b"GET", method, 1)
    assert parse(head).upgrade is None


@pytest.mark.parametrize(
    ("allowed", "upgrade"),
    [
        pytest.param({b"websocket"}, b"websocket", id="default"),
        pytest.param(set(), None, id="none"),
        pytest.param({b"h2c", b"websocket"}, b"h2c, websocket", id="both"),
        pytest.param({b"h2c"}, b"h2c", id="another"),
    ],
)
def test_which_upgrades_are_passed_on_is_a_setting(allowed: set[bytes], upgrade: bytes | None) -> None:
    head = get(b"Connection: Upgrade", b"Upgrade: h2c, websocket")
    assert HeadParser(LIMITS, frozenset(allowed)).parse(head).upgrade == upgrade


@pytest.mark.rfc(9112, "9.3")
@pytest.mark.parametrize(
    "before",
    [
        pytest.param(get(), id="plain"),
        pytest.param(get(b"Content-Length: 5"), id="length"),
        pytest.param(get(b"Content-Length: 0"), id="length-zero"),
        pytest.param(get(b"Transfer-Encoding: chunked"), id="chunked"),
        pytest.param(get(b"Connection: close"), id="close"),
        pytest.param(get().replace(b"1.1", b"1.0"), id="1.0"),
        pytest.param(get(b"Connection: upgrade", b"Upgrade: a"), id="upgrade"),
        pytest.param(get(b"Upgrade: a"), id="upgrade-not-named"),
        pytest.param(get(b"Connection: upgrade"), id="upgrade-not-there"),
        pytest.param(get(b"Connection: upgrade", b"Upgrade: a").replace(b"1.1", b"1.0"), id="upgrade-in-1.0"),
        pytest.param(get(b"Proxy-Connection: keep-alive"), id="proxy-connection"),
        pytest.param(get(b"Proxy-Connection: close"), id="proxy-connection-close"),
        pytest.param(get(b"Connection: keep-alive").replace(b"1.1", b"1.0"), id="1.0-keep-alive"),
        pytest.param(get(b"Expect: 100-continue"), id="expect"),
        pytest.param(b"HEAD" + get()[3:], id="head"),
        pytest.param(b"BREW" + get()[3:], id="unknown-method"),
    ],
)
def test_one_head_says_nothing_about_the_next(before: bytes) -> None:
    parser = HeadParser(LIMITS)
    for _ in range(3):
        parser.parse(before)
    for head in (get(b"X-A: 1"), get(b"X-A: 1")):
        request = parser.parse(head)
        assert request == parse(head)
        assert request.fields.raw == [(b"Host", b"site.test"), (b"X-A", b"1")]


@pytest.mark.rfc(9112, "9.3")
@settings(max_examples=300)
@given(
    st.sampled_from([b"Connection", b"Proxy-Connection", b"Upgrade", b"TE", b"Keep-Alive"]),
    st.lists(
        st.sampled_from([b"close", b"keep-alive", b"upgrade", b"x", b",", b" ", b"\t", b'"', b";", b"=", b"clos"]),
        max_size=5,
    ).map(b"".join),
    st.sampled_from([b"1.0", b"1.1"]),
)
def test_no_connection_field_spoils_the_next_request(name: bytes, value: bytes, version: bytes) -> None:
    parser = HeadParser(LIMITS)
    parser.parse(get(name + b": " + value).replace(b"1.1", version, 1))
    assert parser.parse(get(b"X-A: 1")) == parse(get(b"X-A: 1"))


# Fuzzing: a second reader, written from the grammar of RFC 9112 §3 and §5 alone.

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*"
                   rb"[\x21-\x7e\x80-\xff])?)?)[ \t]*")  # fmt: skip

PIECES = [
    *(b"GET", b"POST", b"/", b"*", b" ", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\r", b"\n", b"\t", b":", b",", b"\x00"),
    *(b"Host", b"Host: a\r\n", b"X-A: b\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"chunked"),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"\xff", b"a", b"http://a", b"5", b"\x7f"),
]


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    head = whole[:-4]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(head)))
        cut = draw(st.integers(0, 4))
        head = head[:at] + draw(st.sampled_from(PIECES)) + head[at + cut :]
    return head.replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n"


WHOLE = (
    b"POST /a?b HTTP/1.1\r\nHost: site.test\r\nAccept: */*\r\nConnection: keep-alive\r\nCookie: a=b\r\n"
    b"Content-Length: 5\r\n\r\n"
)


@settings(max_examples=600)
@given(
    st.binary(max_size=80).map(lambda noise: noise.replace(b"\r\n\r\n", b"") + b"\r\n\r\n")
    | st.lists(st.sampled_from(PIECES), max_size=20).map(lambda parts: b"".join(parts).replace(b"\r\n\r\n", b"\r\n"))
    .map(lambda head: head + b"\r\n\r\n")
    | mutated(WHOLE)
)  # fmt: skip
@example(WHOLE)
def test_a_head_is_a_request_as_the_grammar_reads_it_or_an_error(head: bytes) -> None:
    head = head[: head.index(b"\r\n\r\n") + 4]
    try:
        request = parse(head)
    except RequestError as error:
        status = error.status
    else:
        status = 200
    assert status in {200, 400, 405, 414, 431, 501, 505}
    if status != 200:
        return
    line, *lines = head[:-4].split(b"\r\n")
    method, target, version = line.split(b" ")
    assert request.method == method
    assert version == b"HTTP/1.%d" % request.minor
    assert target.endswith(request.target) or request.target[:1] in (b"/", b"*")
    read = [_LINE.fullmatch(one) for one in lines]
    assert all(read)
    named = {b"host"} if target[:1] != b"/" else set()
    for value in (found[2] for found in read if found and found[1].lower() == b"connection"):
        named |= {option.strip().lower() for option in value.split(b",")} - {b"upgrade", b"te", b"keep-alive"}
    expected = [found.groups() for found in read if found and found[1].lower() not in named]
    assert [field for field in request.fields.raw if field[0].lower() not in named] == expected


# Responses


@pytest.mark.rfc(9112, "4")
@pytest.mark.rfc(9110, "15")
@pytest.mark.parametrize(
    ("line", "status", "reason", "minor"),
    [
        pytest.param(b"HTTP/1.1 200 OK", 200, b"OK", 1, id="200"),
        pytest.param(b"HTTP/1.0 200 OK", 200, b"OK", 0, id="1.0"),
        pytest.param(b"HTTP/1.1 200 ", 200, b"", 1, id="no-reason"),
        pytest.param(b"HTTP/1.1 200", 200, b"", 1, id="no-reason-no-space"),
        pytest.param(b"HTTP/1.1 404 Not Found Here", 404, b"Not Found Here", 1, id="words"),
        pytest.param(b"HTTP/1.1 200 O\xf9 \xe7a", 200, b"O\xf9 \xe7a", 1, id="latin-1"),
        pytest.param(b"HTTP/1.1 200 a\tb", 200, b"a\tb", 1, id="tab"),
        pytest.param(b"HTTP/1.1 100 Continue", 100, b"Continue", 1, id="100"),
        pytest.param(b"HTTP/1.1 103 Early Hints", 103, b"Early Hints", 1, id="103"),
        pytest.param(b"HTTP/1.1 999 ?", 999, b"?", 1, id="999"),
    ],
)
def test_status_lines(line: bytes, status: int, reason: bytes, minor: int) -> None:
    answer = parse_response_head(line + b"\r\nX-A: b\r\n\r\n")
    assert (answer.status, answer.reason, answer.minor) == (status, reason, minor)
    assert answer.fields.raw == [(b"X-A", b"b")]


@pytest.mark.rfc(9110, "15")
def test_every_status_code_passes() -> None:
    for status in set(range(100, 1000)) - {101}:  # 101 must come with Upgrade
        head = b"HTTP/1.1 %d R\r\nContent-Length: 5\r\nX-A: b\r\n\r\n" % status
        answer = parse_response_head(head)
        assert (answer.status, answer.reason) == (status, b"R")
        assert answer.fields.raw == [(b"Content-Length", b"5"), (b"X-A", b"b")]


@pytest.mark.rfc(9110, "7.8")
def test_switching_protocols() -> None:
    answer = parse_response_head(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (answer.status, answer.fields.get(b"upgrade")) == (101, b"websocket")


@pytest.mark.rfc(9112, "2.3")
@pytest.mark.rfc(9112, "4")
@pytest.mark.rfc(9112, "11.1")
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"\r\n\r\n", id="empty"),
        pytest.param(b"<html>\r\n\r\n", id="http-0.9"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", id="2.0"),
        pytest.param(b"HTTP/2 200 OK\r\n\r\n", id="2"),
        pytest.param(b"HTTP/1.2 200 OK\r\n\r\n", id="1.2"),
        pytest.param(b"HTTP/0.9 200 OK\r\n\r\n", id="0.9"),
        pytest.param(b"http/1.1 200 OK\r\n\r\n", id="lower-case"),
        pytest.param(b"ICY 200 OK\r\n\r\n", id="icy"),
        pytest.param(b"HTTP/1.1 099 Low\r\n\r\n", id="099"),
        pytest.param(b"HTTP/1.1 000 Zero\r\n\r\n", id="000"),
        pytest.param(b"HTTP/1.1 1000 High\r\n\r\n", id="four-digits"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="two-digits"),
        pytest.param(b"HTTP/1.1 OK\r\n\r\n", id="no-code"),
        pytest.param(b"HTTP/1.1 -20 OK\r\n\r\n", id="negative"),
        pytest.param(b"HTTP/1.1 20x OK\r\n\r\n", id="letters-in-code"),
        pytest.param(b"HTTP/1.1  200 OK\r\n\r\n", id="two-spaces"),
        pytest.param(b"HTTP/1.1\t200 OK\r\n\r\n", id="tab"),
        pytest.param(b"HTTP/1.1 200 OK\n\r\n\r\n", id="bare-lf"),
        pytest.param(b"HTTP/1.1 200 O\rK\r\n\r\n", id="bare-cr"),
        pytest.param(b"HTTP/1.1 200 O\x00K\r\n\r\n", id="nul-in-reason"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="length-of-letters"),
        pytest.param(b"HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n", id="length-of-letters-without-body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", id="both"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="request"),
    ],
)
def test_garbage(head: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        parse_response_head(head)


@pytest.mark.rfc(9111, "5.1")
@pytest.mark.rfc(9111, "1.2.2")
@pytest.mark.parametrize(
    ("lines", "age"),
    [
        pytest.param(["0"], "0", id="zero"),
        pytest.param(["7200"], "7200", id="number"),
        pytest.param(["007"], "007", id="zeros-in-front"),
        pytest.param(["-5"], None, id="negative"),
        pytest.param(["+5"], None, id="signed"),
        pytest.param(["1.5"], None, id="fraction"),
        pytest.param(["abc"], None, id="letters"),
        pytest.param(['"5"'], None, id="quoted"),
        pytest.param([""], None, id="empty"),
        pytest.param(["5 s"], None, id="unit"),
        pytest.param(["2147483648"], "2147483648", id="greatest"),
        pytest.param(["2147483649"], "2147483648", id="over-the-greatest"),
        pytest.param(["9" * 40], "2147483648", id="far-over-it"),
        pytest.param(["5, 7"], "5", id="list"),
        pytest.param(["5", "7"], "5", id="two-lines"),
        pytest.param(["-5", "7"], None, id="two-lines-the-first-of-which-is-none"),
        pytest.param(["abc, 7"], None, id="list-the-first-of-which-is-none"),
        pytest.param([", 7"], None, id="list-with-an-empty-first"),
        pytest.param(["5, -7"], "5", id="list-the-second-of-which-is-none"),
    ],
)
def test_an_age_counts_as_its_first_member_and_not_at_all_where_that_is_none(lines: list[str], age: str | None) -> None:
    sent = b"".join(b"Age: %b\r\n" % line.encode() for line in lines)
    fields = parse_response_head(b"HTTP/1.1 200 OK\r\nA: 1\r\n" + sent + b"B: 2\r\n\r\n").fields
    assert fields.lines(b"age") == ([] if age is None else [age.encode()])
    assert (fields.get(b"a"), fields.get(b"b")) == (b"1", b"2")


@pytest.mark.parametrize(
    ("head", "named"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nA: 1\r\nB : 2\r\n\r\n", "B : 2", id="space-before-the-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: 1\r\nno field\r\n\r\n", "no field", id="no-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: 1\r\nX-\xe9: 2\r\n\r\n", "X-\\xe9: 2", id="name-beyond-ascii"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: 1\r\nX: \x00\r\n\r\n", "X: \\x00", id="nul"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "content-length", id="length"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n", "TLS", id="tls"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", "SSH-2.0-x", id="ssh"),
        pytest.param(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n", "does not say to which", id="101"),
    ],
)
def test_what_is_wrong_with_a_response_head_is_named(head: bytes, named: str) -> None:
    with pytest.raises(UpstreamGarbage, match=re.escape(named)):
        parse_response_head(head)


@pytest.mark.rfc(9112, "6.1")
def test_transfer_encoding_from_an_http_1_0_origin_is_garbage() -> None:
    with pytest.raises(UpstreamGarbage):
        parse_response_head(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


ANSWER = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nVary: *\r\n\r\n"


@settings(max_examples=300)
@given(st.binary(max_size=60).map(lambda noise: b"HTTP/1.1 2" + noise + b"\r\n\r\n") | mutated(ANSWER))
@example(ANSWER)
def test_a_response_head_is_read_as_the_grammar_reads_it_or_is_garbage(head: bytes) -> None:
    head = head[: head.index(b"\r\n\r\n") + 4]
    try:
        answer = parse_response_head(head)
    except UpstreamGarbage:
        return
    lines = head[:-4].split(b"\r\n")[1:]
    read = [_LINE.fullmatch(one) for one in lines]
    assert all(read)
    assert answer.fields.raw == [found.groups() for found in read if found]
