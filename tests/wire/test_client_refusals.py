"""Does what breaks a rule or a limit get the status it deserves, and is nothing behind it ever read as a request?"""

from __future__ import annotations

import re

import pytest

from proxy.downstream.parser import HeadLimits
from proxy.message.framing import CHUNKED as CHUNKED_FRAMING
from proxy.message.framing import Framing, Length
from tests.transports import deliveries
from tests.wire.clients import HOST, LIMITS, TIMEOUTS, UNWANTED, Talk, answered, talk

SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

REFUSAL = re.compile(
    rb"HTTP/1\.1 (\d{3}) [A-Z][A-Za-z -]+\r\n"
    rb"Content-Type: text/plain; charset=utf-8\r\nContent-Length: (\d+)\r\nCache-Control: no-store\r\n"
    rb"Connection: close\r\n\r\n(.*)",
    re.DOTALL,
)


def refused(talking: Talk) -> int:
    """Return the status of the one short plain response that the client was sent before its connection was ended."""
    matched = REFUSAL.fullmatch(talking.sent)
    assert matched is not None, talking.sent
    assert int(matched[2]) == len(matched[3]) < 200
    assert matched[3].startswith(matched[1])
    assert talking.is_over
    return int(matched[1])


HEADS = [
    pytest.param(b"GET /\r\n" + HOST, 400, id="no-version"),
    pytest.param(b"GET / HTTP/1.1\r\n", 400, id="no-host"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + HOST, 400, id="two-hosts"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n", 400, id="space-before-colon"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b" folded: 1\r\n", 400, id="folded"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n", 400, id="length-with-sign"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5, 5\r\n", 400, id="two-lengths"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n" + CHUNKED, 400, id="length-and-chunked"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, gzip\r\n", 400, id="chunked-not-last"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n", 501, id="gzip-coding"),
    pytest.param(b"POST / HTTP/1.0\r\n" + HOST + CHUNKED, 400, id="1.0-chunked"),
    pytest.param(b"CONNECT site.test:80 HTTP/1.1\r\n" + HOST, 405, id="connect"),
    pytest.param(b"GET / HTTP/2.0\r\n" + HOST, 505, id="http-2"),
    pytest.param(b"PRI * HTTP/2.0\r\n", 505, id="http-2-preface"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n", 413, id="length-over-limit"),
    pytest.param(b"GET /" + b"a" * 200 + b" HTTP/1.1\r\n" + HOST, 414, id="target-over-limit"),
    pytest.param(b"GET /" + b"a" * 300 + b"GET / HTTP/1.1\r\n" + HOST, 414, id="two-lines-run-together"),
    pytest.param(b"GET / HTTP/1.1" + b"1" * 300 + b"\r\n" + HOST, 414, id="version-over-limit"),
    pytest.param(b"A" * 300 + b" / HTTP/1.1\r\n" + HOST, 414, id="method-over-limit"),
    *(
        pytest.param(b"A" * (LIMITS.line + size) + b"\r\n" + HOST, status, id=f"line-of-limit-and-{size}")
        for size, status in ((-1, 400), (0, 400), (1, 414))
    ),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"A: %b\r\n" % (b"a" * 2000), 431, id="head-over-limit"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"A:\r\n" * 20, 431, id="too-many-fields"),
]


@pytest.mark.rfc(9112, "2.2")
@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize(("head", "status"), HEADS)
def test_a_head_that_breaks_a_rule_or_a_limit(head: bytes, status: int) -> None:
    for pieces in deliveries(head + b"\r\n"):
        talking = talk(pieces)
        assert (refused(talking), talking.asked) == (status, []), pieces
    for pieces in deliveries(head + b"\r\n" + SMUGGLED):
        talking = talk(pieces)
        assert (refused(talking), talking.asked) == (status, []), pieces


