"""May the cache answer, by RFC 9111 §4, §5.2.1 and RFC 5861?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.config.model import ClientCacheControl
from proxy.message.framing import CHUNKED, Length
from proxy.policy.decisions import Detail, Fetch, ForwardReason, Refuse, Serve, Validate
from proxy.policy.directives import NO_TERMS, RequestTerms, request_terms
from proxy.policy.reuse import bypass, decide_reuse, terms_asked
from tests.policy.making import HOUR_AGO, RULES, later, request, rules, stored

FRESH = "Cache-Control: max-age=60"
ETAG = 'ETag: "a"'


def answer(lines: list[str], asked: list[str], age: float) -> str:
    """The decision in one word, with its reason."""
    asking = request(*asked)
    match decide_reuse(asking, request_terms(asking.fields), stored(*lines), later(age), RULES):
        case Serve(stale=None, refresh=False):
            return "serve"
        case Serve(stale=why, refresh=refresh):
            return f"serve {why}{' refresh' * refresh}"
        case Validate(_, reason, detail):
            return f"validate {reason}" + (f" {detail}" if detail else "")
        case Fetch(reason, detail):
            return f"fetch {reason}" + (f" {detail}" if detail else "")
        case Refuse(detail, status):
            return f"refuse {status} {detail}"
    raise AssertionError


@pytest.mark.rfc(9111, "4")
@pytest.mark.rfc(9111, "4.2")
@pytest.mark.parametrize(
    ("lines", "age", "expected"),
    [
        pytest.param([FRESH], 0, "serve", id="new"),
        pytest.param([FRESH], 59.9, "serve", id="just-fresh"),
        pytest.param([FRESH], 60, "fetch stale", id="as-old-as-its-lifetime"),
        pytest.param([FRESH, ETAG], 60, "validate stale", id="etag"),
        pytest.param([FRESH, f"Last-Modified: {HOUR_AGO}"], 60, "validate stale", id="last-modified"),
        pytest.param([FRESH, "Age: 50"], 9, "serve", id="age-counts-before"),
        pytest.param([FRESH, "Age: 50"], 10, "fetch stale", id="age-counts"),
        pytest.param([], 599, "serve", id="site-lifetime"),
        pytest.param([], 600, "fetch stale", id="site-lifetime-over"),
        pytest.param(["Cache-Control: max-age=0", ETAG], 0, "validate stale", id="max-age-0"),
    ],
)
def test_fresh_or_stale(lines: list[str], age: float, expected: str) -> None:
    assert answer(lines, [], age) == expected
    assert answer(lines, ["Cache-Control: x"], age) == expected


@pytest.mark.rfc(9111, "4.2.4")
@pytest.mark.rfc(9111, "5.2.2.2")
@pytest.mark.rfc(9111, "5.2.2.4")
@pytest.mark.rfc(9111, "5.2.2.8")
@pytest.mark.rfc(9111, "5.2.2.10")
@pytest.mark.rfc(5861, "3")
@pytest.mark.parametrize(
    ("said", "age", "expected"),
    [
        pytest.param("no-cache", 0, "validate stale no-cache", id="no-cache"),
        pytest.param("no-cache, max-age=60", 0, "validate stale no-cache", id="no-cache-wins-over-max-age"),
        pytest.param("no-cache, stale-while-revalidate=60", 0, "validate stale no-cache", id="no-cache-wins-over-swr"),
        pytest.param("max-age=60, must-revalidate", 59, "serve", id="must-revalidate-fresh"),
        pytest.param("max-age=60, must-revalidate", 60, "validate stale", id="must-revalidate"),
        pytest.param("max-age=60, stale-while-revalidate=30", 59, "serve", id="swr-fresh"),
        pytest.param("max-age=60, stale-while-revalidate=30", 60, "serve stale-while-revalidate refresh", id="swr"),
        pytest.param(
            "max-age=60, stale-while-revalidate=30", 89, "serve stale-while-revalidate refresh", id="swr-last"
        ),
        pytest.param("max-age=60, stale-while-revalidate=30", 90, "validate stale", id="swr-over"),
        pytest.param("max-age=60, stale-while-revalidate=0", 60, "validate stale", id="swr-zero"),
        pytest.param("max-age=60, must-revalidate, stale-while-revalidate=30", 60, "validate stale", id="must-wins"),
        pytest.param("max-age=60, proxy-revalidate, stale-while-revalidate=30", 60, "validate stale", id="proxy-wins"),
        pytest.param("s-maxage=60, stale-while-revalidate=30", 60, "validate stale", id="s-maxage-wins"),
    ],
)
def test_stale_by_leave_of_the_origin(said: str, age: float, expected: str) -> None:
    assert answer([f"Cache-Control: {said}", ETAG], [], age) == expected
    assert answer([f"Cache-Control: {said}", ETAG], ["Cache-Control: x"], age) == expected


@pytest.mark.rfc(9111, "5.2.1")
@pytest.mark.rfc(9111, "5.2.1.1")
@pytest.mark.rfc(9111, "5.2.1.2")
@pytest.mark.rfc(9111, "5.2.1.3")
@pytest.mark.rfc(9111, "5.2.1.4")
@pytest.mark.rfc(9111, "5.2.1.7")
@pytest.mark.rfc(9111, "5.4")
@pytest.mark.parametrize(
    ("asked", "said", "age", "expected"),
    [
        pytest.param("no-cache", "max-age=60", 0, "validate request request-no-cache", id="no-cache"),
        pytest.param("max-age=0", "max-age=60", 1, "validate request request-max-age", id="max-age-0"),
        pytest.param("max-age=10", "max-age=60", 10, "serve", id="max-age-just-met"),
        pytest.param("max-age=10", "max-age=60", 11, "validate request request-max-age", id="max-age-exceeded"),
        pytest.param("max-age=100", "max-age=60", 60, "validate stale", id="max-age-makes-nothing-fresher"),
        pytest.param("max-age=x", "max-age=60", 59, "serve", id="max-age-unreadable"),
        pytest.param("min-fresh=10", "max-age=60", 50, "serve", id="min-fresh-just-met"),
        pytest.param("min-fresh=10", "max-age=60", 51, "validate request request-min-fresh", id="min-fresh-missed"),
        pytest.param("max-stale=10", "max-age=60", 59, "serve", id="max-stale-fresh"),
        pytest.param("max-stale=10", "max-age=60", 70, "serve max-stale", id="max-stale-just-met"),
        pytest.param("max-stale=10", "max-age=60", 71, "validate stale", id="max-stale-exceeded"),
        pytest.param("max-stale", "max-age=60", 100000, "serve max-stale", id="max-stale-without-end"),
        pytest.param("max-stale=x", "max-age=60", 61, "validate stale", id="max-stale-unreadable"),
        pytest.param("max-stale", "max-age=60, must-revalidate", 61, "validate stale", id="must-revalidate-wins"),
        pytest.param("max-stale", "max-age=60, proxy-revalidate", 61, "validate stale", id="proxy-revalidate-wins"),
        pytest.param("max-stale", "s-maxage=60", 61, "validate stale", id="s-maxage-wins"),
        pytest.param("max-stale", "no-cache", 0, "validate stale no-cache", id="no-cache-of-the-origin-wins"),
        pytest.param("max-age=10, max-stale=5", "max-age=60", 15, "serve", id="max-age-stretched"),
        pytest.param("max-age=10, max-stale=5", "max-age=60", 16, "validate request request-max-age", id="and-no-more"),
        pytest.param("only-if-cached", "max-age=60", 59, "serve", id="only-if-cached-fresh"),
        pytest.param("only-if-cached", "max-age=60", 60, "refuse 504 only-if-cached", id="only-if-cached-stale"),
        pytest.param("only-if-cached, max-stale", "max-age=60", 60, "serve max-stale", id="only-if-cached-max-stale"),
        pytest.param("only-if-cached, no-cache", "max-age=60", 0, "refuse 504 only-if-cached", id="only-and-no-cache"),
        pytest.param("only-if-cached, max-age=0", "max-age=60", 1, "refuse 504 only-if-cached", id="only-and-max-age"),
        pytest.param("no-store", "max-age=60", 1, "serve", id="no-store-is-about-storing"),
        pytest.param('x="no-cache"', "max-age=60", 1, "serve", id="argument-of-another"),
        pytest.param("x-no-cache", "max-age=60", 1, "serve", id="whole-names-only"),
    ],
)
def test_what_the_request_asks(asked: str, said: str, age: float, expected: str) -> None:
    assert answer([f"Cache-Control: {said}", ETAG], [f"Cache-Control: {asked}"], age) == expected


@pytest.mark.rfc(9111, "4.3.1")
def test_without_a_validator_it_is_fetched() -> None:
    assert answer([FRESH], ["Cache-Control: no-cache"], 0) == "fetch request request-no-cache"
    assert answer([FRESH], ["Pragma: no-cache"], 0) == "fetch request request-no-cache"


@pytest.mark.rfc(9111, "5.2.1.7")
def test_nothing_stored() -> None:
    assert decide_reuse(request(), NO_TERMS, None, later(0), RULES) == Fetch(ForwardReason.URI_MISS)
    only = RequestTerms(only_if_cached=True)
    assert decide_reuse(request(), only, None, later(0), RULES) == Refuse(Detail.ONLY_IF_CACHED, 504)


@pytest.mark.rfc(9111, "3.5")
@pytest.mark.parametrize(
    ("asked", "lines", "expected"),
    [
        pytest.param(["Cookie: sessionid=1"], [], "fetch bypass cookie", id="session"),
        pytest.param(["Cookie: _ga=1"], [], "serve", id="ignored-cookie"),
        pytest.param(["Cookie: sessionid=1"], ["Vary: Cookie"], "serve", id="vary-cookie"),
        pytest.param(["Cookie: sessionid=1"], [FRESH], "serve", id="explicit-freshness"),
        pytest.param(["Authorization: Basic eDp5"], [], "fetch bypass authorization", id="authorization"),
        pytest.param(["Authorization: Basic eDp5"], ["Vary: Authorization"], "serve", id="vary-authorization"),
        pytest.param(["Authorization: Basic eDp5"], [FRESH], "serve", id="authorization-explicit"),
        pytest.param(
            ["Cookie: sessionid=1", "Cache-Control: only-if-cached"],
            [],
            "refuse 504 only-if-cached",
            id="only-if-cached",
        ),
    ],
)
def test_the_site_lifetime_is_for_anonymous_clients(asked: list[str], lines: list[str], expected: str) -> None:
    assert answer(lines, asked, 1) == expected


@pytest.mark.parametrize(
    ("setting", "trusted", "counts"),
    [
        pytest.param(ClientCacheControl.HONOUR, False, True, id="honour"),
        pytest.param(ClientCacheControl.IGNORE, False, False, id="ignore"),
        pytest.param(ClientCacheControl.IGNORE, True, False, id="ignore-even-trusted"),
        pytest.param(ClientCacheControl.TRUSTED, False, False, id="trusted-and-is-not"),
        pytest.param(ClientCacheControl.TRUSTED, True, True, id="trusted"),
    ],
)
@pytest.mark.parametrize("line", ["Cache-Control: no-cache", "Pragma: no-cache"])
@pytest.mark.rfc(9111, "5.2.1")
def test_whose_directives_count(setting: ClientCacheControl, trusted: bool, counts: bool, line: str) -> None:
    asked = terms_asked(request(line, trusted=trusted), rules(client_cache_control=setting))
    assert asked.no_cache is counts


def test_who_asks_nothing_asks_nothing() -> None:
    assert terms_asked(request("Accept: */*"), RULES) is NO_TERMS


@pytest.mark.rfc(9110, "9.3.1")
@pytest.mark.rfc(9110, "13.1.1")
@pytest.mark.rfc(9110, "13.1.4")
@pytest.mark.rfc(9111, "4.3.2")
@pytest.mark.rfc(9211, "2.2")
def test_bypass() -> None:
    for method in (b"GET", b"HEAD"):
        assert bypass(request("If-None-Match: *", "Range: bytes=0-1", method=method)) is None
    for method in (b"POST", b"OPTIONS", b"PURGE", b"get"):
        assert bypass(request(method=method)) == Fetch(ForwardReason.METHOD)
    assert bypass(request(upgrade=b"websocket")) == Fetch(ForwardReason.BYPASS, Detail.UPGRADE)
    for name in ("If-Match", "If-Unmodified-Since"):
        assert bypass(request(f"{name}: x")) == Fetch(ForwardReason.BYPASS, Detail.PRECONDITION)
    for framing in (Length(5), CHUNKED):
        assert bypass(request(framing=framing)) == Fetch(ForwardReason.BYPASS, Detail.REQUEST_BODY)


@pytest.mark.rfc(9111, "4")
def test_a_decision_is_about_the_very_response() -> None:
    kept = stored(FRESH, ETAG)
    served = decide_reuse(request(), NO_TERMS, kept, later(1), RULES)
    asked = decide_reuse(request(), NO_TERMS, kept, later(61), RULES)
    assert isinstance(served, Serve)
    assert isinstance(asked, Validate)
    assert served.stored is asked.stored is kept
    assert replace(asked, reason=ForwardReason.STALE) == asked


@pytest.mark.rfc(8246, "2")
@pytest.mark.rfc(8246, "2.1")
@pytest.mark.parametrize(
    ("asked", "said", "age", "expected"),
    [
        pytest.param("max-age=0", "max-age=60, immutable", 30, "serve", id="a-reload"),
        pytest.param("max-age=10", "immutable, max-age=60", 30, "serve", id="another-age"),
        pytest.param("max-age=0", "max-age=60, immutable=x", 30, "serve", id="arguments-have-no-meaning"),
        pytest.param("no-cache", "max-age=60, immutable", 1, "validate request request-no-cache", id="a-signal"),
        pytest.param(
            "max-age=0", "max-age=60, immutable", 61, "validate request request-max-age", id="stale-as-any-other"
        ),
        pytest.param(
            "max-age=0, immutable", "max-age=60", 1, "validate request request-max-age", id="no-request-directive"
        ),
        pytest.param(
            "min-fresh=40", "max-age=60, immutable", 30, "validate request request-min-fresh", id="min-fresh-counts"
        ),
    ],
)
def test_immutable(asked: str, said: str, age: float, expected: str) -> None:
    assert answer([f"Cache-Control: {said}", ETAG], [f"Cache-Control: {asked}"], age) == expected
