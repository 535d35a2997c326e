"""What becomes of workers that do not change over to what they are told?"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest

from proxy.config.units import Seconds
from proxy.downstream.uplink import Uplink
from proxy.downstream.workers import Answered, Supervisor, UnchangedError, Work, converse
from tests.system.processes import PATIENCE


def be_worker(does: str, number: int, listeners: Sequence[socket.socket], channel: socket.socket) -> None:
    """Be a worker that says as its snapshot what it does; told ``hang N`` or ``fail N``, number N does that."""
    del listeners
    asyncio.run(_work(does, number, channel))


async def _work(does: str, number: int, channel: socket.socket) -> None:
    doing = does
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def change(told: bytes) -> None:
        nonlocal doing
        match told.decode().split():
            case ["hang", who] if int(who) == number:
                time.sleep(PATIENCE)  # noqa: ASYNC251  its loop is to hang
            case ["fail", who] if int(who) == number:
                raise ValueError("not\nI")
        doing = told.decode()

    def snapshot() -> bytes:
        return f'{{"{doing}"}}'.encode()

    async def answering(question: bytes) -> bytes:
        match question.decode().split():
            case ["hang", who] if int(who) == number:
                signal.pause()  # until it is told to end
        return b"%d: %b" % (number, question.replace(b"\n", b"/"))

    talking = asyncio.create_task(converse(channel, snapshot, change, stop, answering))
    await stop.wait()
    talking.cancel()


def work(does: str) -> Work:
    return Work(partial(be_worker, does), does.encode())


@asynccontextmanager
async def two_workers() -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(work("begin"), [], 2, lambda _: None)
    async with asyncio.timeout(PATIENCE):
        await supervisor.start()
        try:
            yield supervisor
        finally:
            await supervisor.stop(Seconds(5))


async def back(supervisor: Supervisor) -> list[bytes]:
    """Return what both do, when one has been replaced."""
    while supervisor.restarts < 1 or supervisor.ready < 2:  # noqa: ASYNC110  there is no event for it
        await asyncio.sleep(0.01)
    return await supervisor.snapshots()


async def test_all_are_told() -> None:
    async with two_workers() as supervisor:
        await supervisor.change(work("go on"))
        assert await supervisor.snapshots() == [b'{"go on"}\n'] * 2
        assert supervisor.restarts == 0


async def test_where_the_first_cannot_nobody_does() -> None:
    async with two_workers() as supervisor:
        with pytest.raises(UnchangedError, match=r"^ValueError: not I$"):
            await supervisor.change(work("fail 0"))
        assert await supervisor.snapshots() == [b'{"begin"}\n'] * 2
        assert supervisor.restarts == 0


@pytest.mark.parametrize(
    "does",
    [
        pytest.param("fail 1", id="the-second-cannot"),
        pytest.param("hang 0", id="the-first-hangs"),
        pytest.param("hang 1", id="the-second-hangs"),
    ],
)
async def test_one_that_does_not_follow_is_replaced(
    does: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("proxy.downstream.workers._CHANGE_SECONDS", 1)
    async with two_workers() as supervisor:
        with caplog.at_level(logging.WARNING):
            await supervisor.change(work(does))
            assert await back(supervisor) == [b'{"%b"}\n' % does.encode()] * 2
        assert supervisor.restarts == 1
        number = does[-1]
        assert f"worker {number} did not change over, and is replaced" in caplog.text


async def test_an_answer_that_comes_late_is_not_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_workers() as supervisor:
        monkeypatch.setattr("proxy.downstream.workers._SNAPSHOT_SECONDS", 0)
        await supervisor.snapshots()
        monkeypatch.setattr("proxy.downstream.workers._SNAPSHOT_SECONDS", PATIENCE)
        await supervisor.change(work("go on"))
        assert await supervisor.snapshots() == [b'{"go on"}\n'] * 2


async def test_each_worker_answers_a_question() -> None:
    async with two_workers() as supervisor:
        assert await supervisor.ask(b"who\nare you?") == [
            Answered(0, b"0: who/are you?"),
            Answered(1, b"1: who/are you?"),
        ]


async def test_one_that_hangs_keeps_nobody_else_from_answering() -> None:
    async with two_workers() as supervisor:
        first, second = await supervisor.ask(b"hang 1", Seconds(1))
        assert (first.answer, second.answer) == (b"0: hang 1", None)


async def test_an_answer_that_comes_late_is_not_taken_for_that_to_another_question() -> None:
    async with two_workers() as supervisor:
        assert {each.answer for each in await supervisor.ask(b"first", Seconds(0))} == {None}
        assert [each.answer for each in await supervisor.ask(b"second")] == [b"0: second", b"1: second"]
        assert await supervisor.snapshots() == [b'{"begin"}\n'] * 2


async def test_a_worker_that_is_not_there_answers_nothing() -> None:
    supervisor = Supervisor(work("begin"), [], 1, lambda _: None)
    assert await supervisor.ask(b"who?") == [Answered(0, None)]


# What all have to know.


def be_asking(number: int, listeners: Sequence[socket.socket], channel: socket.socket, *others: socket.socket) -> None:
    """Be a worker that asks its parent what it is asked, and says as its snapshot what it was told."""
    del number, listeners
    asyncio.run(_ask_back(channel, others[0]))


async def _ask_back(channel: socket.socket, up: socket.socket) -> None:
    told: list[str] = []
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    uplink = Uplink(up)

    async def change(_: bytes) -> None:
        return

    async def answering(question: bytes) -> bytes:
        told.append(question.decode())
        return await uplink.ask(question) if question.startswith(b"up") else b"yes"

    def snapshot() -> bytes:
        return f'{{"{" ".join(told)}"}}'.encode()

    talking = asyncio.create_task(converse(channel, snapshot, change, stop, answering))
    await stop.wait()
    talking.cancel()
    uplink.close()


async def test_who_does_not_say_yes_is_replaced() -> None:
    async with two_workers() as supervisor:
        assert await supervisor.tell(b"all", Seconds(PATIENCE)) == [Answered(0, b"0: all"), Answered(1, b"1: all")]
        assert await supervisor.tell(b"hang 1", Seconds(0.5)) == [Answered(0, b"0: hang 1"), Answered(1, None)]
        await back(supervisor)
        assert await supervisor.ask_one(b"one") == b"0: one"


async def test_a_worker_that_starts_is_told_what_it_missed_and_one_may_ask_its_parent() -> None:
    supervisor = Supervisor(Work(be_asking, b""), [], 1, lambda _: None)

    async def answer(question: bytes) -> bytes:
        return b"asked: " + question

    supervisor.asked = answer
    async with asyncio.timeout(PATIENCE):
        starting = asyncio.create_task(supervisor.start())
        while supervisor._workers[0].process is None:  # noqa: ASYNC110  there is no event for it
            await asyncio.sleep(0)
        assert await supervisor.ask_one(b"nobody is ready") is None
        assert await supervisor.tell(b"missed") == []
        await starting
        try:
            assert await supervisor.ask_one(b"up there") == b"asked: up there"
            assert await supervisor.ask_one(b"up again") == b"asked: up again"
            [said] = await supervisor.snapshots()
            assert said == b'{"missed up there up again"}\n'
        finally:
            await supervisor.stop(Seconds(5))
