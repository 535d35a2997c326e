"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., None])


def config_option(command: Command) -> Command:
    """Give a command ``-c FILE``, ``--config FILE``; SITECACHE_CONFIG stands for it."""
    says = "The configuration, in YAML."
    return click.option("-c", "--config", "file", metavar="FILE", envvar="SITECACHE_CONFIG", help=says)(command)
