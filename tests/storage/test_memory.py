"""What goes first when the memory of pages is to be kept in bounds, and is the count of bytes true?"""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.units import UnixTime
from proxy.storage.memory import KEPT_BYTES, Ghosts, PageMemory
from tests.storage.contract import Clock

LATER = UnixTime(5000.0)
SIZE = 4096


def key(number: int) -> bytes:
    return b"key %06d" % number


def kept_bytes(size: int = SIZE) -> int:
    """What one value counts for."""
    return -(-(size + len(key(0)) + 33 + KEPT_BYTES) // 16) * 16


class Shelf(PageMemory):
    """Room for so many values of one size."""

    def __init__(self, room: int) -> None:
        self.clock = Clock()
        super().__init__(self.clock, max_bytes=room * kept_bytes())

    def fill(self, *numbers: int) -> None:
        for number in numbers:
            assert self.put(key(number), number, SIZE, LATER)

    def uses(self, *numbers: int) -> list[bool]:
        return [self.peek(key(number), self.clock()) is not None for number in numbers]

    def holds(self, *numbers: int) -> list[int]:
        return [number for number in numbers if key(number) in self.kept]


def test_what_was_used_stays_and_what_was_not_goes() -> None:
    shelf = Shelf(10)
    shelf.fill(*range(10))
    shelf.uses(0, 3)
    shelf.fill(*range(10, 18))
    assert shelf.holds(*range(18)) == [0, 3, *range(10, 18)]
    assert (shelf.evicted, len(shelf)) == (8, 10)


def test_a_scan_passes_by_what_is_used() -> None:
    shelf = Shelf(100)
    shelf.fill(*range(100))
    shelf.uses(*range(80))
    shelf.fill(*range(1000, 1400))
    assert shelf.holds(*range(80)) == list(range(80))


def test_what_comes_back_soon_stands_with_what_is_used() -> None:
    shelf = Shelf(100)
    shelf.fill(*range(100))
    shelf.uses(*range(50))
    shelf.fill(*range(100, 160), 70)
    assert shelf.holds(70) == [70], "which had gone to make room"
    shelf.fill(*range(200, 300))
    assert shelf.holds(70) == [70], "though it was not used"


def test_what_is_used_no_more_goes_in_the_end() -> None:
    shelf = Shelf(20)
    shelf.fill(*range(20))
    shelf.uses(*range(20))
    for number in range(100, 400):
        shelf.fill(number)
        shelf.uses(number, number - 1)
    assert shelf.holds(*range(20)) == []


def test_where_everything_is_used_something_goes_all_the_same() -> None:
    shelf = Shelf(500)
    shelf.fill(*range(500))
    shelf.uses(*range(500))
    shelf.fill(500)
    assert (len(shelf), shelf.evicted) == (500, 1)
    assert shelf.holds(500) == [500]


def test_what_has_expired_was_used_in_vain() -> None:
    shelf = Shelf(3)
    shelf.put(key(0), 0, SIZE, UnixTime(1001.0))
    shelf.fill(1, 2)
    shelf.uses(0, 1, 2)
    shelf.clock.turn(1)
    shelf.fill(3)
    assert shelf.holds(0, 1, 2, 3) == [1, 2, 3]


def test_what_was_proven_is_so_when_it_comes_anew_after_its_time() -> None:
    shelf = Shelf(10)
    shelf.put(key(0), 0, SIZE, UnixTime(1001.0))
    shelf.fill(*range(1, 10))
    shelf.uses(0)
    shelf.fill(10)
    shelf.clock.turn(1)
    assert shelf.uses(0) == [False]
    shelf.fill(0, *range(20, 40))
    assert shelf.holds(0) == [0]


def test_a_value_is_replaced_in_its_place() -> None:
    shelf = Shelf(3)
    shelf.fill(0, 1, 2)
    assert shelf.put(key(1), "new", SIZE - 96, LATER)
    assert shelf.peek(key(1), shelf.clock()) == "new"
    assert (len(shelf), shelf.bytes, shelf.evicted) == (3, 3 * kept_bytes() - 96, 0)
    assert shelf.put(key(1), "larger", 2 * SIZE, LATER), "for which another has to go"
    assert len(shelf) == 2


def test_a_value_larger_than_the_memory_is_refused_and_its_predecessor_is_gone() -> None:
    shelf = Shelf(2)
    shelf.fill(0, 1)
    assert not shelf.put(key(0), 0, 2 * kept_bytes(), LATER)
    assert shelf.holds(0, 1) == [1]


@pytest.mark.parametrize(
    ("most", "frequency", "sets", "kept"),
    [
        pytest.param(30, 3, 49, 29, id="as-django-documents"),
        pytest.param(30, 0, 49, 19, id="all-at-once"),
        pytest.param(30, 1, 49, 19, id="one-in-one"),
        pytest.param(30, 100, 49, 30, id="at-least-one"),
        pytest.param(1, 3, 5, 1, id="room-for-one"),
        pytest.param(3000, 3, 3001, 2937, id="a-little-at-a-time"),
        pytest.param(3000, 3, 3016, 2001, id="until-one-in-three-has-gone"),
        pytest.param(3000, 3, 4015, 3000, id="and-no-more-before-it-is-full-again"),
        pytest.param(None, 3, 500, 500, id="no-bound"),
    ],
)
def test_how_many_go(most: int | None, frequency: int, sets: int, kept: int) -> None:
    memory = PageMemory(Clock(), max_entries=most, cull_frequency=frequency)
    for number in range(sets):
        memory.put(key(number), number, SIZE, LATER)
        assert most is None or len(memory) <= most
    assert len(memory) == kept
    assert memory.evicted == sets - kept


def test_what_was_dropped_does_not_stand_in_the_queues_for_long() -> None:
    memory = PageMemory(Clock())
    memory.put(key(0), 0, SIZE, LATER)
    for number in range(1, 10_000):
        memory.put(key(number), number, SIZE, LATER)
        assert memory.drop(key(number))
        assert not memory.drop(key(number))
    assert (len(memory), memory.bytes) == (1, kept_bytes())
    assert len(memory._small) < 200


def test_keys_that_went_are_known_for_as_long_as_as_many_are_kept() -> None:
    ghosts = Ghosts()
    for number in range(50_000):
        ghosts.add(key(number), 20_000)
    known = sum(key(number) in ghosts for number in range(49_000, 50_000))
    assert known > 950, "others were written over"
    assert sum(key(number) in ghosts for number in range(10_000)) < 10


KEYS = st.sampled_from([key(number) for number in range(12)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 600), st.sampled_from([0.5, 3.0, 60.0])),
        st.tuples(st.just("peek"), KEYS),
        st.tuples(st.just("drop"), KEYS),
        st.tuples(st.just("turn"), st.sampled_from([0.25, 1.0, 30.0])),
    ),
    max_size=80,
)


