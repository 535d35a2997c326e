"""Is it known of each origin what it was asked, what became of it, and whether it fails now?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.config.model import UpstreamConfig
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.errors import UpstreamError
from proxy.message.framing import NO_BODY
from proxy.upstream.client import Origins
from proxy.upstream.connection import Ask
from proxy.upstream.pool import Pool
from tests.upstream.origins import HEAD, Taken

ASK = Ask(HEAD, b"GET", lambda _: None, None, NO_BODY, repeatable=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
BROKEN = OK.replace(b"200 OK", b"503 Service Unavailable")
NOTHING = b""


@asynccontextmanager
async def asking(*answers: bytes) -> AsyncIterator[tuple[Origins, UpstreamConfig]]:
    """Give origins, one of which answers with these, one on each connection."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    origins = Origins(lambda upstream: Pool(upstream, deadlines, Departures(loop), loop.time))
    async with server:
        yield origins, UpstreamConfig(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    origins.close()
    deadlines.close()


async def ask(origins: Origins, upstream: UpstreamConfig, times: int) -> None:
    for _ in range(times):
        try:
            answer = await origins.of(upstream).send(ASK)
        except UpstreamError:
            continue
        taken = Taken()
        answer.body.attach(taken)
        while not taken.is_over:  # noqa: ASYNC110  it is the sink, and has no event
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("answers", "failing"),
    [
        pytest.param([OK], False, id="answers"),
        pytest.param([NOTHING] * 2, False, id="two-failures"),
        pytest.param([NOTHING] * 3, True, id="three-failures"),
        pytest.param([NOTHING, NOTHING, OK, NOTHING, NOTHING], False, id="not-in-a-row"),
        pytest.param([*[NOTHING] * 4, OK], False, id="answers-again"),
        pytest.param([BROKEN] * 4, False, id="errors-are-answers"),
    ],
)
async def test_an_origin_fails_when_none_of_the_last_requests_got_an_answer(
    answers: list[bytes], failing: bool
) -> None:
    async with asking(*answers) as (origins, upstream):
        await ask(origins, upstream, len(answers))
        (asked,) = origins.asked().values()
    assert asked.is_failing == failing
    assert asked.requests == len(answers)
    assert asked.errors == ({"upstream-closed": answers.count(NOTHING)} if NOTHING in answers else {})
    assert asked.answers.total() == len(answers) - answers.count(NOTHING)


async def test_answers_are_counted_by_class() -> None:
    async with asking(OK, BROKEN, OK) as (origins, upstream):
        await ask(origins, upstream, 3)
        (asked,) = origins.asked().values()
    assert asked.answers == {2: 2, 5: 1}
    assert asked.opened == 3


async def test_what_an_origin_has_counted_stays_when_it_is_gone() -> None:
    async with asking(OK, OK, NOTHING, NOTHING, NOTHING) as (origins, upstream):
        await ask(origins, upstream, 2)
        origins.keep([])
        await asyncio.sleep(0)
        while not origins.forget():  # noqa: ASYNC110  its connection closes by itself
            await asyncio.sleep(0)
        assert {address: asked.requests for address, asked in origins.asked().items()} == {
            upstream.url.removeprefix("http://"): 2
        }
        await ask(origins, upstream, 3)
        (asked,) = origins.asked().values()
        assert (asked.requests, asked.answers[2], asked.errors["upstream-closed"]) == (5, 2, 3)
        assert asked.is_failing
