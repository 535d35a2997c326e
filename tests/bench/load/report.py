"""What do the rounds come to, and on which machine was that?"""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.bench.load.rounds import Round

#: The server that the others are compared with.
YARDSTICK = "nginx"
BUSY_ENOUGH = 0.9
ROOT = Path(__file__).parents[3]
HEAD = (
    "load",
    "server",
    "requests/s",
    "lowest to highest",
    "of nginx",
    "p50 ms",
    "p99 ms",
    "core used",
    "per core second",
)


def rate(measured: Round) -> float:
    """Requests for each second of the clock."""
    return measured.per_second


def rate_of_core(measured: Round) -> float:
    """Requests for each second of processor time: depends less on what else runs on the machine."""
    return measured.per_second / measured.busy


def ratio(
    rounds: Sequence[Round],
    load: str,
    server: str,
    figure: Callable[[Round], float] = rate,
    of: str = YARDSTICK,
) -> float | None:
    """The median over the rounds of a server's figure divided by another's in the same round."""
    figures = {(each.server, each.number): figure(each) for each in rounds if each.load == load}
    ratios = [
        own / figures[of, number]
        for (name, number), own in figures.items()
        if name == server and (of, number) in figures
    ]
    return median(ratios) if ratios else None


def rows(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    """One row for each load and server, in the order they were measured: medians of the rounds."""
    found: list[tuple[str, ...]] = []
    for load, server in dict.fromkeys((each.load, each.server) for each in rounds):
        own = [each for each in rounds if (each.load, each.server) == (load, server)]
        rates = [each.per_second for each in own]
        of_yardstick = ratio(rounds, load, server)
        found.append(
            (
                load,
                server,
                f"{median(rates):,.0f}",
                f"{min(rates):,.0f} to {max(rates):,.0f}",
                "" if of_yardstick is None else f"{of_yardstick:.2f}",
                f"{median(each.p50_ms for each in own):.2f}",
                f"{median(each.p99_ms for each in own):.2f}",
                f"{median(each.busy for each in own):.0%}",
                f"{median(map(rate_of_core, own)):,.0f}",
            )
        )
    return found


def doubts(rounds: Sequence[Round]) -> list[str]:
    """Which rates say too little of their server, because it was kept from using its core."""
    found = []
    for load, server in dict.fromkeys((each.load, each.server) for each in rounds):
        busy = median(each.busy for each in rounds if (each.load, each.server) == (load, server))
        if busy < BUSY_ENOUGH:
            found.append(
                f"{server}, {load}: used {busy:.0%} of its core; "
                "the other core was the limit, or something else ran on this one"
            )
    return found


def text_table(rounds: Sequence[Round]) -> str:
    """The rows in columns, for a terminal."""
    table = [HEAD, *rows(rounds)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def markdown(rounds: Sequence[Round], facts: Mapping[str, str]) -> str:
    """The rows as a Markdown page, under the facts of the run."""
    lines = ["# Load benchmark, last kept run", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", f"| {' | '.join(HEAD)} |", "|---|---|" + "---:|" * (len(HEAD) - 2)]
    lines += [f"| {' | '.join(row)} |" for row in rows(rounds)]
    if said := doubts(rounds):
        lines += ["", *(f"- doubtful: {doubt}" for doubt in said)]
    return "\n".join(lines) + "\n"


def facts_of_run(versions: Mapping[str, str], seconds: int, rounds: int) -> dict[str, str]:
    """When, on what and with what a run was made."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "rounds": f"{rounds} of {seconds} s each",
    }


def keep(folder: Path, rounds: Sequence[Round], facts: Mapping[str, str]) -> list[Path]:
    """Write the table as `load.md` and the rounds as JSON, named after date and commit; tells the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "load.md"
    table.write_text(markdown(rounds, facts))
    raw = folder / f"load-{facts['date'].split()[0]}-{facts['commit'].split()[0]}.json"
    raw.write_text(json.dumps({"facts": facts, "rounds": [asdict(each) for each in rounds]}, indent=1) + "\n")
    return [table, raw]


def _commit() -> str:
    def git(*args: str) -> str:
        said = subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, text=True, check=False)
        return said.stdout.strip()

    changed = " with changes not committed" if git("status", "--porcelain", "--", "proxy") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
