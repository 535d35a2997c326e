"""Are many values read from memcached as they were sent, however the bytes arrive, and never one for another?"""

from __future__ import annotations

import pytest
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownCommandError,
)

from proxy.storage.backends.memcached_bulk import BulkClient
from proxy.storage.backends.memcached_ring import Plain

KEYS = ["a", "b", "c", "d"]
VALUES = {"a": b"one", "b": b"two\r\nEND\r\n", "d": 12}
REPLY = b"VALUE a 0 3\r\none\r\nVALUE b 0 10\r\ntwo\r\nEND\r\n\r\nVALUE d 2 2\r\n12\r\nEND\r\n"


class Wire:
    """A socket to a server that has said these bytes, and hangs up."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.sent = b""
        self.is_closed = False

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, most: int) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        assert len(piece) <= most
        return piece

    def close(self) -> None:
        self.is_closed = True


def asking(*pieces: bytes) -> tuple[BulkClient, Wire]:
    client, wire = BulkClient(("localhost", 1), serde=Plain()), Wire(*pieces)
    client.sock = wire
    return client, wire


@pytest.mark.parametrize("size", [1, 2, 3, 5, 13, 1000])
def test_values_are_read_in_whatever_pieces_they_arrive(size: int) -> None:
    client, wire = asking(*(REPLY[at : at + size] for at in range(0, len(REPLY), size)))
    assert client.get_many(KEYS) == VALUES
    assert wire.sent == b"get a b c d\r\n"
    assert not wire.is_closed


def test_a_large_value_is_read() -> None:
    large = b"x" * 1_000_000
    said = b"VALUE a 0 1000000\r\n" + large + b"\r\nEND\r\n"
    client, _ = asking(*(said[at : at + 100_000] for at in range(0, len(said), 100_000)))
    assert client.get_many(["a"]) == {"a": large}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(REPLY[:-3], MemcacheUnexpectedCloseError, id="cut-in-the-last-line"),
        pytest.param(REPLY[:15], MemcacheUnexpectedCloseError, id="cut-in-a-value"),
        pytest.param(b"", MemcacheUnexpectedCloseError, id="nothing"),
        pytest.param(b"SERVER_ERROR out of memory\r\n", MemcacheServerError, id="server"),
        pytest.param(b"CLIENT_ERROR bad\r\n", MemcacheClientError, id="client"),
        pytest.param(b"ERROR\r\n", MemcacheUnknownCommandError, id="command"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", MemcacheError, id="another-protocol"),
        pytest.param(b"x" * 5000, MemcacheError, id="a-line-without-an-end"),
        pytest.param(b"VALUE a 0 2\r\none\r\nEND\r\n", MemcacheError, id="longer-than-it-says"),
        pytest.param(b"VALUE z 0 3\r\none\r\nEND\r\n", MemcacheError, id="never-asked-for"),
        pytest.param(b"VALUE a 0 x\r\none\r\nEND\r\n", MemcacheError, id="no-size"),
        pytest.param(b"VALUE a 0 -9\r\none\r\nEND\r\n", MemcacheError, id="less-than-nothing"),
    ],
)
def test_after_what_is_no_answer_the_connection_is_given_up(said: bytes, expected: type[Exception]) -> None:
    client, wire = asking(said)
    with pytest.raises(expected):
        client.get_many(KEYS)
    assert wire.is_closed
    assert client.sock is None
