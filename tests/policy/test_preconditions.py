"""Which part does the client want, by RFC 9110 §13 and §14?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import Seconds, UnixTime
from proxy.policy.decisions import Store
from proxy.policy.directives import NO_TERMS
from proxy.policy.preconditions import (
    WHOLE,
    NotModified,
    Parts,
    Unsatisfiable,
    Wanted,
    Whole,
    at_a_glance,
    has_preconditions,
    is_covered,
    wanted,
)
from proxy.policy.ranges import Extent, Part
from proxy.policy.stored import StoredResponse
from proxy.policy.storing import decide_storing
from tests.policy.making import HOUR_AGO, MINUTE_AGO, MINUTE_LATER, NOW, NOW_DATE, request, response, rules, stored

FRESH = "Cache-Control: max-age=600"
SECOND_AGO = "Sun, 09 Sep 2001 01:46:39 GMT"
DATE = f"Date: {NOW_DATE}"
NONE_MATCH, SINCE, RANGE, IF_RANGE = "If-None-Match: ", "If-Modified-Since: ", "Range: ", "If-Range: "
NOT_MODIFIED = NotModified()
UNSATISFIABLE = Unsatisfiable()


def want(lines: list[str], *asked: str, method: bytes = b"GET", size: int | None = 10) -> Wanted:
    kept = stored(FRESH, *lines)
    return wanted(request(*asked, method=method), kept, size, NOW)


@pytest.mark.rfc(9110, "13")
@pytest.mark.rfc(9110, "13.1.2")
@pytest.mark.rfc(9110, "8.8.3.2")
@pytest.mark.rfc(9111, "4.3.2")
@pytest.mark.parametrize(
    ("etag", "asked", "expected"),
    [
        pytest.param('"a"', '"a"', NOT_MODIFIED, id="strong"),
        pytest.param('W/"a"', 'W/"a"', NOT_MODIFIED, id="weak"),
        pytest.param('"a"', 'W/"a"', NOT_MODIFIED, id="weak-asked"),
        pytest.param('W/"a"', '"a"', NOT_MODIFIED, id="weak-stored"),
        pytest.param('"a"', '"b"', WHOLE, id="another"),
        pytest.param('"a"', '"A"', WHOLE, id="tags-have-case"),
        pytest.param('"a"', '"b", W/"c" ,"a"', NOT_MODIFIED, id="in-a-list"),
        pytest.param('"a"', '"b","c"', WHOLE, id="not-in-a-list"),
        pytest.param('"a"', '"b", , "a"', NOT_MODIFIED, id="list-with-an-empty-member"),
        pytest.param('"a,b"', '"a,b"', NOT_MODIFIED, id="comma-inside"),
        pytest.param('"a"', '"a,b"', WHOLE, id="comma-inside-is-no-list"),
        pytest.param('"a"', "*", NOT_MODIFIED, id="star"),
        pytest.param('"a"', '"*"', WHOLE, id="quoted-star"),
        pytest.param('"a"', '*, "b"', WHOLE, id="star-in-a-list"),
        pytest.param(None, "*", NOT_MODIFIED, id="star-without-etag"),
        pytest.param(None, '"a"', WHOLE, id="no-etag"),
        pytest.param('"a"', "a", WHOLE, id="no-quotes"),
        pytest.param("a", "a", NOT_MODIFIED, id="no-quotes-on-either-side"),
        pytest.param("a", '"a"', WHOLE, id="no-quotes-stored"),
        pytest.param('"a"', "", WHOLE, id="empty"),
        pytest.param('""', '""', NOT_MODIFIED, id="empty-tags"),
        pytest.param('"a", "b"', '"a"', WHOLE, id="two-tags-stored"),
        pytest.param('"a"', 'w/"a"', WHOLE, id="lower-case-w"),
    ],
)
def test_if_none_match(etag: str | None, asked: str, expected: Wanted) -> None:
    lines = [f"ETag: {etag}"] if etag is not None else []
    for method in (b"GET", b"HEAD"):
        assert want(lines, NONE_MATCH + asked, method=method) == expected


def test_if_none_match_in_two_lines() -> None:
    assert want(['ETag: "a"'], NONE_MATCH + '"b"', NONE_MATCH + '"a"') == NOT_MODIFIED


@pytest.mark.rfc(9110, "13.1.3")
@pytest.mark.rfc(9111, "4.3.2")
@pytest.mark.parametrize(
    ("lines", "asked", "expected"),
    [
        pytest.param([f"Last-Modified: {HOUR_AGO}"], HOUR_AGO, NOT_MODIFIED, id="equal"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], MINUTE_AGO, NOT_MODIFIED, id="later"),
        pytest.param([f"Last-Modified: {MINUTE_AGO}"], HOUR_AGO, WHOLE, id="earlier"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], "Sunday, 09-Sep-01 00:46:40 GMT", NOT_MODIFIED, id="rfc850"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], "0", WHOLE, id="no-date"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], "", WHOLE, id="empty"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], f"{HOUR_AGO}, {HOUR_AGO}", WHOLE, id="two-members"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], f"{HOUR_AGO}; length=5", WHOLE, id="netscape-length"),
        pytest.param(["Last-Modified: x"], HOUR_AGO, WHOLE, id="unreadable-stored"),
        pytest.param([DATE], NOW_DATE, NOT_MODIFIED, id="date-stands-in"),
        pytest.param([DATE], MINUTE_AGO, WHOLE, id="date-stands-in-and-is-later"),
        pytest.param([DATE], MINUTE_LATER, NOT_MODIFIED, id="date-stands-in-and-is-earlier"),
        pytest.param([DATE, "Age: 100"], MINUTE_AGO, WHOLE, id="date-and-not-age"),
        pytest.param([], MINUTE_LATER, NOT_MODIFIED, id="reception-stands-in"),
        pytest.param([], MINUTE_AGO, WHOLE, id="reception-stands-in-and-is-later"),
        pytest.param([f"Last-Modified: {MINUTE_AGO}", DATE], HOUR_AGO, WHOLE, id="date-does-not-replace"),
    ],
)
def test_if_modified_since(lines: list[str], asked: str, expected: Wanted) -> None:
    for method in (b"GET", b"HEAD"):
        assert want(lines, SINCE + asked, method=method) == expected


@pytest.mark.rfc(9110, "13.2.2")
@pytest.mark.parametrize(
    ("none_match", "since", "expected"),
    [
        pytest.param('"b"', HOUR_AGO, WHOLE, id="no-match-and-unmodified"),
        pytest.param('"a"', "Sun, 09 Sep 2001 00:00:00 GMT", NOT_MODIFIED, id="match-and-modified"),
        pytest.param("", HOUR_AGO, WHOLE, id="empty-is-present"),
    ],
)
def test_if_none_match_comes_first(none_match: str, since: str, expected: Wanted) -> None:
    assert want(['ETag: "a"', f"Last-Modified: {HOUR_AGO}"], NONE_MATCH + none_match, SINCE + since) == expected


@pytest.mark.rfc(9110, "13.2.1")
@pytest.mark.parametrize("status", [404, 301, 500])
def test_preconditions_are_for_200(status: int) -> None:
    kept = stored(FRESH, 'ETag: "a"', status=status)
    for line in (NONE_MATCH + '"a"', NONE_MATCH + "*", RANGE + "bytes=0-1", SINCE + MINUTE_LATER):
        assert wanted(request(line), kept, 10, NOW) == WHOLE


@pytest.mark.rfc(9110, "14.1")
@pytest.mark.rfc(9110, "14.1.1")
@pytest.mark.rfc(9110, "14.1.2")
@pytest.mark.rfc(9110, "14.2")
@pytest.mark.rfc(9110, "14")
@pytest.mark.parametrize(
    ("value", "size", "expected"),
    [
        pytest.param("bytes=0-4", 10, Part(0, 4), id="the-first-five"),
        pytest.param("bytes=5-9", 10, Part(5, 9), id="the-last-five"),
        pytest.param("bytes=0-0", 10, Part(0, 0), id="the-first-byte"),
        pytest.param("bytes=9-9", 10, Part(9, 9), id="the-last-byte"),
        pytest.param("bytes=5-", 10, Part(5, 9), id="to-the-end"),
        pytest.param("bytes=0-", 10, Part(0, 9), id="all"),
        pytest.param("bytes=9-", 10, Part(9, 9), id="from-the-last-byte"),
        pytest.param("bytes=5-10", 10, Part(5, 9), id="last-is-the-size"),
        pytest.param("bytes=5-999999999999999999", 10, Part(5, 9), id="last-is-large"),
        pytest.param("bytes=10-", 10, UNSATISFIABLE, id="first-is-the-size"),
        pytest.param("bytes=10-20", 10, UNSATISFIABLE, id="outside"),
        pytest.param("bytes=999999999999999999-", 10, UNSATISFIABLE, id="far-outside"),
        pytest.param("bytes=-5", 10, Part(5, 9), id="suffix"),
        pytest.param("bytes=-1", 10, Part(9, 9), id="suffix-of-one"),
        pytest.param("bytes=-10", 10, Part(0, 9), id="suffix-is-the-size"),
        pytest.param("bytes=-11", 10, Part(0, 9), id="suffix-is-longer"),
        pytest.param("bytes=-0", 10, UNSATISFIABLE, id="suffix-of-nothing"),
        pytest.param("bytes=0-", 0, UNSATISFIABLE, id="empty-from-0"),
        pytest.param("bytes=0-0", 0, UNSATISFIABLE, id="empty-first-byte"),
        pytest.param("bytes=-0", 0, UNSATISFIABLE, id="empty-suffix-of-nothing"),
        pytest.param("bytes=-5", 0, WHOLE, id="empty-suffix-is-satisfiable"),
        pytest.param("bytes=4-3", 10, WHOLE, id="last-before-first"),
        pytest.param("bytes=40-30", 10, WHOLE, id="last-before-first-outside"),
        pytest.param("bytes=-", 10, WHOLE, id="neither"),
        pytest.param("bytes=", 10, WHOLE, id="nothing"),
        pytest.param("bytes", 10, WHOLE, id="no-equals"),
        pytest.param("", 10, WHOLE, id="empty"),
        pytest.param("0-4", 10, WHOLE, id="no-unit"),
        pytest.param("items=0-4", 10, WHOLE, id="another-unit"),
        pytest.param("Bytes=0-4", 10, Part(0, 4), id="the-unit-has-no-case"),
        pytest.param("bytes=0-1,3-4", 10, Part(0, 4), id="two-ranges-near-each-other"),
        pytest.param("bytes=0-1,500-501", 1000, Parts((Part(0, 1), Part(500, 501))), id="two-ranges"),
        pytest.param("bytes=-2,0-1", 1000, Parts((Part(998, 999), Part(0, 1))), id="two-ranges-in-their-order"),
        pytest.param("bytes=0-1, 20-30", 10, Part(0, 1), id="two-ranges-one-outside"),
        pytest.param("bytes=20-30, 30-40", 10, UNSATISFIABLE, id="two-ranges-outside"),
        pytest.param("bytes=0--4", 10, WHOLE, id="two-dashes"),
        pytest.param("bytes=--4", 10, WHOLE, id="negative-suffix"),
        pytest.param("bytes=+0-4", 10, WHOLE, id="plus"),
        pytest.param("bytes=0x0-4", 10, WHOLE, id="hexadecimal"),
        pytest.param("bytes=0-4x", 10, WHOLE, id="text-behind"),
        pytest.param("bytes=a-b", 10, WHOLE, id="letters"),
        pytest.param("bytes=0 - 4", 10, WHOLE, id="spaces-around-dash"),
        pytest.param("bytes =0-4", 10, WHOLE, id="space-before-equals"),
        pytest.param("bytes= 0-4", 10, Part(0, 4), id="space-behind-equals"),
        pytest.param("bytes=0-" + "9" * 5000, 10, Part(0, 9), id="more-digits-than-anyone-needs"),
        pytest.param("bytes=0-4", None, WHOLE, id="size-not-known-yet"),
        pytest.param("bytes=20-", None, WHOLE, id="size-not-known-yet-outside"),
    ],
)
def test_range(value: str, size: int | None, expected: Wanted) -> None:
    assert want([], RANGE + value, size=size) == expected
    assert want([], RANGE + value, size=size, method=b"HEAD") == WHOLE


@pytest.mark.rfc(9110, "14.2")
def test_a_range_comes_after_the_preconditions() -> None:
    lines = ['ETag: "a"', f"Last-Modified: {HOUR_AGO}"]
    assert want(lines, NONE_MATCH + '"a"', RANGE + "bytes=0-1") == NOT_MODIFIED
    assert want(lines, NONE_MATCH + '"b"', RANGE + "bytes=0-1") == Part(0, 1)
    assert want(lines, SINCE + HOUR_AGO, RANGE + "bytes=0-1") == NOT_MODIFIED


@pytest.mark.rfc(9110, "13.1.5")
@pytest.mark.rfc(9110, "8.8.2.2")
@pytest.mark.rfc(9110, "8.8.3.2")
@pytest.mark.parametrize(
    ("lines", "asked", "holds"),
    [
        pytest.param(['ETag: "a"'], '"a"', True, id="strong"),
        pytest.param(['ETag: "a"'], '"b"', False, id="another"),
        pytest.param(['ETag: "a"'], 'W/"a"', False, id="weak-asked"),
        pytest.param(['ETag: W/"a"'], '"a"', False, id="weak-stored"),
        pytest.param(['ETag: W/"a"'], 'W/"a"', False, id="weak-on-both-sides"),
        pytest.param(['ETag: "a"'], '"a", "b"', False, id="list"),
        pytest.param(['ETag: "a"'], "a", False, id="no-quotes"),
        pytest.param(['ETag: "a"'], "*", False, id="star"),
        pytest.param(['ETag: "a"'], "", False, id="empty"),
        pytest.param([], '"a"', False, id="no-etag"),
        pytest.param([DATE, f"Last-Modified: {HOUR_AGO}"], HOUR_AGO, True, id="date"),
        pytest.param([DATE, f"Last-Modified: {HOUR_AGO}"], MINUTE_AGO, False, id="date-later"),
        pytest.param([DATE, f"Last-Modified: {HOUR_AGO}"], "Sunday, 09-Sep-01 00:46:40 GMT", False, id="other-text"),
        pytest.param([DATE, f"Last-Modified: {NOW_DATE}"], NOW_DATE, False, id="date-of-the-same-second-is-weak"),
        pytest.param([DATE, f"Last-Modified: {SECOND_AGO}"], SECOND_AGO, True, id="a-second-is-enough"),
        pytest.param([DATE, "Last-Modified: x"], "x", False, id="equal-but-no-date"),
        pytest.param([f"Last-Modified: {HOUR_AGO}"], HOUR_AGO, False, id="without-date-it-is-weak"),
    ],
)
def test_if_range(lines: list[str], asked: str, holds: bool) -> None:
    assert want(lines, RANGE + "bytes=0-1", IF_RANGE + asked) == (Part(0, 1) if holds else WHOLE)
    assert want(lines, IF_RANGE + asked) == WHOLE


@pytest.mark.rfc(9110, "8.8.2.2")
@pytest.mark.parametrize("site_lifetime", [True, False])
def test_if_range_counts_on_the_date_of_the_origin_not_on_our_clock(site_lifetime: bool) -> None:
    said = [] if site_lifetime else [FRESH]
    came = response(*said, f"Date: {HOUR_AGO}", f"Last-Modified: {HOUR_AGO}")
    decision = decide_storing(request(), NO_TERMS, came, (NOW, NOW), rules(site_lifetime=Seconds(9999)))
    assert isinstance(decision, Store)
    kept = StoredResponse(200, came.head(), b"", decision.terms)
    asking = request(RANGE + "bytes=0-1", IF_RANGE + HOUR_AGO)
    assert wanted(asking, kept, 10, UnixTime(NOW + 1)) == WHOLE


@given(st.binary(max_size=30) | st.text(alphabet="bytes=-,0123 9", max_size=20).map(str.encode), st.integers(0, 20))
def test_a_part_lies_inside(value: bytes, size: int) -> None:
    match want([], RANGE + value.decode("latin-1"), size=size):
        case Part(first, last):
            assert 0 <= first <= last < size
        case other:
            assert isinstance(other, Whole | Unsatisfiable), "so little has no parts worth sending apart"


def partial(first: int, last: int, *lines: str) -> StoredResponse:
    """A part of a representation of 1,000 bytes."""
    kept = stored(FRESH, *lines)
    return StoredResponse(206, kept.head, b"x" * (last - first + 1), kept.terms, Extent(first, last, 1000))


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(["Range: bytes=100-199"], True, id="all-of-it"),
        pytest.param(["Range: bytes=150-150"], True, id="within"),
        pytest.param(["Range: bytes=99-199"], False, id="a-byte-before"),
        pytest.param(["Range: bytes=100-200"], False, id="a-byte-behind"),
        pytest.param(["Range: bytes=0-50"], False, id="elsewhere"),
        pytest.param(["Range: bytes=100-"], False, id="to-the-end"),
        pytest.param(["Range: bytes=-900"], False, id="suffix"),
        pytest.param(["Range: bytes=1000-"], False, id="outside"),
        pytest.param(["Range: lines=100-199"], False, id="another-unit"),
        pytest.param(["Range: bytes=100-101,198-199"], True, id="two-within"),
        pytest.param(["Range: bytes=100-101,500-501"], False, id="one-of-two-within"),
        pytest.param([], False, id="the-whole"),
        pytest.param(["Range: bytes=100-199", 'If-Range: "a"'], True, id="if-range-holds"),
        pytest.param(["Range: bytes=100-199", 'If-Range: "b"'], False, id="if-range-does-not"),
        pytest.param(["Range: bytes=0-50", 'If-None-Match: "a"'], False, id="a-precondition-of-what-is-not-there"),
    ],
)
def test_what_a_stored_part_covers(asked: list[str], expected: bool) -> None:
    kept = partial(100, 199, 'ETag: "a"')
    assert is_covered(request(*asked), kept, NOW) is expected
    assert is_covered(request(*asked, method=b"HEAD"), kept, NOW) is False
    assert is_covered(request(*asked), stored(FRESH), NOW), "a complete response has everything"


@pytest.mark.rfc(9111, "3.3")
def test_a_stored_part_to_the_end_answers_suffixes() -> None:
    kept = partial(900, 999)
    assert is_covered(request("Range: bytes=-100"), kept, NOW)
    assert is_covered(request("Range: bytes=950-"), kept, NOW)
    assert is_covered(request("Range: bytes=950-5000"), kept, NOW)
    assert not is_covered(request("Range: bytes=-101"), kept, NOW)
    far = partial(800, 999)
    assert is_covered(request("Range: bytes=-1,800-801"), far, NOW)
    assert wanted(request("Range: bytes=-1,800-801"), far, 1000, NOW) == Parts((Part(999, 999), Part(800, 801)))


@pytest.mark.rfc(9111, "4.3.2")
def test_preconditions_are_evaluated_on_a_stored_part() -> None:
    kept = partial(100, 199, 'ETag: "a"')
    assert wanted(request("Range: bytes=100-199", 'If-None-Match: "a"'), kept, 1000, NOW) == NOT_MODIFIED
    assert wanted(request("Range: bytes=100-109", 'If-None-Match: "b"'), kept, 1000, NOW) == Part(100, 109)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("If-None-Match: x", True, id="if-none-match"),
        pytest.param("If-Modified-Since: x", True, id="if-modified-since"),
        pytest.param("Range: x", True, id="range"),
        pytest.param("If-Range: x", False, id="if-range-alone-says-nothing"),
        pytest.param("Accept: x", False, id="neither"),
    ],
)
@pytest.mark.rfc(9110, "13.1.5")
def test_has_preconditions(line: str, expected: bool) -> None:
    assert has_preconditions(request(line)) is expected


TAGGED = stored(FRESH, 'ETag: "a"')


@pytest.mark.parametrize(
    ("kept", "asked", "expected"),
    [
        pytest.param(TAGGED, ['If-None-Match: "a"'], NOT_MODIFIED, id="its-tag"),
        pytest.param(TAGGED, ['If-None-Match: "a"', "Range: bytes=0-4"], NOT_MODIFIED, id="its-tag-before-a-range"),
        pytest.param(TAGGED, ['If-None-Match: "b", "a"'], None, id="one-of-several"),
        pytest.param(TAGGED, ['If-None-Match: "b"'], None, id="another"),
        pytest.param(TAGGED, ['If-None-Match: "b"', "Range: bytes=0-4"], None, id="another-before-a-range"),
        pytest.param(stored(FRESH), ['If-None-Match: "a"'], None, id="no-tag-is-stored"),
        pytest.param(TAGGED, [], None, id="nothing-is-asked"),
        pytest.param(stored(FRESH, 'ETag: "a"', status=404), ['If-None-Match: "a"'], None, id="not-found"),
        pytest.param(stored(FRESH, status=404), ["Range: bytes=0-4"], None, id="a-range-of-what-is-not-found"),
        pytest.param(partial(0, 4, 'ETag: "a"'), ['If-None-Match: "a"'], None, id="a-part"),
        pytest.param(partial(0, 4), ["Range: bytes=0-4"], None, id="a-range-of-a-part"),
        pytest.param(TAGGED, ["Range: bytes=1-4"], Part(1, 4), id="a-range"),
        pytest.param(TAGGED, ["Range: bytes=-4"], Part(6, 9), id="a-suffix"),
        pytest.param(TAGGED, ["Range: bytes=1-2,8-9"], None, id="two-ranges"),
        pytest.param(TAGGED, ["Range: bytes=1-4", 'If-Range: "b"'], None, id="a-range-of-another"),
        pytest.param(
            TAGGED, ["Range: bytes=1-4", f"If-Modified-Since: {NOW_DATE}"], None, id="a-range-unless-unmodified"
        ),
    ],
)
def test_at_a_glance(kept: StoredResponse, asked: list[str], expected: Wanted | None) -> None:
    assert at_a_glance(request(*asked), kept) == expected
    assert expected is None or wanted(request(*asked), kept, len(kept.body), NOW) == expected


def test_at_a_glance_no_range_but_of_a_get() -> None:
    assert at_a_glance(request("Range: bytes=1-4", method=b"HEAD"), TAGGED) is None
