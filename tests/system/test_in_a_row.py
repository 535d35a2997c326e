"""Do two caches, one before the other, behave as one?"""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from tests.system.processes import PATIENCE, start_proxy
from tests.system.storing import Origin


@pytest.fixture
def row() -> Iterator[tuple[Origin, int, int]]:
    with Origin() as origin:
        inner, behind = start_proxy(origin.url)
        try:
            outer, before = start_proxy(f"http://127.0.0.1:{behind}")
            try:
                yield origin, behind, before
            finally:
                outer.stop()
        finally:
            inner.stop()
            origin.shutdown()


def get(port: int) -> tuple[http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/page", headers={"Host": "site.test"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200
    return response.headers, body


@pytest.mark.rfc(9211, "2")
def test_a_page_is_made_once_and_each_cache_says_what_it_did(row: tuple[Origin, int, int]) -> None:
    origin, behind, before = row
    first, page = get(before)
    # RFC 9211 §2: the one nearest to the origin stands first.
    members = ", ".join(first.get_all("Cache-Status", [])).split(", ")
    assert [member.split("; ")[:2] for member in members] == [["sitecache", "fwd=uri-miss"]] * 2
    assert ", ".join(first.get_all("Via", [])) == "1.1 sitecache, 1.1 sitecache"
    again, same = get(before)
    members = ", ".join(again.get_all("Cache-Status", [])).split(", ")
    assert [member.split("; ")[1] for member in members] == ["fwd=uri-miss", "hit"]
    direct, there = get(behind)
    assert direct["Cache-Status"].startswith("sitecache; hit")
    assert page == same == there
    assert origin.made["/page"] == 1


@pytest.mark.rfc(9111, "4.2.3")
def test_the_outer_cache_goes_by_what_the_inner_one_says_of_date_age_and_lifetime(row: tuple[Origin, int, int]) -> None:
    _, behind, before = row
    inner, _ = get(behind)
    get(before)
    outer, _ = get(before)
    assert outer["Date"] == inner["Date"]
    assert (outer["Cache-Control"], outer["Expires"]) == (inner["Cache-Control"], inner["Expires"])
    assert int(outer["Age"]) >= int(inner.get("Age", 0))
    assert len(outer.get_all("Age", [])) == 1
