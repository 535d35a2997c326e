"""X-Accel-Expires, Surrogate-Control, Edge-Control and Pragma, where the lifetime would be the operator's."""

from __future__ import annotations

import pytest

from proxy.config.units import Seconds
from proxy.policy.decisions import Detail, Discard, Freshen, Store
from proxy.policy.directives import NO_TERMS
from proxy.policy.lifetimes import operators_word
from proxy.policy.said import said
from proxy.policy.storing import decide_storing, hidden_fields
from proxy.policy.surrogate import surrogate_word
from proxy.policy.told import site_fields
from proxy.policy.validation import decide_validation
from tests.policy.making import MINUTE_LATER, NOW, RULES, TIMES, fields, later, request, response, rules, stored

PAST, FUTURE = int(NOW) - 1, int(NOW) + 30


@pytest.mark.parametrize(
    ("line", "lifetime"),
    [
        # nginx 1.22, ngx_http_upstream_process_accel_expires
        pytest.param("X-Accel-Expires: 0", 0, id="accel-0"),
        pytest.param("X-Accel-Expires: 30", 30, id="accel-seconds"),
        pytest.param(f"X-Accel-Expires: @{PAST}", 0, id="accel-past"),
        pytest.param(f"X-Accel-Expires: @{FUTURE}", 30, id="accel-moment"),
        pytest.param("X-Accel-Expires: @0", 0, id="accel-epoch"),
        pytest.param("X-Accel-Expires: off", 0, id="accel-unreadable"),
        pytest.param("X-Accel-Expires: -1", 0, id="accel-negative"),
        # Edge Architecture Specification 1.0
        pytest.param("Surrogate-Control: no-store", 0, id="surrogate-no-store"),
        pytest.param('Surrogate-Control: no-store, content="ESI/1.0"', 0, id="surrogate-content"),
        pytest.param('Surrogate-Control: content="ESI/1.0", no-store', 0, id="surrogate-content-first"),
        pytest.param('Surrogate-Control: no-store; content="ESI/1.0"', 0, id="surrogate-semicolon"),
        pytest.param('Surrogate-Control: content="no-store"', None, id="surrogate-word-in-content"),
        pytest.param("Surrogate-Control: max-age=0", 0, id="surrogate-0"),
        pytest.param("Surrogate-Control: max-age=30+600", 30, id="surrogate-and-stale"),
        pytest.param("Surrogate-Control: max-age=x", 0, id="surrogate-unreadable"),
        pytest.param("Surrogate-Control: no-store;edge1", None, id="for-another-device"),
        pytest.param("Surrogate-Control: no-store;sitecache", 0, id="for-us"),
        pytest.param("Surrogate-Control: max-age=60, max-age=5;sitecache", 5, id="ours-stands-above"),
        pytest.param("Surrogate-Control: max-age=60, max-age=5;edge1", 60, id="others-do-not"),
        pytest.param('Surrogate-Control: content="ESI/1.0"', None, id="surrogate-content-alone"),
        pytest.param("Surrogate-Control: no-store-remote", None, id="we-are-not-remote"),
        pytest.param("Surrogate-Control: private", 0, id="surrogate-private"),
        pytest.param("Surrogate-Control: no-cache", 0, id="surrogate-no-cache"),
        pytest.param("Surrogate-Control: max-age=60; no-store", 0, id="surrogate-semicolon-last"),
        # Akamai
        pytest.param("Edge-Control: no-store; x", 0, id="edge-semicolon"),
        pytest.param("Edge-Control: max-age=5m no-store", 0, id="edge-blank"),
        pytest.param("Edge-Control: no-store", 0, id="edge-no-store"),
        pytest.param("Edge-Control: bypass-cache", 0, id="edge-bypass"),
        pytest.param("Edge-Control: !no-store, max-age=5m", 300, id="edge-taken-back"),
        pytest.param("Edge-Control: max-age=1d, cache-maxage=30s", 30, id="edge-least"),
        pytest.param("Edge-Control: cache-maxage=1h", 3600, id="edge-hours"),
        pytest.param("Edge-Control: max-age=1y", 0, id="edge-unreadable"),
        pytest.param("Edge-Control: dca=esi", None, id="edge-another"),
    ],
)
def test_what_is_said_to_surrogates(line: str, lifetime: int | None) -> None:
    word = surrogate_word(fields(line), NOW)
    assert word.lifetime == lifetime
    assert word.forbids is (lifetime == 0)
    decision = decide_storing(request(), NO_TERMS, response(line), TIMES, RULES)
    if lifetime == 0:
        assert decision == Discard(Detail.NO_STORE)
    else:
        assert isinstance(decision, Store)
        assert decision.terms.lifetime == (600 if lifetime is None else lifetime)
        assert not decision.terms.sharable
    name = line.partition(":")[0].lower().encode()
    assert (name in hidden_fields(response(line), NOW, RULES)) is (lifetime is not None)


