"""Does what an explanation advises make a page a hit, for each case that real applications were seen in?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proxy.ops.explain import explain
from tests.exchange.making import EARLIER, request, whole
from tests.exchange.test_routes import Routed

TAG, HTML, CSS = 'etag: "a"', "content-type: text/html", "content-type: text/css"
PUBLIC = {"routes": [{"match": "/static/*", "cache_control": {"public": True, "max_age": "1d"}}]}


@dataclass(frozen=True)
class Row:
    """A page, who asks for it, why it is no hit, and the settings or the fields by which it is one."""

    target: str
    lines: Sequence[str]
    """Of the application's response."""
    visitors: Sequence[Sequence[str]]
    """Fields of requests, one visitor after the other; the last is explained."""
    reason: str
    named: str
    """The setting that the explanation names, or what of the application it does."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    instead: Sequence[str] | None = None
    """Fields of the response by which the application follows the advice."""
    status: int = 200
    before: Mapping[str, Any] = field(default_factory=dict)
    """Settings that there are already."""


SESSION = ["cookie: roundcube_sessid=1"]
ANOTHER = ["cookie: roundcube_sessid=2"]

ROWS = {
    # Roundcube 1.6.5, WordPress 6.1.9, MediaWiki 1.39.17, phpMyAdmin 5.2.1: ETag and Last-Modified, no Cache-Control.
    "file-behind-a-session": Row(
        "/static/a.css", [TAG, CSS], [[], SESSION], "cookie", "routes[].cache_control", PUBLIC
    ),
    "file-behind-a-session-with-the-lifetime-of-files": Row(
        "/static/a.css",
        [TAG, CSS],
        [[], SESSION],
        "cookie",
        "routes[].cache_control",
        {"routes": [{"match": "/static/*", "cache_control": {"public": True}}]},
    ),
    "script-behind-a-session": Row(
        "/static/a.js", [TAG, "content-type: application/javascript"], [SESSION, ANOTHER], "cookie",
        "routes[].cache_control", PUBLIC,
    ),
    "image-behind-a-session": Row(
        "/static/a", [f"last-modified: {EARLIER}", "content-type: image/png"], [SESSION, ANOTHER], "cookie",
        "routes[].cache_control", PUBLIC,
    ),
    "font-behind-a-session": Row(
        "/static/a.woff2", [TAG, "content-type: font/woff2"], [SESSION, ANOTHER], "cookie", "routes[].cache_control",
        PUBLIC,
    ),
    "file-of-an-application-that-says-public": Row(
        "/static/a.css", [TAG, CSS], [SESSION, ANOTHER], "cookie", "Cache-Control: public",
        instead=[TAG, CSS, "cache-control: public, max-age=60"],
    ),
    # DokuWiki 2022-07-31a: css.php and js.php say Vary: Cookie, and every browser has a cookie of it.
    "file-that-varies-by-cookie": Row(
        "/lib/exe/css.php", [TAG, CSS, "cache-control: public, max-age=99", "vary: cookie"],
        [["cookie: DokuWiki=1"], ["cookie: DokuWiki=2"]], "vary-miss", "routes[].cookies.ignore",
        {"routes": [{"match": "/lib/exe/*", "cookies": {"ignore": ["*"]}}]},
    ),
    # WordPress 6.1.9: consent cookies and wordpress_test_cookie.
    "page-with-a-consent-cookie": Row(
        "/", [TAG, HTML], [[], ["cookie: consent=1"]], "cookie", "cookies.ignore", {"cookies": {"ignore": ["consent"]}}
    ),
    "page-with-a-cookie-of-the-framework": Row(
        "/", [TAG, HTML], [[], ["cookie: wordpress_test_cookie=1"]], "cookie", "cookies.preset",
        {"cookies": {"preset": ["wordpress"]}},
    ),
    "page-with-any-cookie-but-those-of-logins": Row(
        "/", [TAG, HTML], [[], ["cookie: whatever=1"]], "cookie", "cookies.ignore",
        {"cookies": {"preset": ["wordpress"], "ignore": ["*"]}},
    ),
    "page-that-differs-by-one-cookie": Row(
        "/", [TAG, HTML], [["cookie: theme=dark; a=1"], ["cookie: theme=dark; a=1"]], "cookie", "routes[].vary_on",
        {"routes": [{"vary_on": ["cookie:theme"], "cookies": {"ignore": ["a"]}}]},
    ),
    "page-that-says-how-long": Row(
        "/", [HTML], [SESSION, ANOTHER], "cookie", "max-age", instead=[HTML, "cache-control: max-age=60"]
    ),
    "page-that-says-vary-cookie": Row(
        "/", [HTML], [SESSION, SESSION], "cookie", "Vary: Cookie", instead=[HTML, "vary: cookie"]
    ),
    "page-with-credentials": Row(
        "/", [HTML], [["authorization: x"], ["authorization: y"]], "authorization", "Cache-Control: public",
        instead=[HTML, "cache-control: public, max-age=60"],
    ),
    # WordPress and Django: redirects without a lifetime.
    "redirect": Row(
        "/", [], [[], []], "no-freshness", "routes[].status_ttl", {"routes": [{"status_ttl": {301: "10m"}}]}, status=301
    ),
    "not-found": Row(
        "/", [], [[], []], "no-freshness", "routes[].status_ttl", {"routes": [{"status_ttl": {404: "10m"}}]}, status=404
    ),
    # MediaWiki 1.39.17 without $wgUseCdn.
    "private": Row(
        "/", [HTML, "cache-control: private, must-revalidate, max-age=0", TAG], [[], []], "private",
        "routes[].cache_control", {"routes": [{"cache_control": {"public": True, "s_maxage": "1m"}}]},
    ),
    "private-until-cdn-is-set": Row(
        "/", [HTML, "cache-control: private, must-revalidate, max-age=0"], [[], []], "private", "$wgUseCdn",
        instead=[HTML, "cache-control: s-maxage=18000, must-revalidate, max-age=0"],
    ),
    # Plone 6.2.2 without plone.app.caching, and with moderate caching.
    "stale-as-it-comes": Row(
        "/", [HTML, "expires: Sat, 01 Jan 2000 00:00:00 GMT"], [[], []], "not-reusable", "routes[].cache_page",
        {"routes": [{"cache_page": "1m"}]},
    ),
    "stale-until-moderate-caching": Row(
        "/", [HTML, "expires: Sat, 01 Jan 2000 00:00:00 GMT"], [[], []], "not-reusable", "moderate caching",
        instead=[HTML, "cache-control: max-age=0, s-maxage=86400, must-revalidate"],
    ),
    # django CMS 5.1.3: a cookie with the language for everybody who has none.
    "sets-a-cookie": Row(
        "/", [HTML, "set-cookie: django_language=en"], [[], []], "set-cookie", "routes[].remove_set_cookie",
        {"routes": [{"remove_set_cookie": ["django_language"]}]},
    ),
    "sets-a-cookie-for-all": Row(
        "/", [HTML, "set-cookie: theme=1", "cache-control: max-age=60"], [[], []], "set-cookie", "routes[].set_cookie",
        {"routes": [{"set_cookie": "explicit"}]},
    ),
    "sets-a-token": Row(
        "/", [HTML, "set-cookie: csrftoken=1"], [[], []], "set-cookie", "routes[].remove_set_cookie",
        {"routes": [{"remove_set_cookie": ["csrftoken"]}]},
    ),
    "languages": Row(
        "/", [HTML, "vary: accept-language"], [["accept-language: de-DE,de"], ["accept-language: de"]], "vary-miss",
        "normalize.accept_language", {"normalize": {"accept_language": ["en", "de"]}},
    ),
    "codings": Row(
        "/", [HTML, "vary: accept-encoding"], [["accept-encoding: gzip, deflate"], ["accept-encoding: gzip"]],
        "vary-miss", "normalize.accept_encoding", {"normalize": {"accept_encoding": ["gzip"]}},
    ),
    "cookies-that-a-page-varies-by": Row(
        "/", [HTML, "vary: cookie"], [["cookie: consent=1"], ["cookie: consent=2"]], "vary-miss", "cookies.ignore",
        {"cookies": {"ignore": ["consent"]}},
    ),
    "reload": Row(
        "/", [HTML], [[], ["cache-control: no-cache"]], "request-no-cache", "client_cache_control",
        {"client_cache_control": "ignore"},
    ),
    "age-that-the-client-wants": Row(
        "/", [HTML, "age: 9"], [[], ["cache-control: max-age=5"]], "request-max-age", "client_cache_control",
        {"client_cache_control": "trusted", "trusted_proxies": ["10.0.0.0/8"]},
    ),
    "too-large": Row(
        "/", [HTML], [[], []], "too-large", "limits.stored_body", {"limits": {"stored_body": "1KiB"}},
        before={"limits": {"stored_body": "5B"}},
    ),
    "route": Row(
        "/a", [HTML], [[], []], "route", "routes[].bypass", {"routes": [{"match": "/a"}]},
        before={"routes": [{"bypass": True}]},
    ),
    "campaigns": Row(
        "/?utm_source=2", [HTML], [["target: /?utm_source=1"], []], "uri-miss", "query.preset",
        {"query": {"preset": ["tracking"]}},
    ),
}  # fmt: skip


async def _asked(bench: Routed, row: Row, lines: Sequence[str], visitors: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Let the visitors ask, and explain what the last one gets then."""
    for visitor in visitors:
        target, own = row.target, list(visitor)
        if own and own[0].startswith("target: "):
            target = own.pop(0).removeprefix("target: ")
        bench.give(whole(*lines, status=row.status))
        await bench.get(target, *own)
    asked = request(row.target, *row.visitors[-1])
    return await explain(bench.driver._sites, bench.driver._fetcher.last, asked, bench.clock())


@pytest.mark.parametrize("name", ROWS)
async def test_the_advice_makes_a_hit_of_it(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    told = await _asked(Routed(tmp_path, row.before), row, row.lines, row.visitors[:-1])
    if told["now"]["cache"] != "uri-miss" or row.reason == "uri-miss":
        assert (told["now"]["detail"] or told["now"]["cache"]) == row.reason
    else:
        told = await _asked(Routed(tmp_path, row.before), row, row.lines, row.visitors)
    assert told["remedy"]["reason"] == row.reason
    assert row.named in told["remedy"]["do"]
    followed = Routed(tmp_path, {**row.before, **row.settings})
    lines = row.lines if row.instead is None else row.instead
    told = await _asked(followed, row, lines, row.visitors[:-1])
    assert told["now"]["cache"] == "hit", told["now"]
    client = await followed.ask(request(row.target, *row.visitors[-1]))
    assert client.cache_status.startswith("hit"), "the driver does what was foreseen"
