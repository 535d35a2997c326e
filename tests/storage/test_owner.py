"""Which keys are of one entry of CACHES, and which only begin as its keys do?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.storage.backends.owner import Owner


@pytest.mark.parametrize(
    ("prefix", "key", "is_own"),
    [
        pytest.param("a", "a:1:k", True, id="its-version"),
        pytest.param("a", "a:12:k", True, id="another-version"),
        pytest.param("a", "a:-3:k", True, id="below-zero"),
        pytest.param("a", "a:1:", True, id="empty-key"),
        pytest.param("a", "a:1:b:1:k", True, id="colons-in-the-key"),
        pytest.param("", ":1:k", True, id="no-prefix"),
        pytest.param("a:b", "a:b:1:k", True, id="colon-in-the-prefix"),
        pytest.param("a", "a:b:1:k", False, id="a-longer-prefix"),
        pytest.param("a", "ab:1:k", False, id="a-prefix-that-begins-alike"),
        pytest.param("a", "a:1", False, id="no-key"),
        pytest.param("a", "a::k", False, id="no-version"),
        pytest.param("a", "a:1.0:k", False, id="no-whole-number"),
        pytest.param("a", "a:\u0661:k", False, id="digits-of-others"),
        pytest.param("", "1:k", False, id="not-even-a-colon"),
        pytest.param("", "a:1:k", False, id="somebodys-prefix"),
    ],
)
def test_owns(prefix: str, key: str, is_own: bool) -> None:
    assert Owner(prefix).owns(key) is is_own


def test_a_version_that_is_no_number_is_its_own_where_it_is_the_one_of_the_configuration() -> None:
    assert Owner("a", "beta").owns("a:beta:k")
    assert not Owner("a", "1").owns("a:beta:k")


def test_a_prefix_that_goes_on_with_a_number_is_told_by_its_name() -> None:
    assert Owner("a").owns("a:5:1:k")
    assert not Owner("a", others=[Owner("a:5")]).owns("a:5:1:k")
    assert Owner("a", others=[Owner("a:5")]).owns("a:5:k")


PREFIXES = st.text("ab:1", max_size=6)


@given(PREFIXES, PREFIXES, st.integers(), st.text("k:1", max_size=4))
def test_what_one_keeps_is_never_anothers_that_knows_it(one: str, other: str, version: int, key: str) -> None:
    made = f"{other}:{version}:{key}"
    assert Owner(other, str(version)).owns(made)
    if one != other and other.startswith(f"{one}:"):
        assert not Owner(one, others=[Owner(other)]).owns(made)
    elif not made.startswith(f"{one}:"):
        assert not Owner(one).owns(made)
