"""Which bytes of a representation does a Range or a Content-Range field name? (RFC 9110 §14)"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.message.grammar import members
from proxy.message.heads import Response

_UNIT = re.compile(rb"bytes=[ \t]*", re.IGNORECASE)
_SPEC = re.compile(rb"(\d*)-(\d*)")
_ONE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")
_CONTENT_RANGE = re.compile(rb"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)

#: §14.2, §17.15: who asks for more ranges than this at once gets the whole, which costs us less than finding them.
_MOST_RANGES = 64
_MOST_DIGITS = 18
#: §14.1.2: larger than any representation, for numbers of more digits than anybody needs.
_HUGE = 10**_MOST_DIGITS


@dataclass(slots=True)
class Part:
    """The bytes from ``first`` to ``last``, both included.

    Slotted and not frozen: one for each hit of a range (STYLE 8).
    """

    first: int
    last: int

    @property
    def size(self) -> int:
        """Return how many they are."""
        return self.last + 1 - self.first


@dataclass(frozen=True, slots=True)
class Extent:
    """Which part of a representation a partial response holds: the bytes from ``first`` to ``last``, both included."""

    first: int
    last: int
    complete: int
    """The size of the whole representation."""

    @property
    def size(self) -> int:
        """Return how many bytes it holds."""
        return self.last - self.first + 1

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing is missing."""
        return self.size == self.complete

    def holds(self, part: Part) -> bool:
        """Tell whether a part lies wholly within it (RFC 9111 §3.3)."""
        return self.first <= part.first and part.last <= self.last


def content_range(value: bytes) -> Extent | None:
    """Read the Content-Range of a 206; None where it is invalid, of another unit, or leaves the size open (§14.4)."""
    matched = _CONTENT_RANGE.fullmatch(value)
    if matched is None:
        return None
    extent = Extent(int(matched[1]), int(matched[2]), int(matched[3]))
    return extent if extent.first <= extent.last < extent.complete else None


def stated_extent(response: Response) -> Extent | None:
    """Return the one part that a 206 says it holds; None where it holds several, or contradicts itself (§15.3.7.1)."""
    said = response.fields.get(b"content-range")
    extent = None if said is None or response.status != 206 else content_range(said)
    if extent is None or (response.fields.get(b"content-type") or b"").lower().startswith(b"multipart/byteranges"):
        return None
    length = response.fields.get(b"content-length")
    return extent if length is None or length == b"%d" % extent.size else None


def one_range(value: bytes, size: int) -> Part | None:
    """Return the one part that a Range names as nearly all do; None: ask ``byte_ranges``.

    A twentieth of what that takes: most of a hit of a range was the reading of it (tests/bench/wire.py).
    """
    matched = _ONE.fullmatch(value)
    if matched is None:
        return None
    named_first, named_last = matched.groups()
    last = size - 1
    if named_first:
        first = int(named_first)
        if named_last and (end := int(named_last)) < size:
            last = end
    elif named_last:
        first = max(0, size - int(named_last))
    else:
        return None
    return Part(first, last) if first <= last else None


def byte_ranges(value: bytes, size: int, overhead: int) -> tuple[Part, ...] | None:
    """Return the parts that a Range names of a representation of this size, empty where it is unsatisfiable (§14.1.2).

    None: it is to be ignored, being invalid, of another unit, or asking for too much at once (§14.2). Ranges that
    overlap, or that lie nearer together than the ``overhead`` in bytes of a part of its own, become one (§15.3.7.2).
    So the parts together, each with its overhead, never take more than the representation and one overhead.
    """
    unit = _UNIT.match(value)
    if unit is None:
        return None
    parts: list[Part] = []
    count = 0
    for count, spec in enumerate(members(value[unit.end() :]), 1):
        matched = _SPEC.fullmatch(spec)
        if matched is None or count > _MOST_RANGES:
            return None
        named = _named(matched[1], matched[2], size)
        if named is None:
            return None
        if named.first <= named.last:
            parts.append(named)
    return _coalesced(parts, overhead) if count else None


def _named(first: bytes, last: bytes, size: int) -> Part | None:
    """Return what one range-spec names, with its last byte before its first where that is nothing; None: invalid."""
    if not first:
        if not last:
            return None
        suffix = _number(last)
        # §14.1.2: of nothing, the last bytes can be had, but no 206 can name them.
        return None if suffix and not size else Part(max(0, size - suffix), size - 1)
    start = _number(first)
    if not last:
        return Part(start, size - 1)
    end = _number(last)
    # Of two numbers too long to be told apart, both name nothing.
    return None if end < start else Part(start, min(end, size - 1))


def _number(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _MOST_DIGITS else _HUGE


def _coalesced(parts: list[Part], overhead: int) -> tuple[Part, ...]:
    """Return the parts in the order they were asked for, those that are worth it as one (§15.3.7.2)."""
    merged: list[tuple[int, Part]] = []
    for rank, part in sorted(enumerate(parts), key=lambda ranked: ranked[1].first):
        if merged and part.first <= merged[-1][1].last + 1 + overhead:
            before, to = merged[-1]
            merged[-1] = min(before, rank), Part(to.first, max(to.last, part.last))
        else:
            merged.append((rank, part))
    return tuple(part for _, part in sorted(merged, key=lambda ranked: ranked[0]))
