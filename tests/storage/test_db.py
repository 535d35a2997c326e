"""What is special about a cache in a table: its making, its routers, its bounds, its neighbours and its failures?"""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.db import DatabaseCache, build
from proxy.storage.backends.limits import Limits
from proxy.storage.createcachetable import create_cache_table
from proxy.storage.databases import Routes, read_databases
from tests.storage.contract import Clock
from tests.storage.forwarder import forwarding
from tests.storage.postgresql import PASSWORD, address, as_nobody, postgresql, programs
from tests.storage.servers import Server

MINUTE = Seconds(60)
TABLE = 'odd "name"; --'


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite3"


@pytest.fixture(scope="module")
def server():
    with postgresql() as server:
        yield server


async def opened(place: Path, clock: Clock, *limits: int | None, table: str = "ct") -> DatabaseCache:
    databases = read_databases({"default": f"sqlite:///{place}"}, None)
    await create_cache_table(databases, "default", table)
    return DatabaseCache(table, databases, clock, Limits(*limits))


def rows(place: Path, sql: str = "SELECT cache_key, value, expires FROM ct ORDER BY 1", *args) -> list[tuple]:
    with closing(sqlite3.connect(place)) as connection, connection:
        return connection.execute(sql, args).fetchall()


# The table.

SQL = {
    "sqlite": (
        'CREATE TABLE "ct" (\n    "cache_key" varchar(255) NOT NULL PRIMARY KEY,\n    "value" text NOT NULL,\n'
        '    "expires" datetime NOT NULL\n);\nCREATE INDEX "ct_expires" ON "ct" ("expires");'
    ),
    "postgresql": (
        'CREATE TABLE "ct" (\n    "cache_key" varchar(255) NOT NULL PRIMARY KEY,\n    "value" text NOT NULL,\n'
        '    "expires" timestamp with time zone NOT NULL\n);\nCREATE INDEX "ct_expires" ON "ct" ("expires");'
    ),
}


async def test_a_dry_run_shows_the_sql_and_makes_nothing(place: Path, server) -> None:
    databases = read_databases({"default": f"sqlite:///{place}", "pg": address(server)}, None)
    assert await create_cache_table(databases, "default", "ct", dry_run=True) == SQL["sqlite"]
    assert rows(place, "SELECT name FROM sqlite_master") == []
    pg = read_databases({"default": address(server)}, None)
    assert await create_cache_table(pg, "default", "ct", dry_run=True) == SQL["postgresql"]
    assert await create_cache_table(pg, "default", "ct", dry_run=True) == SQL["postgresql"]


@pytest.mark.parametrize("table", ["ct", "with blanks", TABLE, "ünïcode", "100%", ":colon", "select"])
async def test_the_table_of_a_dry_run_is_the_table_that_is_made(tmp_path: Path, table: str) -> None:
    by_hand, by_us = tmp_path / "1", tmp_path / "2"
    sql = await create_cache_table(
        read_databases({"default": f"sqlite:///{by_hand}"}, None), "default", table, dry_run=True
    )
    with closing(sqlite3.connect(by_hand)) as connection:
        connection.executescript(sql)
    databases = read_databases({"default": f"sqlite:///{by_us}"}, None)
    assert await create_cache_table(databases, "default", table) == f"Cache table '{table}' created."
    assert await create_cache_table(databases, "default", table) == f"Cache table '{table}' already exists."
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2"
    assert rows(by_hand, schema) == rows(by_us, schema)


async def test_psql_takes_the_sql(server) -> None:
    databases = read_databases({"default": address(server)}, None)
    sql = await create_cache_table(databases, "default", TABLE, dry_run=True)
    psql = as_nobody(programs() / "psql", "-v", "ON_ERROR_STOP=1", "-q", address(server))
    done = subprocess.run(psql, input=sql, text=True, cwd="/", check=False)  # noqa: ASYNC221
    assert done.returncode == 0
    assert await create_cache_table(databases, "default", TABLE) == f"Cache table '{TABLE}' already exists."


def spoil(place: Path) -> None:
    place.write_bytes(b"no database" * 1000)


async def test_a_table_that_cannot_be_made_is_told_as_django_tells_it(place: Path) -> None:
    spoil(place)
    databases = read_databases({"default": f"sqlite:///{place}"}, None)
    with pytest.raises(
        StorageError, match=r"^Cache table 'ct' could not be created.\nThe error was: file is not a database.$"
    ):
        await create_cache_table(databases, "default", "ct")
    with pytest.raises(ValueError, match="expected one of default, found 'other'"):
        await create_cache_table(databases, "other", "ct")


