"""Does what was read fit the dataclasses of the model, and if not, where not?"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from proxy.config.plain import TRUTH, PlainReader
from proxy.config.rules import DECIDES, HYPHENATED, KINDS, RULES, SHORTHAND, Rule
from proxy.config.source import Broken, Items, Kind, Scalar, Section, Value, found, join
from proxy.config.units import Bytes, Seconds, parse_bytes, parse_seconds
from proxy.config.wording import closest, is_secret, listed
from proxy.errors import Fault

MOST_FAULTS = 100
"""That are listed; a file that is wrong everywhere needs no more to say so."""
MOST_NUMBER = 2**31 - 1
"""Of a count, and of a duration in seconds (RFC 9111 §1.2.2)."""
MOST_BYTES = 2**60

_NO_RULE = Rule("")
_TEXTUAL = frozenset({Kind.TEXT, Kind.UNTYPED})
_PLAIN_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,2}(?:_?[0-9]{3})*|[1-9][0-9]{0,20})(?:\.[0-9]{1,20})?")
_NOUNS = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    Seconds: "a duration such as 30s, 5m or 1d",
    Bytes: "a size such as 64KiB or 10MB",
}


class _Bad(Enum):
    """Stands for a value whose fault has been noted."""

    BAD = 0


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the reader stands: the path, the type that is wanted there and the rule of its setting."""

    path: str
    type: Any
    rule: Rule = _NO_RULE
    optional: bool = False

    @property
    def expected(self) -> str:
        words = self.rule.expected or _noun(self.type)
        return f"{words}, or null" if self.optional else words


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting of a configuration: its keys, the same as a dotted path, its type and its value."""

    keys: tuple[str | int, ...]
    """A number is the place in a list."""
    path: str
    type: Any
    value: object


@dataclass(slots=True)
class Reader:
    """One reading of a whole configuration: faults are gathered, and what is wrong is read as its default."""

    faults: list[Fault] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    """Paths whose value stands in for one that was refused."""

    def section(self, cls: Any, value: Value, path: str) -> Any:
        """Read a section into its dataclass; keys that are absent or wrong keep their defaults."""
        if isinstance(value, Scalar) and cls in SHORTHAND and not _is_null(value):
            value = Section({SHORTHAND[cls]: (value.place, value)}, value.place)
        if not isinstance(value, Section):
            self._refuse(path, f"a mapping with {_keys(cls)}", value, _section_hint(cls, value))
            return _stand_in(cls)
        if cls in HYPHENATED:
            value = _with_underscores(value)
        self.origins[path] = value.place.origin
        given: dict[str, Any] = {}
        for spot in _spots(cls, path):
            name = spot.path.rpartition(".")[2]
            if (cls, name) in KINDS:
                spot = replace(spot, type=KINDS[cls, name](given[DECIDES[cls]]))  # noqa: PLW2901
            read = self._field(cls, spot, name, value)
            if read is not _Bad.BAD:
                given[name] = read
            elif name == DECIDES.get(cls):
                return _stand_in(cls)
            elif (cls, name) in KINDS:
                given[name] = _nothing(spot.type)
        self._unknown_keys(cls, value, path)
        return _stand_in(cls, given)

    def _field(self, cls: Any, spot: _Spot, name: str, section: Section) -> Any:
        place, value = section.entries.get(name, (section.place, None))
        nothing = isinstance(value, Scalar) and _is_null(value) and is_dataclass(spot.type)
        if value is not None and (spot.optional or not (nothing and spot.rule.if_missing)):
            return self._value(spot, value)
        if _default(next(f for f in fields(cls) if f.name == name)) is MISSING:
            self._note(Fault(spot.path, spot.expected, "nothing", place.where, spot.rule.if_missing))
            self.bad.add(spot.path)
        return _Bad.BAD

    def _value(self, spot: _Spot, value: Value) -> Any:
        if isinstance(value, Broken):
            self.bad.add(spot.path)
            return _Bad.BAD
        if spot.optional and isinstance(value, Scalar) and _is_null(value):
            self.origins[spot.path] = value.place.origin
            return None
        if is_dataclass(spot.type):
            return self.section(spot.type, value, spot.path)
        if spot.type is object:
            return self._plain(spot, value)
        if isinstance(spot.type, types.UnionType):
            one, several = get_args(spot.type)
            spot = replace(spot, type=several if isinstance(value, Items) else one)
        if get_origin(spot.type) is tuple:
            return self._tuple(spot, value)
        if get_origin(spot.type) is Mapping:
            return self._mapping(spot, value)
        return self._scalar(spot, value)

    def _tuple(self, spot: _Spot, value: Value) -> Any:
        inner = get_args(spot.type)[0]
        if is_dataclass(inner):
            return self._sections(inner, spot, value)
        if isinstance(value, Scalar) and not _is_null(value):
            value = Items(_split(value), value.place)
        if not isinstance(value, Items):
            return self._refuse(spot.path, f"{spot.expected}, or a list", value)
        if len(value.items) < spot.rule.least_items:
            return self._refuse(spot.path, f"{spot.expected}, or a list of them", value, "the list is empty")
        self.origins[spot.path] = value.place.origin
        read = [self._value(_Spot(f"{spot.path}[{i}]", inner, spot.rule), item) for i, item in enumerate(value.items)]
        return tuple(item for item in read if item is not _Bad.BAD)

    def _sections(self, cls: Any, spot: _Spot, value: Value) -> Any:
        if not isinstance(value, Items):
            return self._refuse(spot.path, f"a list of mappings with {_keys(cls)}", value)
        self.origins[spot.path] = value.place.origin
        read = [self._value(_Spot(f"{spot.path}[{i}]", cls), item) for i, item in enumerate(value.items)]
        # What stands in for a broken one keeps the places of the others.
        return tuple(_stand_in(cls) if item is _Bad.BAD else item for item in read)

    def _mapping(self, spot: _Spot, value: Value) -> Any:
        inner = get_args(spot.type)[1]
        if not isinstance(value, Section):
            return self._refuse(spot.path, "a mapping of names", value)
        if inner is object:
            return self._plain(spot, value)
        self.origins[spot.path] = value.place.origin
        read = {
            name: self._value(_Spot(join(spot.path, name), inner), item)
            for name, (_, item) in value.entries.items()
            if not isinstance(item, Broken)
        }
        return {name: item for name, item in read.items() if item is not _Bad.BAD}

    def _plain(self, spot: _Spot, value: Value) -> Any:
        reader = PlainReader()
        read = reader.read(value, spot.path)
        for fault in reader.faults:
            self._note(fault)
        self.bad |= reader.bad
        self.origins |= reader.origins
        try:
            return read if reader.bad else spot.rule.accept(read)
        except ValueError:
            return self._refuse(spot.path, spot.expected, value)

    def _scalar(self, spot: _Spot, value: Value) -> Any:
        if not isinstance(value, Scalar):
            return self._refuse(spot.path, spot.expected, value)
        try:
            read = _convert(spot, value)
        except (ValueError, OverflowError) as refused:
            hint = closest(value.text, spot.rule.words) or (str(refused) if isinstance(refused, ValueError) else "")
            return self._refuse(spot.path, spot.expected, value, hint)
        self.origins[spot.path] = value.place.origin
        if value.text in spot.rule.words and str(read) != value.text:
            self.origins[spot.path] += f" ({value.text})"
        return read

    def _unknown_keys(self, cls: Any, section: Section, path: str) -> None:
        known = [f.name for f in fields(cls)]
        for name, (place, _) in section.entries.items():
            if name not in known:
                hint = _misplaced(cls, name) or closest(name, known)
                expected = "a known key" if hint else f"one of {listed(known)}"
                self._note(Fault(join(path, name), expected, "an unknown key", place.where, hint))

    def _refuse(self, path: str, expected: str, value: Value, hint: str = "") -> _Bad:
        self.bad.add(path)
        shown = "a value that is not shown" if is_secret(path.rpartition(".")[2]) else found(value)
        self._note(Fault(path, expected, shown, value.place.where, hint))
        return _Bad.BAD

    def _note(self, fault: Fault) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def leaves(value: object, keys: tuple[str | int, ...] = (), path: str = "", kind: Any = None) -> list[Leaf]:
    """List every setting of a configuration, in the order of the model."""
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [leaf for i, item in enumerate(value) for leaf in leaves(item, (*keys, i), f"{path}[{i}]")]
    if is_dataclass(value):
        hints = get_type_hints(type(value))
        inner = [(f.name, hints[f.name], getattr(value, f.name)) for f in fields(value)]
    elif isinstance(value, Mapping) and value:
        each = _of_mapping(kind)
        inner = [(name, each, item) for name, item in value.items()]
    else:
        return [Leaf(keys, path, _required(kind)[0], value)]
    return [leaf for name, kind, item in inner for leaf in leaves(item, (*keys, name), join(path, name), kind)]


def _convert(spot: _Spot, value: Scalar) -> Any:
    """Read one value as its type and rule want it; ValueError with a hint."""
    if value.text in spot.rule.words:
        return spot.rule.words[value.text]()
    if isinstance(spot.type, type) and issubclass(spot.type, Enum):
        return _enumerated(spot.type, value)
    if spot.type is bool:
        return _truth(value)
    if spot.type is str:
        return spot.rule.accept(_string(value, spot.rule.numbers_are_text))
    if value.kind in {Kind.NULL, Kind.BOOL}:
        raise ValueError("")
    read = _number(spot, value)
    if read is None:
        raise ValueError(_number_hint(spot, value))
    return spot.rule.accept(read)


def _enumerated(kind: type[Enum], value: Scalar) -> Enum:
    # `access_log: off` is a boolean to YAML 1.1; its spelling is what counts.
    try:
        return kind(value.text)
    except ValueError:
        known = [str(member.value) for member in kind] if value.kind in _TEXTUAL else []
        raise ValueError(closest(value.text, known)) from None


def _truth(value: Scalar) -> bool:
    known = value.kind in {Kind.BOOL, Kind.UNTYPED}
    if not known or value.text.lower() not in TRUTH:
        raise ValueError("leave out the quotes" if value.text.lower() in TRUTH else "")
    return TRUTH[value.text.lower()]


def _string(value: Scalar, numbers_too: bool) -> str:
    textual = value.kind in _TEXTUAL or (numbers_too and value.kind is Kind.INT)
    if not textual:
        raise ValueError("" if value.kind is Kind.NULL else "put it in quotes if that is the text you mean")
    if not value.text.isprintable():
        raise ValueError("it holds a control character")
    return value.text


def _number(spot: _Spot, value: Scalar) -> float | int | None:
    """Read a count, a duration or a size; None where the text is none of that type."""
    text = value.text.strip()
    if not text.isascii() or len(text) > 40:
        return None
    if value.kind in {Kind.INT, Kind.FLOAT}:
        if not _PLAIN_NUMBER.fullmatch(text):
            return None
        text = text.replace("_", "").removeprefix("+")
    try:
        if spot.type is Seconds:
            return _duration(text)
        if spot.type is Bytes:
            return _size(text)
    except ValueError:
        return None
    if value.kind is Kind.TEXT or not re.fullmatch(r"-?[0-9]+", text):
        return None
    return int(text) if abs(int(text)) <= MOST_NUMBER else None


def _duration(text: str) -> Seconds | None:
    seconds = parse_seconds(text)
    return seconds if not seconds or 0.001 <= seconds <= MOST_NUMBER else None


def _size(text: str) -> Bytes | None:
    size = parse_bytes(text)
    whole = "." not in text or re.search("[A-Za-z]", text)
    return size if whole and size <= MOST_BYTES else None


def _number_hint(spot: _Spot, value: Scalar) -> str:
    if value.text in {"None", "nil", "~"} and spot.optional:
        return "YAML writes it null"
    quoted_number = spot.type is int and value.kind is Kind.TEXT and value.text.strip().isdigit()
    return "leave out the quotes" if quoted_number else ""


def _is_null(value: Scalar) -> bool:
    return value.kind is Kind.NULL or (value.kind is Kind.UNTYPED and value.text == "null")


def _split(value: Scalar) -> tuple[Value, ...]:
    """Take one value for a list of one; text of the environment may hold several, with commas between."""
    if value.kind is not Kind.UNTYPED:
        return (value,)
    return tuple(Scalar(part.strip(), Kind.UNTYPED, value.place) for part in value.text.split(","))


def _with_underscores(section: Section) -> Section:
    """Return a section with our spelling of its keys; one that is there in both stays unknown in the other."""
    ours = {name: name.replace("-", "_") for name in section.entries}
    known = {name: our for name, our in ours.items() if our == name or our not in section.entries}
    return Section({known.get(name, name): item for name, item in section.entries.items()}, section.place)


def _section_hint(cls: Any, value: Value) -> str:
    if isinstance(value, Scalar) and _is_null(value):
        optional = all(_default(f) is not MISSING for f in fields(cls))
        return "leave the key out to use the defaults" if optional else ""
    return ""


def _misplaced(cls: Any, name: str) -> str:
    for spot in _spots(cls, ""):
        if is_dataclass(spot.type) and name in {f.name for f in fields(spot.type)}:
            return f"it belongs under {spot.path}"
    return ""


def _spots(cls: Any, path: str) -> list[_Spot]:
    hints = get_type_hints(cls)
    found = []
    decisive = DECIDES.get(cls)
    for each in sorted(fields(cls), key=lambda f: f.name != decisive):
        kind, optional = _required(hints[each.name])
        rule = RULES.get((cls, each.name), _NO_RULE)
        found.append(_Spot(f"{path}.{each.name}" if path else each.name, kind, rule, optional))
    return found


def _required(kind: Any) -> tuple[Any, bool]:
    """Split ``T | None`` into T and whether None is allowed; of several types, the first."""
    return next(part for part in _parts(kind) if part is not type(None)), type(None) in _parts(kind)


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)


def _of_mapping(kind: Any) -> Any:
    """Return the type of what a mapping holds, one inside a mapping of plain values included."""
    return next((get_args(part)[1] for part in _parts(kind) if get_origin(part) is Mapping), object)


def _nothing(kind: Any) -> Any:
    """Return what stands for a setting of that type where it is absent."""
    if is_dataclass(kind):
        return _stand_in(kind)
    return {} if get_origin(kind) is Mapping else ""


def _stand_in(cls: Any, given: Mapping[str, Any] | None = None) -> Any:
    """Build a section; what it needs and has no default for is an empty section, or the empty string."""
    kinds = get_type_hints(cls)
    needed = [f.name for f in fields(cls) if _default(f) is MISSING]
    empty = {name: _stand_in(kinds[name]) if is_dataclass(kinds[name]) else "" for name in needed}
    return cls(**(empty | dict(given or {})))


def _default(each: Field[Any]) -> object:
    return each.default if each.default is not MISSING else each.default_factory


def _keys(cls: Any) -> str:
    return listed([f.name for f in fields(cls)], "and")


def _noun(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return listed([str(member.value) for member in kind])
    return _NOUNS.get(kind, "a value")
