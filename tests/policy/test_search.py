"""Which URLs does a No-Vary-Search field say are the same? (draft-ietf-httpbis-no-vary-search)"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.search import search_variance


def same(field: str, one: str, other: str) -> bool:
    variance = search_variance(field.encode())
    keys = [target.encode() if variance is None else variance.keyed(target.encode()) for target in (one, other)]
    return keys[0] == keys[1]


@pytest.mark.parametrize(
    ("field", "one", "other", "expected"),
    [
        pytest.param('params=("utm")', "/p?utm=1&a=2", "/p?a=2", True, id="a-parameter"),
        pytest.param('params=("utm")', "/p?utm", "/p", True, id="nothing-left"),
        pytest.param('params=("utm")', "/p?a=1", "/p?a=2", False, id="another-parameter"),
        pytest.param('params=("utm")', "/p?UTM=1", "/p", False, id="case"),
        pytest.param('params=("utm")', "/p?%75tm=1", "/p", True, id="escaped"),
        pytest.param('params=("a b")', "/p?a+b=1&a%20b=2", "/p", True, id="blanks"),
        pytest.param('params=("a+b")', "/p?a+b=1", "/p", True, id="blanks-as-they-are-sent"),
        pytest.param('params=("%C3%A9")', "/p?%c3%a9=1", "/p", True, id="not-ascii"),
        pytest.param('params=("a=b")', "/p?a%3Db=1", "/p", True, id="an-equals-sign"),
        pytest.param('params=("utm_*")', "/p?utm_a=1", "/p", False, id="no-pattern"),
        pytest.param('params=("a")', "/p?b=2&c", "/p?c&b=2", False, id="order-counts"),
        pytest.param('params=("a")', "/p?a=1;b=2", "/p?b=2", False, id="semicolons"),
        pytest.param('params=("a")', "/p", "/q", False, id="another-path"),
        pytest.param('params=("a");x=1', "/p?a", "/p", True, id="parameters-of-the-field"),
        pytest.param("except=()", "/p?a=1&b=2", "/p", True, id="all"),
        pytest.param("except=()", "/p", "/p?", True, id="no-query-and-an-empty-one"),
        pytest.param("except=()", "/p?a", "/q?a", False, id="all-of-another-path"),
        pytest.param('except=("id")', "/p?a=1&id=2", "/p?id=2", True, id="all-but-one"),
        pytest.param('except=("id")', "/p?id=1", "/p?id=2", False, id="the-one"),
        pytest.param('except=("id" "a")', "/p?id=1&a=2", "/p?a=2&id=1", False, id="order-of-the-rest"),
        pytest.param('except=("id" "a"), key-order', "/p?id=1&a=2", "/p?a=2&id=1&b", True, id="no-order"),
        pytest.param('key-order, except=("id")', "/p?id=1&id=2", "/p?id=2&id=1", False, id="order-of-the-one"),
        pytest.param('params=("a");x=1, key-order;y', "/p?c&b&a", "/p?b&c", True, id="parameters-of-members"),
        pytest.param('params=("a";x=1 "b")', "/p?a&b&c", "/p?c", True, id="parameters-of-items"),
        pytest.param('params=("b"), params=("a")', "/p?a&b", "/p?b", True, id="the-last-of-a-name"),
        pytest.param('params=("a"), unknown=1, x=("b")', "/p?a&b", "/p?b", True, id="unknown-keys"),
        pytest.param('params=("")', "/p?=1&a", "/p?a", True, id="no-name"),
        pytest.param('params=("a&b")', "/p?a%26b=1", "/p", True, id="an-ampersand"),
        pytest.param('params=("%C3%A9+%E6%B0%97")', "/p?%C3%A9%20%E6%B0%97=3", "/p?%c3%a9+%e6%b0%97", True, id="text"),
        pytest.param('params=("%C3%A9")', "/p?e%CC%81=1", "/p", False, id="no-normal-form-of-unicode"),
        # What is no UTF-8 is read as U+FFFD, in names of the field and of queries alike.
        pytest.param('params=("%f6")', "/p?%f7=1", "/p", True, id="no-utf-8"),
        pytest.param('except=("%f6")', "/p?%f7=1", "/p?%f7=2", False, id="no-utf-8-that-counts"),
        pytest.param('except=("%ef%bf%bd")', "/p?%f7=1", "/p?%f7=2", False, id="the-sign-for-it-counts"),
        pytest.param("key-order", "/p?%f6=1&%f7=2", "/p?%f7=2&%f6=1", False, id="order-of-no-utf-8"),
        pytest.param("key-order", "/p?b=1&a=2", "/p?a=2&b=1", True, id="only-order"),
        pytest.param("key-order", "/p?a=1&a=2", "/p?a=2&a=1", False, id="order-of-one-name"),
        pytest.param("key-order", "/p?a=1&b=2", "/p?a=1&b=3", False, id="values-count"),
        pytest.param("key-order=?0", "/p?b&a", "/p?a&b", False, id="order-after-all"),
        pytest.param("params=()", "/p?a", "/p", False, id="none-of-them"),
        # What says nothing, for it cannot be read.
        *(
            pytest.param(field, "/p?a=1&b=2", "/p?b=2", False, id=f"no-variance-{field}")
            for field in (
                *("", "params=a", 'params="a"', "params=1", 'params=("a" b)', "params=(1)", 'params=("a"'),
                *('params=(%"a")', 'params=("a"), except=("b")', 'except="b"', "except=(b)", "except=?1", "except"),
                # Earlier drafts, and pages about them, say "params" for all.
                *("params", "params=?0", "params=?1", "params=?2", 'params, except=("b")', 'params=?0, except=("b")'),
                *("params=(), except=()", 'except=("b"), params=?0', "unknown", "unknown, key-order=?0"),
                *('params=("a"), key-order=1', 'params=("a"), key-order=(1)', '"a"', '("a")', 'params=("ä")'),
            )
        ),
    ],
)  # fmt: skip
def test_what_is_the_same(field: str, one: str, other: str, expected: bool) -> None:
    assert same(field, one, other) is expected


def test_without_the_field_everything_counts() -> None:
    assert search_variance(None) is None


FIELDS = ["except=()", 'params=("a")', 'params=("b")', 'params=("a" "b")', 'except=("a")', "key-order"]
FIELDS += ['params=("a"), key-order']
queries = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "=", "=1", "=2"])), max_size=4).map(
    lambda pairs: "&".join(name + value for name, value in pairs)
)


@given(st.sampled_from(FIELDS), st.sampled_from(FIELDS), queries, queries)
def test_urls_are_the_same_where_what_counts_is_the_same_and_the_field_says_the_same(
    one: str, other: str, first: str, second: str
) -> None:
    def counts(field: str, query: str) -> list[str]:
        ignored = {"except=()": "abc", 'params=("b")': "b", 'params=("a" "b")': "ab", 'except=("a")': "bc"}
        gone = ignored.get(field, "" if field == "key-order" else "a")
        pairs = [pair for pair in query.split("&") if pair and pair[0] not in gone]
        return sorted(pairs, key=lambda pair: pair[0]) if "key-order" in field else pairs

    keys = []
    for field, query in ((one, first), (other, second)):
        variance = search_variance(field.encode())
        assert variance is not None
        keys.append(variance.keyed(f"/p?{query}".encode()))
    assert (keys[0] == keys[1]) is (one == other and counts(one, first) == counts(other, second))
    assert all(key.count(b"#") == 1 for key in keys)
