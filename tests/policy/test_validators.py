"""Which validators are strong, by RFC 9110 §8.8?"""

from __future__ import annotations

import pytest

from proxy.policy.validators import share_strong, strong_date, strong_tag
from tests.policy.making import HOUR_AGO, MINUTE_AGO, NOW, NOW_DATE, fields

DATE = f"Date: {NOW_DATE}"
SECOND_AGO = "Sun, 09 Sep 2001 01:46:39 GMT"


@pytest.mark.rfc(9110, "8.8")
@pytest.mark.rfc(9110, "8.8.1")
@pytest.mark.rfc(9110, "8.8.3")
@pytest.mark.parametrize(
    ("lines", "strong"),
    [
        pytest.param(['ETag: "a"'], True, id="strong"),
        pytest.param(['ETag: ""'], True, id="empty"),
        pytest.param(['ETag: W/"a"'], False, id="weak"),
        pytest.param(["ETag: a"], False, id="no-quotes"),
        pytest.param(['ETag: "a", "b"'], False, id="two"),
        pytest.param(['ETag: "a"', 'ETag: "a"'], False, id="two-lines"),
        pytest.param(['ETag: "a",'], False, id="a-comma-behind"),
        pytest.param(["ETag:"], False, id="nothing"),
        pytest.param([], False, id="none"),
    ],
)
def test_strong_tag(lines: list[str], strong: bool) -> None:
    assert (strong_tag(fields(*lines)) is not None) is strong


@pytest.mark.rfc(9110, "8.8.2.2")
@pytest.mark.parametrize(
    ("lines", "strong"),
    [
        pytest.param([DATE, f"Last-Modified: {HOUR_AGO}"], True, id="an-hour"),
        pytest.param([DATE, f"Last-Modified: {SECOND_AGO}"], True, id="a-second"),
        pytest.param([DATE, f"Last-Modified: {NOW_DATE}"], False, id="the-same-second"),
        pytest.param([f"Date: {HOUR_AGO}", f"Last-Modified: {NOW_DATE}"], False, id="later"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], False, id="no-date"),
        pytest.param(["Date: x", f"Last-Modified: {HOUR_AGO}"], False, id="unreadable-date"),
        pytest.param([DATE, "Last-Modified: x"], False, id="unreadable"),
        pytest.param([DATE], False, id="none"),
    ],
)
def test_strong_date(lines: list[str], strong: bool) -> None:
    assert (strong_date(fields(*lines), NOW) is not None) is strong


@pytest.mark.rfc(9110, "8.8.3.2")
@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        pytest.param(['ETag: "a"'], ['ETag: "a"'], True, id="tag"),
        pytest.param(['ETag: "a"'], ['ETag: "b"'], False, id="other-tag"),
        pytest.param(['ETag: W/"a"'], ['ETag: W/"a"'], False, id="weak-tags"),
        pytest.param(['ETag: "a"'], ['ETag: W/"a"'], False, id="strong-and-weak"),
        pytest.param([DATE, f"Last-Modified: {HOUR_AGO}"], [DATE, f"Last-Modified: {HOUR_AGO}"], True, id="dates"),
        pytest.param([DATE, f"Last-Modified: {HOUR_AGO}"], [DATE, f"Last-Modified: {MINUTE_AGO}"], False, id="other"),
        pytest.param([DATE, f"Last-Modified: {HOUR_AGO}"], [f"Last-Modified: {HOUR_AGO}"], False, id="one-is-weak"),
        pytest.param(
            ['ETag: "a"', DATE, f"Last-Modified: {HOUR_AGO}"],
            [DATE, f"Last-Modified: {HOUR_AGO}"],
            False,
            id="one-has-a-tag",
        ),
        pytest.param(
            ['ETag: "a"', DATE, f"Last-Modified: {HOUR_AGO}"],
            ['ETag: "b"', DATE, f"Last-Modified: {HOUR_AGO}"],
            False,
            id="a-tag-decides-alone",
        ),
        pytest.param([], [], False, id="nothing"),
    ],
)
def test_share_strong(one: list[str], other: list[str], shared: bool) -> None:
    assert share_strong(fields(*one), fields(*other), NOW) is shared
    assert share_strong(fields(*other), fields(*one), NOW) is shared
