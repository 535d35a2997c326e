"""What is the effective configuration, and where does each value of it come from?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from proxy.config.load import Loaded
from proxy.config.model import Config
from proxy.config.plain import plain_float
from proxy.config.reader import Leaf, leaves
from proxy.config.units import Bytes, Seconds, show_bytes, show_seconds
from proxy.config.wording import is_secret, masked

_INDENT = "  "
_WIDEST = 56
"""Columns before the origin; a longer line pushes its own origin further right."""
_PLAIN = re.compile(r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[A-Za-z_][A-Za-z0-9_./+-]*", re.IGNORECASE)
_UNIX_OR_URL = re.compile(r"(?:https?://|unix:/)[A-Za-z0-9_./:-]*[A-Za-z0-9_/-]")


def show(loaded: Loaded) -> str:
    """Write the configuration as YAML with the origin of each value behind it; secrets are masked."""
    lines = list(_lines(loaded.config, loaded.origins))
    width = min(_WIDEST, max(len(left) for left, origin in lines if origin))
    return "".join(f"{left:<{width}}  # {origin}\n" if origin else f"{left}\n" for left, origin in lines)


def show_values(config: Config) -> str:
    """Write the configuration as YAML; secrets are masked."""
    return "".join(f"{line}\n" for line, _ in _lines(config, {}))


def show_value(value: object, kind: Any = str) -> str:
    """Write one value as the configuration spells it."""
    if value is None:
        return "null"
    if kind is Seconds and isinstance(value, (int, float)):
        return show_seconds(value)
    if kind is Bytes and isinstance(value, int):
        return show_bytes(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(show_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_name(key)}: {_hidden(key) or show_value(item)}' for key, item in value.items())}}}"
    return _text(value) if isinstance(value, str) else _number(value)


def _lines(config: Config, origins: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give each line without its origin, and the origin; a section's own line has none."""
    above: tuple[str | int, ...] = ()
    for leaf in leaves(config):
        *sections, name = leaf.keys
        for depth, section in enumerate(sections):
            if above[: depth + 1] != leaf.keys[: depth + 1]:
                yield f"{_INDENT * depth}{'-' if isinstance(section, int) else f'{_name(section)}:'}", ""
        above = leaf.keys[:-1]
        yield f"{_INDENT * len(sections)}{_name(str(name))}: {_shown(leaf)}", origins.get(leaf.path, "")


def _shown(leaf: Leaf) -> str:
    # What a backend judges is told to be secret by its name, or by that of a mapping around it.
    hidden = next(filter(None, map(_hidden, map(str, leaf.keys))), "") if leaf.type is object else ""
    if leaf.value is not None:
        hidden = hidden or _hidden(str(leaf.keys[-1]))
    return hidden or show_value(leaf.value, leaf.type)


def _hidden(name: str) -> str:
    return '"***"' if is_secret(name) else ""


def _number(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain_float(value) if isinstance(value, float) else str(value)


def _name(text: str) -> str:
    """Write a key, in which no variable is read."""
    shown = masked(text)
    return shown if _PLAIN.fullmatch(shown) else json.dumps(shown, ensure_ascii=False)


def _text(text: str) -> str:
    shown = masked(text).replace("${", "$${")
    if _PLAIN.fullmatch(shown) or _UNIX_OR_URL.fullmatch(shown):
        return shown
    return json.dumps(shown, ensure_ascii=False)
