"""How do several processes serve together: who starts them, who replaces one that dies, who stops them?

The parent opens the listeners and accepts nobody; each worker accepts on the same sockets, so that a client whose
worker dies before taking it in is taken in by another. Between the parent and each worker is a socket pair: the worker
says when it is ready and what it has counted, and stops when the parent is gone.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.context import SpawnProcess

from proxy.config.units import Seconds

_log = logging.getLogger("sitecache")

_SNAPSHOT_SECONDS = 2.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_HEALTHY_AFTER = 10.0
_LAST_GRACE = 5.0
_LONGEST_LINE = 1 << 20

READY = b"ready\n"
SNAPSHOT = b"snapshot\n"

Target = Callable[[int, Sequence[socket.socket], socket.socket], None]
"""What a worker runs: its number, the listeners, and its end of the socket pair. It must be a module's own function
or a ``functools.partial`` of one, for the process that runs it is new."""


class _Worker:
    """One place among the workers, and the process that fills it now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: SpawnProcess | None = None
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.asking = asyncio.Lock()
        self.ready = False
        self.counted = b""
        """What it last said it had counted."""
        self.started = 0.0
        self.pause = _FIRST_PAUSE


class Supervisor:
    """Keeps a number of workers running until it is told to stop."""

    def __init__(
        self, target: Target, listeners: Sequence[socket.socket], count: int, ended: Callable[[bytes], None]
    ) -> None:
        """``ended`` is told what a worker that has died had counted, as far as it was asked."""
        self._ended = ended
        self._target = target
        self._listeners = listeners
        self._workers = [_Worker(number) for number in range(count)]
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._all_ready = asyncio.Event()
        self.restarts = 0
        """Workers replaced since the start."""

    @property
    def ready(self) -> int:
        """Workers that take clients in now."""
        return sum(worker.ready for worker in self._workers)

    async def start(self) -> None:
        """Start the workers; return when all are ready."""
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        await self._all_ready.wait()

    async def stop(self, within: Seconds) -> None:
        """Let every worker drain, and end those that have not ended some time after their limit."""
        self._stopping = True
        for worker in self._workers:
            if worker.process is not None and worker.process.is_alive():
                worker.process.terminate()
        _, late = await asyncio.wait(self._keepers, timeout=within + _LAST_GRACE)
        for worker in self._workers:
            if late and worker.process is not None and worker.process.is_alive():
                worker.process.kill()
        for keeper in late:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def snapshots(self) -> list[bytes]:
        """Return what each ready worker has counted, as it writes it."""
        lines = await asyncio.gather(*(self._snapshot(worker) for worker in self._workers if worker.ready))
        return [line for line in lines if line]

    async def _snapshot(self, worker: _Worker) -> bytes:
        reader, writer = worker.reader, worker.writer
        if reader is None or writer is None:
            return b""
        with suppress(OSError, TimeoutError, ValueError):
            async with worker.asking, asyncio.timeout(_SNAPSHOT_SECONDS):
                writer.write(SNAPSHOT)
                worker.counted = await reader.readline()
        return worker.counted

    async def _keep(self, worker: _Worker) -> None:
        """Run one worker after the other in this place."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            await self._launch(worker)
            process = worker.process
            if process is None:
                return
            await _ended(process)
            worker.ready = False
            self._ended(worker.counted)
            worker.counted = b""
            if worker.writer is not None:
                worker.writer.close()
            if self._stopping:
                return
            self.restarts += 1
            if loop.time() - worker.started > _HEALTHY_AFTER:
                worker.pause = _FIRST_PAUSE
            _log.warning("worker %d ended with %s, starting another", worker.number, process.exitcode)
            await asyncio.sleep(worker.pause)
            worker.pause = min(worker.pause * 2, _LONGEST_PAUSE)

    async def _launch(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _spawn(self._target, (worker.number, self._listeners, theirs))
        worker.process = process
        worker.started = asyncio.get_running_loop().time()
        worker.reader, worker.writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        if await worker.reader.readline() == READY:
            worker.ready = True
            if self._all_ready.is_set():
                _log.warning("worker %d is back", worker.number)
            if self.ready == len(self._workers):
                self._all_ready.set()


def _spawn(target: Target, arguments: tuple[int, Sequence[socket.socket], socket.socket]) -> SpawnProcess:
    """Start a new process. It never sees the terminal's SIGINT: the parent does, and tells it to drain."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    return process


async def _ended(process: SpawnProcess) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


async def converse(channel: socket.socket, snapshot: Callable[[], bytes], stop: asyncio.Event) -> None:
    """Be the worker's end of the socket pair: say that it is ready, and answer until the parent is gone."""
    reader, writer = await asyncio.open_connection(sock=channel)
    writer.write(READY)
    with suppress(OSError):
        while await reader.readline() == SNAPSHOT:
            writer.write(snapshot() + b"\n")
            await writer.drain()
    stop.set()
    writer.close()
