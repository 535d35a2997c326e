"""Is a request that a person describes the one that a client would have sent?"""

from __future__ import annotations

import pytest

from proxy.config.model import Limits
from proxy.downstream.pretended import Asked, pretend
from proxy.errors import RequestError
from proxy.message.heads import Request

INSIDE = "10.0.0.7"
NETWORKS = ("10.0.0.0/8",)


def made(url: str, *fields: str, method: str = "GET", peer: str = "") -> Request:
    return pretend(Asked(url, method, fields, peer), Limits(), NETWORKS)


def test_a_plain_url() -> None:
    request = made("http://Site.test:80/blog?page=2", "Accept: text/html", method="HEAD")
    assert (request.method, request.scheme, request.host, request.target) == (
        b"HEAD",
        b"http",
        b"site.test",
        b"/blog?page=2",
    )
    assert request.fields.get(b"accept") == b"text/html"
    assert (request.trusted, request.peer) == (False, "")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        pytest.param("http://a", b"/", id="no-path"),
        pytest.param("http://a?x=1", b"/?x=1", id="query-only"),
        pytest.param("http://a/ä b", b"/%C3%A4%20b", id="escaped-as-browsers-do"),
        pytest.param("http://a/%c3?x=%2F", b"/%c3?x=%2F", id="escaped-already"),
        pytest.param("http://a/b#c", b"/b", id="fragment"),
    ],
)
def test_a_target(url: str, target: bytes) -> None:
    assert made(url).target == target


def test_https_comes_through_a_proxy_that_says_so() -> None:
    request = made("https://site.test:443/")
    assert (request.scheme, request.host, request.trusted) == (b"https", b"site.test", True)
    assert request.fields.get(b"x-forwarded-proto") == b"https"
    assert made("https://site.test/", "X-Forwarded-Proto: http").scheme == b"http"


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [pytest.param(INSIDE, True, id="trusted"), pytest.param("192.0.2.1", False, id="anybody")],
)
def test_where_it_comes_from(peer: str, trusted: bool) -> None:
    request = made("https://site.test/", "X-Forwarded-Proto: https", peer=peer)
    assert (request.peer, request.trusted, request.scheme) == (peer, trusted, b"https" if trusted else b"http")


def test_a_host_that_is_given() -> None:
    assert made("http://127.0.0.1:8080/", "Host: www.site.test").host == b"www.site.test"


@pytest.mark.parametrize(
    ("url", "fields", "method", "peer"),
    [
        pytest.param("/blog", (), "GET", "", id="no-url"),
        pytest.param("ftp://a/", (), "GET", "", id="another-scheme"),
        pytest.param("http://a:b@c/", (), "GET", "", id="user"),
        pytest.param("http://[::1/", (), "GET", "", id="not-a-url"),
        pytest.param("http://a b/", (), "GET", "", id="not-a-host"),
        pytest.param("http://a/", ("no colon",), "GET", "", id="not-a-field"),
        pytest.param("http://a/", ("A: b\r\nC: d",), "GET", "", id="two-lines"),
        pytest.param("http://a/", ("A: €",), "GET", "", id="not-latin-1"),
        pytest.param("http://a/", (), "GET / HTTP/1.1\r\nX: y\r\n", "", id="a-method-of-two-lines"),
        pytest.param("http://a/", (), "G T", "", id="not-a-method"),
        pytest.param("http://a/", (), "GET", "elsewhere", id="not-an-address"),
        pytest.param("http://a/" + "x" * 20_000, (), "GET", "", id="too-long"),
    ],
)
def test_what_is_no_request_is_refused_with_a_reason(url: str, fields: tuple[str, ...], method: str, peer: str) -> None:
    with pytest.raises(RequestError, match=r"^.{10,}$") as refused:
        made(url, *fields, method=method, peer=peer)
    assert 400 <= refused.value.status < 500
