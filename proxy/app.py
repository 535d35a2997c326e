"""How does the proxy run? The composition root: processes, signals, and what they are given of the configuration."""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pkgutil import resolve_name

import uvloop

from proxy.config.load import Source
from proxy.config.model import AccessLog as AccessLogStyle
from proxy.config.model import Config
from proxy.downstream.listeners import close_listeners, open_listeners, shown
from proxy.downstream.notices import Notices
from proxy.downstream.uplink import Uplink
from proxy.downstream.workers import Answered, Supervisor, Work, converse
from proxy.errors import ListenError
from proxy.ops.catalogue import RESTARTS
from proxy.ops.insight import Insight
from proxy.ops.line_writer import LineWriter
from proxy.ops.readiness import Readiness, Unready, Watch
from proxy.ops.snapshot import Snapshot, total
from proxy.places import Places
from proxy.purging import Purging, carried_by
from proxy.questions import answering
from proxy.reloads import Reloads
from proxy.storage.backends.base import InvalidCacheBackendError
from proxy.worker import Worker, clock, settle

_StartControl = Callable[[Config, Sequence[socket.socket], Insight], Awaitable[Callable[[], Awaitable[None]]]]


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where clients, and operators, connect to."""

    clients: Sequence[socket.socket]
    admin: Sequence[socket.socket]


def serve(config: Config, source: Source | None) -> int:
    """Serve until SIGTERM or SIGINT, reading ``source`` again on SIGHUP; return the exit code."""
    _log_to_stderr()
    try:
        listeners = open_listeners(config.listen)
        admin = open_listeners([config.admin.listen] if config.admin.listen != "off" else [])
    except ListenError as error:
        _say(str(error))
        return 1
    places = Places()
    try:
        settled = places.settle(config)
        run = _serve_alone if config.workers == 1 else _serve_with_workers
        uvloop.run(run(settled, _settling(source, places), Sockets(listeners, admin)))
    except InvalidCacheBackendError as error:
        _say(str(error))
        return 1
    finally:
        close_listeners([*listeners, *admin])
        places.remove()
    return 0


def _settling(source: Source | None, places: Places) -> Source | None:
    """Return a source of configurations that say where the caches lie that workers share."""
    return None if source is None else replace(source, read=lambda: places.settle(source.read()))


def _log_to_stderr() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="sitecache: %(message)s")


def _say(text: str) -> None:
    sys.stderr.write(f"sitecache: {text}\n")
    sys.stderr.flush()


def _announce(sockets: Sockets) -> None:
    for listener in sockets.clients:
        _say(f"listening on {shown(listener)}")
    for listener in sockets.admin:
        _say(f"admin on {shown(listener)}")
    _say("ready")


def _stop_event() -> asyncio.Event:
    """Return the event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextmanager
