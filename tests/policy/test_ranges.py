"""Are ranges read, bounded and joined as RFC 9110 §14 says?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.multipart import overhead
from proxy.policy.ranges import Extent, Part, byte_ranges, content_range, one_range

OVERHEAD = 80


def parts(*pairs: tuple[int, int]) -> tuple[Part, ...]:
    return tuple(Part(first, last) for first, last in pairs)


@pytest.mark.rfc(9110, "14.1.1")
@pytest.mark.rfc(9110, "14.1.2")
@pytest.mark.rfc(9110, "14.2")
@pytest.mark.rfc(9110, "15.3.7.2")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("bytes=0-0,-1", parts((0, 0), (9999, 9999)), id="first-and-last"),
        pytest.param("bytes= 0-999, 4500-5499, -1000", parts((0, 999), (4500, 5499), (9000, 9999)), id="three"),
        pytest.param("bytes=500-600,601-999", parts((500, 999)), id="contiguous"),
        pytest.param("bytes=500-700,601-999", parts((500, 999)), id="overlapping"),
        pytest.param("bytes=500-999,600-700", parts((500, 999)), id="one-in-the-other"),
        pytest.param("bytes=9000-9001,0-1", parts((9000, 9001), (0, 1)), id="in-the-order-of-the-request"),
        pytest.param("bytes=9000-9001,0-1,8990-8999", parts((8990, 9001), (0, 1)), id="joined-where-the-first-was"),
        pytest.param("bytes=0-9,90-99", parts((0, 99)), id="a-gap-of-the-overhead"),
        pytest.param("bytes=0-9,91-99", parts((0, 9), (91, 99)), id="a-larger-gap"),
        pytest.param("bytes=0-1,20000-,5000-5001", parts((0, 1), (5000, 5001)), id="one-is-outside"),
        pytest.param("bytes=20000-,-0", (), id="all-are-outside"),
        pytest.param("bytes=0-1,x", None, id="one-is-invalid"),
        pytest.param("bytes=0-1,5-3", None, id="one-is-backwards"),
        pytest.param("bytes=0-1,-", None, id="one-is-empty"),
        pytest.param("bytes=0-1,bytes=3-4", None, id="two-lines-combined"),
        pytest.param('bytes="0-1"', None, id="quoted"),
        pytest.param("bytes=,0-1,,", parts((0, 1)), id="empty-members"),
        pytest.param("bytes=,", None, id="only-empty-members"),
        pytest.param("bytes=" + ",".join(["0-"] * 64), parts((0, 9999)), id="64-times-all"),
        pytest.param("bytes=" + ",".join(["0-"] * 65), None, id="65-ranges"),
        pytest.param("bytes=0-" + "0" * 40 + "9", parts((0, 9)), id="leading-zeros"),
        pytest.param("bytes=" + "9" * 40 + "-", (), id="a-first-beyond-every-number"),
        pytest.param("bytes=-" + "9" * 40, parts((0, 9999)), id="a-suffix-beyond-every-number"),
        pytest.param("bytes=" + "9" * 40 + "-" + "8" * 40, (), id="two-numbers-too-long-to-compare"),
    ],
)
def test_byte_ranges(value: str, expected: tuple[Part, ...] | None) -> None:
    assert byte_ranges(value.encode(), 10000, OVERHEAD) == expected


@pytest.mark.rfc(9110, "14.1.2")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("bytes=0-0", Part(0, 0), id="the-first-byte"),
        pytest.param("bytes=10-19", Part(10, 19), id="in-the-middle"),
        pytest.param("bytes=10-", Part(10, 9999), id="to-the-end"),
        pytest.param("bytes=9999-10000", Part(9999, 9999), id="beyond-the-end"),
        pytest.param("bytes=010-019", Part(10, 19), id="leading-zeros"),
        pytest.param("bytes=10000-", None, id="outside"),
        pytest.param("bytes=10000-10001", None, id="outside-with-an-end"),
        pytest.param("bytes=19-10", None, id="backwards"),
        pytest.param("bytes=-10", Part(9990, 9999), id="a-suffix"),
        pytest.param("bytes=-10001", Part(0, 9999), id="a-suffix-of-more-than-there-is"),
        pytest.param("bytes=-0", None, id="a-suffix-of-nothing"),
        pytest.param("bytes=-", None, id="neither"),
        pytest.param("bytes=0-1,5-6", None, id="two"),
        pytest.param("bytes= 0-1", None, id="a-space"),
        pytest.param("Bytes=0-1", None, id="capital"),
        pytest.param("lines=0-1", None, id="another-unit"),
        pytest.param("bytes=0-1\n", None, id="a-line-behind-it"),
        pytest.param("bytes=" + "0" * 18 + "1-2", None, id="too-many-digits"),
    ],
)
def test_one_range(value: str, expected: Part | None) -> None:
    assert one_range(value.encode(), 10000) == expected


NUMBERS = st.one_of(st.just(""), st.integers(0, 30).map(str), st.text("0123456789", max_size=20))


@given(
    st.builds("{}{}-{}".format, st.sampled_from(["bytes=", "bytes= ", "items="]), NUMBERS, NUMBERS), st.integers(0, 20)
)
def test_one_range_is_read_as_any_are(value: str, size: int) -> None:
    part = one_range(value.encode(), size)
    assert part is None or byte_ranges(value.encode(), size, OVERHEAD) == (part,)


RANGES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3000), st.integers(0, 3000)).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(0, 3000).map(lambda first: f"{first}-"),
        st.integers(0, 3000).map(lambda suffix: f"-{suffix}"),
    ),
    min_size=1,
    max_size=20,
)


@pytest.mark.rfc(9110, "17.15")
@given(RANGES, st.integers(1, 2500), st.integers(1, 200))
def test_parts_hold_what_was_asked_and_never_take_more_than_the_whole(specs: list[str], size: int, each: int) -> None:
    found = byte_ranges(("bytes=" + ",".join(specs)).encode(), size, each)
    assert found is not None
    covered = [byte for part in found for byte in range(part.first, part.last + 1)]
    assert len(covered) == len(set(covered)), "a byte is sent twice"
    asked: set[int] = set()
    for spec in specs:
        first, _, last = spec.partition("-")
        if first:
            asked |= set(range(int(first), min(int(last) if last else size - 1, size - 1) + 1))
        else:
            asked |= set(range(max(0, size - int(last)), size))
    assert asked <= set(covered)
    assert len(covered) + each * len(found) <= size + each


@pytest.mark.rfc(9110, "14.4")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("bytes 42-1233/1234", Extent(42, 1233, 1234), id="example"),
        pytest.param("bytes 0-0/1", Extent(0, 0, 1), id="one-byte"),
        pytest.param("Bytes 0-1/10", Extent(0, 1, 10), id="the-unit-has-no-case"),
        pytest.param("bytes 42-1233/*", None, id="size-left-open"),
        pytest.param("bytes */1234", None, id="unsatisfied"),
        pytest.param("bytes 5-4/10", None, id="backwards"),
        pytest.param("bytes 5-10/10", None, id="last-is-the-size"),
        pytest.param("bytes 0-0/0", None, id="of-nothing"),
        pytest.param("lines 0-1/10", None, id="another-unit"),
        pytest.param("bytes=0-1/10", None, id="equals"),
        pytest.param("bytes 0-1/10, bytes 2-3/10", None, id="two"),
        pytest.param("bytes -1-1/10", None, id="negative"),
        pytest.param("bytes 0-" + "9" * 19 + "/" + "9" * 20, None, id="too-many-digits"),
        pytest.param("", None, id="empty"),
    ],
)
def test_content_range(value: str, expected: Extent | None) -> None:
    assert content_range(value.encode()) == expected


def test_extent() -> None:
    extent = Extent(10, 19, 100)
    assert (extent.size, extent.is_complete, Extent(0, 99, 100).is_complete) == (10, False, True)
    assert extent.holds(Part(10, 19))
    assert not extent.holds(Part(9, 10))


@pytest.mark.parametrize("kind", [None, b"text/html"])
def test_the_overhead_grows_with_what_each_part_says(kind: bytes | None) -> None:
    assert overhead(10**9, kind) > overhead(10, kind)
    assert overhead(10, b"x" * 100) >= overhead(10, None) + 100
