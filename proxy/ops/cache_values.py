"""How does a value travel over HTTP: as JSON where that says the same, and else in the form in which it is stored?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from proxy.storage.backends.decimals import from_decimal
from proxy.storage.serializers import TypedSerializer

JSON = "application/json"
TYPED = "application/vnd.sitecache.value"
"""What TypedSerializer writes: an envelope around MessagePack, and a number of 64 bits as decimal text."""

_DEEPEST = 100
#: Python writes and reads numbers of up to 4,300 digits.
_MOST_BITS = 14_000
_SURROGATE = re.compile("[\ud800-\udfff]")

_typed = TypedSerializer()


class UnspeakableError(ValueError):
    """The value cannot be written in that form."""


def write(value: object, media_type: str) -> bytes:
    """Return the value as that media type; UnspeakableError where it would not come back as what it is."""
    if media_type == TYPED:
        try:
            written = _typed.dumps(value)
        except (TypeError, ValueError) as error:
            raise UnspeakableError(str(error)) from None
        return b"%d" % written if isinstance(written, int) else written
    if (lost := _lost(value)) is not None:
        raise UnspeakableError(f"JSON has no {lost}: ask for it with Accept: {TYPED}")
    return f"{json.dumps(value, ensure_ascii=False, allow_nan=False)}\n".encode()


def read(body: bytes, media_type: str) -> Any:
    """Return the value; ValueError for what is none. Nothing in it is run."""
    if media_type == TYPED:
        number = from_decimal(body)
        return _typed.loads(body) if number is None else number
    try:
        value = json.loads(body.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if (lost := _lost(value)) is not None:
        raise ValueError(f"it holds a {lost} that would not come back")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _lost(value: object, depth: int = 0) -> str | None:
    """Return the name of a type in the value that JSON would turn into another, or None."""
    if depth >= _DEEPEST and type(value) in {list, dict}:
        return f"value nested more than {_DEEPEST} deep"
    if type(value) is dict and not all(type(key) is str for key in value):
        return "mapping whose keys are not text"
    if type(value) is list or type(value) is dict:
        inner = value if isinstance(value, list) else [*value, *value.values()]
        return next((lost for each in inner if (lost := _lost(each, depth + 1))), None)
    said = _SAID.get(type(value))
    return None if said is not None and said(value) else type(value).__name__


_SAID: Mapping[type, Callable[[Any], bool]] = {
    type(None): lambda _: True,
    bool: lambda _: True,
    int: lambda value: bool(value.bit_length() <= _MOST_BITS),
    float: lambda value: bool(value - value == 0),
    str: lambda value: _SURROGATE.search(value) is None,
}
