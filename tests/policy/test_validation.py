"""What follows from the answer to a validation, by RFC 9111 §4.3, §3.2 and RFC 5861 §4?"""

from __future__ import annotations

import pytest

from proxy.config.units import Seconds
from proxy.errors import UpstreamClosed, UpstreamError, UpstreamGarbage, UpstreamTimeout, UpstreamUnreachable
from proxy.policy.decisions import AskAgain, Freshen, PassOn, Replace, ServeStale, Validation
from proxy.policy.key import Distinctions
from proxy.policy.languages import Languages
from proxy.policy.stored import StoredResponse
from proxy.policy.validation import decide_validation, may_stand_in, updated, validating_fields
from proxy.policy.zones import Zones
from tests.policy.making import (
    HOUR_AGO,
    MINUTE_AGO,
    MINUTE_LATER,
    fields,
    later,
    request,
    response,
    rules,
    stored,
)

FRESH = "Cache-Control: max-age=60"
ETAG = 'ETag: "a"'
THEN = later(100)
"""When the validation was answered."""


def decide(
    kept: StoredResponse, answer: UpstreamError | list[str], status: int = 304, stale_if_error: float = 0
) -> Validation:
    came = response(*answer, status=status) if isinstance(answer, list) else answer
    return decide_validation(request(), kept, came, (THEN, THEN), rules(stale_if_error=Seconds(stale_if_error)))


def freshened(kept: StoredResponse, *lines: str) -> StoredResponse:
    decision = decide(kept, list(lines))
    assert isinstance(decision, Freshen), decision
    return decision.stored


@pytest.mark.rfc(9111, "4.3")
@pytest.mark.rfc(9111, "4.3.1")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], [], id="no-validator"),
        pytest.param([ETAG], [(b"If-None-Match", b'"a"')], id="etag"),
        pytest.param(['ETag: W/"a"'], [(b"If-None-Match", b'W/"a"')], id="weak-etag-as-it-came"),
        pytest.param(
            [f"Last-Modified: {HOUR_AGO}"], [(b"If-Modified-Since", HOUR_AGO.encode())], id="last-modified-as-it-came"
        ),
        pytest.param(
            [f"Last-Modified: {HOUR_AGO}", ETAG],
            [(b"If-None-Match", b'"a"'), (b"If-Modified-Since", HOUR_AGO.encode())],
            id="both",
        ),
    ],
)
def test_what_is_asked(lines: list[str], expected: list[tuple[bytes, bytes]]) -> None:
    assert validating_fields(stored(FRESH, *lines)) == expected


@pytest.mark.rfc(9111, "4.3.3")
@pytest.mark.parametrize("status", [200, 203, 206, 301, 404, 410, 412, 501])
def test_any_other_answer_replaces(status: int) -> None:
    assert decide(stored(FRESH, ETAG), [], status) == Replace()
    assert decide(stored(FRESH, ETAG), [], status, stale_if_error=1000) == Replace()


