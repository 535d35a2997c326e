"""What does ``sitecache explain`` do?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from proxy.commands.admin_client import Admin, admin_of
from proxy.commands.options import config_option
from proxy.config.load import load
from proxy.errors import ConfigError, SitecacheError

_UNREACHED = 1
_WRONG = 2

_Described = tuple[str, str, tuple[str, ...], str]
"""URL, method, fields and peer."""


@click.command()
@click.argument("url", metavar="URL")
@click.option("-H", "--header", "fields", metavar="'NAME: VALUE'", multiple=True, help="A field of the request.")
@click.option("-X", "--method", metavar="METHOD", default="GET", show_default=True, help="Of the request.")
@click.option("--from", "peer", metavar="IP", default="", help="Where it comes from, where trusted_proxies matter.")
@config_option
@click.option("--admin", metavar="ADDR", envvar="SITECACHE_ADMIN", help="The admin listener of the running proxy.")
@click.option("--token", metavar="TOKEN", envvar="SITECACHE_ADMIN_TOKEN", help="The token of admin.token.")
@click.option("--response", metavar="FILE", help="What curl -i printed: would it be stored? Asks no running proxy.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(  # noqa: PLR0913  one for each option
    *,
    url: str,
    fields: tuple[str, ...],
    method: str,
    peer: str,
    file: str | None,
    admin: str | None,
    token: str | None,
    response: str | None,
    as_json: bool,
) -> None:
    """Say what becomes of a request for URL, why, and what to do about it.

    Asks the running proxy at 127.0.0.1:9180, at --admin, or where FILE of -c says. With --response it asks nobody, and
    says whether a captured response would be stored by the configuration.
    """
    described = (url, method, fields, peer)
    try:
        told = _ask(described, admin_of(file, admin, token)) if response is None else _judge(described, file, response)
    except ConfigError as error:
        click.echo("\n".join(map(str, error.faults)), err=True)
        sys.exit(_WRONG)
    except (SitecacheError, ValueError, OSError) as error:
        click.echo(f"sitecache: {error}", err=True)
        sys.exit(_WRONG if response is not None else _UNREACHED)
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    from proxy.commands.explain_screen import show  # noqa: PLC0415  programs need no rich

    show(told)


def _ask(described: _Described, admin: Admin) -> Any:
    url, method, fields, peer = described
    given = {"from": peer} if peer else {}
    return admin.get("/explain", url=url, method=method, header=list(fields), **given)


def _judge(described: _Described, file: str | None, response: str) -> dict[str, Any]:
    from proxy.downstream.pretended import Asked  # noqa: PLC0415  asking a proxy needs none of these
    from proxy.offline import explain_response  # noqa: PLC0415
    from proxy.worker import clock  # noqa: PLC0415

    captured = sys.stdin.buffer.read() if response == "-" else Path(response).read_bytes()
    given = {} if file else {"upstream": "http://127.0.0.1:1"}
    config = load(None if file is None else Path(file), os.environ, given).config
    return explain_response(config, Asked(*described), captured, clock())
