"""Is a response framed so that this client can tell where it ends, and whether it is whole?"""

from __future__ import annotations

import asyncio

import pytest

from proxy.downstream.connection import Connection
from proxy.message.fields import Fields
from proxy.message.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Framing, Length
from proxy.message.heads import Response
from tests.transports import Transport
from tests.wire.clients import HOST, Asked, Talk, answered

HEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n"


def asking(line: bytes, *lines: bytes, transport: Transport | None = None) -> tuple[Talk, Asked]:
    """Return a talk whose one request waits for its response."""
    talking = Talk(on_whole=lambda _: None, transport=transport)
    talking.transport.receive(line + b"\r\n" + HOST + b"".join(one + b"\r\n" for one in lines) + b"\r\n")
    return talking, talking.asked[0]


FRAMINGS = [
    pytest.param(
        b"GET / HTTP/1.1",
        CHUNKED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        False,
        id="chunked-to-1.1",
    ),
    pytest.param(
        b"GET / HTTP/1.1",
        UNTIL_CLOSE,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        False,
        id="until-close-to-1.1",
    ),
    pytest.param(b"GET / HTTP/1.1", Length(5), HEAD + b"\r\nhello", False, id="length-to-1.1"),
    pytest.param(b"GET / HTTP/1.0", CHUNKED, HEAD + b"Connection: close\r\n\r\nhello", True, id="chunked-to-1.0"),
    pytest.param(
        b"GET / HTTP/1.0\r\nConnection: keep-alive",
        CHUNKED,
        HEAD + b"Connection: close\r\n\r\nhello",
        True,
        id="chunked-to-1.0-keep-alive",
    ),
    pytest.param(
        b"GET / HTTP/1.0\r\nConnection: keep-alive",
        Length(5),
        HEAD + b"Connection: keep-alive\r\n\r\nhello",
        False,
        id="length-to-1.0-keep-alive",
    ),
    pytest.param(b"GET / HTTP/1.0", Length(5), HEAD + b"Connection: close\r\n\r\nhello", True, id="length-to-1.0"),
    pytest.param(
        b"GET / HTTP/1.1\r\nConnection: close",
        CHUNKED,
        HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        True,
        id="chunked-to-the-last-request",
    ),
]


@pytest.mark.rfc(9112, "6.1")
@pytest.mark.rfc(9112, "7.1")
@pytest.mark.parametrize(("line", "framing", "expected", "closes"), FRAMINGS)
def test_a_body_that_comes_in_pieces(line: bytes, framing: Framing, expected: bytes, closes: bool) -> None:
    talking, asked = asking(line)
    asked.client.begin(HEAD, framing)
    asked.client.write(b"he")
    asked.client.write(b"llo")
    asked.client.end()
    assert (talking.sent, talking.is_over) == (expected, closes)


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize("line", [b"HEAD / HTTP/1.1", b"GET / HTTP/1.1"])
@pytest.mark.parametrize("status", [b"200", b"204", b"304"])
def test_a_response_without_a_body_ends_with_its_head(line: bytes, status: bytes) -> None:
    talking, asked = asking(line)
    head = b"HTTP/1.1 %b Because\r\nContent-Length: 10\r\n" % status
    asked.client.begin(head, NO_BODY)
    asked.client.end()
    assert (talking.sent, talking.is_over) == (head + b"\r\n", False)


@pytest.mark.rfc(9112, "6.3")
def test_an_empty_chunked_body() -> None:
    talking, asked = asking(b"GET / HTTP/1.1")
    asked.client.begin(HEAD, CHUNKED)
    asked.client.end()
    assert talking.sent == HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.rfc(9112, "7.1.2")
