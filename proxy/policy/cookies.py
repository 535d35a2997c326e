"""Which cookies of a request can make a page personal?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache

SINGLE_COOKIE = b"cookie:"
"""What begins the name of one cookie among the names of varied fields; no field can have such a name."""

#: Bytes of a Cookie field whose names are worth remembering.
_LONGEST_REMEMBERED = 4096
_ESCAPED = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))", re.DOTALL)


class IgnoredCookies:
    """The cookies that an operator declared to say nothing about the page."""

    __slots__ = ("_is_ignored", "_latest", "_names")

    def __init__(self, names: Sequence[str], exact: Sequence[bytes] = (), kept: Sequence[str] = ()) -> None:
        """``names`` are patterns, and so is ``kept`` of what they do not cover; ``exact`` are names without any."""
        but = b"|".join(_pattern(name) for name in kept)
        patterns = [b"(?!%b)%b" % (but, _pattern(name)) if but else _pattern(name) for name in names]
        patterns += [rb"%b\Z" % re.escape(name) for name in exact]
        self._names = re.compile(b"|".join(patterns)) if patterns else None
        # The same few come with each request.
        self._is_ignored = lru_cache(maxsize=256)(self._is_known)
        # One request is asked about several times.
        self._latest: tuple[bytes | None, bytes] = (None, b"")

    def remaining(self, cookie: bytes | None) -> bytes:
        """Return the Cookie value without the ignored ones, in its order; empty when none is left."""
        if not cookie:
            return b""
        if self._names is None:
            return cookie.strip(b" \t;")
        latest, left = self._latest
        if cookie is not latest:
            # Without a call of Python's for each: a miss is asked about by its cookies.
            known = self._is_ignored if len(cookie) <= _LONGEST_REMEMBERED else self._is_known
            pairs = map(bytes.strip, cookie.split(b";"))
            left = b"; ".join([pair for pair in pairs if pair and not known(pair.partition(b"=")[0].rstrip())])
            self._latest = (cookie, left)
        return left

    def _is_known(self, name: bytes) -> bool:
        return self._names is not None and self._names.match(name) is not None


def _pattern(name: str) -> bytes:
    return translate(name).encode("latin-1")


def single_cookie(cookie: bytes | None, name: bytes) -> bytes | None:
    """Return every value that a Cookie field gives one cookie, each behind its ``=``; None where it is not there.

    Which of several values counts is for the application to say.
    """
    if not cookie:
        return None
    pairs = [pair.partition(b"=") for pair in cookie.split(b";")]
    values = [mark + value.strip() for key, mark, value in pairs if key.strip() == name]
    return b";".join(values) if values else None


def last_cookie(cookie: bytes | None, name: bytes) -> bytes | None:
    """Return the value of one cookie as it stands there, the last where there are several, as Django takes it."""
    values = [
        value.strip()
        for key, mark, value in (pair.partition(b"=") for pair in (cookie or b"").split(b";"))
        if mark and key.strip() == name
    ]
    return values[-1] if values else None


def django_cookie(cookie: bytes | None, name: bytes) -> str | None:
    """Return the value of one cookie as Django reads it: without its quotation marks and escapes."""
    value = last_cookie(cookie, name)
    if value is None:
        return None
    text = value.decode("utf-8", "replace")
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], text[1:-1])