def _meanwhile(*work: Coroutine[object, object, None]) -> Iterator[None]:
    """Have this done in the background until the block ends."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def _controlled(config: Config, sockets: Sockets, insight: Insight) -> AsyncIterator[None]:
    """Answer operators until the block ends, where they have a listener."""
    if not sockets.admin:
        yield
        return
    # In a thread, so that clients are answered meanwhile: it takes longer than all that came before.
    start: _StartControl = await asyncio.to_thread(resolve_name, "proxy.control:start_control")
    stop = await start(config, sockets.admin, insight)
    yield
    await stop()


async def _serve_alone(config: Config, source: Source | None, sockets: Sockets) -> None:
    stop = _stop_event()
    async with _serving(config, sockets.clients) as worker:
        reloads = Reloads(config, source, worker.change, clock)

        async def collect() -> Sequence[Snapshot]:
            return [worker.snapshot(), reloads.snapshot()]

        watch = Watch(collect)

        def readiness() -> Readiness:
            return Readiness((Unready.DRAINING,) if worker.server.draining else (), watch.degraded)

        async def ask(question: bytes) -> Sequence[tuple[int, bytes | None]]:
            return [(0, await answering(worker)(question))]

        async def tell(question: bytes) -> Sequence[Answered]:
            return [Answered(0, await answering(worker)(question))]

        purging = Purging(answering(worker), tell)
        worker.carry = purging.carry
        insight = Insight(collect, readiness, ask, purging.carry_logged, lambda: reloads.config)
        async with _controlled(config, sockets, insight):
            _announce(sockets)
            with _meanwhile(reloads.run(), watch.run()):
                await stop.wait()
            _say("draining")
            close_listeners(sockets.clients)
            await worker.server.drain(worker.config.timeouts.drain)


@asynccontextmanager
async def _serving(config: Config, listeners: Sequence[socket.socket]) -> AsyncIterator[Worker]:
    """Build a worker that takes clients in, and take it apart in the end."""
    settle()
    writer = LineWriter(sys.stdout.fileno()) if config.access_log is not AccessLogStyle.OFF else None
    worker = Worker(config, writer)
    await worker.prepare()
    await worker.server.start(listeners)
    try:
        yield worker
    finally:
        await worker.finish()
        if writer is not None:
            writer.close()


async def _serve_with_workers(config: Config, source: Source | None, sockets: Sockets) -> None:
    stop = _stop_event()
    past = [Snapshot({})]
    stopping = False

    def ended(counted: bytes) -> None:
        if counted:
            past[0] = total([past[0], Snapshot.from_json(counted).ended()]).ended()

    async def change(config: Config) -> None:
        await supervisor.change(_work_by(config))

    supervisor = Supervisor(_work_by(config), sockets.clients, config.workers, ended)
    purging = Purging(supervisor.ask_one, supervisor.tell)
    supervisor.asked = purging.answer
    reloads = Reloads(config, source, change, clock)

    async def collect() -> Sequence[Snapshot]:
        restarts = Snapshot({RESTARTS: {(): supervisor.restarts}})
        return [past[0], reloads.snapshot(), restarts, *map(Snapshot.from_json, await supervisor.snapshots())]

    watch = Watch(collect)

    def readiness() -> Readiness:
        if stopping:
            return Readiness((Unready.DRAINING,), watch.degraded)
        return Readiness(() if supervisor.ready else (Unready.NO_WORKER,), watch.degraded)

    async def ask(question: bytes) -> Sequence[tuple[int, bytes | None]]:
        return [(each.number, each.answer) for each in await supervisor.ask(question)]

    insight = Insight(collect, readiness, ask, purging.carry_logged, lambda: reloads.config)
    starting = asyncio.create_task(supervisor.start())
    async with _controlled(config, sockets, insight):
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            _announce(sockets)
            with _meanwhile(reloads.run(), watch.run()):
                await stopped
        stopping = True
        _say("draining")
        starting.cancel()
        close_listeners(sockets.clients)
        await supervisor.stop(reloads.config.timeouts.drain)


def _work_by(config: Config) -> Work:
    """Return what workers do by this configuration; it goes to them as it goes to new processes."""
    return Work(partial(_work, config), pickle.dumps(config))


def _work(
    config: Config, number: int, listeners: Sequence[socket.socket], channel: socket.socket, *more: socket.socket
) -> None:
    """Be one worker: the target of a new process."""
    del number
    _log_to_stderr()
    uvloop.run(_serve_as_worker(config, listeners, channel, *more))


async def _serve_as_worker(
    config: Config,
    listeners: Sequence[socket.socket],
    channel: socket.socket,
    up: socket.socket,
    others: socket.socket,
) -> None:
    stop = _stop_event()
    uplink, notices = Uplink(up), Notices(others)
    async with _serving(config, listeners) as worker:
        worker.carry, worker.say = carried_by(uplink), notices.say
        notices.listen(worker.hear)

        async def change(told: bytes) -> None:
            await worker.change(pickle.loads(told))  # noqa: S301  from our parent, over a socket pair

        def snapshot() -> bytes:
            return worker.snapshot().to_json().encode()

        talking = asyncio.create_task(converse(channel, snapshot, change, stop, answering(worker)))
        await stop.wait()
        # Its copies too: a client that no worker will take in is better refused than left in the backlog.
        for listener in listeners:
            listener.close()
        await worker.server.drain(worker.config.timeouts.drain)
        talking.cancel()
        uplink.close()
        notices.close()
