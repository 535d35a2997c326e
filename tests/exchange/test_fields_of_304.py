"""Fields of our 304, 206 and 416, and conditional requests that are forwarded (RFC 9110 §15.3.7, §15.4.5, §15.5.17)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.config.model import SetCookie
from proxy.message.fields import Fields
from proxy.storage.responses import NoResponses, Responses
from tests.exchange.making import EARLIER, Bench, Client, Gate, request, settled, whole
from tests.exchange.remotes import Counting, Unreachable, remote
from tests.exchange.test_routes import Routed

FRESH, TAG = "cache-control: max-age=60", 'etag: "a"'
ASKED = 'if-none-match: "a"'

#: About the response: the client needs them, or its copy gets them (RFC 9110 §15.4.5, RFC 9111 §3.2).
KEPT = {
    "access-control-allow-origin": "https://a.example",
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "x-own",
    "timing-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "content-security-policy": "default-src 'self'; script-src 'nonce-1'",
    "content-security-policy-report-only": "default-src 'none'",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "geolocation=()",
    "server-timing": "db;dur=53",
    "link": "</a.css>; rel=preload",
    "alt-svc": 'h3=":443"',
    "content-location": "/page.en",
    "last-modified": EARLIER,
    "expires": "Sun, 09 Sep 2001 01:50:00 GMT",
    "vary": "accept-encoding",
    "p3p": "CP=x",
    "x-own": "1",
}
#: Representation metadata, which the client has, and what is about a body that does not come.
GONE = {
    "accept-ranges": "bytes",
    "content-disposition": "inline",
    "content-encoding": "br",
    "content-language": "en",
    "content-md5": "AA==",
    "content-digest": "sha-256=:AA==:",
    "content-type": "text/html",
    "digest": "sha-256=AA==",
    "repr-digest": "sha-256=:AA==:",
    "unencoded-digest": "sha-256=:AA==:",
    "trailer": "x-sum",
}
LINES = [f"{name}: {value}" for name, value in {**KEPT, **GONE}.items()]


async def _plain_hit(asked: str, storage: Responses | None = None) -> Client:
    bench = Bench(whole(FRESH, TAG, *LINES), storage=storage)
    await bench.get()
    client = await bench.get("/page", asked)
    assert client.cache_status == "hit; ttl=60"
    return client


async def _hit_of_a_storage(asked: str) -> Client:
    return await _plain_hit(asked, remote(Counting()))


async def _with_a_long_head(asked: str) -> Client:
    bench = Bench(whole(FRESH, TAG, *LINES, f"x-long: {'x' * 5000}"))
    await bench.get()
    return await bench.get("/page", asked)


async def _head(asked: str) -> Client:
    bench = Bench(whole(FRESH, TAG, *LINES))
    await bench.get()
    return await bench.ask(request("/page", asked, method="HEAD"))


async def _stale_while_revalidate(asked: str) -> Client:
    said = "cache-control: max-age=60, stale-while-revalidate=9"
    bench = Bench(whole(said, TAG, *LINES), whole(said, TAG, status=304))
    await bench.get()
    bench.clock.turn(61)
    return await bench.get("/page", asked)


async def _validated(asked: str) -> Client:
    bench = Bench(whole(FRESH, TAG, *LINES), whole(FRESH, TAG, status=304))
    await bench.get()
    bench.clock.turn(61)
    return await bench.get("/page", asked)


async def _fetched_and_stored(asked: str) -> Client:
    return await Bench(whole(FRESH, TAG, *LINES)).get("/page", asked)


async def _fetched_and_not_stored(asked: str) -> Client:
    client = await Bench(whole("cache-control: private", TAG, *LINES)).get("/page", asked)
    assert client.detail == "private"
    return client


async def _collapsed(asked: str) -> Client:
    gate = Gate()
    bench = Bench(gate)
    _, follower = await bench.crowd([request(), request("/page", asked)])
    gate.open(whole(FRESH, TAG, *LINES))
    await settled()
    assert follower.cache_status == "fwd=uri-miss; collapsed"
    return follower


PATHS = [
    *(_plain_hit, _hit_of_a_storage, _with_a_long_head, _head, _stale_while_revalidate, _validated),
    *(_fetched_and_stored, _fetched_and_not_stored, _collapsed),
]
Way = Callable[[str], Awaitable[Client]]


def _paths() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", [pytest.param(path, id=path.__name__[1:]) for path in PATHS])


def _check(fields: Fields, kept: dict[str, str], gone: dict[str, str]) -> None:
    said = {name: fields.get(name.encode()) for name in (*kept, *gone)}
    assert said == {**{name: value.encode() for name, value in kept.items()}, **dict.fromkeys(gone)}


@_paths()
@pytest.mark.parametrize(
    "asked", [pytest.param(ASKED, id="tag"), pytest.param(f"if-modified-since: {EARLIER}", id="date")]
)
@pytest.mark.rfc(9110, "15.4.5")
async def test_a_304_has_every_field_but_what_describes_the_representation(path: Way, asked: str) -> None:
    client = await path(asked)
    assert (client.status, client.content, client.is_whole) == (304, b"", True)
    _check(client.fields, KEPT, GONE)
    assert client.fields.get(b"etag") == b'"a"'
    assert b"content-length" not in client.fields
    assert b"cache-control" in client.fields
    assert b"date" in client.fields
    assert b"via" in client.fields


# What the response sets for this client.


@pytest.mark.rfc(9110, "15.4.5")
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("set-cookie: s=1",), id="not-stored"),
        pytest.param((FRESH, "set-cookie: s=1"), id="not-stored-for-the-cookie"),
        pytest.param(('cache-control: max-age=60, no-cache="set-cookie"', "set-cookie: s=1"), id="for-one-client"),
        pytest.param(("cache-control: no-store", "set-cookie: s=1"), id="no-store"),
    ],
)
async def test_a_304_made_of_what_was_just_fetched_sets_its_cookies(lines: tuple[str, ...]) -> None:
    bench = Bench(whole(TAG, *lines, "set-cookie: t=2"))
    client = await bench.get("/page", ASKED)
    assert client.status == 304
    assert list(client.fields.lines(b"set-cookie")) == [b"s=1", b"t=2"]


async def test_a_validation_that_sets_a_cookie_does_so_in_the_304() -> None:
    """The origin is asked again, for the cookie is for this client alone; each who asks gets the one that is his."""
    bench = Bench(whole(FRESH, TAG))
    await bench.get()
    bench.clock.turn(61)
    for cookie in ("s=1", "s=2"):
        bench.give(*[whole(TAG, f"set-cookie: {cookie}", status=status) for status in (304, 200)])
        client = await bench.get("/page", ASKED)
        assert (client.status, client.fields.get(b"set-cookie")) == (304, cookie.encode())


@pytest.mark.rfc(9111, "5.2.2.7")
@pytest.mark.parametrize("word", ["private", "no-cache"])
@pytest.mark.parametrize("asked", [pytest.param((), id="200"), pytest.param((ASKED,), id="304")])
async def test_what_a_304_says_to_one_client_reaches_that_one_alone(word: str, asked: tuple[str, ...]) -> None:
    said = f'cache-control: max-age=60, {word}="x-who, set-cookie"'
    bench = Bench(whole(said, TAG, "x-who: 1"), set_cookie=SetCookie.EXPLICIT)
    await bench.get()
    bench.clock.turn(61)
    bench.give(whole(said, TAG, "x-who: 2", "set-cookie: s=2", status=304))
    client = await bench.get("/page", *asked)
    assert (client.status, client.content) == ((304, b"") if asked else (200, b"0123456789"))
    assert (client.fields.get(b"x-who"), client.fields.get(b"set-cookie")) == (b"2", b"s=2")
    hit = await bench.get("/page", *asked)
    assert hit.cache_status == "hit; ttl=60"
    assert b"x-who" not in hit.fields
    assert b"set-cookie" not in hit.fields


@pytest.mark.rfc(9111, "5.1")
async def test_a_304_made_of_an_aged_response_has_its_age() -> None:
    assert (await Bench(whole(FRESH, TAG, "age: 7")).get("/page", ASKED)).age == 7
    gate = Gate()
    bench = Bench(gate)
    _, follower = await bench.crowd([request(), request("/page", ASKED)])
    bench.clock.turn(3)
    gate.open(whole(FRESH, TAG))
    await settled()
    assert (follower.status, follower.age is not None) == (304, True)


async def test_a_304_hides_from_clients_what_every_answer_hides() -> None:
    bench = Bench(whole("cache-control: private", TAG, "surrogate-key: a"), hidden=frozenset({b"surrogate-key"}))
    client = await bench.get("/page", ASKED)
    assert client.status == 304
    assert b"surrogate-key" not in client.fields


# Conditions that the origin judges.


def _storages() -> dict[str, Callable[[], Responses | None]]:
    return {
        "memory": lambda: None,
        "storage": lambda: remote(Counting()),
        "dummy": NoResponses,
        "storage-failed": lambda: remote(Unreachable()),
    }


CONDITIONS = [
    pytest.param([ASKED], id="tag"),
    pytest.param([f"if-modified-since: {EARLIER}"], id="date"),
    pytest.param([ASKED, f"if-modified-since: {EARLIER}"], id="both"),
    pytest.param([ASKED, "range: bytes=0-4"], id="with-a-range"),
    pytest.param(['if-range: "a"', "range: bytes=0-4"], id="if-range"),
]


async def _unkept(kind: str, lines: list[str]) -> tuple[Bench, Client]:
    """Ask for what is not to be stored, with these conditions, and let the origin answer 304."""
    storage = _storages().get(kind, lambda: None)()
    route = {"bypass": True} if kind == "bypass" else {}
    bench = Bench(storage=storage, route=route)
    more = ["cache-control: no-store"] if kind == "client-no-store" else []
    if kind == "known-uncacheable":
        bench.give(whole("cache-control: private", TAG))
        await bench.get()
    if kind == "stale-without-a-validator":
        bench.give(whole(FRESH))
        await bench.get()
        bench.clock.turn(61)
        more = ["cache-control: no-store"]
    bench.give(whole(TAG, *LINES, "set-cookie: s=1", status=304))
    method = "HEAD" if kind == "head" else "POST" if kind == "post" else "GET"
    return bench, await bench.ask(request("/page", *lines, *more, method=method))


@pytest.mark.rfc(9111, "4.3.2")
@pytest.mark.parametrize("lines", CONDITIONS)
@pytest.mark.parametrize(
    "kind",
    [
        *("client-no-store", "bypass", "known-uncacheable", "storage-failed", "dummy", "head", "post"),
        "stale-without-a-validator",
    ],
)
async def test_conditions_for_what_is_not_to_be_stored_are_forwarded(kind: str, lines: list[str]) -> None:
    bench, client = await _unkept(kind, lines)
    asked = bench.origin.fields()
    for line in lines:
        name, _, value = line.partition(": ")
        assert asked.get(name.encode()) == value.encode()
    assert client.status == 304
    _check(client.fields, KEPT | GONE | {"set-cookie": "s=1", "etag": '"a"'}, {})


@pytest.mark.parametrize("kind", ["memory", "storage", "dummy", "storage-failed"])
async def test_only_what_may_be_stored_is_asked_for_without_conditions(kind: str) -> None:
    bench = Bench(whole(FRESH, TAG), storage=_storages()[kind]())
    client = await bench.get("/page", ASKED)
    assert client.status == 304
    assert (b"if-none-match" in bench.origin.fields()) is (kind in {"dummy", "storage-failed"})


@pytest.mark.parametrize("kind", ["dummy", "storage-failed"])
async def test_without_a_storage_a_condition_still_waits_for_a_request_that_is_on_its_way(kind: str) -> None:
    gate = Gate()
    bench = Bench(gate, storage=_storages()[kind]())
    first, second = await bench.crowd([request(), request("/page", ASKED)])
    gate.open(whole(FRESH, TAG))
    await settled()
    assert (first.status, second.status) == (200, 304)
    assert bench.times_asked == 1


async def test_many_with_one_condition_do_not_wait_for_each_other_where_nothing_is_stored() -> None:
    bench = Bench(*[Gate() for _ in range(3)], storage=NoResponses())
    await bench.crowd(request("/page", ASKED) for _ in range(3))
    assert bench.times_asked == 3


async def test_why_the_origin_judges_is_said_with_its_304() -> None:
    bench, client = await _unkept("storage-failed", [ASKED])
    assert client.cache_status == "fwd=uri-miss; fwd-status=304; detail=storage-failed"
    _, client = await _unkept("client-no-store", [ASKED])
    assert client.cache_status == "fwd=uri-miss; fwd-status=304; detail=request-no-store"
    assert bench.counters.details["storage-failed"] == 1


async def test_client_wishes_that_do_not_count_do_not_forward_conditions(tmp_path: Path) -> None:
    bench = Routed(tmp_path, {"client_cache_control": "ignore"}, whole(FRESH, TAG))
    client = await bench.get("/page", ASKED, "cache-control: no-store")
    assert client.status == 304
    assert b"if-none-match" not in bench.origin.fields()


async def test_a_validation_for_who_wants_nothing_stored_asks_about_what_is_stored() -> None:
    bench = Bench(whole(FRESH, TAG, body=b"old"))
    await bench.get()
    bench.clock.turn(61)
    bench.give(whole(FRESH, TAG, status=304))
    client = await bench.get("/page", 'if-none-match: "b"', "cache-control: no-store")
    assert client.got == (200, b"old", True)
    assert bench.origin.fields().get(b"if-none-match") == b'"a"'


# 206 and 416.


@pytest.mark.rfc(9110, "15.3.7")
@pytest.mark.parametrize("storage", ["memory", "storage"])
async def test_a_part_has_every_field_but_those_of_one_message(storage: str) -> None:
    bench = Bench(whole(FRESH, TAG, *LINES), storage=_storages()[storage]())
    await bench.get()
    client = await bench.get("/page", "range: bytes=2-4")
    assert client.status == 206
    of_the_message = dict.fromkeys(("content-md5", "content-digest", "trailer"), "")
    kept = {name: value for name, value in (KEPT | GONE).items() if name not in of_the_message}
    _check(client.fields, kept, of_the_message)


@pytest.mark.rfc(9110, "15.5.17")
@pytest.mark.parametrize("storage", ["memory", "storage"])
async def test_a_416_has_what_is_about_the_response_and_nothing_of_the_page(storage: str) -> None:
    """A browser hides a 416 without CORS from its script; a cache would keep one with a lifetime as the page."""
    of_the_page = {
        **dict.fromkeys((*GONE, "etag", "last-modified", "content-location", "cache-control", "expires"), ""),
        "cdn-cache-control": "max-age=60",
        "surrogate-control": "max-age=60",
        "pragma": "public",
    }
    lines = [f"{name}: {value}" for name, value in of_the_page.items() if value]
    bench = Bench(whole(FRESH, TAG, *LINES, *lines), storage=_storages()[storage]())
    await bench.get()
    client = await bench.get("/page", "range: bytes=10-")
    assert (client.status, client.fields.get(b"content-range")) == (416, b"bytes */10")
    kept = {name: value for name, value in KEPT.items() if name not in of_the_page}
    del of_the_page["accept-ranges"]
    _check(client.fields, {**kept, "accept-ranges": "bytes", "content-length": "0"}, of_the_page)
