"""How many instructions does an operation take? A number that two commits can be compared by on any machine.

``python -m tests.bench.instructions`` (``make bench-micro``) prints a row for each load of ``tests.bench.wire`` and for
each step of ``tests.bench.micro``. All of them run in one process under valgrind, N and then 2N times; the difference
is divided by N, so that neither the start nor what is done once counts. The kernel's instructions do not count.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from tests.bench import wire
from tests.bench.micro import repeat, steps

#: A function of the C library that nothing else calls, and one that it calls itself: valgrind sees the call of the
#: latter, as it does not see every call that ctypes makes, and writes down what was counted since the one before.
MARK, SEEN = "hcreate", "hcreate_r"
#: Operations before the first mark; caches are filled by then.
WARM_UP = 100
READY = "ready"
URLS = 100


class UncountableError(Exception):
    """Instructions cannot be counted here."""


def count(operations: int) -> Mapping[str, float]:
    """Return the instructions that each operation takes, measured over so many; UncountableError says why not."""
    valgrind, control = shutil.which("valgrind"), shutil.which("callgrind_control")
    if valgrind is None or control is None:
        raise UncountableError("valgrind is not installed; tests/bench/install-peers brings it")
    with tempfile.TemporaryDirectory() as folder:
        out, go = Path(folder) / "out", Path(folder) / "go"
        command = [
            *(valgrind, "--quiet", "--tool=callgrind", "--instr-atstart=no", f"--dump-before={SEEN}"),
            *(f"--callgrind-out-file={out}", sys.executable, "-m", "tests.bench.instructions"),
            *("--operations", str(operations), "--go", str(go)),
        ]
        with subprocess.Popen(
            command,
            # The order of sets, and with it the work on them, must be the same each time.
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            said = _counted(process, [control, "--instr=on", str(process.pid)], go)
        return _differences(said, out, operations)


def _counted(process: subprocess.Popen[str], switch_on: Sequence[str], go: Path) -> list[str]:
    """Count from where the process says that it is ready, which saves most of the time; returns the rows it names."""
    said: list[str] = []
    for line in process.stdout or ():
        if line == f"{READY}\n":
            done = subprocess.run(switch_on, capture_output=True, text=True, check=False)
            if done.returncode:
                process.kill()
                raise UncountableError(f"{switch_on[0]} ended with {done.returncode}: {done.stderr.strip()}")
            go.touch()
        else:
            said.append(line.rstrip("\n"))
    if process.wait():
        raise UncountableError(f"valgrind ended with {process.returncode}: {' '.join(said)[-1000:]}")
    return said


def _differences(names: Sequence[str], out: Path, operations: int) -> Mapping[str, float]:
    """Read what was written at the marks: three for each row, before N operations, after these, and after 2N more."""
    found: dict[str, float] = {}
    for row, name in enumerate(names):
        once, twice = (_total(out.with_name(f"{out.name}.{3 * row + part}")) for part in (2, 3))
        found[name] = (twice - once) / operations
    return found


def _total(file: Path) -> int:
    try:
        counted = re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE)
    except FileNotFoundError:
        raise UncountableError(f"valgrind did not see a call of {SEEN}") from None
    if counted is None:
        raise UncountableError(f"{file.name} of valgrind has no sum")
    return int(counted[1])


async def be_counted(operations: int, go: Path) -> None:
    """Do everything that is counted, in the process that valgrind watches, with the marks between."""
    mark = ctypes.CDLL(None)[MARK]
    wires = [wire.Wire(load, URLS) for load in wire.LOADS]
    for exchanges in wires:
        await exchanges.prepare()
        await exchanges.run(WARM_UP)
    small = await steps()
    for step in small.values():
        repeat(step, WARM_UP)
    # A collection looks at what came since: how much lies here from before is not what is counted.
    gc.collect()
    gc.freeze()
    print(READY, flush=True)
    _wait_for(go)
    for exchanges in wires:
        mark(1)
        for part in (operations, 2 * operations):
            await exchanges.run(part)
            mark(1)
        exchanges.close()
        print(f"wire: {exchanges.load}")
    for name, step in small.items():
        mark(1)
        for part in (operations, 2 * operations):
            repeat(step, part)
            mark(1)
        print(f"micro: {name}")


def _wait_for(go: Path) -> None:
    # No sleep: valgrind listens between instructions of ours, and not while we are in the kernel.
    while not go.exists():
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=400)
    parser.add_argument("--go", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.go:
        uvloop.run(be_counted(options.operations, options.go))
        return
    try:
        counted = count(options.operations)
    except UncountableError as error:
        sys.exit(f"instructions: {error}")
    for name, instructions in counted.items():
        print(f"{name:28} {instructions:12,.0f} instructions")


if __name__ == "__main__":
    main()
