"""Does a page answer the URLs that it says it is for, and never any other? (draft-ietf-httpbis-no-vary-search)"""

from __future__ import annotations

from typing import Any

import pytest

from proxy.exchange.searches import _REMEMBERED, Searches
from proxy.policy.key import PrimaryKey
from proxy.policy.query import QueryRules
from proxy.policy.search import search_variance
from tests.exchange.making import Bench, Clock, Gate, request, settled, whole
from tests.exchange.remotes import Counting, remote

FRESH = "cache-control: max-age=60"
UTM = 'no-vary-search: params=("utm")'
ALL = "no-vary-search: except=()"


def searching(**changes: Any) -> dict[str, Any]:
    return {"query": QueryRules(), "searches": Searches(), **changes}


@pytest.fixture(params=["memory", "storage"])
def bench(request: pytest.FixtureRequest) -> Bench:
    storage = None if request.param == "memory" else remote(Counting(Clock()))
    return Bench(storage=storage, route=searching())


async def bodies(bench: Bench, *targets: str) -> list[bytes]:
    return [(await bench.get(target)).content for target in targets]


async def write(bench: Bench, target: str) -> None:
    bench.clock.turn(1)
    bench.give(whole(status=204))
    await bench.ask(request(target, method="POST"))
    bench.clock.turn(1)


async def test_a_page_answers_the_urls_that_differ_in_nothing_that_counts(bench: Bench) -> None:
    bench.give(whole(FRESH, UTM, body=b"1"), whole(FRESH, UTM, body=b"2"))
    assert await bodies(bench, "/p?a=1&utm=x", "/p?a=1", "/p?utm=y&a=1", "/p?a=2", "/p?utm=z&a=2") == [
        *(b"1", b"1", b"1"),
        *(b"2", b"2"),
    ]
    assert bench.times_asked == 2


async def test_it_is_off_unless_the_operator_says_so() -> None:
    bench = Bench(whole(FRESH, UTM, body=b"1"), whole(FRESH, UTM, body=b"2"))
    assert await bodies(bench, "/p?utm=1", "/p?utm=2", "/p?utm=1") == [b"1", b"2", b"1"]


async def test_what_one_path_says_holds_for_no_other(bench: Bench) -> None:
    bench.give(whole(FRESH, ALL), whole(FRESH, body=b"1"), whole(FRESH, body=b"2"))
    await bench.get("/all")
    assert await bodies(bench, "/p?a=1", "/p?a=2", "/p?a=1") == [b"1", b"2", b"1"]
    bench.give(whole(FRESH, body=b"3"))
    assert (await bench.get("/all", host=b"other.test")).content == b"3"


async def test_a_page_that_says_nothing_is_for_its_url_alone(bench: Bench) -> None:
    """Also where another page of its path says something."""
    bench.give(whole(FRESH, ALL, body=b"all"))
    await bench.get("/p?a=1")
    bench.clock.turn(61)
    bench.give(*[whole(FRESH, body=body) for body in (b"2", b"3")])
    assert await bodies(bench, "/p?a=2", "/p?a=3", "/p?a=2", "/p?a=3") == [b"2", b"3", b"2", b"3"]


async def test_an_error_that_says_nothing_is_for_its_url_alone_and_changes_nothing(bench: Bench) -> None:
    keep = 'no-vary-search: except=("id")'
    bench.give(whole(FRESH, keep, body=b"1"), whole(FRESH, status=404, body=b"none"))
    assert await bodies(bench, "/p?id=1", "/p?id=2&x", "/p?id=1&x") == [b"1", b"none", b"1"]
    bench.give(whole(FRESH, keep, body=b"2"))
    assert await bodies(bench, "/p?id=2&y") == [b"2"]


async def test_a_page_lies_where_it_says_and_is_not_found_by_what_another_says(bench: Bench) -> None:
    bench.give(whole(FRESH, UTM, body=b"utm"), whole(FRESH, 'no-vary-search: params=("a")', body=b"a"))
    assert await bodies(bench, "/p?utm=1&a=1", "/p?a=2") == [b"utm", b"a"]
    bench.give(whole(FRESH, 'no-vary-search: params=("a")', body=b"new"))
    assert await bodies(bench, "/p?a=1&utm=1", "/p?a=9", "/p?a=9&utm=1") == [b"new", b"a", b"new"]


@pytest.mark.parametrize("target", ["/p", "/p?a=1", "/p?a=2&utm=9", "/p?other"])
async def test_a_write_to_any_url_of_the_path_makes_its_pages_invalid(bench: Bench, target: str) -> None:
    bench.give(whole(FRESH, UTM, body=b"old"))
    await bench.get("/p?a=1&utm=1")
    await write(bench, target)
    bench.give(whole(FRESH, UTM, body=b"new"))
    assert await bodies(bench, "/p?a=1&utm=2", "/p?a=1") == [b"new", b"new"]


