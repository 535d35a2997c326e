"""Which database is a table read from, written to and made in?

A router decides it, as in Django: an object with ``db_for_read``, ``db_for_write`` and ``allow_migrate``, or our
``Routes``, which has fixed answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from random import choice
from typing import Any, Protocol

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from proxy.storage.drivers import need_driver

DEFAULT = "default"

APP_LABEL = "django_cache"
"""What routers know the table by, as in Django."""

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
}


class Router(Protocol):
    """Django's three methods; None is no opinion."""

    def db_for_read(self, model: Any, /, **hints: Any) -> str | None: ...

    def db_for_write(self, model: Any, /, **hints: Any) -> str | None: ...

    def allow_migrate(self, db: str, app_label: str, /, **hints: Any) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Routes:
    """A router with fixed answers: replicas to read from, one database to write to and to make tables in."""

    read: Sequence[str] = (DEFAULT,)
    write: str = DEFAULT
    migrate: str | None = None
    """None: tables are made wherever somebody asks for it."""

    def db_for_read(self, _model: object, /, **_hints: object) -> str:
        """Return any one of the replicas."""
        return choice(self.read)  # noqa: S311  nothing secret

    def db_for_write(self, _model: object, /, **_hints: object) -> str:
        """Return the primary."""
        return self.write

    def allow_migrate(self, db: str, _app_label: str, /, **_hints: object) -> bool:
        """Tell whether tables are made there."""
        return self.migrate in {None, db}


class Options:
    """What routers look at in a model: ``model._meta``."""

    def __init__(self, table: str) -> None:
        self.db_table = table
        self.app_label = APP_LABEL
        self.model_name = "cacheentry"
        self.object_name = "CacheEntry"
        self.verbose_name = "cache entry"
        self.verbose_name_plural = "cache entries"
        self.abstract = self.proxy = self.swapped = False
        self.managed = True


class Model:
    """A table, as Django shows it to routers."""

    def __init__(self, table: str) -> None:
        self._meta = Options(table)


class Databases:
    """The databases by their aliases, and who decides between them."""

    def __init__(self, urls: Mapping[str, URL], router: Router) -> None:
        self._urls = urls
        self._router = router

    def __contains__(self, alias: object) -> bool:
        return alias in self._urls

    def url(self, alias: str) -> URL:
        """Return where the database is; ValueError when there is none of that alias."""
        if alias not in self._urls:
            raise ValueError(f"DATABASES: expected one of {', '.join(self._urls)}, found {alias!r}")
        return self._urls[alias]

    def for_reading(self, table: str) -> str:
        """Return the alias of the database to read from now."""
        return self._router.db_for_read(Model(table)) or DEFAULT

    def for_writing(self, table: str) -> str:
        """Return the alias of the database that all changes go to."""
        return self._router.db_for_write(Model(table)) or DEFAULT

    def may_make(self, alias: str, table: str) -> bool:
        """Tell whether the table is to be made in that database."""
        answer = self._router.allow_migrate(alias, APP_LABEL, model_name="cacheentry", model=Model(table))
        return answer is None or answer


def read_databases(databases: object, router: object) -> Databases:
    """Read DATABASES and ROUTER; ValueError says which is wrong, and never shows a password."""
    if not isinstance(databases, Mapping) or not databases:
        raise ValueError("DATABASES: expected at least one alias with a URL, found none")
    urls = {str(alias): _url(str(alias), address) for alias, address in databases.items()}
    found = Databases(urls, _router(router, urls))
    if router is None and DEFAULT not in urls:
        raise ValueError(f"DATABASES: expected one of the name {DEFAULT!r}, found {', '.join(urls)}")
    return found


def _url(alias: str, address: object) -> URL:
    expected = f"DATABASES.{alias}: expected sqlite:////path, or postgresql:// or mysql://user:password@host/name"
    try:
        url = make_url(address if isinstance(address, str) else "")
    except (ArgumentError, ValueError):
        raise ValueError(f"{expected}, found what is no URL") from None
    kind = url.drivername.partition("+")[0]
    if kind not in _DRIVERS:
        raise ValueError(f"{expected}, found {url.drivername}://")
    if kind == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ValueError(f"{expected}, found a database in memory, which each connection has to itself")
    need_driver(_DRIVERS[kind].partition("+")[2])
    return url.set(drivername=_DRIVERS[kind])


def _router(router: object, urls: Mapping[str, URL]) -> Router:
    if router is None:
        return Routes()
    if isinstance(router, str):
        module, _, name = router.rpartition(".")
        try:
            made: Router = getattr(import_module(module), name)()
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"ROUTER: expected the dotted path of a class, found {router!r} ({error})") from error
        return made
    if isinstance(router, Mapping):
        return _routes(router, urls)
    raise ValueError(f"ROUTER: expected read, write and migrate, or a dotted path, found {router!r}")


def _routes(router: Mapping[str, Any], urls: Mapping[str, URL]) -> Routes:
    for name in router:
        if name not in {"read", "write", "migrate"}:
            raise ValueError(f"ROUTER.{name}: expected one of read, write, migrate, found {name}")
    write = router.get("write", DEFAULT)
    read = router.get("read", write)
    routes = Routes([read] if isinstance(read, str) else list(read), write, router.get("migrate", write))
    for alias in (*routes.read, routes.write, routes.migrate):
        if alias is not None and alias not in urls:
            raise ValueError(f"ROUTER: expected one of {', '.join(urls)}, found {alias!r}")
    if not routes.read:
        raise ValueError("ROUTER.read: expected at least one alias, found none")
    return routes
