"""The command: `python -m tests.bench.load`, run by `make bench`."""

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from itertools import product
from pathlib import Path

import click

from tests.bench.load import report
from tests.bench.load.rounds import BARE_NGINX, CEILING, LOADS, OTHER_CORE, TESTED_CORE, Round, bench
from tests.bench.load.servers import SERVERS, program_version
from tests.bench.load.wrk import LoadError


def _chosen(known: Collection[str]) -> Callable[[click.Context, click.Parameter, str], tuple[str, ...]]:
    """Read names with commas between them, each one of those known."""

    def convert(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
        chosen = tuple(value.split(","))
        if unknown := [name for name in chosen if name not in known]:
            raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(known)}")
        return chosen

    return convert


@click.command()
@click.option("--servers", callback=_chosen(SERVERS), default="sitecache,nginx,nginx-debian,varnish", show_default=True)
@click.option("--loads", callback=_chosen((*LOADS, CEILING)), default=",".join(LOADS), show_default=True)
@click.option("--rounds", type=click.IntRange(1, 99), default=5, show_default=True)
@click.option("--seconds", type=click.IntRange(1, 600), default=5, show_default=True, help="of one round")
@click.option("--keep", type=click.Path(path_type=Path), help="folder for the table and the raw results")
def main(servers: tuple[str, ...], loads: tuple[str, ...], rounds: int, seconds: int, keep: Path | None) -> None:
    """Measure requests per second of the servers, one core each; they take turns within each round."""
    os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    if not {TESTED_CORE, OTHER_CORE} <= os.sched_getaffinity(0):
        raise click.ClickException(f"needs the cores {TESTED_CORE} and {OTHER_CORE}")
    # So that SIGTERM ends the servers as an interrupt does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    versions = {name: SERVERS[name].version() for name in servers} | {"wrk": program_version("wrk", "-v")}
    facts = report.facts_of_run(versions, seconds, rounds)
    click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()) + "\n")
    measured: list[Round] = []
    try:
        if CEILING in loads:
            with bench([BARE_NGINX], seconds, rounds, click.echo) as running:
                measured += running.measure([CEILING])
        if cached := [load for load in loads if load != CEILING]:
            with bench(servers, seconds, rounds, click.echo) as running:
                measured += running.measure(cached)
    except (LoadError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    click.echo("\n" + report.text_table(measured))
    for line in _ratios(measured, loads, servers):
        click.echo(line)
    for doubt in report.doubts(measured):
        click.echo(f"doubtful: {doubt}")
    if keep:
        for path in report.keep(keep, measured, facts):
            click.echo(f"kept: {path}")


def _ratios(measured: list[Round], loads: tuple[str, ...], servers: tuple[str, ...]) -> Iterator[str]:
    for load, peer in product(loads, servers):
        if peer != "sitecache" and (ratio := report.ratio(measured, load, "sitecache", of=peer)) is not None:
            of_core = report.ratio(measured, load, "sitecache", report.rate_of_core, peer)
            yield f"sitecache/{peer}, {load}: {ratio:.2f} (per core second: {of_core:.2f})"


main()
