"""Which parts is the proxy built of? The composition root: the only place that reads the whole configuration."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network

import uvloop
from aiohttp import web

from proxy.cache.aliases import Caches
from proxy.cache.logged import LoggedCache
from proxy.cache.settings import of_config
from proxy.config.model import AccessLog as AccessLogStyle
from proxy.config.model import Config
from proxy.config.units import UnixTime
from proxy.deadlines import Deadlines
from proxy.downstream.connection import Clients, Serving
from proxy.downstream.listeners import close_listeners, open_listeners, shown
from proxy.downstream.parser import HeadLimits
from proxy.downstream.server import Server
from proxy.downstream.workers import Supervisor, converse
from proxy.errors import ListenError
from proxy.exchange.answer import Driver
from proxy.exchange.collapse import Flights
from proxy.exchange.counters import Counters
from proxy.exchange.fetch import Fetcher
from proxy.exchange.replies import Replies
from proxy.ops.access_log import AccessLog
from proxy.ops.admin import Readiness, Unready, admin_app, start_admin, stop_admin
from proxy.ops.cache_http import add_caches
from proxy.ops.line_writer import LineWriter
from proxy.ops.process import usage
from proxy.ops.snapshot import Snapshot, take, total
from proxy.ops.sources import Sources
from proxy.pages import Pages
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.upstream.client import Origins
from proxy.upstream.pool import Pool

#: Seconds that a thread working for a storage may keep the loop waiting; the interpreter's own are 0.005. With eight
#: writers to files the loop's median delay was 0.5 to 0.7 ms with these, and 0.2 to 0.4 ms with 0.001.
_SWITCH_INTERVAL = 0.001


def clock() -> UnixTime:
    """Return the time; the one place that reads it, for everybody else is given this or its answer."""
    return UnixTime(time.time())  # noqa: TID251


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts of one serving process."""

    server: Server
    driver: Driver
    sources: Sources
    origins: Origins
    deadlines: Deadlines
    log: AccessLog | None
    pages: Pages

    def snapshot(self) -> Snapshot:
        """Return what it has counted."""
        return take(self.sources)

    def close(self) -> None:
        """End what runs in the background and close what is idle."""
        self.driver.tasks.cancel()
        self.origins.close()
        self.deadlines.close()
        if self.log is not None:
            self.log.close()


def build(config: Config, writer: LineWriter | None = None) -> Worker:
    """Build the parts of one serving process; to be called with its event loop running.

    ``writer`` takes the lines of the access log, where the configuration asks for one.
    """
    deadlines = Deadlines(asyncio.get_running_loop())
    # The driver is made of them, and runs what they start.
    pages = Pages(config, distinctions_of(config), clock, time.monotonic, lambda work: driver.tasks.start(work))  # noqa: PLW0108
    origins = Origins(lambda upstream: Pool(upstream, deadlines, time.monotonic))
    sites = sites_of(Parts(config, pages.of, origins.of))
    log = AccessLog(config.access_log, writer, lambda: writer.lost) if writer is not None else None
    counters = Counters(log)
    flights = Flights()
    replies = Replies(counters, clock)
    driver = Driver(sites, Fetcher(sites, flights, replies, clock), flights, replies, counters, clock)
    limits = config.limits
    clients = Clients(limits.connections)
    serving = Serving(
        handle=driver.handle,
        limits=HeadLimits(limits.header_bytes, limits.headers, limits.target),
        body_limit=limits.body,
        timeouts=config.timeouts,
        trusted=tuple(ip_network(network) for network in config.trusted_proxies),
        deadlines=deadlines,
        counters=counters,
        clients=clients,
    )
    sources = Sources(
        counters=counters,
        clients=clients.connected,
        origin=origins,
        flights=flights,
        exchanges=driver.tasks,
        stores=pages.stores,
        storages=pages.remotes,
        started_at=clock(),
        usage=usage,
        dropped_lines=lambda: 0 if log is None else log.dropped,
    )
    return Worker(Server(serving), driver, sources, origins, deadlines, log, pages)


# Running.


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    _log_to_stderr()
    try:
        listeners = open_listeners(config.listen)
        admin = open_listeners([config.admin.listen] if config.admin.listen != "off" else [])
    except ListenError as error:
        _say(str(error))
        return 1
    try:
        run = _serve_alone if config.workers == 1 else _serve_with_workers
        uvloop.run(run(config, listeners, admin))
    finally:
        close_listeners([*listeners, *admin])
    return 0


