"""What is special about a cache in a table of MySQL or MariaDB?"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.db import DatabaseCache
from proxy.storage.backends.limits import Limits
from proxy.storage.createcachetable import create_cache_table
from proxy.storage.databases import Databases, read_databases
from tests.storage.contract import Clock
from tests.storage.mariadb import address, ask, client, mariadb
from tests.storage.postgresql import PASSWORD
from tests.storage.servers import Server, await_that

MINUTE = Seconds(60)
TABLE = 'odd `"name"`; --'
SQL = (
    "CREATE TABLE `ct` (\n"
    "    `cache_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,\n"
    "    `value` longtext NOT NULL,\n    `expires` datetime(6) NOT NULL\n);\n"
    "CREATE INDEX `ct_expires` ON `ct` (`expires`);"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Two questions of these tests are answered from the log of statements.
    with mariadb("--log-output=TABLE") as server:
        yield server


@pytest.fixture
def databases(server: Server) -> Databases:
    ask(server, "DROP DATABASE site; CREATE DATABASE site")
    return read_databases({"default": address(server)}, None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(databases: Databases, clock: Clock) -> AsyncIterator[DatabaseCache]:
    await create_cache_table(databases, "default", "ct")
    cache = DatabaseCache("ct", databases, clock, Limits(None))
    yield cache
    await cache.close()


# The table.


async def test_a_dry_run_shows_djangos_sql_and_makes_nothing(server: Server, databases: Databases) -> None:
    assert await create_cache_table(databases, "default", "ct", dry_run=True) == SQL
    assert ask(server, "SHOW TABLES") == []


@pytest.mark.parametrize("table", ["ct", "with blanks", TABLE, "ünïcode", "100%", ":colon", "select", "t" * 64])
async def test_the_client_makes_the_table_of_a_dry_run(server: Server, databases: Databases, table: str) -> None:
    def made() -> list[list[str]]:
        columns = "column_name, column_type, is_nullable, character_set_name, collation_name, column_key"
        return ask(server, f"SELECT {columns} FROM information_schema.columns WHERE table_schema = 'site' ORDER BY 1")

    sql = await create_cache_table(databases, "default", table, dry_run=True)
    subprocess.run([*client(server), "--default-character-set=utf8mb4"], input=sql, text=True, check=True)  # noqa: ASYNC221
    by_hand = made()
    assert await create_cache_table(databases, "default", table) == f"Cache table '{table}' already exists."
    ask(server, "DROP DATABASE site; CREATE DATABASE site")
    assert await create_cache_table(databases, "default", table) == f"Cache table '{table}' created."
    assert made() == by_hand
    cache = DatabaseCache(table, databases, Clock())
    assert await cache.set("a", b"1", MINUTE)
    assert await cache.add("b", 1, MINUTE)
    assert await cache.incr("b", 1) == 2
    assert await cache.get("a") == b"1"
    await cache.close()


async def test_a_router_splits_reading_from_writing(server: Server, databases: Databases, clock: Clock) -> None:
    ask(server, "CREATE OR REPLACE DATABASE replica")
    router = {"read": ["replica"], "write": "primary", "migrate": "primary"}
    urls = {"primary": address(server), "replica": address(server, "replica")}
    databases = read_databases(urls, router)
    assert await create_cache_table(databases, "replica", "ct") == ""
    assert await create_cache_table(databases, "primary", "ct") == "Cache table 'ct' created."
    ask(server, "CREATE TABLE replica.ct LIKE ct")
    cache = DatabaseCache("ct", databases, clock)
    assert await cache.set("a", 1, MINUTE)
    assert await cache.incr("a", 1) == 2
    assert await cache.get("a") is None
    ask(server, "INSERT INTO replica.ct SELECT * FROM ct")
    assert await cache.get("a") == 2
    assert await cache.rename("a", "b")
    assert await cache.delete("b")
    assert [ask(server, f"SELECT cache_key FROM {table}") for table in ("ct", "replica.ct")] == [[], [["a"]]]
    await cache.close()


# Keys.

#: Texts that are the same to one collation or another.
ALIKE = ["key", "KEY", "Key ", "key ", "kéy", "ke\u0301y", "ß", "ss", "\U0001f600", "\U0001f601", "\u00a0", ""]


async def test_keys_that_are_alike_are_apart(cache: DatabaseCache) -> None:
    values = {key: b"%d" % number for number, key in enumerate(ALIKE)}
    await cache.set_many(values, MINUTE)
    assert await cache.get_many(ALIKE) == values
    assert await cache.delete("KEY")
    assert await cache.rename("key", "KEY")
    assert await cache.get_many(["key", "KEY"]) == {"KEY": b"0"}


async def test_what_a_column_does_not_take_is_refused_and_not_cut(server: Server, cache: DatabaseCache) -> None:
    """Django's table has the character set of its database, here latin1; the server is told to cut."""
    ask(server, "ALTER TABLE ct MODIFY cache_key varchar(255) CHARACTER SET latin1 NOT NULL; SET GLOBAL sql_mode = ''")
    try:
        with pytest.raises(StorageError, match=r"^database cache 'ct': Incorrect string value: "):
            await cache.set("\U0001f600", b"1", MINUTE)
    finally:
        ask(server, "SET GLOBAL sql_mode = DEFAULT")
    assert ask(server, "SELECT * FROM ct") == []


