"""Does each worker hear what another says, and does nobody wait for one that does not listen?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.downstream.notices import LONGEST, Notices, Relay


class Ear:
    """A worker's end, and what was heard there."""

    def __init__(self, relay: Relay, number: int) -> None:
        self.end = Notices(relay.join(number))
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.end.listen(self.heard.put_nowait)

    async def next(self) -> bytes:
        async with asyncio.timeout(20):
            return await self.heard.get()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    yield relay
    relay.close()


@pytest.fixture
async def ears(relay: Relay) -> AsyncIterator[list[Ear]]:
    ears = [Ear(relay, number) for number in range(3)]
    yield ears
    for ear in ears:
        ear.end.close()


async def test_all_others_hear_what_one_says_whole_and_in_order(ears: list[Ear]) -> None:
    said = [b"x", b"y" * LONGEST, b"z\n\0"]
    for notice in said:
        ears[0].end.say(notice)
    for ear in ears[1:]:
        assert [await ear.next() for _ in said] == said
    ears[1].end.say(b"back")
    assert await ears[0].next() == b"back", "and never what it has said itself"


async def test_one_that_has_ended_is_replaced(relay: Relay, ears: list[Ear]) -> None:
    ears[2].end.close()
    ears[0].end.say(b"while it is away")
    assert await ears[1].next() == b"while it is away"
    ears[2] = Ear(relay, 2)
    ears[0].end.say(b"again")
    assert await ears[2].next() == b"again"
    ears[2].end.say(b"here")
    assert await ears[0].next() == b"here"


async def test_nobody_waits_for_one_that_does_not_listen(relay: Relay, ears: list[Ear]) -> None:
    deaf = Notices(relay.join(3))
    for number in range(2000):
        ears[0].end.say(b"%d" % number + b"." * 1000)
        if number % 50 == 49:
            for _ in range(50):
                await ears[1].next()
    deaf.close()


async def test_when_the_parent_is_gone_nothing_is_heard_and_nothing_fails(relay: Relay, ears: list[Ear]) -> None:
    relay.close()
    for ear in ears:
        ear.end.say(b"anybody?")
    for _ in range(20):
        await asyncio.sleep(0)
    assert all(ear.heard.empty() for ear in ears)
