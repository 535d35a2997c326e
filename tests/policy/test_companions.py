"""URLs that frameworks answer beside a page, and that become stale with it."""

from __future__ import annotations

import pytest

from proxy.config.model import PageData
from proxy.policy.companions import COMPANIONS, companions
from proxy.policy.invalidation import invalidated
from tests.policy.making import request, response

EVERY = tuple(kind for data in PageData for kind in COMPANIONS.get(data, ()))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # React Router 8.4, SvelteKit 3.2, Nuxt 4.5
        pytest.param("/todo", {"/todo.data", "/todo/__data.json", "/todo/_payload.json"}, id="page"),
        pytest.param("/todo.data", {"/todo", "/todo/__data.json", "/todo/_payload.json"}, id="react-router"),
        pytest.param("/todo/__data.json", {"/todo", "/todo.data", "/todo/_payload.json"}, id="sveltekit"),
        pytest.param("/a/b/_payload.json", {"/a/b", "/a/b.data", "/a/b/__data.json"}, id="nuxt"),
        pytest.param("/", {"/_root.data", "/_.data", "/__data.json", "/_payload.json"}, id="root"),
        pytest.param("/_root.data", {"/", "/_.data", "/__data.json", "/_payload.json"}, id="root-data"),
        pytest.param(
            "/a.html__data.json", {"/a.html", "/a.html.data", "/a.html/__data.json", "/a.html/_payload.json"}, id="html"
        ),
        pytest.param("/todo/", {"/todo.data", "/todo/__data.json", "/todo/_payload.json"}, id="slash"),
    ],
)
def test_companions(path: str, expected: set[str]) -> None:
    assert {found.decode() for found in companions(path.encode(), EVERY)} == expected


def test_a_write_makes_them_stale() -> None:
    posted = request(method=b"POST", target=b"/todo.data?index")
    found = invalidated(posted, response("Location: /list"), EVERY)
    targets = [each.target for each in found]
    assert targets[:2] == [b"/todo.data?index", b"/list"]
    assert {b"/todo", b"/todo/__data.json", b"/list.data"} <= set(targets)
    assert len(targets) == len(set(targets))
    assert [each.target for each in invalidated(posted, response())] == [b"/todo.data?index"]
    action = [each.target for each in invalidated(request(method=b"POST", target=b"/z?/create"), response(), EVERY)]
    assert {b"/z?/create", b"/z", b"/z/__data.json"} <= set(action)
    assert not invalidated(posted, response(status=500), EVERY)
