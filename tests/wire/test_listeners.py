"""Do listeners take in everybody who comes at once, and is none left open when one of them cannot be opened?"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import uvloop

from proxy.config.units import Seconds
from proxy.downstream.listeners import close_listeners, open_listeners, shown
from proxy.downstream.server import Server
from proxy.errors import ListenError
from tests.wire.clients import Talk


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_crowd_that_comes_at_once_is_not_turned_away(kind: str, tmp_path: Path) -> None:
    """A thousand clients connect while the loop is busy with something else: none has to wait and try again."""
    listeners = open_listeners(["127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path / 'site.sock'}"])

    talking = Talk(most=1000)

    async def crowd() -> int:
        server = Server(talking.serving)
        await server.start(listeners)
        connected = []
        for _ in range(300):
            client = socket.socket(listeners[0].family)
            client.setblocking(False)
            connected.append(client)
            if client.connect_ex(listeners[0].getsockname()) not in {0, 115}:
                break
        unfinished = [client for client in connected if not _is_connected(client)]
        for client in connected:
            client.close()
        await server.drain(Seconds(0))
        return len(connected) - len(unfinished)

    try:
        assert uvloop.run(crowd()) == 300
    finally:
        close_listeners(listeners)


def _is_connected(client: socket.socket) -> bool:
    try:
        client.getpeername()
    except OSError:
        return False
    return True


def test_none_is_left_open_when_one_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            open_listeners([f"unix:{path}", f"127.0.0.1:{port}"])
    assert not path.exists()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_every_address_is_none_when_one_family_is_taken() -> None:
    """Its IPv4 half must not stay open (a ResourceWarning would fail this test)."""
    with socket.socket(socket.AF_INET6) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::", 0))
        taken.listen()
        with pytest.raises(ListenError):
            open_listeners([f":{taken.getsockname()[1]}"])


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(ListenError, match="cannot listen on 192\\.0\\.2\\.1:0"):
        open_listeners(["192.0.2.1:0"])


def test_how_listeners_are_shown(tmp_path: Path) -> None:
    listeners = open_listeners(["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path / 's'}"])
    ports = [listener.getsockname()[1] for listener in listeners[:2]]
    expected = [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}", f"unix:{tmp_path / 's'}"]
    assert [shown(listener) for listener in listeners] == expected
    close_listeners(listeners)
    close_listeners(listeners)
