"""What does ``sitecache purge`` do?"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from proxy.commands.admin_client import admin_of
from proxy.commands.options import config_option
from proxy.errors import ConfigError, SitecacheError

_FAILED = 1
_WRONG = 2


@click.command()
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option("--prefix", metavar="PATH", multiple=True, help="All whose path begins like this.")
@click.option("--glob", metavar="PATTERN", multiple=True, help="All whose path is like this, * standing for any text.")
@click.option("--tag", metavar="TAG", multiple=True, help="All that the application gave this tag.")
@click.option("--host", metavar="HOST", multiple=True, help="All of this host; beside the others: only there.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--soft", is_flag=True, help="What is purged is stale, and not gone.")
@config_option
@click.option("--admin", metavar="ADDR", envvar="SITECACHE_ADMIN", help="The admin listener of the running proxy.")
@click.option("--token", metavar="TOKEN", envvar="SITECACHE_ADMIN_TOKEN", help="The token of admin.token.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def purge(  # noqa: PLR0913  one for each option
    *,
    urls: tuple[str, ...],
    prefix: tuple[str, ...],
    glob: tuple[str, ...],
    tag: tuple[str, ...],
    host: tuple[str, ...],
    everything: bool,
    soft: bool,
    file: str | None,
    admin: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Purge what is stored for each URL, or what the options name: for all workers and all proxies on the same caches.

    Asks the running proxy at 127.0.0.1:9180, at --admin, or where FILE of -c says. Exits with 1 where a cache could not
    be told: it will be, as soon as it is back.
    """
    named: dict[str, Any] = {"url": urls, "prefix": prefix, "glob": glob, "tag": tag, "host": host}
    asked: dict[str, Any] = {name: list(texts) for name, texts in named.items() if texts}
    asked |= {name: True for name, given in {"all": everything, "soft": soft}.items() if given}
    try:
        told = admin_of(file, admin, token).post("/purge", asked)
    except ConfigError as error:
        click.echo("\n".join(map(str, error.faults)), err=True)
        sys.exit(_WRONG)
    except (SitecacheError, ValueError, OSError) as error:
        click.echo(f"sitecache: {error}", err=True)
        sys.exit(_FAILED)
    if as_json:
        click.echo(json.dumps(told, indent=1))
    else:
        _show(told)
    if told.get("failed"):
        sys.exit(_FAILED)


def _show(told: dict[str, Any]) -> None:
    what = told["purged"]
    how = "made stale" if what.pop("soft", False) else "purged"
    named = "; ".join(name if value is True else f"{name} {', '.join(value)}" for name, value in what.items())
    caches = ", ".join(told["caches"]) or "no cache"
    click.echo(f"{how} in {caches}: {named}")
    for alias, why in told.get("failed", {}).items():
        click.echo(f"sitecache: {alias} could not be told, and will be: {why}", err=True)
