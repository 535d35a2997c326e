"""Which cookies of a request can make a page personal?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate


class IgnoredCookies:
    """The cookies that an operator declared to say nothing about the page."""

    __slots__ = ("_names",)

    def __init__(self, names: Sequence[str]) -> None:
        self._names = re.compile("|".join(map(translate, names)).encode("latin-1")) if names else None

    def remaining(self, cookie: bytes | None) -> bytes:
        """Return the Cookie value without the ignored ones, in its order; empty when none is left."""
        if not cookie:
            return b""
        if self._names is None:
            return cookie.strip(b" \t;")
        kept = [
            pair
            for pair in map(bytes.strip, cookie.split(b";"))
            if pair and not self._names.match(pair.partition(b"=")[0].rstrip())
        ]
        return b"; ".join(kept)
