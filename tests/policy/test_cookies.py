"""Which cookies are left when the ignored ones are taken away, and what does a single one say?"""

from __future__ import annotations

import pytest
from django.http.cookie import parse_cookie
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.cookies import IgnoredCookies, django_cookie, single_cookie


@pytest.mark.rfc(6265, "5.4")
@pytest.mark.parametrize(
    ("names", "cookie", "expected"),
    [
        pytest.param(("_ga",), None, b"", id="none"),
        pytest.param(("_ga",), b"", b"", id="empty"),
        pytest.param(("_ga",), b"a=1", b"a=1", id="another"),
        pytest.param(("_ga",), b"_ga=1", b"", id="ignored"),
        pytest.param(("_ga",), b"a=1; _ga=1; b=2", b"a=1; b=2", id="in-the-middle"),
        pytest.param(("_ga",), b"a=1;_ga=1 ;b=2;", b"a=1; b=2", id="spaces"),
        pytest.param(("_ga",), b"_ga =1", b"", id="space-before-equals"),
        pytest.param(("_ga",), b"_ga", b"", id="no-equals"),
        pytest.param(("_ga",), b"x=_ga=1", b"x=_ga=1", id="ignored-name-in-a-value"),
        pytest.param(("_ga",), b"_gab=1; a_ga=1", b"_gab=1; a_ga=1", id="whole-names"),
        pytest.param(("_ga_*",), b"_ga_X1=1; _ga=1", b"_ga=1", id="star"),
        pytest.param(("a.b",), b"axb=1; a.b=1", b"axb=1", id="a-dot-is-a-dot"),
        pytest.param(("_ga", "_gid"), b"_gid=1; _ga=1", b"", id="two"),
        pytest.param((), b" a=1; _ga=1;", b"a=1; _ga=1", id="nothing-ignored"),
        pytest.param((), b"; ", b"", id="nothing-ignored-and-nothing-there"),
        pytest.param(("_ga",), b";; ;", b"", id="only-semicolons"),
    ],
)
def test_remaining(names: tuple[str, ...], cookie: bytes | None, expected: bytes) -> None:
    assert IgnoredCookies(names).remaining(cookie) == expected


def test_exact_names_are_no_patterns() -> None:
    assert (
        IgnoredCookies(("_g*",), (b"a*", b"b.")).remaining(b"a*=1; ab=2; b.=3; bb=4; _ga=5; a*b=6")
        == b"ab=2; bb=4; a*b=6"
    )


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        pytest.param(None, None, id="no-field"),
        pytest.param(b"b=1", None, id="absent"),
        pytest.param(b"b=1; a = 2 ;", b"=2", id="blanks"),
        pytest.param(b"a=1;a=2;a", b"=1;=2;", id="several"),
    ],
)
def test_single_cookie(cookie: bytes | None, expected: bytes | None) -> None:
    assert single_cookie(cookie, b"a") == expected


text = st.text(alphabet='ab=;" \\\\0145', max_size=16)


@given(st.one_of(text, text.map(lambda value: f'a="{value}"')))
def test_a_cookie_says_what_it_says_to_django(cookie: str) -> None:
    assert django_cookie(cookie.encode(), b"a") == parse_cookie(cookie).get("a")
