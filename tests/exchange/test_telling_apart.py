"""Do cookies, queries and Accept-* fields tell pages apart as the site and the route say, in every storage?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.config.model import CookieConfig, CookiePreset
from proxy.config.presets import COOKIES, PARAMETERS, ignored_cookies, kept_cookies
from proxy.policy.cookies import IgnoredCookies
from proxy.policy.forwarding import request_fields
from proxy.policy.key import Distinctions
from proxy.sites import distinctions_of
from proxy.storage.remote import RemoteResponses
from proxy.storage.responses import NoResponses, Responses
from tests.exchange.making import Given, request, settled, whole
from tests.exchange.remotes import Counting, guards, start
from tests.exchange.test_routes import Routed, routes

FRESH = "cache-control: max-age=60"


class InStorage(Routed):
    """The same, with pages in a storage that has to be waited for."""

    def _of(self, alias: str) -> Responses:
        memory = self.caches.setdefault(alias, Counting(self.clock))
        told_apart = distinctions_of(self.config)
        return RemoteResponses(memory, guards(), lambda key: f"page.{key.hex()}", told_apart, 128, start)


@pytest.fixture(params=[Routed, InStorage])
def sited(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    def build(settings: Mapping[str, Any], *answers: Given) -> Routed:
        bench: Routed = request.param(tmp_path, settings, *answers)
        return bench

    return build


def asked(bench: Routed) -> list[bytes | None]:
    """The cookies that the origin got."""
    return [bench.origin.fields(number).get(b"cookie") for number in range(bench.times_asked)]


# Cookies.


async def test_who_has_cookies_of_analytics_alone_shares_the_page_for_anybody(sited: Any) -> None:
    bench = sited({}, whole(body=b"anybody"), whole(body=b"alice"))
    for cookie in ("_ga=1", "_ga=2; _fbp=3", "_pk_id.1.2=x; _clck=y"):
        assert (await bench.get("/page", f"cookie: {cookie}")).content == b"anybody"
    assert bench.times_asked == 1
    assert (await bench.get("/page", "cookie: _ga=1; sessionid=a")).content == b"alice"
    assert asked(bench) == [None, b"sessionid=a"]


async def test_vary_cookie_means_the_remaining_ones(sited: Any) -> None:
    bench = sited({}, whole("vary: cookie", body=b"anybody"), whole("vary: cookie", body=b"alice"))
    got = [
        (await bench.get("/page", *cookie)).content
        for cookie in (["cookie: _ga=1"], ["cookie: sessionid=a; _ga=1"], [], ["cookie: _gid=2; sessionid=a"])
    ]
    assert got == [b"anybody", b"alice", b"anybody", b"alice"]


async def test_ignored_cookies_are_withheld_where_that_is_said(sited: Any) -> None:
    settings = {"cookies": {"ignore": "theme", "withhold": True, "preset": "django"}}
    bench = sited(settings, *(whole("vary: cookie") for _ in range(3)))
    await bench.get("/page", "cookie: _ga=1; theme=dark")
    await bench.get("/page", "Cookie: _ga=1; sessionid=a", "cookie: theme=dark", "cookie: csrftoken=b")
    await bench.ask(request("/page", "cookie: theme=dark; a=b", method="POST"))
    assert asked(bench) == [None, b"sessionid=a; csrftoken=b", b"theme=dark; a=b"]


async def test_cookies_that_the_application_answers_by_are_not_withheld(sited: Any) -> None:
    rule = {"match": "/themed", "vary_on": ["cookie:theme"]}
    settings = {
        "cookies": {"ignore": "*", "withhold": True, "preset": []},
        "routes": [rule],
        "USE_I18N": True,
        "LANGUAGES": ["en"],
        "USE_TZ": True,
        "timezone_from": "cookie:tz",
    }
    bench = sited(settings, whole(), whole())
    for target in ("/themed", "/page"):
        await bench.get(target, "cookie: theme=dark; django_language=en; tz=UTC; a=b")
    assert asked(bench) == [b"theme=dark; django_language=en; tz=UTC", b"django_language=en; tz=UTC"]
    by_field = sited({**settings, "timezone_from": "header:X-TZ"}, whole())
    await by_field.get("/page", "cookie: a=b; django_language=en; X-TZ=c")
    assert asked(by_field) == [b"django_language=en"]


async def test_a_site_and_a_route_have_cookies_of_their_own(sited: Any) -> None:
    shop = {"hosts": "shop.test", "cookies": {"ignore": "cart"}, "routes": [{"match": "/cart", "cookies": {}}]}
    other = {"match": "/other", "cookies": {"ignore": "seen"}, "key_prefix": "o"}
    shop["routes"] += [{"match": "/prefixed", "key_prefix": "p"}]  # type: ignore[operator]
    bench = sited({"sites": {"shop": shop}, "routes": [other]}, *(whole() for _ in range(7)))

    async def is_shared(target: str, cookie: str, **changes: Any) -> bool:
        await bench.get(target, **changes)
        return bool((await bench.get(target, f"cookie: {cookie}", **changes)).cache_status.startswith("hit"))

    host = {"host": b"shop.test"}
    assert await is_shared("/page", "cart=1", **host)
    assert await is_shared("/prefixed", "cart=1", **host)
    assert not await is_shared("/cart", "cart=1", **host)
    assert not await is_shared("/page", "cart=1")
    assert await is_shared("/other", "seen=1")


async def test_pages_that_are_told_apart_by_a_route_are_in_the_same_storage(sited: Any) -> None:
    rule = {"match": "/quiet", "cookies": {"ignore": "*"}}
    bench = sited(routes(rule), whole(body=b"1"), whole(status=204), whole(body=b"2"))
    await bench.get("/quiet", "cookie: a=1")
    assert (await bench.get("/quiet", "cookie: a=2")).content == b"1"
    bench.clock.turn(1)
    await bench.ask(request("/quiet", method="DELETE"))
    await settled()
    bench.clock.turn(1)
    assert (await bench.get("/quiet", "cookie: a=2")).content == b"2"


def test_where_nothing_is_stored_nothing_is_told_apart() -> None:
    none = NoResponses()
    assert none.told_apart_by(Distinctions(())) is none


@pytest.mark.parametrize(
    ("preset", "cookie"),
    [
        pytest.param(CookiePreset.DJANGO, "sessionid", id="django"),
        pytest.param(CookiePreset.DJANGO, "csrftoken", id="django-csrf"),
        pytest.param(CookiePreset.FLASK, "session", id="flask"),
        pytest.param(CookiePreset.RAILS, "_shop_session", id="rails"),
        pytest.param(CookiePreset.LARAVEL, "laravel_session", id="laravel"),
        pytest.param(CookiePreset.SYMFONY, "PHPSESSID", id="symfony"),
        pytest.param(CookiePreset.EXPRESS, "connect.sid", id="express"),
        pytest.param(CookiePreset.SPRING, "JSESSIONID", id="spring"),
        pytest.param(CookiePreset.ASPNET, ".AspNetCore.Identity.Application", id="aspnet"),
        pytest.param(CookiePreset.PHOENIX, "_shop_key", id="phoenix"),
        pytest.param(CookiePreset.DRUPAL, "SSESS0a1b", id="drupal"),
        pytest.param(CookiePreset.WORDPRESS, "wordpress_logged_in_0a1b", id="wordpress"),
        pytest.param(CookiePreset.WORDPRESS, "woocommerce_items_in_cart", id="woocommerce"),
    ],
)
def test_a_framework_keeps_the_cookies_that_it_knows_visitors_by(preset: CookiePreset, cookie: str) -> None:
    """Even where somebody ignores all others."""
    cookies = CookieConfig(ignore=("*",), preset=(preset,))
    ignored = IgnoredCookies(ignored_cookies(cookies), kept=kept_cookies(cookies))
    assert ignored.remaining(f"_ga=1; {cookie}=2; x=3".encode()) == f"{cookie}=2".encode()


@pytest.mark.parametrize("preset", CookiePreset)
def test_every_preset_ignores_analytics_and_nothing_that_it_keeps(preset: CookiePreset) -> None:
    known = COOKIES[preset]
    ignored = IgnoredCookies(known.ignored, kept=known.kept)
    assert ignored.remaining(b"_ga=1; _fbp=2; mine=3") == b"mine=3"
    assert not set(known.ignored) & set(known.kept)


def test_presets_go_together() -> None:
    cookies = CookieConfig(ignore=("a",), preset=(CookiePreset.DJANGO, CookiePreset.WORDPRESS))
    assert ignored_cookies(cookies)[:2] == ("a", "_ga")
    assert len(set(ignored_cookies(cookies))) == len(ignored_cookies(cookies))
    assert {"sessionid", "PHPSESSID"} <= set(kept_cookies(cookies))


def test_fields_without_ignored_cookies() -> None:
    asked = request("/", "COOKIE: a=1; b=2", "X: a=1", "Cookie: a=2; c=3")
    sent = request_fields(asked, storable=True, cookies=IgnoredCookies(["a"]))
    assert sent[:2] == [(b"X", b"a=1"), (b"Cookie", b"b=2; c=3")]
    assert request_fields(asked, cookies=IgnoredCookies(["a"]))[:3] == asked.fields.raw


# The query.


async def test_parameters_of_trackers_make_no_difference(sited: Any) -> None:
    bench = sited({"query": {"preset": "tracking", "sort": True}}, whole(), whole(), whole())
    await bench.get("/q?b=2&utm_source=x&a=1&gclid=y")
    assert (await bench.get("/q?a=1&b=2&fbclid=z")).cache_status.startswith("hit")
    assert (await bench.get("/q?a=1&b=3")).cache_status.startswith("fwd=uri-miss")
    assert b" /q?b=2&utm_source=x&a=1&gclid=y " in bench.origin.asked[0].head


async def test_the_query_of_a_route_stands_in_the_place_of_the_sites(sited: Any) -> None:
    shop = {"hosts": "shop.test", "query": {"keep": ["page"]}, "routes": [{"match": "/exact", "query": {}}]}
    settings = {"query": {"ignore": "x"}, "sites": {"shop": shop}, "routes": [{"match": "/s", "query": {"sort": True}}]}
    bench = sited(settings, *(whole() for _ in range(9)))

    async def is_shared(one: str, other: str, **changes: Any) -> bool:
        await bench.get(one, **changes)
        return bool((await bench.get(other, **changes)).cache_status.startswith("hit"))

    assert await is_shared("/a?x=1", "/a")
    assert not await is_shared("/s?x=1", "/s")
    assert await is_shared("/s?x&y", "/s?y&x")
    assert await is_shared("/a?page=1&z", "/a?y&page=1", host=b"shop.test")
    assert not await is_shared("/exact?a", "/exact?b", host=b"shop.test")


async def test_the_origin_is_asked_with_what_is_left_where_that_is_said(sited: Any) -> None:
    bench = sited({"query": {"preset": "tracking", "upstream": True}}, whole(), whole(), whole(), whole())
    await bench.get("/q?utm_source=x&a=1")
    await bench.ask(request("/p?utm_source=x", method="HEAD"))
    await bench.ask(request("/q?utm_source=x&a=1", method="POST"))
    await bench.get("/plain")
    targets = [ask.head.split(b" ")[1] for ask in bench.origin.asked]
    assert targets == [b"/q?a=1", b"/p", b"/q?utm_source=x&a=1", b"/plain"]


async def test_a_route_that_bypasses_the_cache_forwards_the_query_as_it_came(sited: Any) -> None:
    settings = {"query": {"preset": "tracking", "upstream": True}, **routes({"bypass": True})}
    bench = sited(settings, whole())
    await bench.get("/q?utm_source=x")
    assert b" /q?utm_source=x " in bench.origin.asked[0].head


def test_what_trackers_add_is_never_an_everyday_name() -> None:
    everyday = {"id", "page", "q", "s", "p", "lang", "sort", "order", "ref", "source", "campaign", "token", "code"}
    for names in PARAMETERS.values():
        assert not everyday & set(names)
        assert len(set(names)) == len(names)


async def test_a_page_says_itself_what_of_its_query_counts_where_that_is_believed(sited: Any) -> None:
    said = 'no-vary-search: params=("utm")'
    settings = {"no_vary_search": True, "routes": [{"match": "/sorted", "query": {"sort": True}}]}
    bench = sited(settings, whole(FRESH, said), whole(FRESH, said))
    for one, other in (("/p?utm=1&a=1", "/p?a=1&utm=2"), ("/sorted?utm=1&a=1&b", "/sorted?b&a=1")):
        await bench.get(one)
        assert (await bench.get(other)).cache_status.startswith("hit")
    unsaid = sited({}, whole(FRESH, said), whole(FRESH, said))
    await unsaid.get("/p?utm=1")
    assert (await unsaid.get("/p?utm=2")).cache_status.startswith("fwd=uri-miss")


# Accept-*.


@pytest.mark.rfc(9110, "12.5.3")
async def test_browsers_share_a_page_for_each_coding_that_the_application_produces(sited: Any) -> None:
    coded = (FRESH, "vary: accept-encoding", "content-encoding: br")
    plain = (FRESH, "vary: accept-encoding")
    bench = sited({"normalize": {"accept-encoding": ["br", "gzip"]}}, whole(*coded, body=b"br"), whole(*plain))
    for value in ("gzip, deflate, br, zstd", "gzip, deflate, br", "BR;q=1.0, gzip;q=0.8, *;q=0.1"):
        assert (await bench.get("/page", f"accept-encoding: {value}")).content == b"br"
    assert (await bench.get("/page", "accept-encoding: deflate")).content == b"0123456789"
    assert bench.times_asked == 2


@pytest.mark.rfc(9110, "12.5.3")
async def test_nobody_gets_a_coding_that_he_does_not_take(sited: Any) -> None:
    """The application prefers another coding than was declared."""
    coded = (FRESH, "vary: accept-encoding", "content-encoding: gzip")
    bench = sited({"normalize": {"accept-encoding": ["br", "gzip"]}}, whole(*coded, body=b"gz"), whole(FRESH))
    await bench.get("/page", "accept-encoding: gzip, br")
    assert (await bench.get("/page", "accept-encoding: br")).content == b"0123456789"


@pytest.mark.rfc(9110, "12.5.4")
async def test_a_page_in_a_language_is_for_whoever_wants_it_most(sited: Any) -> None:
    german = (FRESH, "vary: accept-language", "content-language: de")
    bench = sited({"normalize": {"content_language": True}}, whole(*german, body=b"Hallo"), whole(FRESH, body=b"?"))
    assert (await bench.get("/page", "accept-language: en, de")).content == b"Hallo"
    for value in ("en, de", "fr;q=0.5, de;q=1.0", "DE", "de, en;q=0.9"):
        assert (await bench.get("/page", f"accept-language: {value}")).cache_status.startswith("hit"), value
    assert (await bench.get("/page", "accept-language: en, de;q=0.9")).content == b"?"


async def test_a_route_has_languages_of_its_own(sited: Any) -> None:
    rule = {"match": "/l", "normalize": {"accept-language": ["en", "de"]}}
    bench = sited(routes(rule), *(whole(FRESH, "vary: accept-language") for _ in range(3)))
    await bench.get("/l", "accept-language: de-AT, de;q=0.9")
    assert (await bench.get("/l", "accept-language: de, en;q=0.3")).cache_status.startswith("hit")
    await bench.get("/page", "accept-language: de-AT, de;q=0.9")
    assert (await bench.get("/page", "accept-language: de, en;q=0.3")).cache_status.startswith("fwd=vary-miss")


@pytest.mark.rfc(9111, "4.1")
async def test_fields_that_are_lists_are_compared_as_lists(sited: Any) -> None:
    bench = sited({"normalize": {"fields": ["Foo"]}}, *(whole(FRESH, "vary: foo, bar") for _ in range(2)))
    await bench.get("/page", "foo: 1,2")
    assert (await bench.get("/page", "foo: 1", "Foo:  2")).cache_status.startswith("hit")
    assert (await bench.get("/page", "foo: 1,2", "bar: 1")).cache_status.startswith("fwd=vary-miss")
