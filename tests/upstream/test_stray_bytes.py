"""Do bytes that belong to no response stay without effect on the next one? (RFC 9112 §6.3, §9.2)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from proxy.config.model import UpstreamConfig
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.errors import UpstreamError, UpstreamGarbage
from proxy.message.framing import NO_BODY
from proxy.upstream.client import Origin
from proxy.upstream.connection import Answer, Ask
from proxy.upstream.pool import Pool
from tests.transports import deliveries
from tests.upstream.origins import HEAD, TIMEOUTS, Taken
from tests.upstream.origins import Origin as Peer

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n%b\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n%b\r\n"
LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

#: Method, response, and what follows it although it is whole.
KINDS = [
    pytest.param(b"GET", NOT_MODIFIED % LENGTH, b"hello", id="304-length"),
    pytest.param(b"GET", NOT_MODIFIED % b"", b"hello", id="304"),
    pytest.param(b"GET", NOT_MODIFIED % CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", id="304-chunked"),
    pytest.param(b"GET", NO_CONTENT % LENGTH, b"hello", id="204-length"),
    pytest.param(b"GET", NO_CONTENT % b"", b"hello", id="204"),
    pytest.param(b"GET", NO_CONTENT % CHUNKED, b"0\r\n\r\n", id="204-chunked"),
    pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n", b"hello", id="head-length"),
    pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n", b"5\r\nhello\r\n0\r\n\r\n", id="head-chunked"),
    pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n", b"hello", id="head"),
    pytest.param(b"GET", GOOD, b"er than its length", id="length"),
    pytest.param(b"GET", GOOD, b"\r\n", id="length-empty-line"),
    pytest.param(b"GET", GOOD, b"H", id="length-first-byte-of-a-response"),
    pytest.param(b"GET", GOOD, b"HTTP/1.1 20", id="length-part-of-a-status-line"),
    pytest.param(b"GET", GOOD, b"HTTP/1.1 200 OK\r\n", id="length-status-line"),
    pytest.param(b"GET", GOOD.replace(LENGTH, b""), b"\x00", id="length-nul"),
    pytest.param(b"GET", b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n0\r\n\r\n", b"\r\n", id="chunked"),
]
LIKE_RESPONSES = [
    pytest.param(b"GET", NO_CONTENT % (b"Content-Length: %d\r\n" % len(EVIL)), EVIL, id="204-length"),
    pytest.param(b"GET", NO_CONTENT % CHUNKED, EVIL, id="204-chunked"),
    pytest.param(b"GET", NOT_MODIFIED % (b"Content-Length: %d\r\n" % len(EVIL)), EVIL, id="304-length"),
    pytest.param(b"GET", NOT_MODIFIED % CHUNKED, EVIL, id="304-chunked"),
    pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(EVIL), EVIL, id="head-length"),
    pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n", EVIL, id="head"),
]


@dataclass
class Server:
    """An origin that answers the first request with ``first``, and the next on that connection with ``then``.

    All other requests get what the ``others`` do.
    """

    first: bytes
    then: bytes = GOOD
    others: bytes = GOOD
    accepted: int = 0
    asked: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        answers = [self.first, self.then] if self.accepted == 1 else []
        self.tasks.append(asyncio.ensure_future(self._serve(reader, writer, answers)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: list[bytes]) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                writer.write(answers.pop(0) if answers else self.others)
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()


@asynccontextmanager
async def reaching(server: Server) -> AsyncIterator[tuple[Origin, Pool, Deadlines]]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    config = UpstreamConfig(f"http://127.0.0.1:{port}", timeouts=TIMEOUTS)
    pool = Pool(config, deadlines, Departures(loop), loop.time)
    async with listening, asyncio.timeout(30):
        yield Origin(pool), pool, deadlines
        pool.close()
        deadlines.close()
        await gone(pool)
        await asyncio.gather(*server.tasks)


async def gone(pool: Pool) -> None:
    """Return when no connection is open."""
    while pool.connections:  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


def ask(method: bytes = b"GET") -> Ask:
    return Ask(HEAD, method, lambda _: None, None, NO_BODY, None, repeatable=True)


async def begun(origin: Origin) -> Answer:
    """Ask without a task where that can be done, as the fetcher does."""
    result: asyncio.Future[Answer | UpstreamError | None] = asyncio.get_running_loop().create_future()
    if origin.begin(ask(), result.set_result) is None:
        return await origin.send(ask())
    told = await result
    assert not isinstance(told, UpstreamError)
    return await origin.again(ask()) if told is None else told


async def sent(origin: Origin) -> Answer:
    return await origin.send(ask())


async def body_of(answer: Answer) -> bytes:
    taken = Taken()
    answer.body.attach(taken)
    while not taken.is_over:  # noqa: ASYNC110  it is the sink, and has no event
        await asyncio.sleep(0)
    assert taken.whole
    return taken.body


def let_settle(pool: Pool) -> None:
    """Let so much time have passed that all connections may be used again."""
    pool._settling = [(0.0, number, connection) for _, number, connection in pool._settling]


def connection_that_answered(method: bytes, response: bytes) -> Peer:
    peer = Peer()
    asking = peer.ask(method)
    peer.transport.receive(response)
    assert asking.take().whole
    return peer


@pytest.mark.rfc(9112, "9.2")
@pytest.mark.parametrize(("method", "response", "stray"), KINDS)
async def test_the_next_answer_does_not_begin_with_them(method: bytes, response: bytes, stray: bytes) -> None:
    """However they come, the request is known to have got no answer, or the connection is known not to be clean."""
    for pieces in (*deliveries(stray + GOOD), [stray, GOOD]):
        peer = connection_that_answered(method, response)
        if not peer.is_reusable:
            assert b"204" in response
            continue
        asking = peer.ask()
        peer.transport.receive(*pieces)
        assert isinstance(asking.error, UpstreamGarbage), pieces
        assert peer.connection.strayed
        assert peer.transport.is_closing()


@pytest.mark.rfc(9112, "9.2")
@pytest.mark.parametrize(("method", "response", "stray"), [*KINDS, *LIKE_RESPONSES])
async def test_they_end_a_connection_that_waits_for_a_request(method: bytes, response: bytes, stray: bytes) -> None:
    for pieces in deliveries(stray):
        peer = connection_that_answered(method, response)
        peer.transport.receive(*pieces)
        assert (peer.is_reusable, peer.transport.is_closing()) == (False, True), pieces


@pytest.mark.parametrize("length", [b"0", b"00"])
async def test_behind_a_204_of_no_length_a_connection_is_used_again(length: bytes) -> None:
    assert connection_that_answered(b"GET", NO_CONTENT % (b"Content-Length: %b\r\n" % length)).is_reusable


@pytest.mark.rfc(9110, "9.2.2")
@pytest.mark.parametrize("way", [sent, begun])
@pytest.mark.parametrize(("method", "response", "stray"), KINDS)
async def test_a_request_that_gets_them_is_asked_again(
    method: bytes, response: bytes, stray: bytes, way: Callable[[Origin], Awaitable[Answer]]
) -> None:
    """The origin sends them with the answer to the next request: later than anybody could notice."""
    server = Server(response, stray + GOOD)
    async with reaching(server) as (origin, pool, _):
        await body_of(await origin.send(ask(method)))
        # Those that something may follow are not used again before a while is over, which it is now.
        let_settle(pool)
        assert await body_of(await way(origin)) == b"good"
        is_kept = not response.startswith((NO_CONTENT % LENGTH, NO_CONTENT % CHUNKED))
        assert (server.accepted, origin.retries, origin.errors) == (2, int(is_kept), {})


@pytest.mark.parametrize(("method", "response", "stray"), [*KINDS, *LIKE_RESPONSES])
async def test_those_that_have_come_are_found_before_a_connection_is_used_again(
    method: bytes, response: bytes, stray: bytes
) -> None:
    """They lie in the kernel: the loop has not read them yet."""
    server = Server(response + stray)
    async with reaching(server) as (origin, pool, _):
        await body_of(await origin.send(ask(method)))
        let_settle(pool)
        assert await body_of(await origin.send(ask())) == b"good"


@pytest.mark.parametrize(("method", "response", "stray"), LIKE_RESPONSES)
async def test_those_that_look_like_a_response_answer_nobody(method: bytes, response: bytes, stray: bytes) -> None:
    """They come after the next request: behind a response that something may follow, that goes another way."""
    server = Server(response, stray)
    async with reaching(server) as (origin, _, _):
        await body_of(await origin.send(ask(method)))
        assert await body_of(await origin.send(ask())) == b"good"
        assert server.accepted == 2


async def test_a_connection_is_used_again_when_nothing_has_come_for_a_while() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\n\r\n")
    async with reaching(server) as (origin, pool, _):
        await body_of(await origin.send(ask(b"HEAD")))
        assert (pool.idle, pool.take()) == (1, None)
        let_settle(pool)
        await body_of(await origin.send(ask()))
        assert (server.accepted, pool.idle, origin.retries) == (1, 1, 0)


async def test_one_that_is_closed_meanwhile_is_forgotten() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\n\r\n")
    async with reaching(server) as (origin, pool, _):
        await body_of(await origin.send(ask(b"HEAD")))
        assert pool.idle == 1
        pool._settling[0][2].close()
        await gone(pool)
        assert pool.idle == 0


async def test_those_that_settle_are_bounded_and_closed_with_the_others() -> None:
    server = Server(*[b"HTTP/1.1 200 OK\r\n\r\n"] * 3)
    async with reaching(server) as (origin, pool, _):
        pool._config = replace(pool._config, max_idle=2)
        answers = await asyncio.gather(*(origin.send(ask(b"HEAD")) for _ in range(3)))
        assert [await body_of(answer) for answer in answers] == [b""] * 3
        assert pool.idle == 2
        pool.close()
        assert pool.idle == 0


class TestWary:
    """An origin that has been caught is not trusted for a while."""

    @staticmethod
    async def caught(origin: Origin, pool: Pool, answer: Answer) -> None:
        """Take an answer behind which stray bytes come, and with them the end of its connection."""
        assert origin.errors == {}
        await body_of(answer)
        await gone(pool)

    @pytest.mark.parametrize("bodiless", [NOT_MODIFIED % b"", NO_CONTENT % b"", NO_CONTENT % LENGTH])
    async def test_nothing_is_kept_behind_its_responses_without_a_body(self, bodiless: bytes) -> None:
        server = Server(bodiless + b"stray", others=NOT_MODIFIED % b"")
        async with reaching(server) as (origin, pool, _):
            await self.caught(origin, pool, await origin.send(ask()))
            await body_of(await origin.send(ask()))
            assert pool.idle == 0

    async def test_but_behind_those_with_one(self) -> None:
        server = Server(NOT_MODIFIED % b"" + b"stray")
        async with reaching(server) as (origin, pool, _):
            await self.caught(origin, pool, await origin.send(ask()))
            for _ in range(2):
                await body_of(await origin.send(ask()))
            assert (server.accepted, pool.idle) == (2, 1)

    async def test_where_they_came_late_behind_a_body_nothing_is_used_again_at_once(self) -> None:
        server = Server(GOOD, b"stray")
        async with reaching(server) as (origin, pool, _):
            await body_of(await origin.send(ask()))
            await body_of(await origin.send(ask()))
            while not pool._slow_until > 0:  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0)
            await body_of(await origin.send(ask()))
            before = server.accepted
            let_settle(pool)
            await body_of(await origin.send(ask()))
            assert server.accepted == before == 3

    async def test_those_behind_a_body_that_came_with_it_are_known_for_what_they_are(self) -> None:
        peer = connection_that_answered(b"GET", GOOD + b"stray")
        assert (peer.connection.strayed, peer.is_reusable) == (False, False)

    async def test_it_is_trusted_again(self) -> None:
        server = Server(NOT_MODIFIED % b"" + b"stray", others=NOT_MODIFIED % b"")
        async with reaching(server) as (origin, pool, deadlines):
            await self.caught(origin, pool, await origin.send(ask()))
            deadlines.now += 601
            await body_of(await origin.send(ask()))
            assert pool.idle == 1

    async def test_it_is_named_in_the_log_once(self, caplog: pytest.LogCaptureFixture) -> None:
        server = Server(NOT_MODIFIED % b"" + b"stray", others=NOT_MODIFIED % b"" + b"stray")
        async with reaching(server) as (origin, pool, _):
            for _ in range(3):
                await self.caught(origin, pool, await origin.send(ask()))
        (record,) = caplog.records
        assert "belong to no response" in record.getMessage()

    @pytest.mark.parametrize("said", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"HTTP/1.1 4"])
    async def test_one_that_waits_no_longer_for_a_request_has_done_nothing_wrong(self, said: bytes) -> None:
        peer = connection_that_answered(b"GET", GOOD)
        peer.connection.rest(peer.loop.time() + TIMEOUTS.idle)
        if b"408" not in said:
            peer.loop.turn(10)
        peer.transport.receive(said)
        assert (peer.connection.strayed, peer.transport.is_closing()) == (False, True)


async def test_what_is_garbage_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(b"SSH-2.0-x\r\n", others=b"SSH-2.0-x\r\n")
    async with reaching(server) as (origin, pool, _):
        for _ in range(2):
            with pytest.raises(UpstreamGarbage):
                await origin.send(ask())
        await gone(pool)
    (record,) = caplog.records
    assert "SSH-2.0-x" in record.getMessage()


async def test_what_is_garbage_on_a_new_connection_is_not_asked_again() -> None:
    server = Server(GOOD, b"junk", others=b"junk")
    async with reaching(server) as (origin, _, _):
        await body_of(await origin.send(ask()))
        with pytest.raises(UpstreamGarbage):
            await origin.send(ask())
        assert (server.asked, origin.errors) == (3, {"upstream-garbage": 1})


@pytest.mark.rfc(9110, "15.5.9")
@pytest.mark.parametrize("way", [sent, begun])
async def test_a_request_that_crosses_a_408_is_asked_again(way: Callable[[Origin], Awaitable[Answer]]) -> None:
    """HAProxy, Apache and Node say so as they close a connection that waited in vain."""
    server = Server(GOOD, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    async with reaching(server) as (origin, pool, _):
        await body_of(await origin.send(ask()))
        let_settle(pool)
        assert await body_of(await way(origin)) == b"good"
        assert (server.accepted, origin.retries) == (2, 1)
