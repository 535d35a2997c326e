"""Are the faults that other caches have had, each of which showed one visitor the page of another, none of ours?

Each test is played with the pages in memory and in a storage that has to be waited for.
"""

from __future__ import annotations

import pytest

from tests.exchange.making import Bench, Clock, Gate, request, settled, whole
from tests.exchange.remotes import Counting, remote

FRESH = "cache-control: max-age=60"
PUBLIC = "cache-control: public, max-age=60"


@pytest.fixture(params=["memory", "storage"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(storage=None if request.param == "memory" else remote(Counting(Clock())))


@pytest.mark.parametrize("freshness", ["x-none: 1", FRESH, PUBLIC])
@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param(["cookie: theme=dark"], id="unrelated"),
        pytest.param(["cookie: _ga=1"], id="ignored"),
        pytest.param([], id="none"),
    ],
)
@pytest.mark.parametrize("vary", [pytest.param([], id="no-vary"), pytest.param(["vary: cookie"], id="vary-cookie")])
@pytest.mark.rfc(9111, "7.3")
async def test_a_response_that_sets_a_cookie_is_not_stored_whatever_cookies_the_request_had(
    bench: Bench, freshness: str, cookie: list[str], vary: list[str]
) -> None:
    bench.give(*[whole(freshness, *vary, f"set-cookie: session={name}", body=name.encode()) for name in "abc"])
    got = [await bench.get("/page", *cookie) for _ in range(3)]
    assert [client.content for client in got] == [b"a", b"b", b"c"]
    assert [client.fields.lines(b"set-cookie") for client in got] == [[b"session=a"], [b"session=b"], [b"session=c"]]
    assert {client.detail for client in got} == {"set-cookie"}


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["vary: *"], id="alone"),
        pytest.param(["vary: accept, *"], id="last"),
        pytest.param(["vary: *, accept"], id="first"),
        pytest.param(["vary: accept,*,cookie"], id="in-the-middle"),
        pytest.param(["vary: accept", "vary: *"], id="in-a-line-of-its-own"),
        pytest.param(["vary: *", "vary: accept"], id="before-another-line"),
        pytest.param(["vary: ,  *  ,"], id="among-empty-members"),
    ],
)
@pytest.mark.rfc(9111, "4.1")
async def test_vary_with_a_star_in_any_place_is_not_stored(bench: Bench, lines: list[str]) -> None:
    bench.give(whole(PUBLIC, *lines, body=b"first"), whole(PUBLIC, *lines, body=b"second"))
    assert [(await bench.get()).content for _ in range(2)] == [b"first", b"second"]


@pytest.mark.parametrize(
    ("said", "is_shared"),
    [
        pytest.param(FRESH, False, id="max-age"),
        pytest.param("expires: Sun, 09 Sep 2001 02:46:40 GMT", False, id="expires"),
        pytest.param("x-none: 1", False, id="nothing"),
        pytest.param(PUBLIC, True, id="public"),
        pytest.param("cache-control: s-maxage=60", True, id="s-maxage"),
        pytest.param("cache-control: max-age=60, must-revalidate", True, id="must-revalidate"),
    ],
)
@pytest.mark.rfc(9111, "3.5")
async def test_what_answered_credentials_answers_others_only_where_the_response_says_so(
    bench: Bench, said: str, is_shared: bool
) -> None:
    bench.give(whole(said, body=b"alice"), whole(said, body=b"bob"), whole(said, body=b"anybody"))
    got = [
        await bench.get("/page", "authorization: Basic YWxpY2U="),
        await bench.get("/page", "authorization: Basic Ym9i"),
        await bench.get("/page"),
    ]
    assert [client.content for client in got] == ([b"alice"] * 3 if is_shared else [b"alice", b"bob", b"anybody"])


@pytest.mark.rfc(9111, "3.5")
async def test_a_page_for_anybody_of_which_nothing_is_said_does_not_answer_credentials(bench: Bench) -> None:
    bench.give(whole(body=b"anybody"), whole(body=b"alice"))
    await bench.get()
    assert (await bench.get("/page", "authorization: Basic YWxpY2U=")).content == b"alice"
    assert (await bench.get()).content == b"anybody"


@pytest.mark.parametrize(
    "said",
    [
        *("Private", "PRIVATE", "pRiVaTe", "max-age=60, Private", "Private,max-age=60", "max-age=60,\tPRIVATE\t"),
        *("public, max-age=60, Private", "No-Store", "max-age=60, NO-STORE", "Private=x", 'x="a, b", Private'),
    ],
)
@pytest.mark.rfc(9111, "5.2")
async def test_directives_have_no_case(bench: Bench, said: str) -> None:
    bench.give(whole(f"Cache-Control: {said}", body=b"alice"), whole(f"cache-control: {said}", body=b"bob"))
    assert [(await bench.get()).content for _ in range(2)] == [b"alice", b"bob"]


@pytest.mark.parametrize(
    "vary",
    [
        pytest.param(["vary: x-user,accept"], id="none"),
        pytest.param(["vary: x-user , accept"], id="before-the-comma"),
        pytest.param(["vary:   x-user  "], id="around"),
        pytest.param(["vary:\tx-user\t,\taccept"], id="tabs"),
        pytest.param(["vary: ,, x-user ,,"], id="empty-members"),
        pytest.param(["vary: accept", "vary: x-user"], id="two-lines"),
        pytest.param(["vary: accept ,X-USER"], id="case"),
    ],
)
@pytest.mark.rfc(9110, "5.6.1.2")
@pytest.mark.rfc(9111, "4.1")
async def test_white_space_in_vary_hides_no_name(bench: Bench, vary: list[str]) -> None:
    bench.give(whole(PUBLIC, *vary, body=b"alice"), whole(PUBLIC, *vary, body=b"bob"))
    asked = ["x-user: alice", "x-user: bob", "x-user: alice", "x-user: bob"]
    got = [await bench.get("/page", line) for line in asked]
    assert [client.content for client in got] == [b"alice", b"bob", b"alice", b"bob"]


