"""Which lifetimes are guessed, and which never, by RFC 9111 §4.2.2?"""

from __future__ import annotations

import pytest

from proxy.config.units import Seconds
from proxy.message.grammar import format_date
from proxy.policy.decisions import Detail, Discard, Store
from proxy.policy.directives import NO_TERMS
from proxy.policy.heuristic import Heuristic
from proxy.policy.storing import decide_storing
from proxy.policy.told import site_fields, without_lifetime
from tests.policy.making import NOW, NOW_DATE, TIMES, request, response, rules

TENTH = Heuristic(0.1, Seconds(86400))
SITE = rules(heuristic=TENTH, site_lifetime=Seconds(0), targeted=(b"cdn-cache-control",))


def ago(seconds: int) -> str:
    return f"Last-Modified: {format_date(NOW - seconds).decode()}"


DAY_AGO = ago(86400)


def decide(*lines: str, status: int = 200, site=SITE, asked: str = ""):  # type: ignore[no-untyped-def]
    asked_by = request(asked) if asked else request()
    return decide_storing(asked_by, NO_TERMS, response(*lines, status=status), TIMES, site)


@pytest.mark.rfc(9111, "4.2.2")
@pytest.mark.parametrize(
    ("lines", "lifetime"),
    [
        pytest.param([DAY_AGO], 8640, id="a-tenth"),
        pytest.param([ago(5)], 0.5, id="fractions-are-kept"),
        pytest.param([ago(86400 * 1000)], 86400, id="the-most"),
        pytest.param([DAY_AGO, f"Date: {NOW_DATE}"], 8640, id="counted-from-date"),
        pytest.param([DAY_AGO, "Date: Sun, 09 Sep 2001 00:46:40 GMT"], 8280, id="counted-from-an-earlier-date"),
        pytest.param([DAY_AGO, "Warning: 113 - heuristic"], 8640, id="warning-is-gone"),
    ],
)
def test_the_lifetime(lines: list[str], lifetime: float) -> None:
    decision = decide(*lines)
    assert isinstance(decision, Store)
    assert decision.terms.lifetime == lifetime
    assert decision.terms.unsaid
    assert not decision.terms.explicit


@pytest.mark.rfc(9111, "4.2.2")
@pytest.mark.parametrize(
    ("lines", "lifetime"),
    [
        pytest.param([DAY_AGO, "Cache-Control: max-age=60"], 60, id="max-age"),
        pytest.param([DAY_AGO, "Cache-Control: s-maxage=60"], 60, id="s-maxage"),
        pytest.param([DAY_AGO, "Expires: Sun, 09 Sep 2001 01:47:40 GMT"], 60, id="expires"),
        pytest.param([DAY_AGO, "CDN-Cache-Control: max-age=60"], 60, id="targeted"),
        pytest.param([DAY_AGO, "Cache-Control: max-age=x"], 0, id="unreadable"),
        pytest.param([DAY_AGO, "Expires: 0"], 0, id="expires-0"),
    ],
)
def test_never_beside_explicit_freshness(lines: list[str], lifetime: float) -> None:
    decision = decide(*lines)
    assert isinstance(decision, Store)
    assert (decision.terms.lifetime, decision.terms.unsaid) == (lifetime, False)


@pytest.mark.rfc(9111, "4.2.2")
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="no-last-modified"),
        pytest.param(["Last-Modified: yesterday"], id="no-date"),
        pytest.param([f"Last-Modified: {NOW_DATE}"], id="just-modified"),
        pytest.param(["Last-Modified: Sun, 09 Sep 2001 01:47:40 GMT"], id="in-the-future"),
    ],
)
def test_nothing_to_guess_by(lines: list[str]) -> None:
    assert decide(*lines) == Discard(Detail.NO_FRESHNESS)


@pytest.mark.rfc(9110, "15.1")
@pytest.mark.rfc(9111, "5.2.2.9")
@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
def test_statuses_that_allow_it(status: int) -> None:
    assert isinstance(decide(DAY_AGO, status=status), Store)


@pytest.mark.rfc(9110, "15.1")
@pytest.mark.rfc(9111, "5.2.2.9")
@pytest.mark.parametrize("status", [201, 202, 302, 303, 307, 400, 403, 451, 500, 502, 503, 504, 599])
def test_other_statuses_only_where_they_are_public(status: int) -> None:
    assert decide(DAY_AGO, status=status) == Discard(Detail.NO_FRESHNESS)
    assert isinstance(decide(DAY_AGO, "Cache-Control: public", status=status), Store)


@pytest.mark.rfc(9111, "4.2.2")
def test_the_operators_lifetime_goes_before() -> None:
    both = rules(heuristic=TENTH, site_lifetime=Seconds(600), status_lifetimes={404: Seconds(0), 5: Seconds(30)})
    assert decide(DAY_AGO, site=both).terms.lifetime == 600
    assert decide(DAY_AGO, site=both, status=501).terms.lifetime == 30
    assert decide(DAY_AGO, site=both, status=410).terms.lifetime == 8640
    assert decide(DAY_AGO, site=both, status=404) == Discard(Detail.NO_FRESHNESS), "0 is the operator's word, too"


@pytest.mark.rfc(9111, "4.2.2")
def test_off_unless_it_is_set() -> None:
    assert decide(DAY_AGO, site=rules(site_lifetime=Seconds(0))) == Discard(Detail.NO_FRESHNESS)


@pytest.mark.rfc(9111, "4.2.2")
def test_a_guess_is_not_for_those_who_have_cookies_or_credentials() -> None:
    assert decide(DAY_AGO, asked="Cookie: sessionid=1") == Discard(Detail.COOKIE)
    assert decide(DAY_AGO, "Cache-Control: must-revalidate", asked="Authorization: x") == Discard(Detail.AUTHORIZATION)
    assert decide(DAY_AGO, "Set-Cookie: a=b") == Discard(Detail.SET_COOKIE)


def test_nobody_downstream_is_told_of_a_guess() -> None:
    came = response(DAY_AGO, "Cache-Control: public", "Expires-Not: x")
    terms = decide(DAY_AGO, "Cache-Control: public").terms
    assert site_fields(came.fields.raw, terms, SITE) == came.fields.raw
    assert without_lifetime(came.fields.raw, terms) == came.fields.raw
