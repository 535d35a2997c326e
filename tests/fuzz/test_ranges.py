"""Does every byte that is served belong to the representation whose validator the response names?

One URL, whose representation changes, and an origin that honours ranges, or not, or lies about them. Nothing is taken
from the policy: what a client gets is compared with the origin's own record of what each entity tag stood for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.errors import UpstreamClosed
from proxy.message.fields import Fields
from proxy.message.framing import CHUNKED, Length
from proxy.upstream.connection import Answer, Ask
from tests.exchange.making import Bench, Client, Clock, Reached, _head_fields, coming, request, settled
from tests.exchange.remotes import Counting, remote

LIFETIME = 20


@dataclass(frozen=True)
class Manner:
    """How the origin answers."""

    honours: bool = True
    """Ranges; else everybody gets the whole."""
    minds_if_range: bool = True
    """Else it sends the range of whatever there is now."""
    extent: str = "right"
    """What its Content-Range says: right, larger than was asked for, or a contradiction."""
    tag: str = "strong"
    framing: str = "length"
    cut: bool = False
    """Close before the end."""
    waits: bool = False
    vary: bool = False


@dataclass
class Origin(Reached):
    """An origin of one URL."""

    clock: Clock
    manner: Manner = field(default_factory=Manner)
    bodies: list[bytes] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    """When each representation ceased to be the current one."""
    held: list[asyncio.Future[None]] = field(default_factory=list)
    written: float = -1

    def change(self, size: int) -> None:
        number = len(self.bodies)
        pattern = b"".join(b"%d.%d," % (number, place) for place in range(size))
        self.bodies.append(pattern[:size])
        self.ended = [*self.ended[: number - 1], self.clock(), float("inf")] if number else [float("inf")]

    def release(self) -> None:
        held, self.held = self.held, []
        for one in held:
            one.set_result(None)

    async def send(self, ask: Ask) -> Answer:
        manner = self.manner
        if ask.method == b"POST":
            self.change(60)
            self.written = self.clock()
            return _made(204, [], b"", manner, None)
        if manner.waits:
            one: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.held.append(one)
            await one
        number = len(self.bodies) - 1
        body = self.bodies[number]
        tag = {"strong": f'"{number}"', "weak": f'W/"{number}"', "none": ""}[manner.tag]
        fields = _head_fields(ask.head)
        lines = [f"x-number: {number}", f"cache-control: max-age={LIFETIME}"]
        lines += [f"etag: {tag}"] if tag else []
        lines += ["vary: accept"] if manner.vary else []
        if tag and (fields.get(b"if-none-match") or b"").decode() == tag:
            return _made(304, lines, b"", manner, None)
        part = None if ask.method == b"HEAD" else self._part(fields, body, tag)
        if part == ():
            return _made(416, [*lines, f"content-range: bytes */{len(body)}"], b"", manner, None)
        return _made(200 if part is None else 206, lines, body, manner, part, is_head=ask.method == b"HEAD")

    def _part(self, fields: Fields, body: bytes, tag: str) -> tuple[int, int] | tuple[()] | None:
        """What of the body is asked for: a pair, nothing that is there, or all."""
        value, condition = fields.get(b"range"), fields.get(b"if-range")
        if value is None or not self.manner.honours or b"," in value:
            return None
        if self.manner.minds_if_range and condition is not None and condition.decode() != tag:
            return None
        first, _, last = value.removeprefix(b"bytes=").decode().partition("-")
        if not first:
            return max(0, len(body) - int(last)), len(body) - 1
        pair = int(first), min(int(last or len(body)), len(body) - 1)
        return pair if pair[0] <= pair[1] else ()


def _made(status: int, lines: list[str], body: bytes, manner: Manner, part: Any, *, is_head: bool = False) -> Answer:
    if part:
        first, last = part
        if manner.extent == "larger":
            first, last = max(0, first - 7), min(len(body) - 1, last + 7)
        said = (first + 1, last + 1) if manner.extent == "contradiction" else (first, last)
        size = len(body) if manner.extent != "contradiction" else len(body) + 5
        content = body[first : last + 1]
        if manner.extent == "contradiction":
            content += b"?"
            lines = [*lines, "x-lie: 1"]
        lines = [*lines, f"content-range: bytes {said[0]}-{said[1]}/{size}"]
        body = content
    if status in (204, 304):
        answer = coming(*lines, status=status, framing=Length(0))
        answer.answer.response.fields = Fields([(n, v) for n, v in answer.answer.response.fields if n[:3] != b"con"])
        answer.end()
        return answer.answer
    framing = CHUNKED if manner.framing == "chunked" else Length(len(body))
    answer = coming(*lines, status=status, framing=framing)
    half = len(body) // 2
    for piece in (body[:half], body[half:]):
        if piece and not is_head and not (manner.cut and piece == body[half:]):
            answer.feed(piece)
    if manner.cut and body and not is_head:
        answer.fail(UpstreamClosed("cut"))
    else:
        answer.end()
    return answer.answer


@dataclass
class Visit:
    client: Client
    asked: dict[str, str]
    method: str
    started: float
    is_judged: bool = False


class Play:
    """A driver, its origin and everybody who came."""

    def __init__(self, *, waits_for_storage: bool, limit: int) -> None:
        self.origin = Origin(Clock())
        storage = remote(Counting(self.origin.clock)) if waits_for_storage else None
        self.bench = Bench(storage=storage, route={"origin": self.origin}, stored_body=limit)
        self.bench.clock.now = self.origin.clock.now
        self.origin.clock = self.bench.clock
        self.origin.change(60)
        self.visits: list[Visit] = []

    async def visit(self, method: str, asked: dict[str, str]) -> None:
        client = Client()
        self.visits.append(Visit(client, asked, method, self.bench.clock()))
        self.bench.start(
            request("/page", *(f"{name}: {value}" for name, value in asked.items()), method=method), client
        )

    def judge(self) -> None:
        for visit in self.visits:
            if not visit.is_judged and (visit.client.is_whole or visit.client.is_aborted):
                visit.is_judged = True
                judge(visit, self.origin)


def judge(visit: Visit, origin: Origin) -> None:
    """Compare what a client got with the origin's record."""
    client = visit.client
    fields = client.fields
    named = fields.get(b"x-number")
    if client.status == 304:
        assert (fields.get(b"etag") or b"").removeprefix(b"W/") == visit.asked["if-none-match"].encode()
        return
    if client.status == 416:
        assert "range" in visit.asked
        return
    assert client.status in (200, 206), client.head
    assert named is not None
    number = int(named)
    tag = fields.get(b"etag")
    assert tag is None or tag.removeprefix(b"W/") == b'"%d"' % number, "fields of two representations"
    body = origin.bodies[number]
    if b"hit" in (fields.get(b"cache-status") or b""):
        assert visit.started < origin.ended[number] + LIFETIME, "served beyond its lifetime"
        assert not origin.ended[number] <= origin.written < visit.started, "outdated by a write"
    if visit.method == "HEAD":
        assert client.status == 200
        return
    if client.status == 200:
        assert client.content == body if client.is_whole else body.startswith(client.content)
        assert "range" in visit.asked or fields.get(b"content-range") is None
        return
    assert "range" in visit.asked, "a part for a request for the whole"
    extents = _parts(client)
    for said, content in extents:
        span, _, size = said.removeprefix("bytes ").partition("/")
        first, last = (int(end) for end in span.split("-"))
        if b"x-lie" in fields:
            # Passed on untouched; never from what is stored.
            assert b"hit" not in (fields.get(b"cache-status") or b"")
            continue
        if client.is_whole:
            assert (content, int(size)) == (body[first : last + 1], len(body))
        else:
            assert body[first:].startswith(content)


