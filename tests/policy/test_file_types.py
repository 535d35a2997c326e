"""Which files are those that pages consist of?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from proxy.policy.facts import facts_of
from proxy.policy.file_types import Kind, kind_of_file, kind_of_path
from proxy.policy.remedies import remedy_of
from tests.policy.making import request, response, rules


@pytest.mark.parametrize(
    ("target", "content_type", "kind"),
    [
        pytest.param("/a.css", None, Kind.STYLE, id="css"),
        pytest.param("/a.min.JS?v=1.css", None, Kind.SCRIPT, id="js"),
        pytest.param("/logo.svg", None, Kind.IMAGE, id="svg"),
        pytest.param("/f/a.woff2", None, Kind.FONT, id="woff2"),
        pytest.param("/css", None, None, id="no-ending"),
        pytest.param("/v1.js/list", None, None, id="in-a-folder"),
        pytest.param("/a.php", None, None, id="a-program"),
        pytest.param("/", None, None, id="root"),
        pytest.param("/load.php?modules=a", "text/css; charset=utf-8", Kind.STYLE, id="mediawiki"),
        pytest.param("/lib/exe/js.php", "application/javascript", Kind.SCRIPT, id="dokuwiki"),
        pytest.param("/_next/image?url=a", "image/avif", Kind.IMAGE, id="next-image"),
        pytest.param("/f", "font/woff2", Kind.FONT, id="font"),
        pytest.param("/f", "application/vnd.ms-fontobject", Kind.FONT, id="eot"),
        pytest.param("/f", "Text/JavaScript;charset=utf-8", Kind.SCRIPT, id="case"),
        pytest.param("/missing.css", "text/html", None, id="the-type-counts-and-not-the-path"),
        pytest.param("/a.js", "application/json", None, id="json"),
        pytest.param("/a", "imagery", None, id="no-type"),
    ],
)
def test_what_is_a_file(target: str, content_type: str | None, kind: Kind | None) -> None:
    came = None if content_type is None else response(f"content-type: {content_type}")
    assert kind_of_file(request(target=target.encode()), came) is kind
    if content_type is None:
        assert kind_of_path(target.partition("?")[0].encode()) is kind


@pytest.mark.parametrize("detail", [Detail.COOKIE, None], ids=["cookie", "vary"])
@pytest.mark.parametrize(
    ("content_type", "target"),
    [("text/css", b"/a"), ("image/png", b"/b.php"), ("font/woff2", b"/c"), ("text/javascript", b"/d")],
)
def test_the_remedy_of_a_file_behind_cookies_is_a_route_of_its_own(
    detail: Detail | None, content_type: str, target: bytes
) -> None:
    asked = request("cookie: roundcube_sessid=1", target=target)
    facts = facts_of(asked, response(f"content-type: {content_type}", "vary: cookie"), rules())
    reason = ForwardReason.BYPASS if detail else ForwardReason.VARY_MISS
    remedy = remedy_of(Outcome(forward=reason, detail=detail), replace(facts, vary=("Cookie",)))
    assert remedy.settings == (("routes[].cache_control",) if detail else ("routes[].cookies.ignore",))
    assert ("public: true" in remedy.do) is (detail is not None)


def test_the_remedy_of_a_page_is_no_such_route() -> None:
    facts = facts_of(request("cookie: a=1"), response("content-type: text/html"), rules())
    remedy = remedy_of(Outcome(forward=ForwardReason.BYPASS, detail=Detail.COOKIE), facts)
    assert "cookies.ignore" in remedy.settings
    assert "routes[].cache_control" not in remedy.settings
