"""Which parameters of a query make no difference, as the origin says in No-Vary-Search?

The field is that of draft-ietf-httpbis-no-vary-search. What cannot be read, or says what we do not know, says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import cast
from urllib.parse import unquote_to_bytes

import http_sf

NO_VARY_SEARCH = b"no-vary-search"

_KNOWN = frozenset(("key-order", "params", "except"))


@dataclass(frozen=True, slots=True)
class SearchVariance:
    """What of a query tells pages apart."""

    ignored: frozenset[bytes] | None
    """Names of parameters, decoded; None for all of them."""
    excepted: frozenset[bytes] = frozenset()
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

    def _counts(self, name: bytes) -> bool:
        return name in self.excepted if self.ignored is None else name not in self.ignored

    def _digest(self) -> bytes:
        said = (self.ignored is None, sorted(self.ignored or ()), sorted(self.excepted), self.ordered)
        return blake2b(repr(said).encode(), digest_size=8).hexdigest().encode()


def parameter_name(pair: bytes) -> bytes:
    """Return the decoded name of a parameter."""
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))


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
    """Return what a dictionary says; ValueError where it says something else."""
    unordered, params = said.get("key-order", False), said.get("params", False)
    if not said.keys() <= _KNOWN or not isinstance(unordered, bool):
        raise ValueError("not a variance")
    if "except" in said and params is not True:
        raise ValueError("except, and not all are ignored")
    excepted = _names(said["except"]) if "except" in said else frozenset()
    ignored = None if params is True else frozenset() if params is False else _names(params)
    if ignored == frozenset() and not unordered:
        return None
    return SearchVariance(ignored, excepted, not unordered)


def _names(members: object) -> frozenset[bytes]:
    if not isinstance(members, list):
        raise ValueError("not a list")
    names = [item for item, _ in members]
    # The classes of Tokens and Display Strings are derived from it.
    if not all(type(name) is str for name in names):
        raise ValueError("not a string")
    return frozenset(parameter_name(name.encode("ascii").replace(b"=", b"%3D")) for name in names)