def _parts(client: Client) -> list[tuple[str, bytes]]:
    kind = client.fields.get(b"content-type") or b""
    if not kind.startswith(b"multipart/"):
        return [((client.fields.get(b"content-range") or b"").decode(), client.content)]
    read = message_from_bytes(b"content-type: " + kind + b"\r\n\r\n" + client.content)
    return [(part["content-range"], part.get_payload().encode()) for part in read.get_payload()]


def _often(usual: object, *others: object) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * len(others) + list(others))


RARELY = _often(False, False, False, True)
MANNERS = st.builds(
    Manner,
    honours=_often(True, True, False),
    minds_if_range=_often(True, True, False),
    extent=_often("right", "right", "larger", "contradiction"),
    tag=_often("strong", "strong", "weak", "none"),
    framing=_often("length", "length", "chunked"),
    cut=RARELY,
    waits=RARELY,
    vary=RARELY,
)
ENDS = st.sampled_from([0, 1, 9, 10, 19, 20, 29, 30, 31, 45, 59, 60, 90, 700])
SPANS = st.one_of(
    st.tuples(ENDS, ENDS).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    ENDS.map(lambda first: f"{first}-"),
    st.sampled_from(["-1", "-10", "-30", "-300"]),
)
RANGES = _often(SPANS, SPANS, st.tuples(SPANS, SPANS).map(",".join)).flatmap(lambda chosen: chosen)
TAGS = st.integers(0, 5).map(lambda number: f'"{number}"')
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "range": RANGES.map(lambda spans: f"bytes={spans}"),
        "if-range": TAGS,
        "if-none-match": TAGS,
        "cache-control": st.sampled_from(["no-cache", "no-store", "max-age=5"]),
        "accept": st.sampled_from(["a", "b"]),
    },
)
PLAIN = _often(None, RANGES).flatmap(
    lambda chosen: st.just({}) if chosen is None else chosen.map(lambda spans: {"range": f"bytes={spans}"})
)
VISITS = st.tuples(_often("GET", "GET", "HEAD"), st.one_of(PLAIN, PLAIN, ASKED))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("visits"), st.lists(VISITS, min_size=1, max_size=4)),
        st.tuples(st.just("visits"), st.lists(VISITS, min_size=1, max_size=4)),
        st.tuples(st.just("turn"), st.sampled_from([1, 5, 21])),
        st.tuples(st.just("change"), _often(60, 60, 45, 700)),
        st.tuples(st.just("manner"), MANNERS),
        st.tuples(st.just("release")),
        st.tuples(st.just("write")),
    ),
    min_size=3,
    max_size=16,
)


