"""Does one body reach any number of readers, each at its pace, in bounded memory?"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.exchange.body import Body
from tests.exchange.making import Client


@dataclass
class Source:
    """The origin's side of a body."""

    paused: bool = False
    abandoned: bool = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def abandon(self) -> None:
        self.abandoned = True


@dataclass
class Flow:
    """A body, its source, and what was said at its end."""

    limit: int | None
    source: Source = field(default_factory=Source)
    ended: list[bytes | None] = field(default_factory=list)
    written: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.body = Body(self.source, self.limit, self.ended.append)

    def join(self, *, gone: bool = False, blocked: bool = False) -> Client:
        client = Client()
        client.gone, client.blocked = gone, blocked
        client.head = b"HTTP/1.1 200 OK\r\n"
        self.body.join(client, self.written.append)
        return client

    @property
    def held(self) -> int:
        return sum(map(len, self.body._chunks))


def test_a_reader_that_comes_after_the_end_gets_all() -> None:
    flow = Flow(10)
    flow.body.feed(b"all")
    flow.body.end()
    assert flow.ended == [b"all"]
    assert flow.join().got == (200, b"all", True)
    assert flow.written == [3]


def test_a_blocked_reader_is_told_of_the_end_when_it_has_read_everything() -> None:
    flow = Flow(10)
    client = flow.join(blocked=True)
    flow.body.feed(b"all")
    flow.body.end()
    assert client.content == b""
    client.unblock()
    assert client.got == (200, b"all", True)
    assert client.on_writable is client.on_gone is None


def test_a_blocked_reader_gets_what_came_before_the_body_was_cut_short() -> None:
    flow = Flow(10)
    client = flow.join(blocked=True)
    flow.body.feed(b"al")
    flow.body.fail(ConnectionError())
    client.unblock()
    assert (client.content, client.is_aborted) == (b"al", True)
    assert flow.ended == [None]


def test_a_reader_that_is_gone_already_reads_nothing() -> None:
    flow = Flow(None)
    flow.join(gone=True)
    assert flow.source.abandoned
    assert flow.written == [0]


def test_what_nobody_has_still_to_read_is_dropped_once_it_is_not_kept() -> None:
    flow = Flow(10)
    fast = flow.join()
    slow = flow.join()
    flow.body.feed(b"x" * 10)
    assert flow.held == 10
    slow.block()
    flow.body.feed(b"y" * 5)
    assert (flow.held, flow.source.paused) == (5, True)
    slow.unblock()
    assert (flow.held, flow.source.paused) == (0, False)
    for _ in range(100):
        flow.body.feed(b"z" * 100)
        assert flow.held == 0
    flow.body.end()
    assert fast.content == slow.content == b"x" * 10 + b"y" * 5 + b"z" * 10_000
    assert flow.ended == [None]


def test_a_slow_reader_that_leaves_lets_the_others_go_on() -> None:
    flow = Flow(None)
    fast, slow = flow.join(), flow.join(blocked=True)
    flow.body.feed(b"one")
    assert flow.source.paused
    slow.leave()
    assert (flow.source.paused, flow.held) == (False, 0)
    flow.body.end()
    assert fast.got == (200, b"one", True)


def test_a_reader_that_joins_a_paused_body_sets_the_pace() -> None:
    flow = Flow(100)
    slow = flow.join(blocked=True)
    flow.body.feed(b"one")
    assert flow.source.paused
    fast = flow.join()
    assert (fast.content, flow.source.paused) == (b"one", False)
    flow.body.end()
    slow.unblock()
    assert slow.got == fast.got


def test_what_comes_after_a_body_was_given_up_is_dropped() -> None:
    flow = Flow(3)
    flow.body.nobody_joined()
    for _ in range(4):
        flow.body.feed(b"xx")
    assert flow.source.abandoned
    assert flow.held == 0
    assert flow.ended == [None]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["block", "unblock", "leave"]), st.integers(0, 3)),
        st.tuples(st.just("join"), st.booleans()),
    ),
    max_size=40,
)


@given(STEPS, st.one_of(st.none(), st.integers(0, 60)), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_reader_that_stays_gets_every_byte(steps, limit: int | None, is_whole: bool) -> None:
    """The origin is polite: it feeds only while it is not paused."""
    flow = Flow(limit)
    readers = [flow.join()]
    fed = b""
    for step, number in steps:
        if step == "feed" and not flow.source.paused and not flow.source.abandoned:
            chunk = bytes([number]) * number
            fed += chunk
            flow.body.feed(chunk)
        elif step == "join" and flow.body.joinable:
            readers.append(flow.join(blocked=number))
        elif step in ("block", "unblock", "leave") and number < len(readers):
            reader = readers[number]
            if not reader.gone:
                getattr(reader, step)()
        kept = limit is not None and len(fed) <= limit
        assert flow.held <= (limit or 0) + 9, "memory is bounded"
        if kept:
            assert flow.held == len(fed)
    if not flow.source.abandoned:
        flow.body.end() if is_whole else flow.body.fail(ConnectionError())
    for reader in readers:
        _check_reader(reader, fed, is_whole=is_whole)
    stored = is_whole and limit is not None and len(fed) <= limit
    assert flow.ended == [fed if stored else None]
    assert len(flow.written) == len(readers)


def _check_reader(reader: Client, fed: bytes, *, is_whole: bool) -> None:
    if reader.gone:
        assert fed.startswith(reader.content)
        return
    reader.unblock()
    assert (reader.content, reader.is_whole, reader.is_aborted) == (fed, is_whole, not is_whole)
