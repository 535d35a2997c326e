"""Whose page is it? What was made for one client reaches no other, by any path, and ends nothing for others."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.units import Seconds
from proxy.config.usual import IDENTITY_FIELDS
from proxy.errors import UpstreamTimeout
from proxy.policy.default_lifetime import HealthChecks, MediaTypes
from proxy.policy.identity import IdentityFields
from proxy.policy.key import Distinctions
from tests.exchange.making import Bench, Client, Gate, Given, coming, request, settled, whole
from tests.exchange.remotes import Counting, remote

TAG = 'etag: "the-same-for-all"'
DISTINCTIONS = Distinctions(("_ga",), identity=IdentityFields(IDENTITY_FIELDS))

#: What says who asks.
KNOWN = {
    "cookie": "cookie: wordpress_logged_in_x=alice",
    "authorization": "authorization: Basic YWxpY2U=",
    "api-key": "x-api-key: alice",
    "identity": "remote-user: alice",
}
#: What is no word of sharing (WordPress 6: the feed of a member; DESIGN §5, rule 4).
UNSAID = {
    "max-age-0": "cache-control: max-age=0",
    "no-cache": "cache-control: no-cache, must-revalidate, max-age=0",
    "no-cache-with-a-lifetime": "cache-control: no-cache, max-age=60",
    "s-maxage-0": "cache-control: s-maxage=0, max-age=60",
    "must-revalidate": "cache-control: must-revalidate",
    "expired": "expires: Wed, 11 Jan 1984 05:00:00 GMT",
    "unreadable": "cache-control: max-age=soon",
    "nothing": "x-nothing: 1",
    "vary-on-another": "vary: accept-language",
    "pragma": "pragma: no-cache",
}


@pytest.fixture(params=["memory", "remote"])
def storage(request: pytest.FixtureRequest) -> str:
    return request.param


def bench_of(storage: str, *answers: Given, **rules: Any) -> Bench:
    kept = remote(Counting()).told_apart_by(DISTINCTIONS) if storage == "remote" else None
    return Bench(*answers, storage=kept, distinctions=DISTINCTIONS, **rules)


@pytest.mark.parametrize("said", UNSAID.values(), ids=UNSAID)
@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_an_answer_made_for_somebody_is_not_stored(storage: str, known: str, said: str) -> None:
    bench = bench_of(storage, whole(TAG, said, body=b"private"), whole(TAG, body=b"public"))
    assert (await bench.get("/feed", known)).content == b"private"
    assert (await bench.get("/feed")).content == b"public"
    assert b"if-none-match" not in bench.origin.fields()
    assert (await bench.get("/feed")).content == b"public"


@pytest.mark.parametrize("said", UNSAID.values(), ids=UNSAID)
@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_it_ends_no_hits_of_others(storage: str, known: str, said: str) -> None:
    bench = bench_of(storage, whole(TAG, body=b"public"), whole(TAG, said, body=b"private"))
    await bench.get("/feed")
    assert (await bench.get("/feed", known)).content == b"private"
    bench.give(whole(TAG, said, body=b"private"))
    assert (await bench.ask(request("/feed", known, method="HEAD"))).status == 200
    client = await bench.get("/feed")
    assert (client.content, client.cache_status.partition(";")[0]) == (b"public", "hit")


@pytest.mark.parametrize("forbids", ["cache-control: private", "cache-control: no-store", "vary: *"])
@pytest.mark.parametrize(
    "vary", ["x-y: z", "vary: cookie, authorization, x-api-key, remote-user"], ids=["plain", "varied"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_nor_does_one_that_forbids_storing(
    storage: str, known: str, method: str, vary: str, forbids: str
) -> None:
    """Django with a session, Plone, Drupal: a reload of somebody who is known says Vary: Cookie and private."""
    fresh = "cache-control: max-age=60, public"
    bench = bench_of(storage, whole(TAG, fresh, body=b"public"), whole('etag: "b"', forbids, vary, body=b"private"))
    await bench.get("/feed")
    assert (await bench.ask(request("/feed", known, "cache-control: no-cache", method=method))).status == 200
    assert (await bench.get("/feed")).cache_status.startswith("hit")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("known", [known for name, known in KNOWN.items() if name != "cookie"])
@pytest.mark.rfc(9111, "3.5")
async def test_nor_does_one_whose_lifetime_is_no_word_to_credentials(storage: str, known: str, method: str) -> None:
    fresh = "cache-control: max-age=60"
    bench = bench_of(storage, whole(TAG, fresh, body=b"public"), whole(TAG, fresh, body=b"private"))
    await bench.get("/feed")
    await bench.ask(request("/feed", known, "cache-control: no-cache", method=method))
    client = await bench.get("/feed")
    assert (client.content, client.cache_status.partition(";")[0]) == (b"public", "hit")


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_head_of_somebody_outdates_nothing(storage: str, known: str) -> None:
    """RFC 9111 §4.3.5 speaks of a response that could have been chosen: this one could not."""
    fresh = "cache-control: max-age=60, public"
    bench = bench_of(storage, whole('etag: "a"', fresh, body=b"public"), whole('etag: "b"', "cache-control: max-age=0"))
    await bench.get("/feed")
    await bench.ask(request("/feed", known, "cache-control: no-cache", method="HEAD"))
    assert (await bench.get("/feed")).cache_status.startswith("hit")


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_what_nobody_called_shared_is_not_for_somebody(storage: str, known: str) -> None:
    bench = bench_of(storage, whole(TAG, "cache-control: max-age=0", body=b"public"), whole(TAG, body=b"private"))
    await bench.get("/feed")
    assert (await bench.get("/feed", known)).content == b"private"
    assert b"if-none-match" not in bench.origin.fields()


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_a_304_for_one_freshens_nothing_for_others(storage: str, known: str) -> None:
    """The 304 says of itself what the 200 would: that it is not for others."""
    fresh, own = "cache-control: max-age=60, public", "cache-control: max-age=0, no-cache"
    bench = bench_of(storage, whole(TAG, fresh, body=b"public"), whole(TAG, own, status=304))
    await bench.get("/feed")
    bench.clock.turn(61)
    bench.give(whole(TAG, own, body=b"private"))
    assert (await bench.get("/feed", known)).content == b"private"
    bench.give(whole(TAG, fresh, status=304))
    client = await bench.get("/feed")
    assert client.content == b"public"
    assert client.cache_status.startswith("fwd=stale; fwd-status=304")


@pytest.mark.parametrize("vary", ["", "vary: accept"], ids=["plain", "varied"])
@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
@pytest.mark.rfc(9110, "15.4.5")
async def test_nor_does_one_that_says_nothing_of_its_own(storage: str, known: str, vary: str) -> None:
    """WordPress 6 sends no Cache-Control with a 304: the fields of one client's copy are not for others."""
    fresh, more = "cache-control: max-age=60, public", [vary] if vary else []
    bench = bench_of(storage, whole(TAG, fresh, *more), whole(TAG, "x-mark: alice", status=304))
    await bench.get("/feed")
    bench.give(whole(TAG, "cache-control: max-age=0", body=b"of alice"))
    assert (await bench.get("/feed", known, "cache-control: no-cache")).content == b"of alice"
    client = await bench.get("/feed")
    assert client.cache_status.startswith("hit")
    assert b"x-mark" not in client.fields


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_a_background_refresh_with_somebodys_fields_is_stored_for_nobody(storage: str, known: str) -> None:
    swr = "cache-control: max-age=5, public, stale-while-revalidate=60"
    bench = bench_of(storage, whole(TAG, swr, body=b"public"))
    await bench.get("/feed")
    bench.clock.turn(6)
    bench.give(whole('etag: "b"', "cache-control: max-age=0", body=b"private"))
    assert (await bench.get("/feed", known)).content == b"public"
    await settled()
    bench.give(whole(TAG, swr, body=b"public again"))
    for _ in range(2):
        assert (await bench.get("/feed")).content in (b"public", b"public again")
        await settled()


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_nobody_waits_for_an_answer_made_for_somebody(storage: str, known: str) -> None:
    gate = Gate()
    bench = bench_of(storage, gate, whole(TAG, body=b"public"))
    first = bench.start(request("/feed", known), Client())
    await settled()
    second = bench.start(request("/feed"), Client())
    await settled()
    assert second.content == b"public"
    gate.open(whole(TAG, "cache-control: max-age=0", body=b"private"))
    await settled()
    assert first.content == b"private"
    assert (await bench.get("/feed")).content == b"public"


