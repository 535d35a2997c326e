"""Does a patched response say what Django's decorators would have made it say?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.directives import parse_directives
from proxy.policy.patching import NO_PATCHES, Patches, directives_of, patched
from tests.policy.making import HOUR_AGO, NOW, NOW_DATE, fields
from tests.policy.oracle import HttpResponse, add_never_cache_headers, patch_cache_control, patch_vary_headers


def lines(*said: str, update: bool = False, **patches: object) -> list[str]:
    made = patched(fields(*said), Patches(**patches), NOW, update=update)  # type: ignore[arg-type]  # as they are given
    return [f"{name.decode()}: {value.decode()}" for name, value in made]


@pytest.mark.parametrize(
    ("said", "given_", "expected"),
    [
        pytest.param([], {"max_age": 60}, ["Cache-Control: max-age=60"], id="none-yet"),
        pytest.param([], {"max_age": 60.0}, ["Cache-Control: max-age=60"], id="seconds"),
        pytest.param([], {"MAX_AGE": 60, "public": True}, ["Cache-Control: max-age=60, public"], id="names"),
        pytest.param([], {"no_cache": "X-A"}, ["Cache-Control: no-cache=X-A"], id="text"),
        pytest.param(["Cache-Control: max-age=30"], {"max_age": 60}, ["Cache-Control: max-age=30"], id="the-least"),
        pytest.param(
            ["Cache-Control: max-age=90"], {"max_age": 60}, ["Cache-Control: max-age=60"], id="the-least-ours"
        ),
        pytest.param(["Cache-Control: max-age=abc"], {"max_age": 60}, ["Cache-Control: max-age=60"], id="unreadable"),
        pytest.param(["Cache-Control: max-age=-5"], {"max_age": 60}, ["Cache-Control: max-age=60"], id="negative"),
        pytest.param(["Cache-Control: max-age"], {"max_age": 60}, ["Cache-Control: max-age=60"], id="bare-max-age"),
        pytest.param(
            ["Cache-Control: max-age=abc"], {"max_age": "x"}, ["Cache-Control: max-age=x"], id="both-unreadable"
        ),
        pytest.param(['Cache-Control: max-age="30"'], {"max_age": 60}, ["Cache-Control: max-age=30"], id="quoted"),
        pytest.param(
            ["Cache-Control: max-age=90, max-age=10"], {"max_age": 60}, ["Cache-Control: max-age=10"], id="said-twice"
        ),
        pytest.param(
            ["cache-control: Private", "X-A: 1", "Cache-Control: Max-Age=9"],
            {"public": True},
            ["cache-control: max-age=9, public", "X-A: 1"],
            id="two-lines-become-one",
        ),
        pytest.param(["Cache-Control: public"], {"private": True}, ["Cache-Control: private"], id="private-for-public"),
        pytest.param(
            ['Cache-Control: private="a, public", ext="x, y"'],
            {"public": True},
            ['Cache-Control: ext="x, y", public'],
            id="commas-in-quotes",
        ),
        pytest.param(
            ['Cache-Control: no-cache="a"'],
            {"no_cache": '"b"'},
            ['Cache-Control: no-cache="a", no-cache="b"'],
            id="both",
        ),
        pytest.param(['Cache-Control: no-cache="a"'], {"no_cache": True}, ["Cache-Control: no-cache"], id="all-wins"),
        pytest.param(["Cache-Control: no-cache"], {"no_cache": "a"}, ["Cache-Control: no-cache"], id="all-stays"),
        pytest.param(["Cache-Control: , ,"], {"public": True}, ["Cache-Control: public"], id="empty"),
    ],
)
def test_cache_control(said: list[str], given_: dict[str, object], expected: list[str]) -> None:
    assert lines(*said, cache_control=directives_of(given_)) == expected


@pytest.mark.parametrize(
    ("said", "added", "expected"),
    [
        pytest.param([], [b"User-Agent"], ["Vary: User-Agent"], id="none-yet"),
        pytest.param(["Vary: user-agent"], [b"User-Agent", b"Cookie"], ["Vary: user-agent, Cookie"], id="any-case"),
        pytest.param(["Vary: A", "X: 1", "vary: b"], [b"C"], ["Vary: A, b, C", "X: 1"], id="two-lines"),
        pytest.param(["Vary: a, *"], [b"C"], ["Vary: *"], id="star"),
        pytest.param(["Vary: a"], [b"*"], ["Vary: *"], id="star-of-ours"),
        pytest.param(["Vary: "], [b"C"], ["Vary: C"], id="empty"),
    ],
)
def test_vary(said: list[str], added: list[bytes], expected: list[str]) -> None:
    assert lines(*said, vary_on=tuple(added)) == expected


NEVER = "max-age=0, no-cache, no-store, must-revalidate, private"


def test_never_cache() -> None:
    assert lines(never_cache=True) == [f"Cache-Control: {NEVER}", f"Expires: {NOW_DATE}"]
    assert lines("Cache-Control: max-age=60, public", f"Expires: {HOUR_AGO}", never_cache=True) == [
        f"Cache-Control: {NEVER}",
        f"Expires: {HOUR_AGO}",
    ]
    assert lines(never_cache=True, cache_control=((b"public", None),))[0] == f"Cache-Control: {NEVER}"


def test_cookies_that_are_not_set() -> None:
    said = [
        "Set-Cookie: csrftoken=1; Path=/",
        "set-cookie:  lang = en",
        "Set-Cookie: sessionid=csrftoken",
        "Set-Cookie: x",
    ]
    assert lines(*said, remove_set_cookie=frozenset({b"csrftoken", b"lang"})) == [
        "Set-Cookie: sessionid=csrftoken",
        "Set-Cookie: x",
    ]
    assert lines("X-A: csrftoken=1", remove_set_cookie=frozenset({b"csrftoken"})) == ["X-A: csrftoken=1"]


@pytest.mark.rfc(9111, "3.2")
def test_an_update_states_nothing_that_the_origin_did_not() -> None:
    everything = {"never_cache": True, "vary_on": (b"User-Agent",), "cache_control": ((b"public", None),)}
    assert lines("ETag: 1", update=True, **everything) == ["ETag: 1"]
    assert lines("Vary: Accept", "Cache-Control: max-age=9", update=True, **everything) == [
        "Vary: Accept, User-Agent",
        f"Cache-Control: {NEVER}",
    ]


def test_without_patches_nothing_is_made_anew() -> None:
    said = fields("Cache-Control: ,a", "Vary: b,c", "Set-Cookie: a=1")
    assert patched(said, NO_PATCHES, NOW) is said


seconds = st.integers(0, 2**31 - 1)
asked = st.fixed_dictionaries(
    {},
    optional={
        "max_age": seconds,
        "s_maxage": seconds,
        "public": st.just(value=True),
        "private": st.just(value=True),
        "no_cache": st.sampled_from([True, "x-a", "x-b"]),
        "no_store": st.just(value=True),
        "must_revalidate": st.just(value=True),
        "stale_while_revalidate": seconds,
    },
)
stated = asked.map(
    lambda said: [
        (name.replace("_", "-"), None if value is True else str(value)) for name, value in sorted(said.items())
    ]
).flatmap(st.permutations)


def _text(directives: list[tuple[str, str | None]]) -> str:
    return ", ".join(name if value is None else f"{name}={value}" for name, value in directives)


@given(stated, asked)
def test_cache_control_is_what_django_makes_of_it(said: list[tuple[str, str | None]], added: dict[str, object]) -> None:
    django = HttpResponse(headers={"Cache-Control": _text(said)})
    patch_cache_control(django, **added)
    ours = patched(fields(f"Cache-Control: {_text(said)}"), Patches(directives_of(added)), NOW)
    if added:
        theirs = django.headers["Cache-Control"]
        assert sorted((ours.get(b"cache-control") or b"").decode().split(", ")) == sorted(theirs.split(", "))


@given(stated)
def test_never_cache_is_what_django_makes_of_it(said: list[tuple[str, str | None]]) -> None:
    django = HttpResponse(headers={"Cache-Control": _text(said)})
    add_never_cache_headers(django)
    ours = patched(fields(f"Cache-Control: {_text(said)}"), Patches(never_cache=True), NOW)
    theirs = django.headers["Cache-Control"].encode()
    assert parse_directives(ours.get(b"cache-control")) == parse_directives(theirs)


names = st.lists(st.sampled_from(["Accept", "accept", "Cookie", "COOKIE", "User-Agent", "X-A", "*"]), max_size=5)


@given(names, names.filter(bool), st.sampled_from([", ", ",", " , "]))
def test_vary_is_what_django_makes_of_it(said: list[str], added: list[str], comma: str) -> None:
    django = HttpResponse(headers={"Vary": comma.join(said)} if said else {})
    patch_vary_headers(django, added)
    before = fields(f"Vary: {comma.join(said)}") if said else fields()
    ours = patched(before, Patches(vary_on=tuple(map(str.encode, added))), NOW)
    assert ours.get(b"vary") == django.headers["Vary"].encode()


arbitrary = st.text(alphabet='abp,=" \\;-_0159', max_size=30)


@given(st.lists(arbitrary, max_size=3), asked, st.booleans())
def test_whatever_the_origin_says_is_patched(said: list[str], added: dict[str, object], never: bool) -> None:
    came = fields(*(f"Cache-Control: {text}" for text in said), *(f"Vary: {text}" for text in said))
    patches = Patches(directives_of(added), (b"x-a",), never, frozenset({b"a"}))
    once = patched(came, patches, NOW)
    assert b"x-a" in (once.get(b"vary") or b"")
    if "max_age" in added or never:
        age = parse_directives(once.get(b"cache-control"))[b"max-age"]
        assert age is not None
        assert age.isdigit()
    if never:
        assert {b"no-store", b"private", b"no-cache"} <= parse_directives(once.get(b"cache-control")).keys()
