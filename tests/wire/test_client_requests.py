"""Does a client's connection read each request as it was sent, however its bytes come, and answer all in order?"""

from __future__ import annotations

import pytest

from proxy.downstream.trust import is_trusted, networks_of
from proxy.message.fields import Fields
from proxy.message.heads import Response
from tests.transports import deliveries
from tests.wire.clients import HOST, Asked, Talk, answer, answered, talk

NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"


def request(line: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    return line + b"\r\n" + HOST + b"".join(one + b"\r\n" for one in lines) + b"\r\n" + body


PERSISTENT = [
    pytest.param(request(b"GET /a HTTP/1.1"), (b"GET", b"/a", b""), id="get"),
    pytest.param(request(b"HEAD /a HTTP/1.1"), (b"HEAD", b"/a", b""), id="head"),
    pytest.param(request(b"BREW /pot HTTP/1.1"), (b"BREW", b"/pot", b""), id="any-method"),
    pytest.param(request(b"GET http://site.test/a?b HTTP/1.1"), (b"GET", b"/a?b", b""), id="absolute-form"),
    pytest.param(request(b"OPTIONS * HTTP/1.1"), (b"OPTIONS", b"*", b""), id="asterisk-form"),
    pytest.param(b"\r\n" + request(b"GET /a HTTP/1.1"), (b"GET", b"/a", b""), id="empty-line-before"),
    pytest.param(b"\r\n\r\n\r\n" + request(b"GET /a HTTP/1.1"), (b"GET", b"/a", b""), id="empty-lines-before"),
    pytest.param(
        request(b"POST /a HTTP/1.1", b"Content-Length: 5", body=b"hello"), (b"POST", b"/a", b"hello"), id="length"
    ),
    pytest.param(request(b"POST /a HTTP/1.1", b"Content-Length: 0"), (b"POST", b"/a", b""), id="length-0"),
    pytest.param(
        request(b"POST /a HTTP/1.1", b"Content-Length: 18", body=b"GET / HTTP/1.1\r\n\r\n"),
        (b"POST", b"/a", b"GET / HTTP/1.1\r\n\r\n"),
        id="body-that-looks-like-a-request",
    ),
    pytest.param(
        request(b"GET /a HTTP/1.1", b"Content-Length: 2", body=b"hi"), (b"GET", b"/a", b"hi"), id="get-with-a-body"
    ),
    pytest.param(
        request(b"POST /a HTTP/1.1", b"Transfer-Encoding: chunked", body=b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        (b"POST", b"/a", b"hello"),
        id="chunked",
    ),
    pytest.param(
        request(b"POST /a HTTP/1.1", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        (b"POST", b"/a", b""),
        id="chunked-and-empty",
    ),
    pytest.param(
        request(b"PUT /a HTTP/1.1", b"Transfer-Encoding: Chunked", body=b'2;a=b;c="d"\r\nhe\r\n0;e\r\nX: 1\r\n\r\n'),
        (b"PUT", b"/a", b"he"),
        id="chunked-with-extensions-and-trailers",
    ),
    pytest.param(request(b"GET /a HTTP/1.1", b"Connection: keep-alive"), (b"GET", b"/a", b""), id="keep-alive"),
    pytest.param(request(b"GET /a HTTP/1.1", b"Connection: X-Mine", b"X-Mine: 1"), (b"GET", b"/a", b""), id="named"),
]


@pytest.mark.rfc(9112, "2.2")
@pytest.mark.rfc(9112, "6.3")
@pytest.mark.rfc(9112, "9.3.2")
@pytest.mark.parametrize(("message", "said"), PERSISTENT)
def test_a_request_and_the_next(message: bytes, said: tuple[bytes, bytes, bytes]) -> None:
    for pieces in deliveries(message):
        talking = talk(pieces)
        assert (talking.said, talking.sent, talking.is_over) == ([said], answered(said), False), pieces
    following = (b"GET", b"/next", b"")
    for pieces in deliveries(message + NEXT):
        talking = talk(pieces)
        assert (talking.said, talking.sent) == ([said, following], answered(said, following)), pieces


@pytest.mark.rfc(9112, "7.1.2")
@pytest.mark.rfc(9112, "7.1.1")
def test_trailers_are_kept_and_extensions_are_not() -> None:
    chunks = b"5;ext=1\r\nhello\r\n0\r\nX-Sum: 1\r\nx-sum:\t2 \r\n\r\n"
    for pieces in deliveries(request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=chunks)):
        asked = talk(pieces).asked[0]
        assert (asked.body, list(asked.trailers)) == (b"hello", [(b"X-Sum", b"1"), (b"x-sum", b"2")])


@pytest.mark.rfc(9112, "9.3")
@pytest.mark.rfc(9112, "9.6")
@pytest.mark.parametrize(
    ("message", "line", "closes"),
    [
        pytest.param(request(b"GET / HTTP/1.1"), b"", False, id="1.1"),
        pytest.param(request(b"GET / HTTP/1.1", b"Connection: close"), CLOSE, True, id="1.1-close"),
        pytest.param(request(b"GET / HTTP/1.1", b"Connection: foo, CLOSE"), CLOSE, True, id="1.1-close-in-a-list"),
        pytest.param(request(b"GET / HTTP/1.0"), CLOSE, True, id="1.0"),
        pytest.param(request(b"GET / HTTP/1.0", b"Connection: Keep-Alive"), KEEP_ALIVE, False, id="1.0-keep-alive"),
        pytest.param(
            request(b"GET / HTTP/1.0", b"Connection: keep-alive, close"), CLOSE, True, id="1.0-keep-alive-and-close"
        ),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", CLOSE, True, id="1.0-without-host"),
    ],
)
def test_keep_alive(message: bytes, line: bytes, closes: bool) -> None:
    said = (b"GET", b"/", b"")
    for pieces in deliveries(message):
        talking = talk(pieces)
        assert (talking.sent, talking.is_over) == (answered(said, line=line), closes), pieces
    for pieces in deliveries(message + NEXT):
        talking = talk(pieces)
        assert [one[1] for one in talking.said] == ([b"/"] if closes else [b"/", b"/next"]), pieces


@pytest.mark.rfc(9112, "9.3.2")
def test_pipelined_requests_are_answered_in_order_though_answers_come_late() -> None:
    talking = Talk(on_whole=lambda _: None)
    posted = request(b"POST /2 HTTP/1.1", b"Content-Length: 3", body=b"two")
    talking.transport.receive(request(b"GET /1 HTTP/1.1") + posted + request(b"GET /3 HTTP/1.1"))
    for number in range(3):
        # The next is not even begun before the one before it has been answered.
        assert len(talking.asked) == number + 1
        answer(talking.asked[number])
    assert talking.sent == answered((b"GET", b"/1", b""), (b"POST", b"/2", b"two"), (b"GET", b"/3", b""))
    assert not talking.is_over


def test_many_pipelined_requests() -> None:
    said = [(b"GET", b"/%d" % number, b"") for number in range(1000)]
    data = b"".join(request(b"GET /%d HTTP/1.1" % number) for number in range(1000))
    for size in (7, 1000, len(data)):
        talking = talk([data[at : at + size] for at in range(0, len(data), size)])
        assert (talking.said, talking.sent) == (said, answered(*said))


@pytest.mark.rfc(9112, "2.2")
def test_empty_lines_without_end_cost_little() -> None:
    """A megabyte of them is passed over in one go; cut off two bytes at a time each would cost a copy."""
    talking = talk([b"\r\n" * 500_000 + request(b"GET /a HTTP/1.1")])
    assert talking.said == [(b"GET", b"/a", b"")]


@pytest.mark.rfc(9110, "10.1.1")
def test_expect_is_answered_by_whoever_answers_the_request() -> None:
    talking = Talk()
    talking.transport.receive(request(b"POST / HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 2"))
    assert talking.sent == b""
    talking.asked[0].client.interim(Response(100, b"Continue", Fields([])))
    assert talking.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    talking.transport.receive(b"hi")
    assert talking.sent == b"HTTP/1.1 100 Continue\r\n\r\n" + answered((b"POST", b"/", b"hi"))


@pytest.mark.rfc(9110, "15.2")
def test_http_1_0_gets_no_interim_response() -> None:
    talking = Talk()
    talking.transport.receive(request(b"POST / HTTP/1.0", b"Expect: 100-continue", b"Content-Length: 2"))
    talking.asked[0].client.interim(Response(100, b"Continue", Fields([])))
    talking.transport.receive(b"hi")
    assert talking.sent == answered((b"POST", b"/", b"hi"), line=CLOSE)


@pytest.mark.rfc(9112, "9.6")
def test_a_client_that_says_no_more_is_still_answered() -> None:
    """Half-closed clients: its requests were whole, so each is answered, and then the connection closes."""
    talking = Talk(on_whole=lambda _: None)
    talking.transport.receive(request(b"GET /1 HTTP/1.1") + request(b"GET /2 HTTP/1.1"))
    talking.transport.receive_eof()
    assert not talking.is_over
    answer(talking.asked[0])
    assert not talking.is_over
    answer(talking.asked[1])
    assert talking.sent == answered((b"GET", b"/1", b""), (b"GET", b"/2", b""))
    assert talking.is_over


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\r\n", id="an-empty-line"),
        pytest.param(b"GET / HT", id="half-a-head"),
        pytest.param(NEXT, id="a-request-that-was-answered"),
    ],
)
def test_a_client_that_says_no_more_between_requests_is_let_go(said: bytes) -> None:
    talking = talk([said] if said else [])
    talking.transport.receive_eof()
    assert talking.is_over