async def test_two_who_are_known_do_not_share_by_waiting(storage: str) -> None:
    gate = Gate()
    bench = bench_of(storage, gate, whole(TAG, body=b"of bob"))
    first = bench.start(request("/feed", "x-api-key: alice"), Client())
    await settled()
    second = bench.start(request("/feed", "x-api-key: bob"), Client())
    await settled()
    gate.open(whole(TAG, body=b"of alice"))
    await settled()
    assert (first.content, second.content) == (b"of alice", b"of bob")


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_a_part_made_for_somebody_is_not_stored(storage: str, known: str) -> None:
    part = ("content-range: bytes 0-4/10", TAG, "cache-control: max-age=0")
    bench = bench_of(storage, whole(*part, status=206, body=b"priva"), whole(*part, status=206, body=b"publi"))
    assert (await bench.get("/feed", known, "range: bytes=0-4")).content == b"priva"
    assert (await bench.get("/feed", "range: bytes=0-4")).content == b"publi"
    assert b"if-none-match" not in bench.origin.fields()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        pytest.param(KNOWN["cookie"], "cache-control: max-age=60", id="cookie-lifetime"),
        pytest.param(KNOWN["cookie"], "cache-control: public", id="cookie-public"),
        pytest.param(KNOWN["cookie"], "cache-control: s-maxage=60", id="cookie-s-maxage"),
        pytest.param(KNOWN["cookie"], "expires: Sun, 09 Sep 2001 01:47:40 GMT", id="cookie-expires"),
        pytest.param(KNOWN["authorization"], "cache-control: public", id="authorization-public"),
        pytest.param(KNOWN["authorization"], "cache-control: s-maxage=60", id="authorization-s-maxage"),
        pytest.param(KNOWN["authorization"], "cache-control: max-age=60, must-revalidate", id="must-revalidate"),
        pytest.param(KNOWN["api-key"], "cache-control: public, max-age=60", id="api-key-public"),
        pytest.param(KNOWN["identity"], "cache-control: s-maxage=60", id="identity-s-maxage"),
    ],
)
async def test_what_the_application_calls_shared_is(storage: str, known: str, said: str) -> None:
    """RFC 9111 §3.5, and DESIGN §5, rule 4."""
    bench = bench_of(storage, whole(TAG, said, body=b"page"))
    await bench.get("/page", known)
    assert (await bench.get("/page")).cache_status.startswith("hit")
    assert (await bench.get("/page", known)).cache_status.startswith("hit")


