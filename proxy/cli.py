"""What can be said to sitecache on the command line?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import click
from click.core import ParameterSource

from proxy import __version__
from proxy.commands.late import LateGroup
from proxy.commands.options import config_option
from proxy.config.load import Loaded, Source, backend_fault, load
from proxy.config.memory_limit import memory_limit
from proxy.config.model import Config
from proxy.config.pitfalls import warnings
from proxy.config.rules import usable_cores
from proxy.config.show import show
from proxy.errors import ConfigError, Fault, SitecacheError
from proxy.storage.drivers import missing_driver

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


class _Commands(LateGroup):
    late: ClassVar[Mapping[str, str]] = {
        "explain": "proxy.commands.explain:explain",
        "purge": "proxy.commands.purge:purge",
        "top": "proxy.commands.top:top",
        "version": "proxy.commands.version:version",
    }


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="sitecache %(version)s")
def main() -> None:
    """A caching reverse proxy that runs beside one web application."""


@main.command()
@config_option
@_overrides
@click.pass_obj
def serve(parts: Parts | None, /, file: str | None, **options: object) -> None:
    """Run the proxy until SIGTERM or SIGINT; SIGHUP has it read FILE again.

    Options stand above SITECACHE_UPSTREAM, SITECACHE_LISTEN, SITECACHE_WORKERS, SITECACHE_ADMIN and
    SITECACHE_ACCESS_LOG, and these above the file.
    """
    parts = parts or Parts()
    loaded = _load(file, options)
    _judge(loaded, parts)
    _warn(loaded)
    source = Source(file, partial(_read_again, file, options, parts)) if file else None
    sys.exit(parts.run(loaded.config, source))


def _read_again(file: str, options: dict[str, object], parts: Parts) -> Config:
    loaded = load(Path(file), os.environ, _given(options))
    faults = _faults(loaded, parts)
    if faults:
        raise ConfigError(*faults)
    _warn(loaded)
    return loaded.config


@main.command()
@click.argument("place", metavar="[FILE]", required=False)
@config_option
@_overrides
@click.pass_obj
def check(parts: Parts | None, /, place: str | None, file: str | None, **options: object) -> None:
    """Check FILE, show every setting and where its value comes from, and warn of what will bite.

    FILE may stand behind -c, too, as with the other commands.
    """
    is_given = click.get_current_context().get_parameter_source("file") is ParameterSource.COMMANDLINE
    if place is not None and is_given:
        raise click.UsageError("give FILE once: by itself or behind --config")
    loaded = _load(place or file, options)
    _judge(loaded, parts or Parts())
    _echo(show(loaded), sys.stdout)
    _warn(loaded)


@main.command()
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@config_option
@click.option("--database", metavar="ALIAS", default="default", show_default=True, help="Which one of DATABASES.")
@click.option("--dry-run", is_flag=True, help="Show the SQL and make nothing.")
def createcachetable(tables: tuple[str, ...], file: str | None, database: str, dry_run: bool) -> None:
    """Make the table of each cache with the backend db, or only each TABLE."""
    loaded = _load(file, {})
    _judge(loaded, Parts())
    try:
        from proxy.storage.createcachetable import create_cache_tables  # noqa: PLC0415  an extra

        for text in create_cache_tables(loaded.config, tables, database, dry_run=dry_run):
            _echo(f"{text}\n", sys.stdout)
    except ImportError as error:
        _echo(f"{missing_driver(error) or error}\n", sys.stderr)
        sys.exit(BAD_CONFIGURATION)
    except (ValueError, SitecacheError) as error:
        _echo(f"{error}\n", sys.stderr)
        sys.exit(BAD_CONFIGURATION)


def _run(config: Config, source: Source | None) -> int:
    from proxy.app import serve as run  # noqa: PLC0415  check and version need none of what serving imports

    return run(config, source)


def _build(alias: str, config: Config) -> object:
    from proxy.storage.registry import open_cache  # noqa: PLC0415  the same

    return open_cache(alias, config)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the commands hand the configuration to."""

    run: Callable[[Config, Source | None], int] = _run
    build: Callable[[str, Config], object] = _build
    """Makes the cache of an alias, opening nothing; its ValueError or SitecacheError says what is wrong with it."""


def _judge(loaded: Loaded, parts: Parts) -> None:
    """Let each backend say whether it can use its settings."""
    faults = _faults(loaded, parts)
    if faults:
        _refuse(ConfigError(*faults))


def _faults(loaded: Loaded, parts: Parts) -> list[Fault]:
    faults = []
    for alias in loaded.config.CACHES:
        try:
            parts.build(alias, loaded.config)
        except (ValueError, SitecacheError) as error:
            faults.append(backend_fault(loaded, alias, error))
    return faults


def _load(file: str | None, options: dict[str, object]) -> Loaded:
    try:
        return load(Path(file) if file else None, os.environ, _given(options))
    except ConfigError as error:
        _refuse(error)


def _given(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value not in {None, ()}}


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
