"""Does each request get what its site and its route decide: origin, cache, key, lifetime and fields?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.load import load
from proxy.config.model import UpstreamConfig
from proxy.exchange.site import Route, Sites
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.storage.memory import PageMemory
from proxy.storage.responses import MemoryResponses, Responses
from tests.exchange.making import Bench, Gate, Given, Origin, request, settled, whole

ONE = "http://one.test:80"
TWO = "http://two.test:80"


class Routed(Bench):
    """A driver with the sites of a configuration; its origins have the answers that a test gives them."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], *answers: Given) -> None:
        file = folder / "site.yaml"
        file.write_text(yaml.safe_dump({"upstream": ONE, "CACHE_MIDDLEWARE_SECONDS": 600, **settings}))
        self.config = load(file, {}, {}).config
        self.two = Origin()
        self.caches: dict[str, PageMemory] = {}
        super().__init__(*answers)

    def sites(self, plain: Route) -> Sites:
        def origin(upstream: UpstreamConfig) -> Any:
            return self.origin if upstream.url == ONE else self.two

        return sites_of(Parts(self.config, self._of, origin))

    def _of(self, alias: str) -> Responses:
        memory = self.caches.setdefault(alias, PageMemory(self.clock, max_entries=None))
        return MemoryResponses(memory, distinctions_of(self.config), 128)


def routes(*given: dict[str, Any]) -> dict[str, Any]:
    return {"routes": list(given)}


UNTIL, SOON = b"Sun, 09 Sep 2001 01:46:43 GMT", b"Sun, 09 Sep 2001 01:46:41 GMT"
CACHES = {"default": {"BACKEND": "locmem"}, "special": {"BACKEND": "locmem", "LOCATION": "special"}}


async def test_the_first_route_that_takes_a_request_holds(tmp_path: Path) -> None:
    first = {"match": "/blog/admin/*", "bypass": True}
    bench = Routed(tmp_path, routes(first, {"match": "/blog/*", "cache_page": "15m"}))
    bench.give(whole(), whole(), whole(), whole())
    assert (await bench.get("/blog/admin/x")).cache_status == "fwd=bypass; fwd-status=200; detail=route"
    assert (await bench.get("/blog/x")).fields.get(b"cache-control") == b"max-age=900"
    assert (await bench.get("/blog/x")).cache_status == "hit; ttl=900"
    assert (await bench.get("/other")).fields.get(b"cache-control") == b"max-age=600"


@pytest.mark.rfc(9213, "2.2")
async def test_what_a_route_writes_into_cache_control_goes_before_targeted_fields(tmp_path: Path) -> None:
    private = {"match": "/account/*", "cache_control": {"private": True}}
    said = ("CDN-Cache-Control: max-age=60", "Cache-Control: no-store")
    bench = Routed(tmp_path, routes(private), whole(*said), whole(*said))
    assert (await bench.get("/account/x")).detail == "no-store"
    assert (await bench.get("/other")).cache_status == "fwd=uri-miss; fwd-status=200; ttl=60; stored"
    settings = {"targeted": ["Ours-Cache-Control", "CDN-Cache-Control"]}
    bench = Routed(tmp_path, settings, whole("Ours-Cache-Control: max-age=5", *said))
    assert (await bench.get("/page")).cache_status == "fwd=uri-miss; fwd-status=200; ttl=5; stored"


