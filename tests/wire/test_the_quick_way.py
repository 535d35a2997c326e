"""Does a client get the same bytes whether or not plain hits go the quick way?

The quick way of ``Driver.handle`` answers a plain hit, a 304 and a small part without an outcome, an entry or a reply
of its own; ``handle_telling`` sends every request the long way. Both have the same site, clock and bytes before them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.exchange.counters import Counters
from proxy.upstream.connection import Answer, Ask
from tests.exchange.making import Bench, Reached, settled, whole
from tests.wire.clients import Talk

_BOUNDARY = re.compile(rb"(boundary=|--)[0-9a-f]{16,}")
FRESH = "cache-control: max-age=600"
TAG = 'etag: "a"'
DATED = "last-modified: Sun, 09 Sep 2001 00:00:00 GMT"

#: What lies behind each path.
PAGES = {
    b"/page": (FRESH, TAG, DATED),
    b"/untagged": (FRESH,),
    b"/language": (FRESH, TAG, "vary: accept-language"),
    b"/secret": ("cache-control: private", TAG),
    b"/cookie": (FRESH, TAG, "set-cookie: a=b"),
    b"/gone": (FRESH, TAG),
    b"/passing": ("cache-control: max-age=0, stale-while-revalidate=600", TAG),
}


class Site(Reached):
    """An origin whose answers are always the same."""

    async def send(self, ask: Ask) -> Answer:
        target = ask.head.split(b" ")[1].partition(b"?")[0]
        if ask.method != b"GET":
            return whole("cache-control: no-store", status=204, body=b"").answer
        if target not in PAGES:
            return whole(FRESH, status=404, body=b"nothing").answer
        status = 404 if target == b"/gone" else 200
        return whole(*PAGES[target], body=b"0123456789" * 10, status=status).answer


def site(*, quick: bool) -> tuple[Bench, Talk]:
    """A driver with a connection to it; the quick way is there or not, and what is written waits for others or not."""
    bench = Bench()
    plain = replace(bench.driver._sites.only, origin=Site())  # type: ignore[type-var]  # there is one route
    bench.driver._sites.only = bench.driver._only = plain
    talk = Talk()
    talk.loop.turns_end_at_once = not quick
    handle = bench.driver.handle if quick else bench.driver.handle_telling
    talk.connection.adopt(replace(talk.serving, handle=handle, counters=Counters()))
    return bench, talk


async def said_to(pieces: Sequence[bytes], *, quick: bool) -> tuple[bytes, bool]:
    """Return what a client gets who says this, and whether it may say more."""
    bench, talk = site(quick=quick)
    for path in PAGES:
        # So that there is something to hit.
        talk.transport.receive(b"GET %b HTTP/1.1\r\nHost: site.test\r\n\r\n" % path)
        await settled()
    bench.clock.turn(5)
    for piece in pieces:
        talk.transport.receive(piece)
        await settled()
    return _BOUNDARY.sub(rb"\1", talk.sent), talk.is_over


ABOUT_WHAT_IS_STORED = st.sampled_from(
    [
        b'If-None-Match: "a"',
        b'If-None-Match: W/"a"',
        b'If-None-Match: "b", "a"',
        b"If-None-Match: *",
        b'If-None-Match: "b"',
        b"If-Modified-Since: Sun, 09 Sep 2001 00:00:00 GMT",
        b"If-Modified-Since: yesterday",
        b'If-Match: "a"',
        b"Range: bytes=0-9",
        b"Range: bytes=-1",
        b"Range: bytes=0-0, 50-59",
        b"Range: bytes=500-",
        b"Range: lines=1",
        b'If-Range: "a"',
        b'If-Range: "b"',
    ]
)
OTHERS = st.sampled_from(
    [
        b"Cache-Control: no-cache",
        b"Cache-Control: max-age=0",
        b"Cache-Control: only-if-cached",
        b"Accept-Language: de",
        b"Cookie: sid=1",
        b"Authorization: Basic eDp5",
        b"Connection: close",
        b"Connection: keep-alive",
        b"Content-Length: 0",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"X-Forwarded-Host: evil.test",
        b"Folded: a\r\n b",
        b"Space : before",
        b"Expect: 100-continue",
    ]
)
FIELDS = ABOUT_WHAT_IS_STORED | ABOUT_WHAT_IS_STORED | OTHERS
ODD_TARGETS = st.sampled_from([b"/page?x=1", b"/%70age", b"http://site.test/page", b"/none", b"*", b"/page#a"])
PATHS = st.sampled_from([*PAGES])
LINES = st.tuples(
    st.sampled_from([*[b"GET"] * 8, b"HEAD", b"HEAD", b"POST", b"QUERY", b"get"]),
    PATHS | PATHS | PATHS | ODD_TARGETS,
    st.sampled_from([*[b"HTTP/1.1"] * 12, b"HTTP/1.0", b"HTTP/2.0"]),
)
REQUESTS = st.builds(
    lambda line, fields, end: (
        b"%b %b %b\r\n" % line + b"Host: site.test\r\n" + b"".join(b"%b\r\n" % f for f in fields) + end
    ),
    LINES,
    st.lists(FIELDS, max_size=3, unique=True),
    st.sampled_from([*[b"\r\n"] * 12, b"\r\n\r\n", b"\r\nabc", b"\n"]),
)


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """Pipelined requests, cut anywhere."""
    data = b"".join(draw(st.lists(REQUESTS, min_size=1, max_size=6)))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=4)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@settings(max_examples=300)
@given(pieces())
async def test_the_bytes_are_the_same(said: list[bytes]) -> None:
    assert await said_to(said, quick=True) == await said_to(said, quick=False)


@pytest.mark.parametrize(
    ("field", "status"),
    [
        pytest.param(b"Accept: */*", b"200", id="plain"),
        pytest.param(b'If-None-Match: "a"', b"304", id="unchanged"),
        pytest.param(b"Range: bytes=0-9", b"206", id="a-part"),
        pytest.param(b"Range: bytes=0-0, 50-59", b"206", id="several-parts"),
        pytest.param(b"Range: bytes=500-", b"416", id="no-part"),
    ],
)
async def test_hits_are_what_is_compared(field: bytes, status: bytes) -> None:
    sent, _ = await said_to([b"GET /page HTTP/1.1\r\nHost: site.test\r\n%b\r\n\r\n" % field], quick=True)
    last = sent[sent.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nCache-Status: sitecache; hit; ttl=595\r\n" in last
