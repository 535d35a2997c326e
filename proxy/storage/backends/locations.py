"""Which servers does a LOCATION name, and which objects a dotted path?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module

Location = str | Sequence[str]
"""One server, several of them between ``;`` or ``,``, or a list."""


def checked_location(location: object) -> Location:
    """Return it; ValueError when it is neither text nor a list of texts."""
    if isinstance(location, str):
        return location
    if isinstance(location, Sequence) and all(isinstance(server, str) for server in location):
        return list(location)
    raise ValueError(f"LOCATION: expected one server or a list of them, found {type(location).__name__}")


def split_location(location: Location) -> list[str]:
    """Return the servers, without the blanks around them; ValueError when there is none."""
    parts = re.split("[;,]", location) if isinstance(location, str) else location
    servers = [part.strip() for part in parts if part.strip()]
    if not servers:
        raise ValueError("LOCATION: expected at least one server, found none")
    return servers


def import_dotted(option: str, path: object) -> object:
    """Return what the dotted path names (an object is returned as it is); ValueError names the option."""
    if not isinstance(path, str):
        return path
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"OPTIONS.{option}: expected the dotted path of a class, found {path!r} ({error})") from error
