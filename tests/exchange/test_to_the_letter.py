"""Does the driver do what the RFCs allow beyond the careful defaults, and only where it is told to?

The rules of ``config/rfc9111.yaml`` are those of most tests here.
"""

from __future__ import annotations

from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import pytest

from proxy.config.load import load
from proxy.config.model import SetCookie
from proxy.errors import UpstreamUnreachable
from proxy.message.framing import Length
from proxy.sites import rules_of
from proxy.storage.responses import Responses
from tests.exchange.making import Bench, Gate, coming, request, settled, whole
from tests.exchange.remotes import Counting, remote

FILE = Path(__file__).parents[2] / "config" / "rfc9111.yaml"
FRESH = "cache-control: max-age=60"
SAME = "content-location: /page"
TAG = 'etag: "a"'
DAY_AGO = "last-modified: Sat, 08 Sep 2001 01:46:40 GMT"
MISS = "fwd=uri-miss; fwd-status=200; "


def letter() -> dict[str, Any]:
    """What the file decides, for a bench."""
    decided = rules_of(load(FILE, {}, {}).config)
    return {each.name: getattr(decided, each.name) for each in fields_of(decided)}


# The file.


async def test_nothing_is_stored_without_a_lifetime_or_the_means_to_guess_one() -> None:
    bench = Bench(whole(), **letter())
    assert (await bench.get()).cache_status == MISS + "detail=no-freshness"


@pytest.mark.rfc(9111, "4.2.2")
async def test_a_lifetime_is_guessed_and_nobody_is_told() -> None:
    bench = Bench(whole(DAY_AGO, status=404), **letter())
    first = await bench.get()
    assert first.cache_status == "fwd=uri-miss; fwd-status=404; ttl=8640; stored"
    bench.clock.turn(8639)
    hit = await bench.get("/page")
    assert (hit.status, hit.cache_status, hit.age) == (404, "hit; ttl=1", 8639)
    assert b"cache-control" not in hit.fields
    assert b"expires" not in hit.fields


@pytest.mark.rfc(9111, "7.3")
async def test_a_cookie_is_set_for_everybody() -> None:
    bench = Bench(whole(FRESH, "set-cookie: a=b", "set-cookie: c=d"), **letter())
    await bench.get()
    hit = await bench.get()
    assert hit.cache_status == "hit; ttl=60"
    assert hit.fields.lines(b"set-cookie") == [b"a=b", b"c=d"]


@pytest.mark.rfc(9111, "3.2")
async def test_a_304_may_set_a_cookie_where_cookies_are_for_everybody() -> None:
    bench = Bench(whole(FRESH, TAG, "set-cookie: a=1"), whole(FRESH, TAG, "set-cookie: a=2", status=304), **letter())
    await bench.get()
    bench.clock.turn(61)
    assert (await bench.get()).fields.get(b"set-cookie") == b"a=2"
    assert (await bench.get()).fields.get(b"set-cookie") == b"a=2"


@pytest.mark.rfc(9213, "2.2")
@pytest.mark.rfc(9213, "3")
async def test_a_targeted_field_counts_and_is_passed_on() -> None:
    lines = ("CDN-Cache-Control: max-age=3600", "Cache-Control: no-store", "Expires: 0")
    bench = Bench(whole(*lines), **letter())
    await bench.get()
    bench.clock.turn(3599)
    hit = await bench.get()
    assert (hit.cache_status, hit.age) == ("hit; ttl=1", 3599)
    assert hit.fields.get(b"cdn-cache-control") == b"max-age=3600"
    assert hit.fields.get(b"cache-control") == b"no-store"


