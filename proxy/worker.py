"""Which parts is one serving process built of, and how do they change over to another configuration?"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence, Sized
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import quote

from proxy.config.model import Config, RouteConfig, UpstreamConfig
from proxy.config.telling_apart import everywhere
from proxy.config.units import Seconds, UnixTime
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.downstream.connection import Clients, Serving
from proxy.downstream.parser import HeadLimits
from proxy.downstream.public_purges import PublicPurges
from proxy.downstream.purge_dialects import Door
from proxy.downstream.server import Server
from proxy.downstream.trust import networks_of
from proxy.exchange.answer import Driver
from proxy.exchange.background import Tasks
from proxy.exchange.collapse import Flights
from proxy.exchange.counters import Counters, Entry
from proxy.exchange.fetch import Fetcher
from proxy.exchange.last_fetch import LastFetches
from proxy.exchange.replies import Replies
from proxy.exchange.site import NONE, Sites
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request
from proxy.ops.access_log import AccessLog
from proxy.ops.line_writer import LineWriter
from proxy.ops.process import LoopLag, usage
from proxy.ops.snapshot import Snapshot, of_caches, take, total
from proxy.ops.sources import Sources
from proxy.pages import Opened, Pages
from proxy.policy.asked_purges import Asked, Carry, Done
from proxy.policy.cache_status import Outcome
from proxy.policy.key import Distinctions
from proxy.policy.purging import Purge, concerned
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.upstream.client import Origin, Origins
from proxy.upstream.pool import Pool

#: Seconds that a thread working for a storage may keep the loop waiting; the interpreter's own are 0.005. With eight
#: writers to files the loop's median delay was 0.5 to 0.7 ms with these, and 0.2 to 0.4 ms with 0.001.
_SWITCH_INTERVAL = 0.001
#: Seconds between two looks at what is still used of an earlier configuration.
_TIDY_EVERY = 0.5


clock = cast(Callable[[], UnixTime], time.time)  # noqa: TID251
"""Return the time; the one place that reads it, for everybody else is given this or its answer.

No function of ours: two calls less in each hit, 1 % of its instructions (tests/bench/wire.py).
"""


def settle() -> None:
    """Take what has been imported out of the collector's sight, before a worker is built in a process that serves.

    It lives as long as the process; a full collection, which stops everything, took 40 ms for these 80,000 objects.
    """
    gc.freeze()


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the exchanges that began under one configuration go by."""

    config: Config
    pages: Pages
    sites: Sites
    flights: Flights
    fetcher: Fetcher
    driver: Driver


class _Sum:
    """The lengths of several, added up."""

    def __init__(self, parts: Callable[[], Sequence[Sized]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts()))