async def test_a_bypass_forwards_fields_as_they_are_and_stores_nothing(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"match": "/a*", "bypass": True}), whole("cache-control: max-age=60"), whole())
    client = await bench.get("/a", "if-none-match: x")
    assert client.fields.get(b"cache-control") == b"max-age=60"
    assert bench.origin.fields().get(b"if-none-match") == b"x"
    await bench.get("/a")
    assert bench.times_asked == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param("cache-control: max-age=1", (b"max-age=1", None), id="above-max-age"),
        pytest.param("cache-control: max-age=100", (b"max-age=3", UNTIL), id="below-max-age"),
        pytest.param("cache-control: s-maxage=1, max-age=9", (b"s-maxage=1, max-age=3", UNTIL), id="s-maxage"),
        pytest.param("cache-control: s-maxage=100, max-age=1", (b"s-maxage=100, max-age=1", None), id="both"),
        pytest.param("expires: Sun, 09 Sep 2001 01:46:50 GMT", (b"max-age=3", UNTIL), id="later-expires"),
        pytest.param("expires: Sun, 09 Sep 2001 01:46:41 GMT", (None, SOON), id="earlier-expires"),
        pytest.param("x: y", (b"max-age=3", UNTIL), id="nothing-said"),
        pytest.param("cache-control: max-age=0", (b"max-age=0", None), id="max-age-0"),
    ],
)
async def test_cache_page_beats_the_origin_and_tells_browsers_the_lesser(
    tmp_path: Path, said: str, told: tuple[bytes | None, bytes | None]
) -> None:
    """Django 5.2, patch_cache_control: the lesser of two max-age; and never more than Expires says."""
    bench = Routed(tmp_path, routes({"match": "/p", "cache_page": 3}), whole(said), whole(said))
    client = await bench.get("/p")
    assert (client.fields.get(b"cache-control"), client.fields.get(b"expires")) == told
    bench.clock.turn(2.9)
    assert (await bench.get("/p")).cache_status.startswith("hit; ttl=0")
    assert (await bench.get("/p")).age == 2
    bench.clock.turn(0.2)
    assert (await bench.get("/p")).cache_status.startswith("fwd=stale")


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        pytest.param("cache-control: private, max-age=9", "private", id="private"),
        pytest.param("cache-control: no-store", "no-store", id="no-store"),
        pytest.param("set-cookie: a=b", "set-cookie", id="set-cookie"),
        pytest.param("vary: *", "vary-star", id="vary-star"),
    ],
)
async def test_cache_page_is_a_lifetime_and_no_permission(tmp_path: Path, line: str, detail: str) -> None:
    bench = Routed(tmp_path, routes({"cache_page": "1h"}), whole(line))
    assert (await bench.get("/p")).detail == detail


async def test_cache_page_keeps_personal_pages_personal(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"cache_page": "1h"}), whole())
    assert (await bench.get("/p", "cookie: session=1")).detail == "cookie"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("cache-control: max-age=0", id="max-age-0"),
        pytest.param("cache-control: s-maxage=0, max-age=60", id="s-maxage-0"),
        pytest.param("expires: 0", id="expires-0"),
        pytest.param("expires: Thu, 19 Nov 1981 08:52:00 GMT", id="expired"),
    ],
)
async def test_a_page_that_its_origin_calls_stale_at_once_stays_personal_under_cache_page(
    tmp_path: Path, said: str
) -> None:
    bench = Routed(tmp_path, routes({"cache_page": "1h"}), whole(said, body=b"alice"), whole(said, body=b"anybody"))
    bench.give(whole(said, body=b"bob"))
    alice = await bench.get("/p", "cookie: session=1")
    assert (alice.detail, alice.content) == ("cookie", b"alice")
    assert (await bench.get("/p")).content == b"anybody"
    bob = await bench.get("/p", "cookie: session=2")
    assert (bob.detail, bob.content) == ("cookie", b"bob")
    assert (await bench.get("/p")).cache_status == "hit; ttl=3600"


async def test_a_validation_under_cache_page_writes_its_lifetime_once(tmp_path: Path) -> None:
    said = ("cache-control: public", 'etag: "a"')
    bench = Routed(tmp_path, routes({"cache_page": 3}), whole(*said), whole(*said, status=304))
    assert (await bench.get("/p")).fields.get(b"cache-control") == b"public, max-age=3"
    bench.clock.turn(4)
    assert (await bench.get("/p")).cache_status.startswith("fwd=stale; fwd-status=304; ttl=3; stored")
    client = await bench.get("/p")
    assert client.cache_status == "hit; ttl=3"
    assert client.fields.get(b"cache-control") == b"public, max-age=3"
    assert client.fields.lines(b"expires") == [b"Sun, 09 Sep 2001 01:46:47 GMT"]


async def test_a_lifetime_of_nothing_that_is_replaced_for_us_alone_stays_in_the_fields(tmp_path: Path) -> None:
    said = ("cache-control: public, max-age=0", "expires: Sun, 09 Sep 2001 00:46:40 GMT", 'etag: "a"')
    route = {"cache_page": 3, "downstream_headers": False}
    bench = Routed(tmp_path, routes(route), whole(*said), whole('etag: "a"', status=304))
    for _ in range(2):
        await bench.get("/p")
        client = await bench.get("/p")
        assert client.cache_status == "hit; ttl=3"
        assert client.fields.get(b"cache-control") == b"public, max-age=0"
        assert client.fields.lines(b"expires") == [b"Sun, 09 Sep 2001 00:46:40 GMT"]
        bench.clock.turn(4)


