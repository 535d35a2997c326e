"""Are the fields that a page can depend on in its key, and does a write reach all the keys that its URL then has?"""

from __future__ import annotations

from typing import Any

import pytest

from proxy.policy.field_rules import KNOWN
from proxy.policy.known_fields import FRAGMENTS
from tests.exchange.making import Bench, Clock, Gate, request, settled, whole
from tests.exchange.remotes import Counting, remote

FRESH = "cache-control: max-age=60"
PLAIN = "host: site.test"

FRAGMENT = [
    pytest.param("X-Requested-With: XMLHttpRequest", id="jquery-rails-laravel-django-is-ajax"),
    pytest.param("HX-Request: true", id="htmx-4.0"),
    pytest.param("HX-Target: div#list", id="htmx-4.0-target"),
    pytest.param("HX-Request-Type: partial", id="htmx-4.0-type"),
    pytest.param("X-PJAX: true", id="jquery-pjax-yii-2"),
    pytest.param("X-PJAX-Container: #main", id="jquery-pjax-container"),
    pytest.param("Turbo-Frame: cart", id="turbo-8.0-turbo-rails"),
    pytest.param("X-Inertia: true", id="inertia-3.7"),
    pytest.param("X-Inertia-Partial-Data: users", id="inertia-3.7-partial"),
    pytest.param("X-Up-Target: .content", id="unpoly-3.14"),
    pytest.param("RSC: 1", id="next-15.5-app-router"),
    pytest.param("Next-Router-State-Tree: %5B%5D", id="next-15.5-state"),
    pytest.param("Next-Router-Prefetch: 1", id="next-15.5-prefetch"),
    pytest.param("X-Nextjs-Data: 1", id="next-15.5-pages-router"),
    pytest.param("X-Livewire: 1", id="livewire-3"),
    pytest.param("X-Splade: true", id="laravel-splade"),
    pytest.param("X-OCTOBER-REQUEST-HANDLER: onLoad", id="october-cms"),
    pytest.param("Blazor-Enhanced-Nav: on", id="aspnet-core-8-blazor"),
    pytest.param("Faces-Request: partial/ajax", id="jsf-2"),
    pytest.param("Wicket-Ajax: true", id="wicket-10"),
    pytest.param("Datastar-Request: true", id="datastar-1"),
]