@pytest.mark.rfc(9111, "4.2.4")
@pytest.mark.parametrize("word", ["must-revalidate", "proxy-revalidate", "s-maxage=60"])
@pytest.mark.parametrize("name", ["cache-control", "cdn-cache-control"])
async def test_stale_on_disconnect_unless_it_is_forbidden(name: str, word: str) -> None:
    unreachable = UpstreamUnreachable("no")
    bench = Bench(
        whole(f"{name}: max-age=60"), unreachable, whole(f"{name}: max-age=60, {word}"), unreachable, **letter()
    )
    await bench.get("/may")
    bench.clock.turn(61)
    stale = await bench.get("/may")
    assert (stale.status, stale.detail) == (200, "stale-if-error")
    await bench.get("/never")
    bench.clock.turn(61)
    assert (await bench.get("/never")).status == 502


# Answers to POST (RFC 9110 §9.3.3).


def post(*lines: str) -> Any:
    return request("/page", *lines, method="POST")


@pytest.mark.rfc(9110, "9.3.3")
async def test_the_answer_to_a_post_answers_get_and_head_but_no_post() -> None:
    bench = Bench(whole(FRESH, body=b"old"), whole(FRESH, SAME, body=b"new"), **letter())
    await bench.get()
    posted = await bench.ask(post())
    assert (posted.content, posted.cache_status) == (b"new", "fwd=method; fwd-status=200; ttl=60; stored")
    assert (await bench.get()).content == b"new"
    assert (await bench.ask(request(method="HEAD"))).cache_status == "hit; ttl=60"
    bench.give(whole(FRESH, SAME, body=b"newer"))
    bench.clock.turn(1)
    assert (await bench.ask(post())).content == b"newer"
    assert bench.times_asked == 3
    assert (await bench.get()).content == b"newer"


@pytest.mark.rfc(9110, "9.3.3")
@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        pytest.param([], [FRESH], id="no-content-location"),
        pytest.param([], [FRESH, "content-location: /other"], id="of-another"),
        pytest.param([], [SAME], id="no-lifetime"),
        pytest.param([], [SAME, FRESH, "cache-control: no-store"], id="no-store"),
        pytest.param(["cache-control: no-store"], [SAME, FRESH], id="the-client-forbids-it"),
        pytest.param(["authorization: Basic eA=="], [SAME, FRESH], id="credentials"),
        pytest.param(['if-none-match: "a"'], [SAME, FRESH], id="precondition"),
        pytest.param(["range: bytes=0-1"], [SAME, FRESH], id="range"),
    ],
)
async def test_other_answers_to_post_are_forgotten(asked: list[str], answer: list[str]) -> None:
    bench = Bench(whole(*answer), **letter())
    posted = await bench.ask(post(*asked))
    assert posted.status == 200
    assert "stored" not in posted.cache_status
    assert len(bench.memory) == 0


async def test_no_answer_to_post_is_stored_on_a_route_that_bypasses() -> None:
    bench = Bench(whole(FRESH, SAME), route={"bypass": True}, **letter())
    assert "stored" not in (await bench.ask(post())).cache_status
    assert len(bench.memory) == 0


async def test_no_answer_to_post_is_stored_unless_it_is_set() -> None:
    bench = Bench(whole(FRESH, SAME), whole())
    assert (await bench.ask(post())).cache_status == "fwd=method; fwd-status=200"
    await bench.get()
    assert bench.times_asked == 2


@pytest.mark.rfc(9111, "4.4")
async def test_a_post_overtaken_by_another_write_is_not_stored() -> None:
    gate = Gate()
    bench = Bench(gate, whole(status=204), **letter())
    overtaken = bench.start(post())
    await settled()
    bench.clock.turn(1)
    await bench.ask(request(method="PUT"))
    bench.clock.turn(1)
    gate.open(whole(FRESH, SAME))
    await settled()
    assert overtaken.status == 200
    assert len(bench.memory) == 0


