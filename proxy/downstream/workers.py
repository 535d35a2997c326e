"""How do several processes serve together: who starts them, who replaces one that dies, who stops them?

The parent opens the listeners and accepts nobody; each worker accepts on the same sockets, so that a client whose
worker dies before taking it in is taken in by another. Between the parent and each worker is a socket pair: the worker
says when it is ready and what it has counted, changes over to what it is told to, and stops when the parent is gone.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess

from proxy.config.units import Seconds
from proxy.downstream.notices import Relay
from proxy.downstream.uplink import answer_questions

_log = logging.getLogger("sitecache")

_SNAPSHOT_SECONDS = 2.0
_ANSWER_SECONDS = Seconds(2)
#: For a worker to do what it is told: its storages may take a while.
_TELL_SECONDS = Seconds(10)
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_HEALTHY_AFTER = 10.0
_LAST_GRACE = 5.0
_LONGEST_LINE = 1 << 24

READY = b"ready\n"
SNAPSHOT = b"snapshot\n"
_CHANGE = b"change "
_CHANGED = b"changed"
_UNCHANGED = b"unchanged "
_ASK = b"ask "
_ANSWER = b"answer "

Answering = Callable[[bytes], Awaitable[bytes]]
"""What a worker answers to a question; the answer is one line."""

#: For a worker to change over; the storages that it leaves alone may take four of them.
_CHANGE_SECONDS = 30.0

Target = Callable[..., None]
"""What a worker runs: its number, the listeners, its end of the socket pair, and those by which it asks and is told by
others, where it may. It must be a module's own function or a ``functools.partial`` of one, for its process is new."""


@dataclass(frozen=True, slots=True)
class Work:
    """What workers are to do."""

    target: Target
    told: bytes
    """What has a worker that does something else change over to it."""


class UnchangedError(Exception):
    """A worker could not change over, and no worker has."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one worker said to a question."""

    number: int
    answer: bytes | None
    """None: it is not ready, or did not answer in time."""


