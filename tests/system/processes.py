"""How do tests run real servers? As processes on ports the kernel chose, watched, and ended by their own pid."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds for anything a process is waited for; only a broken one takes them."""

RUNNING: list[Process] = []
"""What runs now, so that a failed test can show what it said."""


class ProcessError(Exception):
    """A process ended, or said nothing of what was waited for."""


class Process:
    """One child process and everything it has written to its standard output and standard error."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None, fds: Sequence[int] = ()
    ) -> None:
        self.name = name
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        assert self._child.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._child.stdout,), daemon=True)
        self._reader.start()
        RUNNING.append(self)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._child.pid

    def lines(self) -> list[str]:
        """Return what it has written so far."""
        with self._news:
            return list(self._lines)

    def output(self) -> str:
        """Return what it has written so far as one text."""
        return "\n".join(self.lines())

    def wait_for(self, pattern: str, timeout: float = PATIENCE, start: int = 0) -> re.Match[str]:
        """Wait for a line, from number ``start`` on, that matches; raise ProcessError if none comes."""
        wanted = re.compile(pattern)
        seen = start

        def arrived() -> bool:
            return len(self._lines) > seen or self._ended

        with self._news:
            while True:
                for line in self._lines[seen:]:
                    seen += 1
                    if matched := wanted.search(line):
                        return matched
                if self._ended or not self._news.wait_for(arrived, timeout):
                    written = "\n".join(self._lines)
                    raise ProcessError(f"{self.name} never wrote {pattern!r}; it wrote:\n{written}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process."""
        self._child.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end and return its exit code, negative for the signal that ended it."""
        return self._child.wait(timeout)

    def stop(self, timeout: float = 10.0) -> int:
        """End it: SIGTERM first, and SIGKILL when that does not help in time; return the exit code."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self._child.kill()
        code = self._child.wait()
        # A grandchild that outlives it may hold the pipe open; its output is no longer of interest then.
        self._reader.join(timeout)
        if self in RUNNING:
            RUNNING.remove(self)
        return code

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    self._lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def listening_socket() -> socket.socket:
    """Return a socket that listens on a port the kernel chose, to be handed to a server: nobody can take it between."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.set_inheritable(True)
    return listener


def run_once(name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a command to its end; raise ProcessError with its output if it fails."""
    process = Process(name, command, env)
    code = process.wait()
    said = process.output()
    process.stop()
    if code:
        raise ProcessError(f"{name} ended with {code}:\n{said}")


def start_gunicorn(application: str, env: Mapping[str, str], threads: int = 16) -> tuple[Process, int]:
    """Start gunicorn with one process of many threads; return it and its port."""
    with listening_socket() as listener:
        command = [sys.executable, "-m", "gunicorn", application, "--config", "tests/sites/gunicorn.conf.py"]
        command += ["--bind", f"fd://{listener.fileno()}", "--worker-class", "gthread", "--threads", str(threads)]
        command += ["--graceful-timeout", "2", "--access-logfile", "-"]
        process = Process("gunicorn", command, env, [listener.fileno()])
        port = listener.getsockname()[1]
    _ready(process, r"Booting worker")
    return process, port


def start_uvicorn(application: str, env: Mapping[str, str] | None = None) -> tuple[Process, int]:
    """Start uvicorn; return it and its port."""
    with listening_socket() as listener:
        command = [sys.executable, "-m", "uvicorn", application]
        command += ["--fd", str(listener.fileno()), "--timeout-graceful-shutdown", "2"]
        process = Process("uvicorn", command, env, [listener.fileno()])
        port = listener.getsockname()[1]
    _ready(process, r"Application startup complete")
    return process, port


def start_proxy(upstream: str, *options: str, env: Mapping[str, str] | None = None) -> tuple[Process, int]:
    """Start the proxy with its defaults before an origin; return it and its port."""
    command = [sys.executable, "-m", "proxy", "serve", "--upstream", upstream]
    command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", "text", *options]
    process = Process("sitecache", command, env)
    _ready(process, r"^sitecache: ready")
    return process, int(process.wait_for(r"^sitecache: listening on 127\.0\.0\.1:(\d+)$")[1])


def admin_port(proxy: Process) -> int:
    """Return the port of a proxy's admin listener."""
    return int(proxy.wait_for(r"^sitecache: admin on 127\.0\.0\.1:(\d+)$")[1])


def _ready(process: Process, pattern: str) -> None:
    """Wait until it says that it is ready; end it if it does not."""
    try:
        process.wait_for(pattern)
    except BaseException:
        process.stop()
        raise
