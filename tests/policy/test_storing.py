"""Is stored what RFC 9111 §3 and the design allow, and nothing else?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.config.model import SetCookie
from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.message.fields import Fields
from proxy.message.heads import Request
from proxy.policy.decisions import Detail, Discard, Store
from proxy.policy.directives import NO_TERMS, request_terms
from proxy.policy.key import Distinctions
from proxy.policy.languages import Languages
from proxy.policy.lifetimes import retention
from proxy.policy.stored import Terms
from proxy.policy.storing import decide_storing, vary_names, without
from proxy.policy.told import site_fields, without_lifetime
from proxy.policy.zones import Zones
from tests.policy.making import (
    HOUR_AGO,
    MINUTE_AGO,
    MINUTE_LATER,
    NOW,
    NOW_DATE,
    RULES,
    TIMES,
    fields,
    request,
    response,
    rules,
)

FRESH = "Cache-Control: max-age=60"


def decide(*lines: str, asked_by: Request | None = None, status: int = 200, **changes: Any) -> Store | Discard:
    asking = asked_by or request()
    return decide_storing(
        asking, request_terms(asking.fields), response(*lines, status=status), TIMES, rules(**changes)
    )


def terms(*lines: str, **more: Any) -> Terms:
    decision = decide(*lines, **more)
    assert isinstance(decision, Store), decision
    return decision.terms


@pytest.mark.rfc(9111, "3")
@pytest.mark.parametrize(
    ("lines", "status", "lifetime", "explicit"),
    [
        pytest.param([FRESH], 200, 60, True, id="max-age"),
        pytest.param([f"Expires: {MINUTE_LATER}"], 200, 60, True, id="expires"),
        pytest.param([f"Expires: {MINUTE_LATER}", f"Date: {MINUTE_AGO}"], 200, 120, True, id="expires-and-date"),
        pytest.param([], 200, 600, False, id="site-lifetime"),
        pytest.param(["Cache-Control: public"], 200, 600, False, id="site-lifetime-and-public"),
        pytest.param([FRESH], 203, 60, True, id="203"),
        pytest.param([FRESH], 204, 60, True, id="204"),
        pytest.param([FRESH], 301, 60, True, id="301"),
        pytest.param([FRESH], 302, 60, True, id="302"),
        pytest.param([FRESH], 404, 60, True, id="404"),
        pytest.param([FRESH], 500, 60, True, id="500"),
        pytest.param([FRESH], 599, 60, True, id="a-status-nobody-knows"),
        pytest.param([FRESH, 'ETag: "a"'], 200, 60, True, id="etag"),
        pytest.param(["Cache-Control: x-unprivate, no-stored, max-age=60"], 200, 60, True, id="whole-names-only"),
        pytest.param(['Cache-Control: x="no-store", max-age=60'], 200, 60, True, id="argument-of-another"),
        pytest.param(['Cache-Control: x="a, private, b", max-age=60'], 200, 60, True, id="list-in-an-argument"),
        pytest.param([FRESH, "X-Cache-Control: no-store"], 200, 60, True, id="another-field"),
        pytest.param([FRESH, "Set-Cookie2: a=b"], 200, 60, True, id="another-field-like-set-cookie"),
        pytest.param([FRESH, "Vary:"], 200, 60, True, id="vary-empty"),
        pytest.param([FRESH, "Vary: x-*"], 200, 60, True, id="vary-star-in-a-name"),
        pytest.param([FRESH, "Cache-Control: must-understand, no-store"], 200, 60, True, id="must-understand"),
        pytest.param([FRESH, "Cache-Control: no-store, must-understand"], 404, 60, True, id="must-understand-404"),
        pytest.param([FRESH, "Content-Range: bytes 0-1/2"], 200, 60, True, id="content-range-means-nothing"),
        pytest.param([FRESH, 'Cache-Control: private="x-a"'], 200, 60, True, id="private-fields"),
        pytest.param([FRESH, 'Cache-Control: private="set-cookie"', "Set-Cookie: a=b"], 200, 60, True, id="no-cookie"),
        pytest.param([FRESH, "Content-Length: 1000"], 200, 60, True, id="just-small-enough"),
        pytest.param([FRESH, "Pragma: no-cache"], 200, 60, True, id="pragma-in-a-response-says-nothing"),
    ],
)
def test_stored(lines: list[str], status: int, lifetime: float, explicit: bool) -> None:
    found = terms(*lines, status=status)
    assert (found.lifetime, found.explicit) == (lifetime, explicit)


@pytest.mark.rfc(9111, "3")
@pytest.mark.rfc(9111, "5.2.2.3")
@pytest.mark.rfc(9111, "5.2.2.5")
@pytest.mark.rfc(9111, "5.2.2.7")
@pytest.mark.rfc(9111, "4.1")
@pytest.mark.parametrize(
    ("lines", "status", "why"),
    [
        pytest.param(["Cache-Control: no-store"], 200, Detail.NO_STORE, id="no-store"),
        pytest.param(["Cache-Control: NO-STORE, max-age=60"], 200, Detail.NO_STORE, id="no-store-without-case"),
        pytest.param(["Cache-Control: no-store=x, max-age=60"], 200, Detail.NO_STORE, id="no-store-with-argument"),
        pytest.param([FRESH, "Cache-Control: no-store"], 200, Detail.NO_STORE, id="no-store-in-another-line"),
        pytest.param(['Cache-Control: x="a, no-store'], 200, Detail.NO_STORE, id="no-store-behind-an-open-quote"),
        pytest.param(["Cache-Control: ,,no-store"], 200, Detail.NO_STORE, id="no-store-behind-empty-members"),
        pytest.param([FRESH, "Cache-Control: must-understand"], 599, Detail.STATUS, id="must-understand"),
        pytest.param(
            [FRESH, "Cache-Control: must-understand, no-store"], 306, Detail.STATUS, id="must-understand-unused-status"
        ),
        pytest.param(["Cache-Control: private, max-age=60"], 200, Detail.PRIVATE, id="private"),
        pytest.param(["Cache-Control: pRiVaTe, max-age=60"], 200, Detail.PRIVATE, id="private-in-odd-case"),
        pytest.param(["Cache-Control: private=x-a, max-age=60"], 200, Detail.PRIVATE, id="private-unquoted-field"),
        pytest.param(['Cache-Control: private="", max-age=60'], 200, Detail.PRIVATE, id="private-no-fields"),
        pytest.param(['Cache-Control: private="etag"', FRESH], 200, Detail.PRIVATE, id="private-needed-field"),
        pytest.param(['Cache-Control: private="x-a", private', FRESH], 200, Detail.PRIVATE, id="private-both-ways"),
        pytest.param(["Cache-Control: no-store =x", FRESH], 200, Detail.NO_STORE, id="no-store-with-an-argument"),
        pytest.param(["Cache-Control: public, private, max-age=60"], 200, Detail.PRIVATE, id="private-and-public"),
        pytest.param([FRESH, "Vary: *"], 200, Detail.VARY_STAR, id="vary-star"),
        pytest.param([FRESH, "Vary: accept, *"], 200, Detail.VARY_STAR, id="vary-star-in-a-list"),
        pytest.param([FRESH, "Vary: *,accept"], 200, Detail.VARY_STAR, id="vary-star-first"),
        pytest.param([FRESH, "Vary: accept", "Vary: *"], 200, Detail.VARY_STAR, id="vary-star-in-another-line"),
        pytest.param(["Vary: *"], 200, Detail.VARY_STAR, id="vary-star-without-freshness"),
        pytest.param([FRESH, "Set-Cookie: a=b"], 200, Detail.SET_COOKIE, id="set-cookie"),
        pytest.param([FRESH, "set-cookie:"], 200, Detail.SET_COOKIE, id="set-cookie-empty"),
        pytest.param(["Set-Cookie: a=b"], 200, Detail.SET_COOKIE, id="set-cookie-without-freshness"),
        pytest.param(
            ["Cache-Control: public, max-age=60", "Set-Cookie: a"], 200, Detail.SET_COOKIE, id="set-cookie-public"
        ),
        pytest.param([FRESH], 206, Detail.PARTIAL_CONTENT, id="206"),
        pytest.param([FRESH], 304, Detail.STATUS, id="304"),
        pytest.param([FRESH], 103, Detail.STATUS, id="103"),
        pytest.param([], 203, Detail.NO_FRESHNESS, id="203-without-freshness"),
        pytest.param([], 301, Detail.NO_FRESHNESS, id="301-without-freshness"),
        pytest.param([], 404, Detail.NO_FRESHNESS, id="404-without-freshness"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], 404, Detail.NO_FRESHNESS, id="no-heuristics"),
        pytest.param([], 500, Detail.NO_FRESHNESS, id="500-without-freshness"),
        pytest.param(["Cache-Control: no-cache"], 404, Detail.NO_FRESHNESS, id="404-no-cache"),
        pytest.param(["Cache-Control: max-age=0"], 200, Detail.NOT_REUSABLE, id="max-age-0-without-validator"),
        pytest.param(["Cache-Control: max-age=x"], 200, Detail.NOT_REUSABLE, id="unreadable-max-age"),
        pytest.param(["Expires: 0"], 200, Detail.NOT_REUSABLE, id="expires-0"),
        pytest.param([FRESH, "Age: 60"], 200, Detail.NOT_REUSABLE, id="age-is-the-lifetime"),
        pytest.param([FRESH, f"Date: {HOUR_AGO}"], 200, Detail.NOT_REUSABLE, id="date-long-ago"),
        pytest.param(["Cache-Control: no-cache"], 200, Detail.NOT_REUSABLE, id="no-cache-without-validator"),
        pytest.param(["Cache-Control: no-cache, max-age=60"], 200, Detail.NOT_REUSABLE, id="no-cache-max-age"),
        pytest.param([FRESH, "Content-Length: 1001"], 200, Detail.TOO_LARGE, id="too-large"),
    ],
)
def test_discarded(lines: list[str], status: int, why: Detail) -> None:
    assert decide(*lines, status=status) == Discard(why)


@pytest.mark.rfc(9111, "3")
@pytest.mark.parametrize("method", [b"HEAD", b"POST", b"PUT", b"OPTIONS", b"QUERY", b"get"])
def test_only_get_is_stored(method: bytes) -> None:
    assert decide(FRESH, asked_by=request(method=method)) == Discard(Detail.METHOD)


@pytest.mark.rfc(9111, "5.2.1.5")
def test_a_request_with_no_store_stores_nothing() -> None:
    asking = request("Cache-Control: no-store")
    assert decide(FRESH, asked_by=asking) == Discard(Detail.REQUEST_NO_STORE)
    ignored = decide_storing(asking, NO_TERMS, response(FRESH), TIMES, RULES)
    assert isinstance(ignored, Store)


@pytest.mark.rfc(9111, "3.5")
@pytest.mark.rfc(9111, "5.2.2.9")
@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        pytest.param([FRESH], False, id="max-age"),
        pytest.param([], False, id="nothing"),
        pytest.param([f"Expires: {MINUTE_LATER}"], False, id="expires"),
        pytest.param(["Cache-Control: public, max-age=60"], True, id="public"),
        pytest.param(["Cache-Control: PUBLIC"], True, id="public-site-lifetime"),
        pytest.param(["Cache-Control: s-maxage=60"], True, id="s-maxage"),
        pytest.param(["Cache-Control: must-revalidate, max-age=60"], True, id="must-revalidate"),
        pytest.param(["Cache-Control: must-revalidate"], False, id="must-revalidate-site-lifetime"),
        pytest.param(["Cache-Control: proxy-revalidate, max-age=60"], False, id="proxy-revalidate"),
        pytest.param(['Cache-Control: x="public", max-age=60'], False, id="argument-of-another"),
        pytest.param(["Cache-Control: publicly, max-age=60"], False, id="whole-names-only"),
        pytest.param([FRESH, "Vary: Authorization"], False, id="vary"),
    ],
)
def test_authorization(lines: list[str], allowed: bool) -> None:
    decision = decide(*lines, asked_by=request("Authorization: Basic eDp5"))
    assert isinstance(decision, Store) if allowed else decision == Discard(Detail.AUTHORIZATION)


@pytest.mark.parametrize(
    ("cookie", "lines", "allowed"),
    [
        pytest.param("Cookie: sessionid=1", [], False, id="session"),
        pytest.param("Cookie: _ga=1", [], True, id="ignored"),
        pytest.param("Cookie: _ga=1; _ga_ABC=2", [], True, id="ignored-by-pattern"),
        pytest.param("Cookie: _ga=1; sessionid=1", [], False, id="ignored-and-session"),
        pytest.param("Cookie: x_ga=1", [], False, id="not-ignored-by-its-end"),
        pytest.param("Cookie: _gat=1", [], False, id="not-ignored-by-its-beginning"),
        pytest.param("Cookie: _GA=1", [], False, id="cookie-names-have-case"),
        pytest.param("Cookie:", [], True, id="empty"),
        pytest.param("Cookie: sessionid=1", ["Vary: Cookie"], True, id="vary-cookie"),
        pytest.param("Cookie: sessionid=1", ["Vary: accept, COOKIE"], True, id="vary-cookie-in-a-list"),
        pytest.param("Cookie: sessionid=1", ["Vary: Cookies"], False, id="vary-something-else"),
        pytest.param("Cookie: sessionid=1", [FRESH], True, id="explicit-freshness"),
        pytest.param("Cookie: sessionid=1", ["Cache-Control: public"], True, id="public"),
    ],
)
def test_cookies(cookie: str, lines: list[str], allowed: bool) -> None:
    decision = decide(*lines, asked_by=request(cookie))
    assert isinstance(decision, Store) if allowed else decision == Discard(Detail.COOKIE)


def test_without_a_site_lifetime_only_explicit_freshness_stores() -> None:
    none = Seconds(0)
    assert decide(site_lifetime=none) == Discard(Detail.NO_FRESHNESS)
    assert isinstance(decide(FRESH, site_lifetime=none), Store)
    assert isinstance(decide("Cache-Control: no-cache", 'ETag: "a"', site_lifetime=none), Store)


@pytest.mark.rfc(9111, "5.2.2.2")
@pytest.mark.rfc(9111, "5.2.2.4")
@pytest.mark.rfc(9111, "5.2.2.8")
@pytest.mark.rfc(9111, "5.2.2.10")
@pytest.mark.rfc(5861, "3")
@pytest.mark.rfc(5861, "4")
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("max-age=60", {"no_cache": False, "must_revalidate": False, "stale_if_error": None}, id="plain"),
        pytest.param("no-cache", {"no_cache": True}, id="no-cache"),
        pytest.param('no-cache="x-a", max-age=60', {"no_cache": False}, id="no-cache-fields"),
        pytest.param("no-cache=x-a, max-age=60", {"no_cache": True}, id="no-cache-unquoted-field"),
        pytest.param('no-cache, no-cache="x-a", max-age=60', {"no_cache": True}, id="no-cache-both-ways"),
        pytest.param("max-age=60, immutable", {"immutable": True}, id="immutable"),
        pytest.param("max-age=60, must-revalidate", {"must_revalidate": True}, id="must-revalidate"),
        pytest.param("max-age=60, proxy-revalidate", {"must_revalidate": True}, id="proxy-revalidate"),
        pytest.param("s-maxage=60", {"must_revalidate": True}, id="s-maxage"),
        pytest.param("max-age=60, stale-while-revalidate=5", {"stale_while_revalidate": 5}, id="swr"),
        pytest.param("max-age=60, stale-while-revalidate=x", {"stale_while_revalidate": 0}, id="swr-unreadable"),
        pytest.param("max-age=60, stale-while-revalidate", {"stale_while_revalidate": 0}, id="swr-no-argument"),
        pytest.param("max-age=60, stale-if-error=5", {"stale_if_error": 5}, id="sie"),
        pytest.param("max-age=60, stale-if-error=0", {"stale_if_error": 0}, id="sie-zero"),
        pytest.param("max-age=60, stale-if-error=x", {"stale_if_error": None}, id="sie-unreadable"),
    ],
)
def test_terms(said: str, expected: dict[str, object]) -> None:
    found = terms(f"Cache-Control: {said}", 'ETag: "a"')
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.rfc(9111, "4.3.1")
def test_validators_are_kept() -> None:
    found = terms(FRESH, 'ETag: W/"a"', f"Last-Modified: {HOUR_AGO}")
    assert (found.etag, found.last_modified) == (b'W/"a"', HOUR_AGO.encode())
    assert found.has_validator
    assert terms(FRESH, f"Last-Modified: {HOUR_AGO}").has_validator
    assert not terms(FRESH).has_validator


@pytest.mark.rfc(9111, "4.2.3")
@pytest.mark.parametrize(
    ("lines", "age"),
    [
        pytest.param([FRESH], 3, id="delay"),
        pytest.param([FRESH, f"Date: {NOW_DATE}"], 3, id="date-now"),
        pytest.param([FRESH, "Age: 10"], 13, id="age"),
        pytest.param([FRESH, f"Date: {MINUTE_AGO}", 'ETag: "a"'], 60, id="date"),
        pytest.param([f"Date: {HOUR_AGO}"], 3, id="the-site-lifetime-counts-from-reception"),
        pytest.param(["Age: 10"], 13, id="the-site-lifetime-and-age"),
    ],
)
def test_the_age_at_reception(lines: list[str], age: float) -> None:
    times = (UnixTime(NOW - 3), NOW)
    decision = decide_storing(request(), NO_TERMS, response(*lines), times, RULES)
    assert isinstance(decision, Store)
    assert decision.terms.age(NOW) == age
    assert decision.terms.age(UnixTime(NOW + 7)) == age + 7
    assert decision.terms.age(UnixTime(NOW - 1000)) >= 0


@pytest.mark.rfc(9111, "4.1")
@pytest.mark.rfc(9110, "12.5.5")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], (), id="none"),
        pytest.param(["Vary:"], (), id="empty"),
        pytest.param(["Vary: Accept"], (b"accept",), id="one"),
        pytest.param(["Vary: b, A", "Vary: c"], (b"a", b"b", b"c"), id="sorted-lower-case-of-all-lines"),
        pytest.param(["Vary: a, A,a"], (b"a",), id="once"),
        pytest.param(["Vary: *"], None, id="star"),
        pytest.param(["Vary: a, *"], None, id="star-in-a-list"),
    ],
)
def test_vary_names(lines: list[str], expected: tuple[bytes, ...] | None) -> None:
    assert vary_names(fields(*lines)) == expected


DAY = 86400


@pytest.mark.parametrize(
    ("lines", "default", "expected"),
    [
        pytest.param([FRESH], 0, 60, id="lifetime"),
        pytest.param([FRESH], 100, 160, id="default-stale-if-error"),
        pytest.param(["Cache-Control: max-age=60, stale-if-error=10"], 100, 70, id="stale-if-error"),
        pytest.param(["Cache-Control: max-age=60, stale-if-error=0"], 100, 60, id="stale-if-error-zero"),
        pytest.param(["Cache-Control: max-age=60, stale-while-revalidate=30"], 0, 90, id="stale-while-revalidate"),
        pytest.param(
            ["Cache-Control: max-age=60, stale-while-revalidate=30, stale-if-error=50"], 0, 110, id="greatest"
        ),
        pytest.param(["Cache-Control: max-age=60, must-revalidate, stale-if-error=50"], 100, 60, id="must-revalidate"),
        pytest.param([FRESH, 'ETag: "a"'], 0, 60 + DAY, id="validator"),
        pytest.param(["Cache-Control: max-age=0", 'ETag: "a"'], 0, DAY, id="only-to-validate"),
    ],
)
def test_retention(lines: list[str], default: float, expected: float) -> None:
    decision = decide(*lines, stale_if_error=Seconds(default))
    assert isinstance(decision, Store)
    assert decision.retention == expected
    assert retention(decision.terms, rules(stale_if_error=Seconds(default))) == expected


@pytest.mark.rfc(9111, "4.2.4")
def test_stale_while_revalidate_is_reason_enough_to_store() -> None:
    assert terms("Cache-Control: max-age=0, stale-while-revalidate=60").lifetime == 0


def test_stored_body_limit() -> None:
    assert decide(FRESH, "Content-Length: 1", stored_body=Bytes(0)) == Discard(Detail.TOO_LARGE)
    assert isinstance(decide(FRESH, stored_body=Bytes(0)), Store)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], ["Expires: Sun, 09 Sep 2001 01:56:40 GMT", "Cache-Control: max-age=600"], id="nothing-said"),
        pytest.param(
            ["X-A: b", "cache-control: public"],
            ["X-A: b", "Expires: Sun, 09 Sep 2001 01:56:40 GMT", "Cache-Control: public, max-age=600"],
            id="added-to-what-was-said",
        ),
        pytest.param(
            ["Cache-Control: public", "Cache-Control: x"],
            ["Expires: Sun, 09 Sep 2001 01:56:40 GMT", "Cache-Control: public, x, max-age=600"],
            id="two-lines-become-one",
        ),
        pytest.param(
            ["Cache-Control:"],
            ["Expires: Sun, 09 Sep 2001 01:56:40 GMT", "Cache-Control: max-age=600"],
            id="empty",
        ),
        pytest.param([FRESH], [FRESH], id="explicit"),
        pytest.param(["Cache-Control: no-cache", 'ETag: "a"'], ["Cache-Control: no-cache", 'ETag: "a"'], id="no-cache"),
    ],
)
def test_site_fields(lines: list[str], expected: list[str]) -> None:
    assert site_fields(fields(*lines).raw, terms(*lines), RULES) == fields(*expected).raw


SITE = rules(
    distinctions=Distinctions((), Languages(("en", "es"), "en", b"lang"), Zones(("UTC",), "UTC", b"cookie:tz")),
)


@pytest.mark.parametrize(
    ("lines", "vary", "said"),
    [
        pytest.param([], (b"accept-language", b"cookie:tz"), "Accept-Language, Cookie", id="nothing-said"),
        pytest.param(
            ["Vary: Accept, accept-language"],
            (b"accept", b"accept-language", b"cookie:tz"),
            "Accept, accept-language, Cookie",
            id="language-said",
        ),
        pytest.param(
            ["Vary: Cookie"], (b"accept-language", b"cookie", b"cookie:tz"), "Cookie, Accept-Language", id="cookie-said"
        ),
        pytest.param(
            ["Content-Language: fr"],
            (b":language", b"accept-language", b"cookie:tz"),
            "Accept-Language, Cookie",
            id="another-language",
        ),
    ],
)
@pytest.mark.rfc(9111, "4.1")
def test_a_site_in_several_languages_says_so_to_other_caches(
    lines: list[str], vary: tuple[bytes, ...], said: str
) -> None:
    came = response(*lines)
    decision = decide_storing(request("Cookie: lang=en; tz=UTC"), NO_TERMS, came, TIMES, SITE)
    assert isinstance(decision, Store)
    assert decision.terms.vary == vary
    assert Fields(site_fields(came.fields.raw, decision.terms, SITE)).get(b"vary") == said.encode()


def test_a_cookie_with_the_name_of_a_varied_field_is_personal() -> None:
    site = rules(varied_cookies=(b"cookie:a",))
    decision = decide_storing(request("Cookie: a=1; accept=2"), NO_TERMS, response("Vary: Accept"), TIMES, site)
    assert decision == Discard(Detail.COOKIE)


@pytest.mark.rfc(9111, "5.2.2.10")
@pytest.mark.rfc(5861, "3")
@pytest.mark.parametrize(
    ("said", "believing", "never_stale"),
    [
        pytest.param("s-maxage=60, stale-while-revalidate=5", False, True, id="the-rfc"),
        pytest.param("s-maxage=60, stale-while-revalidate=5", True, False, id="believed"),
        pytest.param("s-maxage=60, stale-if-error=5", True, False, id="believed-about-errors"),
        pytest.param("s-maxage=60", True, True, id="nothing-to-believe"),
        pytest.param("s-maxage=60, stale-if-error=5, must-revalidate", True, True, id="must-revalidate-wins"),
        pytest.param("s-maxage=60, stale-if-error=5, proxy-revalidate", True, True, id="proxy-revalidate-wins"),
    ],
)
def test_stale_beside_s_maxage(said: str, believing: bool, never_stale: bool) -> None:
    decision = decide(f"Cache-Control: {said}", stale_after_s_maxage=believing)
    assert isinstance(decision, Store)
    assert decision.terms.must_revalidate is never_stale


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        pytest.param([FRESH, "Set-Cookie: a=b"], None, id="explicit"),
        pytest.param(["Set-Cookie: a=b"], Detail.SET_COOKIE, id="the-sites-lifetime"),
        pytest.param([FRESH, "Set-Cookie: a=b", "Cache-Control: private"], Detail.PRIVATE, id="private"),
    ],
)
def test_set_cookie_with_explicit_freshness(lines: list[str], why: Detail | None) -> None:
    decision = decide(*lines, set_cookie=SetCookie.EXPLICIT)
    assert isinstance(decision, Store) if why is None else decision == Discard(why)
    assert decide(*lines) == Discard(why or Detail.SET_COOKIE), "never, unless it is set"


@pytest.mark.rfc(9110, "14.2")
@pytest.mark.rfc(9110, "15")
def test_a_416_is_about_a_range() -> None:
    assert decide(FRESH, status=416, asked_by=request("Range: bytes=9-")) == Discard(Detail.PARTIAL_CONTENT)
    assert isinstance(decide(FRESH, status=416), Store)


@pytest.mark.rfc(9213, "2.2")
@pytest.mark.parametrize(
    ("lines", "lifetime", "explicit"),
    [
        pytest.param(["CDN-Cache-Control: max-age=5", FRESH], 5, True, id="before-cache-control"),
        pytest.param(["CDN-Cache-Control: max-age=5", "Cache-Control: no-store"], 5, True, id="before-no-store"),
        pytest.param(["CDN-Cache-Control: max-age=5", "Cache-Control: private"], 5, True, id="before-private"),
        pytest.param(["CDN-Cache-Control: max-age=5", "Expires: 0"], 5, True, id="before-expires"),
        pytest.param(["CDN-Cache-Control: max-age=5, s-maxage=6"], 6, True, id="s-maxage-counts-there-too"),
        pytest.param(["CDN-Cache-Control: none", f"Expires: {MINUTE_LATER}"], 600, False, id="expires-is-ignored"),
        pytest.param(["CDN-Cache-Control: none", "Cache-Control: no-store"], 600, False, id="none"),
        pytest.param(["CDN-Cache-Control: &", FRESH], 60, True, id="invalid"),
    ],
)
def test_targeted_fields(lines: list[str], lifetime: float, explicit: bool) -> None:
    decision = decide(*lines, targeted=(b"cdn-cache-control",))
    assert isinstance(decision, Store)
    assert (decision.terms.lifetime, decision.terms.explicit) == (lifetime, explicit)


@pytest.mark.rfc(9213, "2.2")
@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param("no-store, max-age=60", Detail.NO_STORE, id="no-store"),
        pytest.param("private, max-age=60", Detail.PRIVATE, id="private"),
        pytest.param("no-cache, max-age=60", Detail.NOT_REUSABLE, id="no-cache-without-a-validator"),
        pytest.param('max-age="60"', Detail.NOT_REUSABLE, id="wrong-type-is-stale"),
        pytest.param("max-age=0", Detail.NOT_REUSABLE, id="stale"),
    ],
)
def test_targeted_fields_that_forbid(said: str, why: Detail) -> None:
    lines = (f"CDN-Cache-Control: {said}", FRESH, f"Expires: {MINUTE_LATER}")
    assert decide(*lines, targeted=(b"cdn-cache-control",)) == Discard(why)


@pytest.mark.rfc(9213, "2.2")
def test_the_sites_lifetime_beside_a_targeted_field_is_nobody_elses() -> None:
    site = rules(targeted=(b"cdn-cache-control",))
    came = response("CDN-Cache-Control: none", "Cache-Control: no-store", "Expires: 0")
    decision = decide_storing(request(), NO_TERMS, came, TIMES, site)
    assert isinstance(decision, Store)
    assert site_fields(came.fields.raw, decision.terms, site) == came.fields.raw
    assert without_lifetime(came.fields.raw, decision.terms) == came.fields.raw
    page = replace(site, cache_page=Seconds(30))
    decision = decide_storing(request(), NO_TERMS, came, TIMES, page)
    assert isinstance(decision, Store)
    # Django's lesser: Expires says that browsers keep it for no time.
    assert site_fields(came.fields.raw, decision.terms, page) == came.fields.raw


@pytest.mark.rfc(9111, "4.1")
@pytest.mark.parametrize("vary", ['"*"', "a b", "accept, (", "a=b"])
def test_a_vary_that_names_no_fields_matches_nothing(vary: str) -> None:
    assert decide(FRESH, f"Vary: {vary}") == Discard(Detail.VARY_STAR)


@pytest.mark.rfc(9111, "3.1")
@pytest.mark.rfc(9111, "5.2.2.4")
@pytest.mark.rfc(9111, "5.2.2.7")
def test_what_stays_out_of_storage() -> None:
    decision = decide(FRESH, 'Cache-Control: private="x-a", no-cache="X-B"')
    assert isinstance(decision, Store)
    assert decision.withheld == {b"x-a", b"x-b"}
    raw = fields("X-A: 1", "x-b: 2", "x-a: 3", "x-c: 4").raw
    assert without(raw, decision.withheld) == [(b"x-c", b"4")]
    assert without(raw, frozenset()) == raw