@pytest.fixture(params=["memory", "storage"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench() if request.param == "memory" else Bench(storage=remote(Counting(Clock())))


async def is_hit(bench: Bench, target: str, *lines: str, **changes: Any) -> bool:
    bench.give(whole(FRESH, body=b"new"))
    before = bench.times_asked
    await bench.get(target, *lines, **changes)
    if bench.times_asked == before:
        bench.origin.answers.pop()
    return bench.times_asked == before


def test_a_browser_that_navigates_sends_none_of_them() -> None:
    assert KNOWN.counted == FRAGMENTS
    assert KNOWN.counted.isdisjoint(KNOWN.common)


@pytest.mark.parametrize("line", FRAGMENT)
async def test_a_part_of_a_page_is_no_page(bench: Bench, line: str) -> None:
    bench.give(whole(FRESH, body=b"part"), whole(FRESH, body=b"page"), whole(FRESH, body=b"other"))
    assert (await bench.get("/x", line)).content == b"part"
    assert line.encode() in bench.origin.asked[0].head
    assert (await bench.get("/x")).content == b"page"
    assert (await bench.get("/x", line)).content == b"part"
    assert (await bench.get("/x", f"{line}-other")).content == b"other"
    assert bench.times_asked == 3


@pytest.mark.parametrize("line", FRAGMENT)
async def test_a_part_is_waited_for_by_those_who_want_it(bench: Bench, line: str) -> None:
    page, part = Gate(), Gate()
    bench.give(page, part)
    clients = await bench.crowd([request("/x"), request("/x", line), request("/x"), request("/x", line)])
    page.open(whole(FRESH, body=b"page"))
    part.open(whole(FRESH, body=b"part"))
    await settled()
    assert [client.content for client in clients] == [b"page", b"part"] * 2
    assert bench.times_asked == 2


@pytest.mark.parametrize("line", FRAGMENT)
@pytest.mark.parametrize("by", ["plain", "part"])
@pytest.mark.rfc(9111, "4.4")
async def test_a_write_makes_the_page_and_its_parts_invalid(bench: Bench, line: str, by: str) -> None:
    for target, lines in (("/x", [line]), ("/x", []), ("/x?q=1", [line]), ("/y", [line])):
        assert not await is_hit(bench, target, *lines)
    assert await is_hit(bench, "/x", line)
    bench.clock.turn(1)
    bench.give(whole(status=204))
    await bench.ask(request("/x", *([line] if by == "part" else []), method="POST"))
    bench.clock.turn(1)
    assert not await is_hit(bench, "/x", line)
    assert not await is_hit(bench, "/x")
    assert await is_hit(bench, "/y", line)
    # What was stored after it stays.
    assert await is_hit(bench, "/x", line)


@pytest.mark.rfc(9111, "4.4")
async def test_a_part_on_its_way_during_a_write_is_not_stored_nor_waited_for(bench: Bench) -> None:
    gate = Gate()
    bench.give(gate, whole(status=204), whole(FRESH, body=b"new"))
    early = bench.start(request("/x", "hx-request: true"))
    await settled()
    bench.clock.turn(1)
    await bench.ask(request("/x", method="POST"))
    bench.clock.turn(1)
    late = bench.start(request("/x", "hx-request: true"))
    await settled()
    gate.open(whole(FRESH, body=b"old"))
    await settled()
    assert (early.content, late.content) == (b"old", b"new")
    assert (await bench.get("/x", "hx-request: true")).content == b"new"


# What a trusted proxy says.


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("CF-IPCountry: DE", "CF-IPCountry: FR", False, id="country-cloudflare"),
        pytest.param("CloudFront-Viewer-Country: DE", "CloudFront-Viewer-Country: FR", False, id="country-cloudfront"),
        pytest.param("X-AppEngine-City: a", "X-AppEngine-City: b", False, id="city-app-engine"),
        pytest.param("CloudFront-Is-Mobile-Viewer: true", "CloudFront-Is-Mobile-Viewer: false", False, id="device"),
        pytest.param('CF-Visitor: {"scheme":"http"}', 'CF-Visitor: {"scheme":"https"}', False, id="scheme-cloudflare"),
        pytest.param("X-Original-URI: /a", "X-Original-URI: /b", False, id="url"),
        pytest.param("Surrogate-Capability: a=ESI/1.0", "X-A: 1", False, id="esi"),
        pytest.param("Client-IP: 1", "Client-IP: 2", True, id="address-php"),
        pytest.param("CF-Connecting-IP: 1", "CF-Connecting-IP: 2", True, id="address-cloudflare"),
        pytest.param("CloudFront-Viewer-Address: 1", "CloudFront-Viewer-Address: 2", True, id="address-cloudfront"),
        pytest.param("X-Forwarded-For: 1", "X-Forwarded-For: 2", True, id="address"),
        pytest.param("Forwarded: for=1;host=a", "Forwarded: for=2; host=a", True, id="forwarded-address"),
        pytest.param("Forwarded: for=1;host=a", "Forwarded: for=1;host=b", False, id="forwarded-host"),
        pytest.param("Forwarded: for=1;host = a", "Forwarded: for=1;host = b", False, id="forwarded-white-space"),
        pytest.param('Forwarded: for=1;Host="a"', 'Forwarded: for=1;Host="b"', False, id="forwarded-quoted"),
        pytest.param("Forwarded: for=1, host=a", "Forwarded: for=1, host=b", False, id="forwarded-second"),
        pytest.param('Forwarded: for="x;host=a"', 'Forwarded: for="x;host=b"', False, id="forwarded-in-quotes-spring"),
        pytest.param('Forwarded: for="x,host=a"', 'Forwarded: for="x,host=b"', False, id="forwarded-comma-in-quotes"),
        pytest.param("Forwarded: host", "Forwarded: host=", False, id="forwarded-no-pair"),
        pytest.param("Forwarded: for=1;x=a", "Forwarded: for=1;x=b", False, id="forwarded-extension"),
    ],
)
@pytest.mark.rfc(7239, "4")
async def test_what_a_trusted_proxy_says_counts_unless_it_differs_with_each_client(
    bench: Bench, one: str, other: str, same: bool
) -> None:
    assert not await is_hit(bench, "/x", one, trusted=True)
    assert one.encode() in bench.origin.asked[0].head
    assert await is_hit(bench, "/x", one, trusted=True)
    assert await is_hit(bench, "/x", other, trusted=True) is same


async def test_a_write_from_one_country_reaches_the_pages_of_all(bench: Bench) -> None:
    for country in ("DE", "FR"):
        assert not await is_hit(bench, "/x", f"CF-IPCountry: {country}", trusted=True)
    bench.clock.turn(1)
    bench.give(whole(status=204))
    await bench.ask(request("/x", "CF-IPCountry: DE", method="POST", trusted=True))
    bench.clock.turn(1)
    for country in ("DE", "FR"):
        assert not await is_hit(bench, "/x", f"CF-IPCountry: {country}", trusted=True)


@pytest.mark.rfc(9111, "4.1")
async def test_vary_by_what_the_application_does_not_get_means_nothing(bench: Bench) -> None:
    bench.give(whole(FRESH, "vary: cf-ipcountry, x_lang"), whole(FRESH))
    await bench.get("/x", "CF-IPCountry: DE", "X_Lang: de")
    assert (await bench.get("/x", "CF-IPCountry: FR")).cache_status.startswith("hit")


# A proxy that takes TLS off and is not trusted.


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        pytest.param("192.0.2.9", "192.0.2.9 says https in x-forwarded-proto", id="address"),
        pytest.param("", "a peer on a Unix socket says https in x-forwarded-proto", id="unix"),
    ],
)
async def test_a_redirect_loop_is_named_once_and_not_stored(peer: str, words: str, caplog: Any) -> None:
    bench = Bench()
    loop = (FRESH, "location: https://site.test/x")
    for _ in range(3):
        bench.give(whole(*loop, status=301))
        client = await bench.get("/x", "X-Forwarded-Proto: https", peer=peer)
        assert client.cache_status == "fwd=uri-miss; fwd-status=301; detail=untrusted-proxy"
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(words)
    assert f"trusted_proxies: [{peer or 'unix'}]" in line
    bench.give(whole(*loop, status=301))
    assert "; stored" in (await bench.get("/x")).cache_status
