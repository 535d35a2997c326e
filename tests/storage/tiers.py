"""What do tests of the local tier share? Processes with a tier each in front of one storage, and a clock for all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.errors import StorageError
from proxy.policy.key import PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.base import Backend
from proxy.storage.remote import RemoteResponses
from proxy.storage.responses import NotAtHand, StoredSought
from proxy.storage.tier import Tier
from proxy.storage.tiered import TieredResponses
from tests.exchange.remotes import guards, remote, start
from tests.storage.contract import Clock
from tests.storage.test_responses import NO_COOKIES, asking

BOUND = Seconds(1)
PAGE = PrimaryKey(b"7:default4:http9:site.test5:/page")
OTHER = PrimaryKey(b"7:default4:http9:site.test6:/other")
GROUP = PrimaryKey(b"group 4:http9:site.test4:news")
LATER = UnixTime(2000.0)


class Process:
    """One process with a tier in front of a storage."""

    def __init__(self, backend: Backend, clock: Clock, most: int = 2**20) -> None:
        self.clock = clock
        self.behind: RemoteResponses = remote(backend, guards())
        self.tier = self.behind.watcher = Tier(Bytes(most), BOUND, clock, clock)
        self.pages = TieredResponses(self.behind, self.tier, NO_COOKIES)

    def begin(self, primary: PrimaryKey, *lines: str, pages: TieredResponses | None = None) -> asyncio.Future[object]:
        """Ask, and return what will hold the body, None or the error."""
        told: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def hear(sought: StoredSought) -> None:
            if isinstance(sought, Coroutine):
                start(hear_later(sought))
            else:
                told.set_result(sought.body if isinstance(sought, StoredResponse) else sought)

        async def hear_later(sought: Coroutine[object, object, StoredResponse | None]) -> None:
            try:
                hear(await sought)
            except StorageError as error:
                hear(error)

        pages = pages or self.pages
        try:
            hear(pages.select(primary, asking(*lines), self.clock()))
        except NotAtHand:
            pages.seek(primary, asking(*lines), self.clock(), hear)
        return told

    async def body(self, primary: PrimaryKey = PAGE, *lines: str) -> object:
        """Return the body that is selected."""
        async with asyncio.timeout(20):
            return await self.begin(primary, *lines)

    async def put(self, response: StoredResponse, *lines: str, primary: PrimaryKey = PAGE) -> None:
        assert self.pages.store(primary, asking(*lines), response, LATER, self.clock())
        await self.settled()

    async def invalidate(self, primary: PrimaryKey = PAGE) -> None:
        self.pages.invalidate(primary)
        await self.settled()

    async def settled(self) -> None:
        """Let everything arrive that nobody waits for."""
        async with asyncio.timeout(20):
            while self.behind.is_busy:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.001)
        # What was heard at the moment of a look-up counts as heard after it.
        self.clock.turn(0.001)
