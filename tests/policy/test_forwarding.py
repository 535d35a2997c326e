"""Which fields pass, and what do we say of ourselves, by RFC 9110 §7.6 and RFC 7239?"""

from __future__ import annotations

from typing import Any

import pytest

from proxy.message.heads import Request
from proxy.policy.field_rules import KNOWN
from proxy.policy.forwarded import scheme_said
from proxy.policy.forwarding import (
    PRECONDITIONS,
    end_to_end,
    request_fields,
    request_head,
    response_fields,
)
from proxy.policy.known_fields import FieldKind
from tests.policy.making import fields, request

OF_PROXIES = {FieldKind.PROXY, FieldKind.PROXY_CLIENT, FieldKind.SPELLED}
OURS = {b"via", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"}


def sent(*lines: str, without: frozenset[bytes] = frozenset(), **asked: Any) -> list[str]:
    """What of these lines reaches the origin, without what we add."""
    raw = request_fields(request(*lines, **asked), without=without)
    return [f"{name.decode()}: {value.decode()}" for name, value in raw if name.lower() not in OURS]


def said(*lines: str, **asked: Any) -> dict[str, str]:
    """What we add."""
    raw = request_fields(request(*lines, **asked))
    names = [name.lower() for name, _ in raw]
    assert all(names.count(name) <= 1 for name in OURS)
    return {name.decode(): value.decode() for name, value in raw if name.lower() in OURS}


@pytest.mark.rfc(9110, "7.6")
@pytest.mark.rfc(9110, "7.6.1")
@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "KEEP-ALIVE",
        "Proxy-Connection",
        "TE",
        "transfer-encoding",
        "Upgrade",
        "HTTP2-Settings",
        "Proxy-Authorization",
    ],
)
def test_hop_by_hop_fields_stay_behind(name: str) -> None:
    assert sent("X-A: 1", f"{name}: x", "X-B: 2") == ["X-A: 1", "X-B: 2"]
    assert sent(f"{name}: x", trusted=True) == []


@pytest.mark.rfc(9110, "7.6")
def test_everything_else_passes_in_order_and_case() -> None:
    lines = [
        "Host: Site.test",
        "x-a: 1",
        "X-Empty: ",
        "X-A: 2",
        "Cookie: a",
        "AUTHORIZATION: x",
        "Range: y",
        "Trailer: z",
    ]
    assert sent(*lines) == lines


def test_without_names_what_else_stays_behind() -> None:
    lines = ["If-None-Match: a", "If-Modified-Since: b", "If-Range: c", "Range: d", "If-Match: e"]
    assert sent(*lines, without=PRECONDITIONS) == ["If-Match: e"]


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-Port",
        "X-FORWARDED-PREFIX",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "X-Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "X-Host",
        "X-Original-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-URL-Scheme",
        "X-Scheme",
        "Front-End-Https",
        "X_Forwarded_Port",
        "X_Original-URL",
        "X_Real_IP",
    ],
)
def test_what_only_a_trusted_proxy_may_say(name: str) -> None:
    assert KNOWN.kind(name.lower().encode()) in OF_PROXIES
    for method in (b"GET", b"POST"):
        assert sent(f"{name}: evil", method=method) == []
        assert sent(f"{name}: x", method=method, trusted=True) == [f"{name}: x"]


@pytest.mark.parametrize("name", ["Accept_Language", "accept_encoding", "User_Agent", "Content_Length", "Sec_CH-UA"])
def test_a_field_of_http_has_no_other_spelling(name: str) -> None:
    """CGI and WSGI write both as HTTP_ACCEPT_LANGUAGE, and the page is stored for what the plain field says."""
    assert sent(f"{name}: evil", "Accept-Language: de", "api_key: 1") == ["Accept-Language: de", "api_key: 1"]


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X_Forwarded_Host", "X_Forwarded_Proto"])
def test_an_underscore_is_a_dash_to_many_applications(name: str) -> None:
    """CGI and WSGI write both as HTTP_X_FORWARDED_FOR, and the last one counts."""
    assert sent(f"{name}: evil") == []


@pytest.mark.parametrize("name", ["X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"])
def test_a_method_override_cannot_make_a_get_something_else(name: str) -> None:
    for method in (b"GET", b"HEAD", b"OPTIONS"):
        assert sent(f"{name}: DELETE", method=method) == []
    assert sent(f"{name}: DELETE", method=b"POST") == [f"{name}: DELETE"]


def test_ordinary_names_are_not_about_forwarding() -> None:
    for name in (b"host", b"x-forward", b"x-requested-with", b"accept", b"x_csrf_token"):
        assert KNOWN.kind(name) not in OF_PROXIES


