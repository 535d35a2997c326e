"""What does a value hold that only a backend can judge?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from proxy.config.source import Broken, Items, Kind, Scalar, Section, Value, found, join
from proxy.config.wording import is_secret
from proxy.errors import Fault

MOST_VALUES = 1000
"""Of one mapping, aliases counted each time: a list of lists of aliases ends here, not in memory."""
DEEPEST = 16

_INT = re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9]){0,29})")
_FLOAT = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?(?:e[+-]?[0-9]{1,3})?", re.IGNORECASE)
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_EXPECTED = {Kind.BOOL: "true or false", Kind.INT: "a number in decimal", Kind.FLOAT: "a number in decimal"}
_HIDDEN = "a value that is not shown"


class _TooMuch(Exception):
    """More values, or deeper ones, than a mapping may hold."""


@dataclass(slots=True)
class PlainReader:
    """One reading of a value into str, int, float, bool, None, list and dict."""

    faults: list[Fault] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    """Paths whose value was refused, here or before."""
    _left: int = MOST_VALUES

    def read(self, value: Value, path: str) -> object:
        """Read the value; what is wrong in it is noted."""
        try:
            return self._value(value, path, DEEPEST, secret=False)
        except _TooMuch:
            expected = f"at most {MOST_VALUES} values, nested at most {DEEPEST} deep"
            self._refuse(path, expected, "more", value)
            return {}

    def _mapping(self, section: Section, path: str, depth: int, *, secret: bool) -> dict[str, object]:
        self.origins[path] = section.place.origin
        values = {}
        for name, (_, value) in section.entries.items():
            at = join(path, name)
            if name and name.isprintable():
                values[name] = self._value(value, at, depth - 1, secret=secret or is_secret(name))
            else:
                self._refuse(at, "the name of an option", found(Scalar(name, Kind.TEXT, value.place)), value)
        return values

    def _value(self, value: Value, path: str, depth: int, *, secret: bool) -> object:
        self._left -= 1
        if self._left < 0 or depth < 0:
            raise _TooMuch
        match value:
            case Section():
                return self._mapping(value, path, depth, secret=secret)
            case Items():
                self.origins[path] = value.place.origin
                items = enumerate(value.items)
                return [self._value(item, f"{path}[{i}]", depth - 1, secret=secret) for i, item in items]
            case Scalar():
                return self._scalar(value, path, secret=secret)
            case Broken():
                self.bad.add(path)
                return None

    def _scalar(self, value: Scalar, path: str, *, secret: bool) -> object:
        self.origins[path] = value.place.origin
        try:
            return _plain(value)
        except ValueError as refused:
            expected = _EXPECTED.get(value.kind, "a string")
            self._refuse(path, expected, _HIDDEN if secret else found(value), value, str(refused))
            return None

    def _refuse(self, path: str, expected: str, instead: str, value: Value, hint: str = "") -> None:
        self.bad.add(path)
        self.faults.append(Fault(path, expected, instead, value.place.where, hint))


def plain_float(value: float) -> str:
    """Write a number so that YAML takes it for one: ``1.0e-05``, not ``1e-05``."""
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{e}{exponent}"


def _plain(value: Scalar) -> object:
    """Read one value as what YAML takes it for; ValueError with a hint."""
    text = value.text
    match value.kind:
        case Kind.NULL:
            return None
        case Kind.BOOL if text.lower() in TRUTH:
            return TRUTH[text.lower()]
        case Kind.INT if _INT.fullmatch(text):
            return int(text)
        case Kind.FLOAT if _FLOAT.fullmatch(text.replace("_", "")) and abs(float(text)) < float("inf"):
            return float(text)
        case Kind.TEXT | Kind.UNTYPED if text.isprintable():
            return text
        case Kind.TEXT | Kind.UNTYPED:
            raise ValueError("it holds a control character")
        case _:
            raise ValueError("put it in quotes if that is the text you mean")
