"""What can be said to sitecache on the command line?"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import click

from proxy import __version__
from proxy.config.load import Loaded, load
from proxy.config.memory_limit import memory_limit
from proxy.config.model import Config
from proxy.config.pitfalls import warnings
from proxy.config.rules import usable_cores
from proxy.config.show import show
from proxy.errors import ConfigError

BAD_CONFIGURATION = 2
"""The exit code; click gives the same for a command line it cannot read."""

_OVERRIDES: tuple[Callable[[Any], Any], ...] = (
    click.option("--upstream", metavar="URL", help="The application: http://host:port, https://host or unix:/path."),
    click.option("--listen", metavar="ADDR", multiple=True, help="Where to listen; may be given several times."),
    click.option("--workers", metavar="N", help="Processes that share the listeners, or auto."),
    click.option("--admin", metavar="ADDR|off", help="Where metrics and health are served."),
    click.option("--access-log", metavar="off|text|json", help="One line per request on standard output."),
)


def _overrides(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that stand above the file."""
    for option in reversed(_OVERRIDES):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A caching reverse proxy that runs beside one web application."""


@main.command()
@click.option("--config", "file", metavar="FILE", envvar="SITECACHE_CONFIG", help="The configuration, in YAML.")
@_overrides
@click.pass_obj
def serve(run: Callable[[Config], int] | None, /, file: str | None, **options: object) -> None:
    """Run the proxy until SIGTERM or SIGINT.

    Options stand above SITECACHE_UPSTREAM, SITECACHE_LISTEN, SITECACHE_WORKERS, SITECACHE_ADMIN and
    SITECACHE_ACCESS_LOG, and these above the file.
    """
    loaded = _load(file, options)
    _warn(loaded)
    sys.exit((run or _run)(loaded.config))


@main.command()
@click.argument("file", metavar="FILE", required=False, envvar="SITECACHE_CONFIG")
@_overrides
def check(file: str | None, **options: object) -> None:
    """Check FILE, show every setting and where its value comes from, and warn of what will bite."""
    loaded = _load(file, options)
    _echo(show(loaded), sys.stdout)
    _warn(loaded)


@main.command()
def version() -> None:
    """Show the versions of sitecache and of what it stands on."""
    _echo(f"sitecache {__version__}\nPython {platform.python_version()}\n", sys.stdout)
    for name in ("uvloop", "httptools"):
        _echo(f"{name} {_version_of(name)}\n", sys.stdout)


def _run(config: Config) -> int:
    from proxy.app import serve as run  # noqa: PLC0415  check and version need none of what serving imports

    return run(config)


def _load(file: str | None, options: dict[str, object]) -> Loaded:
    try:
        overrides = {name: value for name, value in options.items() if value not in {None, ()}}
        return load(Path(file) if file else None, os.environ, overrides)
    except ConfigError as error:
        _refuse(error)


def _refuse(error: ConfigError) -> NoReturn:
    for fault in error.faults:
        _echo(f"{fault}\n", sys.stderr)
    sys.exit(BAD_CONFIGURATION)


def _warn(loaded: Loaded) -> None:
    for line in warnings(loaded, memory_limit(), usable_cores()):
        _echo(f"config warning: {line}\n", sys.stderr)


def _echo(text: str, stream: Any) -> None:
    """Write text, escaping what the stream's encoding cannot hold."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, nl=False)


def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
