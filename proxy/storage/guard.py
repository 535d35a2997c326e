"""How long may a storage take, and when is it not asked at all?

A request never waits for a storage longer than a deadline, and a storage that has failed several times in a row is left
alone for a while: pages then come from the origin as if nothing were stored. One operation at a time tries whether it
is back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.config.units import Seconds
from proxy.errors import StorageError

_Result = TypeVar("_Result")

_FAILURES = 5
_FIRST_REST = Seconds(1)
_LONGEST_REST = Seconds(30)


class Guard:
    """Stands between the exchanges and one storage."""

    def __init__(self, deadline: Seconds, clock: Callable[[], float]) -> None:
        """``clock`` counts seconds and never goes back."""
        self._deadline = deadline
        self._clock = clock
        self._in_a_row = 0
        self._rest = _FIRST_REST
        self._until = float("-inf")
        self._trying = False
        self.errors: Counter[str] = Counter()
        """Operations that failed, by ``timeout``, ``error`` and ``resting``."""

    @property
    def is_resting(self) -> bool:
        """Tell whether the storage is being left alone."""
        return self._in_a_row >= _FAILURES

    async def run(self, operation: Callable[[], Awaitable[_Result]], deadline: Seconds | None = None) -> _Result:
        """Do this within a deadline; StorageError when it fails, takes too long, or is not tried."""
        deadline = deadline or self._deadline
        if self.is_resting and (self._trying or self._clock() < self._until):
            self.errors["resting"] += 1
            raise StorageError("the storage has failed and is being left alone")
        self._trying = self.is_resting
        try:
            async with asyncio.timeout(deadline):
                result = await operation()
        except TimeoutError as error:
            self._failed("timeout")
            raise StorageError(f"the storage took longer than {deadline * 1000:g} ms") from error
        except StorageError:
            self._failed("error")
            raise
        finally:
            self._trying = False
        self._in_a_row = 0
        self._rest = _FIRST_REST
        return result

    def _failed(self, how: str) -> None:
        self.errors[how] += 1
        self._in_a_row += 1
        if self.is_resting:
            self._until = self._clock() + self._rest
            self._rest = Seconds(min(self._rest * 2, _LONGEST_REST))
