"""Do two requests share a key exactly when they ask for the same?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message.fields import Fields
from proxy.message.heads import Request
from proxy.message.hosts import canonical_host
from proxy.policy.key import Distinctions, PrimaryKey, normalise, primary_key, variant_key
from proxy.policy.languages import Languages
from proxy.policy.zones import Zones
from tests.policy.making import request

NOTHING = Distinctions(())
parts = st.binary(max_size=6) | st.text(alphabet="0123456789:-vab", max_size=6).map(str.encode)


@given(st.tuples(parts, parts, parts, parts), st.tuples(parts, parts, parts, parts))
@pytest.mark.rfc(9111, "2")
def test_a_primary_key_is_injective(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    keys = [
        primary_key(scope, request(scheme=scheme, host=host, target=target))
        for scope, scheme, host, target in (one, other)
    ]
    assert (keys[0] == keys[1]) is (one == other)


forwarded = st.lists(
    st.tuples(st.sampled_from([b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix"]), parts),
    max_size=3,
    unique_by=lambda field: field[0],
).map(sorted)


@given(st.tuples(parts, parts, forwarded), st.tuples(parts, parts, forwarded))
def test_a_primary_key_is_injective_over_what_a_trusted_proxy_says(
    one: tuple[bytes, bytes, list[tuple[bytes, bytes]]], other: tuple[bytes, bytes, list[tuple[bytes, bytes]]]
) -> None:
    keys = [
        primary_key(scope, request(target=target, fields=Fields(said), trusted=True))
        for scope, target, said in (one, other)
    ]
    assert (keys[0] == keys[1]) is (one == other)


def test_a_scope_is_never_taken_for_what_a_trusted_proxy_says() -> None:
    said = primary_key(b"", request("X-Forwarded-Host: a", trusted=True))
    assert said != primary_key(b"16:x-forwarded-host1:a", request(trusted=True))
    assert said != primary_key(b"16:x-forwarded-host1:a", request())


varied = st.dictionaries(st.sampled_from([b"accept", b"x-a", b"x-b"]), parts, max_size=3)


def _variant(said: dict[bytes, bytes]) -> bytes:
    asking = request(fields=Fields(list(said.items())))
    return variant_key(primary_key(b"s", asking), (b"x-a", b"x-b"), asking, NOTHING)


@given(varied, varied)
@pytest.mark.rfc(9111, "4.1")
def test_a_variant_key_is_injective(one: dict[bytes, bytes], other: dict[bytes, bytes]) -> None:
    names = (b"x-a", b"x-b")
    same = [one.get(name) for name in names] == [other.get(name) for name in names]
    assert (_variant(one) == _variant(other)) is same


def variant(*lines: str, vary: tuple[bytes, ...], ignored: tuple[str, ...] = ("_ga",)) -> bytes:
    asking = request(*lines)
    return variant_key(primary_key(b"s", asking), vary, asking, Distinctions(ignored))


@pytest.mark.rfc(9111, "4.1")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(["Accept: a"], ["Accept: a"], True, id="equal"),
        pytest.param(["Accept: a"], ["accept: a"], True, id="names-have-no-case"),
        pytest.param(["Accept: a"], ["Accept: b"], False, id="another-value"),
        pytest.param(["Accept: a"], ["Accept: A"], False, id="values-have-case"),
        pytest.param(["Accept: a, b"], ["Accept: a,b"], True, id="whitespace-in-a-list"),
        pytest.param(["Accept: a, b"], ["Accept: a", "Accept: b"], True, id="two-lines-are-a-list"),
        pytest.param(["Accept: a, b"], ["Accept: b, a"], False, id="order"),
        pytest.param(["Accept:"], [], False, id="absent-and-empty-differ"),
        pytest.param(["Accept: a", "X-B: 1"], ["Accept: a", "X-B: 2"], True, id="a-field-that-is-not-varied"),
        pytest.param(["X-A: a"], ["Accept: a"], False, id="another-field"),
        pytest.param(["X-A: a,b"], ["X-A: a, b"], False, id="whitespace-in-a-field-we-do-not-know"),
        pytest.param(["X-A: a,,b"], ["X-A: a,b"], False, id="commas-in-a-field-we-do-not-know"),
        pytest.param(["User-Agent: a,b"], ["User-Agent: a, b"], False, id="user-agent-is-no-list"),
        pytest.param(["Cookie: a=1"], ["Cookie: a=1; _ga=2"], True, id="ignored-cookie"),
        pytest.param(["Cookie: _ga=2"], [], True, id="only-ignored-cookies"),
        pytest.param(["Cookie: a=1"], ["Cookie: a=2"], False, id="cookie"),
        pytest.param(["Cookie: a=1"], [], False, id="cookie-and-none"),
        pytest.param(["Cookie: a=1; b=2"], ["Cookie: a=1", "Cookie: b=2"], True, id="cookies-in-two-lines"),
    ],
)
def test_variants(one: list[str], other: list[str], same: bool) -> None:
    vary = (b"accept", b"cookie", b"user-agent", b"x-a")
    assert (variant(*one, vary=vary) == variant(*other, vary=vary)) is same


@pytest.mark.rfc(9111, "4.1")
def test_what_is_varied_is_part_of_the_key() -> None:
    assert variant(vary=()) != variant(vary=(b"accept",)) != variant(vary=(b"cookie",))


@pytest.mark.rfc(3986, "6.2.2")
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param(b"/%7Ea", b"/~a", id="unreserved"),
        pytest.param(b"/%41%61%30%2d%2E%5f%7e", b"/Aa0-._~", id="every-kind-of-unreserved"),
        pytest.param(b"/%2fa", b"/%2Fa", id="slash-stays"),
        pytest.param(b"/%3f%23%25%00%20%ff", b"/%3F%23%25%00%20%FF", id="others-stay"),
        pytest.param(b"/%2541", b"/%2541", id="not-twice"),
        pytest.param(b"/%4", b"/%4", id="half"),
        pytest.param(b"/%zz%", b"/%zz%", id="no-escape"),
        pytest.param(b"/a?b=%7e", b"/a?b=~", id="query"),
        pytest.param(b"/a/../b", b"/a/../b", id="dots-stay"),
        pytest.param(b"/A", b"/A", id="case-stays"),
        pytest.param(b"/a+b", b"/a+b", id="plus-stays"),
    ],
)
def test_normalise(target: bytes, expected: bytes) -> None:
    assert normalise(target) == expected
    assert primary_key(b"s", request(target=target)) == primary_key(b"s", request(target=expected))


@given(st.text(alphabet="%24567aAeEfF/", max_size=20).map(str.encode))
def test_normalised_once_is_normal_but_for_escaped_percents(target: bytes) -> None:
    once = normalise(target)
    assert len(once) <= len(target)
    if b"%" not in once:
        assert normalise(once) == once


@pytest.mark.rfc(9110, "4.2.3")
def test_one_host_has_one_key() -> None:
    def key(host: bytes, scheme: bytes = b"http") -> bytes:
        return primary_key(b"s", request(host=canonical_host(host, scheme), scheme=scheme))

    assert key(b"Site.test:80") == key(b"site.test")
    assert key(b"site.test:81") != key(b"site.test")
    assert key(b"site.test", b"https") != key(b"site.test")
    assert key(b"site.test:443", b"https") == key(b"site.test", b"https")


@pytest.mark.parametrize(
    ("line", "trusted", "counts"),
    [
        pytest.param("X-Forwarded-Host: a", True, True, id="host"),
        pytest.param("X-Forwarded-Host: a", False, False, id="host-untrusted"),
        pytest.param("X-Forwarded-Port: 1", True, True, id="port"),
        pytest.param("X-Forwarded-Prefix: /a", True, True, id="prefix"),
        pytest.param("X-Forwarded-Anything: 1", True, True, id="unknown"),
        pytest.param("X-Original-URL: /admin", True, True, id="original-url"),
        pytest.param("X-HTTP-Method-Override: DELETE", True, True, id="method-override"),
        pytest.param("X-Forwarded-For: 1", True, False, id="for"),
        pytest.param("Forwarded: for=1;host=a", True, True, id="forwarded-host"),
        pytest.param("Forwarded: for=1;host=a", False, False, id="forwarded-untrusted"),
        pytest.param("X-Real-IP: 1", True, False, id="real-ip"),
        pytest.param("Accept: a", True, False, id="another-field"),
    ],
)
def test_what_forwarding_fields_do_to_the_key(line: str, trusted: bool, counts: bool) -> None:
    plain = primary_key(b"s", request(trusted=trusted))
    assert (primary_key(b"s", request(line, trusted=trusted)) != plain) is counts


@pytest.mark.rfc(7239, "4")
def test_who_a_request_was_forwarded_for_is_no_part_of_the_key() -> None:
    one = request("Forwarded: for=192.0.2.1;host=a;proto=http, for=192.0.2.9", trusted=True)
    other = request("Forwarded: for=192.0.2.2; host=a;proto=http", trusted=True)
    assert primary_key(b"s", one) == primary_key(b"s", other)
    assert primary_key(b"s", one) != primary_key(b"s", request("Forwarded: for=1;host=b;proto=http", trusted=True))


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Real-IP", "Forwarded", "X-Original-URL", "X_Forwarded_Host"])
@pytest.mark.rfc(9111, "4.1")
def test_untrusted_forwarding_fields_select_no_variant_for_they_never_reach_the_origin(name: str) -> None:
    vary = (name.lower().encode(),)
    assert variant(f"{name}: evil", vary=vary) == variant(vary=vary)


@pytest.mark.rfc(9111, "4.1")
@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded"])
def test_what_we_tell_of_the_client_selects_its_variant(name: str) -> None:
    def key(*lines: str, peer: str, trusted: bool = False) -> bytes:
        asking = request(*lines, peer=peer, trusted=trusted)
        return variant_key(primary_key(b"s", asking), (name.lower().encode(),), asking, NOTHING)

    assert key(peer="192.0.2.1") != key(peer="192.0.2.2")
    assert key(f"{name}: 192.0.2.2", peer="192.0.2.1") == key(peer="192.0.2.1")
    assert key(f"{name}: for=a", peer="192.0.2.1", trusted=True) != key(peer="192.0.2.1", trusted=True)


@pytest.mark.rfc(9111, "4.1")
def test_other_fields_of_a_trusted_proxy_select_as_it_says_them() -> None:
    def key(*lines: str) -> bytes:
        asking = request(*lines, trusted=True)
        return variant_key(primary_key(b"s", asking), (b"x-real-ip",), asking, NOTHING)

    assert key("X-Real-IP: a") != key("X-Real-IP: b") != key()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(["Cookie: a=1; b=2"], ["Cookie: b=3; a=1"], True, id="the-others-do-not-count"),
        pytest.param(["Cookie: a=1"], ["Cookie: a=2"], False, id="its-value"),
        pytest.param(["Cookie: a=1"], ["Cookie:  a = 1 ;b"], True, id="blanks"),
        pytest.param(["Cookie: a=1"], ["Cookie: A=1"], False, id="case-counts"),
        pytest.param(["Cookie: a="], [], False, id="empty-and-absent"),
        pytest.param(["Cookie: a="], ["Cookie: a"], False, id="empty-and-bare"),
        pytest.param(["Cookie: b=1"], [], True, id="absent-among-others"),
        pytest.param(["Cookie: a=1; a=2"], ["Cookie: a=2; a=1"], False, id="whichever-the-application-takes"),
        pytest.param(["Cookie: a=1", "Cookie: a=2"], ["Cookie: a=1; a=2"], True, id="two-lines"),
        pytest.param(["Cookie: a=1==2"], ["Cookie: a=1"], False, id="equals-signs"),
    ],
)
def test_a_single_cookie_tells_variants_apart(one: list[str], other: list[str], same: bool) -> None:
    assert (variant(*one, vary=(b"cookie:a",)) == variant(*other, vary=(b"cookie:a",))) is same


def test_a_single_cookie_counts_even_when_it_is_ignored_as_one_of_all() -> None:
    assert variant("Cookie: _ga=1", vary=(b"cookie:_ga",)) != variant("Cookie: _ga=2", vary=(b"cookie:_ga",))


SITE = Distinctions(
    ("_ga",), Languages(("en", "es"), "en", b"lang"), Zones(("UTC", "Europe/Paris"), "UTC", b"cookie:tz")
)


def of_site(*lines: str, vary: tuple[bytes, ...]) -> bytes:
    asking = request(*lines)
    return variant_key(primary_key(b"s", asking), vary, asking, SITE)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(["Accept-Language: es"], ["Accept-Language: ES-mx;q=0.8 , en;q=0.1"], True, id="spellings"),
        pytest.param(["Accept-Language: es"], ["Accept-Language: en"], False, id="languages"),
        pytest.param(["Accept-Language: fr"], [], True, id="unknown-is-the-default"),
        pytest.param(["Accept-Language: es", "Cookie: lang=en"], [], True, id="cookie-wins"),
        pytest.param(["Cookie: lang=es"], ["Accept-Language: es"], True, id="by-cookie-or-field"),
        pytest.param(["Cookie: lang=fr"], [], True, id="unknown-cookie"),
        pytest.param(["Cookie: tz=UTC; a=1"], ["Cookie: a=1"], True, id="default-zone"),
        pytest.param(["Cookie: tz=Mars; a=1"], ["Cookie: a=1"], True, id="unknown-zone"),
        pytest.param(["Cookie: tz=Europe/Paris"], [], False, id="zone"),
        pytest.param(["Cookie: a=1"], ["Cookie: a=2"], False, id="other-cookies"),
    ],
)
def test_languages_and_zones(one: list[str], other: list[str], same: bool) -> None:
    vary = (b"accept-language", b"cookie", b"cookie:tz")
    assert (of_site(*one, vary=vary) == of_site(*other, vary=vary)) is same


says = st.tuples(
    st.sampled_from([None, "en", "es", "fr", "", ":es", "es-mx"]),
    st.sampled_from([None, "en", "es", "fr", ""]),
    st.sampled_from([None, "UTC", "Europe/Paris", "Mars", ""]),
    st.sampled_from([None, "1", "2", ""]),
)


def _asking(said: tuple[str | None, ...]) -> Request:
    accept, *values = said
    cookies = [f"{name}={value}" for name, value in zip(("lang", "tz", "a"), values, strict=True) if value is not None]
    lines = [f"Accept-Language: {accept}"] * (accept is not None) + [f"Cookie: {'; '.join(cookies)}"] * bool(cookies)
    return request(*lines)


@given(says, says)
@pytest.mark.rfc(9111, "4.1")
def test_a_variant_key_is_injective_over_languages_and_zones(
    one: tuple[str | None, ...], other: tuple[str | None, ...]
) -> None:
    def means(said: tuple[str | None, ...]) -> tuple[str, str, str | None]:
        accept, cookie, zone, other = said
        language = cookie if cookie in ("en", "es") else "es" if accept in ("es", "es-mx") else "en"
        return language, "Europe/Paris" if zone == "Europe/Paris" else "UTC", other

    vary = (b"accept-language", b"cookie", b"cookie:tz")
    keys = [variant_key(primary_key(b"s", _asking(said)), vary, _asking(said), SITE) for said in (one, other)]
    assert (keys[0] == keys[1]) is (means(one) == means(other))


@given(says, says)
def test_what_is_said_of_languages_is_told_apart_as_it_is_said(
    one: tuple[str | None, ...], other: tuple[str | None, ...]
) -> None:
    keys = [variant_key(PrimaryKey(b""), (b":language",), _asking(said), SITE) for said in (one, other)]
    same = [(said[0] or "", said[1]) for said in (one, other)]
    assert (keys[0] == keys[1]) is (same[0] == same[1])


def test_what_every_response_of_a_site_varies_by() -> None:
    assert SITE.varied(request(), Fields([])) == (b"accept-language", b"cookie:tz")
    assert SITE.varied(request(target=b"/es/"), Fields([])) == (b"cookie:tz",)
    assert NOTHING.varied(request(), Fields([])) == ()
    by_field = Distinctions((), zones=Zones(("UTC",), "UTC", b"x-timezone"))
    assert by_field.varied(request(), Fields([])) == (b"x-timezone",)
    assert by_field.cookies.remaining(b"lang=es; tz=UTC") == b"lang=es; tz=UTC"
