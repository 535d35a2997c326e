"""Which keys of a store, which others may use too, belong to one entry of CACHES?

Keys are ``prefix:version:key``, and nothing says where the prefix ends: ``a:b:1:k`` can be of the prefix ``a`` only if
``b`` is a version. Versions are whole numbers, or VERSION itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WHOLE = re.compile(r"-?\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Owner:
    """One entry of CACHES, by what its keys look like."""

    prefix: str = ""
    """KEY_PREFIX."""
    version: str = "1"
    """VERSION, as text."""
    others: Sequence[Owner] = ()
    """Entries whose keys look like keys of this one, and are not: their prefix goes on with a number."""

    @property
    def start(self) -> str:
        """What all its keys begin with."""
        return f"{self.prefix}:"

    def owns(self, key: str) -> bool:
        """Tell whether the key is of this entry, in whichever version."""
        if not key.startswith(self.start):
            return False
        version, colon, _ = key[len(self.start) :].partition(":")
        is_one = bool(colon) and (version == self.version or _WHOLE.fullmatch(version) is not None)
        return is_one and not any(other.owns(key) for other in self.others)