async def test_cache_page_zero_stores_nothing_and_says_so(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"cache_page": 0}), whole("cache-control: s-maxage=9, public"), whole())
    client = await bench.get("/p")
    assert client.cache_status == "fwd=bypass; fwd-status=200; detail=route"
    assert client.fields.get(b"cache-control") == b"s-maxage=9, public, max-age=0"
    assert client.fields.get(b"expires") == b"Sun, 09 Sep 2001 01:46:40 GMT"
    await bench.get("/p")
    assert bench.times_asked == 2


async def test_a_304_keeps_the_lifetime_of_the_route(tmp_path: Path) -> None:
    fresh = 'etag: "a"'
    bench = Routed(tmp_path, routes({"cache_page": 10}), whole("cache-control: max-age=99", fresh), whole(status=304))
    await bench.get("/p")
    bench.clock.turn(11)
    client = await bench.get("/p")
    assert client.cache_status == "fwd=stale; fwd-status=304; ttl=10; stored"
    assert client.fields.get(b"cache-control") == b"max-age=10"
    assert (await bench.get("/p")).cache_status == "hit; ttl=10"


async def test_without_downstream_headers_the_fields_are_the_origins(tmp_path: Path) -> None:
    settings = routes({"match": "/p", "cache_page": 10, "downstream_headers": False})
    bench = Routed(tmp_path, settings, whole("cache-control: public", 'etag: "a"'), whole(status=304), whole())
    client = await bench.get("/p")
    assert (client.fields.get(b"cache-control"), client.fields.get(b"expires")) == (b"public", None)
    bench.clock.turn(11)
    assert (await bench.get("/p")).fields.get(b"cache-control") == b"public"
    top = Routed(tmp_path, {"downstream_headers": False}, whole())
    assert (await top.get("/p")).fields.get(b"cache-control") is None


async def test_cache_and_key_prefix_each_keep_pages_apart(tmp_path: Path) -> None:
    settings = routes({"match": "/a", "cache": "special"}, {"match": "/b", "key_prefix": "b"}) | {"CACHES": CACHES}
    bench = Routed(tmp_path, settings, whole(), whole(), whole())
    for target in ("/a", "/b", "/c"):
        await bench.get(target)
        assert (await bench.get(target)).cache_status.startswith("hit")
    assert {alias: len(memory) for alias, memory in bench.caches.items()} == {"default": 2, "special": 1}


async def test_a_write_invalidates_the_page_of_another_route(tmp_path: Path) -> None:
    get = {"match": "/p*", "methods": "GET", "cache": "special", "key_prefix": "x", "query": {"sort": True}}
    settings = routes({"match": "/p*", "methods": "POST", "bypass": True}, get) | {"CACHES": CACHES}
    bench = Routed(tmp_path, settings, whole(), whole(status=204), whole(), whole("location: /p?a&b"), whole())
    for target in ("/p?b&a", "/form"):
        await bench.get("/p?a&b")
        assert (await bench.get("/p?b&a")).cache_status.startswith("hit")
        bench.clock.turn(1)
        await bench.ask(request(target, method="POST"))
        bench.clock.turn(1)
    assert (await bench.get("/p?a&b")).cache_status.startswith("fwd=uri-miss")


async def test_query_rules_are_of_the_key_alone(tmp_path: Path) -> None:
    rule = {"match": "/q", "query": {"ignore": ["utm_*"], "sort": True}}
    bench = Routed(tmp_path, routes(rule), *(whole() for _ in range(4)))
    await bench.get("/q?b=2&utm_source=x&a=1")
    assert bench.origin.asked[0].head.startswith(b"GET /q?b=2&utm_source=x&a=1 HTTP/1.1\r\n")
    assert (await bench.get("/q?a=1&b=2")).cache_status.startswith("hit")
    await bench.get("/other?a=1&b=2")
    assert (await bench.get("/other?b=2&a=1")).cache_status.startswith("fwd=uri-miss")
    assert (await bench.get("/q?a=2&b=2")).cache_status.startswith("fwd=uri-miss")


