"""How is a set of hosts written? As in Django's ALLOWED_HOSTS."""

from __future__ import annotations

import ipaddress
import re

HOST_PATTERN = "a host such as www.example.org, or .example.org for it and all below it"

_NAME = re.compile(r"\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")


def host_pattern(text: str) -> str:
    """Give a pattern in the one spelling that is kept: lower case, no dot at the end; ValueError holds a hint."""
    if text == "*":
        return text
    if text.startswith("[") and text.endswith("]"):
        return f"[{ipaddress.IPv6Address(text[1:-1])}]"
    if text.startswith("*."):
        raise ValueError(f'did you mean "{text[1:]}"?')
    if "://" in text or "/" in text:
        raise ValueError("it has neither a scheme nor a path")
    if re.search(r":\d*$", text) and text.count(":") == 1:
        raise ValueError(f'ports make no difference: did you mean "{text.partition(":")[0]}"?')
    if not _NAME.fullmatch(text) or ".." in text:
        raise ValueError("")
    return text.lower().removesuffix(".")
