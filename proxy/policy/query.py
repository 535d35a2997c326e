"""Which part of a query tells pages apart?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes


class QueryRules:
    """What an operator declared about the parameters of a route."""

    __slots__ = ("_ignored", "_sort")

    def __init__(self, ignore: Sequence[str] = (), *, sort: bool = False) -> None:
        """``ignore`` has names of parameters, ``*`` standing for any text."""
        patterns = [".*".join(map(re.escape, name.split("*"))) for name in ignore]
        self._ignored = re.compile("|".join(patterns).encode("utf-8"), re.DOTALL) if patterns else None
        self._sort = sort

    def keyed(self, target: bytes) -> bytes:
        """Return the target that the key is made from; the origin is asked for the other."""
        path, mark, query = target.partition(b"?")
        if not mark:
            return target
        kept = [pair for pair in query.split(b"&") if pair and not self._is_ignored(pair)]
        if self._sort:
            # By name only: of parameters of one name, applications take the first, the last, or the list.
            kept.sort(key=_name)
        return b"%b?%b" % (path, b"&".join(kept)) if kept else path

    def _is_ignored(self, pair: bytes) -> bool:
        # Some applications split at ";" too: what they see behind it must not be out of the key.
        if self._ignored is None or b";" in pair:
            return False
        return self._ignored.fullmatch(_name(pair)) is not None


def _name(pair: bytes) -> bytes:
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))