@pytest.mark.rfc(9111, "4.3.3")
@pytest.mark.rfc(9111, "4.2.4")
@pytest.mark.rfc(9111, "5.2.2.2")
@pytest.mark.rfc(5861, "4")
@pytest.mark.parametrize(
    ("said", "default", "stands_in"),
    [
        pytest.param("max-age=60", 0, False, id="nobody-allows"),
        pytest.param("max-age=60", 41, True, id="the-operator-allows"),
        pytest.param("max-age=60", 40, False, id="the-operator-allowed-for-a-time"),
        pytest.param("max-age=60, stale-if-error=41", 0, True, id="the-origin-allows"),
        pytest.param("max-age=60, stale-if-error=40", 0, False, id="the-origin-allowed-for-a-time"),
        pytest.param("max-age=60, stale-if-error=0", 1000, False, id="the-origin-forbids"),
        pytest.param("max-age=60, stale-if-error=10", 1000, False, id="the-origin-counts-first"),
        pytest.param("max-age=60, stale-while-revalidate=1000", 0, False, id="swr-is-something-else"),
        pytest.param("max-age=60, stale-if-error=1000, must-revalidate", 1000, False, id="must-revalidate"),
        pytest.param("max-age=60, stale-if-error=1000, proxy-revalidate", 1000, False, id="proxy-revalidate"),
        pytest.param("s-maxage=60, stale-if-error=1000", 1000, False, id="s-maxage"),
        pytest.param("max-age=60, stale-if-error=1000, no-cache", 1000, False, id="no-cache"),
        pytest.param("max-age=101", 0, True, id="still-fresh"),
    ],
)
def test_stale_if_error(said: str, default: float, stands_in: bool) -> None:
    kept = stored(f"Cache-Control: {said}", ETAG)
    assert may_stand_in(request(), kept, THEN, rules(stale_if_error=Seconds(default))) is stands_in
    for error in (UpstreamUnreachable, UpstreamTimeout, UpstreamClosed, UpstreamGarbage):
        assert decide(kept, error(), stale_if_error=default) == (ServeStale(kept) if stands_in else PassOn())
    for status in (500, 502, 503, 504):
        assert decide(kept, [], status, default) == (ServeStale(kept) if stands_in else Replace())


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.rfc(9110, "8.8.3.2")
@pytest.mark.parametrize(
    ("kept", "answer", "holds"),
    [
        pytest.param([ETAG], [ETAG], True, id="same-etag"),
        pytest.param(['ETag: W/"a"'], ['ETag: W/"a"'], True, id="same-weak-etag"),
        pytest.param([ETAG], ['ETag: W/"a"'], True, id="weak-answer"),
        pytest.param([ETAG], ['ETag: "b"'], False, id="another-etag"),
        pytest.param([ETAG], ['ETag: W/"b"'], False, id="another-weak-etag"),
        pytest.param([ETAG], [], True, id="no-validator-in-the-answer"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], [], True, id="no-validator-in-the-answer-to-a-date"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], [f"Last-Modified: {HOUR_AGO}"], True, id="same-date"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], [f"Last-Modified: {MINUTE_AGO}"], False, id="another-date"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], [ETAG], False, id="an-etag-we-do-not-have"),
        pytest.param(
            [f"Last-Modified: {HOUR_AGO}"], [f"Last-Modified: {HOUR_AGO}", ETAG], True, id="same-date-and-a-new-etag"
        ),
        pytest.param(
            [ETAG, f"Last-Modified: {HOUR_AGO}"], [ETAG, f"Last-Modified: {MINUTE_AGO}"], True, id="etag-before-date"
        ),
        pytest.param(
            [ETAG, f"Last-Modified: {HOUR_AGO}"], ['ETag: "b"', f"Last-Modified: {HOUR_AGO}"], False, id="etag-decides"
        ),
        pytest.param([ETAG, f"Last-Modified: {HOUR_AGO}"], [f"Last-Modified: {MINUTE_AGO}"], False, id="date-alone"),
    ],
)
def test_which_304_is_about_the_stored_response(kept: list[str], answer: list[str], holds: bool) -> None:
    decision = decide(stored(FRESH, *kept), answer)
    assert isinstance(decision, Freshen) if holds else decision == AskAgain()


@pytest.mark.rfc(9111, "3.2")
@pytest.mark.rfc(9111, "3.1")
@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.parametrize(
    ("kept", "answer", "expected"),
    [
        pytest.param(["X-A: 1"], [], ["X-A: 1"], id="nothing-new"),
        pytest.param(["X-A: 1"], ["x-a: 2"], ["x-a: 2"], id="replaced-without-case"),
        pytest.param(["X-A: 1", "X-B: 2"], ["X-C: 3"], ["X-A: 1", "X-B: 2", "X-C: 3"], id="added"),
        pytest.param(["X-A: 1", "X-A: 2"], ["X-A: 3"], ["X-A: 3"], id="all-lines-of-a-name-replaced"),
        pytest.param(["X-A: 1"], ["X-A: 2", "X-A: 3"], ["X-A: 2", "X-A: 3"], id="by-all-lines-of-a-name"),
        pytest.param(["Content-Length: 10"], ["Content-Length: 0"], ["Content-Length: 10"], id="not-content-length"),
        pytest.param(
            ["Content-Encoding: gzip"], ["Content-Encoding: br"], ["Content-Encoding: gzip"], id="not-encoding"
        ),
        pytest.param([], ["Content-Range: bytes 0-1/2"], [], id="not-content-range"),
        pytest.param([], ["Transfer-Encoding: chunked"], [], id="not-transfer-encoding"),
        pytest.param([], ["Connection: close, x-a", "X-A: 1", "Keep-Alive: x"], [], id="not-hop-by-hop"),
        pytest.param(["Content-Type: a/b"], ["Content-Type: c/d"], ["Content-Type: c/d"], id="content-type"),
        pytest.param(["Date: x", "X-A: 1"], [], ["X-A: 1"], id="a-date-that-is-too-old"),
        pytest.param(["Date: x"], ["Date: y"], ["Date: y"], id="date"),
        pytest.param([], ["Age: 7"], ["Age: 7"], id="age-to-count-from"),
    ],
)
def test_updated(kept: list[str], answer: list[str], expected: list[str]) -> None:
    assert updated(fields(*kept), response(*answer, status=304)) == fields(*expected).raw


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.rfc(9111, "4.2.3")
def test_a_freshened_response_counts_from_the_304() -> None:
    kept = stored(FRESH, ETAG, f"Date: {HOUR_AGO}", "X-A: 1")
    fresh = freshened(kept, "X-A: 2", "Age: 7")
    assert fresh.terms.age(THEN) == 7
    assert fresh.fresh_until == THEN + 60 - 7
    assert fresh.fields().get(b"x-a") == b"2"
    assert b"age" not in fresh.fields()
    assert (fresh.body, fresh.status) == (kept.body, kept.status)
    assert kept.fields().get(b"x-a") == b"1"
    assert fresh.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert fresh.head.endswith(b"\r\n")


