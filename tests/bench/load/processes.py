"""How is a server started on one core, how busy was it, and how does it end?"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
START_LIMIT = 20.0
STOP_LIMIT = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started server: its own process, and the session in which its children run."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        """Processor time that its process and all its children have used so far."""
        return sum(ticks for _, session, ticks in _processes() if session == self.process.pid) * TICK

    def memory_bytes(self) -> int:
        """Proportional set size (PSS) of its process and all its children: what they share is counted once."""
        return sum(_pss_bytes(pid) for pid, session, _ in _processes() if session == self.process.pid)

    def stop(self) -> None:
        """End it with SIGTERM; whatever is left of its own session after STOP_LIMIT is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid, session, _ in _processes():
            if session == self.process.pid:
                os.kill(pid, signal.SIGKILL)


def _processes() -> list[tuple[int, int, int]]:
    """(pid, session, processor ticks) of every process there is."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The command's name is in parentheses and may hold anything; the rest is fields.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found.append((int(entry.name), int(fields[3]), int(fields[11]) + int(fields[12])))
    return found


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(name: str, command: Sequence[str], port: int, core: int, folder: Path) -> Running:
    """Start `command` pinned to `core` and wait until `port` accepts; raises RuntimeError with its output."""
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(name, port, process, log)
    try:
        _wait_until_accepting(running)
    except BaseException:
        running.stop()
        raise
    return running


def _wait_until_accepting(running: Running) -> None:
    give_up = time.monotonic() + START_LIMIT
    while time.monotonic() < give_up and running.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", running.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{running.name} did not start:\n{running.log.read_text(errors='replace')[-2000:]}")
