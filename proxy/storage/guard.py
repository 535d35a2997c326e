"""How long may a storage take, and when is one of its servers not asked at all?

A request never waits for a storage longer than a deadline. A server that has failed several times in a row is left
alone for a while: its pages then come from the origin as if nothing were stored, and those of other servers do not
suffer. One operation at a time tries whether it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.numbers import Failure, Numbers, Operation

_log = logging.getLogger("sitecache")
_Result = TypeVar("_Result")

_FIRST_REST = Seconds(1)
#: Between two lines about a server that fails now and then.
_BETWEEN_LINES = Seconds(60)


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is borne of a storage."""

    deadline: Seconds = Seconds(0.05)
    """How long a request waits for it."""
    failures: int = 5
    """So many in a row, and a server is left alone."""
    longest_rest: Seconds = Seconds(30)
    """It is left alone for a second, then for twice as long each time, and never for longer than this."""


class RestingError(StorageError):
    """The operation was not begun: the server has failed and is being left alone."""


class Guard:
    """Stands between the exchanges and one server of a storage."""

    def __init__(self, name: str, patience: Patience, clock: Callable[[], float]) -> None:
        """``name`` is for the log; ``clock`` counts seconds and never goes back."""
        self._name = name
        self._patience = patience
        self._clock = clock
        self._in_a_row = 0
        self._rest = _FIRST_REST
        self._until = float("-inf")
        self._trying = False
        self._said = float("-inf")
        self._traced = float("-inf")

    @property
    def is_resting(self) -> bool:
        """Tell whether the server is being left alone."""
        return self._in_a_row >= self._patience.failures

    @property
    def refuses(self) -> bool:
        """Tell whether an operation would not even be begun now."""
        return self.is_resting and (self._trying or self._clock() < self._until)

    async def run(self, work: Callable[[], Awaitable[_Result]], deadline: Seconds, since: float) -> _Result:
        """Do this within a deadline from then; StorageError when it fails or is late, RestingError when not begun."""
        if self.refuses:
            raise RestingError(f"{self._name} has failed and is being left alone")
        is_trial = self.is_resting
        self._trying = self._trying or is_trial
        try:
            async with asyncio.timeout(deadline - (self._clock() - since)):
                result = await work()
        except TimeoutError as error:
            late = StorageTimeout(f"{self._name} took longer than {deadline * 1000:g} ms")
            self._failed(late, is_trial)
            raise late from error
        except StorageError as error:
            self._failed(error, is_trial)
            raise
        except Exception as error:
            # A backend's fault, and whatever it is, not worth a request: the page comes from the origin.
            self._faulty(error)
            failure = StorageError(f"{self._name} raised {type(error).__name__}, which is a fault of its backend")
            self._failed(failure, is_trial)
            raise failure from error
        finally:
            if is_trial:
                self._trying = False
        self._succeeded()
        return result

    def _failed(self, error: StorageError, is_trial: bool) -> None:
        if self.is_resting and not is_trial:
            # It was begun before: the server rests already, and not longer for each that waited with it.
            return
        self._in_a_row += 1
        if not self.is_resting:
            if self._clock() >= self._said + _BETWEEN_LINES:
                self._said = self._clock()
                _log.warning("%s failed: %s", self._name, error)
            return
        if not is_trial:
            _log.warning("%s is left alone; its pages come from the origin: %s", self._name, error)
        self._rest = Seconds(min(self._rest, self._patience.longest_rest))
        self._until = self._clock() + self._rest
        self._rest = Seconds(self._rest * 2)

    def _faulty(self, error: Exception) -> None:
        if self._clock() >= self._traced + _BETWEEN_LINES:
            self._traced = self._clock()
            _log.error("%s failed in a way that its backend does not know", self._name, exc_info=error)

    def _succeeded(self) -> None:
        if self.is_resting:
            _log.warning("%s answers again", self._name)
        self._in_a_row = 0
        self._rest = _FIRST_REST


class StorageTimeout(StorageError):
    """The operation took too long; the storage may do it yet."""


class Guards:
    """One guard for each server of a storage, and the numbers of them all."""

    def __init__(self, alias: str, patience: Patience, clock: Callable[[], float]) -> None:
        """``alias`` is that of the storage; ``clock`` counts seconds and never goes back."""
        self._alias = alias
        self._patience = patience
        self._clock = clock
        self._guards: dict[str, Guard] = {}
        self._said: dict[str, float] = {}
        self.numbers = Numbers()

    async def run(
        self,
        operation: Operation,
        server: str,
        work: Callable[[], Awaitable[_Result]],
        deadline: Seconds | None = None,
        *,
        since: float | None = None,
        callers: int = 1,
    ) -> _Result:
        """Do this on a server, within the deadline of requests unless another is given; StorageError when it fails.

        The deadline began ``since`` then, by ``now``. For the server it is one operation, for the numbers one for each
        of its ``callers``.
        """
        started = self._clock() if since is None else since
        errors = self.numbers.errors
        try:
            result = await self._guard(server).run(work, deadline or self._patience.deadline, started)
        except RestingError:
            errors[Failure.RESTING] += callers
            raise
        except StorageError as error:
            errors[Failure.TIMEOUT if isinstance(error, StorageTimeout) else Failure.ERROR] += callers
            self._took(operation, started, callers)
            raise
        self._took(operation, started, callers)
        return result

    @property
    def deadline(self) -> Seconds:
        """Return how long a request waits for the storage."""
        return self._patience.deadline

    def now(self) -> float:
        """Return the time that a deadline may begin at, by a clock that never goes back."""
        return self._clock()

    def damaged(self, error: Exception) -> None:
        """Count a record that is not what was written."""
        self.numbers.damaged += 1
        self._say("a stored response is damaged and passed over: %s", error)

    def unnamed(self, error: Exception) -> StorageError:
        """Count a key that could not be made, and return what to raise: the operator's function is at fault."""
        self.numbers.errors[Failure.ERROR] += 1
        self._say("KEY_FUNCTION made no key, so that pages come from the origin: %s", repr(error))
        return StorageError(f"KEY_FUNCTION raised {type(error).__name__}")

    def refused(self, size: int) -> None:
        """Count a value that the storage did not take."""
        self.numbers.errors[Failure.REFUSED] += 1
        self._say("a response was not stored: no room for its %d bytes, or too large", size)

    def _say(self, text: str, what: object) -> None:
        """Log this, and of its kind nothing more for a while: it may be said of each request."""
        if self._clock() >= self._said.get(text, float("-inf")) + _BETWEEN_LINES:
            self._said[text] = self._clock()
            _log.warning("storage %r: " + text, self._alias, what)

    def refuses(self, server: str) -> bool:
        """Tell whether an operation on this server would not even be begun now."""
        guard = self._guards.get(server)
        return guard is not None and guard.refuses

    def resting(self) -> dict[str, bool]:
        """Tell of each server that was asked whether it is being left alone."""
        return {server: guard.is_resting for server, guard in self._guards.items()}

    def _guard(self, server: str) -> Guard:
        guard = self._guards.get(server)
        if guard is None:
            name = f"storage {self._alias!r}" + (f" at {server}" if server else "")
            guard = self._guards[server] = Guard(name, self._patience, self._clock)
        return guard

    def _took(self, operation: Operation, started: float, callers: int) -> None:
        self.numbers.durations[operation].add(Seconds(self._clock() - started), callers)
