"""Which cookies are left when the ignored ones are taken away?"""

from __future__ import annotations

import pytest

from proxy.policy.cookies import IgnoredCookies


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
