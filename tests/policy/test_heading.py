"""What does a 200 to HEAD say about what is stored, by RFC 9111 §4.3.5?"""

from __future__ import annotations

import pytest

from proxy.policy.decisions import Freshen
from proxy.policy.heading import Outdated, decide_heading
from tests.policy.making import HOUR_AGO, MINUTE_AGO, RULES, later, request, response, stored

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
WAS = f"Last-Modified: {HOUR_AGO}"
LATER = (later(100), later(100))


@pytest.mark.rfc(9111, "4.3.5")
@pytest.mark.parametrize(
    ("kept", "answer", "expected"),
    [
        pytest.param([TAG], [TAG], Freshen, id="the-same-tag"),
        pytest.param([TAG, WAS], [TAG, WAS], Freshen, id="both"),
        pytest.param([TAG, WAS], [WAS], Freshen, id="one-of-both"),
        pytest.param([WAS], [WAS, "Content-Length: 10"], Freshen, id="date-and-length"),
        pytest.param([TAG], ['ETag: "b"'], Outdated, id="another-tag"),
        pytest.param([TAG], ['ETag: W/"a"'], Outdated, id="weakened-tag"),
        pytest.param([TAG, WAS], [TAG, f"Last-Modified: {MINUTE_AGO}"], Outdated, id="another-date"),
        pytest.param([], [TAG], Outdated, id="a-tag-where-there-was-none"),
        pytest.param([TAG], [TAG, "Content-Length: 11"], Outdated, id="another-length"),
        pytest.param([], ["Content-Length: 11"], Outdated, id="only-another-length"),
        pytest.param([TAG], [TAG, "Cache-Control: no-store"], Outdated, id="not-to-be-stored-any-more"),
        pytest.param([TAG], [TAG, "Set-Cookie: a=b"], Outdated, id="sets-a-cookie"),
        pytest.param([], ["Content-Length: 10"], None, id="the-same-length-shows-nothing"),
        pytest.param([], [], None, id="nothing"),
        pytest.param([TAG], [], None, id="no-validator-any-more"),
    ],
)
def test_a_200(kept: list[str], answer: list[str], expected: type | None) -> None:
    asked = request(method=b"HEAD")
    decision = decide_heading(asked, stored(FRESH, *kept), response(FRESH, *answer), LATER, RULES)
    assert (None if decision is None else type(decision)) is expected


@pytest.mark.rfc(9111, "3.2")
@pytest.mark.rfc(9111, "4.3.5")
def test_what_is_freshened() -> None:
    old = stored(FRESH, TAG, "X-A: 1", "X-B: 1")
    decision = decide_heading(
        request(method=b"HEAD"), old, response("Cache-Control: max-age=5", TAG, "X-A: 2"), LATER, RULES
    )
    assert isinstance(decision, Freshen)
    fresh = decision.stored
    assert (fresh.body, fresh.terms.lifetime, fresh.terms.born) == (old.body, 5, later(100))
    assert (fresh.fields().get(b"x-a"), fresh.fields().get(b"x-b")) == (b"2", b"1")


@pytest.mark.rfc(9111, "4.3.5")
@pytest.mark.parametrize(("was", "status"), [(200, 404), (200, 410), (200, 304), (404, 200)])
def test_other_statuses_say_nothing(was: int, status: int) -> None:
    old = stored(FRESH, TAG, status=was)
    assert decide_heading(request(method=b"HEAD"), old, response(FRESH, TAG, status=status), LATER, RULES) is None
