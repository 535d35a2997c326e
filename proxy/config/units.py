"""How are durations and sizes written, and what type has each?"""

from __future__ import annotations

import re
from typing import NewType

Seconds = NewType("Seconds", float)
"""A length of time."""
UnixTime = NewType("UnixTime", float)
"""A moment, in seconds since 1970-01-01T00:00:00Z."""
Bytes = NewType("Bytes", int)
"""A size in memory or on the wire."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
_DURATION_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, None: 1}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB|TB|TiB)?")
_SIZE_UNITS = {
    None: 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip


def parse_seconds(text: str | int | float) -> Seconds:
    """Read ``30s``, ``5m``, ``1d``, ``250ms`` or a bare number of seconds; ValueError otherwise."""
    if isinstance(text, bool):
        raise ValueError(text)
    matched = _DURATION.fullmatch(str(text).strip())
    if matched is None:
        raise ValueError(text)
    return Seconds(float(matched[1]) * _DURATION_UNITS[matched[2]])


def parse_bytes(text: str | int | float) -> Bytes:
    """Read ``64MiB``, ``10KB`` or a bare number of bytes; ValueError otherwise."""
    if isinstance(text, bool):
        raise ValueError(text)
    matched = _SIZE.fullmatch(str(text).strip())
    if matched is None:
        raise ValueError(text)
    return Bytes(int(float(matched[1]) * _SIZE_UNITS[matched[2]]))


def show_seconds(value: float) -> str:
    """Write a duration the way the configuration spells it, in the largest unit that divides it."""
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if value and value % size == 0:
            return f"{int(value // size)}{unit}"
    thousandths = f"{value * 1000:g}ms"
    return "0s" if not value else thousandths if value < 1 and parse_seconds(thousandths) == value else f"{value!r}s"


def show_bytes(value: int) -> str:
    """Write a size the way the configuration spells it, in the largest binary unit that divides it."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return f"{value}B"