async def test_a_session_that_begins_without_vary_stays_with_who_has_it(bench: Bench) -> None:
    """The page that logs somebody in says nothing about caches; nor do those that greet by name."""
    bench.give(whole("set-cookie: session=alice", body=b"alice"), whole(body=b"alice"), whole(body=b"anybody"))
    first = await bench.get()
    assert (first.content, first.detail) == (b"alice", "set-cookie")
    assert (await bench.get("/page", "cookie: session=alice")).content == b"alice"
    anybody = await bench.get()
    assert (anybody.content, anybody.fields.lines(b"set-cookie")) == (b"anybody", [])
    # And the page for anybody is not for those who have one.
    bench.give(whole(body=b"bob"))
    assert (await bench.get("/page", "cookie: session=bob")).content == b"bob"
    assert (await bench.get()).content == b"anybody"


async def test_who_waits_for_a_page_that_sets_a_session_gets_one_of_his_own(bench: Bench) -> None:
    gate = Gate()
    bench.give(gate, *[whole(FRESH, f"set-cookie: session={number}", body=b"%d" % number) for number in range(1, 4)])
    clients = await bench.crowd(request() for _ in range(4))
    gate.open(whole(FRESH, "set-cookie: session=0", body=b"0"))
    await settled()
    sessions = [client.fields.get(b"set-cookie") for client in clients]
    assert sorted(filter(None, sessions)) == [b"session=0", b"session=1", b"session=2", b"session=3"]


@pytest.mark.parametrize("name", ["x-user", "accept", "accept-encoding", "accept-language", "origin"])
@pytest.mark.rfc(9111, "4.1")
async def test_an_absent_field_and_an_empty_one_are_not_the_same(bench: Bench, name: str) -> None:
    bench.give(whole(PUBLIC, f"vary: {name}", body=b"absent"), whole(PUBLIC, f"vary: {name}", body=b"empty"))
    got = [await bench.get("/page", *lines) for lines in ([], [f"{name}:"], [], [f"{name}:"])]
    assert [client.content for client in got] == [b"absent", b"empty", b"absent", b"empty"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["x-a: 1", "x-b: 23"], ["x-a: 12", "x-b: 3"], id="of-two-fields"),
        pytest.param(["x-a: 1"], ["x-b: 1"], id="of-another-field"),
        pytest.param(["x-a: 1x-b2"], ["x-a: 1", "x-b: 2"], id="that-look-like-a-field"),
        pytest.param(["x-a: 13:x-b1:2"], ["x-a: 1", "x-b: 2"], id="that-look-like-a-key"),
        pytest.param(["x-a: 1, 2"], ["x-a: 1", "x-b: 2"], id="of-a-list"),
        pytest.param(["x-a:", "x-b: 1"], ["x-a: 1", "x-b:"], id="and-empty-ones"),
        pytest.param(["x-a: -"], [], id="that-stand-for-absence"),
    ],
)
@pytest.mark.rfc(9111, "4.1")
async def test_values_are_not_glued_together_in_a_key(bench: Bench, one: list[str], other: list[str]) -> None:
    bench.give(*[whole(PUBLIC, "vary: x-a, x-b", body=body) for body in (b"one", b"other")])
    got = [await bench.get("/page", *lines) for lines in (one, other, one, other)]
    assert [client.content for client in got] == [b"one", b"other", b"one", b"other"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("a", "/bc"), ("ab", "/c"), id="host-and-path"),
        pytest.param(("a", "/b?c"), ("a", "/bc"), id="path-and-query"),
        pytest.param(("a", "/?b=1&c=2"), ("a", "/?b=1c=2"), id="parameters"),
        pytest.param(("a:80", "/"), ("a", ":80/"), id="port"),
        pytest.param(("a", "/1:b"), ("a1:", "/b"), id="lengths"),
    ],
)
@pytest.mark.rfc(9111, "2")
async def test_host_path_and_query_are_not_glued_together(
    bench: Bench, one: tuple[str, str], other: tuple[str, str]
) -> None:
    bench.give(whole(PUBLIC, body=b"one"), whole(PUBLIC, body=b"other"))
    got = [await bench.get(target, host=host.encode()) for host, target in (one, other, one, other)]
    assert [client.content for client in got] == [b"one", b"other", b"one", b"other"]


@pytest.mark.rfc(9111, "4")
async def test_a_url_that_is_remembered_as_uncacheable_keeps_nobody_waiting(bench: Bench) -> None:
    """One slow page for each visitor, asked for one after the other, is what brings sites down behind other caches."""
    bench.give(whole("cache-control: private"))
    await bench.get()
    gates = [Gate() for _ in range(20)]
    bench.give(*gates)
    clients = await bench.crowd(request() for _ in range(20))
    assert bench.times_asked == 21, "each has asked by himself"
    for number, gate in reversed(list(enumerate(gates))):
        gate.open(whole("cache-control: private", body=b"%d" % number))
    await settled()
    assert sorted(int(client.content) for client in clients) == list(range(20))
    assert not any("collapsed" in client.cache_status for client in clients)
