"""Is one host written one way, and is what is no host refused?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import RequestError
from proxy.message.hosts import canonical_host


@pytest.mark.rfc(3986, "3.2.2")
@pytest.mark.rfc(9110, "4.2.3")
@pytest.mark.rfc(9110, "7.2")
@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        pytest.param(b"site.test", b"http", b"site.test", id="plain"),
        pytest.param(b"SITE.Test", b"http", b"site.test", id="case"),
        pytest.param(b"site.test:80", b"http", b"site.test", id="default-port"),
        pytest.param(b"site.test:", b"http", b"site.test", id="empty-port"),
        pytest.param(b"site.test:443", b"https", b"site.test", id="default-port-https"),
        pytest.param(b"site.test:443", b"http", b"site.test:443", id="443-of-http"),
        pytest.param(b"site.test:80", b"https", b"site.test:80", id="80-of-https"),
        pytest.param(b"site.test:8080", b"http", b"site.test:8080", id="port"),
        pytest.param(b"192.0.2.1:80", b"http", b"192.0.2.1", id="ipv4"),
        pytest.param(b"[2001:DB8::1]", b"http", b"[2001:db8::1]", id="ipv6"),
        pytest.param(b"[::1]:80", b"http", b"[::1]", id="ipv6-default-port"),
        pytest.param(b"[::1]:8080", b"http", b"[::1]:8080", id="ipv6-port"),
        pytest.param(b"under_score", b"http", b"under_score", id="underscore"),
        pytest.param(b"a%2Db", b"http", b"a%2db", id="escape"),
        pytest.param(b"", b"http", b"", id="empty"),
    ],
)
def test_canonical_host(host: bytes, scheme: bytes, expected: bytes) -> None:
    assert canonical_host(host, scheme) == expected


@pytest.mark.rfc(9112, "3.2")
@pytest.mark.parametrize(
    "host",
    [
        pytest.param(b"a b", id="space"),
        pytest.param(b"a, b", id="list"),
        pytest.param(b"a,b", id="comma"),
        pytest.param(b"a/b", id="slash"),
        pytest.param(b"a?b", id="question"),
        pytest.param(b"a#b", id="fragment"),
        pytest.param(b"user@a", id="userinfo"),
        pytest.param(b"a:b", id="port-of-letters"),
        pytest.param(b"a:-1", id="negative-port"),
        pytest.param(b"a:123456", id="port-of-six-digits"),
        pytest.param(b"a:80:80", id="two-ports"),
        pytest.param(b":80", id="only-a-port"),
        pytest.param(b"::1", id="ipv6-without-brackets"),
        pytest.param(b"[::1", id="bracket-not-closed"),
        pytest.param(b"[::1]x", id="text-behind-bracket"),
        pytest.param(b"[]", id="empty-brackets"),
        pytest.param(b"[example]", id="name-in-brackets"),
        pytest.param(b"a%2", id="half-an-escape"),
        pytest.param(b"a%zz", id="no-escape"),
        pytest.param(b'a"b', id="quote"),
        pytest.param(b"a\\b", id="backslash"),
        pytest.param(b"a\x00", id="nul"),
        pytest.param(b"a\n", id="newline"),
        pytest.param(b"\xff", id="latin-1"),
        pytest.param(b"http://a", id="url"),
    ],
)
def test_what_is_no_host(host: bytes) -> None:
    with pytest.raises(RequestError) as raised:
        canonical_host(host, b"http")
    assert raised.value.status == 400


@given(st.binary(max_size=20) | st.text(alphabet="aA0.:[]%-", max_size=12).map(str.encode))
def test_canonical_once_is_canonical_for_good(host: bytes) -> None:
    try:
        once = canonical_host(host, b"http")
    except RequestError:
        return
    assert canonical_host(once, b"http") == once
    assert not set(once) & set(b' \t\r\n"\\/@,')
