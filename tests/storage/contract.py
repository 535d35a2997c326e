"""What is a kind of cache to the tests, how is it started, and how does time pass for it?

A backend joins the suites by one module ``tests/storage/kind_<name>.py`` that sets ``KINDS``, a list of Kind:
nothing else has to be changed. Its store is started once for all tests and cleared before each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from proxy.config.units import Seconds, UnixTime
from proxy.storage.backends.base import Backend

Factory = Callable[[Callable[[], UnixTime]], Backend]
"""Makes another Backend on the one store that was started; the clock is for those kinds that take one.

Where ``processes`` is true it must survive pickling, as ``functools.partial`` of a function of a module does.
"""


@dataclass(frozen=True)
class Kind:
    """One kind of cache with its documented differences. The defaults are those of a store that has none."""

    name: str
    start: Callable[[], AbstractContextManager[Factory]]
    """Start the store (a server on a free port, a directory, ...) and end it in the end."""
    turns_clock: bool = False
    """It takes our clock, so that time can be turned; with others, timeouts are short and waited for."""
    whole_seconds: bool = False
    """A timeout below a second becomes one second."""
    clamps_at_zero: bool = False
    """It has no negative numbers: ``incr`` stops at 0, and a negative number that was set cannot be added to."""
    largest_int: int | None = 2**63 - 1
    """A sum above it is an OverflowError; None: numbers have no end."""
    largest_value: int | None = None
    """Bytes; a larger value is not kept, and ``set`` tells so. None: 2 MB fit."""
    any_key: bool = True
    """Keys may hold any characters and be longer than 250; else only what memcached takes."""
    moves_timeout: bool = True
    """``rename`` takes what is left of the timeout along; else the value gets Django's default."""
    tells_owners: bool = True
    """``clear`` leaves what other aliases keep in the same store; else it takes that too."""
    processes: bool = True
    """Several processes see one store."""
    atomic_in_threads: bool = True
    """False of caches of the operator's own that do not care for it."""

    def __str__(self) -> str:
        return self.name


@dataclass
class Clock:
    """A clock that is turned by hand."""

    now: UnixTime = UnixTime(1000.0)

    def __call__(self) -> UnixTime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now = UnixTime(self.now + seconds)


@dataclass
class Store:
    """A running store of one kind."""

    kind: Kind
    make: Factory
    clock: Clock = field(default_factory=Clock)

    def backend(self) -> Backend:
        """Return another backend on this store."""
        return self.make(self.clock)

    def short(self, seconds: float = 1) -> Seconds:
        """Return a timeout that can be waited for, and that a busy machine does not use up between two operations."""
        return Seconds(seconds if self.kind.turns_clock else 1 if self.kind.whole_seconds else 0.5)

    async def pass_by(self, timeout: Seconds, within: float = 20) -> None:
        """Let that time pass for everything that was set before.

        Where the clock is not ours, a value that is set now with the same timeout tells by its end that the others,
        which were set earlier, have ended too; none of them is asked for, since that might take it away.
        """
        if self.kind.turns_clock:
            self.clock.turn(timeout)
            return
        watch = self.backend()
        await watch.set("the-last-one", b"1", timeout)
        async with asyncio.timeout(within):
            while await watch.has_key("the-last-one"):  # noqa: ASYNC110  # no store tells of it
                await asyncio.sleep(0.02)
        await watch.close()


def kinds() -> list[Kind]:
    """Return the kinds of all modules ``kind_*.py`` beside this one."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("kind_*.py"))
    return [kind for name in names for kind in import_module(f"tests.storage.{name}").KINDS]