@pytest.mark.parametrize(
    ("known", "vary"),
    [
        pytest.param(KNOWN["cookie"], "vary: cookie", id="cookie"),
        pytest.param(KNOWN["api-key"], "vary: x-api-key", id="api-key"),
        pytest.param(KNOWN["identity"], "vary: remote-user, accept", id="identity"),
    ],
)
async def test_what_varies_by_who_asks_is_for_who_asked(storage: str, known: str, vary: str) -> None:
    bench = bench_of(storage, whole(TAG, vary, body=b"of alice"), whole(TAG, vary, body=b"of nobody"))
    await bench.get("/page", known)
    assert (await bench.get("/page")).content == b"of nobody"
    assert (await bench.get("/page", known)).content == b"of alice"
    bench.give(whole(TAG, vary, body=b"of bob"))
    assert (await bench.get("/page", known.replace("alice", "bob"))).content == b"of bob"
    assert (await bench.get("/page", known)).cache_status.startswith("hit")


async def test_each_of_two_identities_has_to_be_in_vary(storage: str) -> None:
    both = (KNOWN["cookie"], KNOWN["api-key"])
    bench = bench_of(storage, whole("vary: cookie", body=b"1"), whole("vary: cookie", body=b"2"))
    assert (await bench.get("/page", *both)).detail == "identity"
    assert (await bench.get("/page", *both)).content == b"2"


@pytest.mark.parametrize("status", [401, 403, 407])
@pytest.mark.parametrize("known", [*KNOWN.values(), "proxy-authorization: Basic x"], ids=[*KNOWN, "proxy"])
async def test_a_stored_refusal_answers_nobody_with_credentials(storage: str, known: str, status: int) -> None:
    """Plone 6.2, plone.app.caching 5 and plone.restapi: ``max-age=10, s-maxage=60, public`` with a 401."""
    said = "cache-control: max-age=10, s-maxage=60, proxy-revalidate, public"
    bench = bench_of(storage, whole(said, status=status, body=b"log in"), whole(said, body=b"for the editor"))
    await bench.get("/page")
    assert (await bench.get("/page")).cache_status.startswith("hit")
    assert (await bench.get("/page", known)).content == b"for the editor"


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_nor_does_one_that_somebody_else_got(storage: str, status: int) -> None:
    said = "cache-control: s-maxage=60, public"
    bench = bench_of(storage, whole(said, status=status), whole(said, body=b"of bob"))
    assert (await bench.get("/page", "authorization: Basic alice")).detail == "authorization"
    assert (await bench.get("/page", "authorization: Basic bob")).content == b"of bob"


