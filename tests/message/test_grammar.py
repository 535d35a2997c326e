"""Is a field value read as RFC 9110 §5.6 and its neighbours write it, and does reading never raise?"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import UnixTime
from proxy.message.grammar import format_date, members, parse_date, parse_entity_tags, tokens, unquote

EPOCH_1994 = 784111777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7."""


def at(year: int, month: int = 1, day: int = 1) -> UnixTime:
    return UnixTime(datetime(year, month, day, tzinfo=UTC).timestamp())


@pytest.mark.rfc(9110, "5.6.1")
@pytest.mark.rfc(9110, "5.6.1.2")
@pytest.mark.rfc(9110, "5.6")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"a", [b"a"], id="one"),
        pytest.param(b"a,b", [b"a", b"b"], id="no-space"),
        pytest.param(b"a , \tb", [b"a", b"b"], id="spaces-and-tabs"),
        pytest.param(b",a,, ,b,", [b"a", b"b"], id="empty-members"),
        pytest.param(b'a="x,y",b', [b'a="x,y"', b"b"], id="comma-in-quotes"),
        pytest.param(b'a="x\\",y",b', [b'a="x\\",y"', b"b"], id="escaped-quote"),
        pytest.param(b'a="x\\\\",b', [b'a="x\\\\"', b"b"], id="escaped-backslash"),
        pytest.param(b'"a", ,"b"', [b'"a"', b'"b"'], id="quoted-members"),
        pytest.param(b'a="x"y,b', [b'a="x"y', b"b"], id="text-after-quotes"),
        pytest.param(b'a="",b', [b'a=""', b"b"], id="empty-quotes"),
        pytest.param(b'a="\\,b', [b'a="\\', b"b"], id="escape-in-open-quotes"),
        pytest.param(b'"', [b'"'], id="only-a-quote"),
    ],
)
def test_members(value: bytes, expected: list[bytes]) -> None:
    assert list(members(value)) == expected


@pytest.mark.rfc(9110, "5.6.4")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b'max-age=1, x="a, no-store', [b"max-age=1", b'x="a', b"no-store"], id="to-the-end"),
        pytest.param(b'x="a", y="b, no-store', [b'x="a"', b'y="b', b"no-store"], id="second-quotes"),
        pytest.param(b'x="a\\", no-store', [b'x="a\\"', b"no-store"], id="closing-quote-escaped"),
    ],
)
def test_a_quote_that_is_never_closed_hides_no_member(value: bytes, expected: list[bytes]) -> None:
    assert list(members(value)) == expected


@given(st.binary(max_size=200) | st.text(alphabet='ab=,"\\ \t', max_size=60).map(str.encode))
def test_members_never_raise_and_lose_nothing_but_separators(value: bytes) -> None:
    found = list(members(value))
    assert all(found)
    separators = re.compile(rb"[ \t,]")
    assert separators.sub(b"", b"".join(found)) == separators.sub(b"", value)


def test_members_of_a_long_malformed_value_take_linear_time() -> None:
    assert len(list(members(b'"\\' * 32768 + b",a"))) <= 2
    assert len(list(members(b'a"' * 32767 + b",a"))) >= 1


@pytest.mark.rfc(9110, "5.6.2")
def test_tokens_compare_without_case() -> None:
    assert tokens(b"Close, KEEP-Alive") == [b"close", b"keep-alive"]


@pytest.mark.rfc(9110, "5.6.4")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"token", b"token", id="token"),
        pytest.param(b"", b"", id="empty"),
        pytest.param(b'""', b"", id="empty-quotes"),
        pytest.param(b'"60"', b"60", id="number"),
        pytest.param(b'"a\\"b"', b'a"b', id="escaped-quote"),
        pytest.param(b'"a\\\\b"', b"a\\b", id="escaped-backslash"),
        pytest.param(b'"\\6\\0"', b"60", id="needless-escapes"),
        pytest.param(b'"', b'"', id="one-quote"),
        pytest.param(b'"60', b'"60', id="not-closed"),
        pytest.param(b'60"', b'60"', id="not-opened"),
    ],
)
def test_unquote(value: bytes, expected: bytes) -> None:
    assert unquote(value) == expected


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda inner: b'"' + inner + b'"'))
def test_unquote_never_raises(value: bytes) -> None:
    assert len(unquote(value)) <= len(value)


@given(st.binary(max_size=60))
def test_unquote_undoes_quoting(text: bytes) -> None:
    quoted = b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    assert unquote(quoted) == text


