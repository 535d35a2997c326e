"""Is each request one line that reads back, whatever was sent, and does no request suffer from the log?"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.model import AccessLog as Style
from proxy.ops.access_log import AccessLog, json_line, text_line
from proxy.policy.cache_status import Outcome, cache_status
from proxy.policy.decisions import Detail, ForwardReason
from tests.ops.making import entry, request

MISS = Outcome(forward=ForwardReason.URI_MISS, forward_status=200, detail=Detail.NO_STORE)
ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
NASTY = b'/a\r\n2026 b"\\x20\x00\x1b[2J\x7f\x85\xff\xe2\x80\xa8 c\\'


def unescape(word: str) -> bytes:
    return ESCAPE.sub(lambda found: chr(int(found[1], 16)), word).encode("latin-1")


def test_a_text_line() -> None:
    line = text_line(entry(request(target=b"/blog?page=2"), MISS, 200, 5120))
    assert line == (
        "2026-01-02T03:04:05.678Z 192.0.2.7 GET http://example.org/blog?page=2 200 5120B 12.500ms uri-miss no-store "
        "site=- route=-\n"
    )


def test_what_was_wrong_with_the_origin_s_answer_is_said() -> None:
    failed = Outcome(forward=ForwardReason.URI_MISS, detail=Detail.UPSTREAM_GARBAGE, cause='it begins with b"\x7f\n"')
    line = text_line(entry(request(), failed, 502, 5))
    assert line.endswith(' upstream-garbage site=- route=- cause="it begins with b\\"\\u007f\\n\\""\n')
    assert json.loads(json_line(entry(request(), failed, 502, 5)))["cause"] == failed.cause


def test_a_json_line() -> None:
    line = json_line(entry(request(target=b"/blog?page=2"), MISS, 200, 5120))
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "time": "2026-01-02T03:04:05.678Z",
        "peer": "192.0.2.7",
        "method": "GET",
        "scheme": "http",
        "host": "example.org",
        "target": "/blog?page=2",
        "status": 200,
        "bytes": 5120,
        "duration_ms": 12.5,
        "cache": "uri-miss",
        "detail": "no-store",
        "ttl": None,
        "stored": False,
        "collapsed": False,
        "upstream_status": 200,
        "cause": None,
        "site": None,
        "route": None,
    }


def test_lines_name_the_site_and_the_route() -> None:
    routed = replace(entry(request(), MISS, 200, 5), site="häuser 1", route="blog")
    assert text_line(routed).endswith(" site=h\\xc3\\xa4user\\x201 route=blog\n")
    assert (json.loads(json_line(routed))["site"], json.loads(json_line(routed))["route"]) == ("häuser 1", "blog")


@pytest.mark.parametrize(
    ("outcome", "cache", "detail"),
    [
        pytest.param(Outcome(hit=True), "hit", None, id="hit"),
        pytest.param(
            Outcome(hit=True, ttl=-5, detail=Detail.STALE_IF_ERROR), "hit-stale", "stale-if-error", id="stale"
        ),
        pytest.param(Outcome(forward=ForwardReason.STALE, stored=True), "stale", None, id="validated"),
        pytest.param(Outcome(detail=Detail.ONLY_IF_CACHED), "refused", "only-if-cached", id="refused"),
        *(
            pytest.param(Outcome(forward=ForwardReason.REQUEST, detail=detail), "request", detail.value, id=detail)
            for detail in Detail
        ),
    ],
)
def test_both_styles_give_the_reason_of_cache_status(outcome: Outcome, cache: str, detail: str | None) -> None:
    told = json.loads(json_line(entry(outcome=outcome)))
    assert (told["cache"], told["detail"]) == (cache, detail)
    assert text_line(entry(outcome=outcome)).split()[7:9] == [cache, detail or "-"]
    assert (f"detail={detail}".encode() in cache_status(outcome)) == (detail is not None)


@pytest.mark.parametrize(
    ("peer", "written"),
    [
        pytest.param("", "-", id="unix-socket"),
        pytest.param("2001:db8::1", "2001:db8::1", id="ipv6"),
        pytest.param("fe80::1%a b\n", "fe80::1%a\\x20b\\x0a", id="zone-named-by-somebody-odd"),
    ],
)
def test_peers(peer: str, written: str) -> None:
    line = entry(request(peer=peer))
    assert text_line(line).split(" ")[1] == written
    assert json.loads(json_line(line))["peer"] == written


# Whatever is sent.


@given(st.binary(), st.binary(), st.binary(), st.text())
@example(NASTY, NASTY, NASTY, "\ud800\n")
@example(b"", b"", b"", "")
def test_a_text_line_is_one_line_and_reads_back(method: bytes, host: bytes, target: bytes, peer: str) -> None:
    line = text_line(entry(request(method, target, host, peer)))
    assert re.fullmatch(r"[!-~]+( [!-~]+){10}\n", line)
    words = line.rstrip("\n").split(" ")
    assert unescape(words[2]) == (method or b"-")
    assert unescape(words[3]) == b"http://" + host + target


@given(st.binary(), st.binary(), st.binary(), st.text())
@example(NASTY, NASTY, NASTY, "\ud800\n")
def test_a_json_line_is_one_line_and_reads_back(method: bytes, host: bytes, target: bytes, peer: str) -> None:
    line = json_line(entry(request(method, target, host, peer)))
    assert re.fullmatch(r"[ -~]+\n", line)
    told = json.loads(line)
    assert told["method"].encode("latin-1") == method
    assert told["host"].encode("latin-1") == host
    assert told["target"].encode("latin-1") == target


@given(st.lists(st.binary(max_size=40), max_size=30), st.sampled_from([Style.TEXT, Style.JSON]))
def test_there_are_as_many_lines_as_requests(targets: list[bytes], style: Style) -> None:
    written: list[str] = []
    log = AccessLog(style, written.append, later=lambda _, __: None)
    for target in targets:
        log(entry(request(target=target)))
    log.close()
    assert "".join(written).count("\n") == len(targets)
    assert len("".join(written).splitlines()) == len(targets)


# Together, and without anybody waiting.


class Timers:
    """A loop's ``call_later``, with a clock that is turned by hand."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, after: float, what: Callable[[], None]) -> None:
        self.waiting.append((after, what))

    def fire(self) -> None:
        waiting, self.waiting = self.waiting, []
        for _, what in waiting:
            what()


