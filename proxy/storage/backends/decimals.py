"""How does a number look in a store that keeps bytes?

As decimal text without leading zeros, which Redis and memcached count with and Django writes and reads.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(rb"0|-?[1-9][0-9]*")

#: CPython turns no text of more than 4,300 digits into a number; 2**14000 has 4,215.
_MOST_BITS = 14_000


def to_decimal(value: int) -> bytes | None:
    """Return the text; None when the number is too large to be read again."""
    return b"%d" % value if value.bit_length() <= _MOST_BITS else None


def from_decimal(text: bytes) -> int | None:
    """Return the number, or None when the text is not what ``to_decimal`` makes."""
    return int(text) if len(text) <= 4300 and _NUMBER.fullmatch(text) else None
