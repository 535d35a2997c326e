"""Which field of a response counts, and what does it say, by RFC 9111 §5.2.2 and RFC 9213?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message.fields import Fields
from proxy.policy.said import Said, said
from tests.policy.making import fields

CDN = (b"cdn-cache-control",)
TARGETS = (b"ours-cache-control", b"cdn-cache-control")
ELSE = "Cache-Control: max-age=7"
FALLBACK = Said({b"max-age": b"7"})


def targeted(**directives: str | None) -> Said:
    words = {
        name.replace("_", "-").encode(): None if word is None else word.encode() for name, word in directives.items()
    }
    return Said(words, is_targeted=True)


@pytest.mark.rfc(9111, "5.2.2")
@pytest.mark.rfc(9111, "5.2.2.4")
@pytest.mark.rfc(9111, "5.2.2.7")
@pytest.mark.parametrize(
    ("value", "directives", "withheld"),
    [
        pytest.param("no-cache", {"no-cache"}, set(), id="no-cache"),
        pytest.param('no-cache="a"', set(), {"a"}, id="one-field"),
        pytest.param('no-cache="a, B ,c"', set(), {"a", "b", "c"}, id="fields-without-case"),
        pytest.param('private="set-cookie"', set(), {"set-cookie"}, id="private"),
        pytest.param('private="a", no-cache="b", public', {"public"}, {"a", "b"}, id="both"),
        pytest.param('no-cache="a", no-cache="b"', set(), {"a", "b"}, id="twice"),
        pytest.param('no-cache="a", no-cache', {"no-cache"}, {"a"}, id="both-forms"),
        pytest.param('no-cache, no-cache="a"', {"no-cache"}, {"a"}, id="both-forms-turned-round"),
        pytest.param("no-cache=a", {"no-cache"}, set(), id="token-form-is-the-whole"),
        pytest.param("private=true", {"private"}, set(), id="what-is-no-field"),
        pytest.param('private=""', {"private"}, set(), id="no-fields"),
        pytest.param('private=","', {"private"}, set(), id="empty-members"),
        pytest.param('private="a b"', {"private"}, set(), id="no-names"),
        pytest.param('private="a, content-length"', {"private"}, set(), id="what-frames-it"),
        pytest.param('no-cache="Vary"', {"no-cache"}, set(), id="what-selects-it"),
        pytest.param('no-cache="a', {"no-cache"}, set(), id="not-closed"),
        pytest.param('NO-CACHE ="a"', set(), {"a"}, id="space-before-the-sign"),
    ],
)
def test_what_is_withheld(value: str, directives: set[str], withheld: set[str]) -> None:
    words = said(fields(f"Cache-Control: {value}"), ())
    assert {name.decode() for name in words.directives} == directives
    assert {name.decode() for name in words.withheld} == withheld


@pytest.mark.rfc(9213, "2.1")
@pytest.mark.rfc(9213, "2.2")
@pytest.mark.rfc(9213, "3")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("max-age=60", targeted(max_age="60"), id="integer"),
        pytest.param("max-age=60, no-store", targeted(max_age="60", no_store=None), id="boolean"),
        pytest.param("max-age=60;x=1", targeted(max_age="60"), id="parameters-are-ignored"),
        pytest.param("max-age=60, max-age=10", targeted(max_age="10"), id="the-last-of-two-as-dictionaries-have-it"),
        pytest.param("max-age=99999999999", targeted(max_age="99999999999"), id="large"),
        pytest.param("max-age=-1", targeted(max_age="-1"), id="negative-is-no-delta-seconds"),
        pytest.param("none", targeted(none=None), id="no-directive-at-all"),
        pytest.param("foo=bar", targeted(foo="bar"), id="token"),
        pytest.param('max-age="60"', targeted(max_age=""), id="string-is-no-number"),
        pytest.param("max-age=60.5", targeted(max_age=""), id="decimal-is-no-number"),
        pytest.param("max-age=60.0", targeted(max_age=""), id="decimal-even-if-whole"),
        pytest.param("max-age", targeted(max_age=None), id="no-number"),
        pytest.param("max-age=(60)", targeted(max_age=""), id="inner-list"),
        pytest.param("no-store=?0", targeted(no_store=""), id="false-still-forbids"),
        pytest.param("public=?0, max-age=5", targeted(max_age="5"), id="false-permits-nothing"),
        pytest.param("public", targeted(public=None), id="true-permits"),
        pytest.param("must-understand=1, no-store", targeted(no_store=None), id="what-is-not-true-permits-nothing"),
        pytest.param('no-cache="a"', Said({}, frozenset({b"a"}), is_targeted=True), id="fields"),
        pytest.param("no-cache=a", targeted(no_cache="a"), id="token-is-no-list-of-fields"),
        pytest.param('private="date"', targeted(private=""), id="needed-field"),
        pytest.param("", FALLBACK, id="empty"),
        pytest.param("  ", FALLBACK, id="blank"),
        pytest.param("max-age=60, &&&", FALLBACK, id="garbage"),
        pytest.param("max-age = 60", FALLBACK, id="spaces-around-the-sign"),
        pytest.param("Max-Age=60", FALLBACK, id="upper-case-key"),
        pytest.param("max-age=60,", FALLBACK, id="trailing-comma"),
        pytest.param("max-age=9999999999999999", FALLBACK, id="more-digits-than-an-integer-has"),
        pytest.param("max-age=60; no-store=é", FALLBACK, id="not-ascii"),
    ],
)
def test_a_targeted_field(value: str, expected: Said) -> None:
    assert said(fields(f"CDN-Cache-Control: {value}", ELSE), CDN) == expected


@pytest.mark.rfc(9213, "2.2")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["CDN-Cache-Control: max-age=1"], targeted(max_age="1"), id="the-only-one"),
        pytest.param(
            ["CDN-Cache-Control: max-age=1", "Ours-Cache-Control: max-age=2"], targeted(max_age="2"), id="the-first"
        ),
        pytest.param(
            ["CDN-Cache-Control: max-age=1", "Ours-Cache-Control:"], targeted(max_age="1"), id="the-first-that-is-valid"
        ),
        pytest.param(["CDN-Cache-Control: !", "Ours-Cache-Control: !", ELSE], FALLBACK, id="none-is-valid"),
        pytest.param(["Other-Cache-Control: max-age=1", ELSE], FALLBACK, id="not-on-the-list"),
        pytest.param(
            ["CDN-Cache-Control: max-age=1", "cdn-cache-control: no-store"],
            targeted(max_age="1", no_store=None),
            id="two-lines",
        ),
    ],
)
def test_the_target_list(lines: list[str], expected: Said) -> None:
    assert said(fields(*lines), TARGETS) == expected


def test_without_targets_only_cache_control_counts() -> None:
    assert said(fields("CDN-Cache-Control: max-age=1", ELSE), ()) == FALLBACK


@given(st.binary(max_size=60) | st.text(alphabet='maxge-=,;"() ?@:%0123456789.no', max_size=40).map(str.encode))
def test_any_value_is_read(value: bytes) -> None:
    words = said(Fields([(b"CDN-Cache-Control", value), (b"Cache-Control", value)]), CDN)
    assert b"no-cache" not in words.withheld