async def test_a_write_makes_what_says_nothing_invalid_too(bench: Bench) -> None:
    bench.give(whole(FRESH, body=b"old"), whole(FRESH, UTM, body=b"b"))
    await bench.get("/p?a=1")
    await bench.get("/p?b=1")
    await write(bench, "/p?a=1")
    bench.give(whole(FRESH, body=b"new"))
    assert await bodies(bench, "/p?a=1") == [b"new"]
    bench.give(whole(FRESH, body=b"c"))
    assert await bodies(bench, "/p?c=1", "/p?a=1") == [b"c", b"new"]


async def test_what_is_forgotten_of_a_path_brings_no_outdated_page_back() -> None:
    searches = Searches()
    bench = Bench(whole(FRESH, UTM, body=b"old"), route=searching(searches=searches))
    await bench.get("/p?utm=1")
    searches._known.clear()
    await write(bench, "/p?utm=2")
    bench.give(whole(FRESH, UTM, body=b"other"))
    await bench.get("/p?a=1")
    bench.give(whole(FRESH, UTM, body=b"new"))
    assert await bodies(bench, "/p?utm=1") == [b"new"]


async def test_another_process_learns_from_its_own_responses_and_shares_the_storage() -> None:
    storage = Counting()
    one, other = (Bench(storage=remote(storage), route=searching()) for _ in range(2))
    one.give(whole(FRESH, UTM, body=b"1"))
    await one.get("/p?utm=1")
    other.give(whole(FRESH, UTM, body=b"2"))
    assert await bodies(other, "/p?a=1") == [b"2"]
    assert await bodies(other, "/p?utm=7") == [b"1"]
    await write(other, "/p?utm=8")
    one.clock.turn(3)
    one.give(whole(FRESH, UTM, body=b"3"))
    assert await bodies(one, "/p?utm=9", "/p") == [b"3", b"3"]


async def test_those_who_ask_for_the_same_wait_for_one_answer(bench: Bench) -> None:
    gate = Gate()
    bench.give(whole(FRESH, UTM), gate)
    await bench.get("/p?first")
    clients = await bench.crowd(request(f"/p?utm={number}&a=1") for number in range(5))
    gate.open(whole(FRESH, UTM, body=b"same"))
    await settled()
    assert [client.content for client in clients] == [b"same"] * 5
    assert bench.times_asked == 2


async def test_who_waits_gets_nothing_that_is_not_said_to_be_for_him(bench: Bench) -> None:
    """The page does not say any more what the path said before."""
    gate = Gate()
    bench.give(whole(FRESH, UTM), gate, *[whole(FRESH, body=b"own") for _ in range(4)])
    await bench.get("/p?first")
    clients = await bench.crowd(request(f"/p?utm={number}") for number in range(3))
    gate.open(whole(FRESH, body=b"leader"))
    await settled()
    assert [client.content for client in clients] == [b"leader", b"own", b"own"]
    assert bench.times_asked >= 4


async def test_the_first_of_a_path_is_one_request_for_one_url(bench: Bench) -> None:
    gate = Gate()
    bench.give(gate)
    clients = await bench.crowd(request("/p?utm=1") for _ in range(5))
    gate.open(whole(FRESH, UTM, body=b"same"))
    await settled()
    assert [client.content for client in clients] == [b"same"] * 5
    assert await bodies(bench, "/p?utm=2") == [b"same"]


async def test_a_validation_that_says_otherwise_moves_the_page(bench: Bench) -> None:
    bench.give(whole(FRESH, UTM, 'etag: "a"', body=b"1"))
    await bench.get("/p?utm=1&a=1")
    bench.clock.turn(61)
    bench.give(whole(FRESH, 'no-vary-search: params=("a")', 'etag: "a"', status=304))
    assert (await bench.get("/p?utm=1&a=1")).content == b"1"
    assert await bodies(bench, "/p?utm=1&a=2") == [b"1"]
    bench.give(whole(FRESH, 'no-vary-search: params=("a")', body=b"2"))
    assert await bodies(bench, "/p?utm=2&a=1") == [b"2"]


async def test_parameters_that_the_operator_ignores_are_ignored_besides() -> None:
    rules = QueryRules(["gclid"], sort=True)
    bench = Bench(whole(FRESH, UTM, body=b"1"), route=searching(query=rules))
    assert await bodies(bench, "/p?b&a&utm=1&gclid=2", "/p?a&b&gclid=3") == [b"1", b"1"]


def test_what_is_known_of_paths_is_bounded() -> None:
    searches = Searches()
    variance = search_variance(b"except=()")
    for number in range(_REMEMBERED + 1):
        searches.learn(PrimaryKey(b"%d" % number), variance)
        searches.find(PrimaryKey(b"0"))
    assert searches.find(PrimaryKey(b"0")) is variance
    assert searches.find(PrimaryKey(b"1")) is None
    searches.learn(PrimaryKey(b"0"), None)
    assert searches.find(PrimaryKey(b"0")) is None