@pytest.mark.rfc(9110, "8.8.3")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b'"a"', [(False, b'"a"')], id="strong"),
        pytest.param(b'W/"a"', [(True, b'"a"')], id="weak"),
        pytest.param(b'""', [(False, b'""')], id="empty-tag"),
        pytest.param(b'"a", W/"b"', [(False, b'"a"'), (True, b'"b"')], id="list"),
        pytest.param(b'"a","b"', [(False, b'"a"'), (False, b'"b"')], id="list-without-spaces"),
        pytest.param(b'"a,b"', [(False, b'"a,b"')], id="comma-inside"),
        pytest.param(b'"a\\"', [(False, b'"a\\"')], id="backslash-is-no-escape"),
        pytest.param(b'"\xfc"', [(False, b'"\xfc"')], id="obs-text"),
        pytest.param(b'"a",', [(False, b'"a"')], id="empty-member-at-the-end"),
        pytest.param(b'"a",, "b"', [(False, b'"a"'), (False, b'"b"')], id="empty-member-in-the-middle"),
        pytest.param(b', "a"', [(False, b'"a"')], id="empty-member-at-the-start"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"a", None, id="no-quotes"),
        pytest.param(b'w/"a"', None, id="lower-case-w"),
        pytest.param(b'W/ "a"', None, id="space-in-weak"),
        pytest.param(b'"a b"', None, id="space-inside"),
        pytest.param(b'"a" "b"', None, id="no-comma"),
        pytest.param(b'"a', None, id="not-closed"),
        pytest.param(b"*", None, id="star"),
        pytest.param(b'"a", *', None, id="star-in-list"),
    ],
)
def test_entity_tags(value: bytes, expected: list[tuple[bool, bytes]] | None) -> None:
    assert parse_entity_tags(value) == expected


@given(st.binary(max_size=80) | st.text(alphabet='W/"a, ', max_size=30).map(str.encode))
def test_entity_tags_never_raise(value: bytes) -> None:
    parse_entity_tags(value)


@pytest.mark.rfc(9110, "5.6.7")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT", id="imf-fixdate"),
        pytest.param(b"Sunday, 06-Nov-94 08:49:37 GMT", id="rfc850"),
        pytest.param(b"Sun Nov  6 08:49:37 1994", id="asctime"),
        pytest.param(b"Sun Nov 06 08:49:37 1994", id="asctime-two-digits"),
        pytest.param(b"SUN, 06 nov 1994 08:49:37 gMT", id="imf-fixdate-in-any-case"),
        pytest.param(b"SUNDAY, 06-NOV-94 08:49:37 gmt", id="rfc850-in-any-case"),
        pytest.param(b"sun nOV  6 08:49:37 1994", id="asctime-in-any-case"),
    ],
)
@pytest.mark.rfc(9111, "4.2")
def test_the_three_forms_of_a_date(value: bytes) -> None:
    assert parse_date(value, at(2026)) == EPOCH_1994


@pytest.mark.rfc(9110, "5.6.7")
@pytest.mark.parametrize("day", ["Sun", "Mon", "Tues", "Wednes", "Thurs", "Fri", "Satur"])
def test_the_obsolete_forms_are_told_from_the_one_that_is_remembered(day: str) -> None:
    # By their sizes alone; which day of the week it was, nobody checks.
    assert parse_date(b"%bday, 06-Nov-94 08:49:37 GMT" % day.encode(), at(2026)) == EPOCH_1994
    assert parse_date(b"%b Nov  6 08:49:37 1994" % day[:3].encode(), at(2026)) == EPOCH_1994


def test_a_date_with_its_century_means_the_same_at_any_time() -> None:
    value = b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert [parse_date(value, at(year)) for year in (1980, 2026, 2100)] == [EPOCH_1994] * 3


@pytest.mark.rfc(9110, "5.6.7")
@pytest.mark.parametrize(
    ("value", "now", "expected"),
    [
        pytest.param(b"Friday, 01-Jan-27 00:00:00 GMT", at(2026), at(2027), id="next-year"),
        pytest.param(b"Wednesday, 01-Jan-75 00:00:00 GMT", at(2026), at(2075), id="49-years-ahead"),
        pytest.param(b"Saturday, 01-Jan-77 00:00:00 GMT", at(2026), at(1977), id="51-years-ahead"),
        pytest.param(b"Thursday, 01-Jan-70 00:00:00 GMT", at(1994), at(1970), id="the-epoch"),
        pytest.param(b"Friday, 01-Jan-99 00:00:00 GMT", at(2026), at(1999), id="last-century"),
        pytest.param(b"Monday, 29-Feb-16 00:00:00 GMT", at(2026), at(2016, 2, 29), id="leap-day"),
        pytest.param(b"Monday, 29-Feb-15 00:00:00 GMT", at(2026), None, id="no-leap-day"),
        pytest.param(b"Monday, 31-Dec-76 00:00:00 GMT", at(2026), at(1976, 12, 31), id="50-years-and-a-day"),
    ],
)
def test_two_digit_years(value: bytes, now: UnixTime, expected: UnixTime | None) -> None:
    assert parse_date(value, now) == expected


