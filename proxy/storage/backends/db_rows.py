"""How do a key, a value and a moment look in the columns of Django's cache table?"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from proxy.config.units import UnixTime
from proxy.storage.backends.base import Value

#: The width of Django's column.
_KEY_LENGTH = 255
_DIGEST = "blake2b:"
#: The colon is not in the alphabet of base64. Hexadecimal digits follow: those have no end in CPython, decimal ones do.
_NUMBER = "int:"
_DIGITS = re.compile("-?[0-9a-f]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def key_column(key: str) -> str:
    """Return the key, or its digest where the column does not take it."""
    fits = len(key) <= _KEY_LENGTH and "\0" not in key and not key.startswith(_DIGEST)
    if fits and not any("\ud800" <= char <= "\udfff" for char in key):
        return key
    return _DIGEST + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()


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