@pytest.mark.rfc(9111, "4.4")
async def test_a_post_whose_body_is_on_its_way_during_another_write_is_not_stored() -> None:
    answer = coming(FRESH, SAME, framing=Length(10))
    bench = Bench(answer, whole(status=204), **letter())
    posting = bench.start(post())
    await settled()
    bench.clock.turn(1)
    await bench.ask(request(method="PUT"))
    answer.feed(b"0123456789")
    answer.end()
    await settled()
    assert posting.got == (200, b"0123456789", True)
    assert len(bench.memory) == 0


# Fields that are for one client (RFC 9111 §5.2.2.4, §5.2.2.7).


@pytest.mark.rfc(9111, "3.1")
@pytest.mark.rfc(9111, "5.2.2.4")
@pytest.mark.rfc(9111, "5.2.2.7")
@pytest.mark.parametrize("word", ["private", "no-cache"])
async def test_withheld_fields_reach_only_the_client_that_asked(word: str) -> None:
    answer = coming(
        f'cache-control: max-age=60, {word}="set-cookie, x-who"', "set-cookie: a=1", "X-Who: you", "x-all: 1"
    )
    bench = Bench(answer)
    first, follower = await bench.crowd([request(), request()])
    answer.feed(b"0123456789")
    answer.end()
    await settled()
    hit = await bench.get()
    assert (first.cache_status, hit.cache_status) == (MISS + "ttl=60; stored", "hit; ttl=60")
    assert (first.fields.get(b"set-cookie"), first.fields.get(b"x-who")) == (b"a=1", b"you")
    for other in (follower, hit):
        assert other.got == (200, b"0123456789", True)
        assert other.fields.get(b"x-all") == b"1"
        assert b"set-cookie" not in other.fields
        assert b"x-who" not in other.fields


@pytest.mark.rfc(9111, "5.2.2.4")
async def test_a_304_does_not_bring_a_withheld_field_into_storage() -> None:
    said = 'cache-control: max-age=60, no-cache="x-who"'
    bench = Bench(whole(said, TAG, "x-who: 1"), whole(said, TAG, "x-who: 2", status=304))
    await bench.get()
    bench.clock.turn(61)
    await bench.get()
    hit = await bench.get()
    assert hit.cache_status == "hit; ttl=60"
    assert b"x-who" not in hit.fields


async def test_followers_never_get_the_leaders_cookie() -> None:
    gate = Gate()
    bench = Bench(gate, whole(FRESH, body=b"mine"))
    leader, follower = await bench.crowd([request(), request()])
    gate.open(whole(FRESH, "set-cookie: session=1"))
    await settled()
    assert leader.fields.get(b"set-cookie") == b"session=1"
    assert follower.got == (200, b"mine", True)
    assert b"set-cookie" not in follower.fields
    assert bench.rules.set_cookie is SetCookie.NEVER


# HEAD (RFC 9111 §4.3.5).


@pytest.mark.rfc(9111, "4.3.5")
async def test_a_head_freshens_what_is_stored() -> None:
    bench = Bench(whole(FRESH, TAG, "x-a: 1", "x-b: 1"), whole(FRESH, TAG, "x-a: 2"))
    await bench.get()
    bench.clock.turn(61)
    head = await bench.ask(request(method="HEAD"))
    assert (head.status, head.cache_status) == (200, "fwd=stale; fwd-status=200")
    hit = await bench.get()
    assert (hit.content, hit.cache_status) == (b"0123456789", "hit; ttl=60")
    assert (hit.fields.get(b"x-a"), hit.fields.get(b"x-b")) == (b"2", b"1")


@pytest.mark.rfc(9111, "4.3.5")
@pytest.mark.parametrize(
    "line",
    [
        pytest.param('etag: "b"', id="another-tag"),
        pytest.param(DAY_AGO, id="a-date-that-was-not-there"),
        pytest.param("cache-control: no-store", id="no-store"),
    ],
)
async def test_a_head_that_shows_another_response_takes_the_stored_one_away(line: str) -> None:
    tag = [] if line.startswith("etag") else [TAG]
    bench = Bench(whole(FRESH, TAG), whole(FRESH, line, *tag))
    await bench.get()
    bench.clock.turn(61)
    await bench.ask(request(method="HEAD"))
    assert len(bench.memory) == 0