@pytest.mark.rfc(9110, "5.6.7")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"0", id="zero"),
        pytest.param(b"-1", id="minus-one"),
        pytest.param(b"784111777", id="unix-time"),
        pytest.param(b"1994-11-06T08:49:37Z", id="iso"),
        pytest.param(b"Sun, 6 Nov 1994 08:49:37 GMT", id="one-digit-day"),
        pytest.param(b"Sun, 06 Nov 94 08:49:37 GMT", id="two-digit-year"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37", id="no-zone"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 UTC", id="utc"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 EST", id="other-zone"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 +0000", id="offset"),
        pytest.param(b"Sun, 06 Foo 1994 08:49:37 GMT", id="no-such-month"),
        pytest.param(b"Sun Foo  6 08:49:37 1994", id="no-such-month-asctime"),
        pytest.param(b"Xyz, 06 Nov 1994 08:49:37 GMT", id="no-such-weekday"),
        pytest.param(b"06 Nov 1994 08:49:37 GMT", id="no-weekday"),
        pytest.param(b"Sun 06 Nov 1994 08:49:37 GMT", id="no-comma"),
        pytest.param(b"Sun,  06 Nov 1994 08:49:37 GMT", id="two-spaces"),
        pytest.param(b"Sun,06 Nov 1994 08:49:37 GMT", id="no-space"),
        pytest.param(b"Sun, 06-Nov-1994 08:49:37 GMT", id="cookie-date"),
        pytest.param(b"Sun, 06-Nov-94 08:49:37 GMT", id="rfc850-short-weekday"),
        pytest.param(b"Sun, 00 Nov 1994 08:49:37 GMT", id="day-zero"),
        pytest.param(b"Sun, 31 Nov 1994 08:49:37 GMT", id="day-too-late"),
        pytest.param(b"Sun, 29 Feb 1994 08:49:37 GMT", id="no-leap-day"),
        pytest.param(b"Sun, 06 Nov 0000 08:49:37 GMT", id="year-zero"),
        pytest.param(b"Sun, 06 Nov 19940 08:49:37 GMT", id="five-digit-year"),
        pytest.param(b"Sun, 06 Nov 1994 24:00:00 GMT", id="hour-24"),
        pytest.param(b"Sun, 06 Nov 1994 08:60:37 GMT", id="minute-60"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:61 GMT", id="second-61"),
        pytest.param(b"Sun, 06 Nov 1994 8:49:37 GMT", id="one-digit-hour"),
        pytest.param(b"Sun, 06 Nov 1994 08:49 GMT", id="no-seconds"),
        pytest.param(b"Sun, 06 Nov 1994 08.49.37 GMT", id="dots"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT ", id="space-behind"),
        pytest.param(b" Sun, 06 Nov 1994 08:49:37 GMT", id="space-before"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT\n", id="newline-behind"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", id="two-dates"),
        pytest.param(b'"Sun, 06 Nov 1994 08:49:37 GMT"', id="quoted"),
        pytest.param(b"Sun Nov   6 08:49:37 1994", id="asctime-three-spaces"),
        pytest.param(b"Sun Nov 6 08:49:37 1994", id="asctime-one-space"),
        pytest.param(b"Sun Nov  6 08:49:37 1994 GMT", id="asctime-zone"),
        pytest.param("Sun, ٠٦ Nov 1994 08:49:37 GMT".encode(), id="arabic-digits"),
    ],
)
def test_what_is_no_date(value: bytes) -> None:
    assert parse_date(value, at(2026)) is None


@pytest.mark.rfc(9110, "5.6.7")
def test_a_leap_second_is_a_date() -> None:
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT", at(2026)) == at(2017)


@pytest.mark.rfc(9110, "5.6.7")
@given(st.integers(min_value=-62135596800, max_value=253402300799))
def test_a_date_we_write_is_read_as_the_same(moment: int) -> None:
    written = format_date(moment)
    assert len(written) == 29
    assert parse_date(written, at(2026)) == moment


@pytest.mark.rfc(9110, "5.6.7")
@given(st.integers(min_value=0, max_value=4102444799), st.integers(min_value=-(10**9), max_value=10**9))
def test_two_digit_years_are_never_far_ahead(now: int, offset: int) -> None:
    text = datetime.fromtimestamp(now + offset, UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT").encode()
    moment = parse_date(text, UnixTime(now))
    if moment is not None:
        assert moment <= now + 50 * 366 * 86400
        assert datetime.fromtimestamp(moment, UTC).strftime("%d-%b-%y %H:%M:%S").encode() in text


@given(st.binary(max_size=40))
def test_parse_date_never_raises(value: bytes) -> None:
    parse_date(value, at(2026))
