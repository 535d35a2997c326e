"""How is what an operator wrote shown again: on one line, short, and without its secrets?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_USERINFO = re.compile(r"(?<=://)\S*@")
_SECRET_PARAMETER = re.compile(r"(?i)\b((?:password|passwd|pwd|secret|token|auth|api_?key)=)[^&\s,;]*")


_SECRET_NAME = re.compile(r"(?i)passw|pwd|secret|token|api_?key|credential|(?:^|_)(?:auth|pw|pass)(?:$|_)")


def is_secret(name: str) -> bool:
    """Whether a setting of that name holds what nobody may see."""
    return _SECRET_NAME.search(name) is not None


def masked(text: str) -> str:
    """Hide what a URL says before its ``@``, and parameters that are named like a secret."""
    return _SECRET_PARAMETER.sub(r"\1***", _USERINFO.sub("***@", text))


def one_line(text: str, most: int = 120) -> str:
    """Escape what would not print and shorten what is long."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def quoted(text: str) -> str:
    """Show a text between quotes, masked, on one line."""
    return f'"{one_line(masked(text), 80)}"'


def closest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Ask ``did you mean "x"?``, or nothing where no known name is near."""
    by_lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower()[:80], by_lower, n=1, cutoff=likeness)
    return f'did you mean "{by_lower[near[0]]}"?' if near else ""


def listed(names: Iterable[str], joint: str = "or") -> str:
    """Write ``a, b or c``."""
    *most, last = names
    return f"{', '.join(most)} {joint} {last}" if most else last