def test_trailers_go_to_1_1_and_stay_behind_for_1_0() -> None:
    sent = []
    for line in (b"GET / HTTP/1.1", b"GET / HTTP/1.0"):
        talking, asked = asking(line)
        asked.client.begin(HEAD, CHUNKED)
        asked.client.write(b"hi")
        asked.client.end([(b"X-Sum", b"1")])
        sent.append(talking.sent)
    assert sent[0].endswith(b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert sent[1].endswith(b"\r\n\r\nhi")


def test_a_head_waits_for_the_first_bytes_of_its_body_and_no_longer_than_told() -> None:
    talking, asked = asking(b"GET / HTTP/1.1")
    asked.client.begin(HEAD, Length(2))
    assert talking.sent == b""
    asked.client.flush()
    assert talking.sent == HEAD + b"\r\n"
    asked.client.flush()
    asked.client.write(b"hi")
    asked.client.end()
    assert talking.sent == HEAD + b"\r\nhi"


class TestAborted:
    """A body cut short is visible as cut short (RFC 9112 §8), never as complete."""

    @pytest.mark.rfc(9112, "8")
    def test_chunked_ends_without_its_last_chunk(self) -> None:
        talking, asked = asking(b"GET / HTTP/1.1")
        asked.client.begin(HEAD, CHUNKED)
        asked.client.write(b"he")
        asked.client.abort()
        assert talking.sent.endswith(b"2\r\nhe\r\n")
        assert talking.is_over

    @pytest.mark.rfc(9112, "8")
    def test_a_length_is_not_reached(self) -> None:
        talking, asked = asking(b"GET / HTTP/1.1")
        asked.client.begin(HEAD, Length(5))
        asked.client.write(b"he")
        asked.client.abort()
        assert talking.sent == HEAD + b"\r\nhe"
        assert talking.is_over

    @pytest.mark.rfc(9112, "8")
    def test_one_that_ends_with_the_connection_is_reset(self) -> None:
        talking, asked = asking(b"GET / HTTP/1.0")
        asked.client.begin(HEAD, CHUNKED)
        asked.client.write(b"he")
        asked.client.abort()
        assert talking.transport.aborted

    @pytest.mark.parametrize("framing", [CHUNKED, Length(5)], ids=["chunked", "length"])
    def test_nothing_of_the_next_request_is_answered(self, framing: Framing) -> None:
        talking, asked = asking(b"GET / HTTP/1.1")
        talking.transport.receive(b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n")
        asked.client.begin(HEAD, framing)
        asked.client.write(b"he")
        asked.client.abort()
        assert (len(talking.asked), talking.is_over) == (1, True)

    def test_before_the_head_it_is_an_error(self) -> None:
        talking, asked = asking(b"GET / HTTP/1.1")
        asked.client.abort()
        assert talking.sent.startswith(b"HTTP/1.1 500 ")
        assert talking.is_over

    @pytest.mark.parametrize("stalled", [300_000, 2_000_000], ids=["not-blocked", "blocked"])
    def test_one_who_then_reads_nothing_is_not_kept_for_ever(self, stalled: int) -> None:
        talking, asked = asking(b"GET / HTTP/1.1")
        talking.transport.stalled = True
        asked.client.begin(HEAD, CHUNKED)
        asked.client.write(b"a" * stalled)
        asked.client.abort()
        talking.transport.take(stalled - 100_000)
        talking.loop.turn(200)
        assert talking.transport.aborted


@pytest.mark.rfc(9110, "15.2")
def test_interim_responses_go_out_in_order_before_the_final_one() -> None:
    talking, asked = asking(b"GET / HTTP/1.1")
    for status, reason in ((102, b"Processing"), (103, b"Early Hints")):
        fields = Fields([(b"Link", b"</a.css>; rel=preload"), (b"Connection", b"X-Hop"), (b"X-Hop", b"1")])
        asked.client.interim(Response(status, reason, fields))
    asked.client.respond(HEAD, b"Content-Length: 0\r\n\r\n", b"")
    link = b"Link: </a.css>; rel=preload\r\n\r\n"
    interim = b"HTTP/1.1 102 Processing\r\n" + link + b"HTTP/1.1 103 Early Hints\r\n" + link
    assert talking.sent == interim + HEAD + b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1], ids=["joined", "apart"])
def test_a_large_body_is_sent_whole(size: int) -> None:
    talking, asked = asking(b"GET / HTTP/1.1")
    asked.client.respond(HEAD, b"Content-Length: %d\r\n\r\n" % size, b"a" * size)
    assert talking.sent == HEAD + b"Content-Length: %d\r\n\r\n" % size + b"a" * size


def test_nothing_is_written_to_one_who_is_gone() -> None:
    talking, asked = asking(b"GET / HTTP/1.1")
    left = []
    asked.client.on_gone = lambda: left.append(True)
    talking.transport.lose()
    client = asked.client
    client.interim(Response(103, b"", Fields([])))
    client.begin(HEAD, CHUNKED)
    client.write(b"a")
    client.flush()
    client.end()
    client.abort()
    client.respond(HEAD, b"\r\n", b"")
    assert (talking.sent, client.gone, left) == (b"", True, [True])