def _log_to_stderr() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="sitecache: %(message)s")


def _say(text: str) -> None:
    sys.stderr.write(f"sitecache: {text}\n")
    sys.stderr.flush()


def _announce(listeners: Sequence[socket.socket], admin: Sequence[socket.socket]) -> None:
    for listener in listeners:
        _say(f"listening on {shown(listener)}")
    for listener in admin:
        _say(f"admin on {shown(listener)}")
    _say("ready")


def _stop_event() -> asyncio.Event:
    """Return the event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _serve_alone(config: Config, listeners: Sequence[socket.socket], admin: Sequence[socket.socket]) -> None:
    stop = _stop_event()
    async with _serving(config, listeners) as worker:

        async def collect() -> Sequence[Snapshot]:
            return [worker.snapshot()]

        def readiness() -> Readiness:
            return Readiness(unready=(Unready.DRAINING,) if worker.server.draining else ())

        runners = [
            await start_admin(_with_caches(config, admin_app(collect, readiness)), listener.dup()) for listener in admin
        ]
        _announce(listeners, admin)
        await stop.wait()
        _say("draining")
        close_listeners(listeners)
        await worker.server.drain(config.timeouts.drain)
        for runner in runners:
            await stop_admin(runner)


@asynccontextmanager
async def _serving(config: Config, listeners: Sequence[socket.socket]) -> AsyncIterator[Worker]:
    """Build a worker that takes clients in, and take it apart in the end."""
    writer = LineWriter(sys.stdout.fileno()) if config.access_log is not AccessLogStyle.OFF else None
    worker = build(config, writer)
    if worker.pages.remotes:
        sys.setswitchinterval(_SWITCH_INTERVAL)
    await worker.pages.prepare()
    await worker.server.start(listeners)
    try:
        yield worker
    finally:
        await worker.pages.finish()
        worker.close()
        await worker.pages.close()
        if writer is not None:
            writer.close()


async def _serve_with_workers(
    config: Config, listeners: Sequence[socket.socket], admin: Sequence[socket.socket]
) -> None:
    stop = _stop_event()
    past = [Snapshot({})]
    stopping = False

    def ended(counted: bytes) -> None:
        if counted:
            past[0] = total([past[0], Snapshot.from_json(counted).ended()]).ended()

    supervisor = Supervisor(partial(_work, config), listeners, config.workers, ended)

    async def collect() -> Sequence[Snapshot]:
        return [past[0], *map(Snapshot.from_json, await supervisor.snapshots())]

    def readiness() -> Readiness:
        if stopping:
            return Readiness(unready=(Unready.DRAINING,))
        return Readiness(unready=() if supervisor.ready else (Unready.NO_WORKER,))

    runners = [
        await start_admin(_with_caches(config, admin_app(collect, readiness)), listener.dup()) for listener in admin
    ]
    starting = asyncio.create_task(supervisor.start())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        _announce(listeners, admin)
        await stopped
    stopping = True
    _say("draining")
    starting.cancel()
    close_listeners(listeners)
    await supervisor.stop(config.timeouts.drain)
    for runner in runners:
        await stop_admin(runner)


def _with_caches(config: Config, app: web.Application) -> web.Application:
    """Let whoever has the token use the caches on the admin listener, where there is one."""
    if config.admin.token is not None:
        add_caches(app, Caches(of_config(config), LoggedCache), config.admin.token)
    return app


def _work(config: Config, number: int, listeners: Sequence[socket.socket], channel: socket.socket) -> None:
    """Be one worker: the target of a new process."""
    del number
    _log_to_stderr()
    uvloop.run(_serve_as_worker(config, listeners, channel))


async def _serve_as_worker(config: Config, listeners: Sequence[socket.socket], channel: socket.socket) -> None:
    stop = _stop_event()
    async with _serving(config, listeners) as worker:
        talking = asyncio.create_task(converse(channel, lambda: worker.snapshot().to_json().encode(), stop))
        await stop.wait()
        # Its copies too: a client that no worker will take in is better refused than left in the backlog.
        for listener in listeners:
            listener.close()
        await worker.server.drain(config.timeouts.drain)
        talking.cancel()