@pytest.mark.rfc(9110, "6.6.1")
def test_a_304_without_a_date_gets_that_of_its_reception() -> None:
    kept = stored(FRESH, ETAG, f"Date: {HOUR_AGO}", "Age: 1", "Cache-Control: max-age=9999")
    assert freshened(kept).fields().lines(b"date") == [b"Sun, 09 Sep 2001 01:48:20 GMT"]
    assert freshened(kept, f"Date: {MINUTE_LATER}").fields().lines(b"date") == [MINUTE_LATER.encode()]


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.parametrize(
    ("kept", "answer", "lifetime", "explicit"),
    [
        pytest.param([FRESH], ["Cache-Control: max-age=5"], 5, True, id="a-new-lifetime"),
        pytest.param([f"Expires: {MINUTE_LATER}"], [FRESH], 60, True, id="max-age-for-expires"),
        pytest.param([FRESH], [], 60, True, id="the-old-lifetime-again"),
        pytest.param([], [], 600, False, id="the-site-lifetime-again"),
        pytest.param(["Cache-Control: public"], [], 600, False, id="the-site-lifetime-again-beside-public"),
        pytest.param([], ["Cache-Control: public"], 600, False, id="the-site-lifetime-with-public"),
        pytest.param([], ["Cache-Control: max-age=5"], 5, True, id="explicit-from-now-on"),
        pytest.param([], ["Expires: Sun, 09 Sep 2001 01:49:20 GMT"], 60, True, id="expires-from-now-on"),
        pytest.param([FRESH], ["Cache-Control: public"], 600, False, id="explicit-no-more"),
        pytest.param(["Cache-Control: no-cache"], [], 600, False, id="no-cache"),
    ],
)
def test_the_lifetime_after_a_304(kept: list[str], answer: list[str], lifetime: float, explicit: bool) -> None:
    terms = freshened(stored(*kept, ETAG), *answer).terms
    assert (terms.lifetime, terms.explicit) == (lifetime, explicit)
    assert terms.age(THEN) == 0


def test_the_site_lifetime_is_written_anew_and_once() -> None:
    kept = stored("Cache-Control: public", ETAG)
    once = freshened(kept)
    twice = freshened(once)
    assert once.head == twice.head
    assert once.fields().lines(b"expires") == [b"Sun, 09 Sep 2001 01:58:20 GMT"]
    assert once.fields().lines(b"cache-control") == [b"public, max-age=600"]
    gone = freshened(once, "Cache-Control: max-age=5")
    assert gone.fields().lines(b"expires") == []
    assert gone.fields().lines(b"cache-control") == [b"max-age=5"]
    assert freshened(kept, "X-A: b").fields().get(b"x-a") == b"b"
    assert freshened(stored(ETAG)).fields().lines(b"cache-control") == [b"max-age=600"]


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.rfc(9111, "3")
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Set-Cookie: a=b", id="set-cookie"),
        pytest.param("Cache-Control: no-store", id="no-store"),
        pytest.param("Cache-Control: private", id="private"),
        pytest.param("Vary: *", id="vary-star"),
        pytest.param('ETag: "b"', id="another-etag"),
    ],
)
def test_a_304_that_must_not_touch_what_is_stored(line: str) -> None:
    assert decide(stored(FRESH, ETAG), [line]) == AskAgain()


def test_a_304_that_stops_what_was_no_cache() -> None:
    kept = stored("Cache-Control: no-cache", ETAG)
    assert kept.fresh_until == 0
    assert freshened(kept, FRESH).fresh_until == THEN + 60
    assert freshened(kept).fresh_until == 0


def test_how_long_a_freshened_response_is_kept() -> None:
    decision = decide(stored(FRESH, ETAG), ["Cache-Control: max-age=5, stale-if-error=100000"])
    assert isinstance(decision, Freshen)
    assert decision.retention == 100005


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.parametrize("said", [[], ["Vary: Accept"], ["Vary: Cookie"], ["Content-Language: fr"]])
def test_a_freshened_response_of_a_site_in_several_languages_varies_as_before(said: list[str]) -> None:
    languages = Languages(("en", "fr"), "en", b"lang")
    site = rules(distinctions=Distinctions((), languages, Zones(("UTC",), "UTC", b"cookie:tz")))
    kept = stored(FRESH, ETAG, *said, site=site)
    decision = decide_validation(request(), kept, response(status=304), (THEN, THEN), site)
    assert isinstance(decision, Freshen)
    assert decision.stored.terms.vary == kept.terms.vary
    assert decision.stored.fields().get(b"vary") == kept.fields().get(b"vary")
