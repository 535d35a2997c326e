"""Which parts is the proxy built of? The composition root: the only place that reads the whole configuration."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

import uvloop

from proxy.config.model import CacheConfig, Config
from proxy.config.units import UnixTime
from proxy.deadlines import Deadlines
from proxy.downstream.connection import Clients, Serving
from proxy.downstream.listeners import close_listeners, open_listeners, shown
from proxy.downstream.parser import HeadLimits
from proxy.downstream.server import Server
from proxy.errors import ListenError
from proxy.exchange.answer import Driver
from proxy.exchange.collapse import Flights
from proxy.exchange.counters import Counters
from proxy.exchange.fetch import Fetcher
from proxy.exchange.replies import Replies
from proxy.exchange.site import Site
from proxy.policy.cookies import IgnoredCookies
from proxy.policy.rules import Rules
from proxy.storage.backends.locmem import LocMemCache
from proxy.storage.responses import MemoryResponses, NoResponses, Responses
from proxy.upstream.client import Origin
from proxy.upstream.pool import Pool


def clock() -> UnixTime:
    """Return the time; the one place that reads it, for everybody else is given this or its answer."""
    return UnixTime(time.time())  # noqa: TID251


def rules_of(config: Config) -> Rules:
    """Return what the operator decided about caching."""
    return Rules(
        site_lifetime=config.CACHE_MIDDLEWARE_SECONDS,
        stale_if_error=config.stale_if_error,
        stored_body=config.limits.stored_body,
        client_cache_control=config.client_cache_control,
        ignored_cookies=IgnoredCookies(config.cookies.ignore),
    )


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts of one serving process."""

    server: Server
    driver: Driver
    origin: Origin
    flights: Flights
    counters: Counters
    memory: LocMemCache | None
    deadlines: Deadlines


def build(config: Config) -> Worker:
    """Build the parts of one serving process; to be called with its event loop running."""
    deadlines = Deadlines(asyncio.get_running_loop())
    rules = rules_of(config)
    cache = config.CACHES[config.CACHE_MIDDLEWARE_ALIAS]
    memory, responses = _responses(cache, rules, config.limits.variants)
    counters = Counters()
    flights = Flights()
    origin = Origin(Pool(config.upstream, deadlines, time.monotonic))
    site = Site(origin, responses, rules, _scope(config, cache))
    replies = Replies(counters, clock)
    driver = Driver(site, Fetcher(site, flights, replies, clock), flights, replies, counters, clock)
    limits = config.limits
    serving = Serving(
        handle=driver.handle,
        limits=HeadLimits(limits.header_bytes, limits.headers, limits.target),
        body_limit=limits.body,
        timeouts=config.timeouts,
        trusted=tuple(ip_network(network) for network in config.trusted_proxies),
        deadlines=deadlines,
        counters=counters,
        clients=Clients(limits.connections),
    )
    return Worker(Server(serving), driver, origin, flights, counters, memory, deadlines)


def _responses(cache: CacheConfig, rules: Rules, variants: int) -> tuple[LocMemCache | None, Responses]:
    if cache.BACKEND == "dummy":
        return None, NoResponses()
    options = cache.OPTIONS
    memory = LocMemCache(
        clock,
        max_entries=options.MAX_ENTRIES,
        cull_frequency=options.CULL_FREQUENCY,
        max_bytes=options.MAX_BYTES,
    )
    return memory, MemoryResponses(memory, rules.ignored_cookies, variants)


def _scope(config: Config, cache: CacheConfig) -> bytes:
    parts = (cache.KEY_PREFIX, str(cache.VERSION), config.CACHE_MIDDLEWARE_KEY_PREFIX)
    return b"".join(b"%d:%b" % (len(part), part) for part in (text.encode() for text in parts))


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        listeners = open_listeners(config.listen)
    except ListenError as error:
        sys.stderr.write(f"sitecache: {error}\n")
        return 1
    try:
        return uvloop.run(_serve(config, listeners))
    finally:
        close_listeners(listeners)


async def _serve(config: Config, listeners: Sequence[socket.socket]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = build(config)
    await worker.server.start(listeners)
    for listener in listeners:
        sys.stderr.write(f"sitecache: listening on {shown(listener)}\n")
    sys.stderr.write("sitecache: ready\n")
    await stop.wait()
    await worker.server.drain(config.timeouts.drain)
    worker.origin.pool.close()
    worker.deadlines.close()
    return 0
