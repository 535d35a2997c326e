"""Does a request of which only the URL is given have the fields of a browser?"""

from __future__ import annotations

import pytest

from proxy.config.model import Limits
from proxy.downstream.browsers import as_browsers, assumed
from proxy.downstream.pretended import Asked, pretend

ALL, SAFARI, PLAIN = "gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate"


def sent(asked: Asked) -> dict[str, str]:
    """The fields of the likeliest one, as they are read."""
    request = pretend(as_browsers(asked)[0], Limits(), ())
    return {name.decode(): value.decode() for name, value in request.fields.index.items()}


def codings(url: str) -> list[str]:
    return [sent(Asked(url, fields=one.fields))["accept-encoding"] for one in as_browsers(Asked(url))]


def test_browsers_ask_for_other_codings_over_tls() -> None:
    assert codings("https://a.test/") == [ALL, SAFARI, PLAIN]
    assert codings("http://a.test/") == [PLAIN, ALL, SAFARI]


@pytest.mark.parametrize(
    ("url", "accept"),
    [
        pytest.param("http://a.test/", "text/html,", id="page"),
        pytest.param("http://a.test/a.css?v=1", "text/css,", id="style"),
        pytest.param("http://a.test/a.js#x", "*/*", id="script"),
        pytest.param("http://a.test/a.woff2", "*/*", id="font"),
        pytest.param("http://a.test/a.png", "image/avif,", id="image"),
        pytest.param("http://a.test/ü.png", "image/avif,", id="not-ascii"),
    ],
)
def test_what_they_accept_is_of_the_kind_that_they_ask_for(url: str, accept: str) -> None:
    found = sent(Asked(url))
    assert found["accept"].startswith(accept)
    assert found["accept-language"] == "en-US,en;q=0.9"
    assert found["user-agent"].startswith("Mozilla/5.0 ")


def test_what_is_given_counts() -> None:
    given = ["accept-encoding: identity", "Accept: x/y", "User-Agent: curl/8", "Accept-Language: de", "Cookie: a=1"]
    asked = Asked("http://a.test/", fields=given)
    [one] = as_browsers(asked)
    assert (list(one.fields), assumed(asked, one)) == (given, [])


def test_what_is_given_without_a_value_is_left_out() -> None:
    asked = Asked("http://a.test/", fields=["Accept-Encoding:", "Accept-Language: ", "Accept;"])
    [one] = as_browsers(asked)
    assert [line.partition(":")[0] for line in one.fields] == ["Accept;", "Accept", "User-Agent"]


def test_what_was_assumed_is_told() -> None:
    asked = Asked("https://a.test/", fields=["Cookie: a=1"])
    one, *_ = as_browsers(asked)
    assert [line.partition(":")[0] for line in assumed(asked, one)] == [
        "Accept", "Accept-Language", "User-Agent", "Accept-Encoding",
    ]  # fmt: skip


def test_what_is_no_url_is_refused_by_who_reads_it() -> None:
    assert len(as_browsers(Asked("http://[::1/"))) == 3
