"""What does ``sitecache top`` do?"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click

from proxy.commands.admin_client import Admin, AdminError, admin_of
from proxy.commands.options import config_option
from proxy.commands.rates import History
from proxy.errors import ConfigError, SitecacheError

_UNREACHED = 1
_WRONG = 2
_LINES = 40
"""Of a screen that is no terminal's."""


@click.command()
@config_option
@click.option("--admin", metavar="ADDR", envvar="SITECACHE_ADMIN", help="The admin listener of the running proxy.")
@click.option("--token", metavar="TOKEN", envvar="SITECACHE_ADMIN_TOKEN", help="The token of admin.token.")
@click.option("--every", metavar="SECONDS", type=click.FloatRange(min=0.1), default=2.0, show_default=True)
@click.option("--once", is_flag=True, help="Show it once and end; so it is where no terminal is.")
def top(*, file: str | None, admin: str | None, token: str | None, every: float, once: bool) -> None:
    """Show what a running proxy does, live: hit ratio, times, the URLs that cost most and why. Ctrl-C ends it.

    Asks the running proxy at 127.0.0.1:9180, at --admin, or where FILE of -c says.
    """
    try:
        _show(admin_of(file, admin, token), None if once or not sys.stdout.isatty() else every)
    except ConfigError as error:
        click.echo("\n".join(map(str, error.faults)), err=True)
        sys.exit(_WRONG)
    except (SitecacheError, ValueError) as error:
        click.echo(f"sitecache: {error}", err=True)
        sys.exit(_UNREACHED)
    except KeyboardInterrupt:
        pass


def _show(admin: Admin, every: float | None) -> None:
    from rich.console import Console  # noqa: PLC0415  what is wrong can be said without
    from rich.live import Live  # noqa: PLC0415

    from proxy.commands.top_screen import Seen, screen  # noqa: PLC0415

    history = History()
    stats = admin.get("/stats")
    seen = Seen(admin.address, stats, history.add(stats))
    console = Console(highlight=False)
    if every is None:
        console.print(screen(seen, _LINES))
        return
    with Live(screen(seen, console.height), console=console, screen=True, auto_refresh=False) as live:
        for _ in _again(every):
            try:
                stats = admin.get("/stats")
                seen = Seen(admin.address, stats, history.add(stats))
            except AdminError:
                seen = Seen(admin.address, stats, None, "NO ANSWER; trying again")
            live.update(screen(seen, console.height), refresh=True)


def _again(every: float) -> Iterator[None]:
    while True:
        time.sleep(every)
        yield