# Routers.


class OwnRouter:
    """As somebody wrote it for Django."""

    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "django_cache" else None

    def db_for_write(self, model, **hints):
        return "primary" if model._meta.app_label == "django_cache" else None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == "primary" if (app_label, model_name) == ("django_cache", "cacheentry") else None


@pytest.mark.parametrize(
    "router",
    [
        pytest.param({"read": ["replica"], "write": "primary"}, id="mapping"),
        pytest.param({"read": "replica", "write": "primary", "migrate": "primary"}, id="mapping-whole"),
        pytest.param("tests.storage.test_db.OwnRouter", id="dotted-class"),
    ],
)
async def test_a_router_splits_reading_from_writing(tmp_path: Path, clock: Clock, router: object) -> None:
    files = {alias: tmp_path / alias for alias in ("primary", "replica")}
    databases = read_databases({alias: f"sqlite:///{file}" for alias, file in files.items()}, router)
    assert await create_cache_table(databases, "primary", "ct") == "Cache table 'ct' created."
    assert await create_cache_table(databases, "replica", "ct") == ""
    files["replica"].write_bytes(files["primary"].read_bytes())
    cache = DatabaseCache("ct", databases, clock)
    assert await cache.set("a", 1, MINUTE)
    assert not await cache.add("a", b"2", MINUTE)
    assert await cache.incr("a", 1) == 2
    assert await cache.touch("a", None)
    assert await cache.get("a") is None
    files["replica"].write_bytes(files["primary"].read_bytes())
    assert await cache.get("a") == 2
    assert await cache.rename("a", "b")
    assert await cache.delete("b")
    assert rows(files["primary"]) == []
    assert [row[0] for row in rows(files["replica"])] == ["a"]
    await cache.close()


def test_every_replica_is_read() -> None:
    routes = Routes(["a", "b", "c"])
    assert {routes.db_for_read(None) for _ in range(200)} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("databases", "router", "says"),
    [
        (None, None, r"DATABASES: expected at least one alias"),
        ({}, None, r"DATABASES: expected at least one alias"),
        ({"other": "sqlite:////db"}, None, r"DATABASES: expected one of the name 'default', found other"),
        ({"default": "oracle://me:secret@x/y"}, None, r"DATABASES.default: expected sqlite.*, found oracle://$"),
        ({"default": "secret"}, None, r"DATABASES.default: expected sqlite.*, found what is no URL$"),
        ({"default": ["secret"]}, None, r"DATABASES.default: .*, found what is no URL$"),
        ({"default": "sqlite://"}, None, r"DATABASES.default: .*, found a database in memory"),
        ({"default": "sqlite:////db"}, {"reads": "x"}, r"ROUTER.reads: expected one of read, write, migrate"),
        ({"default": "sqlite:////db"}, {"read": "x"}, r"ROUTER: expected one of default, found 'x'"),
        ({"default": "sqlite:////db"}, {"read": []}, r"ROUTER.read: expected at least one alias"),
        ({"default": "sqlite:////db"}, "no.such.Router", r"ROUTER: expected the dotted path of a class, found"),
        ({"default": "sqlite:////db"}, "Router", r"ROUTER: expected the dotted path of a class, found"),
        ({"default": "sqlite:////db"}, 5, r"ROUTER: expected read, write and migrate, or a dotted path, found 5"),
    ],
)
def test_wrong_databases_are_refused(databases: object, router: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}") as raised:
        read_databases(databases, router)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("location", "options", "says"),
    [
        ("", {}, "LOCATION: expected the name of a table, found ''"),
        (["a"], {}, r"LOCATION: expected the name of a table, found \['a'\]"),
        ("ct", {"MAX_ENTRIES": "x"}, "OPTIONS.MAX_ENTRIES: expected a whole number of 1 or more, found 'x'"),
        ("ct", {"DATABASES": {}}, "DATABASES: expected at least one alias with a URL, found none"),
        (
            "ct",
            {"MAX_BYTES": 5},
            "OPTIONS.MAX_BYTES: expected one of MAX_ENTRIES, CULL_FREQUENCY, found MAX_BYTES",
        ),
    ],
)
def test_wrong_entries_are_refused(location: object, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}$"):
        build(location, {"DATABASES": {"default": "sqlite:////db"}, **options})


# Rows.


