"""What is special about Redis: the form of values, roles of servers, users, TLS, and a server that goes away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
import redis
import trustme
from django.core.cache.backends.redis import RedisCache as DjangosRedisCache
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import BlockingConnectionPool, ConnectionPool

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.owner import Owner
from proxy.storage.backends.redis import RedisCache, _decode, _encode
from tests.storage.servers import Server, await_that, redis_cluster, redis_sentinel, running

MINUTE = Seconds(60)
Make = Callable[..., RedisCache]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("redis-server") as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=server.name) as client:
        client.flushall()
        client.config_resetstat()
        yield client


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make caches that are closed in the end."""
    made: list[RedisCache] = []

    def one(location, **more) -> RedisCache:
        options = more.pop("options", {})
        made.append(RedisCache.build(location, options | more))
        return made[-1]

    yield one
    for cache in made:
        await cache.close()


@pytest.fixture
def cache(make: Make, server: Server, admin: redis.Redis) -> RedisCache:
    return make(f"unix://{server.name}")


def calls(client: redis.Redis) -> dict[str, int]:
    """Return how often each command came from a client of ours."""
    ours = {"get", "mget", "set", "unlink", "incrby", "pexpire", "exists", "rename", "eval"}
    found = {name.removeprefix("cmdstat_"): one["calls"] for name, one in client.info("commandstats").items()}
    return {name: number for name, number in found.items() if name in ours}


# The form of values.


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param(7, b"7", id="number"),
        pytest.param(-7, b"-7", id="negative"),
        pytest.param(2**70, b"1180591620717411303424", id="large"),
        pytest.param(b"<p>", b"<p>", id="bytes"),
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"7", b"\x007", id="bytes-like-a-number"),
        pytest.param(b"-x", b"\x00-x", id="bytes-that-begin-like-one"),
        pytest.param(b"\x00x", b"\x00\x00x", id="bytes-like-marked-ones"),
    ],
)
async def test_what_lies_in_the_server(
    cache: RedisCache, admin: redis.Redis, value: bytes | int, stored: bytes
) -> None:
    await cache.set("k", value, None)
    assert admin.get("k") == stored
    assert await cache.get("k") == value
    assert type(await cache.get("k")) is type(value)


@pytest.mark.parametrize("foreign", [b"\x80\x05K\x01.", b"007", b" 7", b"+7", b"7.0", b"-0", b"-", b"1" * 5000])
async def test_what_another_program_put_there_comes_as_bytes(
    cache: RedisCache, admin: redis.Redis, foreign: bytes
) -> None:
    admin.set("k", foreign)
    assert await cache.get("k") == foreign
    with pytest.raises(TypeError):
        await cache.incr("k", 1)
    assert admin.get("k") == foreign


@given(st.binary(max_size=20) | st.integers() | st.integers().map(lambda number: b"%d" % number))
def test_every_value_comes_back_as_what_it_was(value: bytes | int) -> None:
    stored = _encode(value)
    assert stored is not None
    assert (type(_decode(stored)), _decode(stored)) == (type(value), value)


async def test_a_number_that_no_text_holds_is_not_kept_and_takes_the_former_with_it(cache: RedisCache) -> None:
    await cache.set("k", 1, None)
    assert await cache.set_many({"k": 10**5000, "other": 2}, None) == ["k"]
    assert await cache.get_many(["k", "other"]) == {"other": 2}
    assert await cache.add("k", 10**5000, None)
    with pytest.raises(OverflowError):
        await cache.incr("other", 10**5000)


async def test_a_django_application_shares_numbers_and_what_it_pickled(cache: RedisCache, server: Server) -> None:
    django = DjangosRedisCache(f"unix://{server.name}", {})
    django.set("visits", 41)
    assert await cache.get(":1:visits") == 41
    assert await cache.incr(":1:visits", 1) == 42
    assert django.incr("visits") == 43
    django.set("page", {"title": "a"})
    pickled = await cache.get(":1:page")
    await cache.set(":1:copy", pickled, MINUTE)
    assert django.get("copy") == {"title": "a"}
    for pool in django._cache._pools.values():
        pool.disconnect()


async def test_a_key_that_holds_another_type_is_no_value(cache: RedisCache, admin: redis.Redis) -> None:
    admin.rpush("list", "a")
    assert await cache.get("list") is None
    assert await cache.get_many(["list"]) == {}
    with pytest.raises(TypeError):
        await cache.incr("list", 1)
    assert await cache.set("list", b"1", MINUTE)
    assert await cache.get("list") == b"1"


# Timeouts and numbers.


