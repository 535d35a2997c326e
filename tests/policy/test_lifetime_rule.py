"""Is the rule named by which a response is fresh for as long as it is?"""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.units import Seconds
from proxy.policy.decisions import Store
from proxy.policy.default_lifetime import MediaTypes
from proxy.policy.directives import NO_TERMS
from proxy.policy.heuristic import Heuristic
from proxy.policy.lifetime_rule import lifetime_rule, lifetime_source
from proxy.policy.storing import decide_storing
from tests.policy.making import HOUR_AGO, MINUTE_LATER, TIMES, request, response, rules

GUESS = Heuristic(0.1)
TARGETED = (b"cdn-cache-control",)
STYLES = MediaTypes(["text/css"])
ROWS = [
    pytest.param(["cache-control: max-age=60"], 200, {}, "Cache-Control: max-age=60", id="max-age"),
    pytest.param(["cache-control: max-age=60, s-maxage=9"], 200, {}, "Cache-Control: s-maxage=9", id="s-maxage"),
    pytest.param([f"expires: {MINUTE_LATER}"], 404, {}, "Expires", id="expires"),
    pytest.param(
        ["cdn-cache-control: max-age=9", "cache-control: max-age=60", f"expires: {MINUTE_LATER}"],
        200,
        {"targeted": TARGETED},
        "Cdn-Cache-Control: max-age=9",
        id="targeted",
    ),
    pytest.param([], 200, {}, "`CACHE_MIDDLEWARE_SECONDS`", id="the-sites"),
    pytest.param(["content-type: text/css"], 200, {"page_types": STYLES}, "`page_types`", id="default"),
    pytest.param(["x-accel-expires: 9", "edge-control: max-age=9"], 200, {}, "Edge-Control, X-Accel-Expires", id="cdn"),
    pytest.param([], 404, {"status_lifetimes": {404: 30}}, "`routes[].status_ttl`", id="by-status"),
    pytest.param([], 503, {"status_lifetimes": {5: 30}}, "`routes[].status_ttl`", id="by-class"),
    pytest.param(["cache-control: max-age=60"], 200, {"cache_page": Seconds(9)}, "`routes[].cache_page`", id="route"),
    pytest.param(
        ["cache-control: max-age=60"], 404, {"cache_page": Seconds(9)}, "Cache-Control: max-age=60", id="no-page"
    ),
    pytest.param([f"last-modified: {HOUR_AGO}"], 404, {"heuristic": GUESS}, "`heuristic.percent`", id="guess"),
    pytest.param(
        ["cache-control: no-cache", 'etag: "a"'],
        200,
        {"site_lifetime": Seconds(0)},
        "Cache-Control: no-cache",
        id="none-but-to-be-asked",
    ),
    pytest.param(
        ["cdn-cache-control: no-cache", f"expires: {MINUTE_LATER}", 'etag: "a"'],
        200,
        {"site_lifetime": Seconds(0), "targeted": TARGETED},
        "Cdn-Cache-Control: no-cache",
        id="expires-does-not-count-beside-a-targeted-field",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "status", "changes", "expected"), ROWS)
def test_the_rule(lines: list[str], status: int, changes: dict[str, Any], expected: str) -> None:
    site = rules(**changes)
    came = response(*lines, status=status)
    stored = decide_storing(request(), NO_TERMS, came, TIMES, site)
    assert isinstance(stored, Store)
    assert lifetime_rule(came, stored.terms, site) == expected


@pytest.mark.parametrize(("lines", "status", "changes", "expected"), ROWS)
def test_what_is_known_of_it_later(lines: list[str], status: int, changes: dict[str, Any], expected: str) -> None:
    """What the application said is not told apart any more: what is stored may say it in our words."""
    site = rules(**changes)
    stored = decide_storing(request(), NO_TERMS, response(*lines, status=status), TIMES, site)
    assert isinstance(stored, Store)
    source = expected if expected.startswith("`") else "the application"
    assert lifetime_source(status, stored.terms, site) == source


def test_a_directive_without_a_value() -> None:
    came = response("cache-control: max-age, stale-while-revalidate=9")
    stored = decide_storing(request(), NO_TERMS, came, TIMES, rules())
    assert isinstance(stored, Store)
    assert lifetime_rule(came, stored.terms, rules()) == "Cache-Control: max-age"
