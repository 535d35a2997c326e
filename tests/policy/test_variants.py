"""Which variants are offered for validation, and which is named, by RFC 9111 §4.3.1, §4.3.4?"""

from __future__ import annotations

import pytest

from proxy.policy.ranges import Extent
from proxy.policy.stored import StoredResponse
from proxy.policy.variants import named, offered, offered_tag, offering_fields
from tests.policy.making import response, rules, stored

FRESH = "Cache-Control: max-age=60"
VARY = "Vary: accept-language"


def variant(tag: str, *lines: str, status: int = 200) -> StoredResponse:
    return stored(FRESH, VARY, f"ETag: {tag}", *lines, status=status)


@pytest.mark.rfc(9111, "4.3.1")
def test_all_tags_are_sent_the_latest_first_and_each_once() -> None:
    tags = offered([b'"c"', b'"a"', b'"c"'])
    assert offering_fields(tags) == [(b"If-None-Match", b'"c", "a"')]


@pytest.mark.rfc(9111, "4.3.1")
def test_a_complete_variant_is_known_by_its_strong_tag() -> None:
    assert offered_tag(variant('"a"')) == b'"a"'


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param(b'W/"a"', id="weak"),
        pytest.param(b'"a", "b"', id="two"),
        pytest.param(b'"a"\r\nX: y', id="more-than-a-tag"),
        pytest.param(b"a", id="none"),
        pytest.param(b'"%b"' % (b"a" * 199), id="too-long"),
    ],
)
def test_what_no_variant_can_have_had_is_not_sent(tag: bytes) -> None:
    assert offered([tag, b'"%b"' % (b"a" * 198)]) == (b'"%b"' % (b"a" * 198),)


@pytest.mark.rfc(9111, "4.3.1")
@pytest.mark.rfc(9111, "4.3.2")
@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(stored(FRESH, VARY, "Last-Modified: Sun, 09 Sep 2001 00:46:40 GMT"), id="no-tag"),
        pytest.param(variant('W/"a"'), id="weak"),
        pytest.param(variant('"a", "b"'), id="two-tags"),
        pytest.param(variant('"a"', status=404), id="another-status"),
        pytest.param(variant(f'"{"a" * 199}"'), id="a-tag-too-long"),
        pytest.param(variant('"a"', "Content-Encoding: gzip"), id="a-coding"),
        pytest.param(variant('"a"', "Vary: Cookie"), id="personal"),
        pytest.param(variant('"a"', "Vary: Authorization"), id="of-somebody-with-credentials"),
        pytest.param(
            stored(FRESH, 'ETag: "a"', site=rules(varied_cookies=(b"cookie:theme",))), id="one-cookie-of-somebody"
        ),
    ],
)
def test_what_is_not_offered(kept: StoredResponse) -> None:
    assert offered_tag(kept) is None


@pytest.mark.rfc(9111, "4.3.2")
def test_a_part_is_not_offered() -> None:
    whole = variant('"a"')
    assert offered_tag(StoredResponse(206, whole.head, b"01234", whole.terms, Extent(0, 4, 10))) is None


def test_no_more_than_eight() -> None:
    assert offered(b'"%d"' % number for number in range(20)) == tuple(b'"%d"' % number for number in range(8))


@pytest.mark.rfc(9111, "4.3.4")
@pytest.mark.parametrize(
    ("lines", "which"),
    [
        pytest.param(['ETag: "a"'], b'"a"', id="the-first"),
        pytest.param(['ETag: "b"'], b'"b"', id="the-second"),
        pytest.param(['ETag: "c"'], None, id="another"),
        pytest.param(['ETag: W/"a"'], None, id="weak"),
        pytest.param([], None, id="none"),
    ],
)
def test_which_one_a_304_names(lines: list[str], which: bytes | None) -> None:
    assert named((b'"a"', b'"b"'), response(*lines, status=304)) == which
