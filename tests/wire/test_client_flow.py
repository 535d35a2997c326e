"""Is no client waited for without end, nothing held without bound, and everybody let go in the end?"""

from __future__ import annotations

import asyncio

import pytest

from proxy.message.framing import CHUNKED, Length
from tests.transports import Transport
from tests.wire.clients import HOST, TIMEOUTS, Asked, Talk, answer, answered, talk

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n"
MIB = 1024 * 1024


def large(asked: Asked) -> None:
    asked.client.respond(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 100000\r\n\r\n", b"a" * 100_000)


def never(asked: Asked) -> None:
    """Leave the client waiting."""


def stalled() -> Transport:
    transport = Transport()
    transport.stalled = True
    return transport


class TestDeadlines:
    """``timeouts``: header, body, idle and write. The clock is turned by hand."""

    def test_idle_from_the_beginning(self) -> None:
        talking = Talk()
        talking.loop.turn(TIMEOUTS.idle - 1)
        assert not talking.is_over
        talking.loop.turn(2)
        assert (talking.sent, talking.is_over) == (b"", True)

    def test_idle_between_requests(self) -> None:
        talking = talk([GET])
        talking.loop.turn(TIMEOUTS.idle - 1)
        talking.transport.receive(GET)
        talking.loop.turn(TIMEOUTS.idle - 1)
        assert not talking.is_over
        talking.loop.turn(2)
        assert (len(talking.asked), talking.is_over) == (2, True)
        assert b"408" not in talking.sent

    def test_a_head_that_drips(self) -> None:
        talking = Talk()
        for at in range(11):
            talking.transport.receive(GET[at : at + 1])
            talking.loop.turn(1)
        assert talking.sent.startswith(b"HTTP/1.1 408 ")
        assert talking.is_over

    def test_a_head_that_drips_behind_another_request(self) -> None:
        talking = talk([GET + GET[:10]])
        talking.loop.turn(TIMEOUTS.header + 1)
        assert talking.sent.startswith(answered((b"GET", b"/", b"")) + b"HTTP/1.1 408 ")

    def test_a_body_that_pauses(self) -> None:
        talking = talk([POST])
        for _ in range(5):
            talking.transport.receive(b"a")
            talking.loop.turn(TIMEOUTS.body - 1)
        assert talking.sent == b""
        talking.loop.turn(2)
        assert talking.sent.startswith(b"HTTP/1.1 408 ")
        assert (talking.is_over, talking.asked[0].lost) == (True, True)

    def test_a_body_that_pauses_under_a_response_that_has_begun(self) -> None:
        talking = talk([POST])
        talking.asked[0].client.begin(b"HTTP/1.1 200 OK\r\n", CHUNKED)
        talking.asked[0].client.write(b"a")
        talking.loop.turn(TIMEOUTS.body + 1)
        assert talking.transport.aborted
        assert b"408" not in talking.sent

    def test_a_body_that_we_hold_back_is_not_late(self) -> None:
        talking = talk([POST])
        body = talking.asked[0].client.body
        assert body is not None
        body.pause()
        talking.loop.turn(10 * TIMEOUTS.body)
        assert not talking.is_over
        body.resume()
        talking.loop.turn(TIMEOUTS.body + 1)
        assert talking.sent.startswith(b"HTTP/1.1 408 ")

    def test_nobody_is_late_while_waiting_for_us(self) -> None:
        talking = talk([GET], on_whole=never)
        talking.loop.turn(1000)
        assert not talking.is_over

    def test_one_who_reads_nothing(self) -> None:
        talking = talk([GET * 20], on_whole=large, transport=stalled())
        talking.loop.turn(TIMEOUTS.write + 1)
        assert talking.transport.aborted

    @pytest.mark.parametrize("requests", [5, 20], ids=["not-blocked", "blocked"])
    @pytest.mark.parametrize("last", [False, True], ids=["keep-alive", "close"])
    def test_one_who_reads_slowly_gets_everything(self, requests: int, last: bool) -> None:
        transport = stalled()
        closing = GET[:-2] + b"Connection: close\r\n\r\n"
        talking = talk([GET * requests + (closing if last else b"")], on_whole=large, transport=transport)
        while transport.get_write_buffer_size():
            assert not transport.aborted, transport.get_write_buffer_size()
            talking.loop.turn(TIMEOUTS.write - 2)
            transport.take(60_000)
        assert len(talking.asked) == requests + last

    def test_one_who_stops_reading_after_the_last_response(self) -> None:
        transport = stalled()
        closing = GET[:-2] + b"Connection: close\r\n\r\n"
        talking = talk([closing], on_whole=large, transport=transport)
        transport.take(50_000)
        talking.loop.turn(2 * TIMEOUTS.write + 1)
        assert transport.aborted


class TestBackpressure:
    def test_one_who_pipelines_and_does_not_read_is_held_back(self) -> None:
        """Neither what we would send nor what he asks for grows without bound: reading stops."""
        talking = Talk(on_whole=large, transport=stalled())
        accepted = 0
        while talking.transport.reading:
            talking.transport.receive(GET * 1000)
            accepted += 1
            assert accepted < 100
        assert talking.transport.get_write_buffer_size() < 2 * MIB
        assert not talking.is_over

    def test_he_goes_on_where_he_was(self) -> None:
        transport = stalled()
        talking = talk([GET * 30], on_whole=large, transport=transport)
        assert (len(talking.asked) < 30, transport.reading) == (True, False)
        while transport.get_write_buffer_size():
            transport.take(200_000)
        assert (len(talking.asked), transport.reading, talking.is_over) == (30, True, False)

    def test_he_says_no_more_and_is_answered_all_the_same(self) -> None:
        transport = stalled()
        talking = Talk(on_whole=never, transport=transport)
        talking.transport.receive(GET * 30)
        talking.transport.receive_eof()
        talking._on_whole = large
        large(talking.asked[0])
        while transport.get_write_buffer_size():
            transport.take(200_000)
        assert (len(talking.asked), talking.is_over) == (30, True)

    def test_pipelined_bytes_are_held_within_bounds(self) -> None:
        talking = talk([GET], on_whole=never)
        accepted = 0
        while talking.transport.reading:
            talking.transport.receive(b"a" * 1000)
            accepted += 1000
            assert accepted < MIB
        assert 64 * 1024 <= accepted < 128 * 1024

    def test_a_body_that_nobody_takes_is_held_within_bounds(self) -> None:
        talking = talk([POST.replace(b"100", b"1000000")], attach=False, body_limit=MIB)
        accepted = 0
        while talking.transport.reading:
            talking.transport.receive(b"a" * 1000)
            accepted += 1000
            assert accepted < 500_000
        asked = talking.asked[0]
        assert asked.client.body is not None
        asked.client.body.attach(asked)
        assert (len(asked.body), talking.transport.reading) == (accepted, True)

    def test_a_writer_is_told_when_to_wait_and_when_to_go_on(self) -> None:
        transport = stalled()
        talking = talk([GET], on_whole=never, transport=transport)
        client = talking.asked[0].client
        told = []
        client.on_writable = lambda: told.append(client.blocked)
        client.begin(b"HTTP/1.1 200 OK\r\n", Length(10 * MIB))
        written = 0
        while not client.blocked:
            client.write(b"a" * 65_536)
            written += 65_536
        assert written <= MIB + 65_536
        transport.take(len(transport.sent))
        assert told == [False]


class TestStopping:
    def test_an_idle_connection_closes(self) -> None:
        talking = talk([GET])
        talking.connection.stop()
        assert talking.transport.closed

    @pytest.mark.rfc(9112, "9.6")
    def test_a_response_under_way_finishes_and_says_that_it_is_the_last(self) -> None:
        talking = talk([GET], on_whole=never)
        talking.connection.stop()
        assert not talking.is_over
        answer(talking.asked[0])
        assert talking.sent == answered((b"GET", b"/", b""), line=b"Connection: close\r\n")
        assert talking.is_over

    def test_a_body_under_way_finishes(self) -> None:
        talking = talk([GET], on_whole=never)
        client = talking.asked[0].client
        client.begin(b"HTTP/1.1 200 OK\r\n", Length(4))
        client.write(b"ab")
        talking.connection.stop()
        client.write(b"cd")
        assert not talking.is_over
        client.end()
        assert talking.sent == b"HTTP/1.1 200 OK\r\n\r\nabcd"
        assert talking.is_over

    def test_no_further_request_is_read(self) -> None:
        talking = talk([GET + GET], on_whole=never)
        talking.connection.stop()
        answer(talking.asked[0])
        assert (len(talking.asked), talking.is_over) == (1, True)

    def test_one_who_reads_slowly_gets_his_response_and_no_other(self) -> None:
        transport = stalled()
        talking = talk([GET * 30], on_whole=large, transport=transport)
        begun = len(talking.asked)
        talking.connection.stop()
        while transport.get_write_buffer_size():
            transport.take(200_000)
        assert (len(talking.asked), talking.is_over) == (begun, True)

    def test_one_who_was_refused_may_read_why(self) -> None:
        talking = talk([b"bad\r\n\r\n"])
        talking.connection.stop()
        assert not talking.transport.is_closing()

    def test_who_is_killed_is_gone(self) -> None:
        talking = talk([GET], on_whole=never)
        talking.connection.kill()
        assert talking.transport.aborted

    async def test_the_server_waits_until_everybody_has_left(self) -> None:
        first = talk([GET], on_whole=never)
        second = Talk(beside=first)
        clients = first.serving.clients
        waiting = asyncio.ensure_future(clients.emptied())
        await asyncio.sleep(0)
        first.transport.lose()
        await asyncio.sleep(0)
        assert not waiting.done()
        second.transport.lose()
        await asyncio.wait_for(waiting, 10)
        await asyncio.wait_for(clients.emptied(), 10)


@pytest.mark.parametrize(
    "peer", [pytest.param("", id="unix"), pytest.param(("fe80::1%eth0", 1, 0, 2), id="ipv6-with-a-zone")]
)
def test_peers_that_are_no_ipv4_address(peer: object) -> None:
    talking = Talk(trusted="192.0.2.0/24", transport=Transport(peer))
    talking.transport.receive(GET)
    assert not talking.asked[0].request.trusted


def test_every_client_is_forgotten_in_the_end() -> None:
    talking = talk([GET])
    talking.transport.lose()
    talking.loop.turn(1000)
    assert not talking.serving.clients.connected
    assert not talking.transport.aborted