@pytest.mark.rfc(9111, "4.3.5")
@pytest.mark.parametrize(
    ("asked", "status", "lines"),
    [
        pytest.param([], 200, [FRESH], id="no-validator"),
        pytest.param([], 404, [FRESH, TAG], id="another-status"),
        pytest.param(["cache-control: no-store"], 200, [FRESH, TAG], id="the-client-forbids-it"),
    ],
)
async def test_a_head_that_shows_nothing_changes_nothing(asked: list[str], status: int, lines: list[str]) -> None:
    bench = Bench(whole(FRESH, TAG), whole(*lines, status=status), whole(TAG, FRESH, status=304))
    await bench.get()
    bench.clock.turn(61)
    await bench.ask(request("/page", *asked, method="HEAD"))
    assert (await bench.get()).cache_status == "fwd=stale; fwd-status=304; ttl=60; stored"


@pytest.mark.rfc(9111, "4.3.5")
@pytest.mark.rfc(9111, "4.4")
async def test_a_head_overtaken_by_a_write_changes_nothing() -> None:
    gate = Gate()
    bench = Bench(whole(FRESH, TAG), gate, whole(status=204))
    await bench.get()
    bench.clock.turn(61)
    bench.start(request(method="HEAD"))
    await settled()
    await bench.ask(request(method="PUT"))
    gate.open(whole(FRESH, TAG))
    await settled()
    assert len(bench.memory) == 0


# Several variants (RFC 9111 §4.3.1).

ENGLISH, GERMAN, FRENCH = (request("/page", f"accept-language: {language}") for language in ("en", "de", "fr"))
VARY = "vary: accept-language"


@pytest.fixture(params=["memory", "storage"])
def place(request: pytest.FixtureRequest) -> Responses | None:
    return None if request.param == "memory" else remote(Counting())


async def two_variants(*answers: Any, **rules: Any) -> Bench:
    bench = Bench(
        whole(FRESH, VARY, 'etag: "en"', body=b"hello"), whole(FRESH, VARY, 'etag: "de"', body=b"hallo"), **rules
    )
    await bench.ask(ENGLISH)
    bench.clock.turn(1)
    await bench.ask(GERMAN)
    bench.give(*answers)
    bench.clock.turn(1)
    return bench


@pytest.mark.rfc(9111, "4.3.1")
@pytest.mark.rfc(9111, "4.3.4")
async def test_a_304_names_the_variant_that_answers_another_request(place: Responses | None) -> None:
    bench = await two_variants(whole(FRESH, VARY, 'etag: "en"', "x-a: 1", status=304), storage=place, **letter())
    french = await bench.ask(FRENCH)
    assert bench.origin.fields().get(b"if-none-match") == b'"de", "en"'
    assert french.got == (200, b"hello", True)
    assert french.cache_status == "fwd=vary-miss; fwd-status=304; ttl=60; stored"
    again = await bench.ask(FRENCH)
    assert (again.content, again.fields.get(b"x-a")) == (b"hello", b"1")
    assert (await bench.ask(GERMAN)).content == b"hallo"


@pytest.mark.rfc(9111, "4.3.2")
async def test_the_clients_own_precondition_is_answered_from_the_variant_named(place: Responses | None) -> None:
    answers = [whole(FRESH, VARY, 'etag: "en"', status=304), whole(FRESH, VARY, 'etag: "de"', status=304)]
    bench = await two_variants(*answers, storage=place, **letter())
    asked = request("/page", "accept-language: fr", 'if-none-match: "en"')
    assert (await bench.ask(asked)).status == 304
    other = request("/page", "accept-language: it", 'if-none-match: "en"')
    assert (await bench.ask(other)).got == (200, b"hallo", True)


