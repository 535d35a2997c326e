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
        pytest.param("params", "/p?a=1&b=2", "/p", True, id="all"),
        pytest.param('params, except=("id")', "/p?a=1&id=2", "/p?id=2", True, id="all-but-one"),
        pytest.param('params, except=("id")', "/p?id=1", "/p?id=2", False, id="the-one"),
        pytest.param('params, except=("id" "a")', "/p?id=1&a=2", "/p?a=2&id=1", False, id="order-of-the-rest"),
        pytest.param('params, except=("id" "a"), key-order', "/p?id=1&a=2", "/p?a=2&id=1&b", True, id="no-order"),
        pytest.param("key-order", "/p?b=1&a=2", "/p?a=2&b=1", True, id="only-order"),
        pytest.param("key-order", "/p?a=1&a=2", "/p?a=2&a=1", False, id="order-of-one-name"),
        pytest.param("key-order", "/p?a=1&b=2", "/p?a=1&b=3", False, id="values-count"),
        pytest.param("key-order=?0", "/p?b&a", "/p?a&b", False, id="order-after-all"),
        pytest.param("params=?0", "/p?a", "/p", False, id="none"),
        pytest.param("params=()", "/p?a", "/p", False, id="none-of-them"),
        # What says nothing, for it cannot be read.
        *(
            pytest.param(field, "/p?a=1&b=2", "/p?b=2", False, id=f"no-variance-{field}")
            for field in (
                *("", "params=a", 'params="a"', "params=1", 'params=("a" b)', "params=(1)", 'params=("a"'),
                *('params=(%"a")', 'params=("a"), except=("b")', 'except=("b")', 'params, except="b"'),
                *("params, except", "params=?2"),
                *("params, key-order=1", "params, unknown", '"a"', '("a")', 'params=("ä")', 'params=?0, except=("a")'),
            )
        ),
    ],
)  # fmt: skip
def test_what_is_the_same(field: str, one: str, other: str, expected: bool) -> None:
    assert same(field, one, other) is expected


def test_without_the_field_everything_counts() -> None:
    assert search_variance(None) is None


FIELDS = ["params", 'params=("a")', 'params=("b")', 'params=("a" "b")', 'params, except=("a")', "key-order"]
FIELDS += ['params=("a"), key-order']
queries = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "=", "=1", "=2"])), max_size=4).map(
    lambda pairs: "&".join(name + value for name, value in pairs)
)


@given(st.sampled_from(FIELDS), st.sampled_from(FIELDS), queries, queries)
def test_urls_are_the_same_where_what_counts_is_the_same_and_the_field_says_the_same(
    one: str, other: str, first: str, second: str
) -> None:
    def counts(field: str, query: str) -> list[str]:
        ignored = {"params": "abc", 'params=("b")': "b", 'params=("a" "b")': "ab", 'params, except=("a")': "bc"}
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