async def test_rows_are_as_in_djangos_table(place: Path, clock: Clock) -> None:
    cache = await opened(place, clock)
    await cache.set("bytes", b"1", MINUTE)
    await cache.set("number", -255, None)
    assert rows(place) == [
        ("bytes", "MQ==", "1970-01-01 00:17:40.000000"),
        ("number", "int:-ff", "9999-12-31 23:59:59.000000"),
    ]
    await cache.close()


@pytest.mark.parametrize("text", ["not base64", "M", "int:", "int:1.5", "int:zz", "int:1_0", "\0", "ü"])
async def test_a_damaged_row_is_a_miss(place: Path, clock: Clock, text: str) -> None:
    cache = await opened(place, clock)
    await cache.set("a", b"1", MINUTE)
    rows(place, "UPDATE ct SET value = ?", text)
    assert await cache.get("a") is None
    with pytest.raises(KeyError):
        await cache.incr("a", 1)
    await cache.close()


async def test_keys_that_the_column_does_not_take_are_apart(place: Path, clock: Clock) -> None:
    cache = await opened(place, clock)
    keys = ["k" * 255, "k" * 256, "k" * 257, "a\0b", "a\0c", "\ud800", "\udc00", "blake2b:x", "a", "a ", "a  "]
    await cache.set_many({key: key.encode("utf-8", "surrogatepass") for key in keys}, MINUTE)
    assert await cache.get_many(keys) == {key: key.encode("utf-8", "surrogatepass") for key in keys}
    assert max(len(row[0]) for row in rows(place)) == 255
    assert sum(row[0].startswith("blake2b:") for row in rows(place)) == 9
    digest = next(row[0] for row in rows(place) if row[0].startswith("blake2b:"))
    assert await cache.get(digest) is None
    await cache.close()


async def test_a_value_that_is_too_late_for_a_date_never_ends(place: Path, clock: Clock) -> None:
    cache = await opened(place, clock)
    await cache.set("a", b"1", Seconds(10.0**15))
    assert rows(place)[0][2].startswith("9999-12-31")
    await cache.close()


DJANGO = """
import sys
import django
from django.conf import settings
settings.configure(
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "ct"}},
)
django.setup()
from django.core.cache import cache
from django.core.management import call_command
"""


