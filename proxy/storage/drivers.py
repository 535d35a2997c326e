"""Missing drivers of storages, and the extras that bring them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

EXTRAS: Mapping[str, str] = {
    "redis": "redis",
    "pymemcache": "memcached",
    "pylibmc": "pylibmc",
    "sqlalchemy": "db",
    "aiosqlite": "db",
    "asyncpg": "db",
    "aiomysql": "db",
}
"""The extra of sitecache that installs each package, by the name it is imported by."""


class MissingDriverError(ImportError):
    """A package that a storage needs is not installed."""

    def __init__(self, package: str, extra: str = "") -> None:
        """``extra`` is that of the storage where it is not the package's own."""
        install = f"pip install 'sitecache[{extra or EXTRAS[package]}]'"
        super().__init__(f"expected the package {package}, found none; {install}", name=package)


def missing_driver(error: ImportError, extra: str = "") -> MissingDriverError | None:
    """Return what is missing, where an import failed for want of a driver."""
    package = (error.name or "").partition(".")[0]
    is_absent = isinstance(error, ModuleNotFoundError) and package in EXTRAS
    return MissingDriverError(package, extra) if is_absent else None


def need_driver(package: str) -> None:
    """Raise MissingDriverError where a package that is imported later is not installed."""
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        raise (missing_driver(error) or error) from error
