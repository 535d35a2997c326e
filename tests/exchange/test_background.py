"""Does every task have an owner and an end, and is no error in one lost?"""

from __future__ import annotations

import asyncio

import pytest

from proxy.exchange.background import Tasks
from tests.exchange.making import settled


async def test_a_task_is_held_until_it_is_done() -> None:
    tasks = Tasks()
    news = asyncio.Event()
    tasks.start(news.wait())
    await settled()
    assert len(tasks) == 1
    news.set()
    await settled()
    assert len(tasks) == 0


async def test_an_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fault() -> None:
        raise ValueError("of ours")

    tasks = Tasks()
    tasks.start(fault())
    await settled()
    assert len(tasks) == 0
    assert "ValueError: of ours" in caplog.text


async def test_what_runs_can_be_ended(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    tasks.start(asyncio.Event().wait())
    await settled()
    tasks.cancel()
    await settled()
    assert len(tasks) == 0
    assert caplog.text == ""
