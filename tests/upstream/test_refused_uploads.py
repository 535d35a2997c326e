"""Is an answer read that came before the origin reset the connection of an upload? (RFC 9112 §9.5)

The sockets are real and so are both loops: what the kernel keeps, and when a loop gives a connection up, is theirs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.errors import UpstreamClosed, UpstreamError
from proxy.message.framing import CHUNKED
from proxy.upstream.connection import Answer, Ask, UpstreamConnection
from tests.upstream.origins import TIMEOUTS, Taken, Upload

HEAD = b"POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSAL = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
UNTIL_CLOSE = b"HTTP/1.1 401 Unauthorized\r\n\r\nno"


def run(loop: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(work, 30))


async def refused(answer: bytes, *, tcp: bool, feeds: bool = True) -> tuple[Answer | UpstreamError, Taken]:
    """Upload to an origin that says this and closes, while the loop has not read it."""
    loop = asyncio.get_running_loop()
    ours, origin = pair(tcp=tcp)
    lost = loop.create_future()
    deadlines = Deadlines(loop)
    _, connection = await loop.create_connection(
        lambda: UpstreamConnection(deadlines, Departures(loop), TIMEOUTS, pytest.fail, lost.set_result), sock=ours
    )
    upload, told, taken = Upload(), [], Taken()
    connection.begin(Ask(HEAD, b"POST", lambda _: None, upload, CHUNKED), told.append)
    assert upload.sink is not None
    while origin.recv(4096, socket.MSG_PEEK) != HEAD:  # noqa: ASYNC110 - a socket of the test has no event
        await asyncio.sleep(0)
    # Nothing is awaited from here on, so that the loop cannot read before it writes.
    origin.sendall(answer)
    origin.close()
    for _ in range(3 if feeds else 0):
        upload.sink.feed(b"a" * 100_000)
    await lost
    deadlines.close()
    (result,) = told
    if isinstance(result, Answer):
        result.body.attach(taken)
    return result, taken


def pair(*, tcp: bool) -> tuple[socket.socket, socket.socket]:
    if not tcp:
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        return ours, server.accept()[0]


LOOPS = pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
SOCKETS = pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])


@LOOPS
@SOCKETS
@pytest.mark.rfc(9112, "9.5")
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(REFUSAL, b"no", id="length"),
        pytest.param(
            REFUSAL.replace(b"Content-Length: 2\r\n", b"Connection: close\r\nContent-Length: 2\r\n"), b"no", id="close"
        ),
        pytest.param(UNTIL_CLOSE, b"no", id="until-close"),
        pytest.param(UNTIL_CLOSE.replace(b"1.1", b"1.0"), b"no", id="until-close-1.0"),
        pytest.param(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", b"no", id="chunked"),
        pytest.param(b"HTTP/1.1 204 Done\r\n\r\n", b"", id="204"),
        pytest.param(b"HTTP/1.1 303 Elsewhere\r\nContent-Length: 0\r\n\r\n", b"", id="303"),
        pytest.param(b"HTTP/1.1 103 Hints\r\n\r\n" + REFUSAL, b"no", id="behind-an-interim"),
        pytest.param(REFUSAL.replace(b"2\r\n\r\nno", b"90000\r\n\r\n" + b"a" * 90_000), b"a" * 90_000, id="large"),
    ],
)
def test_the_answer_is_read(
    loop: Callable[[], asyncio.AbstractEventLoop], tcp: bool, answer: bytes, body: bytes
) -> None:
    async def work() -> None:
        result, taken = await refused(answer, tcp=tcp)
        assert isinstance(result, Answer), result
        assert b"%d" % result.response.status in answer
        assert (taken.body, taken.whole) == (body, True)

    run(loop, work())


@LOOPS
@SOCKETS
@pytest.mark.rfc(9112, "8")
@pytest.mark.parametrize(
    ("answer", "has_head"),
    [
        pytest.param(b"", False, id="nothing"),
        pytest.param(REFUSAL[:30], False, id="part-of-the-head"),
        pytest.param(REFUSAL[:-1], True, id="part-of-the-body"),
        pytest.param(b"HTTP/1.1 413 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n", True, id="no-last-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nhal", True, id="no-refusal-until-close"),
    ],
)
def test_one_that_is_cut_short_is_not_taken_for_whole(
    loop: Callable[[], asyncio.AbstractEventLoop], tcp: bool, answer: bytes, has_head: bool
) -> None:
    async def work() -> None:
        result, taken = await refused(answer, tcp=tcp)
        assert isinstance(result, Answer) is has_head
        assert isinstance(taken.error if has_head else result, UpstreamClosed)
        assert not taken.whole

    run(loop, work())


@LOOPS
@SOCKETS
def test_and_so_is_one_where_nothing_more_is_sent(loop: Callable[[], asyncio.AbstractEventLoop], tcp: bool) -> None:
    async def work() -> None:
        result, taken = await refused(REFUSAL, tcp=tcp, feeds=False)
        assert isinstance(result, Answer)
        assert taken.body == b"no"

    run(loop, work())