def in_django(place: Path, code: str) -> str:
    command = [sys.executable, "-c", DJANGO + code, str(place)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_a_table_that_django_made_and_writes_to(place: Path) -> None:
    in_django(place, "call_command('createcachetable'); cache.set('theirs', ['x'], 60)")
    cache = build("ct", {"DATABASES": {"default": f"sqlite:///{place}"}})
    assert pickle.loads(await cache.get(":1:theirs")) == ["x"]
    await cache.set(":1:ours", pickle.dumps({"y": 1}), MINUTE)
    assert (
        in_django(place, "print(cache.get('ours'), cache.has_key('ours'), cache.touch('ours', 0))")
        == "{'y': 1} True True\n"
    )
    assert await cache.get(":1:ours") is None
    databases = read_databases({"default": f"sqlite:///{place}"}, None)
    assert await create_cache_table(databases, "default", "ct") == "Cache table 'ct' already exists."
    await cache.close()


# Bounds.


@pytest.mark.parametrize(("most", "frequency", "kept"), [(30, 3, 29), (30, 0, 18), (None, 3, 49)])
async def test_how_many_go(place: Path, clock: Clock, most: int | None, frequency: int, kept: int) -> None:
    cache = await opened(place, clock, most, frequency)
    for number in range(49):
        await cache.set(f"k{number}", b"1", MINUTE)
    assert len(rows(place)) == kept
    await cache.close()


async def test_what_ends_first_goes_first(place: Path, clock: Clock) -> None:
    cache = await opened(place, clock, 3, 2)
    for key, timeout in (("a", None), ("b", 10), ("c", 500), ("d", 20), ("e", 60)):
        await cache.set(key, b"1", None if timeout is None else Seconds(timeout))
    assert sorted(await cache.get_many("abcde")) == ["a", "c", "e"]
    await cache.close()


async def test_one_store_removes_what_has_expired(place: Path, clock: Clock) -> None:
    cache = await opened(place, clock, 5000)
    await cache.set_many({f"k{number}": b"1" for number in range(999)}, Seconds(1))
    clock.turn(2)
    await cache.set("new", b"1", MINUTE)
    assert [row[0] for row in rows(place)] == ["new"]
    await cache.close()


async def test_a_store_does_not_count_the_table(place: Path, clock: Clock) -> None:
    cache = await opened(place, clock, 300)
    said: Counter[str] = Counter()
    await cache.get("a")
    engine = cache._engines._engines["default"].sync_engine
    event.listen(engine, "before_cursor_execute", lambda *args: said.update([args[2].split()[0], "count(" in args[2]]))
    for number in range(1000):
        await cache.set(f"k{number}", b"1", MINUTE)
    assert said["INSERT"] == 1000
    assert said[True] <= 30
    # One sweep in the second that passed; the rest culls.
    assert said["DELETE"] <= 1 + said[True]
    assert 200 <= len(rows(place)) <= 300 + 300 // 20 + 1
    await cache.close()


# Failures.


async def test_a_missing_table_is_named_with_what_to_do(place: Path, clock: Clock, server) -> None:
    for url in (f"sqlite:///{place}", address(server)):
        cache = DatabaseCache("nowhere", read_databases({"default": url}, None), clock)
        with pytest.raises(
            StorageError, match=r"^database cache 'nowhere': .*nowhere.*; run: sitecache createcachetable$"
        ):
            await cache.get("a")
        with pytest.raises(StorageError, match="nowhere"):
            await cache.set("a", b"1", None)
        await cache.close()


async def test_a_wrong_password_is_one_line_without_it(clock: Clock, server) -> None:
    databases = read_databases({"default": address(server, password="wrong-secret")}, None)
    cache = DatabaseCache("ct", databases, clock)
    with pytest.raises(StorageError, match="password authentication failed") as raised:
        await cache.get("a")
    with pytest.raises(StorageError, match="password authentication failed") as made:
        await create_cache_table(databases, "default", "ct")
    for text in (str(raised.value), str(made.value)):
        assert "secret" not in text
        assert PASSWORD not in text
    assert "\n" not in str(raised.value)
    await cache.close()


async def survives(cache: DatabaseCache) -> bool:
    try:
        await cache.get("a")
    except StorageError:
        return False
    return True


async def test_a_server_that_dies_and_comes_back(clock: Clock) -> None:
    with postgresql() as server:
        databases = read_databases({"default": address(server)}, None)
        await create_cache_table(databases, "default", "ct")
        cache = DatabaseCache("ct", databases, clock)
        assert await cache.set("a", b"1", None)
        server.kill()
        with pytest.raises(StorageError) as raised:
            await cache.get("a")
        assert "\n" not in str(raised.value)
        server.start()
        # It takes connections before it has recovered, and says so.
        async with asyncio.timeout(60):
            while not await survives(cache):  # noqa: ASYNC110  the server tells nobody
                await asyncio.sleep(0.02)
        assert await cache.set("b", b"2", None)
        assert await cache.get("b") == b"2"
        await cache.close()


async def test_a_connection_that_was_lost_costs_no_store(clock: Clock, server) -> None:
    databases = read_databases({"default": address(server)}, None)
    await create_cache_table(databases, "default", "lost")
    cache, other = (DatabaseCache("lost", databases, clock) for _ in range(2))
    assert await cache.set("a", b"1", None)
    async with other._engines.connect("default") as connection:
        await connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'cache'"
        )
    assert await cache.set("a", b"2", None)
    assert await cache.get("a") == b"2"
    await cache.close()
    await other.close()


async def test_a_connection_is_opened_to_the_end_although_nobody_waits_for_it(clock: Clock, server) -> None:
    """As a database far away, whose greeting takes longer than a request may wait for the storage."""
    await create_cache_table(read_databases({"default": address(server)}, None), "default", "far")
    async with forwarding(server) as way:
        databases = read_databases({"default": address(Server([], ("127.0.0.1", way.port), Path("/")))}, None)
        cache = DatabaseCache("far", databases, clock)
        way.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await cache.get("a")
        way.release()
        (opening,) = cache._engines._opening
        await opening
        assert cache._engines._engines["default"].pool.checkedin() == 1
        asked = len(way.commands)
        assert await cache.get("a") is None
        assert await cache.set("a", b"1", None)
        assert len(way.commands) > asked
        assert cache._engines._engines["default"].pool.checkedin() == 1
        way.cut()
        await cache.close()


async def test_what_is_being_opened_ends_with_the_cache(clock: Clock, server) -> None:
    async with forwarding(server) as way:
        databases = read_databases({"default": address(Server([], ("127.0.0.1", way.port), Path("/")))}, None)
        cache = DatabaseCache("far", databases, clock)
        way.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await cache.get("a")
        await cache.close()
        assert not cache._engines._opening
