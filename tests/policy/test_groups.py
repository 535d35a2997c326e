"""Which responses are in one group, and which groups does a write name? (RFC 9875)"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.groups import groups_of, invalidated_groups, may_be_grouped
from proxy.policy.key import PrimaryKey
from tests.policy.making import request, response, stored

FRESH = "Cache-Control: max-age=60"


def grouped(*lines: str, **changes: Any) -> set[bytes]:
    return set(groups_of(PrimaryKey(b"p"), request(**changes), stored(FRESH, *lines)))


def named(*lines: str, status: int = 200, **changes: Any) -> set[bytes]:
    asked = request(**{"method": b"POST", **changes})
    return set(invalidated_groups(asked, response(*lines, status=status)))


@pytest.mark.rfc(9875, "2")
@pytest.mark.parametrize(
    ("lines", "same"),
    [
        pytest.param(['Cache-Groups: "a", "b"'], ['Cache-Groups: "b", "a"'], id="order"),
        pytest.param(['Cache-Groups: "a", "b"'], ['Cache-Groups: "a"', 'Cache-Groups: "b"'], id="two-lines"),
        pytest.param(['Cache-Groups: "a"'], ['CACHE-GROUPS:   "a"  '], id="case-of-the-name"),
        pytest.param(['Cache-Groups: "a"'], ['Cache-Groups: "a";x=1;y'], id="parameters"),
        pytest.param(['Cache-Groups: "a"'], ['Cache-Groups: "a", "a"'], id="twice"),
        pytest.param(['Cache-Groups: "a, b"'], ['Cache-Groups: "a, b"'], id="comma-inside"),
        pytest.param([], ["Cache-Groups:"], id="empty"),
        pytest.param([], ["X-Note: cache-groups"], id="somewhere-else"),
    ],
)
def test_lists_that_name_the_same_groups(lines: list[str], same: list[str]) -> None:
    assert grouped(*lines) == grouped(*same)


@pytest.mark.rfc(9875, "2")
@pytest.mark.parametrize(
    "value",
    ["a", '"a", b', '("a" "b")', '"a', '%"a"', "1", ":YQ==:", "?1", '"a" "b"', '"ä"', '"a",'],
)
def test_what_is_no_list_of_strings_names_no_group(value: str) -> None:
    assert grouped(f"Cache-Groups: {value}") == set()
    assert named(f"Cache-Group-Invalidation: {value}") == set()


@pytest.mark.rfc(9875, "2.1")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"scheme": b"https"}, id="scheme"),
        pytest.param({"host": b"other.test"}, id="host"),
        pytest.param({"host": b"site.test:81"}, id="port"),
    ],
)
def test_groups_are_those_of_one_origin(changes: dict[str, Any]) -> None:
    assert grouped('Cache-Groups: "a"').isdisjoint(grouped('Cache-Groups: "a"', **changes))


@pytest.mark.rfc(9875, "2.1")
def test_names_of_groups_have_case() -> None:
    assert grouped('Cache-Groups: "a"').isdisjoint(grouped('Cache-Groups: "A"'))


strings = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=6)


@given(strings, strings)
@pytest.mark.rfc(9875, "2.1")
def test_two_groups_have_two_keys(one: str, other: str) -> None:
    def write(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    first = named(f"Cache-Group-Invalidation: {write(one)}")
    second = named(f"Cache-Group-Invalidation: {write(other)}")
    assert len(first) == len(second) == 1
    assert (first == second) is (one == other)


@pytest.mark.rfc(9875, "2")
@pytest.mark.rfc(9875, "3")
def test_many_long_groups_are_understood() -> None:
    names = ", ".join(f'"{number:032d}"' for number in range(100))
    assert len(grouped(f"Cache-Groups: {names}")) == 100
    assert named(f"Cache-Group-Invalidation: {names}") == grouped(f"Cache-Groups: {names}")


@pytest.mark.rfc(9875, "3")
@pytest.mark.parametrize(
    ("method", "status", "counts"),
    [
        pytest.param(b"POST", 200, True, id="post"),
        pytest.param(b"DELETE", 204, True, id="delete"),
        pytest.param(b"POST", 303, True, id="redirected"),
        pytest.param(b"WHATEVER", 200, True, id="unknown-method"),
        pytest.param(b"POST", 403, False, id="refused"),
        pytest.param(b"POST", 500, False, id="failed"),
        pytest.param(b"GET", 200, False, id="get"),
        pytest.param(b"HEAD", 200, False, id="head"),
        pytest.param(b"OPTIONS", 200, False, id="options"),
    ],
)
def test_which_writes_count(method: bytes, status: int, counts: bool) -> None:
    assert bool(named('Cache-Group-Invalidation: "a"', method=method, status=status)) is counts


def test_a_write_that_names_no_group() -> None:
    assert named() == set()


@pytest.mark.parametrize(
    ("primary", "lines", "expected"),
    [
        pytest.param(b"p", [], False, id="no-field"),
        pytest.param(b"p", ['Cache-Groups: "a"'], True, id="a-group"),
        pytest.param(b"p", ["X-Note: cache-groups"], True, id="a-field-that-looks-like-one"),
        pytest.param(b"p#", [], True, id="for-several-urls"),
    ],
)
def test_at_a_glance_no_group_is_overlooked(primary: bytes, lines: list[str], expected: bool) -> None:
    kept = stored(FRESH, *lines)
    assert may_be_grouped(PrimaryKey(primary), kept) is expected
    assert expected or not groups_of(PrimaryKey(primary), request(), kept)
