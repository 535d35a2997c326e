"""Does a route hold for every spelling of its path, by what each server makes of it?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.spellings import is_plain, readings
from tests.exchange.making import whole
from tests.exchange.test_routes import Routed

FRESH = "cache-control: max-age=60"
ACCOUNT = {"match": ["/account", "/account/*"], "never_cache": True}

SPELLED = [
    pytest.param("/account", id="plain"),
    pytest.param("/%61ccount", id="escaped-rfc-3986-6.2.2.2"),
    pytest.param("/account%2Fx", id="escaped-slash-nginx"),
    pytest.param("//account", id="slashes-nginx-merge-slashes"),
    pytest.param("///account//x", id="more-slashes-httpd-mergeslashes"),
    pytest.param("/./account", id="dot-rfc-3986-5.2.4"),
    pytest.param("/x/../account", id="dots-rfc-3986-5.2.4"),
    pytest.param("/../account", id="dots-above-the-root"),
    pytest.param("/x/%2e%2e/account", id="escaped-dots"),
    pytest.param("/x/.%2E/account", id="half-escaped-dots-whatwg-url"),
    pytest.param("/x/..%2faccount", id="escaped-slash-behind-dots-nginx"),
    pytest.param("/x%2f..%2faccount", id="escaped-slashes"),
    pytest.param("/x/..\\account", id="backslash-iis-whatwg-url"),
    pytest.param("\\account".replace("\\", "/\\"), id="backslash-in-front"),
    pytest.param("/x/..%5caccount", id="escaped-backslash-iis"),
    pytest.param("/account;jsessionid=1", id="parameters-tomcat"),
    pytest.param("/account;a/x", id="parameters-of-the-first-segment-jetty"),
    pytest.param("/x/..;/account", id="dots-with-parameters-tomcat"),
    pytest.param("/;a/account", id="nothing-but-parameters"),
    pytest.param("/account%3bx", id="escaped-semicolon-spring"),
    pytest.param("/x//../account", id="slashes-before-dots-nginx"),
    pytest.param("/account/x/..", id="dots-at-the-end"),
    pytest.param("/account/.", id="dot-at-the-end"),
    pytest.param("/account/..%2fstatic/y", id="as-it-was-sent"),
    pytest.param("/x/../account/..%2fy", id="escaped-slash-is-no-slash-node"),
]


@pytest.mark.parametrize("target", SPELLED)
@pytest.mark.rfc(3986, "5.2.4")
async def test_a_route_holds_for_every_spelling(tmp_path: Path, target: str) -> None:
    bench = Routed(tmp_path, {"routes": [{"match": "/static/*", "cache_page": "1h"}, ACCOUNT]})
    bench.give(whole(FRESH), whole(FRESH))
    for _ in range(2):
        client = await bench.get(target)
        assert "hit" not in client.cache_status
        assert "stored" not in client.cache_status
    # It reaches the application as it was sent.
    assert all(ask.head.startswith(f"GET {target} HTTP/1.1".encode()) for ask in bench.origin.asked)


@pytest.mark.parametrize(
    ("settings", "target", "is_cached"),
    [
        pytest.param([ACCOUNT], "/other//x", True, id="no-route-either-way"),
        pytest.param([ACCOUNT], "/.well-known/x", True, id="a-name-with-a-dot"),
        pytest.param([ACCOUNT], "/a%20b", True, id="an-escape"),
        pytest.param([ACCOUNT], "/account.css", True, id="another-name"),
        pytest.param([ACCOUNT], "/Account", True, id="case-counts"),
        pytest.param([ACCOUNT], "/%2561ccount", True, id="decoded-once"),
        pytest.param([{"match": "/s/*", "cache_page": "1h"}], "/s//x.css", True, id="one-route-both-ways"),
        pytest.param([{"match": "/s/*", "cache_page": "1h"}], "//s/x.css", False, id="two-routes"),
        pytest.param([{"match": "/s/*", "cache_page": "1h"}], "/s/..%2faccount", False, id="deception"),
        pytest.param([{"match": "/s/*", "cache_page": "1h"}], "/account/..%2fs/x", False, id="deception-otherwise"),
        pytest.param([{"match": "//legacy/*", "bypass": True}], "//legacy/x", False, id="written-with-two-slashes"),
        pytest.param([{"regex": "^/a;v=", "bypass": True}], "/a;v=1", False, id="written-with-parameters"),
        pytest.param([ACCOUNT], "/" + "./" * 300 + "account", False, id="more-segments-than-anybody-reads"),
    ],
)
async def test_what_its_spellings_say_is_cached(
    tmp_path: Path, settings: list[dict[str, Any]], target: str, is_cached: bool
) -> None:
    bench = Routed(tmp_path, {"routes": settings})
    bench.give(whole(FRESH), whole(FRESH))
    await bench.get(target)
    assert (await bench.get(target)).cache_status.startswith("hit") is is_cached


async def test_each_spelling_has_a_key_of_its_own(tmp_path: Path) -> None:
    bench = Routed(tmp_path, {"routes": [ACCOUNT]})
    bench.give(whole(FRESH, body=b"a"), whole(FRESH, body=b"b"))
    assert (await bench.get("/x/y")).content == b"a"
    assert (await bench.get("/x//y")).content == b"b"


@pytest.mark.parametrize(("parameters", "is_cached"), [(True, False), (False, True)])
async def test_a_semicolon_may_be_a_letter(tmp_path: Path, parameters: bool, is_cached: bool) -> None:
    bench = Routed(tmp_path, {"routes": [ACCOUNT], "path_parameters": parameters})
    bench.give(whole(FRESH), whole(FRESH))
    await bench.get("/account;a")
    assert (await bench.get("/account;a")).cache_status.startswith("hit") is is_cached


async def test_the_route_that_tells_browsers_goes_first(tmp_path: Path) -> None:
    bench = Routed(tmp_path, {"routes": [{"match": "//*", "bypass": True}, ACCOUNT]})
    bench.give(whole(FRESH))
    assert b"no-store" in ((await bench.get("//account")).fields.get(b"cache-control") or b"")


@given(st.text(alphabet="/.;%2fe\\a5c", max_size=24).map(lambda text: f"/{text}".encode()))
def test_any_path_has_readings_the_first_of_which_is_what_was_sent(path: bytes) -> None:
    found = readings(path)
    assert found is not None
    assert found[0] == readings(path, parameters=False)[0]  # type: ignore[index]  # neither has many segments
    assert all(one.startswith("/") for one in found)
    if is_plain(path):
        assert found == (path.decode(),)


@given(st.lists(st.sampled_from([b"a", b"b", b"", b".", b"..", b"%2e", b".%2E"]), max_size=8))
@pytest.mark.rfc(3986, "5.2.4")
def test_a_normal_form_is_normal(segments: list[bytes]) -> None:
    last = (readings(b"/" + b"/".join(segments)) or ())[1:2]
    for normal in last:
        assert "//" not in normal
        assert not {".", ".."} & set(normal.split("/"))
