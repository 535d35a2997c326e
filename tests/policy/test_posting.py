"""Which answers to POST may a GET get, by RFC 9110 §9.3.3?"""

from __future__ import annotations

import pytest

from proxy.policy.decisions import Detail, Discard, Store, Storing
from proxy.policy.directives import NO_TERMS
from proxy.policy.storing import decide_storing
from tests.policy.making import TIMES, request, response, rules

SITE = rules(store_post=True)
FRESH = "Cache-Control: max-age=60"
SAME = "Content-Location: /page"


def decide(*lines: str, status: int = 200, method: bytes = b"POST", site=SITE) -> Storing:  # type: ignore[no-untyped-def]
    return decide_storing(request(method=method), NO_TERMS, response(*lines, status=status), TIMES, site)


@pytest.mark.rfc(9110, "8.7")
@pytest.mark.rfc(9110, "9.3.3")
@pytest.mark.parametrize(
    "location",
    [
        pytest.param("/page", id="path"),
        pytest.param("http://site.test/page", id="url"),
        pytest.param("http://SITE.test:80/page", id="url-written-otherwise"),
        pytest.param("//site.test/page", id="without-scheme"),
        pytest.param("page", id="relative"),
        pytest.param("", id="empty"),
    ],
)
def test_stored(location: str) -> None:
    assert isinstance(decide(FRESH, f"Content-Location: {location}"), Store)


@pytest.mark.rfc(9110, "8.7")
@pytest.mark.rfc(9110, "9.3.3")
@pytest.mark.parametrize(
    "location",
    [
        pytest.param("/other", id="another-path"),
        pytest.param("/page?a=1", id="another-query"),
        pytest.param("http://other.test/page", id="another-host"),
        pytest.param("https://site.test/page", id="another-scheme"),
        pytest.param("http://[", id="no-url"),
    ],
)
def test_of_another_resource(location: str) -> None:
    assert decide(FRESH, f"Content-Location: {location}") == Discard(Detail.METHOD)


@pytest.mark.rfc(9110, "9.3.3")
def test_what_else_is_needed() -> None:
    assert decide(FRESH) == Discard(Detail.METHOD), "Content-Location"
    assert decide(SAME) == Discard(Detail.NO_FRESHNESS), "a lifetime by the origin, the operator's is none"
    assert decide(SAME, "Cache-Control: max-age=60, no-store") == Discard(Detail.NO_STORE)
    assert decide(SAME, FRESH, status=201) == Discard(Detail.METHOD)
    assert decide(SAME, FRESH, method=b"PUT") == Discard(Detail.METHOD)
    assert decide(SAME, FRESH, site=rules()) == Discard(Detail.METHOD), "a setting"