@pytest.mark.rfc(5861, "3")
@pytest.mark.rfc(5861, "4")
async def test_stale_windows_of_a_route(tmp_path: Path) -> None:
    rule = {"cache_page": 10, "stale_while_revalidate": 5, "stale_if_error": 20}
    bench = Routed(tmp_path, routes(rule), whole(), whole(), whole(status=500))
    await bench.get("/p")
    bench.clock.turn(14)
    assert (await bench.get("/p")).cache_status == "hit; ttl=-4; detail=stale-while-revalidate"
    bench.clock.turn(29)
    assert (await bench.get("/p")).detail == "stale-if-error"
    bench.give(whole(status=500))
    bench.clock.turn(2)
    assert (await bench.get("/p")).status == 500


async def test_the_origins_word_on_staleness_stands_above_the_routes(tmp_path: Path) -> None:
    rule = {"stale_while_revalidate": 50}
    bench = Routed(tmp_path, routes(rule), whole("cache-control: max-age=10, stale-while-revalidate=0"), whole())
    await bench.get("/p")
    bench.clock.turn(11)
    assert (await bench.get("/p")).cache_status.startswith("fwd=stale")


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        pytest.param(404, (), b"max-age=30", id="the-status-above-its-class"),
        pytest.param(410, (), b"max-age=20", id="the-class"),
        pytest.param(500, (), None, id="another-class"),
        pytest.param(404, ("cache-control: max-age=7",), b"max-age=7", id="the-origins-word-above-both"),
        pytest.param(200, (), b"max-age=600", id="a-200-has-the-sites"),
        pytest.param(403, (), None, id="0-stores-nothing"),
    ],
)
async def test_status_ttl(tmp_path: Path, status: int, said: tuple[str, ...], expected: bytes | None) -> None:
    rule = {"status_ttl": {404: "30s", "4xx": "20s", 403: 0}}
    bench = Routed(tmp_path, routes(rule), whole(*said, status=status))
    client = await bench.get("/p")
    assert client.fields.get(b"cache-control") == expected
    assert client.cache_status.endswith("stored") is (expected is not None)


async def test_never_cache(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"never_cache": True}), whole("cache-control: max-age=60"), whole())
    client = await bench.get("/p")
    said = client.fields.get(b"cache-control") or b""
    assert set(said.split(b", ")) == {b"max-age=0", b"no-cache", b"no-store", b"must-revalidate", b"private"}
    assert client.fields.get(b"expires") == b"Sun, 09 Sep 2001 01:46:40 GMT"
    await bench.get("/p")
    assert bench.times_asked == 2


async def test_cache_control_is_said_and_done(tmp_path: Path) -> None:
    rule = {"cache_control": {"max_age": "1m", "public": True, "stale_while_revalidate": 9}}
    bench = Routed(tmp_path, routes(rule), whole("cache-control: max-age=99"), whole("cache-control: max-age=99"))
    client = await bench.get("/p", "authorization: Basic x")
    assert client.fields.get(b"cache-control") == b"max-age=60, public, stale-while-revalidate=9"
    bench.clock.turn(61)
    assert (await bench.get("/p")).detail == "stale-while-revalidate"


async def test_cache_control_private_is_obeyed(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"cache_control": {"private": True}}), whole("cache-control: public, max-age=9"))
    assert (await bench.get("/p")).detail == "private"


async def test_what_was_patched_is_kept_by_a_304_that_says_nothing(tmp_path: Path) -> None:
    rule = {"cache_control": {"max_age": 10}, "vary_on": ["Accept", "cookie:lang"]}
    bench = Routed(tmp_path, routes(rule), whole('etag: "a"', "cache-control: public"), whole(status=304))
    await bench.get("/p")
    bench.clock.turn(11)
    client = await bench.get("/p")
    assert client.fields.get(b"cache-control") == b"public, max-age=10"
    assert client.fields.get(b"vary") == b"accept, Cookie"
    assert (await bench.get("/p", "cookie: other=1")).cache_status.startswith("hit")


@pytest.mark.rfc(9111, "4.1")
async def test_vary_on_fields_and_single_cookies(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"vary_on": ["User-Agent", "cookie:lang"]}), *(whole() for _ in range(4)))
    client = await bench.get("/p", "user-agent: Mozilla", "cookie: lang=de")
    assert client.fields.get(b"vary") == b"user-agent, Cookie"
    assert (await bench.get("/p", "user-agent: Mozilla", "cookie: lang=de")).cache_status.startswith("hit")
    for lines in (
        ("user-agent: Mozilla", "cookie: lang=es"),
        ("user-agent: curl", "cookie: lang=de"),
        ("user-agent: Mozilla",),
    ):
        assert (await bench.get("/p", *lines)).cache_status.startswith("fwd=vary-miss")
    # The page says nothing of its lifetime: another cookie may be a session.
    bench.give(whole())
    assert (await bench.get("/p", "user-agent: Mozilla", "cookie: lang=de; s=1")).detail == "cookie"