@pytest.mark.rfc(9110, "7.6.3")
@pytest.mark.parametrize(
    ("lines", "minor", "expected"),
    [
        pytest.param([], 1, "1.1 sitecache", id="first"),
        pytest.param([], 0, "1.0 sitecache", id="the-version-that-was-received"),
        pytest.param(["Via: 1.0 a"], 1, "1.0 a, 1.1 sitecache", id="after-another"),
        pytest.param(["Via: 1.0 a", "via: 1.1 b"], 1, "1.0 a, 1.1 b, 1.1 sitecache", id="after-two"),
        pytest.param(["Via:"], 1, "1.1 sitecache", id="after-nothing"),
    ],
)
def test_via(lines: list[str], minor: int, expected: str) -> None:
    assert said(*lines, minor=minor)["Via"] == expected


HOST = "Host: Site.test:8080"


@pytest.mark.rfc(7239, "4")
@pytest.mark.rfc(7239, "5")
@pytest.mark.rfc(7239, "6")
@pytest.mark.parametrize(
    ("asked", "node", "forwarded_for"),
    [
        pytest.param({"peer": "192.0.2.1"}, "192.0.2.1", "192.0.2.1", id="ipv4"),
        pytest.param({"peer": "2001:db8::1"}, "2001:db8::1", '"[2001:db8::1]"', id="ipv6"),
        pytest.param({"peer": ""}, "unknown", "unknown", id="unix-socket"),
    ],
)
def test_about_the_client(asked: dict[str, Any], node: str, forwarded_for: str) -> None:
    evil = ["X-Forwarded-For: evil", "X-Forwarded-Proto: evil", "X-Forwarded-Host: evil", "Forwarded: for=evil"]
    for lines in ([HOST], [HOST, *evil]):
        assert said(*lines, **asked) == {
            "Via": "1.1 sitecache",
            "X-Forwarded-For": node,
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": "Site.test:8080",
            "Forwarded": f'for={forwarded_for};host="Site.test:8080";proto=http',
        }


def test_without_a_host_field_the_host_of_the_request_counts() -> None:
    found = said(host=b"site.test", scheme=b"https")
    assert (found["X-Forwarded-Host"], found["X-Forwarded-Proto"]) == ("site.test", "https")


def test_what_a_trusted_proxy_says_stands() -> None:
    lines = ["X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: a", "Forwarded: for=x"]
    found = said(HOST, *lines, trusted=True, scheme=b"https")
    assert found == {
        "Via": "1.1 sitecache",
        "X-Forwarded-For": "198.51.100.7, 192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "a",
        "Forwarded": "for=x",
    }
    silent = said(HOST, trusted=True)
    assert silent["X-Forwarded-For"] == "192.0.2.1"
    assert silent["X-Forwarded-Host"] == "Site.test:8080"
    assert silent["Forwarded"].startswith("for=192.0.2.1;")


@pytest.mark.rfc(9112, "3")
def test_request_head() -> None:
    asking: Request = request(method=b"BREW", target=b"/a?b", minor=0)
    assert request_head(asking, [(b"A", b"b")]) == b"BREW /a?b HTTP/1.1\r\nA: b\r\n"


@pytest.mark.rfc(9110, "7.6.1")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["X-A: 1", "x-a: 2", "Set-Cookie: a", "Set-Cookie: b"], None, id="everything"),
        pytest.param(
            ["Connection: close", "Keep-Alive: x", "Transfer-Encoding: chunked", "X-A: 1"], ["X-A: 1"], id="hop"
        ),
        pytest.param(["Connection: x-a, Y", "X-A: 1", "y: 2", "X-B: 3"], ["X-B: 3"], id="named-by-connection"),
        pytest.param(["Connection: x-a", "Connection: x-b", "X-A: 1", "X-B: 2"], [], id="named-in-two-lines"),
        pytest.param(["Upgrade: h2c", "X-A: 1"], ["X-A: 1"], id="upgrade"),
        pytest.param(["Proxy-Authenticate: x", "Trailer: x"], None, id="meant-for-the-client"),
    ],
)
def test_end_to_end(lines: list[str], expected: list[str] | None) -> None:
    assert end_to_end(fields(*lines)) == fields(*(lines if expected is None else expected)).raw


@pytest.mark.rfc(9110, "7.6.3")
def test_response_fields() -> None:
    raw = response_fields(fields("Via: 1.1 a", "X-A: 1", "Connection: close"))
    assert raw == fields("Via: 1.1 a", "X-A: 1", "Via: 1.1 sitecache").raw
    assert response_fields(fields(), 0) == fields("Via: 1.0 sitecache").raw


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param(["X-Forwarded-Proto: https"], b"https", id="https"),
        pytest.param(["X-Forwarded-Proto: HTTP"], b"http", id="case"),
        pytest.param(["X-Forwarded-Proto: http, https"], b"https", id="the-last-one-was-nearest"),
        pytest.param(["X-Forwarded-Proto: wss"], b"https", id="traefik-of-websockets"),
        pytest.param(["X-Forwarded-Proto: ftp"], None, id="another-scheme"),
        pytest.param(["X-Forwarded-Proto:"], None, id="empty"),
    ],
)
def test_trusted_scheme(lines: list[str], expected: bytes | None) -> None:
    assert scheme_said(fields(*lines)) == expected
