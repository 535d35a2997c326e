"""What does a write make invalid, by RFC 9111 §4.4?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.invalidation import invalidated
from tests.policy.making import request, response


def targets(*lines: str, status: int = 200, **asked: Any) -> list[bytes]:
    """The targets made invalid; what is asked for is a GET of each on the same origin."""
    asking = request(**{"method": b"POST", "target": b"/a/b?c", **asked})
    changed = invalidated(asking, response(*lines, status=status))
    assert all(replace(each, method=asking.method, target=asking.target) == asking for each in changed)
    assert {each.method for each in changed} <= {b"GET"}
    return [each.target for each in changed]


@pytest.mark.rfc(9111, "4.4")
@pytest.mark.rfc(9110, "9.2.1")
@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        pytest.param(b"POST", 200, True, id="post"),
        pytest.param(b"PUT", 204, True, id="put"),
        pytest.param(b"DELETE", 200, True, id="delete"),
        pytest.param(b"PATCH", 200, True, id="patch"),
        pytest.param(b"BREW", 200, True, id="a-method-nobody-knows"),
        pytest.param(b"get", 200, True, id="methods-have-case"),
        pytest.param(b"POST", 303, True, id="see-other"),
        pytest.param(b"POST", 304, True, id="the-last-that-is-no-error"),
        pytest.param(b"POST", 399, True, id="no-error"),
        pytest.param(b"POST", 400, False, id="error"),
        pytest.param(b"POST", 500, False, id="server-error"),
        pytest.param(b"POST", 103, False, id="interim"),
        pytest.param(b"GET", 200, False, id="get"),
        pytest.param(b"HEAD", 200, False, id="head"),
        pytest.param(b"OPTIONS", 200, False, id="options"),
        pytest.param(b"TRACE", 200, False, id="trace"),
        pytest.param(b"QUERY", 200, False, id="query"),
    ],
)
def test_which_exchange(method: bytes, status: int, expected: bool) -> None:
    assert targets(method=method, status=status) == ([b"/a/b?c"] if expected else [])
    assert targets("Location: /x", method=method, status=status) == ([b"/a/b?c", b"/x"] if expected else [])


@pytest.mark.rfc(9111, "4.4")
@pytest.mark.rfc(3986, "5.2")
@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        pytest.param("/x", b"/x", id="path"),
        pytest.param("x", b"/a/x", id="relative"),
        pytest.param("./x", b"/a/x", id="relative-dot"),
        pytest.param("../x", b"/x", id="relative-up"),
        pytest.param("../../../x", b"/x", id="relative-up-beyond-the-root"),
        pytest.param(".", b"/a/", id="dot"),
        pytest.param("?y", b"/a/b?y", id="only-a-query"),
        pytest.param("/x?y", b"/x?y", id="query"),
        pytest.param("/x#f", b"/x", id="fragment"),
        pytest.param("/x;y", b"/x;y", id="parameters"),
        pytest.param("#f", None, id="only-a-fragment-is-the-target-itself"),
        pytest.param("", None, id="empty-is-the-target-itself"),
        pytest.param("http://site.test/x", b"/x", id="absolute"),
        pytest.param("HTTP://SITE.Test:80/x", b"/x", id="absolute-in-odd-case-with-the-default-port"),
        pytest.param("http://site.test", b"/", id="absolute-without-a-path"),
        pytest.param("//site.test/x", b"/x", id="without-a-scheme"),
        pytest.param("https://site.test/x", None, id="another-scheme"),
        pytest.param("http://site.test:8080/x", None, id="another-port"),
        pytest.param("http://other.test/x", None, id="another-host"),
        pytest.param("http://site.test.other.test/x", None, id="a-host-that-begins-alike"),
        pytest.param("http://user@site.test/x", None, id="userinfo"),
        pytest.param("//other.test/x", None, id="another-host-without-a-scheme"),
        pytest.param("ftp://site.test/x", None, id="ftp"),
        pytest.param("mailto:a@site.test", None, id="mailto"),
        pytest.param("javascript:x", None, id="javascript"),
        pytest.param("http://[/x", None, id="bracket-not-closed"),
        pytest.param("http://site.test:x/x", None, id="port-of-letters"),
        pytest.param("/\xe9", None, id="latin-1"),
        pytest.param("/x, /y", None, id="two-in-one"),
    ],
)
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
def test_what_location_names(reference: str, expected: bytes | None, name: str) -> None:
    found = invalidated(request(method=b"POST", target=b"/a/b?c"), response(f"{name}: {reference}"))
    if reference == "/x, /y":
        assert len(found) == 2
        return
    assert targets(f"{name}: {reference}") == [b"/a/b?c"] + ([] if expected is None else [expected])


@pytest.mark.rfc(9111, "4.4")
def test_both_fields_and_none_twice() -> None:
    assert targets("Location: /x", "Content-Location: /a/x") == [b"/a/b?c", b"/x", b"/a/x"]
    assert targets("Location: /x", "Content-Location: /x") == [b"/a/b?c", b"/x"]
    assert targets("Location: /a/b?c") == [b"/a/b?c"]


@pytest.mark.rfc(9111, "4.4")
@pytest.mark.parametrize(
    ("asked", "reference", "same"),
    [
        pytest.param({"scheme": b"https"}, "https://site.test:443/x", True, id="https-default-port"),
        pytest.param({"scheme": b"https"}, "http://site.test/x", False, id="http-behind-https"),
        pytest.param({"host": b"site.test:8080"}, "http://site.test:8080/x", True, id="port"),
        pytest.param({"host": b"site.test:8080"}, "http://site.test/x", False, id="default-port-is-another"),
        pytest.param({"host": b"site.test:8080"}, "/x", True, id="path-keeps-the-port"),
        pytest.param({"host": b"[::1]"}, "http://[::1]/x", True, id="ipv6"),
        pytest.param({"host": b""}, "/x", True, id="no-host"),
        pytest.param({"host": b""}, "http://site.test/x", False, id="no-host-is-not-any-host"),
    ],
)
def test_only_on_the_same_origin(asked: dict[str, bytes], reference: str, same: bool) -> None:
    assert targets(f"Location: {reference}", **asked) == [b"/a/b?c"] + ([b"/x"] if same else [])


@given(st.text(alphabet="/.:?#[]@ab%\\ \t", max_size=20) | st.binary(max_size=20).map(lambda b: b.decode("latin-1")))
def test_no_reference_raises(reference: str) -> None:
    asking = request(method=b"POST", target=b"/a")
    found = invalidated(asking, response(f"Location: {reference}"))
    assert found[0] == replace(asking, method=b"GET")
    assert len(found) <= 2
