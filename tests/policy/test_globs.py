"""What does a pattern with ``*`` match, and for how long is it tried?"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.model import RouteConfig
from proxy.message.heads import Request
from proxy.policy.globs import any_of
from proxy.policy.query import QueryRules
from proxy.policy.routing import choose, match_of
from tests.policy.making import request

TEXT = st.text("ab[?]*\n/", max_size=8)


def means(pattern: str, text: str) -> bool:
    """Tell by definition: each star may take every number of characters."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(means(pattern[1:], text[taken:]) for taken in range(len(text) + 1))
    return bool(text) and text[0] == pattern[0] and means(pattern[1:], text[1:])


@given(patterns=st.lists(TEXT, min_size=1, max_size=3), text=TEXT)
@example(patterns=["a*ab*b"], text="aabb")
@example(patterns=["*[a]?"], text="b[a]?")
@example(patterns=["a"], text="a\n")
def test_a_star_stands_for_any_text_and_everything_else_for_itself(patterns: list[str], text: str) -> None:
    matched = re.compile(any_of(patterns)).match(text) is not None
    assert matched == any(means(pattern, text) for pattern in patterns)


#: With backtracking, neither of these would end in the lifetime of the machine.
STARS = "*a" * 40 + "*!"


@pytest.mark.parametrize("last", ["", "!"])
def test_a_long_text_does_not_hold_the_process_up(last: str) -> None:
    asked: Request = request(target=b"/" + b"a" * 16_000 + last.encode())
    routes = [(match_of(RouteConfig(match=("/" + STARS,))), "taken")]
    assert choose(routes, "not taken", asked) == ("taken" if last else "not taken")
    keyed = QueryRules(ignore=[STARS]).keyed(b"/?" + b"a" * 16_000 + last.encode())
    assert keyed == (b"/" if last else b"/?" + b"a" * 16_000)