BODIES = [
    pytest.param(b"x\r\n", 400, id="no-chunk-size"),
    pytest.param(b"5\nhello\r\n0\r\n\r\n", 400, id="bare-line-feed"),
    pytest.param(b"5\r\nhello!\r\n0\r\n\r\n", 400, id="chunk-longer-than-its-size"),
    pytest.param(b"5;" + b"e" * 1100 + b"\r\nhello\r\n0\r\n\r\n", 400, id="extension-over-limit"),
    pytest.param(b"0\r\nnot a field\r\n\r\n", 400, id="bad-trailer"),
    pytest.param(b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\nb\r\n0\r\n\r\n", 413, id="chunked-over-limit"),
    pytest.param(b"3e9\r\n" + b"a" * 1001 + b"\r\n0\r\n\r\n", 413, id="one-chunk-over-limit"),
]


@pytest.mark.rfc(9112, "7.1")
@pytest.mark.parametrize("attach", [pytest.param(True, id="taken"), pytest.param(False, id="held")])
@pytest.mark.parametrize(("body", "status"), BODIES)
def test_a_body_that_breaks_a_rule_or_a_limit(body: bytes, status: int, attach: bool) -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n"
    for pieces in deliveries(body + SMUGGLED):
        talking = talk([head, *pieces], attach=attach)
        assert refused(talking) == status
        assert [(asked.request.target, asked.whole, asked.lost) for asked in talking.asked] == [(b"/", False, attach)]


def test_a_body_of_the_very_size_that_is_allowed_passes() -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST
    talking = talk([head + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000])
    talking.transport.receive(head + CHUNKED + b"\r\n" + b"3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n")
    assert talking.said == [(b"POST", b"/", b"a" * 1000)] * 2


@pytest.mark.parametrize(
    ("data", "limits", "status"),
    [
        pytest.param(b"a" * 300, HeadLimits(2000, 20, 200), 414, id="endless-line"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * 2000, HeadLimits(2000, 20, 200), 431, id="endless-field"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 400, HeadLimits(2000, 20, 200), 431, id="endless-fields"),
        pytest.param(b"a" * 300, HeadLimits(250, 20, 200), 414, id="endless-line-of-a-small-head"),
        pytest.param(b"\x16\x03\x01" + bytes(300), HeadLimits(2000, 20, 200), 414, id="not-http-at-all"),
    ],
)
def test_a_head_without_end_is_not_waited_for(data: bytes, limits: HeadLimits, status: int) -> None:
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))], [data[:100], data[100:]]):
        assert refused(talk(pieces, limits=limits)) == status


@pytest.mark.parametrize(
    ("limits", "body_limit", "head", "status"),
    [
        pytest.param(HeadLimits(2000, 20, 4), 0, b"GET /1234 HTTP/1.1\r\n" + HOST, 414, id="target"),
        pytest.param(HeadLimits(45, 20, 40), 0, b"GET / HTTP/1.1\r\nA: 12345678\r\n" + HOST, 431, id="header-bytes"),
        pytest.param(HeadLimits(2000, 1, 40), 0, b"GET / HTTP/1.1\r\nA: b\r\n" + HOST, 431, id="headers"),
        pytest.param(HeadLimits(2000, 9, 9), 3, b"POST / HTTP/1.1\r\nContent-Length: 4\r\n" + HOST, 413, id="body"),
    ],
)
def test_limits_are_those_of_the_settings(limits: HeadLimits, body_limit: int, head: bytes, status: int) -> None:
    assert refused(talk([head + b"\r\n"], limits=limits, body_limit=body_limit)) == status
    assert talk([head + b"\r\n" + b"1234"]).said


def test_what_was_pipelined_before_the_fault_is_answered_first() -> None:
    talking = talk([SMUGGLED + b"GET / HTTP/3.0\r\n\r\n"])
    first = answered((b"GET", b"/smuggled", b""))
    assert talking.sent.startswith(first)
    matched = REFUSAL.fullmatch(talking.sent[len(first) :])
    assert matched is not None
    assert matched[1] == b"505"


def test_too_many_connections() -> None:
    first = Talk(most=1)
    second = talk([SMUGGLED], beside=first)
    assert (refused(second), second.asked) == (503, [])
    first.transport.lose()
    second.transport.lose()
    assert talk([SMUGGLED], beside=first).said == [(b"GET", b"/smuggled", b"")]