async def test_a_refusal_that_varies_by_credentials_is_theirs(storage: str) -> None:
    said = ("cache-control: s-maxage=60, public", "vary: authorization")
    bench = bench_of(storage, whole(*said, status=401))
    await bench.get("/page", "authorization: Basic alice")
    assert (await bench.get("/page", "authorization: Basic alice")).cache_status.startswith("hit")


async def test_who_waits_with_credentials_does_not_get_a_refusal(storage: str) -> None:
    gate = Gate()
    said = "cache-control: s-maxage=60, public"
    bench = bench_of(storage, gate, whole(said, body=b"for the editor"))
    first = bench.start(request("/page"), Client())
    await settled()
    second = bench.start(request("/page", KNOWN["authorization"]), Client())
    await settled()
    gate.open(whole(said, status=401, body=b"log in"))
    await settled()
    assert (first.status, second.content) == (401, b"for the editor")


async def test_an_error_is_not_answered_with_anothers_page(storage: str) -> None:
    bench = bench_of(storage, whole(TAG, body=b"public"), UpstreamTimeout("late"), stale_if_error=Seconds(3600))
    await bench.get("/page")
    bench.clock.turn(700)
    assert (await bench.get("/page", KNOWN["cookie"])).status == 504


@pytest.mark.rfc(9110, "8.4.1")
@pytest.mark.rfc(9110, "12.5.3")
@pytest.mark.parametrize(
    ("accepts", "shares"),
    [
        pytest.param("gzip, br", True, id="takes"),
        pytest.param("br, *;q=0.5", True, id="takes-any"),
        pytest.param("x-gzip", True, id="alias"),
        pytest.param("identity", False, id="identity"),
        pytest.param("gzip;q=0", False, id="refuses"),
        pytest.param("br", False, id="another"),
        pytest.param("*;q=0", False, id="refuses-all"),
        pytest.param("", False, id="empty"),
        pytest.param(None, False, id="says-nothing"),
    ],
)
async def test_a_coding_without_vary_is_for_who_takes_it(storage: str, accepts: str | None, shares: bool) -> None:
    """Prometheus 2.42: ``Content-Encoding: gzip`` for who asks for it, and no Vary."""
    fresh = "cache-control: max-age=60"
    bench = bench_of(storage, whole(fresh, "content-encoding: gzip", body=b"zipped"), whole(fresh, body=b"plain"))
    await bench.get("/api", "accept-encoding: gzip")
    lines = [] if accepts is None else [f"accept-encoding: {accepts}"]
    assert (await bench.get("/api", *lines)).content == (b"zipped" if shares else b"plain")
    assert (await bench.get("/api", *lines)).cache_status.startswith("hit")


async def test_a_body_on_its_way_in_a_coding_is_for_who_takes_it(storage: str) -> None:
    fresh = "cache-control: max-age=60"
    page = coming(fresh, "content-encoding: gzip")
    bench = bench_of(storage, page, whole(fresh, body=b"plain"))
    first = bench.start(request("/api", "accept-encoding: gzip"), Client())
    await settled()
    second = bench.start(request("/api", "accept-encoding: identity"), Client())
    await settled()
    page.feed(b"zipped")
    page.end()
    await settled()
    assert (first.content, second.content) == (b"zipped", b"plain")


async def test_a_health_check_hears_of_the_application(storage: str) -> None:
    health = HealthChecks(("/health",), ("kube-probe/*",))
    html = "content-type: text/html"
    unset = {"page_types": MediaTypes(("text/html",)), "health_checks": health, "stale_if_error": Seconds(3600)}
    bench = bench_of(storage, whole(html), whole(html), UpstreamTimeout("late"), UpstreamTimeout("late"), **unset)
    await bench.get("/")
    assert (await bench.get("/")).cache_status.startswith("hit")
    probe = await bench.get("/", "user-agent: kube-probe/1.31")
    assert (probe.detail, probe.status) == ("health-check", 200)
    assert (await bench.get("/", "user-agent: kube-probe/1.31")).status == 504
    assert (await bench.get("/health")).status == 504
