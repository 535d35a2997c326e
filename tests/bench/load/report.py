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

from tests.bench.load import goals
from tests.bench.load.latency import LATENCY
from tests.bench.load.rounds import Failure, Figure, Measurement, Round

#: The servers that the others are compared with: as Debian sets it up, and the fastest configuration found.
YARDSTICKS = ("nginx-debian", "nginx")
BUSY_ENOUGH = 0.9
ROOT = Path(__file__).parents[3]
HEAD = (
    "load",
    "server",
    "requests/s",
    "lowest to highest",
    *(f"of {name}" for name in YARDSTICKS),
    "p50 ms",
    "p99 ms",
    "core used",
    "per core second",
)
GOALS_HEAD = ("line", "goal", "result", "reached")
FIGURES_HEAD = ("load", "server", "figure", "median", "lowest to highest")
Measured = Sequence[Measurement]
Table = Sequence[Sequence[str]]


def rate(measured: Round) -> float:
    """Requests for each second of the clock."""
    return measured.per_second


def rate_of_core(measured: Round) -> float:
    """Requests for each second of processor time: depends less on what else runs on the machine."""
    return measured.per_second / measured.busy


def ratio(
    rounds: Sequence[Round], load: str, server: str, of: str, figure: Callable[[Round], float] = rate
) -> float | None:
    """The median over the rounds of a server's figure divided by another's in the same round."""
    figures = {(each.server, each.number): figure(each) for each in rounds if each.load == load}
    ratios = [
        own / figures[of, number]
        for (name, number), own in figures.items()
        if name == server and (of, number) in figures
    ]
    return median(ratios) if ratios else None


def believed(measured: Measured) -> list[Measurement]:
    """What was measured without what belongs to a failure: a server's rounds of a load in which one failed."""
    failed = {(each.load, each.server) for each in measured if isinstance(each, Failure)}
    return [
        each
        for each in measured
        if isinstance(each, Failure) or failed.isdisjoint({(each.load, each.server), (each.load, "")})
    ]


def rates(measured: Measured) -> list[Round]:
    """The rounds among what was measured."""
    return [each for each in measured if isinstance(each, Round)]


def rows(measured: Measured) -> list[tuple[str, ...]]:
    """One row for each load and server, in the order they were measured: medians of the rounds."""
    rounds, found = rates(measured), []
    for load, server in dict.fromkeys((each.load, each.server) for each in rounds):
        own = [each for each in rounds if (each.load, each.server) == (load, server)]
        reached = [each.per_second for each in own]
        ratios = [ratio(rounds, load, server, of) for of in YARDSTICKS]
        found.append(
            (
                load,
                server,
                f"{median(reached):,.0f}",
                f"{min(reached):,.0f} to {max(reached):,.0f}",
                *("" if one is None else f"{one:.2f}" for one in ratios),
                f"{median(each.p50_ms for each in own):.2f}",
                f"{median(each.p99_ms for each in own):.2f}",
                f"{median(each.busy for each in own):.0%}",
                f"{median(map(rate_of_core, own)):,.0f}",
            )
        )
    return found


def figure_rows(measured: Measured) -> list[tuple[str, ...]]:
    """One row for each of the other figures: medians of the rounds."""
    figures, found = [each for each in measured if isinstance(each, Figure)], []
    for load, server, name in dict.fromkeys((each.load, each.server, each.name) for each in figures):
        own = [each.value for each in figures if (each.load, each.server, each.name) == (load, server, name)]
        found.append((load, server, name, _number(median(own)), f"{_number(min(own))} to {_number(max(own))}"))
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def doubts(measured: Measured) -> list[str]:
    """Which rates say too little of their server, because it was kept from using its core."""
    found = []
    rounds = [each for each in rates(measured) if each.load != LATENCY]
    for load, server in dict.fromkeys((each.load, each.server) for each in rounds):
        busy = median(each.busy for each in rounds if (each.load, each.server) == (load, server))
        if busy < BUSY_ENOUGH:
            found.append(
                f"{server}, {load}: used {busy:.0%} of its core; "
                "the other core was the limit, or something else ran on this one"
            )
    return found


def failures(measured: Measured) -> list[str]:
    """What failed, in words."""
    return [f"{each.server or 'everything'}, {each.load}: {each.why}" for each in measured if isinstance(each, Failure)]


def tables(measured: Measured) -> list[tuple[str, int, Table]]:
    """What a report shows: (title, how many columns are text, rows with the head first)."""
    loads = {each.load for each in measured}
    found: list[tuple[str, int, Table]] = []
    if said := goals.rows([each for each in measured if not isinstance(each, Failure)], loads):
        found.append(("Goals", 3, [GOALS_HEAD, *said]))
    if said := rows(measured):
        found.append(("Rates", 2, [HEAD, *said]))
    if said := figure_rows(measured):
        found.append(("Other figures", 3, [FIGURES_HEAD, *said]))
    return found


def text(measured: Measured) -> str:
    """The tables in columns, for a terminal."""
    return "\n\n".join(f"{title}\n{_columns(columns, table)}" for title, columns, table in tables(measured))


def _columns(of_text: int, table: Table) -> str:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < of_text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def markdown(measured: Measured, facts: Mapping[str, str]) -> str:
    """The tables as a Markdown page, under the facts of the run."""
    lines = ["# Load benchmark, last kept run", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    for title, of_text, (head, *body) in tables(measured):
        lines += ["", f"## {title}", ""]
        lines += [f"| {' | '.join(head)} |", "|---|" + "---|" * (of_text - 1) + "---:|" * (len(head) - of_text)]
        lines += [f"| {' | '.join(row)} |" for row in body]
    remarks = [f"- failed: {one}" for one in failures(measured)] + [f"- doubtful: {one}" for one in doubts(measured)]
    lines += ["", *remarks] if remarks else []
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


def keep(folder: Path, measured: Measured, facts: Mapping[str, str]) -> list[Path]:
    """Write the tables as `load.md` and what was measured as JSON, named after date and commit; tells the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "load.md"
    table.write_text(markdown(measured, facts))
    raw = folder / f"load-{facts['date'].split()[0]}-{facts['commit'].split()[0]}.json"
    kept = {
        "facts": facts,
        "rounds": [asdict(each) for each in rates(measured)],
        "figures": [asdict(each) for each in measured if isinstance(each, Figure)],
        "failures": [asdict(each) for each in measured if isinstance(each, Failure)],
    }
    raw.write_text(json.dumps(kept, indent=1) + "\n")
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