async def test_removed_cookies_let_a_response_be_stored(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"remove_set_cookie": ["track"]}))
    bench.give(whole("set-cookie: track=1"), whole("set-cookie: track=1", "set-cookie: session=2"))
    client = await bench.get("/p")
    assert client.fields.get(b"set-cookie") is None
    assert client.cache_status.endswith("stored")
    client = await bench.get("/q")
    assert (client.fields.get(b"set-cookie"), client.detail) == (b"session=2", "set-cookie")


COOKIES = {"set_cookie": "explicit", "routes": [{"match": "/never*", "set_cookie": "never"}, {"match": "/other*"}]}
"""Of the site one way, of a route the other."""


@pytest.mark.rfc(9111, "7.3")
@pytest.mark.parametrize(
    ("settings", "path", "is_stored"),
    [
        pytest.param(routes({"match": "/a*", "set_cookie": "explicit"}), "/a", True, id="explicit-of-the-route"),
        pytest.param(routes({"match": "/a*", "set_cookie": "explicit"}), "/b", False, id="never-of-the-site"),
        pytest.param(routes({"set_cookie": None}), "/a", False, id="never-of-the-site-by-null"),
        pytest.param(COOKIES, "/never", False, id="never-of-the-route"),
        pytest.param(COOKIES, "/other", True, id="explicit-of-the-site"),
        pytest.param(COOKIES, "/none", True, id="explicit-where-no-route-is"),
    ],
)
async def test_a_route_says_whether_what_sets_a_cookie_is_stored(
    tmp_path: Path, settings: dict[str, Any], path: str, is_stored: bool
) -> None:
    """Stored it is set in every browser, those that waited for it among them; else in that of whoever asked."""
    gate = Gate()
    answers = [whole("cache-control: max-age=60", f"set-cookie: s={number}") for number in range(4)]
    bench = Routed(tmp_path, settings, gate, *answers[1:])
    clients = await bench.crowd(request(path) for _ in range(3))
    gate.open(answers[0])
    await settled()
    clients.append(await bench.get(path))
    cookies = sorted(client.fields.get(b"set-cookie") or b"" for client in clients)
    assert cookies == ([b"s=0"] * 4 if is_stored else [b"s=0", b"s=1", b"s=2", b"s=3"])
    assert {client.detail for client in clients} == {None if is_stored else "set-cookie"}


@pytest.mark.rfc(9111, "7.3")
async def test_a_route_stores_no_cookie_with_a_page_that_does_not_say_how_long_it_is_fresh(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"set_cookie": "explicit"}), whole("set-cookie: s=0"), whole("set-cookie: s=1"))
    assert [(await bench.get("/p")).fields.get(b"set-cookie") for _ in range(2)] == [b"s=0", b"s=1"]


@pytest.mark.rfc(9111, "7.3")
async def test_a_304_sets_a_cookie_as_its_route_says(tmp_path: Path) -> None:
    page = ("cache-control: max-age=60", 'etag: "a"')
    bench = Routed(tmp_path, routes({"match": "/explicit", "set_cookie": "explicit"}))
    for path in ("/explicit", "/never"):
        bench.give(whole(*page))
        await bench.get(path)
    bench.clock.turn(61)
    bench.give(whole(*page, "set-cookie: s=1", status=304))
    assert (await bench.get("/explicit")).fields.get(b"set-cookie") == b"s=1"
    assert (await bench.get("/explicit")).fields.get(b"set-cookie") == b"s=1"
    bench.give(whole(*page, "set-cookie: s=2", status=304), whole(*page, "set-cookie: s=3"))
    assert (await bench.get("/never")).detail == "set-cookie"
    assert bench.times_asked == 5


async def test_removed_cookies_reach_nobody_who_waits(tmp_path: Path) -> None:
    gate = Gate()
    bench = Routed(tmp_path, routes({"remove_set_cookie": ["track"]}), gate)
    clients = await bench.crowd(request("/p") for _ in range(3))
    gate.open(whole("set-cookie: track=1"))
    await settled()
    assert [client.fields.get(b"set-cookie") for client in clients] == [None] * 3
    assert bench.times_asked == 1


