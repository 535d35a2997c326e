"""What do those who have copies elsewhere have to know of what was forgotten here? As few bytes, once a turn.

A change is the checksum of a key, and whoever hears of one that he has no copy of hears nothing. It is told when the
storage has it, so that whoever asks the storage then finds it so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

Message = bytes
"""Some changes; an empty one says that anything may have changed."""
Tell = Callable[[Message], None]
"""Tells somebody of some changes; it does not wait."""

_SUM_BYTES = 4
#: In one message.
_MOST = 4096


class Changes:
    """Collects changes, and tells of them at the end of the turn of the event loop."""

    def __init__(self) -> None:
        self.told: list[Tell] = []
        """Who is to be told."""
        self._sums: dict[int, None] = {}

    def add(self, one: int) -> None:
        """Tell of this one, soon."""
        if self.told:
            if not self._sums:
                asyncio.get_running_loop().call_soon(self._tell)
            self._sums[one] = None

    def add_all(self) -> None:
        """Tell that anything may have changed."""
        for tell in self.told:
            tell(b"")

    def _tell(self) -> None:
        sums, self._sums = list(self._sums), {}
        for start in range(0, len(sums), _MOST):
            message = written(sums[start : start + _MOST])
            for tell in self.told:
                tell(message)


def written(sums: Iterable[int]) -> Message:
    """Return changes as bytes."""
    return b"".join(one.to_bytes(_SUM_BYTES) for one in sums)


def read(message: Message) -> list[int]:
    """Return the changes that ``written`` wrote; whatever else this is, a change more does no harm."""
    return [int.from_bytes(message[at : at + _SUM_BYTES]) for at in range(0, len(message), _SUM_BYTES)]
