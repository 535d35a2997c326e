"""Does a request that needs nothing but the origin's answer do without a task, and lose nothing by it?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from proxy.errors import UpstreamError, UpstreamTimeout
from proxy.upstream.connection import Answer, Ask
from tests.exchange.making import Bench, Client, Gate, Origin, Waiting, request, settled, whole

FRESH = "cache-control: max-age=60"


class Callback(Origin):
    """An origin that waits for the test to say what becomes of a request."""

    told: Callable[[Answer | UpstreamError | None], None]
    closed = False
    is_at_hand = True

    def begin(self, ask: Ask, told: Callable[[Answer | UpstreamError | None], None]) -> Callback | None:  # type: ignore[override]
        self.asked.append(ask)
        self.told = told
        return self

    def close(self) -> None:
        self.closed = True

    __hash__ = object.__hash__


def bench() -> tuple[Bench, Callback]:
    origin = Callback()
    return Bench(route={"origin": origin}), origin


async def test_a_miss_makes_none() -> None:
    driver, origin = bench()
    before = asyncio.all_tasks()
    client = driver.start(request())
    assert asyncio.all_tasks() == before
    assert len(driver.driver.tasks) == 1
    assert driver.driver.is_busy
    origin.told(whole(FRESH).answer)
    assert client.got == (200, b"0123456789", True)
    assert len(driver.driver.tasks) == 0
    assert (await driver.get()).cache_status.startswith("hit")


async def test_what_the_origin_lost_is_asked_again() -> None:
    driver, origin = bench()
    leader, follower = driver.start(request()), driver.start(request())
    origin.answers = [whole(FRESH)]
    origin.told(None)
    await settled()
    assert leader.got == follower.got == (200, b"0123456789", True)
    assert len(origin.asked) == 2
    assert len(driver.driver.tasks) == 0


async def test_an_origin_that_fails_fails_all_who_wait() -> None:
    driver, origin = bench()
    leader, follower = driver.start(request()), driver.start(request())
    origin.told(UpstreamTimeout("too long"))
    await settled()
    assert leader.status == follower.status == 504
    assert (len(driver.driver.tasks), len(driver.flights)) == (0, 0)


async def test_a_validation_that_brings_nothing_of_use_is_followed_by_a_plain_request() -> None:
    driver, origin = bench()
    driver.start(request())
    origin.told(whole(FRESH, 'etag: "a"').answer)
    driver.clock.turn(100)
    client = driver.start(request())
    origin.answers = [whole(FRESH, 'etag: "b"', body=b"new")]
    origin.told(whole('etag: "other"', status=304).answer)
    await settled()
    assert client.got == (200, b"new", True)
    assert b"if-none-match" in origin.fields(1)
    assert b"if-none-match" not in origin.fields(2)


async def test_nobody_waits_after_the_end() -> None:
    driver, origin = bench()
    driver.start(request())
    driver.driver.tasks.cancel()
    assert origin.closed
    assert len(driver.driver.tasks) == 0


async def test_a_fault_before_the_origin_is_asked_ends_the_exchange(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Callback):
        def begin(self, ask: Ask, told: Callable[[Answer | UpstreamError | None], None]) -> Waiting | None:  # type: ignore[override]
            raise ValueError("ours")

    driver = Bench(route={"origin": Broken()})
    client: Client = driver.start(request())
    assert client.is_aborted
    assert len(driver.flights) == 0
    assert "a fault of ours" in caplog.text


async def test_without_a_connection_at_hand_a_task_makes_one() -> None:
    gate = Gate()
    driver = Bench(gate)
    driver.origin.is_at_hand = False
    before = len(asyncio.all_tasks())
    client = driver.start(request())
    assert len(asyncio.all_tasks()) == before + 1
    await settled()
    gate.open(whole(FRESH))
    await settled()
    assert client.got == (200, b"0123456789", True)
