"""How do a key, a value and a moment look in the columns of Django's cache table?"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from proxy.config.units import UnixTime
from proxy.storage.backends.base import Value

Row = tuple[str, str]
"""A key and a text, as the columns hold them."""

#: Keys in one statement; SQLite takes 32,766 parameters, PostgreSQL 32,767.
AT_ONCE = 500
#: Bytes of a statement without its rows, and of a row without its key and text. Measured: 230 and 50.
_STATEMENT = 1024
_ROW = 64

#: The width of Django's column.
_KEY_LENGTH = 255
DIGEST = "blake2b:"
"""What stands before a digest, behind which the beginning of the key is told."""
_TOLD = 150
_NOT_TAKEN = re.compile("[\0\ud800-\udfff]")
#: The colon is not in the alphabet of base64. Hexadecimal digits follow: those have no end in CPython, decimal ones do.
_NUMBER = "int:"
_DIGITS = re.compile("-?[0-9a-f]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def key_column(key: str) -> str:
    """Return the key, or its digest where the column does not take it."""
    # To MySQL a key is the same with blanks behind it.
    fits = len(key) <= _KEY_LENGTH and not key.startswith(DIGEST) and not key.endswith(" ")
    if fits and not _NOT_TAKEN.search(key):
        return key
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
    return f"{DIGEST}{digest}:{_NOT_TAKEN.sub('?', key[:_TOLD]).rstrip(' ')}"


def shown(column: str) -> str:
    """Return the key, or the beginning of one whose digest the column holds."""
    return column[len(DIGEST) :].partition(":")[2] if column.startswith(DIGEST) else column


def stored(value: Value) -> str:
    """Return the text of a value."""
    return f"{_NUMBER}{value:x}" if isinstance(value, int) else b64encode(value).decode()


def value_of(text: str) -> Value | None:
    """Return the value; None when the text is not one of ours."""
    if text.startswith(_NUMBER):
        digits = text.removeprefix(_NUMBER)
        return int(digits, 16) if _DIGITS.fullmatch(digits) else None
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


def moment(when: UnixTime | None) -> datetime:
    """Return the time as the column holds it, in UTC; None is never."""
    if when is None:
        return _NEVER
    try:
        return min(_EPOCH + timedelta(seconds=when), _NEVER)
    except OverflowError:
        return _NEVER


def in_statements(rows: Sequence[Row], largest: int | None) -> tuple[list[list[Row]], list[str]]:
    """Share rows out among statements of at most so many bytes; return the keys of those too large for any, too."""
    room = float("inf") if largest is None else largest - _STATEMENT
    parts: list[list[Row]] = []
    too_large: list[str] = []
    left = 0.0
    for key, text in rows:
        # Each character of a key may need a backslash; the alphabets of our texts do not.
        size = 2 * len(key.encode()) + len(text) + _ROW
        if size > room:
            too_large.append(key)
            continue
        if size > left or len(parts[-1]) == AT_ONCE:
            parts.append([])
            left = room
        parts[-1].append((key, text))
        left -= size
    return parts, too_large
