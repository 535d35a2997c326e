"""How do proxies on several machines hear at once of what one of them has forgotten? By messages of their storage.

Messages may be lost, and nothing waits for one. Whoever could not listen for a while trusts nothing from before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.batches import Start

_log = logging.getLogger("sitecache")

_DEADLINE = Seconds(2)
#: Messages on their way; what comes then is not told, for nobody takes them.
_MOST_ON_THEIR_WAY = 100
_FIRST_PAUSE = Seconds(0.5)
_LONGEST_PAUSE = Seconds(30)


@runtime_checkable
class Messenger(Protocol):
    """A backend whose store passes messages on to all who listen."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Send a message to all who listen to the channel; StorageError when it cannot be sent."""

    async def listen(self, channel: str, heard: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        """Call ``heard`` with each message, for ever; StorageError when the store is away.

        ``begun`` is called when messages come from now on, also when they do so again.
        """


class Hearing:
    """Tells of changes, and hears of those of others."""

    def __init__(
        self,
        messenger: Messenger,
        channel: str,
        heard: Callable[[bytes], None],
        missed: Callable[[], None],
        start: Start,
    ) -> None:
        """``missed`` is called when something may have been said that was not heard; ``start`` runs what is sent."""
        self._messenger = messenger
        self._channel = channel
        self._heard = heard
        self._missed = missed
        self._start = start
        self._on_their_way = 0
        self._arrived = asyncio.Event()
        """One of them is no longer on its way."""
        self._is_closed = False
        self._task: asyncio.Task[None] | None = None
        self._pause = _FIRST_PAUSE
        self._has_failed = False

    def begin(self) -> None:
        """Listen until it is closed."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._listen())

    def tell(self, message: bytes) -> None:
        """Begin to tell all others."""
        if self._on_their_way < _MOST_ON_THEIR_WAY:
            self._on_their_way += 1
            self._start(self._publish(message))

    async def finish(self) -> None:
        """Let what is on its way arrive."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DEADLINE):
                while self._on_their_way:
                    self._arrived.clear()
                    await self._arrived.wait()

    async def close(self) -> None:
        """Listen no more; what fails from now on is no news."""
        self._is_closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _publish(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(_DEADLINE):
                await self._messenger.publish(self._channel, message)
        except (StorageError, TimeoutError) as error:
            self._fails(error)
        finally:
            self._on_their_way -= 1
            self._arrived.set()

    async def _listen(self) -> None:
        while True:
            try:
                await self._messenger.listen(self._channel, self._heard, self._begun)
            except StorageError as error:
                self._fails(error)
            except Exception:  # noqa: BLE001  whatever it was, copies are good for a moment only, and the site goes on
                _log.exception("listening to other proxies failed in a way that the backend does not know")
            await asyncio.sleep(self._pause)
            self._pause = Seconds(min(2 * self._pause, _LONGEST_PAUSE))

    def _begun(self) -> None:
        self._pause = _FIRST_PAUSE
        if self._has_failed:
            self._has_failed = False
            _log.warning("what other proxies forget is heard at once again")
        self._missed()

    def _fails(self, error: Exception) -> None:
        if not self._has_failed and not self._is_closed:
            self._has_failed = True
            said = str(error) or type(error).__name__
            _log.warning("what other proxies forget is heard late, after LOCAL_TIER_SECONDS at most: %s", said)
