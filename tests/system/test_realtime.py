"""Do WebSockets, event streams and uploads work through the proxy as they do without it, with nothing held back?"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.system.browser import TIMEOUT, Browser
from tests.system.conftest import Site

Browse = Callable[..., Browser]


@contextmanager
def websocket(site: Site, path: str, **options: object) -> Iterator[ClientConnection]:
    """Open a WebSocket over a connection of our own, whatever the environment says about proxies."""
    sock = socket.create_connection(("127.0.0.1", site.port), timeout=TIMEOUT)
    with sock, connect(f"ws://127.0.0.1:{site.port}{path}", sock=sock, max_size=None, **options) as connection:
        yield connection


def event(response: HTTPResponse) -> str:
    """Read one event of a stream."""
    line = response.readline().decode().rstrip("\n")
    assert response.readline() == b"\n"
    return line


class TestWebSocket:
    """RFC 6455 over RFC 9110 §7.8."""

    @pytest.mark.rfc(9110, "7.8")
    @pytest.mark.parametrize(
        "said",
        [
            pytest.param("hello", id="text"),
            pytest.param("", id="empty-text"),
            pytest.param("¡hóla! 🎈", id="text-beyond-ascii"),
            pytest.param(b"\x00\xff\r\n\r\n", id="binary"),
            pytest.param(b"", id="empty-binary"),
            pytest.param(bytes(range(256)) * 8192, id="two-mebibytes"),
        ],
    )
    def test_what_is_said_comes_back(self, realtime: Site, said: str | bytes) -> None:
        with websocket(realtime, "/ws") as connection:
            for _ in range(2):
                connection.send(said)
                assert connection.recv(TIMEOUT) == said

    def test_many_messages_keep_their_order(self, realtime: Site) -> None:
        with websocket(realtime, "/ws") as connection:
            for number in range(500):
                connection.send(str(number))
            assert [connection.recv(TIMEOUT) for _ in range(500)] == [str(number) for number in range(500)]

    def test_a_ping_is_answered(self, realtime: Site) -> None:
        with websocket(realtime, "/ws") as connection:
            assert connection.ping(b"are you there").wait(TIMEOUT)

    def test_a_message_of_several_frames(self, realtime: Site) -> None:
        with websocket(realtime, "/ws") as connection:
            connection.send(iter(["one ", "two ", "three"]))
            assert connection.recv(TIMEOUT) == "one two three"

    def test_the_subprotocol_is_agreed_on(self, realtime: Site) -> None:
        with websocket(realtime, "/ws", subprotocols=["chat", "other"]) as connection:
            assert connection.subprotocol == "chat"

    def test_the_client_closes(self, realtime: Site, browse: Browse, name: str) -> None:
        with websocket(realtime, f"/ws?channel={name}") as connection:
            connection.send("hello")
            assert connection.recv(TIMEOUT) == "hello"
            connection.close(4002, "enough")
            assert (connection.close_code, connection.close_reason) == (4002, "enough")
        assert browse(realtime).get(f"/left?channel={name}").text == "it did: 4002"

    def test_the_application_closes(self, realtime: Site) -> None:
        with websocket(realtime, "/ws") as connection:
            connection.send("bye")
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(TIMEOUT)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "you said bye")

    def test_the_client_vanishes(self, realtime: Site, browse: Browse, name: str) -> None:
        with websocket(realtime, f"/ws?channel={name}") as connection:
            connection.send("hello")
            assert connection.recv(TIMEOUT) == "hello"
            connection.socket.shutdown(socket.SHUT_RDWR)
            # Which code an end without a close frame is told as is the server's business.
            assert browse(realtime).get(f"/left?channel={name}").text in {"it did: 1005", "it did: 1006"}

    def test_the_application_refuses(self, realtime: Site) -> None:
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused, websocket(realtime, "/ws/refuse"):
                pass
            assert refused.value.response.status_code == 403

    def test_pages_go_on_beside_open_tunnels(self, realtime: Site, browse: Browse) -> None:
        with websocket(realtime, "/ws") as one, websocket(realtime, "/ws") as other:
            assert browse(realtime).get("/missing").status == 404
            for number in range(3):
                one.send(f"one {number}")
                other.send(f"other {number}")
                assert other.recv(TIMEOUT) == f"other {number}"
                assert one.recv(TIMEOUT) == f"one {number}"


CACHE_CONTROL = [
    pytest.param("", id="without-cache-control"),
    pytest.param("&cache-control=no-cache", id="no-cache"),
    pytest.param("&cache-control=no-store", id="no-store"),
]


@pytest.mark.parametrize("control", CACHE_CONTROL)
class TestEventStream:
    """An endless body: each event at once, each client a stream of its own, and never stored."""

    def test_each_event_arrives_before_the_next_is_made(
        self, realtime: Site, browse: Browse, name: str, control: str
    ) -> None:
        with browse(realtime).open(f"/events?channel={name}{control}") as response:
            assert response.headers.get_content_type() == "text/event-stream"
            assert event(response) == "data: first of stream 1"
            other = browse(realtime)
            for number in (2, 3, 4):
                other.get(f"/poke?channel={name}")
                assert event(response) == f"data: event {number}"

    def test_each_client_has_a_stream_of_its_own(self, realtime: Site, browse: Browse, name: str, control: str) -> None:
        path = f"/events?channel={name}{control}"
        with browse(realtime).open(path) as one, browse(realtime).open(path) as two:
            assert event(one) == "data: first of stream 1"
            assert event(two) == "data: first of stream 2"

    def test_the_application_learns_that_the_client_left(
        self, realtime: Site, browse: Browse, name: str, control: str
    ) -> None:
        connection = HTTPConnection("127.0.0.1", realtime.port, timeout=TIMEOUT)
        connection.request("GET", f"/events?channel={name}{control}")
        response = connection.getresponse()
        assert event(response) == "data: first of stream 1"
        response.close()
        connection.close()
        # An end of what the client says is not yet an end of what it reads; that shows when something is sent to it.
        other = browse(realtime)
        for _ in range(20):
            other.get(f"/poke?channel={name}")
        assert other.get(f"/left?channel={name}").text == "it did: 0"
        with browse(realtime).open(f"/events?channel={name}{control}") as again:
            assert event(again) == "data: first of stream 2"


class TestUploads:
    """Bodies towards the application."""

    @pytest.mark.rfc(9112, "7.1")
    @pytest.mark.parametrize(
        "parts",
        [
            pytest.param([b"one"], id="one-part"),
            pytest.param([b"a", b"bb" * 1000, b"\r\n0\r\n\r\n", b"c" * 70_000], id="four-parts"),
            pytest.param([bytes(range(256)) * 256] * 64, id="four-mebibytes"),
        ],
    )
    def test_a_chunked_body_comes_back(self, realtime: Site, name: str, parts: list[bytes]) -> None:
        connection = HTTPConnection("127.0.0.1", realtime.port, timeout=TIMEOUT)
        connection.request("POST", f"/echo?channel={name}", iter(parts), encode_chunked=True)
        with connection.getresponse() as response:
            assert response.read() == b"".join(parts)
        connection.close()

    def test_the_first_part_is_there_before_the_last_is_sent(self, realtime: Site, browse: Browse, name: str) -> None:
        connection = HTTPConnection("127.0.0.1", realtime.port, timeout=TIMEOUT)
        connection.putrequest("POST", f"/echo?channel={name}")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"6\r\nfirst \r\n")
        assert browse(realtime).get(f"/arrived?channel={name}").text == "it did: 6"
        connection.send(b"6\r\nsecond\r\n0\r\n\r\n")
        with connection.getresponse() as response:
            assert response.read() == b"first second"
        connection.close()

    def test_the_application_learns_that_an_upload_was_broken_off(
        self, realtime: Site, browse: Browse, name: str
    ) -> None:
        connection = HTTPConnection("127.0.0.1", realtime.port, timeout=TIMEOUT)
        connection.putrequest("POST", f"/echo?channel={name}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"only this")
        assert browse(realtime).get(f"/arrived?channel={name}").text == "it did: 9"
        connection.close()
        assert browse(realtime).get(f"/left?channel={name}").text == "it did: 9"
