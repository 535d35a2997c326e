"""Does a write that names groups make all of their pages invalid, in every storage and every site? (RFC 9875)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.config.units import UnixTime
from proxy.policy.companions import COMPANIONS
from proxy.policy.key import PrimaryKey
from proxy.storage.responses import NoResponses
from tests.exchange.making import Bench, Client, Clock, Gate, request, settled, whole
from tests.exchange.remotes import Counting, Unreachable, remote
from tests.exchange.test_routes import CACHES, Routed, routes

FRESH = "cache-control: max-age=60"
NEWS = 'cache-groups: "news"'
BOTH = 'cache-groups: "news", "sport"'
WRITE = 'cache-group-invalidation: "news"'


@pytest.fixture(params=["memory", "storage"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        return Bench()
    clock = Clock()
    made = Bench(storage=remote(Counting(clock)))
    made.memory = Counting(clock)
    return made


async def write(bench: Bench, *lines: str, target: str = "/form", status: int = 204, **changes: Any) -> Client:
    bench.clock.turn(1)
    bench.give(whole(*lines, status=status, body=b""))
    client = await bench.ask(request(target, method="POST", **changes))
    bench.clock.turn(1)
    return client


async def is_hit(bench: Bench, target: str, *lines: str, **changes: Any) -> bool:
    """Ask for a page that is stored, or should not be used."""
    bench.give(whole(FRESH, body=b"new"))
    before = bench.times_asked
    await bench.get(target, *lines, **changes)
    if bench.times_asked == before:
        bench.origin.answers.pop()
    return bench.times_asked == before


@pytest.mark.rfc(9875, "2.2.1")
@pytest.mark.rfc(9875, "3")
async def test_a_write_makes_the_pages_of_its_groups_invalid_and_no_others(bench: Bench) -> None:
    bench.give(whole(FRESH, NEWS), whole(FRESH, BOTH), whole(FRESH, 'cache-groups: "sport"'), whole(FRESH))
    targets = ["/news", "/both", "/sport", "/none"]
    for target in targets:
        await bench.get(target)
    assert [await is_hit(bench, target) for target in targets] == [True] * 4
    answer = await write(bench, WRITE)
    assert answer.fields.get(b"cache-group-invalidation") == b'"news"'
    assert [await is_hit(bench, target) for target in targets] == [False, False, True, True]


@pytest.mark.rfc(9875, "2.2.1")
async def test_what_is_stored_after_the_write_is_valid_until_the_next(bench: Bench) -> None:
    bench.give(whole(FRESH, NEWS, body=b"1"))
    await bench.get()
    for number in (b"2", b"3"):
        await write(bench, WRITE)
        bench.give(whole(FRESH, NEWS, body=number))
        assert (await bench.get()).cache_status.startswith("fwd=uri-miss")
        for _ in range(2):
            hit = await bench.get()
            assert (hit.content, hit.cache_status.startswith("hit")) == (number, True)


@pytest.mark.rfc(9875, "3")
@pytest.mark.parametrize("status", [403, 500])
async def test_a_write_that_failed_makes_nothing_invalid(bench: Bench, status: int) -> None:
    bench.give(whole(FRESH, NEWS))
    await bench.get()
    await write(bench, WRITE, status=status)
    assert await is_hit(bench, "/page")


@pytest.mark.rfc(9875, "3")
async def test_a_safe_request_makes_nothing_invalid(bench: Bench) -> None:
    bench.give(whole(FRESH, NEWS), whole(FRESH, WRITE))
    await bench.get()
    bench.clock.turn(1)
    await bench.get("/other")
    assert await is_hit(bench, "/page")


@pytest.mark.rfc(9875, "2.1")
async def test_a_group_is_that_of_one_origin(bench: Bench) -> None:
    bench.give(whole(FRESH, NEWS), whole(FRESH, NEWS))
    await bench.get()
    await bench.get(host=b"other.test")
    await write(bench, WRITE, host=b"other.test")
    assert await is_hit(bench, "/page")
    assert not await is_hit(bench, "/page", host=b"other.test")


@pytest.mark.rfc(9875, "2.2.1")
async def test_every_variant_is_in_its_own_groups(bench: Bench) -> None:
    english, german = ("vary: accept-language", NEWS), ("vary: accept-language", 'cache-groups: "andere"')
    bench.give(whole(FRESH, *english), whole(FRESH, *german))
    await bench.get("/page", "accept-language: en")
    await bench.get("/page", "accept-language: de")
    await write(bench, WRITE)
    assert await is_hit(bench, "/page", "accept-language: de")
    assert not await is_hit(bench, "/page", "accept-language: en")


@pytest.mark.rfc(9875, "2.2.1")
async def test_what_was_asked_for_before_the_write_is_invalid_when_it_comes_after_it(bench: Bench) -> None:
    gate = Gate()
    bench.give(whole(FRESH, NEWS), gate)
    await bench.get("/first")
    late = bench.start(request("/late"))
    await settled()
    await write(bench, WRITE)
    gate.open(whole(FRESH, NEWS, body=b"old"))
    await settled()
    assert late.content == b"old"
    assert not await is_hit(bench, "/late")


@pytest.mark.rfc(9875, "2.2.1")
async def test_an_invalid_response_is_not_served_stale_either(bench: Bench) -> None:
    bench.give(whole("cache-control: max-age=60, stale-while-revalidate=600, stale-if-error=600", 'etag: "a"', NEWS))
    await bench.get()
    await write(bench, WRITE)
    bench.clock.turn(61)
    bench.give(whole(status=503, body=b"broken"))
    assert (await bench.get()).got == (503, b"broken", True)


@pytest.mark.rfc(9875, "2.2.1")
async def test_what_was_validated_after_the_write_is_valid(bench: Bench) -> None:
    bench.give(whole("cache-control: no-cache", 'etag: "a"', NEWS), whole('etag: "a"', status=304))
    await bench.get()
    bench.clock.turn(5)
    assert (await bench.get()).cache_status.startswith("fwd=stale; fwd-status=304")
    await write(bench, WRITE)
    bench.give(whole(FRESH, 'etag: "b"', NEWS, body=b"b"))
    assert (await bench.get()).content == b"b"
    assert b"if-none-match" not in bench.origin.fields()
    assert await is_hit(bench, "/page")


async def test_a_discarded_answer_takes_away_what_is_in_a_group(bench: Bench) -> None:
    bench.give(whole("cache-control: max-age=60", 'etag: "a"', NEWS), whole("cache-control: no-store"), whole(FRESH))
    await bench.get()
    bench.clock.turn(61)
    assert (await bench.get()).detail == "no-store"
    assert b"if-none-match" not in (await bench.get() and bench.origin.fields())


async def test_what_memory_forgets_of_a_group_makes_misses() -> None:
    bench = Bench(whole(FRESH, NEWS))
    await bench.get()
    assert await is_hit(bench, "/page")
    [mark] = [key for key in bench.memory.kept if key.startswith(b"group ")]
    bench.memory.drop(mark)
    assert not await is_hit(bench, "/page")


async def test_what_a_storage_forgets_of_a_group_makes_misses() -> None:
    storage = Counting()
    bench = Bench(whole(FRESH, NEWS), storage=remote(storage))
    await bench.get()
    assert await is_hit(bench, "/page")
    group = f"page.{b'group '.hex()}"
    [mark] = [key for key in storage._slots if str(key).startswith(group)]
    storage.drop(mark)
    assert not await is_hit(bench, "/page")


async def test_another_process_learns_of_the_write_from_the_storage() -> None:
    storage = Counting()
    one, other = (Bench(storage=remote(storage)) for _ in range(2))
    one.give(whole(FRESH, NEWS))
    await one.get()
    assert await is_hit(other, "/page")
    await write(one, WRITE)
    other.clock.turn(2)
    assert not await is_hit(other, "/page")


async def test_a_write_that_the_storage_is_not_told_of_makes_misses() -> None:
    storage = Unreachable()
    storage.gone = False
    bench = Bench(whole(FRESH, NEWS), storage=remote(storage))
    await bench.get()
    storage.gone = True
    await write(bench, WRITE)
    storage.gone = False
    bench.give(whole(FRESH, NEWS))
    await bench.get("/other")
    assert not await is_hit(bench, "/page")


async def test_pages_of_every_cache_of_a_site_are_in_its_groups(tmp_path: Path) -> None:
    settings = routes({"match": "/special", "cache": "special"}, {"match": "/form", "bypass": True})
    bench = Routed(tmp_path, settings | {"CACHES": CACHES}, whole(FRESH, NEWS), whole(FRESH, NEWS))
    for target in ("/special", "/plain"):
        await bench.get(target)
        assert await is_hit(bench, target)
    await write(bench, WRITE)
    assert [await is_hit(bench, target) for target in ("/special", "/plain")] == [False, False]


def test_where_nothing_is_stored_nothing_is_in_groups() -> None:
    NoResponses().invalidate_group(PrimaryKey(b"group"), UnixTime(0))


@pytest.mark.rfc(9111, "4.4")
@pytest.mark.parametrize("lines", [[], ["rsc: 1"]])
@pytest.mark.parametrize("write", ["/todo", "/todo?/create", "/todo.data?index"])
@pytest.mark.parametrize(
    "data",
    [
        "/todo?_rsc=",
        "/todo?a=b&_rsc=",
        "/todo.data?_routes=",
        "/todo/__data.json?x-sveltekit-invalidated=",
        "/todo/_payload.json?",
    ],
)
async def test_a_write_reaches_the_data_of_a_page_whatever_their_query(data: str, write: str, lines: list[str]) -> None:
    """Next.js 16.4, React Router 8.4, SvelteKit 3.2 and Nuxt 4.5 ask for data with a query that differs each time."""
    fresh = "cache-control: max-age=60"
    kinds = tuple(kind for of in COMPANIONS.values() for kind in of)
    bench = Bench(*(whole(fresh) for _ in range(3)), whole(fresh), *(whole(fresh) for _ in range(2)), companions=kinds)
    targets = (f"{data}1", f"{data}2", "/other?_rsc=1")
    for target in targets:
        await bench.get(target, *lines)
        assert (await bench.get(target, *lines)).cache_status.startswith("hit")
    bench.clock.turn(1)
    await bench.ask(request(write, method="POST"))
    bench.clock.turn(1)
    answers = [(await bench.get(target, *lines)).cache_status.partition(";")[0] for target in targets]
    assert answers == ["fwd=uri-miss", "fwd=uri-miss", "hit"]
