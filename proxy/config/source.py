"""What does the configuration file say, value by value, and on which line?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

import yaml

from proxy.config.wording import one_line, quoted
from proxy.errors import ConfigError, Fault

MOST_BYTES = 1024 * 1024
"""Of a configuration file: an anchor-laden or wrong file ends here, not in memory."""
MOST_MERGED = 10_000
"""Keys copied by ``<<`` in one file; a merge of merges would otherwise multiply."""

_TAG = "tag:yaml.org,2002:"
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class Kind(Enum):
    """What YAML takes a scalar for; ``UNTYPED`` text is of the environment or an option and has no type of its own."""

    NULL = auto()
    BOOL = auto()
    INT = auto()
    FLOAT = auto()
    TEXT = auto()
    UNTYPED = auto()


class Place(NamedTuple):
    """``where`` is what a fault names, ``origin`` what ``sitecache check`` shows."""

    where: str
    origin: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it is spelled."""

    text: str
    kind: Kind
    place: Place


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Value, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of names to values, each with the place of the name."""

    entries: Mapping[str, tuple[Place, Value]]
    place: Place


@dataclass(frozen=True, slots=True)
class Broken:
    """A value whose fault has already been noted."""

    place: Place


Value = Scalar | Items | Section | Broken

_KINDS = {
    f"{_TAG}null": Kind.NULL,
    f"{_TAG}bool": Kind.BOOL,
    f"{_TAG}int": Kind.INT,
    f"{_TAG}float": Kind.FLOAT,
    f"{_TAG}str": Kind.TEXT,
    f"{_TAG}timestamp": Kind.TEXT,
    f"{_TAG}value": Kind.TEXT,
    f"{_TAG}merge": Kind.TEXT,
}


def read_file(path: Path, environ: Mapping[str, str]) -> tuple[Section, list[Fault]]:
    """Read a YAML file; ConfigError where it cannot be read at all, else what it says and what is wrong inside."""
    name = one_line(str(path))
    text = _text_of(path, name)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
            raise _unusable(name, "a mapping of settings", "nothing: the file is empty")
        if not isinstance(root, yaml.MappingNode):
            raise _unusable(name, "a mapping of settings", f"a {_noun(root)} at the top")
        document = _Document(name, environ)
        value = document.value(root, "", None)
    except yaml.YAMLError as error:
        raise _syntax(name, text, error) from None
    except (ValueError, OverflowError):  # PyYAML lets some through, as of "\UFFFFFFFF"
        raise _unusable(name, "valid YAML", "an escape or a number that YAML cannot hold") from None
    except RecursionError:
        raise _unusable(name, "valid YAML", "lists or mappings nested too deeply") from None
    if not isinstance(value, Section):
        raise ConfigError(*document.faults)
    return value, document.faults


def of_python(value: object, place: Place) -> Value:
    """Take a value that does not come from the file; text has no type of its own."""
    match value:
        case None:
            return Scalar("null", Kind.NULL, place)
        case bool():
            return Scalar(str(value).lower(), Kind.BOOL, place)
        case int():
            return Scalar(format(value, "d") if abs(value) < 10**30 else "(too long)", Kind.INT, place)
        case float():
            return Scalar(repr(value), Kind.FLOAT, place)
        case str():
            return Scalar(value, Kind.UNTYPED, place)
        case Mapping():
            entries = {str(key): (place, of_python(item, place)) for key, item in value.items()}
            return Section(entries, place)
        case Sequence():
            return Items(tuple(of_python(item, place) for item in value), place)
        case _:
            return Scalar(one_line(str(value)), Kind.TEXT, place)


@dataclass(slots=True)
class _Document:
    """One pass over the nodes of a file: each is read once, however many aliases name it."""

    name: str
    environ: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)
    _read: dict[int, Value | None] = field(default_factory=dict)
    _merged: int = 0

    def value(self, node: yaml.Node, path: str, key: Place | None) -> Value:
        if id(node) not in self._read:
            self._read[id(node)] = None
            self._read[id(node)] = self._fresh(node, path, key)
        value = self._read[id(node)]
        if value is None:
            return self._broken(path, self._place(node), "a value", "an alias that contains itself")
        return value

    def _fresh(self, node: yaml.Node, path: str, key: Place | None) -> Value:
        match node:
            case yaml.ScalarNode():
                return self._scalar(node, path)
            case yaml.SequenceNode() if node.tag == f"{_TAG}seq":
                items = enumerate(node.value)
                return Items(
                    tuple(self.value(item, f"{path}[{i}]", None) for i, item in items), key or self._place(node)
                )
            case yaml.MappingNode() if node.tag == f"{_TAG}map":
                return self._section(node, path, key or self._place(node))
            case _:
                return self._odd_tag(node, path)

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Value:
        kind = _KINDS.get(node.tag)
        if kind is None:
            return self._odd_tag(node, path)
        place = self._place(node)
        text, names, wrong = _substitute(node.value, self.environ)
        if wrong:
            expected, found, hint = wrong
            return self._broken(path, place, expected, found, hint)
        if not names:
            return Scalar(text, kind, place)
        named = ", ".join(f"${{{name}}}" for name in names)
        # A variable is text to YAML: another kind was asked for with a tag, as in `!!int ${N}`.
        asked = kind if kind in {Kind.BOOL, Kind.INT, Kind.FLOAT} else Kind.UNTYPED
        return Scalar(text, asked, Place(place.where, f"{named} at {place.where}"))

    def _section(self, node: yaml.MappingNode, path: str, place: Place) -> Section:
        entries: dict[str, tuple[Place, Value]] = {}
        merges: list[Value] = []
        for key_node, value_node in node.value:
            key = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._broken(path, key, "the name of a setting", f"a {_noun(key_node)}")
                continue
            name = key_node.value
            inner = join(path, name)
            if key_node.tag == f"{_TAG}merge":
                merges.append(self.value(value_node, inner, key))
            elif name in entries:
                first = entries[name][0].where
                self._broken(inner, key, "each key once", f"{quoted(name)} again", f"the first is at {first}")
            else:
                entries[name] = (key, self.value(value_node, inner, key))
        for merge in merges:
            self._merge(entries, merge, path)
        return Section(entries, place)

    def _merge(self, entries: dict[str, tuple[Place, Value]], merge: Value, path: str) -> None:
        for part in merge.items if isinstance(merge, Items) else (merge,):
            if isinstance(part, Broken):
                continue
            if not isinstance(part, Section):
                self._broken(join(path, "<<"), part.place, "a mapping to merge", "something else")
                continue
            self._merged += len(part.entries)
            if self._merged > MOST_MERGED:
                raise _unusable(self.name, f"at most {MOST_MERGED} merged keys", 'more, by "<<"')
            for name, entry in part.entries.items():
                entries.setdefault(name, entry)

    def _odd_tag(self, node: yaml.Node, path: str) -> Broken:
        return self._broken(path, self._place(node), "a plain value", f"the tag {quoted(node.tag)}")

    def _broken(self, path: str, place: Place, expected: str, found: str, hint: str = "") -> Broken:
        self.faults.append(Fault(path or "the file", expected, found, place.where, hint))
        return Broken(place)

    def _place(self, node: yaml.Node) -> Place:
        where = f"{self.name}:{node.start_mark.line + 1}"
        return Place(where, where)


def found(value: Value) -> str:
    """Say in a fault what stands there."""
    match value:
        case Items():
            return "a list"
        case Section():
            return "a mapping"
        case Scalar(text="", kind=Kind.NULL):
            return "nothing"
        case Scalar(kind=Kind.NULL):
            return "null"
        case Scalar(kind=Kind.BOOL):
            return f"the boolean {one_line(value.text, 20)}"
        case Scalar(kind=Kind.INT | Kind.FLOAT):
            return quoted(value.text)[1:-1]
        case Scalar():
            return quoted(value.text)
        case Broken():
            return "an unusable value"


def join(path: str, name: str) -> str:
    """Extend the dotted path of a key."""
    plain = re.fullmatch(r"[A-Za-z0-9_<-]{1,60}", name)
    return f"{path}.{name if plain else quoted(name)}" if path else name if plain else quoted(name)


def _substitute(text: str, environ: Mapping[str, str]) -> tuple[str, list[str], tuple[str, str, str] | None]:
    """Put the environment into ``${VAR}``: the text, the names that were read, and what is wrong."""
    names: list[str] = []
    wrong: list[tuple[str, str, str]] = []

    def one(matched: re.Match[str]) -> str:
        if matched[0] == "$${":
            return "${"
        named = _NAMED.fullmatch(matched[1])
        if not matched[2] or named is None or "${" in matched[1]:
            hint = "write $${ for the characters ${ themselves"
            wrong.append(('"${VAR}" or "${VAR:-default}"', quoted(matched[0]), hint))
            return ""
        names.append(named[1])
        given = environ.get(named[1])
        if named[2] is not None:
            return given or named[2]
        if given is None:
            hint = f"set it, or give a default: ${{{named[1]}:-...}}"
            wrong.append((f"the environment variable {named[1]} to be set", "no such variable", hint))
        return given or ""

    text = _VARIABLE.sub(one, text)
    return text, names, wrong[0] if wrong else None


def _text_of(path: Path, name: str) -> str:
    expected = "a YAML file that can be read"
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "an impossible path"
        raise _unusable(name, expected, why) from None
    if len(data) > MOST_BYTES:
        raise _unusable(name, "a file of at most 1 MiB", "a larger one")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unusable(f"{name}:{line}", "UTF-8 text", f"the byte 0x{data[error.start]:02x}") from None


def _syntax(name: str, text: str, error: yaml.YAMLError) -> ConfigError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        why = one_line(error.problem or error.context or "unknown")
        return _unusable(f"{name}{line}", "valid YAML", f"a mistake ({why})")
    position = getattr(error, "position", 0)
    line = f":{text.count(chr(10), 0, position) + 1}"
    return _unusable(f"{name}{line}", "valid YAML", "a control character")


def _unusable(where: str, expected: str, found: str) -> ConfigError:
    return ConfigError(Fault("the file", expected, found, where))


def _noun(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "list"
    return "mapping" if isinstance(node, yaml.MappingNode) else "single value"
