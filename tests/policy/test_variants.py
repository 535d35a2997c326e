"""Which variants are offered for validation, and which is named, by RFC 9111 §4.3.1, §4.3.4?"""

from __future__ import annotations

import pytest

from proxy.policy.ranges import Extent
from proxy.policy.stored import StoredResponse
from proxy.policy.variants import named, offered, offering_fields
from tests.policy.making import response, rules, stored

FRESH = "Cache-Control: max-age=60"
VARY = "Vary: accept-language"


def variant(tag: str, *lines: str, status: int = 200) -> StoredResponse:
    return stored(FRESH, VARY, f"ETag: {tag}", *lines, status=status)


@pytest.mark.rfc(9111, "4.3.1")
def test_all_tags_are_sent_the_latest_first_and_each_once() -> None:
    tagged = offered([variant('"c"'), variant('"a"'), variant('"c"')])
    assert offering_fields(tagged) == [(b"If-None-Match", b'"c", "a"')]


@pytest.mark.rfc(9111, "4.3.1")
@pytest.mark.rfc(9111, "4.3.2")
@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(stored(FRESH, VARY, "Last-Modified: Sun, 09 Sep 2001 00:46:40 GMT"), id="no-tag"),
        pytest.param(variant('W/"a"'), id="weak"),
        pytest.param(variant('"a", "b"'), id="two-tags"),
        pytest.param(variant('"a"', status=404), id="another-status"),
        pytest.param(variant('"a"', "Content-Encoding: gzip"), id="a-coding"),
        pytest.param(variant('"a"', "Vary: Cookie"), id="personal"),
        pytest.param(variant('"a"', "Vary: Authorization"), id="of-somebody-with-credentials"),
        pytest.param(
            stored(FRESH, 'ETag: "a"', site=rules(varied_cookies=(b"cookie:theme",))), id="one-cookie-of-somebody"
        ),
    ],
)
def test_what_is_not_offered(kept: StoredResponse) -> None:
    assert offered([kept]) == ()


@pytest.mark.rfc(9111, "4.3.2")
def test_a_part_is_not_offered() -> None:
    whole = variant('"a"')
    assert offered([StoredResponse(206, whole.head, b"01234", whole.terms, Extent(0, 4, 10))]) == ()


def test_no_more_than_eight() -> None:
    assert [tag for tag, _ in offered([variant(f'"{i}"') for i in range(20)])] == [b'"%d"' % i for i in range(8)]


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.parametrize(
    ("lines", "which"),
    [
        pytest.param(['ETag: "a"'], 0, id="the-first"),
        pytest.param(['ETag: "b"'], 1, id="the-second"),
        pytest.param(['ETag: "c"'], None, id="another"),
        pytest.param(['ETag: W/"a"'], None, id="weak"),
        pytest.param([], None, id="none"),
    ],
)
def test_which_one_a_304_names(lines: list[str], which: int | None) -> None:
    variants = [variant('"a"'), variant('"b"')]
    found = named(offered(variants), response(*lines, status=304))
    assert found is (None if which is None else variants[which])