def test_one_who_was_refused_takes_nobody_s_place() -> None:
    """Else a few who are turned away would keep everybody else away while they are."""
    first = Talk(most=2)
    third_to_last = Talk(beside=first)
    refused_one = Talk(beside=first)
    assert refused(refused_one) == 503
    third_to_last.transport.lose()
    assert talk([SMUGGLED], beside=first).said == [(b"GET", b"/smuggled", b"")]


#: The framing of a request body, a piece of it, and its end.
UPLOADS = {
    "length": (b"Content-Length: 10000000\r\n", b"a" * 5000, b""),
    "chunked": (CHUNKED, b"1000\r\n" + b"a" * 4096 + b"\r\n", b"0\r\n\r\n"),
}


def refuse(talking: Talk, *, streams: bool = False) -> None:
    """Answer without the request body."""
    client = talking.asked[0].client
    if streams:
        client.begin(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n", Length(2))
        client.write(b"no")
        client.end()
    else:
        client.respond(b"HTTP/1.1 413 Too Large\r\n", b"Content-Length: 2\r\n\r\n", b"no")


class TestLingering:
    """Who still sends is read from for a while, so that our response arrives instead of a reset (RFC 9112 §9.6)."""

    @pytest.mark.rfc(9112, "9.6")
    def test_our_direction_ends_and_the_client_closes(self) -> None:
        talking = talk([b"bad\r\n\r\n"])
        assert (talking.transport.ended, talking.transport.is_closing()) == (True, False)
        talking.transport.receive(b"more", SMUGGLED)
        talking.transport.receive_eof()
        assert talking.transport.is_closing()
        assert talking.asked == []

    @pytest.mark.rfc(9112, "9.6")
    def test_the_client_closes_after_a_refusal_in_the_middle_of_a_body(self) -> None:
        talking = talk([b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nx\r\n"])
        assert refused(talking) == 400
        talking.transport.receive_eof()
        assert talking.transport.is_closing()

    def test_nobody_is_read_from_without_end(self) -> None:
        talking = talk([b"bad\r\n\r\n"])
        talking.transport.receive(b"a" * 64 * 1024)
        assert not talking.transport.is_closing()
        talking.transport.receive(b"a")
        assert talking.transport.aborted

    def test_nobody_is_waited_for_without_end(self) -> None:
        talking = talk([b"bad\r\n\r\n"])
        talking.loop.turn(60)
        assert talking.transport.is_closing()

    @pytest.mark.rfc(9112, "9.6")
    @pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["", "expect"])
    @pytest.mark.parametrize("attach", [True, False], ids=["taken", "held"])
    @pytest.mark.parametrize("streams", [True, False], ids=["streamed", "at-once"])
    @pytest.mark.parametrize("form", list(UPLOADS))
    def test_a_body_that_was_answered_without_it_is_read_on(
        self, form: str, streams: bool, attach: bool, expect: bytes
    ) -> None:
        """A client that sends all before it reads would find a broken connection: as nginx's lingering_close."""
        line, piece, last = UPLOADS[form]
        talking = Talk(on_whole=lambda _: None, attach=attach, body_limit=10**9)
        talking.transport.receive(b"POST / HTTP/1.1\r\n" + HOST + line + expect + b"\r\n", piece)
        refuse(talking, streams=streams)
        sent = talking.sent
        assert sent.endswith(b"\r\n\r\nno")
        assert b"Connection: close\r\n" in sent
        for _ in range(UNWANTED // len(piece)):
            talking.transport.receive(piece)
            assert not talking.transport.is_closing()
        assert (talking.transport.reading, talking.transport.ended, talking.sent) == (True, True, sent)
        talking.transport.receive(last + SMUGGLED)
        assert (len(talking.asked), talking.sent) == (1, sent)
        talking.transport.receive_eof()
        assert talking.transport.is_closing()

    @pytest.mark.parametrize("form", list(UPLOADS))
    def test_no_more_than_the_setting_says(self, form: str) -> None:
        line, piece, _ = UPLOADS[form]
        talking = Talk(on_whole=lambda _: None, body_limit=10**9)
        talking.transport.receive(b"POST / HTTP/1.1\r\n" + HOST + line + b"\r\n")
        refuse(talking)
        talking.transport.receive(b"a" * UNWANTED)
        assert not talking.transport.is_closing()
        talking.transport.receive(piece)
        assert talking.transport.aborted

    def test_and_no_longer(self) -> None:
        talking = Talk(on_whole=lambda _: None, body_limit=10**9)
        talking.transport.receive(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000000\r\n\r\n")
        refuse(talking)
        seconds = 0
        while not talking.transport.is_closing():
            talking.loop.turn(1)
            talking.transport.receive(b"a")
            seconds += 1
        assert TIMEOUTS.linger <= seconds <= TIMEOUTS.linger + 2

    @pytest.mark.parametrize("pause", [4, 6])
    def test_one_who_says_nothing_more_is_not_waited_for(self, pause: int) -> None:
        talking = Talk(on_whole=lambda _: None, body_limit=10**9)
        talking.transport.receive(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000000\r\n\r\n")
        refuse(talking)
        for _ in range(3):
            talking.loop.turn(pause)
            talking.transport.receive(b"a")
        assert talking.transport.is_closing() is (pause > 5)

    @pytest.mark.parametrize("line", [b"Content-Length: 1001\r\n", b"Content-Length: 10000000000\r\n"])
    def test_one_that_we_refuse_is_read_on_as_well(self, line: bytes) -> None:
        """By its length, before any of it has come."""
        talking = talk([b"POST / HTTP/1.1\r\n" + HOST + line + b"\r\n"])
        assert refused(talking) == 413
        talking.transport.receive(b"a" * (UNWANTED - 10))
        assert not talking.transport.is_closing()

    def test_and_so_is_one_that_turns_out_too_large(self) -> None:
        talking = talk([b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n", b"3e9\r\n" + b"a" * 1001])
        assert refused(talking) == 413
        talking.transport.receive(b"a" * (UNWANTED - 10))
        assert not talking.transport.is_closing()

    def test_a_client_that_is_held_back_is_let_go_on(self) -> None:
        """The origin took no more of it; nobody has to take it any more."""
        talking = Talk(on_whole=lambda _: None, body_limit=10**9)
        talking.transport.receive(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
        body = talking.asked[0].client.body
        assert body is not None
        body.pause()
        assert not talking.transport.reading
        refuse(talking)
        assert talking.transport.reading

    @pytest.mark.parametrize("framing", [Length(9), CHUNKED_FRAMING], ids=["length", "chunked"])
    def test_an_answer_that_is_cut_short_is_read_as_far_as_it_came(self, framing: Framing) -> None:
        """A reset would take from the client what there is of it, the status included."""
        talking = Talk(on_whole=lambda _: None, body_limit=10**9)
        talking.transport.receive(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
        client = talking.asked[0].client
        client.begin(b"HTTP/1.1 413 Too Large\r\n", framing)
        client.write(b"no")
        client.abort()
        assert talking.sent.startswith(b"HTTP/1.1 413 Too Large\r\n")
        assert not talking.sent.endswith(b"0\r\n\r\n")
        talking.transport.receive(b"a" * 100_000)
        assert (talking.transport.ended, talking.transport.is_closing()) == (True, False)

    def test_who_has_ended_already_is_not_waited_for(self) -> None:
        talking = Talk(on_whole=lambda _: None)
        talking.transport.receive(SMUGGLED + b"bad\r\n\r\n")
        talking.transport.receive_eof()
        talking.asked[0].client.respond(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 0\r\n\r\n", b"")
        assert talking.transport.is_closing()

    def test_an_unread_body_is_dropped_and_nothing_behind_it_is_read(self) -> None:
        talking = Talk(on_whole=lambda _: None, attach=False)
        talking.transport.receive(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n", b"a" * 50)
        talking.asked[0].client.respond(b"HTTP/1.1 413 Too Large\r\n", b"Content-Length: 0\r\n\r\n", b"")
        assert talking.sent == b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        talking.transport.receive(b"a" * 50, SMUGGLED)
        assert (len(talking.asked), talking.transport.ended) == (1, True)
