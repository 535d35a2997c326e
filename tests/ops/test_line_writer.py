"""Do lines arrive whole, and does a reader who has stopped or gone stop nobody?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from select import PIPE_BUF

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import Seconds
from proxy.ops.line_writer import LineWriter, pieces

CHUNK = ("x" * 99 + "\n") * 700


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def read_lines(fd: int, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\n") < count:
        data += os.read(fd, 65536)
    return data.splitlines()


def fill(writer: LineWriter) -> int:
    """Write until no more is taken; return how many lines were."""
    for taken in range(0, 700 * 100, 700):
        try:
            writer(CHUNK)
        except BlockingIOError:
            return taken
    raise AssertionError("everything was taken")


def test_lines_arrive_in_order(pipe: list[int]) -> None:
    writer = LineWriter(pipe[1])
    writer("one\ntwo\n")
    writer("thr\xe9\n")
    writer.close()
    assert read_lines(pipe[0], 3) == [b"one", b"two", "thr\xe9".encode()]
    assert writer.lost == 0


def test_a_reader_who_has_stopped_stops_nobody(pipe: list[int]) -> None:
    writer = LineWriter(pipe[1])
    taken = fill(writer)
    lines = read_lines(pipe[0], taken)
    assert set(lines) == {b"x" * 99}
    assert len(lines) == taken
    writer.close()
    assert writer.lost == 0


def test_closing_does_not_wait_for_a_reader_who_has_stopped(pipe: list[int]) -> None:
    writer = LineWriter(pipe[1])
    taken = fill(writer)
    writer.close(Seconds(0.01))
    with pytest.raises(BrokenPipeError):
        writer("late\n")
    read_lines(pipe[0], taken)


def test_a_reader_who_is_gone_costs_the_lines_and_nothing_else(pipe: list[int]) -> None:
    os.close(pipe.pop(0))
    writer = LineWriter(pipe[0])
    writer("one\ntwo\n")
    writer(CHUNK)
    writer.close()
    assert writer.lost == 702


def test_a_file_that_is_not_blocking_is_waited_for(pipe: list[int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = LineWriter(pipe[1])
    for _ in range(3):
        writer(CHUNK)
    assert len(read_lines(pipe[0], 2100)) == 2100
    writer.close()
    assert writer.lost == 0


@given(st.lists(st.integers(0, 3 * PIPE_BUF)))
def test_pieces_are_whole_lines_and_fit_a_pipe(lengths: list[int]) -> None:
    lines = [b"%b\n" % (b"x" * length) for length in lengths]
    cut = list(pieces(b"".join(lines)))
    assert b"".join(cut) == b"".join(lines)
    for piece in cut:
        assert piece.endswith(b"\n")
        assert len(piece) <= PIPE_BUF or piece.count(b"\n") == 1
