"""How much may one cache hold, by its OPTIONS?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.config.units import parse_bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one store, with Django's names in lower case."""

    max_entries: int | None = 300
    """Values; None is no bound."""
    cull_frequency: int = 3
    """One in so many goes when there are ``max_entries``; 0: all."""
    max_bytes: int | None = None


def read_limits(options: Mapping[str, object], known: Iterable[str]) -> Limits:
    """Read MAX_ENTRIES, CULL_FREQUENCY and MAX_BYTES; ValueError for a wrong or unknown one."""
    for name in options:
        if name not in known:
            raise ValueError(f"OPTIONS.{name}: expected one of {', '.join(known)}, found {name}")
    return Limits(
        max_entries=None if options.get("MAX_ENTRIES", 300) is None else _count(options, "MAX_ENTRIES", 300, least=1),
        cull_frequency=_count(options, "CULL_FREQUENCY", 3, least=0),
        max_bytes=_size(options),
    )


def _count(options: Mapping[str, object], name: str, default: int, *, least: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"OPTIONS.{name}: expected a whole number of {least} or more, found {value!r}")
    return value


def _size(options: Mapping[str, object]) -> int | None:
    value = options.get("MAX_BYTES")
    if value is None:
        return None
    try:
        if isinstance(value, str | int | float):
            return parse_bytes(value)
    except ValueError:
        pass
    raise ValueError(f"OPTIONS.MAX_BYTES: expected a size such as 64MiB, found {value!r}")