DJANGO = """
import sys
import pymysql
pymysql.install_as_MySQLdb()
import django
from django.conf import settings
settings.configure(
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.mysql", "NAME": "site", "HOST": "127.0.0.1",
        "PORT": sys.argv[1], "USER": "cache", "PASSWORD": sys.argv[2]}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "ct"}},
)
django.setup()
from django.core.cache import cache
from django.core.management import call_command
"""


def in_django(server: Server, code: str) -> str:
    command = [sys.executable, "-c", DJANGO + code, str(server.port), PASSWORD]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_a_table_that_django_made_and_writes_to(server: Server, databases: Databases) -> None:
    made = "call_command('createcachetable', dry_run=True); call_command('createcachetable', verbosity=2)"
    said = in_django(server, f"{made}; cache.set('theirs', ['x'], 60)")
    assert said == SQL.replace(" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "") + "\nCache table 'ct' created.\n"
    cache = DatabaseCache("ct", databases, Clock(now=0))
    assert pickle.loads(await cache.get(":1:theirs")) == ["x"]
    assert await cache.get(":1:THEIRS") is None, "Django would say that it is there"
    await cache.set(":1:ours", pickle.dumps({"y": 1}), None)
    assert in_django(server, "print(cache.get('ours'), cache.has_key('ours'))") == "{'y': 1} True\n"
    # One row at a time, and nobody is given what another key has.
    assert not await cache.add(":1:OURS", b"other", None)
    assert not await cache.delete(":1:OURS")
    assert not await cache.touch(":1:OURS", None)
    with pytest.raises(KeyError):
        await cache.incr(":1:OURS", 1)
    assert await cache.set(":1:OURS", b"other", None)
    assert await cache.get_many([":1:ours", ":1:OURS"]) == {":1:OURS": b"other"}
    await cache.close()


# Statements.


async def test_a_look_up_is_one_statement(server: Server, cache: DatabaseCache) -> None:
    await cache.set("a", b"1", MINUTE)
    ask(server, "TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")
    for _ in range(3):
        assert await cache.get("a") == b"1"
    ask(server, "SET GLOBAL general_log = 0")
    # The client that asks for the log is in it as well.
    said = ask(
        server, "SELECT argument FROM mysql.general_log WHERE argument LIKE '%cache_key%' OR argument LIKE 'RO%'"
    )
    assert len(said) == 3


async def test_a_value_above_the_largest_statement_is_refused_whole(server: Server, cache: DatabaseCache) -> None:
    ask(server, "SET GLOBAL max_allowed_packet = 1048576")
    try:
        await cache.close()
        large = b"x" * 1_000_000
        assert await cache.set("a", b"1", MINUTE)
        assert not await cache.set("a", large, MINUTE)
        assert await cache.get("a") is None, "the former value is gone in any case"
        assert await cache.add("a", large, MINUTE), "there was none"
        assert await cache.set("a", b"1", MINUTE)
        assert not await cache.add("a", large, MINUTE)
        # Together they are far above it, each by itself is not.
        fitting = {f"k{number}": b"%d" % number * 300_000 for number in range(9)}
        assert await cache.set_many({**fitting, "a": large}, MINUTE) == ["a"]
        assert await cache.get_many([*fitting, "a"]) == fitting
        most = (1048576 - 1024 - 64 - 2) // 4 * 3
        assert await cache.set("z", b"x" * most, MINUTE)
        assert not await cache.set("z", b"x" * (most + 3), MINUTE)
    finally:
        ask(server, "SET GLOBAL max_allowed_packet = DEFAULT")


async def test_timeouts_are_kept_to_the_microsecond(server: Server, cache: DatabaseCache, clock: Clock) -> None:
    await cache.set("a", b"1", Seconds(0.25))
    await cache.set("b", b"1", None)
    expected = [["1970-01-01 00:16:40.250000"], ["9999-12-31 23:59:59.000000"]]
    assert ask(server, "SELECT expires FROM ct ORDER BY 1") == expected
    clock.turn(0.249)
    assert await cache.get("a") == b"1"
    clock.turn(0.001)
    assert await cache.get("a") is None


async def test_what_ends_first_goes_first(databases: Databases, cache: DatabaseCache, clock: Clock) -> None:
    small = DatabaseCache("ct", databases, clock, Limits(3, 2))
    for key, timeout in (("a", None), ("b", 10), ("c", 500), ("d", 20), ("e", 60)):
        await small.set(key, b"1", None if timeout is None else Seconds(timeout))
    assert sorted(await small.get_many("abcde")) == ["a", "c", "e"]
    await small.close()


async def test_one_store_removes_what_has_expired(server: Server, cache: DatabaseCache, clock: Clock) -> None:
    await cache.set_many({f"k{number}": b"1" for number in range(1000)}, Seconds(1))
    clock.turn(2)
    await cache.set("new", b"1", MINUTE)
    assert ask(server, "SELECT cache_key FROM ct") == [["new"]]


# Failures.


async def test_a_store_that_is_in_a_deadlock_is_done_again(server: Server, cache: DatabaseCache, databases) -> None:
    keys = [f"k{number:03}" for number in range(200)]
    await cache.set_many(dict.fromkeys(["a", "b", *keys], b"1"), None)
    other = DatabaseCache("ct", databases, Clock())
    async with other._engines.connect("default", whole=True) as theirs:
        # Whoever has changed less is the one that MariaDB ends: ours.
        await theirs.exec_driver_sql("UPDATE ct SET value = 'Mg==' WHERE cache_key LIKE 'k%%' OR cache_key = 'b'")
        ours = asyncio.create_task(cache.set_many({"a": b"3", "b": b"3"}, None))
        waiting = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        await asyncio.to_thread(await_that, lambda: ask(server, waiting))
        await theirs.exec_driver_sql("UPDATE ct SET value = 'Mg==' WHERE cache_key = 'a'")
    assert await ours == []
    assert await cache.get_many(["a", "b", "k000"]) == {"a": b"3", "b": b"3", "k000": b"2"}
    await other.close()


async def test_a_deadlock_without_end_is_an_error(server: Server, cache: DatabaseCache) -> None:
    ask(server, "CREATE TABLE tried (at int) ENGINE = Aria TRANSACTIONAL = 0")
    fails = "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'"
    whole = f"CREATE TRIGGER t BEFORE INSERT ON ct FOR EACH ROW BEGIN INSERT INTO tried VALUES (1); {fails}; END"
    ask(server, f"DELIMITER //\n{whole} //")
    with pytest.raises(StorageError, match=r"^database cache 'ct': Deadlock found$"):
        await cache.set("a", b"1", None)
    assert ask(server, "SELECT COUNT(*) FROM tried") == [["5"]]


async def test_a_missing_table_and_a_missing_database_are_named(server: Server, clock: Clock) -> None:
    for database, says in (("site", r"'site.nowhere' doesn't exist; run: sitecache c"), ("none", "database 'none'")):
        cache = DatabaseCache("nowhere", read_databases({"default": address(server, database)}, None), clock)
        with pytest.raises(StorageError, match=rf"^database cache 'nowhere': .*{says}"):
            await cache.get("a")
        await cache.close()


async def test_a_wrong_password_is_one_line_without_it(clock: Clock, server: Server) -> None:
    databases = read_databases({"default": address(server, password="wrong-secret")}, None)
    cache = DatabaseCache("ct", databases, clock)
    with pytest.raises(StorageError, match=r"^database cache 'ct': Access denied for user 'cache'.*\)$") as raised:
        await cache.get("a")
    with pytest.raises(StorageError, match="Access denied for user 'cache'") as made:
        await create_cache_table(databases, "default", "ct")
    for text in (str(raised.value), str(made.value)):
        assert "secret" not in text
        assert PASSWORD not in text
    assert "\n" not in str(raised.value)
    await cache.close()


async def test_a_connection_that_was_lost_costs_no_operation(server: Server, cache: DatabaseCache) -> None:
    assert await cache.set("a", b"1", None)
    killed = ask(server, "SELECT id FROM information_schema.processlist WHERE command = 'Sleep' AND db = 'site'")
    for (number,) in killed:
        ask(server, f"KILL {number}")
    assert await cache.set("a", b"2", None)
    assert await cache.get("a") == b"2"


async def test_a_server_that_dies_and_comes_back(server: Server, cache: DatabaseCache) -> None:
    assert await cache.set("a", b"1", None)
    server.kill()
    with pytest.raises(StorageError) as raised:
        await cache.get("a")
    assert "\n" not in str(raised.value)
    server.start()
    assert await cache.set("b", b"2", None)
    assert await cache.get("b") == b"2"
