"""What do Cache-Control and Pragma say? (RFC 9111 §5.2, §5.4)"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from proxy.config.units import Seconds
from proxy.message.fields import Fields
from proxy.message.grammar import TOKEN, members, unquote

Directives = Mapping[bytes, bytes | None]

#: RFC 9111 §1.2.2: the greatest number a recipient has to be able to represent.
GREATEST_DELTA = 2**31
_NOTHING: Directives = {}
#: Directives that forbid. They count wherever they are named, however wrong the syntax around them.
FORBIDDING = (b"no-store", b"no-cache", b"private", b"must-revalidate", b"proxy-revalidate")
#: Directives that limit a lifetime. Named in a way that cannot be read, they limit it to nothing (§4.2.1).
_LIMITING = (b"max-age", b"s-maxage")
_WORD = re.compile(rb"(?<![\w-])(?<![\w-]=)(?:%b)(?![\w-])" % b"|".join((*FORBIDDING, *_LIMITING)), re.IGNORECASE)
_QUOTED_ARGUMENT = re.compile(rb'=[ \t]*"(?:[^"\\]|\\.)*"', re.DOTALL)
#: Bytes of a field that is worth remembering.
_LONGEST_REMEMBERED = 255


def parse_directives(value: bytes | None) -> Directives:
    """Return the directives by lower-case name, arguments unquoted; the first of a name counts (§4.2.1)."""
    if not value:
        return _NOTHING
    return _remembered(value) if len(value) <= _LONGEST_REMEMBERED else _parsed(value)


def _parsed(value: bytes) -> Directives:
    directives: dict[bytes, bytes | None] = {}
    for member in members(value):
        name, equals, argument = member.partition(b"=")
        bare = name.rstrip(b" \t")
        if TOKEN.fullmatch(bare):
            # White space before the sign is no grammar: what forbids still does, and no number is read.
            read = unquote(argument) if bare == name else b""
            directives.setdefault(bare.lower(), read if equals else None)
    for name in forbidding_words(value):
        directives.setdefault(name, b"" if name in _LIMITING else None)
    return directives


def forbidding_words(value: bytes) -> list[bytes]:
    """Return the directives that forbid or limit and are named in a value, as ``no-store; no-cache`` and ``'private'``.

    What permits needs correct syntax; what forbids only has to be there, outside the argument of another directive.
    """
    return [word.lower() for word in _WORD.findall(_QUOTED_ARGUMENT.sub(b"=", value))]


#: A site says the same few things of all its pages.
_remembered = lru_cache(maxsize=1024)(_parsed)


def delta_seconds(argument: bytes | None) -> Seconds | None:
    """Read a delta-seconds (§1.2.2); None when it is not one."""
    if not argument or not argument.isdigit():
        return None
    return Seconds(min(int(argument.lstrip(b"0")[:11] or b"0"), GREATEST_DELTA))


@dataclass(slots=True)
class RequestTerms:
    """What a request asks of caches (§5.2.1)."""

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age: Seconds | None = None
    min_fresh: Seconds | None = None
    max_stale: Seconds | None = None
    """How stale a response may be; infinite for ``max-stale`` without an argument."""


NO_TERMS = RequestTerms()
"""Of the requests that ask for nothing, which are nearly all."""


def request_terms(fields: Fields) -> RequestTerms:
    """Read Cache-Control, and Pragma where there is no Cache-Control (§5.4)."""
    value = fields.index.get(b"cache-control")
    if value is None:
        pragma = fields.index.get(b"pragma")
        if pragma is None or b"no-cache" not in parse_directives(pragma):
            return NO_TERMS
        return RequestTerms(no_cache=True)
    said = parse_directives(value)
    max_stale = delta_seconds(said.get(b"max-stale"))
    if b"max-stale" in said and said[b"max-stale"] is None:
        max_stale = Seconds(float("inf"))
    return RequestTerms(
        no_cache=b"no-cache" in said,
        no_store=b"no-store" in said,
        only_if_cached=b"only-if-cached" in said,
        max_age=delta_seconds(said.get(b"max-age")),
        min_fresh=delta_seconds(said.get(b"min-fresh")),
        max_stale=max_stale,
    )