@pytest.mark.rfc(9111, "3.4")
@given(STEPS, st.booleans(), st.sampled_from([1000, 50]))
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
async def test_no_response_mixes_two_representations(steps: list[Any], waits_for_storage: bool, limit: int) -> None:
    play = Play(waits_for_storage=waits_for_storage, limit=limit)
    for step in steps:
        match step:
            case ("visits", visits):
                play.bench.clock.turn(0.25)
                for method, asked in visits:
                    await play.visit(method, asked)
            case ("turn", seconds):
                play.bench.clock.turn(seconds)
            case ("change", size):
                play.origin.change(size)
            case ("manner", manner):
                play.origin.manner = manner
            case ("release",):
                play.bench.clock.turn(0.25)
                play.origin.release()
            case ("write",):
                play.bench.clock.turn(0.25)
                play.bench.start(request("/page", method="POST"))
                play.bench.clock.turn(0.25)
        await settled()
        play.judge()
    play.origin.manner = Manner()
    while play.origin.held:
        play.origin.release()
        await settled()
    play.judge()
    assert all(visit.is_judged for visit in play.visits), "somebody waits for ever"
    assert len(play.bench.flights) == 0
    assert len(play.bench.driver.tasks) == 0


@pytest.mark.parametrize(
    ("head", "content", "why"),
    [
        pytest.param(b'HTTP/1.1 200 OK\r\nX-Number: 0\r\nETag: "1"\r\n', b"", "two representations", id="fields"),
        pytest.param(b"HTTP/1.1 206 P\r\nX-Number: 0\r\nContent-Range: bytes 0-1/60\r\n", b"0.", "whole", id="part"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Number: 0\r\n", b"0.0", "", id="less"),
    ],
)
async def test_the_judge_is_not_blind(head: bytes, content: bytes, why: str) -> None:
    play = Play(waits_for_storage=False, limit=1000)
    client = Client()
    client.head, client.content, client.is_whole = head, content, True
    with pytest.raises(AssertionError, match=why or None):
        judge(Visit(client, {}, "GET", 0), play.origin)
