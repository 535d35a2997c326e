"""Which part of a query tells pages apart?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from proxy.policy.globs import any_of

_AS_PHP = bytes.maketrans(b". ", b"__")


class QueryRules:
    """What an operator declared about the parameters of a route."""

    __slots__ = ("_ignored", "_kept", "_sort", "upstream")

    def __init__(
        self, ignore: Sequence[str] = (), *, keep: Sequence[str] = (), sort: bool = False, upstream: bool = False
    ) -> None:
        """``ignore`` and ``keep`` have names of parameters, ``*`` standing for any text."""
        self._ignored = _any_of(ignore)
        self._kept = _any_of(keep, re.IGNORECASE)
        self._sort = sort
        self.upstream = upstream
        """The origin is asked with what is keyed, and with nothing else."""

    @property
    def is_declared(self) -> bool:
        """Tell whether anything of a query makes no difference."""
        return self._ignored is not None or self._kept is not None or self._sort

    def keyed(self, target: bytes) -> bytes:
        """Return the target that the key is made from."""
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
        if b";" in pair:
            return False
        name = _name(pair)
        if self._kept is not None and not any(map(self._kept.fullmatch, _readings(name))):
            return True
        return self._ignored is not None and self._ignored.fullmatch(name) is not None


def _any_of(names: Sequence[str], flags: int = 0) -> re.Pattern[bytes] | None:
    return re.compile(any_of(names).encode("utf-8"), flags) if names else None


def _name(pair: bytes) -> bytes:
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))


def _readings(name: bytes) -> tuple[bytes, ...]:
    """Return the names that an application may take this one for: what it sees must not be out of the key.

    PHP drops white space before a name and writes ``_`` for a dot, a space and a bracket that nothing closes; it and
    Rack make lists of ``id[]``, and C ends at NUL.
    """
    plain = name.partition(b"\0")[0].lstrip()
    written = plain.translate(_AS_PHP)
    return name, plain, written, plain.partition(b"[")[0], written.partition(b"[")[0], written.replace(b"[", b"_")
