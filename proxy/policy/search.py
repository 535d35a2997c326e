"""Which parameters of a query make no difference, as the origin says in No-Vary-Search?

The field is that of draft-ietf-httpbis-no-vary-search, whose later versions know no ``params`` without a list. What
does not say one thing says nothing; keys of the field that we do not know may only allow more.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import cast
from urllib.parse import unquote_to_bytes

import http_sf

NO_VARY_SEARCH = b"no-vary-search"


@dataclass(frozen=True, slots=True)
class SearchVariance:
    """What of a query tells pages apart."""

    ignored: frozenset[str] | None
    """Names of parameters, decoded; None for all of them."""
    excepted: frozenset[str] = frozenset()
    """Of all, those that count."""
    ordered: bool = True
    """The order of parameters of different names counts."""

    def keyed(self, target: bytes) -> bytes:
        """Return what stands for a target, and for all that differ from it in nothing that counts.

        It names the variance itself, behind a ``#``, which no target has: only responses that say the same of their
        queries lie under one key.
        """
        path, _, query = target.partition(b"?")
        pairs = [(parameter_name(pair), pair) for pair in query.split(b"&") if pair]
        # Some applications split at ";" too: what they see behind it must not be out of the key.
        kept = [(name, pair) for name, pair in pairs if b";" in pair or self._counts(name)]
        if not self.ordered:
            kept.sort(key=lambda named: named[0])
        return b"%b?%b#%b" % (path, b"&".join([pair for _, pair in kept]), self._digest())

    def _counts(self, name: str) -> bool:
        return name in self.excepted if self.ignored is None else name not in self.ignored

    def _digest(self) -> bytes:
        said = (self.ignored is None, sorted(self.ignored or ()), sorted(self.excepted), self.ordered)
        return blake2b(repr(said).encode(), digest_size=8).hexdigest().encode()


def parameter_name(pair: bytes) -> str:
    """Return the decoded name of a parameter; what is no UTF-8 in it is U+FFFD, as forms are read."""
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")).decode("utf-8", "replace")


def search_variance(value: bytes | None) -> SearchVariance | None:
    """Read a No-Vary-Search field; None where every difference in the query counts."""
    if value is None:
        return None
    try:
        said = cast("dict[str, tuple[object, object]]", http_sf.parse(value, tltype="dictionary"))
        return _variance({key: item for key, (item, _) in said.items()})
    except (ValueError, OverflowError):
        return None


def _variance(said: dict[str, object]) -> SearchVariance | None:
    """Return what a dictionary says; ValueError where it does not say one thing."""
    unordered = said.get("key-order", False)
    if not isinstance(unordered, bool):
        raise ValueError("no boolean")
    if "except" in said:
        if "params" in said:
            raise ValueError("both")
        return SearchVariance(None, _names(said["except"]), not unordered)
    ignored = _names(said.get("params", []))
    return SearchVariance(ignored, ordered=not unordered) if ignored or unordered else None


def _names(members: object) -> frozenset[str]:
    if not isinstance(members, list):
        raise ValueError("not a list")
    names = [item for item, _ in members]
    # The classes of Tokens and Display Strings are derived from it.
    if not all(type(name) is str for name in names):
        raise ValueError("not a string")
    return frozenset(parameter_name(name.encode("ascii").replace(b"=", b"%3D")) for name in names)
