"""What does ``sitecache createcachetable`` make and say?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.storage.backends.db import DatabaseCache


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "db.sqlite3"


def run(place: Path, *args: str, settings: dict | None = None, entries: dict | None = None, **tables: str) -> Result:
    databases = {"default": f"sqlite:///{place}", "other": f"sqlite:///{place}.other"}
    caches = {alias: {"BACKEND": "db", "LOCATION": table} for alias, table in tables.items()}
    content = {"DATABASES": databases} if settings is None else settings
    caches |= entries or {}
    content |= {"upstream": "http://127.0.0.1:9", "CACHES": {"default": {"BACKEND": "locmem"}, **caches}}
    file = place.with_name("site.yaml")
    file.write_text(yaml.safe_dump(content))
    return CliRunner().invoke(main, ["createcachetable", "--config", str(file), *args])


def tables(place: Path) -> list[str]:
    with closing(sqlite3.connect(place)) as connection:
        return [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]


def test_every_cache_gets_its_table_once(place: Path) -> None:
    first = run(place, one="ct", two="with blanks", three="ct")
    assert (first.exit_code, first.output) == (0, "Cache table 'ct' created.\nCache table 'with blanks' created.\n")
    again = run(place, one="ct", two="with blanks")
    lines = "Cache table 'ct' already exists.\nCache table 'with blanks' already exists.\n"
    assert (again.exit_code, again.output) == (0, lines)
    assert tables(place) == ["ct", "with blanks"]


def test_a_dry_run_makes_nothing(place: Path) -> None:
    shown = run(place, "--dry-run", one="ct")
    assert shown.exit_code == 0
    assert shown.output.startswith('CREATE TABLE "ct" (\n')
    assert tables(place) == []
    with closing(sqlite3.connect(place)) as connection:
        connection.executescript(shown.output)
    assert tables(place) == ["ct"]


def test_names_are_the_only_tables_that_are_made(place: Path) -> None:
    run(place, "two", "third", one="ct", two="two")
    assert tables(place) == ["third", "two"]


def test_another_database(place: Path) -> None:
    run(place, "--database", "other", one="ct")
    assert tables(place) == []
    assert tables(Path(f"{place}.other")) == ["ct"]


class Derived(DatabaseCache):
    """An operator's own class."""


class Router:
    """Makes tables in ``other`` only."""

    def db_for_read(self, model, **hints):
        return "other"

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        assert (app_label, model_name) == ("django_cache", "cacheentry")
        return db == "other"


def test_a_cache_with_databases_of_its_own_gets_its_table_there(place: Path) -> None:
    own = f"sqlite:///{place}.own"
    caches = {
        "one": {"BACKEND": "db", "LOCATION": "shared"},
        "two": {"BACKEND": "db", "LOCATION": "own", "OPTIONS": {"DATABASES": {"default": own, "x": f"{own}.x"}}},
        "three": {"BACKEND": f"{__name__}.Derived", "LOCATION": "derived"},
    }
    settings = {"DATABASES": {"default": f"sqlite:///{place}"}}
    done = run(place, settings=settings, entries=caches)
    said = "".join(f"Cache table '{table}' created.\n" for table in ("shared", "derived", "own"))
    assert (done.exit_code, done.output) == (0, said)
    assert (tables(place), tables(Path(f"{place}.own"))) == (["derived", "shared"], ["own"])
    assert run(place, "--database", "x", settings=settings, entries=caches).output == "Cache table 'own' created.\n"
    assert run(place, "own", settings=settings, entries=caches).output == "Cache table 'own' already exists.\n"
    assert tables(Path(f"{place}.own.x")) == ["own"]


def test_a_router_of_ones_own_is_asked(place: Path) -> None:
    databases = {"default": f"sqlite:///{place}", "other": f"sqlite:///{place}.other"}
    settings = {"DATABASES": databases, "ROUTER": f"{__name__}.Router"}
    assert run(place, settings=settings, one="ct").output == ""
    assert run(place, "--database", "other", settings=settings, one="ct").output == "Cache table 'ct' created.\n"
    assert (place.exists() and tables(place), tables(Path(f"{place}.other"))) == (False, ["ct"])


def test_a_router_that_forbids_it_says_nothing(place: Path) -> None:
    databases = {"default": f"sqlite:///{place}", "replica": f"sqlite:///{place}.other"}
    settings = {"DATABASES": databases, "ROUTER": {"read": ["replica"]}}
    done = run(place, "--database", "replica", settings=settings, one="ct")
    assert (done.exit_code, done.output) == (0, "")
    assert tables(Path(f"{place}.other")) == []


def test_without_database_caches_there_is_nothing_to_do(place: Path) -> None:
    done = run(place)
    assert (done.exit_code, done.output) == (0, "")


@pytest.mark.parametrize(
    ("args", "caches", "says"),
    [
        pytest.param(["--database", "x"], {"one": "ct"}, "expected one of default, other, found 'x'", id="database"),
        pytest.param([], {"settings": {}, "one": "ct"}, "DATABASES: expected", id="no-databases"),
        pytest.param(["ct"], {"settings": {}}, "DATABASES: expected", id="no-databases-for-a-name"),
    ],
)
def test_what_cannot_be_done_is_said(place: Path, args: list[str], caches: dict, says: str) -> None:
    done = run(place, *args, **caches)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output