@given(STEPS, st.one_of(st.none(), st.integers(0, 6000)), st.one_of(st.none(), st.integers(1, 8)), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_the_count_of_bytes_is_true_and_the_bounds_hold(
    steps, max_bytes: int | None, max_entries: int | None, cull_frequency: int
) -> None:
    clock = Clock()
    memory = PageMemory(clock, max_entries=max_entries, cull_frequency=cull_frequency, max_bytes=max_bytes)
    model: dict[bytes, tuple[object, float]] = {}
    for number, (operation, *rest) in enumerate(steps):
        match operation, rest:
            case "turn", [seconds]:
                clock.turn(seconds)
            case "put", [name, size, seconds]:
                if memory.put(name, number, size, UnixTime(clock() + seconds)):
                    model[name] = number, ceil(clock() + seconds)
                    assert memory.kept[name].value == number, "what came last is there"
                else:
                    assert name not in memory.kept
            case "peek", [name]:
                found = memory.peek(name, clock())
                assert found is None or (found == model[name][0] and model[name][1] > clock())
            case _, [name]:
                memory.drop(name)
                model.pop(name, None)
        each = memory.kept.values()
        assert memory.bytes == sum(kept.size for kept in each)
        assert memory._small_bytes == sum(kept.size for kept in each if not kept.proven)
        assert max_bytes is None or memory.bytes <= max_bytes
        assert max_entries is None or len(memory) <= max_entries
        standing = [id(one) for one in [*memory._small, *memory._main] if one.value is not None]
        assert sorted(standing) == sorted(map(id, each)), "each stands in one queue, once"
