"""Is what a local tier answers what the storage behind it would, or would have a moment ago, whatever storage it is?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from proxy.policy.purging import Kind, Purge, Rule
from proxy.policy.stored import StoredResponse
from tests.storage.contract import Clock, Factory, kinds
from tests.storage.test_responses import BY_LANGUAGE, stored
from tests.storage.tiers import BOUND, GROUP, OTHER, PAGE, Process


@dataclass
class Pair:
    """Two processes with one storage."""

    clock: Clock
    one: Process
    other: Process


@pytest.fixture(scope="module", params=kinds(), ids=str)
def started(request: pytest.FixtureRequest) -> Iterator[Factory]:
    with request.param.start() as make:
        yield make


@pytest.fixture
async def pair(started: Factory) -> AsyncIterator[Pair]:
    clock = Clock()
    backends = started(clock), started(clock)
    await backends[0].clear()
    pair = Pair(clock, *(Process(backend, clock) for backend in backends))
    yield pair
    for process in (pair.one, pair.other):
        await process.settled()
    for backend in backends:
        await backend.close()


def grouped(body: bytes) -> StoredResponse:
    plain = stored(body)
    return StoredResponse(200, plain.head + b'Cache-Groups: "news"\r\n', body, plain.terms)


async def test_what_was_confirmed_a_moment_ago_is_not_asked_for(pair: Pair) -> None:
    await pair.one.put(stored(b"page"))
    assert await pair.other.body(OTHER) is None
    for hits in range(3):
        assert await pair.other.body() == b"page"
        assert pair.other.tier.hits == hits
    pair.clock.turn(BOUND)
    assert await pair.other.body() == b"page"
    assert pair.other.tier.hits == 2, "its moment was over"


@pytest.mark.rfc(9111, "4.1")
async def test_variants_are_told_apart(pair: Pair) -> None:
    for language in ("en", "de"):
        await pair.one.put(stored(language.encode(), BY_LANGUAGE), f"accept-language: {language}")
    for _ in range(2):
        for language in ("en", "de"):
            assert await pair.other.body(PAGE, f"accept-language: {language}") == language.encode()
        assert await pair.other.body(PAGE, "accept-language: fr") is None
    assert pair.other.tier.hits == 2


@pytest.mark.rfc(9111, "4.4")
@pytest.mark.parametrize("vary", [(), BY_LANGUAGE], ids=["plain", "varied"])
async def test_what_was_invalidated_elsewhere_is_served_for_no_longer_than_the_bound(
    pair: Pair, vary: tuple[bytes, ...]
) -> None:
    await pair.one.put(stored(b"page", vary), "accept-language: en")
    assert await pair.other.body(PAGE, "accept-language: en") == b"page"
    await pair.one.invalidate()
    assert await pair.one.body(PAGE, "accept-language: en") is None, "who has done it knows"
    pair.clock.turn(BOUND)
    assert await pair.other.body(PAGE, "accept-language: en") is None


async def test_what_was_stored_elsewhere_is_known_by_then(pair: Pair) -> None:
    await pair.one.put(stored(b"old"))
    assert await pair.other.body() == await pair.one.body() == b"old"
    await pair.one.put(stored(b"new"))
    assert await pair.one.body() == b"new", "who has done it knows"
    pair.clock.turn(BOUND)
    assert await pair.other.body() == b"new"


@pytest.mark.rfc(9875, "2.2.1")
async def test_what_became_invalid_with_its_group_is_served_for_no_longer(pair: Pair) -> None:
    await pair.one.put(grouped(b"news"))
    for process in (pair.one, pair.other):
        assert await process.body() == b"news"
    pair.one.pages.invalidate_group(GROUP, pair.clock())
    await pair.one.settled()
    assert await pair.one.body() is None
    pair.clock.turn(BOUND)
    assert await pair.other.body() is None


@pytest.mark.parametrize("kind", [Kind.ALL, Kind.URL], ids=str)
async def test_what_was_purged_is_served_for_no_longer(pair: Pair, kind: Kind) -> None:
    await pair.one.put(stored(b"page"))
    for process in (pair.one, pair.other):
        assert await process.body() == b"page"
        assert await process.body() == b"page"
    rule = Rule(kind) if kind is Kind.ALL else Rule(kind, b"/page", b"site.test")
    assert await pair.one.pages.purge(Purge((rule,), at=pair.clock()), alone=False) is None
    assert await pair.one.body() is None, "who has done it knows"
    pair.clock.turn(BOUND)
    assert await pair.other.body() is None


async def test_a_purge_is_known_with_the_next_look_up_whatever_it_is_of(pair: Pair) -> None:
    await pair.one.put(stored(b"page"))
    assert await pair.other.body() == b"page"
    assert await pair.one.pages.purge(Purge((Rule(Kind.ALL),), at=pair.clock()), alone=False) is None
    assert await pair.other.body(OTHER) is None
    assert await pair.other.body() is None