def test_the_shortest_counts_of_several() -> None:
    assert surrogate_word(fields("X-Accel-Expires: 60", "Edge-Control: max-age=5s"), NOW).lifetime == 5


@pytest.mark.parametrize(
    "line", ["X-Accel-Expires: 0", "Surrogate-Control: no-store", "Edge-Control: no-store", "Pragma: no-cache"]
)
def test_where_the_application_gives_a_lifetime_they_say_nothing(line: str) -> None:
    for stated in ("Cache-Control: max-age=60", "Cache-Control: s-maxage=60", f"Expires: {MINUTE_LATER}"):
        came = response(line, stated)
        decision = decide_storing(request(), NO_TERMS, came, TIMES, RULES)
        assert isinstance(decision, Store)
        assert decision.terms.lifetime == 60
        assert not decision.terms.no_cache
        assert hidden_fields(came, NOW, RULES) == RULES.hidden


@pytest.mark.parametrize("line", ["X-Accel-Expires: 0", "Surrogate-Control: no-store", "Edge-Control: no-store"])
def test_they_forbid_beside_the_lifetime_of_a_route(line: str) -> None:
    page = rules(cache_page=Seconds(60))
    came = response(line, "Cache-Control: max-age=5")
    assert decide_storing(request(), NO_TERMS, came, TIMES, page) == Discard(Detail.NO_STORE)


def test_a_route_is_longer_than_what_they_limit() -> None:
    came = response("X-Accel-Expires: 5")
    decision = decide_storing(request(), NO_TERMS, came, TIMES, rules(cache_page=Seconds(60)))
    assert isinstance(decision, Store)
    assert decision.terms.lifetime == 60


@pytest.mark.rfc(9111, "5.4")
def test_pragma_means_what_no_cache_does() -> None:
    assert decide_storing(request(), NO_TERMS, response("Pragma: no-cache"), TIMES, RULES) == Discard(
        Detail.NOT_REUSABLE
    )
    decision = decide_storing(request(), NO_TERMS, response("Pragma: no-cache", 'ETag: "a"'), TIMES, RULES)
    assert isinstance(decision, Store)
    assert decision.terms.no_cache
    for known in ("Cookie: a=1", "Authorization: x"):
        assert isinstance(decide_storing(request(known), NO_TERMS, response("Pragma: no-cache"), TIMES, RULES), Discard)


def test_nobody_is_told_of_their_lifetime() -> None:
    came = response("X-Accel-Expires: 30")
    decision = decide_storing(request(), NO_TERMS, came, TIMES, RULES)
    assert isinstance(decision, Store)
    assert site_fields(came.fields.raw, decision.terms, RULES) == came.fields.raw


def test_a_304_that_does_not_repeat_them_makes_nothing_longer() -> None:
    kept = stored("X-Accel-Expires: 5", 'ETag: "a"')
    assert kept.terms.lifetime == 5
    answer = response('ETag: "a"', status=304)
    freshened = decide_validation(request(), kept, answer, (later(10), later(10)), RULES)
    assert isinstance(freshened, Freshen)
    assert freshened.stored.terms.lifetime == 5
    answer = response('ETag: "a"', "X-Accel-Expires: 50", status=304)
    freshened = decide_validation(request(), kept, answer, (later(10), later(10)), RULES)
    assert isinstance(freshened, Freshen)
    assert freshened.stored.terms.lifetime == 50
    assert b"x-accel-expires" not in freshened.stored.head.lower()


def test_cache_control_without_a_lifetime_leaves_them_their_word() -> None:
    came = response("Cache-Control: public", "X-Accel-Expires: 0")
    words = said(came.fields, ())
    assert operators_word(came, words, NOW, RULES).forbids
