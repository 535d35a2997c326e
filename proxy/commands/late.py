"""Which commands are imported only when they are asked for? Those that serving has no use for."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import ClassVar

import click


class LateGroup(click.Group):
    """Commands, some of which are known by name and place until somebody asks for them."""

    late: ClassVar[Mapping[str, str]] = {}
    """Where each lies: ``package.module:name``, by its name on the command line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self.late})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is none of this name."""
        if cmd_name not in self.late:
            return super().get_command(ctx, cmd_name)
        command: click.Command = resolve_name(self.late[cmd_name])
        return command
