"""What did one run of wrk measure, and was every answer whole and a success?"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("wrk.lua")
OPEN_LOOP = Path(__file__).with_name("open_loop.lua")
CONNECTIONS = 64
MARK = "WRK "


class LoadError(Exception):
    """The round did not do what its load claims; its figure would mean nothing."""


@dataclass(frozen=True, slots=True)
class WrkResult:
    """What wrk.lua reports: counts over the whole run, latencies in milliseconds."""

    requests: int
    seconds: float
    bytes: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int
    p50_ms: float
    p99_ms: float
    delay_ms: float = 0.0
    """p99 of what the generator itself was late by; only that of a fixed rate tells"""

    @property
    def per_second(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds

    def faults(self, answer_bytes: tuple[float, float]) -> list[str]:
        """What was not as it must be, in words; empty for a clean run with answers of so many bytes (least, most)."""
        found = [
            f"{getattr(self, kind)} {kind} errors"
            for kind in ("connect", "read", "write", "status", "timeout")
            if getattr(self, kind)
        ]
        if not self.requests:
            found.append("no request was answered")
        elif not answer_bytes[0] <= self.bytes / self.requests <= answer_bytes[1]:
            least, most = answer_bytes
            found.append(f"{self.bytes / self.requests:.0f} bytes an answer, not {least:.0f} to {most:.0f}")
        return found


def parse(output: str) -> WrkResult:
    """Read the line that wrk.lua writes; raises LoadError where there is none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            return WrkResult(**json.loads(line.removeprefix(MARK)))
    raise LoadError(f"wrk reported nothing: {output.strip()[-500:]!r}")


def run(port: int, seconds: int, core: int, args: Sequence[str], answer_bytes: tuple[float, float]) -> WrkResult:
    """Load the server on `port` from one thread on `core`; raises LoadError unless every answer was good."""
    command = [
        *("taskset", "-c", str(core), "wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s"),
        *("--timeout", "5s", "-s", str(SCRIPT), f"http://127.0.0.1:{port}/", "--", *args),
    ]
    return judged(command, seconds, answer_bytes)


def run_at(port: int, seconds: int, core: int, file: str, rate: float) -> WrkResult:
    """Send `rate` requests a second, whether the earlier ones are answered or not, from one thread on `core`.

    A latency counts from when the request was due. Raises LoadError unless every answer was good.
    """
    command = [
        *("taskset", "-c", str(core), "luajit", str(OPEN_LOOP)),
        *(str(port), file, f"{rate:.3f}", str(seconds), str(CONNECTIONS)),
    ]
    return judged(command, seconds, (0, float("inf")))


def judged(command: Sequence[str], seconds: int, answer_bytes: tuple[float, float]) -> WrkResult:
    """Run a load generator and read its report; raises LoadError unless every answer was good."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if ended.returncode:
        raise LoadError(f"the generator ended with {ended.returncode}: {ended.stderr.strip() or ended.stdout.strip()}")
    result = parse(ended.stdout)
    if faults := result.faults(answer_bytes):
        raise LoadError("; ".join(faults))
    return result