@pytest.mark.parametrize(
    ("timeout", "least", "most"),
    [
        pytest.param(None, -1, -1, id="never"),
        pytest.param(0.5, 1, 500, id="half-a-second"),
        pytest.param(0.00001, -2, 1, id="below-a-millisecond"),
        pytest.param(90.0005, 60_000, 90_001, id="rounded-up"),
        pytest.param(1e300, 10**14, 10**15, id="longer-than-redis-can"),
        pytest.param(float("inf"), 10**14, 10**15, id="infinite"),
    ],
)
@pytest.mark.parametrize("operation", ["set", "add", "touch", "set_many"])
async def test_timeouts_in_milliseconds(
    cache: RedisCache, admin: redis.Redis, operation: str, timeout: Seconds | None, least: int, most: int
) -> None:
    match operation:
        case "touch":
            await cache.set("k", b"1", MINUTE)
            assert await cache.touch("k", timeout)
        case "set_many":
            assert await cache.set_many({"k": b"1"}, timeout) == []
        case _:
            assert await getattr(cache, operation)("k", b"1", timeout)
    assert least <= admin.pttl("k") <= most


@pytest.mark.parametrize("start", [2**53 + 1, -(2**53) - 1, 2**63 - 2, -(2**63) + 1])
async def test_sums_are_exact_up_to_64_bits(cache: RedisCache, start: int) -> None:
    await cache.set("n", start, MINUTE)
    assert await cache.incr("n", 1) == start + 1
    assert await cache.incr("n", -2) == start - 1


@pytest.mark.parametrize(("start", "delta"), [(2**63 - 1, 1), (-(2**63), -1), (2**64, 1), (1, 2**63), (1, -(2**70))])
async def test_a_sum_beyond_64_bits_changes_nothing(cache: RedisCache, start: int, delta: int) -> None:
    await cache.set("n", start, None)
    with pytest.raises(OverflowError):
        await cache.incr("n", delta)
    assert await cache.get("n") == start


async def test_incr_and_rename_keep_the_timeout(cache: RedisCache, admin: redis.Redis) -> None:
    await cache.set("n", 1, MINUTE)
    await cache.incr("n", 1)
    assert 0 < admin.pttl("n") <= 60_000
    assert await cache.rename("n", "m")
    assert 0 < admin.pttl("m") <= 60_000


# Round trips, connections, ends.


async def test_many_keys_are_one_command_or_one_pipeline(cache: RedisCache, admin: redis.Redis) -> None:
    await cache.set_many({str(number): number for number in range(50)}, MINUTE)
    assert len(await cache.get_many(str(number) for number in range(60))) == 50
    await cache.delete_many(str(number) for number in range(50))
    await cache.delete_many(iter(()))
    assert await cache.get_many([]) == {}
    assert calls(admin) == {"set": 50, "mget": 1, "unlink": 1}


async def test_more_operations_at_once_than_connections_wait_for_one(cache: RedisCache, admin: redis.Redis) -> None:
    await cache.set("n", 0, None)
    assert sorted(await asyncio.gather(*(cache.incr("n", 1) for _ in range(300)))) == list(range(1, 301))
    assert len(admin.client_list()) <= 65


async def test_close_leaves_no_connection_and_is_not_the_end(cache: RedisCache, admin: redis.Redis) -> None:
    await cache.set("k", b"1", None)
    assert len(admin.client_list()) == 2
    await cache.close()
    await asyncio.to_thread(await_that, lambda: len(admin.client_list()) == 1)
    assert await cache.get("k") == b"1"


async def test_an_operation_given_up_leaves_no_reply_for_the_next(cache: RedisCache, admin: redis.Redis) -> None:
    await cache.set_many({"a": b"a", "b": b"b"}, None)
    admin.execute_command("CLIENT", "PAUSE", 300, "ALL")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await cache.get("a")
    assert await cache.get("b") == b"b"
    assert await cache.get("a") == b"a"


@pytest.mark.parametrize("operation", ["get", "set", "add", "incr", "touch", "delete", "get_many", "set_many", "clear"])
async def test_a_server_that_went_away_is_an_error_and_welcome_again(make: Make, operation: str) -> None:
    arguments = {
        "get": ("n",),
        "set": ("n", 1, MINUTE),
        "add": ("m", 1, MINUTE),
        "incr": ("n", 1),
        "touch": ("n", MINUTE),
        "delete": ("n",),
        "get_many": (["n"],),
        "set_many": ({"n": 1}, MINUTE),
        "clear": (Owner(),),
    }[operation]
    with running("redis-server") as server:
        cache = make(f"unix://{server.name}")
        await cache.set("n", 1, MINUTE)
        server.kill()
        for _ in range(2):
            with pytest.raises(StorageError, match=f"^Redis at {server.name}: .+"):
                await getattr(cache, operation)(*arguments)
        await asyncio.to_thread(server.start)
        await cache.set("n", 1, MINUTE)
        await getattr(cache, operation)(*arguments)


