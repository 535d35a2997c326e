"""Does a request take the site and the route that its host, its method and its decoded path say?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import RouteConfig
from proxy.policy.key import Distinctions, primary_key, variant_key
from proxy.policy.query import QueryRules
from proxy.policy.routing import Hosts, HostTable, choose, decoded_path, match_of
from tests.policy.making import request


def takes(route: RouteConfig, **asked: Any) -> bool:
    return choose([(match_of(route), True)], otherwise=False, request=request(**asked))


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        pytest.param("/blog/*", b"/blog/", True, id="star-is-any-text"),
        pytest.param("/blog/*", b"/blog/2026/01/", True, id="slashes-too"),
        pytest.param("/blog/*", b"/blog", False, id="the-whole-path"),
        pytest.param("/blog/*", b"/x/blog/", False, id="from-its-beginning"),
        pytest.param("/blog", b"/blog/", False, id="to-its-end"),
        pytest.param("/blog", b"/blog?page=2", True, id="the-query-is-no-part"),
        pytest.param("*.css", b"/a/b.css", True, id="star-in-front"),
        pytest.param("*.css", b"/a?x=.css", False, id="not-in-the-query"),
        pytest.param("/a*b*c", b"/a-b-c", True, id="two-stars"),
        pytest.param("/Blog", b"/blog", False, id="case-counts"),
        pytest.param("/a.b[c]+?", b"/a.b[c]+?", False, id="a-question-mark-ends-the-path"),
        pytest.param("/a.b[c]+", b"/a.b[c]+", True, id="no-other-mark-is-special"),
        pytest.param("/admin/*", b"/%61dmin/x", True, id="decoded"),
        pytest.param("/admin/*", b"/admin%2Fx", True, id="decoded-slash-as-the-application-sees-it"),
        pytest.param("/admin/*", b"/%2561dmin/x", False, id="decoded-once"),
        pytest.param("/café", b"/caf%C3%A9", True, id="utf-8"),
        pytest.param("/a*", b"/a%FF", True, id="no-utf-8"),
        pytest.param("/a*z", b"/a%0Az", True, id="a-line-feed-is-text"),
        pytest.param("/a", b"/a%0A", False, id="a-line-feed-at-the-end"),
        pytest.param("/*", b"*", False, id="the-server-itself"),
    ],
)
def test_match(pattern: str, target: bytes, expected: bool) -> None:
    assert takes(RouteConfig(match=("/never", pattern)), target=target) is expected


@pytest.mark.parametrize(
    ("route", "asked", "expected"),
    [
        pytest.param(RouteConfig(), {}, True, id="nothing-said-takes-all"),
        pytest.param(RouteConfig(regex="^/p[0-9]+/$"), {"target": b"/p12/"}, True, id="regex"),
        pytest.param(RouteConfig(regex="^/p[0-9]+/$"), {"target": b"/px/"}, False, id="regex-not"),
        pytest.param(RouteConfig(regex="age"), {"target": b"/page"}, True, id="regex-is-searched-for"),
        pytest.param(RouteConfig(methods=("GET",)), {"method": b"GET"}, True, id="get"),
        pytest.param(RouteConfig(methods=("GET",)), {"method": b"HEAD"}, True, id="head-goes-with-get"),
        pytest.param(RouteConfig(methods=("HEAD",)), {"method": b"GET"}, False, id="get-not-with-head"),
        pytest.param(RouteConfig(methods=("POST", "PUT")), {"method": b"PUT"}, True, id="one-of-them"),
        pytest.param(RouteConfig(methods=("POST",)), {"method": b"post"}, False, id="methods-have-case"),
        pytest.param(RouteConfig(hosts=(".a.test",)), {"host": b"x.a.test:81"}, True, id="host"),
        pytest.param(RouteConfig(hosts=(".a.test",)), {"host": b"b.test"}, False, id="another-host"),
    ],
)
def test_what_a_route_takes(route: RouteConfig, asked: dict[str, bytes], expected: bool) -> None:
    assert takes(route, **asked) is expected


def test_the_first_route_holds() -> None:
    routes = [(match_of(RouteConfig(match=(pattern,))), pattern) for pattern in ("/a/b*", "/a/*", "/a/b")]
    assert [choose(routes, "", request(target=target)) for target in (b"/a/b", b"/a/c", b"/d")] == ["/a/b*", "/a/*", ""]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(b"www.example.org", "exact", id="exact"),
        pytest.param(b"www.example.org:8080", "exact", id="port"),
        pytest.param(b"www.example.org.", "exact", id="dot-at-the-end"),
        pytest.param(b"www.example.org.:80", "exact", id="dot-and-port"),
        pytest.param(b"example.org", "example", id="the-domain-itself"),
        pytest.param(b"a.b.example.org", "example", id="below-it"),
        pytest.param(b"x.deep.example.org", "deep", id="the-longest"),
        pytest.param(b"badexample.org", "other", id="only-alike"),
        pytest.param(b"example.org.evil.test", "other", id="in-front"),
        pytest.param(b"[::1]:81", "six", id="ipv6"),
        pytest.param(b"[::2]", "other", id="another-ipv6"),
        pytest.param(b"", "other", id="none"),
        pytest.param(b".", "other", id="nothing-but-a-dot"),
        pytest.param(b"..example.org", "example", id="empty-labels"),
    ],
)
def test_hosts(host: bytes, expected: str) -> None:
    named = [
        ("www.example.org", "exact"),
        (".example.org", "example"),
        (".deep.example.org", "deep"),
        ("[::1]", "six"),
        ("*", "other"),
    ]
    assert HostTable(named, "").find(host) == expected


@given(host=st.text(alphabet="ab.:[]0", max_size=20).map(str.encode))
def test_any_host_is_found_or_not(host: bytes) -> None:
    hosts = Hosts((".a.b", "b", "[::1]"))
    assert (host in hosts) in (True, False)
    assert host in Hosts(("*",))


@given(path=st.binary(max_size=30))
def test_any_target_has_a_path(path: bytes) -> None:
    assert "?" not in decoded_path(path) or b"%3f" in path.lower()


# Which part of the query tells pages apart.


@pytest.mark.parametrize(
    ("ignore", "sort", "target", "expected"),
    [
        pytest.param(["utm_*"], False, b"/p?utm_a=1&b=2&utm_=3", b"/p?b=2", id="ignored"),
        pytest.param(["utm_*"], False, b"/p?utm_a=1", b"/p", id="nothing-left"),
        pytest.param(["utm_*"], False, b"/p?", b"/p", id="empty-query"),
        pytest.param(["utm_*"], False, b"/p", b"/p", id="no-query"),
        pytest.param(["utm_*"], False, b"/p?b=2&&a=1", b"/p?b=2&a=1", id="empty-parameters-and-order"),
        pytest.param(["utm_*"], False, b"/p?UTM_a=1", b"/p?UTM_a=1", id="case-counts"),
        pytest.param(["utm_a"], False, b"/p?utm_ab=1", b"/p?utm_ab=1", id="the-whole-name"),
        pytest.param(["utm_a"], False, b"/p?utm%5Fa=1", b"/p", id="decoded"),
        pytest.param(["a b"], False, b"/p?a+b=1", b"/p", id="plus-is-a-space"),
        pytest.param(["*"], False, b"/p?a=1&b", b"/p", id="all"),
        pytest.param(["a"], False, b"/p?a", b"/p", id="no-value"),
        pytest.param(["a"], False, b"/p?a=1;page=2", b"/p?a=1;page=2", id="what-others-split-stays"),
        pytest.param([], True, b"/p?b=2&a=1", b"/p?a=1&b=2", id="sorted"),
        pytest.param([], True, b"/p?b=2&a=2&b=1&a=1", b"/p?a=2&a=1&b=2&b=1", id="those-of-one-name-keep-their-order"),
        pytest.param(["x"], True, b"/p?b=2&x&a=1", b"/p?a=1&b=2", id="both"),
    ],
)
def test_query(ignore: list[str], sort: bool, target: bytes, expected: bytes) -> None:
    assert QueryRules(ignore, sort=sort).keyed(target) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param(b"/a?page=2&x=1", b"/a?page=2", id="others-are-ignored"),
        pytest.param(b"/a?x=1", b"/a", id="nothing-left"),
        pytest.param(b"/a?%70age=2&x", b"/a?%70age=2", id="escaped"),
        pytest.param(b"/a?page=2&page=3", b"/a?page=2&page=3", id="twice"),
        pytest.param(b"/a?f-x=1&f-y=2&g=3", b"/a?f-x=1&f-y=2", id="pattern"),
        pytest.param(b"/a?x=1;page=2", b"/a?x=1;page=2", id="semicolons"),
        pytest.param(b"/a", b"/a", id="no-query"),
    ],
)
def test_what_is_left_of_a_query_where_it_is_said_what_counts(target: bytes, expected: bytes) -> None:
    assert QueryRules(keep=["page", "f-*"]).keyed(target) == expected


@pytest.mark.parametrize(
    "pair",
    [
        *("page_id[]=9", "page_id[x]=9", "page_id%5B%5D=9", "Page_ID=9", "%20page_id=9", "+page_id=9", "%09page_id=9"),
        *("page.id=9", "page%20id=9", "page[id=9", "page.id[]=9", "page_id%00x=9"),
    ],
)
def test_what_an_application_may_read_as_a_kept_parameter_is_kept(pair: str) -> None:
    target = f"/p?{pair}".encode()
    assert QueryRules(keep=["page_id"]).keyed(b"%b&other=1" % target) == target


pairs = st.lists(st.sampled_from([b"a=1", b"a=2", b"b=1", b"utm_x=1", b"%61=1", b"", b"c"]), max_size=5)


@given(query=pairs)
def test_what_is_keyed_is_keyed_again_as_it_is(query: list[bytes]) -> None:
    rules = QueryRules(["utm_*"], sort=True)
    keyed = rules.keyed(b"/p?" + b"&".join(query))
    assert rules.keyed(keyed) == keyed


short = st.text(alphabet="ab:1", max_size=3).map(str.encode)


@pytest.mark.rfc(9111, "4.1")
@given(one=st.tuples(short, short, short, short, short), other=st.tuples(short, short, short, short, short))
def test_no_two_scopes_urls_and_varied_fields_share_a_key(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    def key(scope: bytes, host: bytes, path: bytes, query: bytes, agent: bytes) -> bytes:
        target = b"/" + path + b"?" + query
        asked = request(f"user-agent: {agent.decode()}", host=host, target=target)
        return variant_key(primary_key(scope, asked), (b"user-agent",), asked, Distinctions(()))

    assert (key(*one) == key(*other)) is (one == other)
