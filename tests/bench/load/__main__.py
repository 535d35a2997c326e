"""The command: `python -m tests.bench.load`, run by `make bench`."""

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from itertools import product
from pathlib import Path

import click

from tests.bench.load import report
from tests.bench.load.every import ENTRIES, USUAL, run
from tests.bench.load.rounds import OTHER_CORE, TESTED_CORE, Plan, Round, cores_are_there
from tests.bench.load.servers import SERVERS, program_version


def _chosen(known: Collection[str]) -> Callable[[click.Context, click.Parameter, str], tuple[str, ...]]:
    """Read names with commas between them, each one of those known."""

    def convert(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
        chosen = tuple(value.split(","))
        if unknown := [name for name in chosen if name not in known]:
            raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(known)}")
        return chosen

    return convert


@click.command()
@click.option("--servers", callback=_chosen(SERVERS), default=",".join(SERVERS), show_default=True)
@click.option("--loads", callback=_chosen(ENTRIES), default=",".join(USUAL), show_default=True)
@click.option("--rounds", type=click.IntRange(1, 99), default=5, show_default=True)
@click.option("--seconds", type=click.IntRange(1, 600), default=3, show_default=True, help="of one round")
@click.option("--keep", type=click.Path(path_type=Path), help="folder for the tables and the raw results")
def main(servers: tuple[str, ...], loads: tuple[str, ...], rounds: int, seconds: int, keep: Path | None) -> None:
    """Measure every goal side by side with its peers, one core each; they take turns within each round."""
    os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    if not cores_are_there():
        raise click.ClickException(f"needs the cores {TESTED_CORE} and {OTHER_CORE}")
    # So that SIGTERM ends the servers as an interrupt does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    used = [name for name in servers if any(name in ENTRIES[load].servers for load in loads)]
    versions = {name: SERVERS[name].version() for name in used if SERVERS[name].is_there}
    facts = report.facts_of_run(versions | {"wrk": program_version("wrk", "-v")}, seconds, rounds)
    click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()) + "\n")
    plan = Plan(seconds, rounds, click.echo)
    measured = report.believed([each for load in loads for each in run(load, servers, plan)])
    click.echo("\n" + report.text(measured) + "\n")
    for line in _ratios(report.rates(measured), loads, servers):
        click.echo(line)
    for failure in report.failures(measured):
        click.echo(f"failed: {failure}")
    for doubt in report.doubts(measured):
        click.echo(f"doubtful: {doubt}")
    if keep:
        for path in report.keep(keep, measured, facts):
            click.echo(f"kept: {path}")
    sys.exit(1 if report.failures(measured) else 0)


def _ratios(measured: list[Round], loads: tuple[str, ...], servers: tuple[str, ...]) -> Iterator[str]:
    for load, peer in product(loads, servers):
        if peer != "sitecache" and (ratio := report.ratio(measured, load, "sitecache", peer)) is not None:
            of_core = report.ratio(measured, load, "sitecache", peer, report.rate_of_core)
            yield f"sitecache/{peer}, {load}: {ratio:.2f} (per core second: {of_core:.2f})"


main()