@pytest.mark.parametrize("many", [False, True])
async def test_a_full_server_is_an_error_and_keeps_no_former_value(
    cache: RedisCache, admin: redis.Redis, many: bool
) -> None:
    await cache.set("k", b"former", None)
    admin.config_set("maxmemory", 1)
    try:
        with pytest.raises(StorageError, match="maxmemory"):
            await (cache.set_many({"k": b"1", "l": b"2"}, None) if many else cache.set("k", b"1", None))
    finally:
        admin.config_set("maxmemory", 0)
    assert await cache.get("k") is None


# What clear takes away.


@pytest.mark.parametrize("prefix", ["blog", "b*", "[b]", "b?", "\\b", ""])
async def test_clear_takes_the_keys_of_the_owner(
    cache: RedisCache, server: Server, admin: redis.Redis, prefix: str
) -> None:
    await cache.set_many({f"{prefix}:1:{number}": number for number in range(2500)}, None)
    admin.mset({"blog2:1:a": 1, "bx:1:a": 1, "b:1:a": 1, "x": 1, b"blog:\xff": 1, f"{prefix}:b:1:k": 1})
    await cache.clear(Owner(prefix))
    assert admin.dbsize() == 6


async def test_clear_refuses_where_a_function_makes_the_keys(cache: RedisCache, admin: redis.Redis) -> None:
    admin.set("x", 1)
    with pytest.raises(StorageError, match=r"a function of yours makes the keys.*OPTIONS\.clear: all"):
        await cache.clear()
    assert admin.dbsize() == 1


async def test_clear_all_takes_the_database(make: Make, server: Server, admin: redis.Redis) -> None:
    admin.set("another's", 1)
    await make(f"unix://{server.name}", clear="all").clear(Owner("ours"))
    assert admin.dbsize() == 0


# Which server.


async def test_the_leader_takes_writes_and_the_replicas_reads(make: Make) -> None:
    with running("redis-server", listen="tcp") as leader, ExitStack() as stack:
        of_leader = ["--replicaof", "127.0.0.1", str(leader.port)]
        replicas = [stack.enter_context(running("redis-server", *of_leader, listen="tcp")) for _ in range(2)]
        cache = make(";".join(f"redis://{one.name}" for one in (leader, *replicas)))
        admins = [stack.enter_context(redis.Redis(port=one.port)) for one in (leader, *replicas)]
        for one in admins[1:]:
            await asyncio.to_thread(await_that, lambda one=one: one.info("replication")["master_link_status"] == "up")
        await cache.set("n", 1, MINUTE)
        assert await asyncio.to_thread(admins[0].wait, 2, 10_000) == 2
        for one in admins:
            one.config_resetstat()
        for _ in range(40):
            assert await cache.get("n") == 1
        assert await cache.has_key("n")
        assert await cache.get_many(["n"]) == {"n": 1}
        assert await cache.add("m", 1, MINUTE)
        assert await cache.touch("n", MINUTE)
        assert await cache.incr("n", 1) == 2
        assert await cache.delete("n")
        assert cache.one_server == cache.server_of("n", writing=False) != cache.server_of("n", writing=True)
        reads = [{name: one.get(name, 0) for name in ("get", "mget", "exists")} for one in map(calls, admins[1:])]
        assert [sum(one[name] for one in reads) for name in ("get", "mget", "exists")] == [40, 1, 1]
        assert all(one["get"] for one in reads), "both replicas are asked"
        assert calls(admins[0]) == {"set": 1, "pexpire": 1, "eval": 1, "incrby": 1, "get": 2, "unlink": 1}, (
            "the gets are those of the script of incr"
        )


@pytest.mark.parametrize("database", ["?db=10", "10", 10])
async def test_the_database(make: Make, server: Server, admin: redis.Redis, database: str | int) -> None:
    in_url = database if str(database).startswith("?") else ""
    cache = make(f"unix://{server.name}{in_url}", options={} if in_url else {"db": database})
    await cache.set("k", 1, None)
    assert admin.dbsize() == 0
    with redis.Redis(unix_socket_path=server.name, db=10) as tenth:
        assert tenth.get("k") == b"1"