class _Worker:
    """One place among the workers, and the process that fills it now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: SpawnProcess | None = None
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.asking = asyncio.Lock()
        self.ready = False
        self.work: Work | None = None
        """What it does."""
        self.counted = b""
        """What it last said it had counted."""
        self.started = 0.0
        self.pause = _FIRST_PAUSE
        self.missed: list[bytes] = []
        """What all were told while it started."""
        self.hearing: asyncio.Task[None] | None = None
        """Answers what it asks."""


class Supervisor:
    """Keeps a number of workers running until it is told to stop."""

    def __init__(
        self,
        work: Work,
        listeners: Sequence[socket.socket],
        count: int,
        ended: Callable[[bytes], None],
    ) -> None:
        """``ended`` is told what a worker that has died had counted, as far as it was asked."""
        self.asked: Answering | None = None
        """Answers what workers ask; without it, they must not ask."""
        self._relay = Relay()
        self._ended = ended
        self._work = work
        self._listeners = listeners
        self._workers = [_Worker(number) for number in range(count)]
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._all_ready = asyncio.Event()
        self._questions = 0
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
        hearing = [worker.hearing for worker in self._workers if worker.hearing is not None]
        for task in (*late, *hearing):
            task.cancel()
        self._relay.close()
        await asyncio.gather(*hearing, return_exceptions=True)
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
                # What it answered too late to an earlier question comes first.
                while (line := await reader.readline()) and not line.startswith(b"{"):
                    pass
                worker.counted = line or worker.counted
        return worker.counted

    async def ask(self, question: bytes, within: Seconds = _ANSWER_SECONDS) -> list[Answered]:
        """Ask all workers at once; return what each said. None of them waits for another."""
        self._questions += 1
        number = b"%d" % self._questions
        answers = await asyncio.gather(*(self._answer(worker, number, question, within) for worker in self._workers))
        return [Answered(worker.number, answer) for worker, answer in zip(self._workers, answers, strict=True)]

    async def ask_one(self, question: bytes, within: Seconds = _TELL_SECONDS) -> bytes | None:
        """Ask one worker after the other until one answers."""
        for worker in self._workers:
            self._questions += 1
            answer = await self._answer(worker, b"%d" % self._questions, question, within)
            if answer is not None:
                return answer
        return None

    async def tell(self, question: bytes, within: Seconds = _TELL_SECONDS) -> list[Answered]:
        """Ask all workers what each has to know: those that start too, later, and who does not answer is replaced."""
        told = [worker for worker in self._workers if worker.ready]
        for worker in self._workers:
            if not worker.ready:
                worker.missed.append(question)
        self._questions += 1
        number = b"%d" % self._questions
        answers = await asyncio.gather(*(self._answer(worker, number, question, within) for worker in told))
        for worker, answer in zip(told, answers, strict=True):
            if answer is None and worker.ready:
                self._replace(worker, hangs=True, what="did not answer")
        return [Answered(worker.number, answer) for worker, answer in zip(told, answers, strict=True)]

    async def _answer(self, worker: _Worker, number: bytes, question: bytes, within: Seconds) -> bytes | None:
        reader, writer = worker.reader, worker.writer
        if reader is None or writer is None or not worker.ready:
            return None
        begins = b"%b%b " % (_ANSWER, number)
        with suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(within), worker.asking:
                writer.write(b"%b%b %d\n%b" % (_ASK, number, len(question), question))
                # What it answered too late to an earlier question comes first.
                while line := await reader.readline():
                    if line.startswith(begins):
                        return line.removeprefix(begins).rstrip(b"\n")
        return None

    async def change(self, work: Work) -> None:
        """Have every worker do this; those that start from now on do so anyway.

        UnchangedError says why the first that was asked cannot, and then all go on as before. One that does not answer,
        or cannot though another could, is replaced.
        """
        for worker in self._workers:
            if not worker.ready:
                continue
            try:
                await self._tell(worker, work)
            except UnchangedError:
                if self._work is not work:
                    raise
                self._replace(worker)
            except OSError as error:
                self._replace(worker, hangs=isinstance(error, TimeoutError))
            else:
                self._work = work
        self._work = work

    async def _tell(self, worker: _Worker, work: Work) -> None:
        reader, writer = worker.reader, worker.writer
        if reader is None or writer is None or worker.work is work:
            return
        async with asyncio.timeout(_CHANGE_SECONDS), worker.asking:
            writer.write(b"%b%d\n%b" % (_CHANGE, len(work.told), work.told))
            while line := await reader.readline():
                if line.startswith(_UNCHANGED):
                    raise UnchangedError(line.removeprefix(_UNCHANGED).decode().strip())
                if line.startswith(_CHANGED):
                    worker.work = work
                    return
        raise ConnectionResetError("it has ended")

    def _replace(self, worker: _Worker, *, hangs: bool = False, what: str = "did not change over") -> None:
        """Let a worker drain and end, or end it at once where it hangs: another takes its place."""
        _log.warning("worker %d %s, and is replaced", worker.number, what)
        if worker.process is not None and worker.process.is_alive():
            if hangs:
                worker.process.kill()
            else:
                worker.process.terminate()

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
        worker.work = work = self._work
        worker.missed = []
        uplink = self._uplink(worker)
        with theirs:
            process = _spawn(work.target, (worker.number, self._listeners, theirs, *uplink))
        for channel in uplink:
            channel.close()
        worker.process = process
        worker.started = asyncio.get_running_loop().time()
        worker.reader, worker.writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        if await worker.reader.readline() == READY:
            worker.ready = True
            if self._work is not work:
                await self._catch_up(worker)
            for question in worker.missed:
                await self._answer(worker, b"missed", question, _TELL_SECONDS)
            if self._all_ready.is_set():
                _log.warning("worker %d is back", worker.number)
            if self.ready == len(self._workers):
                self._all_ready.set()

    def _uplink(self, worker: _Worker) -> Sequence[socket.socket]:
        """Return the ends of the socket pairs by which a worker asks, and has something passed on to the others."""
        if self.asked is None:
            return ()
        ours, theirs = socket.socketpair()
        if worker.hearing is not None:
            worker.hearing.cancel()
        worker.hearing = asyncio.create_task(answer_questions(ours, self.asked))
        return theirs, self._relay.join(worker.number)

    async def _catch_up(self, worker: _Worker) -> None:
        """Have a worker do what was asked of the others while it started."""
        try:
            await self._tell(worker, self._work)
        except UnchangedError:
            self._replace(worker)
        except OSError as error:
            self._replace(worker, hangs=isinstance(error, TimeoutError))


def _spawn(target: Target, arguments: tuple[object, ...]) -> SpawnProcess:
    """Start a new process. It sees neither the terminal's SIGINT nor SIGHUP: the parent does, and tells it."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Blocked, and not ignored: one that comes now is for us, a little later.
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
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


async def converse(
    channel: socket.socket,
    snapshot: Callable[[], bytes],
    change: Callable[[bytes], Awaitable[None]],
    stop: asyncio.Event,
    answering: Answering | None = None,
) -> None:
    """Be the worker's end of the socket pair: say that it is ready, and do as it is told until the parent is gone.

    ``answering`` is asked what the parent asks of all workers; it must not raise.
    """
    reader, writer = await asyncio.open_connection(sock=channel)
    writer.write(READY)
    with suppress(OSError, asyncio.IncompleteReadError):
        while line := await reader.readline():
            if line == SNAPSHOT:
                writer.write(snapshot() + b"\n")
            elif line.startswith(_ASK):
                number, size = line.removeprefix(_ASK).split()
                asked = await reader.readexactly(int(size))
                answer = b"" if answering is None else await answering(asked)
                writer.write(b"%b%b %b\n" % (_ANSWER, number, answer))
            else:
                told = await reader.readexactly(int(line.removeprefix(_CHANGE)))
                writer.write(await _answer(change, told) + b"\n")
            await writer.drain()
    stop.set()
    writer.close()


async def _answer(change: Callable[[bytes], Awaitable[None]], told: bytes) -> bytes:
    try:
        await change(told)
    except Exception as error:  # noqa: BLE001  whatever it was: the worker goes on, and its parent says why
        return _UNCHANGED + " ".join(f"{type(error).__name__}: {error}".split()).encode("utf-8", "backslashreplace")
    return _CHANGED
