"""Is a variant found by its entity tag, wherever pages are stored, and never one that is not to be used any more?

Which variants the origin may be asked about is RFC 9111 §4.3.1; the one that its 304 names answers (§4.3.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import pytest

from proxy.config.units import UnixTime
from proxy.policy.key import PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.memory import PageMemory
from proxy.storage.remote import RemoteResponses
from proxy.storage.responses import MemoryResponses, Responses
from tests.exchange.remotes import remote
from tests.storage.contract import Clock, Factory, kinds
from tests.storage.test_responses import NO_COOKIES, asking, stored

PAGE = PrimaryKey(b"7:default4:http9:site.test5:/page")
GROUP = PrimaryKey(b"group 4:http9:site.test4:news")
BY_LANGUAGE = (b"accept-language",)
BORN = UnixTime(1000.0)
NOW = UnixTime(1001.0)
LATER = UnixTime(1600.0)


def tagged(tag: str, *lines: str, vary: tuple[bytes, ...] = BY_LANGUAGE) -> StoredResponse:
    """A page in one language, with its tag for a body."""
    kept = stored(tag.encode(), vary, BORN)
    more = "".join(f"{line}\r\n" for line in (f"ETag: {tag}", *lines))
    return StoredResponse(200, kept.head + more.encode(), kept.body, kept.terms)


@dataclass
class Shelf:
    """Pages of one process in a store that several may have; those in memory have one process."""

    one: Responses
    other: Responses

    async def put(self, language: str, response: StoredResponse, *, until: UnixTime = LATER) -> None:
        assert self.one.store(PAGE, asking(f"accept-language: {language}"), response, until, NOW)
        await self.settled()

    async def settled(self) -> None:
        if isinstance(self.one, RemoteResponses):
            await self.one.finish()

    async def done(self) -> None:
        """Let everything arrive that nobody waits for."""
        async with asyncio.timeout(20):
            for pages in (self.one, self.other):
                while isinstance(pages, RemoteResponses) and pages.is_busy:  # noqa: ASYNC110  # nothing tells of it
                    await asyncio.sleep(0.001)

    async def seen(self, now: UnixTime = NOW) -> list[bytes]:
        """Return the tags that the other process offers for a request that selects nothing."""
        request = asking("accept-language: none")
        assert await self.other.look(PAGE, request, now) is None
        return list(self.other.tags(PAGE, now))

    async def body(self, tag: bytes, now: UnixTime = NOW) -> bytes | None:
        found = await self.other.tagged(PAGE, asking("accept-language: none"), tag, now)
        return None if found is None else found.body


@pytest.fixture(scope="module", params=[None, *kinds()], ids=lambda kind: "memory" if kind is None else str(kind))
def started(request: pytest.FixtureRequest) -> Iterator[Factory | None]:
    kind = request.param
    with nullcontext() if kind is None else kind.start() as make:
        yield make


@pytest.fixture
async def shelf(started: Factory | None) -> AsyncIterator[Shelf]:
    clock = Clock(NOW)
    if started is None:
        pages = MemoryResponses(PageMemory(clock, max_entries=None), NO_COOKIES, 16)
        yield Shelf(pages, pages)
        return
    one, other = started(clock), started(clock)
    await one.clear()
    shelf = Shelf(remote(one, variants=16), remote(other, variants=16))
    yield shelf
    await shelf.done()
    for backend in (one, other):
        await backend.close()


@pytest.mark.rfc(9111, "4.3.1")
async def test_the_tags_of_all_variants_are_known_and_each_finds_its_own(shelf: Shelf) -> None:
    for number in range(3):
        await shelf.put(f"l{number}", tagged(f'"{number}"'))
    assert await shelf.seen() == [b'"2"', b'"1"', b'"0"']
    for number in range(3):
        assert await shelf.body(b'"%d"' % number) == b'"%d"' % number
    assert await shelf.body(b'"3"') is None


async def test_what_the_origin_may_not_be_asked_about_is_not_known(shelf: Shelf) -> None:
    await shelf.put("de", tagged('W/"weak"'))
    await shelf.put("fr", tagged('"packed"', "Content-Encoding: gzip"))
    await shelf.put("it", tagged('"own"', vary=(b"accept-language", b"cookie")))
    assert await shelf.seen() == []
    assert await shelf.body(b'"own"') is None


async def test_a_variant_that_came_anew_is_known_by_its_new_tag_only(shelf: Shelf) -> None:
    await shelf.put("de", tagged('"old"'))
    await shelf.seen()
    await shelf.put("de", tagged('"new"'))
    assert await shelf.body(b'"old"') is None, "also for those who have not looked since"
    assert await shelf.seen() == [b'"new"']
    assert await shelf.body(b'"new"') == b'"new"'


@pytest.mark.rfc(9111, "4.4")
async def test_no_tag_finds_what_a_write_made_invalid(shelf: Shelf) -> None:
    await shelf.put("de", tagged('"old"'))
    await shelf.seen()
    shelf.one.invalidate(PAGE)
    await shelf.settled()
    assert await shelf.body(b'"old"') is None, "also for those who have not looked since"
    await shelf.put("en", tagged('"new"'))
    assert await shelf.body(b'"old"') is None
    assert await shelf.seen() == [b'"new"']


@pytest.mark.rfc(9875, "2.2.1")
async def test_no_tag_finds_what_became_invalid_with_its_group(shelf: Shelf) -> None:
    await shelf.put("de", tagged('"news"', 'Cache-Groups: "news"'))
    await shelf.seen()
    shelf.one.invalidate_group(GROUP, NOW)
    await shelf.settled()
    assert await shelf.body(b'"news"') is None


async def test_a_resource_that_does_not_vary_any_more_has_none(shelf: Shelf) -> None:
    await shelf.put("de", tagged('"old"'))
    await shelf.seen()
    await shelf.put("de", tagged('"for all"', vary=()))
    assert await shelf.body(b'"old"') is None