async def test_a_cluster_holds_many_keys_on_all_nodes(make: Make) -> None:
    with redis_cluster() as servers, ExitStack() as stack:
        cache = make(f"redis+cluster://{servers[0].name}")
        values = {f"ours:1:{number}": number for number in range(200)}
        assert await cache.set_many(values, MINUTE) == []
        assert await cache.get_many([*values, "no"]) == values
        assert cache.one_server is None
        admins = [stack.enter_context(redis.Redis(port=one.port)) for one in servers]
        sizes = [one.dbsize() for one in admins]
        assert sum(sizes) == 200
        assert min(sizes) > 20
        await cache.set("another", b"1", None)
        await cache.clear(Owner("ours"))
        assert sum(one.dbsize() for one in admins) == 1


async def test_the_sentinels_name_the_leader(make: Make) -> None:
    with running("redis-server", listen="tcp") as leader, redis_sentinel(leader, "pages") as sentinel:
        cache = make(f"redis+sentinel://{sentinel.name},127.0.0.1:1/pages/3")
        assert await cache.set("k", 1, MINUTE)
        assert await cache.incr("k", 1) == 2
        with redis.Redis(port=leader.port, db=3) as third:
            assert third.get("k") == b"2"
        assert await cache.get_many(["k", "no"]) == {"k": 2}
        unknown = make(f"redis+sentinel://{sentinel.name}/posts")
        with pytest.raises(StorageError, match=f"^Redis at posts of the Sentinels {sentinel.name}: No master found"):
            await unknown.get("k")
        await cache.close()
        await unknown.close()


# Users and TLS.

SECRET = "p@ss:wo/rd %41"
QUOTED = "p%40ss%3Awo%2Frd%20%2541"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    with running("redis-server", "--requirepass", "secret", listen="tcp") as server:
        with redis.Redis(port=server.port, password="secret") as admin:
            admin.execute_command("ACL", "SETUSER", "pages", "on", f">{SECRET}", "~:*", "+@all", "-@dangerous")
        yield server


@pytest.mark.parametrize(
    ("user", "options"),
    [
        pytest.param(":secret@", {}, id="password"),
        pytest.param("default:secret@", {}, id="default-user"),
        pytest.param("", {"password": "secret"}, id="password-in-options"),
        pytest.param(f"pages:{QUOTED}@", {}, id="acl-user"),
        pytest.param("", {"username": "pages", "password": SECRET}, id="acl-user-in-options"),
    ],
)
async def test_the_right_password(make: Make, guarded: Server, user: str, options: dict[str, object]) -> None:
    cache = make(f"redis://{user}{guarded.name}", options=options)
    assert await cache.set(":1:n", 1, MINUTE)
    assert await cache.incr(":1:n", 1) == 2
    assert await cache.get_many([":1:n"]) == {":1:n": 2}


@pytest.mark.parametrize(
    ("user", "options", "reason"),
    [
        pytest.param("", {}, "asks for a password", id="none"),
        pytest.param(":hidden@", {}, "invalid", id="wrong"),
        pytest.param("pages:hid%64en@", {}, "invalid", id="wrong-for-a-user"),
        pytest.param("", {"password": "hidden"}, "invalid", id="wrong-in-options"),
        pytest.param(f"pages:{QUOTED}@", {}, "permission", id="right-but-not-for-this-key"),
    ],
)
async def test_the_wrong_password_is_one_line_that_does_not_show_it(
    make: Make, guarded: Server, user: str, options: dict[str, object], reason: str
) -> None:
    cache = make(f"redis://{user}{guarded.name}", options=options)
    with pytest.raises(StorageError) as caught:
        await cache.get("n")
    said = str(caught.value)
    assert said.startswith(f"Redis at {guarded.name}: ")
    assert reason.lower() in said.lower()
    assert "\n" not in said
    assert not any(secret in said for secret in ("hidden", "hid%64en", SECRET, QUOTED))


