"""Does an explanation say what is so, to whoever may know it?"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from proxy.config.model import Config, UpstreamConfig
from proxy.downstream.pretended import Asked
from proxy.ops.admin import admin_app
from proxy.ops.catalogue import CACHE_WORDS
from proxy.ops.explain import explain
from proxy.ops.explain_page import explain_pages
from proxy.policy.decisions import Detail
from proxy.policy.default_lifetime import HealthChecks, MediaTypes
from proxy.policy.identity import IdentityFields
from proxy.policy.key import Distinctions
from proxy.questions import answering, explain_as_browsers
from proxy.worker import Worker
from tests.exchange.making import Bench, request, whole
from tests.exchange.remotes import Counting, remote
from tests.exchange.test_details import FRESH, ROWS, TAG

SECRET = "s3cret"
COOKIES = f"cookie: _ga={SECRET}; sid={SECRET}"


async def explained(bench: Bench, target: str = "/page", *lines: str, **changes: Any) -> dict[str, Any]:
    asked = request(target, *lines, **changes)
    told = await explain(bench.driver._sites, bench.driver._fetcher.last, asked, bench.clock())
    assert SECRET not in json.dumps(told)
    return told


async def test_a_page_that_is_stored() -> None:
    bench = Bench(
        whole(FRESH, 'cache-groups: "blog"', "content-type: text/html"), route={"name": "blog", "site": "www"}
    )
    await bench.get()
    bench.clock.turn(10)
    told = await explained(bench)
    assert (told["site"], told["route"], told["allowed"], told["bypass"]) == ("www", "blog", True, False)
    assert told["now"]["cache_status"] == "sitecache; hit; ttl=50"
    [stored] = told["stored"]
    assert stored["selected"]
    assert (stored["age"], stored["lifetime"], stored["size"], stored["tags"]) == (10, 60, 10, ["blog"])
    assert (stored["content_type"], stored["lifetime_from"], stored["fresh"]) == ("text/html", "the application", True)
    assert told["last"]["stored"]
    assert (told["last"]["at"], told["last"]["seconds_ago"]) == ("2001-09-09T01:46:40Z", 10)
    assert told["remedy"]["reason"] == "hit"


async def test_why_a_page_is_not_stored_and_what_to_do() -> None:
    bench = Bench(whole(f"set-cookie: csrftoken={SECRET}"))
    await bench.get(f"/page?token={SECRET}", COOKIES)
    told = await explained(bench, f"/page?token={SECRET}", COOKIES, f"authorization: Basic {SECRET}")
    assert told["request"]["url"] == "http://site.test/page?token=***"
    assert (told["now"]["cache"], told["now"]["detail"], told["stored"]) == ("uri-miss", None, [])
    assert (told["last"]["detail"], told["last"]["stored"]) == ("set-cookie", False)
    assert told["remedy"]["reason"] == "set-cookie"
    assert "the cookie csrftoken" in told["remedy"]["says"]
    assert "routes[].remove_set_cookie" in told["remedy"]["settings"]


async def test_variants_and_what_they_vary_by() -> None:
    bench = Bench(whole(FRESH, "vary: cookie, accept-language"))
    await bench.get("/page", COOKIES)
    told = await explained(bench, "/page", COOKIES)
    assert told["vary"] == ["Accept-Language", "Cookie"]
    [cookie] = [part for part in told["key"] if part["name"] == "Cookie"]
    assert (cookie["kept"], cookie["ignored"]) == ("sid=***", ("_ga",))
    other = await explained(bench, "/page", "cookie: sid=2")
    assert (other["now"]["cache"], [one["selected"] for one in other["stored"]]) == ("vary-miss", [False])
    assert "says in Accept-Language, Cookie." in other["now"]["says"]


async def test_names_that_stand_for_less_than_a_field() -> None:
    bench = Bench(whole(FRESH), varied_cookies=(b"cookie:currency",))
    await bench.get("/page", f"cookie: currency={SECRET}")
    assert (await explained(bench, "/page", f"cookie: currency={SECRET}"))["vary"] == ["the cookie currency"]


async def test_of_many_variants_outside_the_process_the_selected_one_is_among_those_shown() -> None:
    answers = [whole(FRESH, "vary: accept", f"x-number: {number}") for number in range(10)]
    bench = Bench(*answers, storage=remote(Counting()))
    for number in range(10):
        await bench.get("/page", f"accept: {number}")
    for number, shown in ((0, 9), (9, 8)):
        stored = (await explained(bench, "/page", f"accept: {number}"))["stored"]
        assert (len(stored), [one["selected"] for one in stored].count(True), stored[0]["selected"]) == (shown, 1, True)


async def test_a_body_that_turned_out_too_large() -> None:
    bench = Bench(whole(FRESH, body=b"x" * 1001, framing=None))
    await bench.get()
    told = await explained(bench)
    assert (told["last"]["detail"], told["last"]["stored"]) == ("too-large", False)
    assert told["remedy"]["reason"] == "too-large"
    assert "(1001B)" in told["remedy"]["says"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("surrogate-key: blog post-1", ["blog", "post-1"], id="fastly"),
        pytest.param("cache-tag: blog,post-1", ["blog", "post-1"], id="cloudflare"),
        pytest.param("xkey: a\xff", ["a\xff"], id="not-ascii"),
        pytest.param("xkey: " + "x" * 2000, ["(too many)"], id="too-many"),
        pytest.param("xkey: " + " ".join(map(str, range(30))), [str(number) for number in range(20)], id="the-first"),
    ],
)
async def test_tags(line: str, shown: list[str]) -> None:
    bench = Bench(whole(FRESH, line))
    await bench.get()
    told = await explained(bench)
    assert told["stored"][0]["tags"] == told["last"]["tags"] == shown


async def test_what_was_purged_softly_is_stale() -> None:
    row = ROWS[Detail.PURGED]()
    bench = Bench(whole(*(row.before or ())))
    await bench.get()
    assert row.purge is not None
    await bench.responses.purge(row.purge, alone=False)
    told = await explained(bench)
    assert (told["stored"][0]["purged"], told["stored"][0]["fresh"], told["now"]["detail"]) == (True, False, "purged")


async def test_head_is_told_of_the_last_get() -> None:
    bench = Bench(whole("cache-control: private"))
    await bench.get()
    told = await explained(bench, method="HEAD")
    assert told["last"]["detail"] == "private"


async def test_a_new_url_has_no_past() -> None:
    told = await explained(Bench())
    assert (told["last"], told["vary"], told["remedy"]["reason"]) == (None, None, "uri-miss")


# The page.


@dataclass
class Workers:
    """What the admin listener sees of the workers."""

    answers: list[tuple[int, bytes | None]] = field(default_factory=lambda: [(0, b'{"now": 1}'), (1, None)])
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, question: bytes) -> Sequence[tuple[int, bytes | None]]:
        self.asked.append(json.loads(question))
        return self.answers


@pytest.fixture
def workers() -> Workers:
    return Workers()


Client = TestClient[aiohttp.web.Request, aiohttp.web.Application]


@pytest.fixture
async def client(workers: Workers) -> AsyncIterator[Client]:
    async with TestClient(TestServer(admin_app(explain_pages(workers.ask)))) as client:
        yield client


async def test_every_worker_is_asked(client: Client, workers: Workers) -> None:
    query = [("url", "http://a/?b=1"), ("header", "A: b"), ("header", "C: d"), ("method", "HEAD"), ("from", "10.0.0.1")]
    response = await client.get("/explain", params=query)
    assert response.status == 200
    assert await response.json() == {
        "workers": [
            {"worker": 0, "now": 1},
            {"worker": 1, "error": "this worker is not ready, or did not answer in time"},
        ]
    }
    assert workers.asked == [
        {"ask": "explain", "url": "http://a/?b=1", "method": "HEAD", "fields": ["A: b", "C: d"], "peer": "10.0.0.1"}
    ]


@pytest.mark.parametrize("query", [{}, {"method": "GET"}, {"url": "http://a/", "uri": "x"}])
async def test_what_it_does_not_know_it_refuses(client: Client, workers: Workers, query: dict[str, str]) -> None:
    response = await client.get("/explain", params=query)
    assert (response.status, list(await response.json())) == (400, ["error"])
    assert workers.asked == []


async def test_what_is_no_request_is_refused(client: Client, workers: Workers) -> None:
    workers.answers = [(0, None), (1, b'{"refused": 400, "error": "not a URL"}')]
    response = await client.get("/explain", params={"url": "x"})
    assert (response.status, await response.json()) == (400, {"error": "not a URL"})


async def test_with_a_token_only_who_shows_it_may_know(workers: Workers) -> None:
    app = admin_app(explain_pages(workers.ask), "a-token-of-some-length")
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/explain", params={"url": "http://a/"})).status == 401
        assert workers.asked == []
        headers = {"Authorization": "Bearer a-token-of-some-length"}
        assert (await client.get("/explain", params={"url": "http://a/"}, headers=headers)).status == 200


async def test_every_word_of_logs_and_metrics_is_explained(client: Client) -> None:
    told = await (await client.get("/reasons")).json()
    assert list(told["cache"]) == list(CACHE_WORDS)
    assert list(told["detail"]) == [detail.value for detail in Detail]
    for word in (*told["cache"].values(), *told["detail"].values()):
        assert word["says"]
        assert word["do"]


# What a worker answers.


@pytest.mark.parametrize(
    "question", [b'{"ask": "the weather"}', b"not JSON", b'{"ask": "explain"}', b'{"ask": "explain", "url": 1}']
)
async def test_what_a_worker_cannot_answer_costs_it_nothing(question: bytes) -> None:
    nobody = cast("Worker", None)
    answer = await answering(nobody)(question)
    assert b"\n" not in answer
    assert list(json.loads(answer)) == ["error"]


# As a browser asks.


async def browsed(bench: Bench, *lines: str, url: str = "http://site.test/page") -> dict[str, Any]:
    """What a worker explains of a request of which no more is said than this."""
    config = Config(UpstreamConfig("http://a"))
    worker = SimpleNamespace(config=config, sites=bench.driver._sites, last=bench.driver._fetcher.last)
    told = await explain_as_browsers(worker, Asked(url, fields=list(lines)), bench.clock())
    assert SECRET not in json.dumps(told)
    return told


BROWSERS = ["gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate"]


@pytest.mark.parametrize("coding", BROWSERS)
async def test_a_page_that_any_browser_gets_is_a_hit(coding: str) -> None:
    """Apache and nginx send Vary: Accept-Encoding with all that they compress (WordPress 6.1.9 behind both)."""
    bench = Bench(whole(FRESH, "vary: accept-encoding"))
    await bench.get("/page", f"accept-encoding: {coding}")
    told = await browsed(bench)
    assert (told["now"]["cache"], told["remedy"]["reason"]) == ("hit", "hit")
    assert f"Accept-Encoding: {coding}" in told["assumed"]


async def test_a_page_that_no_browser_gets_is_explained_for_the_likeliest() -> None:
    bench = Bench(whole(FRESH, "vary: accept-encoding"))
    await bench.get("/page", "accept-encoding: identity")
    told = await browsed(bench)
    assert told["now"]["cache"] == "vary-miss"
    assert "Accept-Encoding: gzip, deflate" in told["assumed"]
    given = await browsed(bench, "Accept-Encoding: identity")
    assert given["now"]["cache"] == "hit"
    assert [line for line in given["assumed"] if "Encoding" in line] == []


async def test_a_page_that_only_programs_get_is_no_hit_for_browsers() -> None:
    bench = Bench(whole(FRESH, "vary: accept-language"))
    await bench.get()
    told = await browsed(bench)
    assert (told["now"]["cache"], told["as_given"]["cache"]) == ("vary-miss", "hit")
    for lines in (["Accept-Language: de"], ["Accept-Language:"]):
        told = await browsed(bench, *lines)
        assert (told["now"]["cache"] == "hit", told["as_given"]) == (lines == ["Accept-Language:"], None)


# Nobody else's cookies.

OTHERS = "cookie: somebodys=1; other_sid=2"


@pytest.mark.parametrize(
    "answer", [pytest.param([], id="cookie"), pytest.param(["set-cookie: theme=1"], id="set-cookie")]
)
@pytest.mark.parametrize("lines", [pytest.param([], id="no-cookie"), pytest.param(["cookie: mine=1"], id="own-cookie")])
@pytest.mark.parametrize("stored", [pytest.param(True, id="stored"), pytest.param(False, id="nothing-stored")])
async def test_no_cookie_of_another_visitor_is_named(answer: list[str], lines: list[str], stored: bool) -> None:
    bench = Bench(whole("vary: accept-encoding"), whole(*answer))
    if stored:
        await bench.get("/page", "accept-encoding: gzip")
    else:
        bench.origin.answers.pop(0)
    await bench.get("/page", OTHERS)
    for told in (await explained(bench, "/page", *lines), await browsed(bench, *lines)):
        text = json.dumps(told)
        assert "somebodys" not in text
        assert "other_sid" not in text
        assert told["last"]["detail"] == ("set-cookie" if answer else "cookie")


@pytest.mark.parametrize(
    ("asked", "other", "reason"),
    [
        pytest.param([], "cookie: sid=1", "uri-miss", id="cookie-of-another"),
        pytest.param(["cookie: _ga=1"], "cookie: sid=1", "uri-miss", id="cookie-of-another-beside-an-ignored-one"),
        pytest.param(["cookie: own=1"], "cookie: sid=1", "cookie", id="cookie-of-both"),
        pytest.param([], "authorization: x", "uri-miss", id="credentials-of-another"),
        pytest.param(["authorization: y"], "authorization: x", "authorization", id="credentials-of-both"),
        pytest.param([], "x-api-key: x", "uri-miss", id="key-of-another"),
        pytest.param(["x-api-key: y"], "x-api-key: x", "identity", id="key-of-both"),
        pytest.param(["cookie: own=1"], "x-api-key: x", "uri-miss", id="cookie-beside-the-key-of-another"),
        pytest.param([], "user-agent: kube-probe/1.30", "uri-miss", id="probe-of-another"),
        pytest.param(["user-agent: kube-probe/1"], "user-agent: kube-probe/1", "health-check", id="probe-of-both"),
        pytest.param([], "cache-control: no-store", "uri-miss", id="wish-of-another"),
        pytest.param(["cache-control: no-store"], "cache-control: no-store", "request-no-store", id="wish-of-both"),
    ],
)
async def test_what_another_visitor_sent_is_no_reason_for_this_one(asked: list[str], other: str, reason: str) -> None:
    bench = Bench(
        whole("content-type: text/html"),
        distinctions=Distinctions(("_ga",), identity=IdentityFields(("x-api-key",))),
        page_types=MediaTypes(("text/html",)),
        health_checks=HealthChecks((), ("kube-probe*",)),
    )
    await bench.get("/page", other)
    assert (await explained(bench, "/page", *asked))["remedy"]["reason"] == reason


async def test_a_file_behind_a_session_is_explained_with_public() -> None:
    """Roundcube 1.6.5, WordPress 6.1.9 and MediaWiki 1.39.17: files with ETag alone, and every visitor has a cookie."""
    bench = Bench(whole(TAG, "content-type: text/css"))
    await bench.get("/skins/a.css")
    told = await explained(bench, "/skins/a.css", "cookie: roundcube_sessid=1")
    assert (told["now"]["cache"], told["now"]["detail"]) == ("bypass", "cookie")
    assert told["remedy"]["settings"] == ["routes[].cache_control"]
    assert "public: true" in told["remedy"]["do"]
    assert "roundcube_sessid" in told["remedy"]["says"]
