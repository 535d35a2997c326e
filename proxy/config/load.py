"""What is the whole configuration, from file, environment and options, and where does each value come from?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from proxy.config.combinations import conflicts, touches
from proxy.config.model import SHARED_CACHES, Config, plain_options
from proxy.config.reader import Reader, leaves
from proxy.config.source import MOST_BYTES, Kind, Place, Scalar, Section, Value, join, of_python, read_file
from proxy.config.wording import is_secret, masked, one_line
from proxy.errors import ConfigError, Fault

BY_DEFAULT = "default"

VARIABLES: Mapping[str, str] = {
    "SITECACHE_UPSTREAM": "upstream.url",
    "SITECACHE_LISTEN": "listen",
    "SITECACHE_WORKERS": "workers",
    "SITECACHE_ADMIN": "admin.listen",
    "SITECACHE_ACCESS_LOG": "access_log",
}
"""Environment variables that stand above the file, and the settings they give; an empty one counts as unset."""

OPTIONS: Mapping[str, str] = {
    "upstream.url": "--upstream",
    "listen": "--listen",
    "workers": "--workers",
    "admin.listen": "--admin",
    "access_log": "--access-log",
}
"""Settings that an option of ``sitecache serve`` gives, which stands above everything else."""

_SHORT: Mapping[str, str] = {"upstream": "url", "admin": "listen"}
"""Sections whose single value stands for one of their keys."""


_JUDGED = re.compile(
    r"(?:BACKEND: )?(BACKEND|KEY_FUNCTION|SERIALIZER|(?:LOCATION|OPTIONS|DATABASES|ROUTER)[^\s:]*): "
    r"(?:expected (.*?), found )?(.*)",
    re.DOTALL,
)
_BESIDE_CACHES = ("DATABASES", "ROUTER")
_FROM_VARIABLES = re.compile(r"(?:\$\{\w+\}(?:, )?)+ at ")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used."""

    config: Config
    origins: Mapping[str, str]
    """Of every setting, by dotted path: ``default``, ``site.yaml:12``, ``environment X``, ``option --x``."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration can be read again."""

    file: str
    read: Callable[[], Config]
    """ConfigError holds every fault that was found."""


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Loaded:
    """Read the configuration; options (``overrides``, by path) stand above ``SITECACHE_*``, the file and the defaults.

    ConfigError holds every fault that was found.
    """
    empty = Section({}, Place("", BY_DEFAULT))
    root, faults = read_file(path, environ) if path is not None else (empty, [])
    tree = dict(root.entries)
    for at, value in _above_the_file(environ, overrides):
        _put(tree, at.split("."), value)
    reader = Reader(faults=faults)
    config: Config = reader.section(Config, Section(tree, empty.place), "")
    if "CACHES" not in tree and config.workers > 1:
        config = replace(config, CACHES=SHARED_CACHES)
    reader.faults.extend(conflicts(config, reader.origins, reader.bad))
    if reader.faults:
        raise ConfigError(*sorted(reader.faults, key=_line))
    return Loaded(config, {leaf.path: reader.origins.get(leaf.path, BY_DEFAULT) for leaf in leaves(config)})


def backend_fault(loaded: Loaded, alias: str, error: Exception) -> Fault:
    """Turn what a backend says of its settings into a fault, with the place where the setting stands.

    Its text is ``OPTIONS.db: expected ..., found ...``, or the same of another setting, or anything.
    """
    cache = join("CACHES", alias)
    text = str(error).removeprefix(f"CACHES.{alias}.")
    judged = _JUDGED.fullmatch(text)
    at, expected, found = judged.groups() if judged else ("BACKEND", None, text)
    path = f"{cache}.{at}"
    if at.startswith(_BESIDE_CACHES):
        name = re.split(r"[.\[]", at)[0]
        own = name in plain_options(loaded.config.CACHES[alias])
        path = f"{cache}.OPTIONS.{at}" if own else at
    hidden = any(map(is_secret, at.split(".")))
    return Fault(
        path=path,
        expected=expected or "what the backend can use",
        found="a value that is not shown" if hidden else one_line(masked(found), 300),
        where=_where(loaded, path) or _where(loaded, f"{cache}.BACKEND"),
    )


def _where(loaded: Loaded, path: str) -> str:
    """Return the place of a setting, or of the first one inside it; nothing where all are defaults."""
    origins = (origin for at, origin in loaded.origins.items() if touches(at, path) and origin != BY_DEFAULT)
    return _FROM_VARIABLES.sub("", next(origins, ""), count=1)


def _above_the_file(environ: Mapping[str, str], overrides: Mapping[str, object]) -> Iterator[tuple[str, Value]]:
    for variable, at in VARIABLES.items():
        if environ.get(variable):
            yield at, _named(environ[variable], f"environment {variable}")
    for given, value in overrides.items():
        if value is not None and value != ():
            at = f"{given}.{_SHORT[given]}" if given in _SHORT else given
            yield at, _named(value, f"option {OPTIONS.get(at, at)}")


def _named(value: object, origin: str) -> Value:
    return of_python(value, Place(origin, origin))


def _put(tree: dict[str, tuple[Place, Value]], keys: list[str], value: Value) -> None:
    """Set the value at a path, keeping what stands beside it; what is no section stays, to be refused."""
    name, *rest = keys
    if not rest:
        tree[name] = (value.place, value)
        return
    place, held = tree.get(name, (value.place, Section({}, value.place)))
    if isinstance(held, Scalar):
        known = name in _SHORT and held.kind is not Kind.NULL
        held = Section({_SHORT[name]: (held.place, held)} if known else {}, held.place)
    if isinstance(held, Section):
        inner = dict(held.entries)
        _put(inner, rest, value)
        tree[name] = (place, Section(inner, held.place))


def _line(fault: Fault) -> int:
    """Order faults as the file has them; those of no line come last."""
    _, _, line = fault.where.rpartition(":")
    return int(line) if line.isdecimal() and len(line) < 9 else MOST_BYTES