class _FarEnd:
    """The origin's end of a tunnel."""

    def __init__(self) -> None:
        self.said: list[bytes | None] = []
        self.abandoned = False

    def write(self, data: bytes) -> None:
        self.said.append(data)

    def write_eof(self) -> None:
        self.said.append(None)

    def abandon(self) -> None:
        self.abandoned = True


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n"
UPGRADE = (b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: raw")


@pytest.mark.rfc(9110, "7.8")
class TestTunnel:
    def test_bytes_go_both_ways_as_they_are(self) -> None:
        talking, asked = asking(*UPGRADE)
        far = _FarEnd()
        talking.transport.receive(b"GET /early HTTP/1.1\r\n\r\n")
        asked.client.switch(SWITCH, far)
        talking.transport.receive(b"GET /late HTTP/1.1\r\n\r\n")
        asked.client.write(b"\x00\xff")
        assert far.said == [b"GET /early HTTP/1.1\r\n\r\n", b"GET /late HTTP/1.1\r\n\r\n"]
        assert (talking.sent, len(talking.asked)) == (SWITCH + b"\r\n\x00\xff", 1)

    def test_what_was_said_early_is_held_within_bounds(self) -> None:
        talking, asked = asking(*UPGRADE)
        talking.transport.receive(b"a" * 60_000, b"b" * 60_000, b"c")
        assert not talking.transport.reading
        far = _FarEnd()
        asked.client.switch(SWITCH, far)
        assert far.said == [b"a" * 60_000 + b"b" * 60_000]
        assert talking.transport.reading

    @pytest.mark.parametrize("early", [True, False], ids=["before-the-switch", "behind-it"])
    def test_the_client_says_no_more(self, early: bool) -> None:
        talking, asked = asking(*UPGRADE)
        far = _FarEnd()
        if early:
            talking.transport.receive_eof()
        asked.client.switch(SWITCH, far)
        if not early:
            talking.transport.receive_eof()
        asked.client.write(b"still here")
        assert (far.said, talking.sent) == ([None], SWITCH + b"\r\nstill here")
        assert not talking.is_over

    def test_the_client_is_gone(self) -> None:
        talking, asked = asking(*UPGRADE)
        far = _FarEnd()
        asked.client.switch(SWITCH, far)
        talking.transport.lose(ConnectionResetError())
        assert far.abandoned

    def test_the_client_was_gone_before(self) -> None:
        talking, asked = asking(*UPGRADE)
        far = _FarEnd()
        talking.transport.lose()
        asked.client.switch(SWITCH, far)
        assert far.abandoned

    @pytest.mark.parametrize("how", ["end", "abort"])
    def test_the_origin_is_gone(self, how: str) -> None:
        talking, asked = asking(*UPGRADE)
        asked.client.switch(SWITCH, _FarEnd())
        asked.client.write(b"last words")
        getattr(asked.client, how)()
        assert talking.sent.endswith(b"last words")
        assert talking.is_over

    def test_it_may_be_silent_for_as_long_as_it_likes(self) -> None:
        talking, asked = asking(*UPGRADE)
        asked.client.switch(SWITCH, _FarEnd())
        talking.loop.turn(100_000)
        assert not talking.is_over


async def test_an_aborted_body_without_framing_reaches_the_client_as_a_reset() -> None:
    """Over a real socket: a plain close would look like the end of the body."""
    asked: asyncio.Future[Asked] = asyncio.get_running_loop().create_future()
    serving = Talk(on_whole=asked.set_result).serving
    server = await asyncio.get_running_loop().create_server(lambda: Connection(serving), "127.0.0.1", 0)
    async with asyncio.timeout(20), server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        client = (await asked).client
        client.begin(HEAD, CHUNKED)
        client.write(b"he")
        await reader.readuntil(b"he")
        client.abort()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


def test_answers_of_the_same_connection_do_not_share_their_framing() -> None:
    talking, asked = asking(b"GET / HTTP/1.1")
    asked.client.begin(HEAD, CHUNKED)
    asked.client.end()
    before = len(talking.sent)
    talking.transport.receive(b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n")
    talking.asked[1].client.begin(HEAD, Length(1))
    talking.asked[1].client.write(b"x")
    talking.asked[1].client.end()
    assert talking.sent[before:] == HEAD + b"\r\nx"
    before = len(talking.sent)
    talking.transport.receive(b"GET /3 HTTP/1.1\r\n" + HOST + b"\r\n")
    talking.asked[2].client.respond(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 8\r\n\r\n", b"GET /3 .")
    assert talking.sent[before:] == answered((b"GET", b"/3", b"."))
