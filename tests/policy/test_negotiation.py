"""Do requests that differ in what they accept share a variant exactly where the application would say the same?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.decisions import Store
from proxy.policy.directives import NO_TERMS
from proxy.policy.key import Distinctions, PrimaryKey, variant_key
from proxy.policy.negotiation import NOTHING_DECLARED, Normal
from proxy.policy.storing import decide_storing
from tests.policy.making import TIMES, request, response, rules, stored

CHROME = "gzip, deflate, br, zstd"
SAFARI = "gzip, deflate, br"


def key(name: str, value: str | None, normal: Normal = NOTHING_DECLARED, **changes: Any) -> bytes:
    asking = request(*([] if value is None else [f"{name}: {value}"]), **changes)
    return variant_key(PrimaryKey(b"p"), (name.lower().encode(),), asking, Distinctions((), normal=normal))


def same(name: str, one: str | None, other: str | None, normal: Normal = NOTHING_DECLARED) -> bool:
    return key(name, one, normal) == key(name, other, normal)


@pytest.mark.rfc(9110, "12.4.2")
@pytest.mark.rfc(9110, "12.5.3")
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(SAFARI, "gzip,deflate,  br", True, id="white-space"),
        pytest.param(SAFARI, "br, gzip, deflate", True, id="order"),
        pytest.param(SAFARI, "GZIP, Deflate, bR", True, id="case"),
        pytest.param("gzip;q=0.5", "gzip ; q=0.500", True, id="zeros"),
        pytest.param("gzip;q=1.000", "gzip", True, id="full-weight"),
        pytest.param("gzip;Q=0.5", "gzip;q=0.5", True, id="case-of-q"),
        pytest.param(SAFARI, CHROME, False, id="another-coding"),
        pytest.param("gzip, br;q=0.5", "gzip;q=0.5, br", False, id="weights"),
        pytest.param("gzip;q=0", "gzip", False, id="refused"),
        pytest.param("gzip;q=0", "", False, id="refused-and-nothing-said"),
        pytest.param("", None, False, id="empty-and-absent"),
        pytest.param("gzip;q=2", "gzip", False, id="malformed"),
        pytest.param("gzip;q=500", "gzip;q=0.5", False, id="malformed-that-looks-like-a-weight"),
        pytest.param("gzip, gzip;q=0", "gzip;q=0, gzip", False, id="twice"),
        pytest.param("a" * 251, "A" * 251, False, id="too-long-to-be-read"),
    ],
)
def test_codings_by_default(one: str, other: str | None, expected: bool) -> None:
    assert same("Accept-Encoding", one, other) is expected


@pytest.mark.rfc(9110, "12.5.4")
@pytest.mark.parametrize(
    ("one", "other", "expected", "in_any_order"),
    [
        pytest.param("en, de", "eN,De", True, True, id="case-and-white-space"),
        pytest.param("en, de", "de, en", False, True, id="order"),
        pytest.param("de, en;q=0.5", "en;q=0.5, de", False, True, id="order-of-what-has-weights"),
        pytest.param("en;q=0.5", "en;q=0.50", True, True, id="zeros"),
        pytest.param("en, de;q=0.5", "en;q=0.5, de", False, False, id="weights"),
        pytest.param("en, de", "en", False, False, id="another"),
        pytest.param("en, not a language", "EN, not a language", False, False, id="malformed"),
        pytest.param("*", None, False, False, id="anything-and-nothing-said"),
    ],
)
def test_languages_by_default_and_in_any_order(one: str, other: str | None, expected: bool, in_any_order: bool) -> None:
    assert same("Accept-Language", one, other) is expected
    assert same("Accept-Language", one, other, Normal(language_order=False)) is in_any_order


MODERN = Normal(encodings=(b"br", b"gzip"))


@pytest.mark.rfc(9110, "12.5.3")
@pytest.mark.parametrize(
    ("value", "stands_for"),
    [
        pytest.param(CHROME, "br", id="chrome"),
        pytest.param("gzip, deflate", "gzip", id="the-second"),
        pytest.param("br;q=0.1, gzip", "gzip", id="preferred-by-the-client"),
        pytest.param("gzip;q=0.5, br;q=0.5", "br", id="preferred-by-the-application"),
        pytest.param("*", "br", id="anything"),
        pytest.param("*;q=0.5, br;q=0", "gzip", id="anything-but"),
        pytest.param("deflate, zstd", "identity", id="none-of-them"),
        pytest.param("", "identity", id="empty"),
        pytest.param("gzip;q=0.5, identity", "identity", id="rather-as-it-is"),
        pytest.param("gzip;q=0", "identity", id="refused"),
    ],
)
def test_the_best_coding_that_the_application_can_produce(value: str, stands_for: str) -> None:
    assert same("Accept-Encoding", value, stands_for, MODERN)


@pytest.mark.rfc(9110, "12.5.3")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("gzip", "br", id="codings"),
        pytest.param("gzip", "gzip, identity;q=0", id="not-as-it-is"),
        pytest.param("gzip", "gzip, *;q=0", id="nothing-else"),
        pytest.param("deflate", None, id="absent-means-anything"),
        pytest.param("gzip, gzip", "gzip", id="malformed"),
    ],
)
def test_codings_that_the_application_may_tell_apart(one: str, other: str | None) -> None:
    assert not same("Accept-Encoding", one, other, MODERN)


BILINGUAL = Normal(languages=(b"en", b"de", b"zh-hant"))


@pytest.mark.rfc(4647, "3.4")
@pytest.mark.parametrize(
    ("value", "stands_for"),
    [
        pytest.param("DE-at, en;q=0.8", "de", id="more-general"),
        pytest.param("fr, de;q=0.8, en;q=0.7", "de", id="the-next"),
        pytest.param("en;q=0.5, de", "de", id="by-weight"),
        pytest.param("de, en", "de", id="the-first-of-equals"),
        pytest.param("zh-Hant-CN-x-private1", "zh-hant", id="single-letters"),
        pytest.param("en;q=0, de;q=0.1", "de", id="refused"),
        pytest.param("*, de;q=0.5", "de", id="anything"),
        pytest.param("fr", "*", id="none-of-them"),
    ],
)
def test_the_best_language_that_the_application_has(value: str, stands_for: str) -> None:
    assert same("Accept-Language", value, stands_for, BILINGUAL)


def test_the_application_chooses_among_languages_that_are_wanted_equally() -> None:
    in_any_order = Normal(languages=(b"en", b"de"), language_order=False)
    assert not same("Accept-Language", "de, en", "en, de", BILINGUAL)
    assert same("Accept-Language", "de, en", "en, de", in_any_order)
    assert same("Accept-Language", "de, en", "en", in_any_order)
    assert not same("Accept-Language", "not a language", "en", in_any_order)


@pytest.mark.rfc(9111, "4.1")
@pytest.mark.parametrize(
    ("name", "lists", "expected"),
    [
        pytest.param("Foo", (), False, id="not-known"),
        pytest.param("Foo", (b"foo",), True, id="declared"),
        pytest.param("Foo", (b"bar",), False, id="another-declared"),
        pytest.param("Foo", (b"*",), True, id="all"),
        pytest.param("User-Agent", (b"*",), False, id="all-that-may-be-lists"),
        pytest.param("Accept", (), True, id="known"),
    ],
)
def test_fields_that_are_lists(name: str, lists: tuple[bytes, ...], expected: bool) -> None:
    normal = Normal(lists=frozenset(lists))
    assert same(name, "1,2", "1, 2", normal) is expected
    assert not same(name, "1,2", "2,1", normal)
    assert not same(name, "", None, normal)


def test_a_list_never_shows_what_the_origin_does_not_get() -> None:
    every = Normal(lists=frozenset({b"*", b"x-forwarded-host"}))
    assert same("X-Forwarded-Host", "evil", None, every)


words = st.text(alphabet="gzip;q=0.15, *", max_size=14)


@given(words, words, st.sampled_from([NOTHING_DECLARED, MODERN, BILINGUAL]))
@pytest.mark.rfc(9111, "4.1")
def test_reading_is_stable_and_what_it_gives_reads_as_itself(one: str, other: str, normal: Normal) -> None:
    """What cannot be read never shares a key with what can."""
    for name in (b"accept-encoding", b"accept-language"):
        read = normal.readings()[name]
        asked = request(f"{name.decode()}: {one}")
        stands_for = read(asked)
        assert stands_for is not None
        again = read(request(f"{name.decode()}: {stands_for.decode()}"))
        assert again == stands_for
        if read(request(f"{name.decode()}: {other}")) == stands_for:
            assert _is_read(one) == _is_read(other)


def _is_read(value: str) -> bool:
    """Tell whether a value is a list of names with weights, none of them twice."""
    names = []
    for member in filter(None, (part.strip(" ") for part in value.lower().split(","))):
        name, mark, weight = (part.strip(" ") for part in member.partition(";"))
        number = weight.removeprefix("q=")
        whole, _, fraction = number.partition(".")
        right = whole in ("0", "1") and len(fraction) <= 3 and (fraction.isdigit() or not fraction)
        right = right and (whole == "0" or not fraction.strip("0"))
        if not name or any(each in name for each in " =;") or (mark and (weight == number or not right)):
            return False
        names.append(name)
    return len(names) == len(set(names))


# What the response shows.


def varies(normal: Normal, asked: str, *lines: str, status: int = 200) -> tuple[bytes, ...]:
    """What a response is stored under, that came to a request with this field."""
    site = rules(distinctions=Distinctions((), normal=normal))
    answer = response("Cache-Control: max-age=60", *lines, status=status)
    decision = decide_storing(request(asked), NO_TERMS, answer, TIMES, site)
    assert isinstance(decision, Store)
    return decision.terms.vary


CODING = "Vary: Accept-Encoding"
LANGUAGE = "Vary: Accept-Language"


@pytest.mark.rfc(9110, "12.5.3")
@pytest.mark.parametrize(
    ("asked", "lines", "guarded"),
    [
        pytest.param(CHROME, ["Content-Encoding: br"], False, id="as-reckoned"),
        pytest.param(CHROME, ["Content-Encoding: BR"], False, id="case"),
        pytest.param(CHROME, [], False, id="not-worth-it"),
        pytest.param(CHROME, ["Content-Encoding: gzip"], True, id="another-that-not-all-may-take"),
        pytest.param(CHROME, ["Content-Encoding: br, gzip"], True, id="two"),
        pytest.param("deflate", ["Content-Encoding: deflate"], True, id="one-that-was-not-declared"),
        pytest.param("deflate", [], False, id="none-can-be-had"),
        pytest.param("br, identity;q=0", ["Content-Encoding: br"], True, id="only-coded"),
        pytest.param("br, identity;q=0", [], True, id="refused-and-sent-all-the-same"),
    ],
)
def test_a_coding_that_was_not_reckoned_with(asked: str, lines: list[str], guarded: bool) -> None:
    got = varies(MODERN, f"Accept-Encoding: {asked}", CODING, *lines)
    assert got == ((b":accept-encoding",) if guarded else ()) + (b"accept-encoding",)


def test_a_coding_for_whoever_says_nothing() -> None:
    assert varies(MODERN, "X: y", CODING, "Content-Encoding: gzip") == (b":accept-encoding", b"accept-encoding")
    assert varies(MODERN, "X: y", CODING) == (b":accept-encoding", b"accept-encoding")


@pytest.mark.rfc(9110, "12.5.4")
@pytest.mark.parametrize(
    ("normal", "asked", "lines", "guarded"),
    [
        pytest.param(BILINGUAL, "de, en", ["Content-Language: de"], False, id="as-reckoned"),
        pytest.param(BILINGUAL, "de, en", ["Content-Language: DE"], False, id="case"),
        pytest.param(BILINGUAL, "de, en", [], False, id="not-said"),
        pytest.param(BILINGUAL, "de, en", ["Content-Language: en"], True, id="another"),
        pytest.param(Normal(content_language=True), "de, en;q=0.5", ["Content-Language: de"], False, id="most-wanted"),
        pytest.param(Normal(content_language=True), "de, en;q=0.5", ["Content-Language: en"], True, id="less-wanted"),
        pytest.param(Normal(content_language=True), "de, en;q=0.5", [], True, id="nobody-knows"),
        pytest.param(Normal(content_language=True), "de, en", ["Content-Language: de"], True, id="one-of-equals"),
        pytest.param(NOTHING_DECLARED, "de, en", ["Content-Language: fr"], False, id="nothing-declared"),
    ],
)
def test_a_language_that_was_not_reckoned_with(normal: Normal, asked: str, lines: list[str], guarded: bool) -> None:
    got = varies(normal, f"Accept-Language: {asked}", LANGUAGE, *lines)
    assert got == ((b":accept-language",) if guarded else ()) + (b"accept-language",)


def test_what_a_response_does_not_vary_by_guards_nothing() -> None:
    normal = Normal(encodings=(b"br",), languages=(b"en",))
    assert varies(normal, f"Accept-Encoding: {CHROME}", "Content-Language: de") == ()
    both = varies(normal, "Accept-Encoding: br", f"{CODING}, Accept-Language", "Content-Encoding: br")
    assert both == (b"accept-encoding", b"accept-language")


def test_whole_values_are_still_read_as_lists() -> None:
    guarded = Distinctions((), normal=MODERN)
    keys = [
        variant_key(PrimaryKey(b"p"), (b":accept-encoding",), request(f"Accept-Encoding: {value}"), guarded)
        for value in (SAFARI, "br,gzip,  DEFLATE", CHROME)
    ]
    assert keys[0] == keys[1] != keys[2]


# A response answers those who want its language most.

BY_LANGUAGE = Normal(content_language=True)
LETTER = rules(distinctions=Distinctions((), normal=BY_LANGUAGE))


def kept(*lines: str) -> Any:
    """A response as it is stored for a request that names no language."""
    return stored("Cache-Control: max-age=60", LANGUAGE, *lines, site=LETTER)


def test_who_wants_a_language_most_is_answered_by_what_came_in_it() -> None:
    too = BY_LANGUAGE.answers_too(request("Accept-Language: en, de", "X: y"), kept("Content-Language: De"))
    assert too is not None
    asking, answer = too
    assert answer.terms.vary == (b"accept-language",)
    assert asking.fields.get(b"x") == b"y"
    distinctions = LETTER.distinctions
    found = variant_key(PrimaryKey(b"p"), answer.terms.vary, asking, distinctions)
    for value, same in (("fr;q=0.5, de;q=1.0", True), ("de", True), ("en, de", False), ("de-at", False), ("*", False)):
        wanting = request(f"Accept-Language: {value}")
        assert (variant_key(PrimaryKey(b"p"), answer.terms.vary, wanting, distinctions) == found) is same


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="in-no-language"),
        pytest.param(["Content-Language: de, en"], id="in-two"),
        pytest.param(["Content-Language: *"], id="in-none"),
    ],
)
def test_a_response_that_answers_nobody_else(lines: list[str]) -> None:
    assert BY_LANGUAGE.answers_too(request("Accept-Language: en, de"), kept(*lines)) is None


def test_a_response_that_was_stored_under_its_language_is_not_stored_twice() -> None:
    assert NOTHING_DECLARED.answers_too(request(), kept("Content-Language: de")) is None
    declared = Normal(languages=(b"en",), content_language=True)
    assert declared.answers_too(request("Accept-Language: en, de"), kept("Content-Language: de")) is None
    plain = stored("Cache-Control: max-age=60")
    assert BY_LANGUAGE.answers_too(request("Accept-Language: de"), plain) is None


def test_nobody_wants_what_he_refuses() -> None:
    asked = variant_key(PrimaryKey(b""), (b"accept-language",), request("Accept-Language: de;q=0"), LETTER.distinctions)
    wants = variant_key(PrimaryKey(b""), (b"accept-language",), request("Accept-Language: de"), LETTER.distinctions)
    nothing = variant_key(PrimaryKey(b""), (b"accept-language",), request("Accept-Language:"), LETTER.distinctions)
    assert len({asked, wants, nothing}) == 3
