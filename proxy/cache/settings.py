"""What does one entry of CACHES say to the programs that use it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any, TypeVar

from proxy.cache.keys import default_key_func
from proxy.config.model import CacheConfig, Config, KeyWarnings
from proxy.config.units import Seconds, parse_seconds
from proxy.config.wording import closest, listed
from proxy.errors import ConfigError, Fault
from proxy.storage.backends.owner import Owner
from proxy.storage.named import KeyFunction, UnusableError, key_function, serializer
from proxy.storage.registry import Opening
from proxy.storage.serializers import Serializer

_Named = TypeVar("_Named")

_KNOWN = ("BACKEND", "LOCATION", "TIMEOUT", "OPTIONS", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "SERIALIZER")
#: What only the proxy heeds: programs wait for a store as long as its client does.
_OF_THE_PROXY = ("DEADLINE", "BREAKER_FAILURES", "BREAKER_REST", "LOCAL_TIER", "LOCAL_TIER_SECONDS")
SHARED = ("DATABASES", "ROUTER")
"""Settings beside CACHES that say where a cache in a database lies."""
_BY_DEFAULT = {"BACKEND": "locmem"}


@dataclass(frozen=True, slots=True)
class Settings:
    """One alias, ready for use."""

    alias: str
    opening: Opening
    timeout: Seconds | None
    key_prefix: str
    version: Any
    key_function: KeyFunction
    serializer: Serializer
    key_warnings: KeyWarnings = KeyWarnings.WARN
    neighbours: Sequence[Owner] = ()
    """Other aliases, whose keys begin as ours do where the stores are one."""


def of_mapping(
    caches: object, shared: Mapping[str, object] | None = None, key_warnings: object = KeyWarnings.WARN
) -> dict[str, Settings]:
    """Read CACHES as Python has it; classes, functions and objects may stand for their dotted paths.

    ``shared`` are settings beside CACHES that backends take: DATABASES and ROUTER. ConfigError holds every fault.
    """
    if key_warnings not in list(KeyWarnings):
        raise _fault("key_warnings", listed(KeyWarnings), key_warnings)
    about_keys = KeyWarnings(str(key_warnings))
    if not isinstance(caches, Mapping):
        raise _fault("CACHES", "a mapping of names", caches)
    faults: list[Fault] = []
    read: dict[str, Settings] = {}
    for alias, entry in (caches or {"default": _BY_DEFAULT}).items():
        try:
            read[alias] = _settings(alias, entry, shared or {})
        except ConfigError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigError(*faults)
    return {
        alias: replace(one, key_warnings=about_keys, neighbours=_neighbours(one, read.values()))
        for alias, one in read.items()
    }


def _neighbours(one: Settings, all_of_them: Iterable[Settings]) -> tuple[Owner, ...]:
    return tuple(
        Owner(other.key_prefix, str(other.version))
        for other in all_of_them
        if other.key_prefix.startswith(f"{one.key_prefix}:")
    )


def of_config(config: Config) -> dict[str, Settings]:
    """Take over what was read from a file."""
    caches = {alias: _entry(cache) for alias, cache in config.CACHES.items()}
    shared = {name: getattr(config, name) for name in SHARED if getattr(config, name, None)}
    return of_mapping(caches, shared, config.key_warnings)


def _entry(cache: CacheConfig) -> dict[str, object]:
    return {name: getattr(cache, name) for name in _KNOWN if hasattr(cache, name)}


def _settings(alias: str, entry: object, shared: Mapping[str, object]) -> Settings:
    path = f"CACHES.{alias}"
    if not isinstance(entry, Mapping):
        raise _fault(path, f"a mapping with {listed(_KNOWN, 'and')}", entry)
    for name in entry:
        if name not in _KNOWN + _OF_THE_PROXY:
            raise ConfigError(Fault(f"{path}.{name}", "a known key", "an unknown key", hint=closest(str(name), _KNOWN)))
    if not isinstance(entry.get("BACKEND"), str | type):
        raise _fault(f"{path}.BACKEND", "the name of a backend, its dotted path, or a class", entry.get("BACKEND"))
    options = entry.get("OPTIONS") or {}
    prefix = entry.get("KEY_PREFIX", "")
    if not isinstance(prefix, str):
        raise _fault(f"{path}.KEY_PREFIX", "a string", prefix)
    return Settings(
        alias=alias,
        opening=Opening(
            alias, entry["BACKEND"], entry.get("LOCATION", ""), _options(path, options), dict(entry), shared
        ),
        timeout=_timeout(f"{path}.TIMEOUT", entry.get("TIMEOUT", 300)),
        key_prefix=prefix,
        version=entry.get("VERSION", 1),
        key_function=_usable(path, key_function, entry.get("KEY_FUNCTION")) or default_key_func,
        serializer=_usable(path, serializer, entry.get("SERIALIZER")),
    )


def _options(path: str, options: object) -> Mapping[str, object]:
    if is_dataclass(options) and not isinstance(options, type):
        return asdict(options)
    if not isinstance(options, Mapping):
        raise _fault(f"{path}.OPTIONS", "a mapping of options", options)
    return dict(options)


def _timeout(path: str, value: object) -> Seconds | None:
    if value is None:
        return None
    try:
        if isinstance(value, str | int | float):
            return parse_seconds(value)
    except ValueError:
        pass
    raise _fault(path, "a duration such as 30s, 5m or 1d, or None", value)


def _usable(path: str, name: Callable[[object], _Named], value: object) -> _Named:
    try:
        return name(value)
    except UnusableError as error:
        raise ConfigError(Fault(f"{path}.{error.key}", error.expected, error.found)) from error


def _fault(path: str, expected: str, found: object) -> ConfigError:
    return ConfigError(Fault(path, expected, "nothing" if found is None else repr(found)))
