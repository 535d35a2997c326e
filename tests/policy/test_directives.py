"""Is Cache-Control read as RFC 9111 §5.2 writes it?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.directives import NO_TERMS, delta_seconds, parse_directives, request_terms
from tests.policy.making import fields


@pytest.mark.rfc(9111, "5.2")
@pytest.mark.rfc(9111, "4.2.1")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"", {}, id="empty"),
        pytest.param(b"no-store", {b"no-store": None}, id="one"),
        pytest.param(b"No-Store, PUBLIC", {b"no-store": None, b"public": None}, id="names-without-case"),
        pytest.param(b"max-age=60", {b"max-age": b"60"}, id="argument"),
        pytest.param(b'max-age="60"', {b"max-age": b"60"}, id="quoted-argument"),
        pytest.param(b"max-age=", {b"max-age": b""}, id="empty-argument"),
        pytest.param(b"max-age=1, max-age=2", {b"max-age": b"1"}, id="the-first-counts"),
        pytest.param(b'x="no-store"', {b"x": b"no-store"}, id="argument-is-no-directive"),
        pytest.param(b'x="a, no-store, b"', {b"x": b"a, no-store, b"}, id="list-in-an-argument"),
        pytest.param(b"x-unprivate, no-storex", {b"x-unprivate": None, b"no-storex": None}, id="whole-names"),
        pytest.param(b"a=b=c", {b"a": b"b=c"}, id="two-equals"),
        pytest.param(b'"x-a"', {}, id="quoted-name-is-none"),
        pytest.param(b"=60, /, a b", {}, id="what-is-no-directive"),
        pytest.param(b", ,no-cache,,", {b"no-cache": None}, id="empty-members"),
    ],
)
def test_directives(value: bytes, expected: dict[bytes, bytes | None]) -> None:
    assert parse_directives(value) == expected


def test_no_field_has_no_directives() -> None:
    assert parse_directives(None) == {}


@given(st.binary(max_size=100) | st.text(alphabet='a=, "\\', max_size=40).map(str.encode))
def test_directives_never_raise(value: bytes) -> None:
    for name in parse_directives(value):
        assert name
        assert name == name.lower()


@pytest.mark.rfc(9111, "1.2.2")
@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        pytest.param(b"0", 0, id="zero"),
        pytest.param(b"60", 60, id="number"),
        pytest.param(b"2147483647", 2**31 - 1, id="below-the-greatest"),
        pytest.param(b"2147483648", 2**31, id="the-greatest"),
        pytest.param(b"2147483649", 2**31, id="above-the-greatest"),
        pytest.param(b"9" * 5000, 2**31, id="overflow"),
        pytest.param(b"007", 7, id="leading-zeros"),
        pytest.param(b"0" * 20 + b"60", 60, id="many-leading-zeros"),
        pytest.param(None, None, id="none"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"-1", None, id="negative"),
        pytest.param(b"+1", None, id="plus"),
        pytest.param(b"1.5", None, id="fraction"),
        pytest.param(b" 1", None, id="space"),
        pytest.param(b"1s", None, id="unit"),
        pytest.param(b"1_0", None, id="underscore"),
        pytest.param(b"\xb2", None, id="superscript"),
        pytest.param(b"0x10", None, id="hexadecimal"),
    ],
)
def test_delta_seconds(argument: bytes | None, expected: float | None) -> None:
    assert delta_seconds(argument) == expected


@pytest.mark.rfc(9111, "5.2.1")
@pytest.mark.rfc(9111, "5.2.1.1")
@pytest.mark.rfc(9111, "5.2.1.2")
@pytest.mark.rfc(9111, "5.2.1.3")
@pytest.mark.rfc(9111, "5.4")
def test_request_terms() -> None:
    terms = request_terms(
        fields("Cache-Control: no-cache, no-store, only-if-cached, max-age=1, min-fresh=2, max-stale=3")
    )
    assert (terms.no_cache, terms.no_store, terms.only_if_cached) == (True, True, True)
    assert (terms.max_age, terms.min_fresh, terms.max_stale) == (1, 2, 3)
    assert request_terms(fields("Cache-Control: max-stale")).max_stale == float("inf")
    assert request_terms(fields("Cache-Control: max-stale=x")).max_stale is None
    assert request_terms(fields("Cache-Control: max-stale=")).max_stale is None
    assert request_terms(fields("Cache-Control: max-age=x")).max_age is None
    assert request_terms(fields("Cache-Control: a", "Cache-Control: no-cache")).no_cache
    assert request_terms(fields("Pragma: no-cache")).no_cache
    assert request_terms(fields("Pragma: x, No-Cache")).no_cache
    assert not request_terms(fields("Pragma: no-cache", "Cache-Control: max-age=60")).no_cache
    assert request_terms(fields("Pragma: x-no-cache")) is NO_TERMS
    assert request_terms(fields()) is NO_TERMS
