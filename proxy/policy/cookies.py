"""Which cookies of a request can make a page personal?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate

SINGLE_COOKIE = b"cookie:"
"""What begins the name of one cookie among the names of varied fields; no field can have such a name."""


class IgnoredCookies:
    """The cookies that an operator declared to say nothing about the page."""

    __slots__ = ("_names",)

    def __init__(self, names: Sequence[str], exact: Sequence[bytes] = ()) -> None:
        """``names`` are patterns; ``exact`` are names without any."""
        patterns = [translate(name).encode("latin-1") for name in names]
        patterns += [rb"%b\Z" % re.escape(name) for name in exact]
        self._names = re.compile(b"|".join(patterns)) if patterns else None

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


def single_cookie(cookie: bytes | None, name: bytes) -> bytes | None:
    """Return every value that a Cookie field gives one cookie, each behind its ``=``; None where it is not there.

    Which of several values counts is for the application to say.
    """
    if not cookie:
        return None
    pairs = [pair.partition(b"=") for pair in cookie.split(b";")]
    values = [mark + value.strip() for key, mark, value in pairs if key.strip() == name]
    return b";".join(values) if values else None
