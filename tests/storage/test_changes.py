"""Is what was forgotten told once a turn, in few bytes, and not before the storage has it?"""

from __future__ import annotations

import asyncio

import pytest

from proxy.policy.purging import Kind, Purge, Rule
from proxy.policy.stored import StoredResponse
from proxy.storage.changes import Changes, read, written
from tests.exchange.making import settled
from tests.exchange.remotes import Counting
from tests.storage.contract import Clock
from tests.storage.test_responses import BY_LANGUAGE, LATER, asking, stored
from tests.storage.tiers import GROUP, OTHER, PAGE, Process


@pytest.mark.parametrize("sums", [[], [0], [1, 2**32 - 1], list(range(5000))], ids=["none", "zero", "two", "many"])
def test_what_was_written_is_read(sums: list[int]) -> None:
    assert read(written(sums)) == sums


@pytest.mark.parametrize("message", [b"1", b"12345", b"\xff" * 7], ids=["short", "one-more", "torn"])
def test_whatever_comes_is_read(message: bytes) -> None:
    assert all(0 <= one < 2**32 for one in read(message))


async def test_what_changes_in_one_turn_is_told_at_once_and_once() -> None:
    changes, told = Changes(), []
    changes.told.append(told.append)
    for one in (3, 1, 3):
        changes.add(one)
    assert told == []
    await settled()
    assert [read(message) for message in told] == [[3, 1]]
    changes.add(3)
    await settled()
    assert len(told) == 2


async def test_much_is_told_in_several_messages() -> None:
    changes, told = Changes(), []
    changes.told.append(told.append)
    for one in range(10_000):
        changes.add(one)
    await settled()
    assert [one for message in told for one in read(message)] == list(range(10_000))
    assert max(map(len, told)) <= 16 * 1024


class Late(Counting):
    """A storage that forgets when it is let."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.lets = asyncio.Event()

    async def delete(self, key: str) -> bool:
        await self.lets.wait()
        return await super().delete(key)


class Pair:
    """Two processes with one storage, of which each hears what the other has forgotten."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.backend = Late(self.clock)
        self.one, self.other = (Process(self.backend, self.clock) for _ in range(2))
        self.messages: list[bytes] = []
        self.one.tier.changes.told.append(self._tell)

    def _tell(self, message: bytes) -> None:
        self.messages.append(message)
        self.other.tier.hear(message)


@pytest.fixture
async def pair() -> Pair:
    return Pair()


@pytest.mark.rfc(9111, "4.4")
async def test_others_hear_of_an_invalidation_when_the_storage_has_it(pair: Pair) -> None:
    await pair.one.put(stored(b"page"))
    await pair.other.body()
    pair.one.pages.invalidate(PAGE)
    await settled()
    assert await pair.other.body() == b"page", "as it would be without a tier"
    assert pair.messages == []
    pair.backend.lets.set()
    await pair.one.settled()
    assert await pair.other.body() is None
    assert len(pair.messages) == 1


async def test_others_hear_of_an_invalidation_that_a_newer_page_has_overtaken(pair: Pair) -> None:
    await pair.one.put(stored(b"old"))
    await pair.other.body()
    pair.one.pages.invalidate(PAGE)
    pair.one.pages.store(PAGE, asking(), stored(b"new"), LATER, pair.clock())
    pair.backend.lets.set()
    await pair.one.settled()
    assert await pair.other.body() == b"new"


@pytest.mark.rfc(9875, "2.2.1")
async def test_others_hear_of_a_group(pair: Pair) -> None:
    plain = stored(b"news")
    await pair.one.put(StoredResponse(200, plain.head + b'Cache-Groups: "news"\r\n', b"news", plain.terms))
    await pair.one.put(stored(b"other"), primary=OTHER)
    for primary in (PAGE, OTHER):
        await pair.other.body(primary)
    pair.one.pages.invalidate_group(GROUP, pair.clock())
    await pair.one.settled()
    assert await pair.other.body() is None
    hits = pair.other.tier.hits
    assert await pair.other.body(OTHER) == b"other"
    assert pair.other.tier.hits == hits + 1, "it was not meant"


async def test_others_hear_of_a_variant_that_was_dropped(pair: Pair) -> None:
    page = stored(b"page", BY_LANGUAGE)
    await pair.one.put(page, "accept-language: de")
    await pair.other.body(PAGE, "accept-language: de")
    pair.backend.lets.set()
    pair.one.pages.drop(PAGE, asking("accept-language: de"), page)
    await pair.one.settled()
    assert await pair.other.body(PAGE, "accept-language: de") is None


async def test_what_is_stored_is_not_told(pair: Pair) -> None:
    await pair.one.put(stored(b"page"))
    await pair.one.put(stored(b"varied", BY_LANGUAGE), "accept-language: de")
    assert pair.messages == []


async def test_others_hear_that_something_was_purged(pair: Pair) -> None:
    await pair.one.put(stored(b"page"))
    await pair.one.put(stored(b"other"), primary=OTHER)
    for primary in (PAGE, OTHER):
        await pair.other.body(primary)
    pair.clock.turn(0.01)
    purge = Purge((Rule(Kind.URL, b"/page", b"site.test"),), at=pair.clock())
    assert await pair.one.pages.purge(purge, alone=False) is None
    assert pair.messages == [b""]
    assert await pair.other.body(PAGE) is None
    assert await pair.other.body(OTHER) == b"other"
    pair.messages.clear()
    assert await pair.one.pages.purge(purge, alone=True) is None
    assert pair.messages == [], "it is for this process only"