@pytest.mark.rfc(9112, "8")
@pytest.mark.parametrize(
    "message",
    [
        pytest.param(request(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hell"), id="length"),
        pytest.param(
            request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"), id="chunked"
        ),
    ],
)
@pytest.mark.parametrize("how", ["half-closed", "gone"])
def test_a_request_body_that_was_cut_short_is_lost_and_never_whole(message: bytes, how: str) -> None:
    talking = talk([message])
    if how == "gone":
        talking.transport.lose(ConnectionResetError())
    else:
        talking.transport.receive_eof()
    assert [(asked.whole, asked.lost) for asked in talking.asked] == [(False, True)]
    assert b"200" not in talking.sent


@pytest.mark.parametrize(
    ("network", "scheme"), [pytest.param("192.0.2.0/24", b"https", id="trusted"), pytest.param("", b"http", id="not")]
)
def test_the_scheme_is_taken_from_a_trusted_peer(network: str, scheme: bytes) -> None:
    talking = talk([request(b"GET / HTTP/1.1", b"X-Forwarded-Proto: https")], trusted=network)
    asked = talking.asked[0].request
    assert (asked.scheme, asked.trusted, asked.peer) == (scheme, bool(network), "192.0.2.7")


def test_what_comes_before_anybody_takes_it_is_held_and_then_given() -> None:
    talking = talk([request(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"he"), b"l"], attach=False)
    asked = talking.asked[0]
    assert asked.client.body is not None
    asked.client.body.attach(asked)
    assert asked.body == b"hel"
    talking.transport.receive(b"lo")
    assert (asked.body, asked.whole) == (b"hello", True)


def test_a_body_that_was_whole_before_anybody_took_it_is_given_whole() -> None:
    talking = talk([request(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello") + NEXT], attach=False)
    asked = talking.asked[0]
    assert asked.client.body is not None
    asked.client.body.attach(asked)
    assert talking.sent == answered((b"POST", b"/", b"hello"), (b"GET", b"/next", b""))


def test_each_request_has_its_own_body() -> None:
    bodies: list[object] = []

    def note(asked: Asked) -> None:
        bodies.append(asked.client.body)
        answer(asked)

    talk([request(b"POST / HTTP/1.1", b"Content-Length: 1", body=b"x") + NEXT], on_whole=note)
    assert bodies[0] is not None
    assert bodies[1] is None


@pytest.mark.rfc(9112, "3.3")
@pytest.mark.rfc(9110, "7.4")
@pytest.mark.parametrize(
    ("network", "target", "lines", "scheme"),
    [
        pytest.param("", b"https://site.test/", [], None, id="https-by-http"),
        pytest.param("", b"HTTPS://site.test/", [], None, id="without-case"),
        pytest.param("", b"https://site.test/", [b"X-Forwarded-Proto: https"], None, id="anybody-says-so"),
        pytest.param("", b"http://site.test/", [b"X-Forwarded-Proto: https"], b"http", id="nobody-is-believed"),
        pytest.param("192.0.2.0/24", b"https://site.test/", [], None, id="a-trusted-proxy-says-nothing"),
        pytest.param("192.0.2.0/24", b"https://site.test/", [b"X-Forwarded-Proto: http"], None, id="it-says-http"),
        pytest.param("192.0.2.0/24", b"https://site.test/", [b"X-Forwarded-Proto: https"], b"https", id="it-says-so"),
        pytest.param("192.0.2.0/24", b"https://site.test:443/", [b"Forwarded: proto=https"], b"https", id="forwarded"),
        pytest.param("192.0.2.0/24", b"http://site.test/", [b"X-Forwarded-Proto: https"], b"https", id="its-word"),
        pytest.param("192.0.2.0/24", b"http://site.test/", [b"X-Forwarded-Ssl: on"], b"https", id="ssl"),
    ],
)
def test_a_target_does_not_say_https_by_itself(
    network: str, target: bytes, lines: list[bytes], scheme: bytes | None
) -> None:
    talking = talk([request(b"GET %b HTTP/1.1" % target, *lines)], trusted=network)
    if scheme is None:
        assert not talking.asked
        assert talking.sent.startswith(b"HTTP/1.1 400 ")
    else:
        assert [asked.request.scheme for asked in talking.asked] == [scheme]
        assert talking.asked[0].request.host == b"site.test"


@pytest.mark.parametrize(
    ("trusted", "peer", "expected"),
    [
        pytest.param(["unix"], "", True, id="unix"),
        pytest.param(["192.0.2.0/24", "unix"], "", True, id="among-others"),
        pytest.param(["192.0.2.0/24"], "", False, id="not-unix"),
        pytest.param(["0.0.0.0/0", "::/0"], "", False, id="everybody-with-an-address"),
        pytest.param(["unix"], "192.0.2.7", False, id="an-address"),
        pytest.param([], "", False, id="nobody"),
    ],
)
def test_a_peer_on_a_unix_socket_is_trusted_by_name(trusted: list[str], peer: str, expected: bool) -> None:
    assert is_trusted(peer, networks_of(trusted)) is expected
