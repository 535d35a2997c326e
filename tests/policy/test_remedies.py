"""Does every reason have a remedy in plain words, which names settings that exist?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from proxy.config.units import Bytes
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason, Unkept
from proxy.policy.facts import CookieKind, Facts
from proxy.policy.remedies import COOKIES, DETAILS, FORWARDED, HIT, STORED, UNKEPT, WORDS, Remedy, remedy_of

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
SETTINGS = set(re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Every setting")[2], re.MULTILINE))

TABLES: list[tuple[type[StrEnum], Mapping[StrEnum, Remedy]]] = [
    (ForwardReason, FORWARDED),
    (Detail, DETAILS),
    (Unkept, UNKEPT),
    (CookieKind, COOKIES),
]
EVERY = [
    pytest.param(remedy, id=f"{words.__name__}-{word.value}")
    for words, table in TABLES
    for word, remedy in table.items()
] + [
    pytest.param(STORED, id="stored"),
    *(pytest.param(WORDS[word], id=word) for word in ("hit", "hit-stale", "refused")),
]
KNOWN = Facts(
    method="POST",
    route="blog",
    status=404,
    cookies=("sessionid", "cart"),
    set_cookies=("theme",),
    control="CDN-Cache-Control",
    vary=("Cookie", "Accept-Language"),
    length=Bytes(33 * 2**20),
    limit=Bytes(32 * 2**20),
)


@pytest.mark.parametrize(("words", "table"), [pytest.param(*row, id=row[0].__name__) for row in TABLES])
def test_every_reason_has_a_remedy(words: type[StrEnum], table: Mapping[StrEnum, Remedy]) -> None:
    assert list(table) == list(words)


@pytest.mark.parametrize("remedy", EVERY)
def test_a_remedy_names_settings_that_are_documented(remedy: Remedy) -> None:
    assert set(remedy.settings) <= SETTINGS
    assert "`" not in remedy.says


@pytest.mark.parametrize("facts", [pytest.param(Facts(), id="unknown"), pytest.param(KNOWN, id="known")])
@pytest.mark.parametrize("remedy", EVERY)
def test_a_remedy_is_sentences(remedy: Remedy, facts: Facts) -> None:
    about = remedy.about(facts)
    for text in (about.says, about.do):
        assert text[0].isupper() or text[0] == "`"
        assert text.endswith(".")
        assert not re.search(r"[{}]|\s\s|None|\(\)|  ", text)


@pytest.mark.parametrize("remedy", EVERY)
def test_a_setting_is_not_named_without_its_mark(remedy: Remedy) -> None:
    """So that the test above sees it."""
    plain = re.sub(r"`[^`]+`", "", remedy.do)
    dotted = {setting for setting in SETTINGS if "." in setting or setting.isupper()}
    assert [setting for setting in dotted if setting in plain] == []


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(Outcome(hit=True), HIT, id="hit"),
        pytest.param(Outcome(forward=ForwardReason.STALE), FORWARDED[ForwardReason.STALE], id="why-it-was-forwarded"),
        pytest.param(Outcome(forward=ForwardReason.STALE, stored=True), STORED, id="stored"),
        pytest.param(
            Outcome(forward=ForwardReason.STALE, detail=Detail.NO_CACHE),
            DETAILS[Detail.NO_CACHE],
            id="the-detail-first",
        ),
        pytest.param(Outcome(hit=True, detail=Detail.MAX_STALE), DETAILS[Detail.MAX_STALE], id="a-stale-hit"),
        pytest.param(Outcome(detail=Detail.ONLY_IF_CACHED), DETAILS[Detail.ONLY_IF_CACHED], id="refused"),
    ],
)
def test_the_remedy_of_an_outcome(outcome: Outcome, expected: Remedy) -> None:
    assert remedy_of(outcome, KNOWN) == expected.about(KNOWN)


def test_the_facts_stand_in_the_words() -> None:
    assert DETAILS[Detail.SET_COOKIE].about(KNOWN).says.startswith("The response sets the cookie theme,")
    assert DETAILS[Detail.COOKIE].about(KNOWN).says.startswith("The request has the cookies sessionid, cart,")
    assert DETAILS[Detail.PRIVATE].about(KNOWN).says.startswith("The response says CDN-Cache-Control: private:")
    assert DETAILS[Detail.TOO_LARGE].about(KNOWN).says == (
        "The response (33MiB) is larger than what is stored at most (32MiB)."
    )
    assert FORWARDED[ForwardReason.VARY_MISS].about(KNOWN).says.endswith("says in Cookie, Accept-Language.")


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        pytest.param(["sessionid"], CookieKind.SESSION, id="django"),
        pytest.param(["PHPSESSID"], CookieKind.SESSION, id="php"),
        pytest.param(["connect.sid"], CookieKind.SESSION, id="express"),
        pytest.param(["wordpress_logged_in_1"], CookieKind.SESSION, id="wordpress"),
        pytest.param(["csrftoken"], CookieKind.CSRF, id="csrf-of-django"),
        pytest.param(["XSRF-TOKEN"], CookieKind.CSRF, id="csrf-of-laravel"),
        pytest.param(["csrftoken", "sessionid"], CookieKind.SESSION, id="the-more-personal-one"),
        pytest.param(["theme"], None, id="another"),
        pytest.param(["reside"], None, id="not-by-a-part-of-a-word"),
        pytest.param([], None, id="none"),
    ],
)
def test_nobody_is_told_to_take_a_session_away(names: list[str], kind: CookieKind | None) -> None:
    facts = Facts(set_cookies=tuple(names))
    assert facts.kind is kind
    remedy = remedy_of(Outcome(forward=ForwardReason.URI_MISS, detail=Detail.SET_COOKIE), facts)
    assert ("routes[].remove_set_cookie" in remedy.settings) is (kind is not CookieKind.SESSION)
