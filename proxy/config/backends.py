"""Which backend does BACKEND name, and what may the other keys of its cache hold?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from proxy.config.model import CacheOptions, FileOptions, SharedOptions
from proxy.config.wording import closest, listed

DJANGOS_KEY_FUNCTION = "django.core.cache.backends.base.default_key_func"
"""Makes the keys that are made where none is named."""

_CLASSES: Mapping[str, str] = {
    "locmem": "locmem.LocMemCache",
    "dummy": "dummy.DummyCache",
    "shared": "shared.SharedMemoryCache",
    "filebased": "filebased.FileBasedCache",
    "redis": "redis.RedisCache",
    "pymemcache": "memcached.PyMemcacheCache",
    "pylibmc": "memcached.PyLibMCCache",
    "db": "db.DatabaseCache",
}
_OURS = "proxy.storage.backends"
_PACKAGES = ("django.core.cache.backends", _OURS)
_NOT_DJANGOS = frozenset({"shared"})
_OTHER_NAMES = {"file": "filebased", "memcached": "pymemcache", "database": "db"}

BACKENDS: Mapping[str, str] = {
    **{name: name for name in _CLASSES},
    **_OTHER_NAMES,
    **{
        f"{package}.{path}": name
        for package in _PACKAGES
        for name, path in _CLASSES.items()
        if package == _OURS or name not in _NOT_DJANGOS
    },
}
"""Every spelling of a backend of ours, and the one that the configuration keeps."""

BACKEND = f"{listed(_CLASSES)}, or the dotted path of a class"

_OPTIONS: Mapping[str, Any] = {
    "locmem": CacheOptions,
    "dummy": CacheOptions,
    "filebased": FileOptions,
    "shared": SharedOptions,
}
_ONE_PLACE = frozenset({"locmem", "dummy", "shared", "filebased", "db"})
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_SERIALIZERS = frozenset({"typed", "pickle"})
_NOT_THEIRS = frozenset({"django", "proxy"})
"""Packages in which an operator has no class of their own."""
_SLIP = 0.97
"""Likeness of a dotted path with a letter or two wrong; a class that is derived from ours is less like it."""


def backend(text: str) -> str:
    """Give the name that is kept, or the dotted path of the operator's own class; ValueError holds a hint."""
    if text in BACKENDS:
        return BACKENDS[text]
    own = _DOTTED.fullmatch(text) is not None and text.partition(".")[0] not in _NOT_THEIRS
    hint = closest(text, BACKENDS, _SLIP if own else 0.6)
    if hint or not own:
        raise ValueError(hint)
    return text


def dotted(text: str) -> str:
    """Give the dotted path of a function or a class back; ValueError where it is none."""
    if not _DOTTED.fullmatch(text):
        raise ValueError("")
    return text


def serializer(text: str) -> str:
    """Give the name of a serializer of ours, or the dotted path of another, back; ValueError where it is none."""
    return text if text in _SERIALIZERS else dotted(text)


def router(value: object) -> object:
    """Give what decides between databases back; ValueError where it cannot be."""
    if isinstance(value, str):
        return dotted(value)
    if value is not None and not (isinstance(value, dict) and all(_is_route(*route) for route in value.items())):
        raise ValueError("")
    return value


def _is_route(name: str, aliases: object) -> bool:
    several = aliases if name == "read" and isinstance(aliases, list) else [aliases]
    return name in {"read", "write", "migrate"} and bool(several) and all(isinstance(each, str) for each in several)


def kind_of_options(name: str) -> Any:
    """Return the type of OPTIONS; where the backend itself judges them, any mapping of plain values."""
    return _OPTIONS.get(name, Mapping[str, object])


def kind_of_location(name: str) -> Any:
    """Return the type of LOCATION: some caches lie on several servers."""
    return str if name in _ONE_PLACE else str | tuple[str, ...]
