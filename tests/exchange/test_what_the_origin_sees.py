"""Does the origin see what the key has, on every path, and does a write or a bypassed request keep all it said?

An origin that writes all it sees into its pages is asked by one client, and then by another: no byte of the first may
reach the second. Each row names the server or framework that reads the field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.message.framing import CHUNKED
from tests.exchange.making import Bench, Client, Gate, coming, request, settled, whole
from tests.exchange.test_routes import Routed

FRESH = "cache-control: max-age=60"
TAG = 'etag: "a"'
SWR = "cache-control: max-age=60, stale-while-revalidate=600"
PLAIN = "host: site.test"
EVIL = "evil-7"

Path_ = Callable[[Bench, list[str]], Awaitable[Any]]


async def live(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH))
    await bench.get("/page", *lines)


async def head(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH))
    await bench.ask(request("/page", *lines, method="HEAD"))


async def partial(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH, TAG, "content-range: bytes 0-9/99", status=206))
    await bench.get("/page", *lines, "range: bytes=0-9")


async def conditional(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH, TAG))
    await bench.get("/page", *lines, 'if-none-match: "b"')


async def collapsed(bench: Bench, lines: list[str]) -> None:
    gate = Gate()
    bench.give(gate)
    clients = await bench.crowd([request("/page", *lines), request("/page", *lines)])
    gate.open(whole(FRESH))
    await settled()
    assert [client.is_whole for client in clients] == [True, True]
    assert bench.times_asked == 1


async def validation(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH, TAG))
    await bench.get("/page", PLAIN)
    bench.clock.turn(61)
    bench.give(whole(FRESH, TAG, status=304))
    await bench.get("/page", *lines)
    assert bench.origin.fields().get(b"if-none-match") == b'"a"'


async def refresh(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(SWR))
    await bench.get("/page", PLAIN)
    bench.clock.turn(61)
    bench.give(whole(SWR))
    client = await bench.get("/page", *lines)
    assert client.detail == "stale-while-revalidate"
    assert bench.times_asked == 2


STORABLE: list[Path_] = [live, head, partial, conditional, collapsed, validation, refresh]


async def post(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(status=204))
    await bench.ask(request("/page", *lines, method="POST"))


async def by_route(bench: Bench, lines: list[str]) -> None:
    bench.give(whole())
    await bench.get("/bypassed", *lines)


async def forbidden(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH))
    await bench.get("/page", *lines, "cache-control: no-store")


async def with_a_precondition(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH))
    await bench.get("/page", *lines, 'if-match: "a"')


async def with_a_body(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(FRESH))
    await bench.ask(request("/page", *lines, framing=CHUNKED), Client(coming().body))


NOT_STORABLE: list[Path_] = [post, by_route, forbidden, with_a_precondition, with_a_body]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Routed(tmp_path, {"routes": [{"match": "/bypassed", "bypass": True}]})


def names(paths: list[Path_]) -> list[str]:
    return [path.__name__ for path in paths]


def seen(bench: Bench, number: int = -1) -> bytes:
    return bench.origin.asked[number].head


WITHHELD = [
    # The field, and who reads it.
    pytest.param(f"X_Custom_Lang: {EVIL}", id="underscore-cgi-wsgiref-uwsgi"),
    pytest.param(f"X.Custom.Lang: {EVIL}", id="dot-lighttpd-fastcgi"),
    pytest.param(f"HX_Request: {EVIL}", id="fragment-with-underscores-php"),
    pytest.param(f"SCRIPT_NAME: /{EVIL}", id="script-name-gunicorn-27-forwarder-headers"),
    pytest.param(f"PATH_INFO: /{EVIL}", id="path-info-gunicorn-27-forwarder-headers"),
    pytest.param(f"Surrogate-Capability: {EVIL}=ESI/1.0", id="surrogate-capability-symfony-7-esi"),
    pytest.param(f"X-Sendfile-Type: {EVIL}", id="x-sendfile-type-rack-3-cve-2025-61780"),
    pytest.param(f"X-Accel-Mapping: {EVIL}", id="x-accel-mapping-rack-3-cve-2025-61780"),
    pytest.param(f"X-Original-URI: /{EVIL}", id="x-original-uri-ingress-nginx"),
    pytest.param(f"X-Script-Name: /{EVIL}", id="x-script-name-flask-recipe"),
    pytest.param(f"Path-Info: /{EVIL}", id="path-info"),
    pytest.param(f"X-Middleware-Subrequest: {EVIL}", id="x-middleware-subrequest-next-cve-2025-29927"),
    pytest.param(f"X-Now-Route-Matches: {EVIL}", id="x-now-route-matches-next-15.5-internal-headers"),
    pytest.param(f"X-Matched-Path: /{EVIL}", id="x-matched-path-next-15.5-internal-headers"),
    pytest.param(f"X-Invoke-Status: {EVIL}", id="x-invoke-status-next-13"),
    pytest.param(f"X-React-Router-SPA-Mode: {EVIL}", id="x-react-router-spa-mode-cve-2025-43864"),
    pytest.param(f"X-React-Router-Prerender-Data: {EVIL}", id="x-react-router-prerender-data-cve-2025-43865"),
    pytest.param(f'CF-Visitor: {{"scheme":"{EVIL}"}}', id="cf-visitor-wordpress-cloudflare"),
    pytest.param(f"CloudFront-Forwarded-Proto: {EVIL}", id="cloudfront-forwarded-proto-wordpress"),
    pytest.param(f"X-ARR-SSL: {EVIL}", id="x-arr-ssl-iis-arr"),
    pytest.param(f"X-AppEngine-Https: {EVIL}", id="x-appengine-https"),
    pytest.param(f"X-HTTP-Host-Override: {EVIL}", id="x-http-host-override"),
    pytest.param(f"CF-IPCountry: {EVIL}", id="cf-ipcountry-woocommerce"),
    pytest.param(f"CloudFront-Viewer-Country: {EVIL}", id="cloudfront-viewer-country"),
    pytest.param(f"CloudFront-Is-Mobile-Viewer: {EVIL}", id="cloudfront-is-mobile-viewer-wordpress-wp-is-mobile"),
    pytest.param(f"X-Country-Code: {EVIL}", id="x-country-code-woocommerce"),
    pytest.param(f"GeoIP-Country-Code: {EVIL}", id="geoip-country-code-woocommerce"),
    pytest.param(f"X-Vercel-IP-Country: {EVIL}", id="x-vercel-ip-country"),
    pytest.param(f"X-UA-Device: {EVIL}", id="x-ua-device-varnish-devicedetect"),
    pytest.param(f"X-Device-User-Agent: {EVIL}", id="x-device-user-agent-mobile-detect"),
    pytest.param(f"Client-IP: {EVIL}", id="client-ip-php-recipes"),
    pytest.param(f"CF-Connecting-IP: {EVIL}", id="cf-connecting-ip-request-ip-3.3"),
    pytest.param(f"Fastly-Client-IP: {EVIL}", id="fastly-client-ip-request-ip-3.3"),
    pytest.param(f"X-AppEngine-User-IP: {EVIL}", id="x-appengine-user-ip-request-ip-3.3"),
    pytest.param(f"Forwarded-For: {EVIL}", id="forwarded-for-request-ip-3.3"),
    pytest.param(f"X-Forwarded: {EVIL}", id="x-forwarded-request-ip-3.3"),
    pytest.param(f"X-Original-Forwarded-For: {EVIL}", id="x-original-forwarded-for"),
    pytest.param(f"X-Turbo-Request-Id: {EVIL}", id="x-turbo-request-id-turbo-8.0"),
    pytest.param(f"Cookie: _ga={EVIL}", id="ignored-cookie"),
    pytest.param(f"Cookie: __utma={EVIL}; _fbp={EVIL}", id="ignored-cookies"),
]
#: What only a trusted proxy may say: never passed on, as before.
OF_PROXIES = [
    pytest.param(f"Proxy: http://{EVIL}", id="proxy-cgi-cve-2016-5385"),
    pytest.param(f"X-Forwarded-Host: {EVIL}", id="x-forwarded-host-rails"),
    pytest.param(f"X_Forwarded_Host: {EVIL}", id="x_forwarded_host-wsgi"),
    pytest.param(f"Forwarded: host={EVIL}", id="forwarded-symfony"),
    pytest.param(f"X-Forwarded-Prefix: /{EVIL}", id="x-forwarded-prefix-werkzeug-3.1"),
    pytest.param(f"X-Original-URL: /{EVIL}", id="x-original-url-symfony-iis"),
    pytest.param(f"X-Rewrite-URL: /{EVIL}", id="x-rewrite-url-zend-iis"),
    pytest.param(f"X-Client-IP: {EVIL}", id="x-client-ip-request-ip-3.3"),
    pytest.param(f"Accept_Language: {EVIL}", id="accept_language-wsgi"),
]


@pytest.mark.parametrize("line", [*WITHHELD, *OF_PROXIES])
@pytest.mark.parametrize("path", STORABLE, ids=names(STORABLE))
async def test_a_storable_request_says_nothing_that_is_not_in_its_key(bench: Bench, path: Path_, line: str) -> None:
    await path(bench, [PLAIN, line])
    assert EVIL.encode() not in seen(bench)
    before = bench.times_asked
    bench.give(whole(FRESH))
    await bench.get("/page", PLAIN)
    assert all(EVIL.encode() not in ask.head for ask in bench.origin.asked[before - 1 :])


@pytest.mark.parametrize("line", WITHHELD)
@pytest.mark.parametrize("path", NOT_STORABLE, ids=names(NOT_STORABLE))
async def test_a_request_that_is_not_storable_keeps_all_that_it_said(bench: Bench, path: Path_, line: str) -> None:
    await path(bench, [PLAIN, line])
    assert line.encode() in seen(bench)


@pytest.mark.parametrize("line", OF_PROXIES)
@pytest.mark.parametrize("path", NOT_STORABLE, ids=names(NOT_STORABLE))
async def test_nobody_says_what_only_proxies_may(bench: Bench, path: Path_, line: str) -> None:
    await path(bench, [PLAIN, line])
    assert EVIL.encode() not in seen(bench)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("path", [*STORABLE, *NOT_STORABLE], ids=names([*STORABLE, *NOT_STORABLE]))
async def test_proxy_is_never_passed_on(tmp_path: Path, path: Path_, trusted: bool, monkeypatch: Any) -> None:
    bench = Routed(tmp_path, {"routes": [{"match": "/bypassed", "bypass": True}], "cookies": {"withhold": False}})
    asked = bench.start
    monkeypatch.setattr(bench, "start", lambda one, client=None: asked(_trusted(one, trusted), client))
    await path(bench, [PLAIN, "pRoXy: http://evil-7"])
    assert b"evil-7" not in seen(bench)


def _trusted(asked: Any, trusted: bool) -> Any:
    asked.trusted = trusted
    return asked


# Host (RFC 9110 §4.2.3, §7.2; RFC 3986 §3.2.2, §6.2.3).


HOSTS = ["Site.TEST", "site.test:80", "site.test:", "site.test.", "SITE.test.:80", "site.test:080"]


@pytest.mark.parametrize("spelled", HOSTS)
@pytest.mark.parametrize("path", STORABLE, ids=names(STORABLE))
@pytest.mark.rfc(9110, "4.2.3")
async def test_a_storable_request_names_its_host_as_the_key_does(bench: Bench, path: Path_, spelled: str) -> None:
    await path(bench, [f"Host: {spelled}"])
    fields = bench.origin.fields()
    assert fields.lines(b"host") == [b"site.test"]
    assert fields.get(b"x-forwarded-host") == b"site.test"
    assert b'host="site.test"' in (fields.get(b"forwarded") or b"")


@pytest.mark.parametrize("path", NOT_STORABLE, ids=names(NOT_STORABLE))
async def test_another_request_names_it_as_the_client_does(bench: Bench, path: Path_) -> None:
    await path(bench, ["Host: Site.TEST:80"])
    assert bench.origin.fields().get(b"host") == b"Site.TEST:80"


# Several lines of one field (RFC 9110 §5.3).


@pytest.mark.rfc(9110, "5.3")
@pytest.mark.parametrize("path", STORABLE, ids=names(STORABLE))
async def test_several_lines_are_one_as_in_the_key(bench: Bench, path: Path_) -> None:
    await path(bench, [PLAIN, "X-Lang: de", "Accept: a", "x-lang: fr"])
    assert bench.origin.fields().lines(b"x-lang") == [b"de, fr"]
    assert bench.origin.fields().lines(b"accept") == [b"a"]


@pytest.mark.parametrize("path", NOT_STORABLE, ids=names(NOT_STORABLE))
async def test_several_lines_of_another_request_stay_as_they_are(bench: Bench, path: Path_) -> None:
    await path(bench, [PLAIN, "X-Lang: de", "Accept: a", "x-lang: fr"])
    assert bench.origin.fields().lines(b"x-lang") == [b"de", b"fr"]


# The target (RFC 3986 §6.2.2).


@pytest.mark.rfc(3986, "6.2.2")
async def test_the_target_is_asked_for_as_it_is_keyed(bench: Bench) -> None:
    bench.give(whole(FRESH), whole(FRESH, status=204), whole())
    await bench.get("/%61%7e?q=%c3", PLAIN)
    assert seen(bench).startswith(b"GET /a~?q=%C3 HTTP/1.1\r\n")
    assert (await bench.get("/a~?q=%C3", PLAIN)).cache_status.startswith("hit")
    await bench.ask(request("/%61%7e", PLAIN, method="POST"))
    assert seen(bench).startswith(b"POST /%61%7e HTTP/1.1\r\n")
    await bench.get("/%62ypassed", PLAIN)
    assert seen(bench).startswith(b"GET /%62ypassed HTTP/1.1\r\n")


# A POST whose answer is stored for its target (RFC 9110 §9.3.3).


@pytest.mark.parametrize(
    ("target", "lines", "is_stored"),
    [
        pytest.param("/page", [PLAIN], True, id="plain"),
        pytest.param("/page", [PLAIN, "X-Other: a"], True, id="what-is-passed-on-of-every-request"),
        pytest.param("/page", ["Host: SITE.test"], False, id="host"),
        pytest.param("/page", [PLAIN, "Cookie: _ga=1"], False, id="ignored-cookie"),
        pytest.param("/page", [PLAIN, "X_Lang: de"], False, id="underscore"),
        pytest.param("/page", [PLAIN, "CF-IPCountry: DE"], False, id="country"),
        pytest.param("/%70age", [PLAIN], False, id="escapes"),
    ],
)
@pytest.mark.rfc(9110, "9.3.3")
async def test_an_answer_to_post_takes_the_place_of_a_page_that_a_get_would_bring(
    tmp_path: Path, target: str, lines: list[str], is_stored: bool
) -> None:
    bench = Routed(tmp_path, {"store_post": True})
    bench.give(whole(FRESH, f"content-location: {target}", body=b"posted"), whole(FRESH, body=b"got"))
    await bench.ask(request(target, *lines, method="POST"))
    assert ((await bench.get("/page", PLAIN)).content == b"posted") is is_stored


# Settings.


@pytest.mark.parametrize(
    ("settings", "line", "other", "passes", "shares"),
    [
        pytest.param({"underscores": True}, "X_Lang: de", "X_Lang: fr", True, True, id="underscores"),
        pytest.param({"forward": ["CF-IPCountry"]}, "CF-IPCountry: DE", "CF-IPCountry: FR", True, True, id="forward"),
        pytest.param({"forward": ["HX-*"]}, "HX-Request: true", "HX-Request: false", True, True, id="fragments"),
        pytest.param({"withhold": ["X-Debug-*"]}, "X-Debug-Sql: 1", "X-Other: 1", False, True, id="withhold"),
        pytest.param({"key": ["x-tenant"]}, "X-Tenant: a", "X-Tenant: b", True, False, id="key"),
        pytest.param({"key": ["CF-IPCountry"]}, "CF-IPCountry: DE", "CF-IPCountry: FR", True, False, id="key-of-edge"),
        pytest.param(
            {"withhold": ["*-Country"], "forward": ["X-*"]}, "X-Geo-Country: DE", "X-A: 1", False, True, id="first"
        ),
        pytest.param({"forward": ["X-Forwarded-Host"]}, "X-Forwarded-Host: a", "X-A: 1", False, True, id="of-proxies"),
    ],
)
async def test_the_operator_says_otherwise(
    tmp_path: Path, settings: dict[str, Any], line: str, other: str, passes: bool, shares: bool
) -> None:
    bench = Routed(tmp_path, {"request_fields": settings})
    bench.give(whole(FRESH), whole(FRESH))
    await bench.get("/page", PLAIN, line)
    assert (f"{line}\r\n".encode() in seen(bench)) is passes
    assert (await bench.get("/page", PLAIN, other)).cache_status.startswith("hit") is shares


async def test_ignored_cookies_reach_an_application_that_wants_them(tmp_path: Path) -> None:
    bench = Routed(tmp_path, {"cookies": {"withhold": False}})
    bench.give(whole(FRESH))
    await bench.get("/page", PLAIN, "Cookie: _ga=1; theme=dark")
    assert b"Cookie: _ga=1; theme=dark\r\n" in seen(bench)
