"""How long is a response fresh, and how old is it, by RFC 9111 §4.2?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import Seconds, UnixTime
from proxy.policy.directives import parse_directives
from proxy.policy.freshness import age_value, corrected_initial_age, date_value, explicit_lifetime
from tests.policy.making import HOUR_AGO, MINUTE_AGO, MINUTE_LATER, NOW, NOW_DATE, fields


@pytest.mark.rfc(9111, "4.2")
@pytest.mark.rfc(9111, "4.2.1")
@pytest.mark.rfc(9111, "5.2.2.1")
@pytest.mark.rfc(9111, "5.2.2.10")
@pytest.mark.rfc(9111, "5.3")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], None, id="nothing-said"),
        pytest.param(["Cache-Control: public"], None, id="nothing-about-freshness"),
        pytest.param(["Cache-Control: max-age=60"], 60, id="max-age"),
        pytest.param(["Cache-Control: max-age=0"], 0, id="max-age-zero"),
        pytest.param(["Cache-Control: s-maxage=10"], 10, id="s-maxage"),
        pytest.param(["Cache-Control: max-age=60, s-maxage=10"], 10, id="s-maxage-wins-when-shared"),
        pytest.param(["Cache-Control: s-maxage=100, max-age=60"], 100, id="s-maxage-wins-in-any-order"),
        pytest.param(["Cache-Control: s-max-age=10, max-age=60"], 60, id="s-max-age-is-no-directive"),
        pytest.param(["Cache-Control: x-max-age=10, max-age=60"], 60, id="x-max-age-is-no-directive"),
        pytest.param(["Cache-Control: MAX-AGE=60"], 60, id="without-case"),
        pytest.param(['Cache-Control: max-age="60"'], 60, id="quoted"),
        pytest.param(['Cache-Control: x="max-age=5", max-age=60'], 60, id="argument-of-another"),
        pytest.param(["Cache-Control: max-age=60, max-age=10"], 60, id="the-first-of-two"),
        pytest.param(["Cache-Control: max-age=60", "Cache-Control: max-age=10"], 60, id="the-first-of-two-lines"),
        pytest.param(["Cache-Control: s-maxage=60, s-maxage=10"], 60, id="the-first-s-maxage"),
        pytest.param(["Cache-Control: max-age=x"], 0, id="unreadable-is-stale"),
        pytest.param(["Cache-Control: max-age"], 0, id="no-argument-is-stale"),
        pytest.param(["Cache-Control: max-age=-60"], 0, id="negative-is-stale"),
        pytest.param(["Cache-Control: max-age=60.5"], 0, id="fraction-is-stale"),
        pytest.param(["Cache-Control: max-age='60'"], 0, id="single-quotes-are-stale"),
        pytest.param(["Cache-Control: s-maxage=x, max-age=60"], 0, id="unreadable-s-maxage-is-stale"),
        pytest.param(["Cache-Control: max-age=99999999999"], 2**31, id="overflow"),
        pytest.param(["Cache-Control: max-age=10", f"Expires: {MINUTE_LATER}"], 10, id="max-age-before-expires"),
        pytest.param(["Cache-Control: s-maxage=10", f"Expires: {MINUTE_LATER}"], 10, id="s-maxage-before-expires"),
        pytest.param(["Cache-Control: max-age=60", "Expires: 0"], 60, id="max-age-before-expires-0"),
        pytest.param(["Cache-Control: max-age=0", f"Expires: {MINUTE_LATER}"], 0, id="max-age-0-before-expires"),
        pytest.param([f"Expires: {MINUTE_LATER}"], 60, id="expires"),
        pytest.param([f"Expires: {NOW_DATE}"], 0, id="expires-at-date"),
        pytest.param([f"Expires: {HOUR_AGO}"], 0, id="expires-in-the-past"),
        pytest.param(["Expires: 0"], 0, id="expires-0"),
        pytest.param(["Expires: -1"], 0, id="expires-minus-1"),
        pytest.param(["Expires:"], 0, id="expires-empty"),
        pytest.param(["Expires: never"], 0, id="expires-unreadable"),
        pytest.param(["Expires: Sunday, 09-Sep-01 01:47:40 GMT"], 60, id="expires-rfc850"),
        pytest.param(["Expires: Sun Sep  9 01:47:40 2001"], 60, id="expires-asctime"),
        pytest.param(["Expires: Sun, 9 Sep 2001 01:47:40 GMT"], 0, id="expires-odd-form"),
        pytest.param(["Expires: Sun, 09 Sep 2001 01:47:40 UTC"], 0, id="expires-utc"),
        pytest.param([f"Expires: {MINUTE_LATER}", f"Expires: {MINUTE_LATER}"], 0, id="two-expires-are-stale"),
        pytest.param(["Pragma: max-age=60"], None, id="pragma-says-nothing"),
    ],
)
def test_explicit_lifetime(lines: list[str], expected: float | None) -> None:
    said = fields(*lines)
    assert explicit_lifetime(parse_directives(said.get(b"cache-control")), said, NOW) == expected


@pytest.mark.rfc(9111, "5.1")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], 0, id="none"),
        pytest.param(["Age: 10"], 10, id="number"),
        pytest.param(["Age: 0"], 0, id="zero"),
        pytest.param(["Age: 10, 20"], 10, id="the-first-of-a-list"),
        pytest.param(["Age: 10", "Age: 20"], 10, id="the-first-of-two-lines"),
        pytest.param(["Age: -10"], 0, id="negative"),
        pytest.param(["Age: 10.5"], 0, id="fraction"),
        pytest.param(["Age: x"], 0, id="letters"),
        pytest.param(['Age: "10"'], 0, id="quoted"),
        pytest.param(["Age:"], 0, id="empty"),
        pytest.param(["Age: 99999999999999999999"], 2**31, id="overflow"),
        pytest.param(["Age: 000000000000000010"], 10, id="leading-zeros"),
    ],
)
def test_age_value(lines: list[str], expected: float) -> None:
    assert age_value(fields(*lines)) == expected


@pytest.mark.rfc(9111, "4.2.3")
@pytest.mark.parametrize(
    ("date", "age", "requested", "received", "expected"),
    [
        pytest.param(100, 0, 100, 100, 0, id="at-once"),
        pytest.param(90, 0, 100, 100, 10, id="apparent-age"),
        pytest.param(110, 0, 100, 100, 0, id="date-ahead-of-our-clock"),
        pytest.param(100, 10, 100, 100, 10, id="age-field"),
        pytest.param(100, 10, 100, 105, 15, id="age-and-delay"),
        pytest.param(105, 0, 100, 105, 5, id="delay-alone"),
        pytest.param(80, 10, 100, 105, 25, id="apparent-age-is-greater"),
        pytest.param(100, 20, 100, 105, 25, id="corrected-age-is-greater"),
        pytest.param(90, 10, 100, 100, 10, id="both-equal"),
    ],
)
def test_corrected_initial_age(date: float, age: float, requested: float, received: float, expected: float) -> None:
    assert corrected_initial_age(UnixTime(date), Seconds(age), UnixTime(requested), UnixTime(received)) == expected


@pytest.mark.rfc(9111, "4.2.3")
@given(*[st.integers(0, 10**10)] * 4)
def test_age_is_never_negative_nor_less_than_what_was_said(date: int, age: int, requested: int, delay: int) -> None:
    found = corrected_initial_age(UnixTime(date), Seconds(age), UnixTime(requested), UnixTime(requested + delay))
    assert found >= age + delay >= 0
    assert found >= requested + delay - date


@pytest.mark.rfc(9110, "6.6.1")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([f"Date: {MINUTE_AGO}"], NOW - 60, id="date"),
        pytest.param([], NOW, id="none"),
        pytest.param(["Date: yesterday"], NOW, id="unreadable"),
        pytest.param([f"Date: {MINUTE_AGO}", f"Date: {MINUTE_AGO}"], NOW, id="two"),
    ],
)
def test_date_value(lines: list[str], expected: float) -> None:
    assert date_value(fields(*lines), NOW) == expected
