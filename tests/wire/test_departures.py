"""Does what is written in one turn of the event loop leave at its end, all of it, in its order, and not twice?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.departures import Departures
from proxy.errors import UpstreamClosed
from proxy.message.framing import Length
from proxy.upstream.connection import Ask
from tests.transports import Loop
from tests.upstream.origins import HEAD, Origin
from tests.wire.clients import HOST, Asked, Talk, answered

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Waiting:
    """Something that has bytes to send."""

    name: int
    gone: list[int]
    fails: bool = False

    def depart(self) -> None:
        if self.fails:
            raise ValueError("ours")
        self.gone.append(self.name)


@dataclass
class Station:
    loop: Loop = field(default_factory=Loop)
    gone: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.departures = Departures(self.loop)

    def add(self, names: Sequence[int], **options: bool) -> None:
        for name in names:
            self.departures.add(Waiting(name, self.gone, **options))


def test_all_depart_at_the_end_of_the_turn_in_their_order() -> None:
    station = Station()
    for turn in (range(10), range(10, 20)):
        station.add(turn)
        assert station.gone == list(range(turn[0]))
        station.loop.end_turn()
    assert station.gone == list(range(20))


def test_where_few_depart_they_do_so_at_once() -> None:
    station = Station()
    station.add(range(7))
    station.loop.end_turn()
    station.add(range(7, 22))
    assert station.gone == list(range(22))


def test_a_turn_is_looked_at_now_and_then() -> None:
    station = Station()
    station.add([0])
    station.loop.end_turn()
    for number in range(1, 64):
        station.add([number])
        assert station.gone[-1] == number
    station.add(range(64, 72))
    assert station.gone == list(range(64))
    station.loop.end_turn()
    assert station.gone == list(range(72))
    station.add([72])
    assert station.gone == list(range(72)), "there were many in that turn"


def test_the_first_do_not_wait_for_the_work_on_very_many() -> None:
    station = Station()
    station.add(range(32))
    assert station.gone == list(range(32))
    station.add([32])
    assert station.gone == list(range(32))
    station.loop.end_turn()
    assert station.gone == list(range(33))


def test_one_that_cannot_does_not_keep_the_others(caplog: pytest.LogCaptureFixture) -> None:
    station = Station()
    station.add([0], fails=True)
    station.add([1])
    station.loop.end_turn()
    assert station.gone == [1]
    assert "a fault of ours" in caplog.text


def sent_by(talking: Talk) -> bytes:
    """Return what has left so far, without the turn being ended."""
    return bytes(talking.transport.sent)


class TestClients:
    def test_a_response_leaves_at_the_end_of_the_turn(self) -> None:
        talking = Talk()
        talking.connection.data_received(GET)
        assert sent_by(talking) == b""
        talking.loop.end_turn()
        assert sent_by(talking) == answered((b"GET", b"/", b""))

    def test_the_second_of_one_turn_takes_the_first_along(self) -> None:
        talking = Talk()
        talking.connection.data_received(GET + GET)
        assert sent_by(talking) == 2 * answered((b"GET", b"/", b""))
        talking.connection.data_received(GET)
        assert sent_by(talking) == 2 * answered((b"GET", b"/", b""))
        talking.loop.end_turn()
        assert sent_by(talking) == 3 * answered((b"GET", b"/", b""))

    def test_a_body_that_follows_stays_behind_it(self) -> None:
        def stream_the_second(asked: Asked) -> None:
            if asked.request.target == b"/second":
                asked.client.begin(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", Length(2))
                asked.client.write(b"ok")
                asked.client.end()
            else:
                asked.client.respond(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 0\r\n\r\n", b"")

        talking = Talk(on_whole=stream_the_second)
        talking.connection.data_received(GET + GET.replace(b"/ ", b"/second "))
        assert sent_by(talking) == OK + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def test_it_is_there_before_a_refusal(self) -> None:
        talking = Talk()
        talking.connection.data_received(GET + b"nonsense\r\n\r\n")
        assert sent_by(talking).startswith(answered((b"GET", b"/", b"")) + b"HTTP/1.1 400 ")

    def test_a_client_that_says_no_more_gets_it(self) -> None:
        talking = Talk()
        talking.connection.data_received(GET)
        assert not talking.connection.eof_received()
        assert sent_by(talking) == answered((b"GET", b"/", b""))

    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_a_server_that_ends_has_sent_it(self, end: str) -> None:
        talking = Talk()
        talking.connection.data_received(GET)
        getattr(talking.connection, end)()
        assert sent_by(talking) == answered((b"GET", b"/", b""))
        assert talking.transport.is_closing()

    def test_nothing_is_sent_to_a_client_that_is_gone(self) -> None:
        talking = Talk()
        talking.connection.data_received(GET)
        talking.transport.lose()
        talking.loop.end_turn()
        assert sent_by(talking) == b""

    @given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.booleans())
    def test_whatever_comes_in_one_turn_every_response_leaves_once(self, turns: list[int], is_together: bool) -> None:
        talking = Talk()
        for count in turns:
            for piece in [GET * count] if is_together else [GET] * count:
                talking.connection.data_received(piece)
            talking.loop.end_turn()
        assert sent_by(talking) == sum(turns) * answered((b"GET", b"/", b""))


class TestOrigins:
    def test_a_request_leaves_at_the_end_of_the_turn(self) -> None:
        origin = Origin()
        origin.connection.begin(_ask(), pytest.fail)
        assert bytes(origin.transport.sent) == b""
        origin.loop.end_turn()
        assert bytes(origin.transport.sent) == HEAD

    def test_nobody_is_asked_what_nobody_waits_for(self) -> None:
        origin = Origin()
        origin.connection.begin(_ask(), pytest.fail)
        origin.connection.close()
        origin.loop.end_turn()
        assert bytes(origin.transport.sent) == b""

    def test_a_connection_that_ends_before_has_not_been_asked(self) -> None:
        origin = Origin()
        told: list[object] = []
        origin.connection.begin(_ask(), told.append)
        origin.transport.lose()
        assert [type(one) for one in told] == [UpstreamClosed]
        assert not origin.connection.touched
        origin.loop.end_turn()
        assert bytes(origin.transport.sent) == b""


def _ask() -> Ask:
    return Ask(HEAD, b"GET", lambda _: None, repeatable=True)
