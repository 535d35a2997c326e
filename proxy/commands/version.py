"""What does ``sitecache version`` say?"""

from __future__ import annotations

import platform
from importlib import metadata

import click

from proxy import __version__


@click.command()
def version() -> None:
    """Show the versions of sitecache and of what it stands on."""
    click.echo(f"sitecache {__version__}\nPython {platform.python_version()}")
    for name in ("uvloop", "httptools"):
        click.echo(f"{name} {_version_of(name)}")


def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