# Sites.


SITES = {
    "one": {"hosts": ["www.example.org", ".one.test"], "CACHE_MIDDLEWARE_SECONDS": 5},
    "two": {"hosts": "two.test", "upstream": TWO, "CACHE_MIDDLEWARE_KEY_PREFIX": "2"},
}


@pytest.mark.parametrize(
    ("host", "one", "two", "site"),
    [
        pytest.param("www.example.org", 1, 0, "one", id="exact"),
        pytest.param("www.example.org:8080", 1, 0, "one", id="port"),
        pytest.param("a.b.one.test", 1, 0, "one", id="below"),
        pytest.param("one.test.", 1, 0, "one", id="itself-with-a-dot"),
        pytest.param("two.test", 0, 1, "two", id="another-origin"),
        pytest.param("else.test", 1, 0, "-", id="the-hosts-that-no-site-names"),
    ],
)
async def test_the_host_decides_the_site(tmp_path: Path, host: str, one: int, two: int, site: str) -> None:
    bench = Routed(tmp_path, {"sites": SITES}, whole())
    bench.two.answers.append(whole())
    client = await bench.get("/p", f"host: {host}", host=host.encode())
    assert client.status == 200
    assert (len(bench.origin.asked), len(bench.two.asked)) == (one, two)
    assert [entry.site for entry in bench.entries] == [site]
    assert bench.counters.requests == {(site, "-", b"GET", 200, "uri-miss"): 1}


@pytest.mark.rfc(9110, "15.5.20")
@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        pytest.param([".example.org"], "example.org", 200, id="itself"),
        pytest.param([".example.org"], "www.example.org:99", 200, id="below"),
        pytest.param([".example.org"], "badexample.org", 421, id="only-alike"),
        pytest.param(["www.example.org"], "example.org", 421, id="exact"),
        pytest.param(["www.example.org"], "", 421, id="no-host"),
        pytest.param(["*"], "anything", 200, id="every"),
        pytest.param(["[::1]"], "[::1]:80", 200, id="ipv6"),
    ],
)
async def test_allowed_hosts(tmp_path: Path, allowed: list[str], host: str, status: int) -> None:
    bench = Routed(tmp_path, {"ALLOWED_HOSTS": allowed}, *([whole()] if status == 200 else []))
    client = await bench.get("/p", host=host.encode())
    assert client.status == status
    if status == 421:
        assert client.cache_status == "detail=host-not-allowed"
        assert client.content == b"421 Misdirected Request: host-not-allowed\n"
        post = await bench.ask(request("/p", method="POST", host=host.encode()))
        assert (post.status, bench.times_asked) == (421, 0)


async def test_without_an_upstream_other_hosts_are_refused(tmp_path: Path) -> None:
    bench = Routed(tmp_path, {"upstream": None, "sites": {"two": SITES["two"]}})
    bench.two.answers.append(whole())
    assert (await bench.get("/p", host=b"two.test")).status == 200
    assert (await bench.get("/p", host=b"two.test")).cache_status.startswith("hit")
    assert (await bench.get("/p", host=b"site.test")).status == 421


async def test_routes_are_counted_and_logged_by_name(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"match": "/b", "name": "blog"}, {"match": "/c"}), whole(), whole())
    for target in ("/b", "/b", "/c"):
        await bench.get(target)
    assert [entry.route for entry in bench.entries] == ["blog", "blog", "routes[1]"]
    assert bench.counters.requests == {
        ("-", "blog", b"GET", 200, "uri-miss"): 1,
        ("-", "blog", b"GET", 200, "hit"): 1,
        ("-", "routes[1]", b"GET", 200, "uri-miss"): 1,
    }


async def test_cache_page_zero_leaves_alone_what_forbids_caches(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"cache_page": 0, "vary_on": "cookie:a"}), whole("cache-control: no-store"))
    client = await bench.get("/p")
    assert (client.fields.get(b"cache-control"), client.fields.get(b"expires")) == (b"no-store", None)
    assert (client.fields.get(b"vary") or b"").lower() == b"cookie"


async def test_a_single_cookie_leaves_vary_star_alone(tmp_path: Path) -> None:
    bench = Routed(tmp_path, routes({"vary_on": "cookie:a"}), whole("vary: *"))
    assert (await bench.get("/p")).fields.get(b"vary") == b"*"
