"""Which connection carries a request: is a clean one used again, and where does a new one lead?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from proxy.config.model import UpstreamConfig
from proxy.config.units import Seconds
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.errors import UpstreamClosed, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from proxy.message.framing import NO_BODY
from proxy.upstream.client import Origin
from proxy.upstream.connection import Answer, Ask
from proxy.upstream.pool import Pool
from tests.upstream.origins import HEAD, TIMEOUTS, Taken

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Names(asyncio.SelectorEventLoop):
    """An event loop with a name service of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[list[tuple[str, int]]] = []
        self.asked: list[Any] = []

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:  # type: ignore[override]
        self.asked.append((host, port))
        if not self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in self.answers.pop(0)]


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Script:
    """An origin that answers each request with the next of its answers, and ends after an empty one."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.accepted = 0
        self.asked = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                said = self.answers.pop(0)
                writer.write(said)
                if not said.endswith(b"ok"):
                    break
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        writer.close()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[str, int]]:
    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]


@asynccontextmanager
async def pooled(url: str, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Pool]:
    deadlines = Deadlines(asyncio.get_running_loop())
    config = UpstreamConfig(url, timeouts=TIMEOUTS)
    pool = Pool(replace(config, **settings), deadlines, Departures(asyncio.get_running_loop()), clock or Clock())
    async with asyncio.timeout(30):
        try:
            yield pool
        finally:
            pool.close()
            deadlines.close()
            # Two turns of the loop: a closed connection is told that it is lost in the next.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert pool.connections == 0


def asking(method: bytes = b"GET", *, repeatable: bool = True) -> Ask:
    return Ask(HEAD, method, lambda _: None, None, NO_BODY, None, repeatable)


async def body_of(answer: Answer) -> bytes:
    taken = Taken()
    answer.body.attach(taken)
    assert taken.whole
    return taken.body


async def test_a_clean_connection_is_used_again() -> None:
    script = Script(OK, OK, OK)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        for _ in range(3):
            assert await body_of(await origin.send(asking())) == b"ok"
        assert (script.accepted, script.asked, pool.opened, pool.connections, pool.idle) == (1, 3, 1, 1, 1)


async def test_what_is_not_safe_to_repeat_opens_its_own() -> None:
    script = Script(OK, OK)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        await body_of(await origin.send(asking()))
        await body_of(await origin.send(asking(b"POST", repeatable=False)))
        assert (script.accepted, pool.idle) == (2, 2)


async def test_no_more_idle_ones_are_kept_than_the_settings_say() -> None:
    script = Script(OK, OK)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}", max_idle=1) as pool:
        origin = Origin(pool)
        answers = [await origin.send(asking(repeatable=False)) for _ in range(2)]
        for answer in answers:
            await body_of(answer)
        assert pool.idle == 1


async def test_a_used_one_that_ended_is_replaced_once() -> None:
    script = Script(OK, b"", OK)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        await body_of(await origin.send(asking()))
        assert await body_of(await origin.send(asking())) == b"ok"
        assert (script.accepted, script.asked, origin.retries, origin.errors) == (2, 3, 1, {})


async def begun(origin: Origin, ask: Ask) -> Answer | UpstreamError | None:
    """Return what becomes of a request that needs no connection to be made."""
    result: asyncio.Future[Answer | UpstreamError | None] = asyncio.get_running_loop().create_future()
    assert origin.is_at_hand
    assert origin.begin(ask, result.set_result) is not None
    return await result


async def test_a_request_begins_at_once_over_one_that_is_idle() -> None:
    script = Script(OK, OK)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        assert not origin.is_at_hand
        assert origin.begin(asking(), pytest.fail) is None
        await body_of(await origin.send(asking()))
        assert origin.begin(asking(b"POST", repeatable=False), pytest.fail) is None
        answer = await begun(origin, asking())
        assert isinstance(answer, Answer)
        assert await body_of(answer) == b"ok"
        assert (script.accepted, origin.requests, origin.answers, pool.idle) == (1, 2, {2: 2}, 1)


async def test_what_was_begun_over_one_that_ended_is_asked_again() -> None:
    script = Script(OK, b"", OK)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        await body_of(await origin.send(asking()))
        assert await begun(origin, asking()) is None
        assert await body_of(await origin.again(asking())) == b"ok"
        assert (script.accepted, origin.requests, origin.retries, origin.errors) == (2, 2, 1, {})


async def test_what_was_begun_is_not_asked_again_behind_a_byte() -> None:
    script = Script(OK, b"H")
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        await body_of(await origin.send(asking()))
        assert isinstance(await begun(origin, asking()), UpstreamClosed)
        assert (origin.retries, origin.errors, origin.is_at_hand) == (0, {"upstream-closed": 1}, False)


async def test_what_nobody_waits_for_any_more_is_told_to_nobody() -> None:
    script = Script(OK, OK)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        await body_of(await origin.send(asking()))
        connection = origin.begin(asking(), pytest.fail)
        assert connection is not None
        connection.close()
        while pool.connections:  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "answers", [pytest.param((OK, b"", b""), id="the-fresh-one-too"), pytest.param((OK, b"H"), id="behind-a-byte")]
)
async def test_and_not_twice_nor_behind_a_byte(answers: tuple[bytes, ...]) -> None:
    script = Script(*answers)
    async with serving(script) as (host, port), pooled(f"http://{host}:{port}") as pool:
        origin = Origin(pool)
        await body_of(await origin.send(asking()))
        with pytest.raises(UpstreamClosed):
            await origin.send(asking())
        assert (script.asked, origin.errors) == (len(answers), {"upstream-closed": 1})


async def test_a_connection_that_ends_at_once_is_not_kept_in_mind() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(slam, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with pooled(f"http://127.0.0.1:{port}") as pool:
            for _ in range(20):
                connection = await pool.open()
                await asyncio.sleep(0)
                with pytest.raises(UpstreamClosed):
                    await connection.ask(asking())
            assert pool.idle == 0


async def test_a_handshake_that_hangs_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        timeouts = replace(TIMEOUTS, connect=Seconds(0.2))
        async with pooled(f"https://127.0.0.1:{silent.getsockname()[1]}", timeouts=timeouts) as pool:
            with pytest.raises(UpstreamTimeout):
                await pool.open()
            assert pool.connections == 0


def run(loop: Names, work: Any) -> None:
    try:
        loop.run_until_complete(work)
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


class TestNames:
    """Names are resolved again after a time and after a failure. The loop answers for them here."""

    def test_an_answer_holds_for_a_while(self) -> None:
        loop, clock, script = Names(), Clock(), Script()

        async def work() -> None:
            async with serving(script) as address, pooled("http://app.test", clock) as pool:
                loop.asked.clear()
                loop.answers = [[address], [address]]
                await pool.open()
                clock.now = 29
                await pool.open()
                assert loop.asked == [("app.test", 80)]
                clock.now = 31
                await pool.open()
                assert loop.asked == [("app.test", 80)] * 2
                for connection in list(pool._all):
                    connection.close()

        loop.answers = [[("127.0.0.1", 0)]]
        run(loop, work())

    def test_another_address_is_tried_and_a_failure_forgets_them(self) -> None:
        loop, script = Names(), Script()

        async def work() -> None:
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                dead = closed.getsockname()
                async with serving(script) as address, pooled("http://app.test") as pool:
                    loop.asked.clear()
                    loop.answers = [[dead], [dead, address]]
                    with pytest.raises(UpstreamUnreachable):
                        await pool.open()
                    connection = await pool.open()
                    assert len(loop.asked) == 2
                    connection.close()

        loop.answers = [[("127.0.0.1", 0)]]
        run(loop, work())

    def test_a_name_that_is_unknown_is_unreachable_and_asked_for_again(self) -> None:
        loop, script = Names(), Script()

        async def work() -> None:
            async with serving(script) as address, pooled("http://app.test") as pool:
                loop.answers = []
                with pytest.raises(UpstreamUnreachable):
                    await pool.open()
                loop.answers = [[], [address]]
                with pytest.raises(UpstreamUnreachable):
                    await pool.open()
                connection = await pool.open()
                connection.close()

        loop.answers = [[("127.0.0.1", 0)]]
        run(loop, work())