def test_lines_are_written_together_after_a_while() -> None:
    written: list[str] = []
    timers = Timers()
    log = AccessLog(Style.TEXT, written.append, later=timers)
    log(entry())
    log(entry())
    assert written == []
    assert [after for after, _ in timers.waiting] == [0.25]
    timers.fire()
    assert [text.count("\n") for text in written] == [2]
    timers.fire()
    assert len(written) == 1
    log(entry())
    assert len(timers.waiting) == 1


def test_much_is_written_at_once() -> None:
    written: list[str] = []
    log = AccessLog(Style.JSON, written.append, later=Timers())
    line = entry(request(target=b"/" + b"a" * 16_000))
    for _ in range(4):
        log(line)
    assert written == []
    log(line)
    assert [text.count("\n") for text in written] == [5]


def test_closing_writes_what_is_left_and_later_lines_at_once() -> None:
    written: list[str] = []
    log = AccessLog(Style.TEXT, written.append, later=Timers())
    log(entry())
    log.close()
    log(entry())
    log.close()
    assert [text.count("\n") for text in written] == [1, 1]


async def test_the_running_loop_is_the_clock() -> None:
    written: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    AccessLog(Style.TEXT, written.set_result)(entry())
    assert (await written).count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(BrokenPipeError(), id="reader-is-gone"),
        pytest.param(BlockingIOError(), id="reader-has-stopped"),
        pytest.param(ValueError("I/O operation on closed file."), id="file-was-closed"),
    ],
)
def test_lines_that_nobody_takes_are_counted(error: Exception) -> None:
    def write(_: str) -> None:
        raise error

    timers = Timers()
    log = AccessLog(Style.TEXT, write, lost=lambda: 10, later=timers)
    log(entry())
    log(entry())
    timers.fire()
    log(entry())
    log.close()
    assert log.dropped == 13
