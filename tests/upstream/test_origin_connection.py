"""Is a response read as RFC 9112 §6 delimits it, and is its connection used again only when it is clean?"""

from __future__ import annotations

import pytest

from proxy.errors import RequestBodyLost, UpstreamClosed, UpstreamError, UpstreamGarbage, UpstreamTimeout
from proxy.message.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Framing, Length
from tests.transports import Transport, deliveries
from tests.upstream.origins import HEAD, TIMEOUTS, Origin, Upload

OK = b"HTTP/1.1 200 OK\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"
KIB = 1024


def response(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK", body: bytes = b"") -> bytes:
    return status + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


DELIMITED = [
    pytest.param(b"GET", response(b"Content-Length: 5", body=b"hello"), Length(5), b"hello", id="length"),
    pytest.param(b"GET", response(b"Content-Length: 0"), Length(0), b"", id="length-0"),
    pytest.param(
        b"GET",
        response(b"Transfer-Encoding: chunked", body=b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
        CHUNKED,
        b"hello",
        id="chunked",
    ),
    pytest.param(b"GET", response(b"Transfer-Encoding: CHUNKED", body=b"0\r\n\r\n"), CHUNKED, b"", id="chunked-empty"),
    pytest.param(b"HEAD", response(b"Content-Length: 5"), NO_BODY, b"", id="head-length"),
    pytest.param(b"HEAD", response(b"Transfer-Encoding: chunked"), NO_BODY, b"", id="head-chunked"),
    pytest.param(b"HEAD", response(), NO_BODY, b"", id="head"),
    pytest.param(b"GET", response(status=b"HTTP/1.1 204 No Content"), NO_BODY, b"", id="204"),
    pytest.param(b"GET", response(b"Content-Length: 5", status=b"HTTP/1.1 304 Not Modified"), NO_BODY, b"", id="304"),
    pytest.param(
        b"POST", response(b"Content-Length: 2", status=b"HTTP/1.1 999 ", body=b"no"), Length(2), b"no", id="999"
    ),
    pytest.param(
        b"GET",
        response(b"Content-Length: 2", b"Connection: keep-alive", status=b"HTTP/1.0 200 OK", body=b"hi"),
        Length(2),
        b"hi",
        id="1.0-keep-alive",
    ),
]


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize(("method", "data", "framing", "body"), DELIMITED)
async def test_a_response_that_tells_its_end(method: bytes, data: bytes, framing: Framing, body: bytes) -> None:
    for pieces in deliveries(data):
        origin = Origin()
        asking = origin.ask(method)
        origin.transport.receive(*pieces)
        taken = asking.take()
        assert (asking.answer.framing, taken.body, taken.whole) == (framing, body, True), pieces
        assert (origin.released, origin.is_reusable) == (1, True), pieces


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.rfc(9112, "9.2")
@pytest.mark.parametrize("behind", [b"x", response(b"Content-Length: 1", body=b"x")], ids=["byte", "response"])
@pytest.mark.parametrize(("method", "data", "framing", "body"), DELIMITED)
async def test_bytes_behind_a_response_are_not_the_next_one(
    method: bytes, data: bytes, framing: Framing, body: bytes, behind: bytes
) -> None:
    """The response is whole; the connection is not used again, whenever the bytes come."""
    for pieces in ([data + behind], [data, behind], [data[:-1], data[-1:] + behind]):
        origin = Origin()
        asking = origin.ask(method)
        origin.transport.receive(*pieces)
        taken = asking.take()
        assert (taken.body, taken.whole, origin.is_reusable) == (body, True, False), pieces
        assert origin.transport.is_closing()


@pytest.mark.rfc(9112, "9.3")
@pytest.mark.parametrize(
    ("status", "lines", "persists"),
    [
        pytest.param(b"HTTP/1.1 200 OK", (), True, id="1.1"),
        pytest.param(b"HTTP/1.1 200 OK", (b"Connection: close",), False, id="1.1-close"),
        pytest.param(b"HTTP/1.1 200 OK", (b"Connection: x, Close",), False, id="1.1-close-in-a-list"),
        pytest.param(b"HTTP/1.0 200 OK", (), False, id="1.0"),
        pytest.param(b"HTTP/1.0 200 OK", (b"Connection: Keep-Alive",), True, id="1.0-keep-alive"),
        pytest.param(b"HTTP/1.0 200 OK", (b"Connection: keep-alive, close",), False, id="1.0-both"),
    ],
)
async def test_whether_a_connection_persists(status: bytes, lines: tuple[bytes, ...], persists: bool) -> None:
    origin = Origin()
    asking = origin.ask()
    origin.transport.receive(response(b"Content-Length: 2", *lines, status=status, body=b"hi"))
    assert asking.take().whole
    assert (origin.is_reusable, origin.transport.is_closing()) == (persists, not persists)


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_response_that_ends_with_the_connection(version: bytes) -> None:
    data = response(status=version + b" 200 OK", body=b"hello")
    for pieces in deliveries(data):
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(*pieces)
        taken = asking.take()
        assert (asking.answer.framing, taken.body, taken.whole) == (UNTIL_CLOSE, b"hello", False)
        origin.transport.receive_eof()
        assert (taken.whole, origin.is_reusable) == (True, False)


@pytest.mark.rfc(9112, "8")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(response(b"Content-Length: 5", body=b"hell"), id="length"),
        pytest.param(response(b"Content-Length: 5"), id="length-no-byte"),
        pytest.param(response(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"), id="chunked-no-last-chunk"),
        pytest.param(response(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"), id="chunked-no-last-line"),
        pytest.param(response(b"Transfer-Encoding: chunked", body=b"9\r\nhello"), id="chunked-in-a-chunk"),
    ],
)
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_body_cut_short_fails_and_never_ends(data: bytes, how: str) -> None:
    origin = Origin()
    asking = origin.ask()
    origin.transport.receive(data)
    taken = asking.take()
    if how == "closed":
        origin.transport.receive_eof()
    origin.transport.lose(None if how == "closed" else ConnectionResetError())
    assert isinstance(taken.error, UpstreamClosed)
    assert (taken.whole, origin.lost, origin.is_reusable) == (False, 1, False)


@pytest.mark.rfc(9112, "8")
async def test_a_body_until_close_that_was_reset_is_cut_short() -> None:
    origin = Origin()
    asking = origin.ask()
    origin.transport.receive(response(body=b"hello"))
    taken = asking.take()
    origin.transport.lose(ConnectionResetError())
    assert isinstance(taken.error, UpstreamClosed)


@pytest.mark.rfc(9112, "7.1")
@pytest.mark.parametrize("body", [b"x\r\n", b"5\r\nhello!\r\n", b"5\nhello\n", b"-1\r\n", b"0\r\nno field\r\n\r\n"])
async def test_malformed_chunks_fail_the_body(body: bytes) -> None:
    for pieces in deliveries(body):
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(OK + CHUNKED_LINE + b"\r\n", *pieces)
        taken = asking.take()
        assert isinstance(taken.error, UpstreamGarbage)
        assert origin.transport.is_closing()


@pytest.mark.rfc(9112, "7.1.2")
async def test_trailers() -> None:
    origin = Origin()
    asking = origin.ask()
    origin.transport.receive(OK + CHUNKED_LINE + b"\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert list(asking.take().trailers) == [(b"X-Sum", b"1")]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"hello\r\n\r\n", id="no-http"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", id="http-2"),
        pytest.param(b"HTTP/1.1 099 Low\r\n\r\n", id="099"),
        pytest.param(b"HTTP/1.1 1000 High\r\n\r\n", id="1000"),
        pytest.param(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two-lengths"),
        pytest.param(OK + b"Content-Length: -1\r\n\r\n", id="negative-length"),
        pytest.param(OK + b"Content-Length: 1\r\n" + CHUNKED_LINE + b"\r\n", id="length-and-chunked"),
        pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="another-coding"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101-not-asked-for"),
        pytest.param(b"HTTP/1.1 103 Hints\r\n\r\n" * 17, id="17-interim-responses"),
        pytest.param(OK + b"A: " + b"a" * 256 * KIB, id="endless-head"),
        pytest.param(OK + b"A: " + b"a" * 256 * KIB + b"\r\n\r\n", id="head-over-limit"),
        pytest.param(b"x" * (256 * KIB + 1), id="endless-line"),
    ],
)
async def test_garbage(data: bytes) -> None:
    for pieces in ([data], [data[:10], data[10:]]):
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(*pieces)
        assert isinstance(asking.error, UpstreamGarbage)
        assert origin.transport.is_closing()
        assert not origin.is_reusable


@pytest.mark.rfc(9110, "15.2")
async def test_interim_responses_come_in_order_before_the_final_one() -> None:
    data = (
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n"
    )
    for pieces in deliveries(data):
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(*pieces)
        assert [(one.status, one.fields.raw) for one in origin.interim] == [(102, []), (103, [(b"Link", b"</a>")])]
        assert (asking.answer.response.status, asking.take().whole, origin.is_reusable) == (200, True, True)


async def test_16_interim_responses_pass_for_each_request() -> None:
    origin = Origin()
    for _ in range(2):
        asking = origin.ask()
        origin.transport.receive(b"HTTP/1.1 100 Continue\r\n\r\n" * 16 + OK + b"Content-Length: 0\r\n\r\n")
        assert asking.take().whole
    assert len(origin.interim) == 32


@pytest.mark.parametrize("status", [200, 201, 299, 400, 418, 499, 599, 600, 999])
async def test_every_status_passes(status: int) -> None:
    origin = Origin()
    asking = origin.ask()
    origin.transport.receive(b"HTTP/1.1 %d Why\r\nContent-Length: 1\r\n\r\nx" % status)
    assert (asking.answer.response.status, asking.answer.response.reason) == (status, b"Why")
    assert asking.take().body == b"x"


async def test_fields_come_as_they_were_sent() -> None:
    origin = Origin()
    asking = origin.ask()
    origin.transport.receive(response(b"B: \xe9\xff", b"a:", b"B:  2 ", b"content-length:0"))
    raw = [(b"B", b"\xe9\xff"), (b"a", b""), (b"B", b"2"), (b"content-length", b"0")]
    assert asking.answer.response.fields.raw == raw


class TestIdle:
    async def test_it_carries_one_request_after_the_other(self) -> None:
        origin = Origin()
        for number in range(3):
            asking = origin.ask()
            origin.transport.receive(response(b"Content-Length: 1", body=b"%d" % number))
            assert asking.take().body == b"%d" % number
        assert origin.sent == HEAD * 3

    @pytest.mark.parametrize("data", [b"HTTP/1.1 408 Timeout\r\n\r\n", b"x", b"\r\n"])
    async def test_bytes_that_answer_nothing_end_it(self, data: bytes) -> None:
        origin = Origin()
        origin.transport.receive(data)
        assert (origin.is_reusable, origin.transport.is_closing()) == (False, True)

    async def test_its_end_is_noticed(self) -> None:
        origin = Origin()
        origin.transport.receive_eof()
        assert not origin.is_reusable
        origin.transport.lose()
        assert origin.lost == 1

    async def test_it_is_closed_when_it_is_not_needed(self) -> None:
        origin = Origin()
        origin.connection.rest(origin.loop.time() + TIMEOUTS.idle)
        origin.loop.turn(TIMEOUTS.idle + 1)
        assert origin.transport.is_closing()

    @pytest.mark.parametrize("how", ["lost", "closed"])
    async def test_asking_over_one_that_has_ended_fails_at_once(self, how: str) -> None:
        """Nobody would ever answer, and nobody looks at its deadline any more."""
        origin = Origin()
        if how == "lost":
            origin.transport.lose()
        else:
            origin.connection.close()
        asking = origin.ask()
        assert isinstance(asking.error, UpstreamClosed)
        assert not origin.connection.touched


class TestEndBeforeTheResponse:
    @pytest.mark.parametrize("touched", [False, True])
    @pytest.mark.parametrize("how", ["closed", "reset"])
    async def test_it_is_known_whether_a_byte_came(self, touched: bool, how: str) -> None:
        origin = Origin()
        asking = origin.ask()
        if touched:
            origin.transport.receive(b"H")
        if how == "closed":
            origin.transport.receive_eof()
        origin.transport.lose(None if how == "closed" else ConnectionResetError())
        assert isinstance(asking.error, UpstreamClosed)
        assert origin.connection.touched is touched

    async def test_a_byte_of_the_response_before_does_not_count(self) -> None:
        origin = Origin()
        origin.ask()
        origin.transport.receive(OK + b"Content-Length: 0\r\n\r\n")
        asking = origin.ask()
        origin.transport.lose()
        assert isinstance(asking.error, UpstreamClosed)
        assert not origin.connection.touched

    async def test_an_interim_response_counts(self) -> None:
        origin = Origin()
        origin.ask()
        origin.transport.receive(b"HTTP/1.1 103 Hints\r\n\r\n")
        assert origin.connection.touched


class TestDeadlines:
    async def test_the_first_byte(self) -> None:
        origin = Origin()
        asking = origin.ask()
        origin.loop.turn(TIMEOUTS.first_byte - 1)
        assert not asking.future.done()
        origin.loop.turn(2)
        assert isinstance(asking.error, UpstreamTimeout)
        assert origin.transport.is_closing()

    async def test_a_head_that_does_not_come_to_its_end(self) -> None:
        origin = Origin()
        asking = origin.ask()
        for piece in (b"H", b"T", b"T", b"P"):
            origin.transport.receive(piece)
            origin.loop.turn(TIMEOUTS.first_byte / 3)
        assert isinstance(asking.error, UpstreamTimeout)

    async def test_an_origin_that_says_it_is_processing_is_waited_for(self) -> None:
        origin = Origin()
        asking = origin.ask()
        for _ in range(4):
            origin.loop.turn(TIMEOUTS.first_byte - 1)
            origin.transport.receive(b"HTTP/1.1 102 Processing\r\n\r\n")
        assert not asking.future.done()
        origin.loop.turn(TIMEOUTS.first_byte + 1)
        assert isinstance(asking.error, UpstreamTimeout)

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(OK + b"Content-Length: 100\r\n\r\n", id="length"),
            pytest.param(OK + CHUNKED_LINE + b"\r\n64\r\n", id="chunked"),
            pytest.param(OK + b"\r\n", id="until-close"),
        ],
    )
    async def test_between_bytes(self, head: bytes) -> None:
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(head)
        taken = asking.take()
        for _ in range(3):
            origin.loop.turn(TIMEOUTS.between_bytes - 1)
            origin.transport.receive(b"a")
        assert taken.error is None
        origin.loop.turn(TIMEOUTS.between_bytes + 1)
        assert (taken.body, type(taken.error)) == (b"aaa", UpstreamTimeout)

    @pytest.mark.parametrize("kind", [b"text/event-stream", b"text/event-stream; charset=utf-8", b"Text/Event-Stream"])
    async def test_event_streams_may_be_silent(self, kind: bytes) -> None:
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(OK + CHUNKED_LINE + b"Content-Type: " + kind + b"\r\n\r\n1\r\na\r\n")
        taken = asking.take()
        origin.loop.turn(100_000)
        assert (taken.body, taken.is_over) == (b"a", False)

    async def test_an_event_stream_says_nothing_about_the_next_response(self) -> None:
        origin = Origin()
        origin.ask()
        origin.transport.receive(OK + CHUNKED_LINE + b"Content-Type: text/event-stream\r\n\r\n0\r\n\r\n")
        asking = origin.ask()
        origin.transport.receive(OK + b"Content-Length: 100\r\n\r\na")
        taken = asking.take()
        origin.loop.turn(TIMEOUTS.between_bytes + 1)
        assert isinstance(taken.error, UpstreamTimeout)

    async def test_an_origin_that_we_hold_back_is_not_late(self) -> None:
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(OK + b"Content-Length: 100\r\n\r\na")
        taken = asking.take()
        asking.answer.body.pause()
        origin.loop.turn(100_000)
        assert not taken.is_over
        asking.answer.body.resume()
        origin.loop.turn(TIMEOUTS.between_bytes + 1)
        assert isinstance(taken.error, UpstreamTimeout)

    async def test_a_client_that_uploads_slowly_is_not_the_origin_s_fault(self) -> None:
        """The client's own deadline holds for it; the origin has nothing to answer yet."""
        origin = Origin()
        upload = Upload()
        asking = origin.ask(b"POST", upload)
        assert upload.sink is not None
        upload.sink.feed(b"a")
        origin.loop.turn(TIMEOUTS.first_byte * 3)
        assert not asking.future.done()
        upload.sink.end()
        origin.loop.turn(TIMEOUTS.first_byte - 1)
        assert not asking.future.done()
        origin.loop.turn(2)
        assert isinstance(asking.error, UpstreamTimeout)

    async def test_an_origin_that_does_not_take_the_upload_is_late(self) -> None:
        origin = Origin()
        upload = Upload()
        asking = origin.ask(b"POST", upload)
        origin.transport.stalled = True
        assert upload.sink is not None
        while not upload.paused:
            upload.sink.feed(b"a" * 10_000)
        origin.loop.turn(TIMEOUTS.first_byte + 1)
        assert isinstance(asking.error, UpstreamTimeout)

    async def test_an_origin_that_takes_the_upload_again_is_not(self) -> None:
        origin = Origin()
        upload = Upload()
        asking = origin.ask(b"POST", upload)
        origin.transport.stalled = True
        assert upload.sink is not None
        while not upload.paused:
            upload.sink.feed(b"a" * 10_000)
        origin.transport.take(10_000_000)
        assert not upload.paused
        origin.loop.turn(TIMEOUTS.first_byte * 3)
        assert not asking.future.done()

    async def test_one_that_is_expected_to_say_continue_is_not_waited_for_without_end(self) -> None:
        origin = Origin()
        asking = origin.ask(b"POST", Upload())
        origin.loop.turn(TIMEOUTS.first_byte + 1)
        assert isinstance(asking.error, UpstreamTimeout)


class TestBackpressure:
    async def test_a_body_that_nobody_takes_is_held_within_bounds(self) -> None:
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(OK + b"Content-Length: 10000000\r\n\r\n")
        accepted = 0
        while origin.transport.reading:
            origin.transport.receive(b"a" * 10_000)
            accepted += 10_000
            assert accepted < 200 * KIB
        taken = asking.take()
        assert (len(taken.body), origin.transport.reading) == (accepted, True)

    async def test_a_paused_body_is_not_read_and_goes_on(self) -> None:
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(OK + b"Content-Length: 4\r\n\r\nab")
        taken = asking.take()
        asking.answer.body.pause()
        assert not origin.transport.reading
        asking.answer.body.resume()
        origin.transport.receive(b"cd")
        assert (taken.body, taken.whole, origin.transport.reading) == (b"abcd", True, True)

    async def test_a_body_that_ended_has_no_say_over_the_next(self) -> None:
        origin = Origin()
        first = origin.ask()
        origin.transport.receive(OK + b"Content-Length: 0\r\n\r\n")
        second = origin.ask()
        first.answer.body.pause()
        first.answer.body.abandon()
        origin.transport.receive(OK + b"Content-Length: 1\r\n\r\nx")
        assert second.take().whole
        assert origin.transport.reading

    async def test_an_abandoned_body_ends_the_connection(self) -> None:
        origin = Origin()
        asking = origin.ask()
        origin.transport.receive(OK + b"Content-Length: 4\r\n\r\nab")
        asking.answer.body.abandon()
        assert (origin.transport.is_closing(), origin.is_reusable) == (True, False)

    async def test_an_answer_that_nobody_waits_for_ends_the_connection(self) -> None:
        """Else its body would be held, and the connection kept, for ever."""
        origin = Origin()
        asking = origin.ask()
        asking.future.cancel()
        origin.transport.receive(OK + b"Content-Length: 400000\r\n\r\n" + b"a" * 100_000)
        assert origin.transport.is_closing()


class TestRequestBody:
    async def test_a_chunked_one_with_trailers(self) -> None:
        origin = Origin()
        upload = Upload()
        asking = origin.ask(b"POST", upload)
        assert upload.sink is not None
        upload.sink.feed(b"hello")
        upload.sink.end([(b"X-Sum", b"1")])
        assert origin.sent == HEAD + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        origin.transport.receive(OK + b"Content-Length: 0\r\n\r\n")
        assert (asking.take().whole, origin.is_reusable) == (True, True)

    async def test_one_that_is_cut_short_is_never_whole(self) -> None:
        origin = Origin()
        upload = Upload()
        asking = origin.ask(b"POST", upload)
        assert upload.sink is not None
        upload.sink.feed(b"hello")
        upload.sink.fail(ConnectionResetError())
        assert isinstance(asking.error, RequestBodyLost)
        assert origin.sent == HEAD + b"5\r\nhello\r\n"
        assert origin.transport.is_closing()

    async def test_an_early_final_response_comes_through_and_the_connection_is_not_used_again(self) -> None:
        origin = Origin()
        upload = Upload()
        asking = origin.ask(b"POST", upload)
        assert upload.sink is not None
        upload.sink.feed(b"hello")
        origin.transport.receive(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        taken = asking.take()
        assert (asking.answer.response.status, taken.body, taken.whole) == (413, b"no", True)
        assert (origin.released, origin.is_reusable) == (0, False)
        upload.sink.feed(b"more")
        upload.sink.end()

    async def test_a_response_may_stream_while_the_request_does(self) -> None:
        origin = Origin()
        upload = Upload()
        asking = origin.ask(b"POST", upload)
        assert upload.sink is not None
        origin.transport.receive(OK + CHUNKED_LINE + b"\r\n1\r\na\r\n")
        taken = asking.take()
        upload.sink.feed(b"hello")
        upload.sink.end()
        origin.transport.receive(b"0\r\n\r\n")
        assert (taken.whole, origin.is_reusable) == (True, True)
        assert origin.sent == HEAD + b"5\r\nhello\r\n0\r\n\r\n"

    async def test_the_client_is_held_back_while_the_origin_is_slow(self) -> None:
        origin = Origin()
        upload = Upload()
        origin.ask(b"POST", upload)
        origin.transport.stalled = True
        assert upload.sink is not None
        written = 0
        while not upload.paused:
            upload.sink.feed(b"a" * 10_000)
            written += 10_000
            assert written < 1024 * KIB
        origin.transport.take(10_000_000)
        assert not upload.paused


@pytest.mark.rfc(9110, "7.8")
class TestTunnel:
    SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"

    async def test_what_follows_is_bytes(self) -> None:
        for pieces in deliveries(self.SWITCH + b"HTTP/1.1 200 OK\r\n\r\n\x00"):
            origin = Origin()
            asking = origin.ask(upgrade=b"raw")
            origin.transport.receive(*pieces)
            taken = asking.take()
            tunnel = asking.answer.tunnel
            assert tunnel is not None
            tunnel.write(b"ping")
            assert (taken.body, origin.sent) == (b"HTTP/1.1 200 OK\r\n\r\n\x00", HEAD + b"ping")
            assert (taken.is_over, origin.is_reusable) == (False, False)

    async def test_each_direction_ends_by_itself(self) -> None:
        origin = Origin()
        asking = origin.ask(upgrade=b"raw")
        origin.transport.receive(self.SWITCH)
        taken = asking.take()
        tunnel = asking.answer.tunnel
        assert tunnel is not None
        tunnel.write_eof()
        assert origin.transport.ended
        origin.transport.receive(b"still here")
        origin.transport.receive_eof()
        assert (taken.body, taken.whole) == (b"still here", True)

    async def test_one_that_cannot_be_half_closed_is_closed(self) -> None:
        origin = Origin(Transport(half_closes=False))
        asking = origin.ask(upgrade=b"raw")
        origin.transport.receive(self.SWITCH)
        tunnel = asking.answer.tunnel
        assert tunnel is not None
        tunnel.write_eof()
        assert origin.transport.is_closing()

    async def test_the_origin_dies(self) -> None:
        origin = Origin()
        asking = origin.ask(upgrade=b"raw")
        origin.transport.receive(self.SWITCH)
        taken = asking.take()
        origin.transport.lose(ConnectionResetError())
        assert isinstance(taken.error, UpstreamError)

    async def test_it_may_be_silent(self) -> None:
        origin = Origin()
        asking = origin.ask(upgrade=b"raw")
        origin.transport.receive(self.SWITCH)
        taken = asking.take()
        origin.loop.turn(100_000)
        assert not taken.is_over

    async def test_the_writer_is_told_when_the_origin_takes_no_more(self) -> None:
        origin = Origin()
        asking = origin.ask(upgrade=b"raw")
        origin.transport.receive(self.SWITCH)
        tunnel = asking.answer.tunnel
        assert tunnel is not None
        told: list[bool] = []
        tunnel.on_tunnel_writable = told.append
        origin.transport.stalled = True
        tunnel.write(b"a" * 200_000)
        origin.transport.take(200_000)
        assert told == [False, True]

    async def test_an_upgrade_that_is_refused_is_a_response_as_any(self) -> None:
        origin = Origin()
        asking = origin.ask(upgrade=b"raw")
        origin.transport.receive(OK + b"Content-Length: 2\r\n\r\nno")
        assert asking.answer.tunnel is None
        assert (asking.take().body, origin.is_reusable) == (b"no", True)
