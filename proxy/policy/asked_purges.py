"""What is to be purged, as whoever asks for it says?"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from proxy.policy.key import normalise
from proxy.policy.tags import LONGEST_TAG

MOST = 1000
"""Of each kind, in one purge."""
_LONGEST = 1024
#: Of Latin-1, what no tag and no path has.
_CONTROLS = frozenset([*range(32), 127])


class PurgeError(ValueError):
    """What is to be purged cannot be; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A purge, in the words of whoever asks for it; texts are bytes, each as the character with its number."""

    url: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    glob: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    """Beside prefixes, globs or tags: only there. Alone: all of it."""
    all: bool = False
    soft: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return what it names, in the words of the metrics."""
        named = [kind for kind in ("url", "prefix", "glob", "tag") if getattr(self, kind)]
        alone = ["host"] if self.host and not any(kind in named for kind in ("prefix", "glob", "tag")) else []
        return (*named, *alone, *(["all"] if self.all else []))

    def plain(self) -> dict[str, Any]:
        """Return it as ``asked_of`` reads it, without what it does not name."""
        return {name: value for name, value in asdict(self).items() if value}

    def shown(self) -> str:
        """Return it on one line, for the log."""
        return json.dumps(self.plain(), separators=(",", ":"))


def asked_of(values: Mapping[str, Any]) -> Asked:
    """Read what is to be purged; PurgeError says what is wrong with it."""
    unknown = sorted(set(values) - {*_LISTS, "all", "soft"})
    if unknown:
        raise PurgeError(f"expected url, prefix, glob, tag, host, all or soft, and not {unknown[0]!r}")
    asked = Asked(
        **{name: _texts(name, values.get(name, ()), check) for name, check in _LISTS.items()},
        all=_flag(values, "all"),
        soft=_flag(values, "soft"),
    )
    if not asked.kinds:
        raise PurgeError("nothing is named: expected url, prefix, glob, tag, host or all")
    return asked


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise PurgeError(f"{name}: expected true or false")
    return value


def _texts(name: str, value: Any, check: Callable[[str], str]) -> tuple[str, ...]:
    values: Iterable[Any] = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(one, str) for one in values):
        raise PurgeError(f"{name}: expected a text, or a list of them")
    if len(values) > MOST:
        raise PurgeError(f"{name}: expected {MOST} at most in one purge, and not {len(values)}")
    return tuple(dict.fromkeys(_checked(name, one, check) for one in values))


def _checked(name: str, text: str, check: Callable[[str], str]) -> str:
    try:
        # As it stands in messages: bytes, of which UTF-8 has several for a character.
        return check(text if text.isascii() else text.encode().decode("latin-1"))
    except ValueError as error:
        raise PurgeError(f"{name}: {error}, and not {text[:100]!r}") from None


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or not text.partition("//")[2].strip("/"):
        raise ValueError("expected a URL such as http://www.example.org/page")
    return text


def _path(text: str) -> str:
    if not text.startswith(("/", "*")) or len(text) > _LONGEST or not _CONTROLS.isdisjoint(map(ord, text)):
        raise ValueError(f"expected a path that begins with /, of {_LONGEST} characters at most")
    if "?" in text:
        raise ValueError("expected a path without a query")
    return normalise(text.encode("latin-1")).decode("latin-1")


def _prefix(text: str) -> str:
    if "*" in text:
        raise ValueError("expected a prefix without *, which is for globs")
    return _path(text)


def _tag(text: str) -> str:
    if not 0 < len(text) <= LONGEST_TAG or not _CONTROLS.isdisjoint(map(ord, text)) or text != text.strip():
        raise ValueError(f"expected a tag of 1 to {LONGEST_TAG} characters, without blanks around it")
    return text


def _host(text: str) -> str:
    if not text or "/" in text or "@" in text or " " in text:
        raise ValueError("expected a host such as www.example.org, with its port where that is not the usual one")
    return text.lower()


_LISTS: Mapping[str, Callable[[str], str]] = {
    "url": _url,
    "prefix": _prefix,
    "glob": _path,
    "tag": _tag,
    "host": _host,
}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a purge."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """The caches that could not be told, and why; they are told as soon as that can be done."""
    error: str = ""
    """Why nothing was purged at all."""
    caches: tuple[str, ...] = ()
    """Those where it is done."""

    @property
    def result(self) -> str:
        """Return the word for it, as the metrics have it."""
        return "failure" if self.failed or self.error else "success"

    @property
    def status(self) -> int:
        """Return the status that says so."""
        return 400 if self.error else 503 if self.failed else 200

    def plain(self, asked: Asked) -> dict[str, Any]:
        """Return what is said to whoever asked."""
        if self.error:
            return {"status": "failed", "error": self.error}
        told = {"status": "failed" if self.failed else "ok", "purged": asked.plain(), "caches": list(self.caches)}
        return told | ({"failed": dict(self.failed)} if self.failed else {})


Carry = Callable[[Asked], Awaitable[Done]]
"""Purges, for all workers and whoever shares their storages."""
