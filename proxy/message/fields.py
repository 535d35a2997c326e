"""Which header fields does a message have, as they came and by name?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

RawField = tuple[bytes, bytes]


class Fields:
    """Header fields in their original order and case, with an index by lower-case name.

    The raw lines are what is forwarded; the index is what decisions are made from. Lines of one name are combined
    with a comma (RFC 9110 §5.3), those of Cookie with a semicolon (RFC 6265 §5.4 as every server reads it).
    """

    __slots__ = ("index", "raw")

    def __init__(self, raw: list[RawField], index: dict[bytes, bytes] | None = None) -> None:
        """``index`` has the value of each line, where whoever has read them wrote it already."""
        self.raw = raw
        # In the order of the lines, which ``lowered`` relies on.
        self.index = {name.lower(): value for name, value in raw} if index is None else index
        if len(self.index) != len(raw):
            self.index = _combined(raw)

    def get(self, name: bytes) -> bytes | None:
        """Return the combined value of the field with this lower-case name."""
        return self.index.get(name)

    def __contains__(self, name: bytes) -> bool:
        return name in self.index

    def __iter__(self) -> Iterator[RawField]:
        return iter(self.raw)

    def lines(self, name: bytes) -> list[bytes]:
        """Return the value of each line of the field with this lower-case name."""
        if name not in self.index:
            return []
        return [value for lower, (_, value) in self.lowered() if lower == name]

    def lowered(self) -> Iterable[tuple[bytes, RawField]]:
        """Return each raw line with its name in lower case, in their order."""
        # Where no name comes twice, the index has the names in the order of the lines.
        if len(self.index) == len(self.raw):
            return zip(self.index, self.raw, strict=True)
        return [(field[0].lower(), field) for field in self.raw]

    def without(self, names: Collection[bytes]) -> list[RawField]:
        """Return the raw lines whose lower-case names are not among these."""
        if self.index.keys().isdisjoint(names):
            return list(self.raw)
        return [field for lower, field in self.lowered() if lower not in names]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]  # a list inside: equal, not hashable

    def __repr__(self) -> str:
        return f"Fields({self.raw!r})"


def _combined(raw: list[RawField]) -> dict[bytes, bytes]:
    index: dict[bytes, bytes] = {}
    for raw_name, value in raw:
        name = raw_name.lower()
        if name not in index:
            index[name] = value
        else:
            index[name] += (b"; " if name == b"cookie" else b", ") + value
    return index


def serialise(fields: Iterable[RawField]) -> bytes:
    """Write field lines as they go on the wire, each with its CRLF."""
    return b"\r\n".join([*map(b": ".join, fields), b""])