async def test_tls(make: Make, tmp_path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    tls = [
        "--port",
        "0",
        "--tls-port",
        "{port}",
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        f"{tmp_path}/ca.pem",
    ]
    for name in ("--tls-cert-file", "--tls-key-file"):
        tls += [name, str(tmp_path / "server.pem")]
    with running("redis-server", *tls, listen="tcp") as server:
        cache = make(f"rediss://{server.name}", options={"ssl_ca_certs": str(tmp_path / "ca.pem")})
        assert await cache.set("k", b"1", MINUTE)
        assert await cache.get("k") == b"1"
        await cache.set("large", b"2" * 300_000, MINUTE)
        for _ in range(3):
            assert await cache.get_many(["k", "large", "no"]) == {"k": b"1", "large": b"2" * 300_000}
        with pytest.raises(StorageError, match=r"(?i)certificate"):
            await make(f"rediss://{server.name}").get("k")


# Settings.


class Pool(ConnectionPool):
    """A pool of the operator's own, with an option of its own."""

    def __init__(self, mark: str = "", **options) -> None:
        self.mark = mark
        super().__init__(**options)


@pytest.mark.parametrize("named", [Pool, f"{Pool.__module__}.Pool"], ids=["class", "path"])
async def test_a_pool_class_of_ones_own(make: Make, server: Server, admin: redis.Redis, named: object) -> None:
    cache = make(f"unix://{server.name}", options={"pool_class": named, "mark": "ours"})
    assert await cache.set("k", b"1", None)
    pool = cache._servers.writer().client.connection_pool
    assert (type(pool).__name__, pool.mark) == ("Pool", "ours")


@pytest.mark.parametrize(
    ("options", "pool", "parser"),
    [
        pytest.param({}, BlockingConnectionPool, "_AsyncHiredisParser", id="ours"),
        pytest.param({"pool_class": "redis.ConnectionPool"}, ConnectionPool, "_AsyncHiredisParser", id="djangos-pool"),
        pytest.param(
            {"pool_class": "redis.BlockingConnectionPool", "timeout": 3},
            BlockingConnectionPool,
            "_AsyncHiredisParser",
            id="djangos-waiting-pool",
        ),
        pytest.param(
            {"parser_class": "redis.connection.PythonParser", "protocol": 2},
            BlockingConnectionPool,
            "_AsyncRESP2Parser",
            id="python-parser",
        ),
        pytest.param(
            {"parser_class": "redis.connection._HiredisParser"},
            BlockingConnectionPool,
            "_AsyncHiredisParser",
            id="hiredis",
        ),
    ],
)
async def test_classes_of_the_library(
    make: Make, server: Server, admin: redis.Redis, options: dict[str, object], pool: type, parser: str
) -> None:
    cache = make(f"unix://{server.name}", options=options)
    await cache.set("k", b"1", None)
    client = cache._servers.writer().client
    assert type(client.connection_pool) is pool
    assert type(client.connection_pool.make_connection()._parser).__name__ == parser


@pytest.mark.parametrize(
    ("location", "options", "said"),
    [
        pytest.param("", {}, "LOCATION: expected at least one server", id="nothing"),
        pytest.param("127.0.0.1:6379", {}, "LOCATION: expected a URL that begins with redis://", id="no-scheme"),
        pytest.param("http://u:hidden@h", {}, "found http://...", id="another-scheme"),
        pytest.param(["redis://h", "redis+cluster://h"], {}, "LOCATION: expected a URL", id="cluster-as-replica"),
        pytest.param("redis://h:hidden", {}, "Redis at h:hidden:6379: Port could not", id="no-port"),
        pytest.param("redis+sentinel://h:1", {}, "no name of a leader", id="sentinel-without-a-name"),
        pytest.param("redis+sentinel://h:1/pages/x", {}, "the number of a database, found 'x'", id="sentinel-db"),
        pytest.param("redis+cluster://h:1,", {}, "host:port between commas", id="cluster-without-a-host"),
        pytest.param(6379, {}, "LOCATION: expected one server or a list of them, found int", id="a-number"),
        pytest.param("redis://h", {"clear": "some"}, "OPTIONS.clear: expected own or all, found 'some'", id="clear"),
        pytest.param("redis://h", {"db": "ten"}, "OPTIONS.db: expected the number of a database, found 'ten'", id="db"),
        pytest.param("redis://h", {"db": -1}, "OPTIONS.db", id="negative-db"),
        pytest.param("redis://h", {"pasword": "x"}, "OPTIONS.pasword: expected one of client_name, cred", id="unknown"),
        pytest.param("redis://h", {"pool_class": "no.such.Pool"}, "OPTIONS.pool_class: expected the dotted", id="pool"),
        pytest.param("redis://h", {"pool_class": "builtins.dict"}, "OPTIONS.pool_class: expected a class", id="dict"),
        pytest.param("redis://h", {"parser_class": "json.JSONDecoder"}, "OPTIONS.parser_class", id="parser"),
        pytest.param("redis://u:hidden@h", {"ssl_ca_certs": "x"}, "Redis at h:6379: ", id="tls-option-without-tls"),
    ],
)
def test_a_setting_that_is_wrong(location: object, options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        RedisCache.build(location, options)
    assert "hidden@" not in str(caught.value)
    assert "\n" not in str(caught.value)
