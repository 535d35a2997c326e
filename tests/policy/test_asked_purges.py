"""Is what is to be purged read as it was meant, and refused in one line where it cannot be?"""

from __future__ import annotations

from typing import Any

import pytest

from proxy.policy.asked_purges import MOST, Asked, Done, PurgeError, asked_of


@pytest.mark.parametrize(
    ("values", "asked", "kinds"),
    [
        pytest.param({"url": "http://a.test/"}, Asked(url=("http://a.test/",)), ("url",), id="one-url"),
        pytest.param({"tag": ["a", "b", "a"]}, Asked(tag=("a", "b")), ("tag",), id="tags-each-once"),
        pytest.param({"tag": "größe"}, Asked(tag=("grÃ¶Ã\x9fe",)), ("tag",), id="utf-8-as-bytes"),
        pytest.param({"prefix": "/%7ea/%2f"}, Asked(prefix=("/~a/%2F",)), ("prefix",), id="normalised-as-in-keys"),
        pytest.param({"glob": "*/feed", "soft": True}, Asked(glob=("*/feed",), soft=True), ("glob",), id="soft"),
        pytest.param({"host": "A.test"}, Asked(host=("a.test",)), ("host",), id="host"),
        pytest.param({"tag": "a", "host": "a.test"}, Asked(tag=("a",), host=("a.test",)), ("tag",), id="of-a-host"),
        pytest.param({"all": True}, Asked(all=True), ("all",), id="all"),
    ],
)
def test_what_is_asked(values: dict[str, Any], asked: Asked, kinds: tuple[str, ...]) -> None:
    assert asked_of(values) == asked
    assert asked.kinds == kinds
    assert asked_of(asked.plain()).kinds == kinds
    assert "\n" not in asked.shown()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        pytest.param({}, "nothing is named: expected url, prefix, glob, tag, host or all", id="nothing"),
        pytest.param({"soft": True}, "nothing is named", id="only-soft"),
        pytest.param({"urls": "x"}, "expected url, prefix, glob, tag, host, all or soft, and not 'urls'", id="unknown"),
        pytest.param({"all": "yes"}, "all: expected true or false", id="no-flag"),
        pytest.param({"tag": 5}, "tag: expected a text, or a list of them", id="number"),
        pytest.param({"tag": [5]}, "tag: expected a text, or a list of them", id="list-of-numbers"),
        pytest.param(
            {"tag": ["a"] * (MOST + 1)}, f"tag: expected {MOST} at most in one purge, and not 1001", id="many"
        ),
        pytest.param({"tag": ""}, "tag: expected a tag of 1 to 1024 characters", id="empty-tag"),
        pytest.param({"tag": " a"}, "tag: expected a tag of 1 to 1024 characters", id="blank"),
        pytest.param({"tag": "a\nb"}, "tag: expected a tag of 1 to 1024 characters", id="line-feed"),
        pytest.param({"url": "/page"}, "url: expected a URL such as http://www.example.org/page", id="no-url"),
        pytest.param({"url": "http:///"}, "url: expected a URL such as http://www.example.org/page", id="no-host"),
        pytest.param({"prefix": "blog"}, "prefix: expected a path that begins with /", id="no-path"),
        pytest.param({"prefix": "/a?b"}, "prefix: expected a path without a query", id="query"),
        pytest.param({"prefix": "/a*"}, "prefix: expected a prefix without *, which is for globs", id="star"),
        pytest.param({"glob": "a*"}, "glob: expected a path that begins with /", id="no-glob"),
        pytest.param({"host": "http://a.test"}, "host: expected a host such as www.example.org", id="no-host-alone"),
    ],
)
def test_what_cannot_be_purged(values: dict[str, Any], why: str) -> None:
    with pytest.raises(PurgeError) as caught:
        asked_of(values)
    assert str(caught.value).startswith(why)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("done", "status", "told"),
    [
        pytest.param(
            Done(caches=("a",)), 200, {"status": "ok", "purged": {"all": True}, "caches": ["a"]}, id="everywhere"
        ),
        pytest.param(
            Done({"b": "gone"}, caches=("a",)),
            503,
            {"status": "failed", "purged": {"all": True}, "caches": ["a"], "failed": {"b": "gone"}},
            id="not-in-one",
        ),
        pytest.param(Done(error="no site"), 400, {"status": "failed", "error": "no site"}, id="not-at-all"),
    ],
)
def test_what_is_said_of_it(done: Done, status: int, told: dict[str, Any]) -> None:
    assert (done.status, done.plain(Asked(all=True))) == (status, told)
    assert done.result == ("success" if status == 200 else "failure")