@pytest.mark.rfc(9111, "4.3.3")
@pytest.mark.parametrize("lines", [[], ['etag: "it"'], ['etag: "en"', "cache-control: no-store"]])
async def test_a_304_that_names_none_of_them_is_asked_again(place: Responses | None, lines: list[str]) -> None:
    bench = await two_variants(
        whole(VARY, *lines, status=304), whole(FRESH, VARY, body=b"salut"), storage=place, **letter()
    )
    french = await bench.ask(FRENCH)
    assert french.got == (200, b"salut", True)
    assert b"if-none-match" not in bench.origin.fields()


@pytest.mark.rfc(9111, "4.3.3")
async def test_a_200_answers_and_is_a_variant_of_its_own(place: Responses | None) -> None:
    bench = await two_variants(whole(FRESH, VARY, body=b"salut"), storage=place, **letter())
    assert (await bench.ask(FRENCH)).content == b"salut"
    assert (await bench.ask(FRENCH)).cache_status == "hit; ttl=60"


async def test_variants_are_not_offered_unless_it_is_set() -> None:
    bench = await two_variants(whole(FRESH, VARY, body=b"salut"))
    await bench.ask(FRENCH)
    assert b"if-none-match" not in bench.origin.fields()


@pytest.mark.rfc(9111, "4.3.1")
async def test_a_proxy_offers_the_variants_that_another_has_stored() -> None:
    backend = Counting()
    first = await two_variants(storage=remote(backend), **letter())
    named = whole(FRESH, VARY, 'etag: "en"', status=304)
    place = remote(backend)
    await place.prepare()
    second = Bench(named, storage=place, **letter())
    second.clock.turn(2)
    backend.trips.clear()
    french = await second.ask(FRENCH)
    assert second.origin.fields().get(b"if-none-match") == b'"de", "en"'
    assert (french.got, french.cache_status) == ((200, b"hello", True), "fwd=vary-miss; fwd-status=304; ttl=60; stored")
    assert len(backend.trips) == 2, "one to look, and one for the variant that the origin names"
    backend.trips.clear()
    for bench, asked, body in ((second, FRENCH, b"hello"), (first, GERMAN, b"hallo"), (first, FRENCH, b"hello")):
        assert (await bench.ask(asked)).content == body
    assert [len(keys) for keys in backend.trips] == [3, 3, 3], (
        "a hit is one trip, to the index, to the variant and to the count of purges"
    )


@pytest.mark.rfc(9111, "4.3.3")
async def test_a_variant_that_the_storage_has_lost_is_asked_for_in_whole() -> None:
    backend = Counting()
    bench = await two_variants(
        whole(FRESH, VARY, 'etag: "en"', status=304),
        whole(FRESH, VARY, 'etag: "en"', body=b"hello"),
        storage=remote(backend),
        **letter(),
    )
    for name in [name for name in backend._slots if bytes.fromhex(name.removeprefix("page.")).startswith(b"slot")]:
        await backend.delete(name)
    french = await bench.ask(FRENCH)
    assert (french.got, french.cache_status) == ((200, b"hello", True), "fwd=vary-miss; fwd-status=200; ttl=60; stored")
    assert b"if-none-match" in bench.origin.fields(-2)
    assert b"if-none-match" not in bench.origin.fields()
    assert (await bench.ask(FRENCH)).cache_status == "hit; ttl=60"


@pytest.mark.rfc(9111, "4.4")
async def test_a_variant_made_invalid_while_the_origin_was_asked_is_not_stored_again(place: Responses | None) -> None:
    gate = Gate()
    bench = await two_variants(gate, whole(status=204), storage=place, **letter())
    french = bench.start(FRENCH)
    await settled()
    await bench.ask(request("/page", method="POST"))
    bench.give(whole(FRESH, VARY, body=b"salut"))
    gate.open(whole(FRESH, VARY, 'etag: "en"', status=304))
    await settled()
    assert french.got == (200, b"salut", True)