class Worker:
    """The parts of one serving process."""

    def __init__(self, config: Config, writer: LineWriter | None = None) -> None:
        """Build them; the event loop that they serve in has to be running.

        ``writer`` takes the lines of the access log, where the configuration asks for one.
        """
        self.deadlines = Deadlines(asyncio.get_running_loop())
        self.departures = Departures(asyncio.get_running_loop())
        self.origins = Origins(lambda upstream: Pool(upstream, self.deadlines, self.departures, time.monotonic))
        log = AccessLog(config.access_log, writer, lambda: writer.lost) if writer is not None else None
        self._log = log
        self._counters = Counters(log)
        self._lag = LoopLag(asyncio.get_running_loop())
        self._clients = Clients(config.limits.connections)
        self._replies = Replies(self._counters, clock)
        self.last = LastFetches()
        """What the origin was last asked for."""
        self._storing = Tasks()
        self._former: list[Driver] = []
        self._past = Snapshot({})
        self._tidying: asyncio.Task[None] | None = None
        self._changing = False
        self._purges: deque[str] = deque(maxlen=1000)
        """The latest that were carried out."""
        self.carry: Carry | None = None
        """Carries out what clients ask to be purged; whoever runs the worker gives it."""
        self.say: Callable[[bytes], None] = _to_nobody
        """Has the other workers hear what is to be known at once; whoever runs the worker gives it."""
        pages = self._pages(config, distinctions_of(config), None)
        self._turn = self._turned(config, pages, self._sites(config, pages, self.origins.of), Flights())
        self.server = Server(self._serving())
        self._sources = Sources(
            counters=self._counters,
            clients=self._clients.connected,
            origins=self.origins.asked,
            flights=_Sum(lambda: [self._turn.flights]),
            exchanges=_Sum(lambda: [self._storing, self.driver.tasks, *(driver.tasks for driver in self._former)]),
            stores={},
            started_at=clock(),
            usage=usage,
            dropped_lines=lambda: 0 if log is None else log.dropped,
            lag=self._lag.durations,
        )

    @property
    def driver(self) -> Driver:
        """Return what answers the requests that come now."""
        return self._turn.driver

    @property
    def config(self) -> Config:
        """Return what they go by."""
        return self._turn.config

    @property
    def sites(self) -> Sites:
        """Return the sites that it has now."""
        return self._turn.sites

    @property
    def sources(self) -> Sources:
        """Return where its numbers come from."""
        pages = self._turn.pages
        return replace(self._sources, stores=pages.stores, storages=pages.remotes, tiers=pages.tiers)

    def snapshot(self) -> Snapshot:
        """Return what it has counted, also in caches that it uses no more."""
        leaving = map(self._counted_in, self._turn.pages.leaving)
        return total([take(self.sources), self._past, *leaving])

    def _counted_in(self, one: Opened) -> Snapshot:
        """Return what one cache outside the process has counted."""
        tiers = {} if one.tier is None else {one.alias: one.tier}
        return of_caches(replace(self._sources, storages={one.alias: one.responses}, tiers=tiers))

    # Purging.

    async def _carry(self, asked: Asked) -> Done:
        return Done(error="this process cannot purge") if self.carry is None else await self.carry(asked)

    def purged(self, number: str) -> bool:
        """Tell whether a purge is new here, and remember it."""
        if number in self._purges:
            return False
        self._purges.append(number)
        return True

    async def purge(self, purge: Purge, *, leads: bool, failed: Collection[str]) -> dict[str, str | None]:
        """Purge what this worker has, and where it ``leads`` what others have, too; return what could not be told."""
        self._heard(purge)
        done = await self._turn.pages.purge(purge, leads=leads, failed=failed)
        # What began while the storages were told may have been asked for before.
        self._heard(purge)
        return done

    def count_purge(self, asked: Asked, *, failed: bool, logged: bool) -> None:
        """Count a purge, and log it unless its request is logged anyway."""
        for kind in asked.kinds:
            self._counters.purges[kind, "failure" if failed else "success"] += 1
        if not logged:
            target = b"/purge?" + quote(asked.shown(), safe='{}[]:,"/').encode()
            request = Request(b"PURGE", target, Fields([]), NO_BODY, b"admin")
            status = 503 if failed else 200
            self._counters.log(Entry(clock(), request, status, 0, Seconds(0), Outcome(purge=True), NONE, NONE))

    def _heard(self, purge: Purge) -> None:
        concerns = concerned(purge)
        for driver in (self.driver, *self._former):
            driver.purge(concerns)

    def hear(self, notice: bytes) -> None:
        """Take to heart what another worker says."""
        self._turn.pages.hear(notice)

    def _say(self, notice: bytes) -> None:
        self.say(notice)

    # Building.

    def _pages(self, config: Config, distinctions: Distinctions, former: Pages | None) -> Pages:
        pages = Pages(config, distinctions, clock, time.monotonic, self._storing.start, former)
        pages.say = self._say
        return pages

    def _sites(self, config: Config, pages: Pages, origin: Callable[[UpstreamConfig], Origin]) -> Sites:
        return sites_of(Parts(config, pages.of, origin))

    def _turned(self, config: Config, pages: Pages, sites: Sites, flights: Flights) -> _Turn:
        fetcher = Fetcher(sites, flights, self._replies, clock, self.last)
        driver = Driver(sites, fetcher, flights, self._replies, self._counters, clock)
        door = Door.of(config.purge)
        if door is not None:
            driver.purging = PublicPurges(door, driver, self._replies, self._counters, self._carry).take
        pages.tell(self._heard)
        return _Turn(config, pages, sites, flights, fetcher, driver)

    def _serving(self) -> Serving:
        config = self._turn.config
        limits = config.limits
        self._clients.most = limits.connections
        driver = self._turn.driver
        return Serving(
            handle=driver.handle_telling if config.cache_status.key else driver.handle,
            limits=HeadLimits(limits.header_bytes, limits.headers, limits.target),
            body_limit=limits.body,
            unwanted_body=limits.unwanted_body,
            timeouts=config.timeouts,
            trusted=networks_of(config.trusted_proxies),
            deadlines=self.deadlines,
            departures=self.departures,
            counters=self._counters,
            clients=self._clients,
            upgrades=frozenset(name.encode() for name in config.upgrades),
        )

    # Running.

    async def prepare(self) -> None:
        """Learn from the storages what makes the first hits as fast as later ones."""
        self._favour_the_loop()
        await self._turn.pages.prepare()

    def _favour_the_loop(self) -> None:
        if self._turn.pages.remotes:
            sys.setswitchinterval(_SWITCH_INTERVAL)

    async def change(self, config: Config) -> None:
        """Have what begins from now on go by this configuration; what runs ends by the one it began with.

        Where it cannot be built it raises, and all stays as it was. Not to be called again before it returns.
        """
        former = self._turn
        named: set[UpstreamConfig] = set()

        def origin(upstream: UpstreamConfig) -> Origin:
            named.add(upstream)
            return self.origins.of(upstream)

        same = _told_apart_by(config) == _told_apart_by(former.config)
        distinctions = former.pages.distinctions if same else distinctions_of(config)
        pages = self._pages(config, distinctions, former.pages)
        # What is to be taken over must not be closed meanwhile.
        self._changing = True
        try:
            sites = self._sites(config, pages, origin)
            await pages.prepare()
        except BaseException:
            await pages.give_up()
            raise
        finally:
            self._changing = False
        # Nothing is awaited from here on: each request sees the one or the other.
        self._past = total([self._past, of_caches(replace(self._sources, stores=pages.given_up))])
        pages.succeed()
        self._turn = self._turned(config, pages, sites, former.flights.successor())
        former.fetcher.forgetting.successor = self._turn.fetcher.forgetting
        self._former.append(former.driver)
        self.server.adopt(self._serving())
        self.origins.keep(named)
        self._favour_the_loop()
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(self._tidy())

    async def _tidy(self) -> None:
        """Close what nothing uses any more."""
        while self._changing or self._former or self._turn.pages.leaving or not self.origins.forget():
            await asyncio.sleep(_TIDY_EVERY)
            self._former = [driver for driver in self._former if driver.is_busy]
            pages = self._turn.pages
            for one in [one for one in pages.leaving if not one.responses.is_busy]:
                if self._former or self._changing:
                    break
                self._past = total([self._past, self._counted_in(one)])
                await pages.leave(one)

    async def finish(self) -> None:
        """End what runs in the background, let the storages know what they have to, and close everything."""
        if self._tidying is not None:
            self._tidying.cancel()
        await self._turn.pages.finish()
        self.close()
        await self._turn.pages.close()

    def close(self) -> None:
        """End what runs in the background and close what is idle."""
        for tasks in (self._storing, self.driver.tasks, *(driver.tasks for driver in self._former)):
            tasks.cancel()
        self.origins.close()
        self.deadlines.close()
        self._lag.close()
        if self._log is not None:
            self._log.close()


def _to_nobody(notice: bytes) -> None:
    """There are no other workers."""
    del notice


def _told_apart_by(config: Config) -> tuple[object, ...]:
    """Return the settings without which pages that are stored could be for somebody else."""
    parts = [one for _, one in everywhere(config) if one is not config]
    own = any(one.cookies or one.normalize or (isinstance(one, RouteConfig) and one.set_cookie) for one in parts)
    return (
        *(config.cookies, config.normalize, config.set_cookie, config.request_fields),
        # While it is off, writes do not say what it would find again.
        config.no_vary_search,
        # Which of them a page was stored under is not known any more.
        (config.routes, config.sites) if own else None,
        *(config.USE_I18N, config.LANGUAGES, config.LANGUAGE_CODE, config.LANGUAGE_COOKIE_NAME),
        *(config.USE_TZ, config.TIME_ZONE, config.timezone_from),
    )
