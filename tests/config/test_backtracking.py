"""Is what is told of regular expressions certain?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.backtracking import nested_repetition


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        pytest.param("^(a+)+$", "(a+)+", id="itself"),
        pytest.param("(a*)*b", "(a*)*", id="stars"),
        pytest.param(r"^/(\w+)*$", r"(\w+)*", id="words"),
        pytest.param("^([a-z]+-?)+/$", "([a-z]+-?)+", id="words-with-hyphens-that-may-be-absent"),
        pytest.param(r"^(-?\d*)+$", r"(-?\d*)+", id="all-of-it-may-be-absent"),
        pytest.param("^(?:a|b+)+$", "(?:a|b+)+", id="an-alternative"),
        pytest.param("^((a+))+$", "((a+))+", id="a-group-in-a-group"),
        pytest.param("^((a)+)+$", "((a)+)+", id="a-repeated-group-in-a-group"),
        pytest.param("^(?P<slug>[^/]+)*/z$", "(?P<slug>[^/]+)*", id="a-name"),
        pytest.param("^(?i:a+)+$", "(?i:a+)+", id="flags"),
        pytest.param("^(a{2,})+$", "(a{2,})+", id="at-least"),
        pytest.param("^(a{,}){3,}$", "(a{,}){3,}", id="at-least-three"),
        pytest.param("^(a+?)+?$", "(a+?)+?", id="lazy"),
        pytest.param(r"^(\)+)+$", r"(\)+)+", id="a-parenthesis"),
        pytest.param("^([])(]+)+$", "([])(]+)+", id="parentheses-in-a-set"),
        pytest.param("^(?=(a+)+b)", "(a+)+", id="in-what-looks-ahead"),
        pytest.param("^/(b+)/(a+)+$", "(a+)+", id="the-second"),
        # What shows where each repetition begins.
        pytest.param("^(/[a-z]+)+/$", None, id="a-slash-before"),
        pytest.param(r"^(?:\d{4}-)+$", None, id="a-hyphen-behind"),
        pytest.param("^(a+b+)+$", None, id="two-of-them"),
        pytest.param(r"(\bfoo+)+", None, id="the-edge-of-a-word"),
        pytest.param("^(a{x}+)+$", None, id="braces-that-repeat-nothing"),
        # What is divided in one way only.
        pytest.param("^(a+)$", None, id="once"),
        pytest.param("^(a+)?$", None, id="optional"),
        pytest.param("^(a+){2}$", None, id="twice"),
        pytest.param("^(a|b)+$", None, id="no-repetition-inside"),
        pytest.param("^(a{3})+$", None, id="three-each"),
        pytest.param("^(a?){2,}$", None, id="optional-inside"),
        pytest.param("^(a++)+$", None, id="possessive-inside"),
        pytest.param("^(a+)++$", None, id="possessive-outside"),
        pytest.param("^(?>a+)+$", None, id="atomic"),
        # What is no group.
        pytest.param(r"\(a+\)+", None, id="escaped"),
        pytest.param("[(a+)+]", None, id="a-set"),
        pytest.param("^(?#(a+)a$", None, id="a-comment"),
        pytest.param("(a)(?(1)b|c+)", None, id="a-condition"),
        pytest.param("(?i)(?P<a>b)(?P=a)+", None, id="another-of-the-same"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_what_is_certain(pattern: str, found: str | None) -> None:
    re.compile(pattern)
    assert nested_repetition(pattern) == found


@given(st.text("ab(|)*+?{},:[]^\\2=<>!iP", max_size=12))
def test_no_pattern_is_too_odd(pattern: str) -> None:
    """What is found stands in the pattern and is a pattern; ``check`` has refused those that are none."""
    found = nested_repetition(pattern)
    assert found is None or found in pattern
