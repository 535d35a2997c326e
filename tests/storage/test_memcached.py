"""What is special about memcached: which server holds a key, its flags and limits, and a server that is away."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from operator import methodcaller

import pytest
from django.core.cache.backends.memcached import PyMemcacheCache as DjangosPyMemcacheCache
from pymemcache.client.base import Client

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.memcached import PyMemcacheCache
from proxy.storage.backends.memcached_ring import Lost, Node, Rests, to_expire
from tests.storage.servers import Server, await_that, running

MINUTE = Seconds(60)
Make = Callable[..., PyMemcacheCache]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running("memcached", listen=listen)) for listen in ("unix", "tcp", "tcp")]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make caches that are closed in the end."""
    made: list[PyMemcacheCache] = []

    def one(location, **options) -> PyMemcacheCache:
        made.append(PyMemcacheCache.build(location, options))
        return made[-1]

    yield one
    for cache in made:
        await cache.close()


@pytest.fixture
async def cache(make: Make, servers: list[Server]) -> PyMemcacheCache:
    cache = make([server.name for server in servers])
    await cache.clear()
    return cache


@pytest.fixture
def django(servers: list[Server]) -> Iterator[DjangosPyMemcacheCache]:
    with closing(DjangosPyMemcacheCache(";".join(server.name for server in servers), {})) as cache:
        yield cache


# Which server.


KEYS = [f":1:page/{number}?a=\u00e9{number % 7}" for number in range(1500)] + [f"{n:x}" for n in range(1500)]


def test_a_key_is_on_the_server_that_djangos_client_picks() -> None:
    names = ["127.0.0.1:11211", "10.0.0.2:11212", "/run/memcached.sock"]
    ring = PyMemcacheCache.build(names, {})._ring
    client = DjangosPyMemcacheCache(names, {})._cache
    picked = {key: client._make_client_key(client._get_client(key).server) for key in KEYS}
    assert len(picked) == 3000
    assert {key: ring.node(key).name for key in KEYS} == picked
    assert set(picked.values()) == set(names)


async def test_what_django_keeps_on_three_servers_is_found_and_the_other_way_round(
    cache: PyMemcacheCache, django: DjangosPyMemcacheCache
) -> None:
    django.set_many({f"d{number}": number for number in range(300)})
    keys = [f":1:d{number}" for number in range(300)]
    assert await cache.get_many([*keys, ":1:no"]) == {key: number for number, key in enumerate(keys)}
    assert await cache.set_many({f":1:o{number}": number for number in range(300)}, MINUTE) == []
    assert django.get_many([f"o{number}" for number in range(300)]) == {f"o{number}": number for number in range(300)}
    await cache.delete_many(keys)
    assert django.get_many([f"d{number}" for number in range(300)]) == {}


async def test_while_a_server_is_away_the_keys_of_the_others_are_where_djangos_client_looks(make: Make) -> None:
    with ExitStack() as stack:
        three = [stack.enter_context(running("memcached", listen="tcp")) for _ in range(3)]
        location = [server.name for server in three]
        cache = make(location, retry_timeout=3600, dead_timeout=3600)
        options = {"OPTIONS": {"ignore_exc": True, "retry_attempts": 0, "dead_timeout": 3600}}
        django = stack.enter_context(closing(DjangosPyMemcacheCache(location, options)))
        values = {f":1:k{number}": number for number in range(300)}
        alive = {key for key in values if cache._ring.node(key).name != three[0].name}
        three[0].kill()
        assert set(await cache.set_many(values, MINUTE)) == values.keys() - alive
        found = {key: value for key in values if (value := django.get(key.removeprefix(":1:"))) is not None}
        assert found == {key: values[key] for key in alive}
        for key in values:
            django.set(key.removeprefix(":1:"), -1)
        # Django moves the keys of the lost server to the others; ours stay misses, lest they come up as they were.
        assert await cache.get_many(values) == dict.fromkeys(alive, -1)


@pytest.mark.parametrize(
    ("location", "names"),
    [
        pytest.param("127.0.0.1:11311", ["127.0.0.1:11311"], id="port"),
        pytest.param("127.0.0.1", ["127.0.0.1:11211"], id="default-port"),
        pytest.param("a:1;b:2, c", ["a:1", "b:2", "c:11211"], id="string"),
        pytest.param(["a:1", "b:2"], ["a:1", "b:2"], id="list"),
        pytest.param(("a:1", "unix:/tmp/m.sock"), ["a:1", "/tmp/m.sock"], id="tuple"),
        pytest.param("/tmp/m.sock", ["/tmp/m.sock"], id="path"),
        pytest.param("[::1]:11311;[::1]", ["::1:11311", "::1:11211"], id="ipv6"),
    ],
)
def test_locations(location: object, names: list[str]) -> None:
    assert list(PyMemcacheCache.build(location, {})._ring._nodes) == names


async def test_ipv6(make: Make) -> None:
    with running("memcached", "-l", "[::1]:{port}", listen="tcp") as server:
        cache = make(f"[::1]:{server.port}")
        assert await cache.set("k", 1, MINUTE)
        assert await cache.get("k") == 1


# The form of values.


def raw(servers: list[Server], key: str) -> list[tuple[bytes, int]]:
    """Return what lies under that key on any of the servers, with its flags."""

    class Raw:
        def deserialize(self, key, value, flags):
            return value, flags

    found = []
    for server in servers:
        with closing(Client(server.address, serde=Raw())) as client:
            found += [client.get(key)] if client.get(key) else []
    return found


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param(7, (b"7", 2), id="number"),
        pytest.param(-7, (b"-7", 2), id="negative"),
        pytest.param(b"7", (b"7", 0), id="digits"),
        pytest.param(b"<p>\r\nEND\r\n", (b"<p>\r\nEND\r\n", 0), id="bytes"),
        pytest.param(b"", (b"", 0), id="nothing"),
    ],
)
async def test_what_lies_in_the_server(
    cache: PyMemcacheCache, servers: list[Server], value: bytes | int, stored: tuple[bytes, int]
) -> None:
    await cache.set("k", value, None)
    assert raw(servers, "k") == [stored]
    assert await cache.get("k") == value


async def test_numbers_are_counted_together_with_django(cache: PyMemcacheCache, django: DjangosPyMemcacheCache) -> None:
    django.set("visits", 100)
    assert await cache.incr(":1:visits", -1) == 99
    assert await cache.get(":1:visits") == 99, "memcached leaves a blank behind the shorter number"
    assert django.incr("visits", 2) == 101
    assert await cache.incr(":1:visits", -200) == 0, "it stops at 0"
    django.set("page", {"title": "a"})
    assert isinstance(await cache.get(":1:page"), bytes)
    with pytest.raises(TypeError):
        await cache.incr(":1:page", 1)


async def test_a_text_with_the_flag_of_numbers_that_is_none(cache: PyMemcacheCache, servers: list[Server]) -> None:
    for server in servers:
        with closing(Client(server.address)) as client:
            client.set("k", b"12x", flags=2)
    assert await cache.get("k") == b"12x"
    with pytest.raises(TypeError):
        await cache.incr("k", 1)


async def test_a_number_that_no_text_holds_is_not_kept_and_takes_the_former_with_it(cache: PyMemcacheCache) -> None:
    await cache.set("k", 1, None)
    assert await cache.set_many({"k": 10**5000, "other": 2}, None) == ["k"]
    assert await cache.get_many(["k", "other"]) == {"other": 2}
    with pytest.raises(OverflowError):
        await cache.incr("other", 10**5000)


# Limits.


@pytest.mark.parametrize("arguments", [[], ["-I", "2m"]], ids=["1-MiB", "2-MiB"])
async def test_around_the_item_limit_a_value_is_whole_or_not_there(make: Make, arguments: list[str]) -> None:
    limit = {"2m": 2**21}.get((arguments or [""])[-1], 2**20)
    with running("memcached", *arguments) as server:
        cache = make(server.name)
        kept = []
        for length in (*range(limit - 1000, limit - 60, 60), *range(limit - 60, limit + 40, 9), limit * 3):
            await cache.set("k", b"former", MINUTE)
            kept.append(await cache.set("k", b"x" * length, MINUTE))
            assert await cache.get("k") == (b"x" * length if kept[-1] else None)
        assert kept[0]
        assert not kept[-1]
        assert kept == sorted(kept, reverse=True)
        assert await cache.set_many({"a": 1, "k": b"x" * limit, "b": b"2"}, MINUTE) == ["k"]
        assert await cache.get_many("akb") == {"a": 1, "b": b"2"}
        assert await cache.add("new", b"x" * limit, MINUTE)
        assert not await cache.has_key("new")
        assert not await cache.add("a", b"x" * limit, MINUTE)
        assert await cache.get("a") == 1


async def test_a_full_server_refuses_and_keeps_no_former_value(make: Make) -> None:
    with running("memcached", "-M", "-m", "2") as server:
        cache = make(server.name)
        page = b"x" * 200_000
        assert await cache.set("former", b"x", MINUTE)
        failed = await cache.set_many({f"k{number}": page for number in range(30)}, MINUTE)
        assert failed
        assert set(await cache.get_many(f"k{number}" for number in range(30))).isdisjoint(failed)
        assert not await cache.set("former", page, MINUTE)
        assert await cache.get("former") is None


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "a\x00b", "\x7f", "x" * 251, "\u00e9" * 126])
@pytest.mark.parametrize("operation", ["get", "delete", "has_key"])
async def test_a_key_that_memcached_does_not_take(cache: PyMemcacheCache, operation: str, key: str) -> None:
    with pytest.raises(ValueError, match="memcached takes keys"):
        await getattr(cache, operation)(key)
    assert await cache.set("\u00e9" * 125, 1, MINUTE), "125 characters in 250 bytes"


@pytest.mark.parametrize(
    ("timeout", "expire"),
    [
        pytest.param(None, 0, id="never"),
        pytest.param(0.1, 1, id="rounded-up"),
        pytest.param(61, 61, id="whole"),
        pytest.param(30 * 86400, 2_592_000, id="thirty-days"),
        pytest.param(30 * 86400 + 0.5, 1_700_000_000 + 2_592_001, id="more-is-a-time"),
        pytest.param(10**9, 0, id="after-2038-is-never"),
        pytest.param(float("inf"), 0, id="infinite"),
    ],
)
def test_timeouts_as_memcached_reads_them(timeout: Seconds | None, expire: int) -> None:
    assert to_expire(timeout, lambda: UnixTime(1_700_000_000.9)) == expire


# A server that is away.


async def test_a_server_that_is_away_costs_its_keys_and_comes_back(make: Make) -> None:
    with running("memcached") as one, running("memcached", listen="tcp") as other:
        cache = make([one.name, other.name], retry_timeout=0, dead_timeout=0)
        values = {f"k{number}": number for number in range(100)}
        there = {key: value for key, value in values.items() if cache._ring.node(key).name == other.name}
        away = values.keys() - there.keys()
        assert await cache.set_many(values, MINUTE) == []
        one.kill()
        for _ in range(4):
            assert await cache.get_many(values) == there
            assert set(await cache.set_many(values, MINUTE)) == away
        lost = min(away)
        assert not await cache.delete(lost)
        assert not await cache.touch(lost, MINUTE)
        assert not await cache.add(lost, 1, MINUTE)
        assert not await cache.rename(lost, "to")
        with pytest.raises(KeyError):
            await cache.incr(lost, 1)
        await cache.delete_many(["x", lost])
        await asyncio.to_thread(one.start)
        assert await cache.set_many(values, MINUTE) == []
        assert await cache.get_many(values) == values


async def test_a_server_that_was_started_anew_is_asked_at_once(make: Make) -> None:
    with running("memcached") as server:
        cache = make(server.name)
        await asyncio.gather(*(cache.set(f"k{number}", 1, MINUTE) for number in range(40)))
        server.kill()
        await asyncio.to_thread(server.start)
        assert await cache.get("k1") is None
        assert all(await asyncio.gather(*(cache.set(f"k{number}", 1, MINUTE) for number in range(40))))


async def test_a_server_that_failed_rests(make: Make) -> None:
    with running("memcached") as server:
        cache = make(server.name, retry_timeout=3600)
        server.kill()
        assert await cache.get("k") is None
        await asyncio.to_thread(server.start)
        assert not await cache.set("k", 1, MINUTE)


@pytest.mark.parametrize("operation", ["get", "get_many", "delete", "clear"])
async def test_errors_where_misses_are_not_wanted(make: Make, operation: str) -> None:
    with running("memcached", listen="tcp") as server:
        cache = make(server.name, ignore_exc=False, retry_timeout=3600)
        server.kill()
        arguments = () if operation == "clear" else ("k",)
        with pytest.raises(StorageError, match=rf"^memcached at {server.name}: .*Connection refused"):
            await getattr(cache, operation)(*arguments)
        with pytest.raises(StorageError, match=r": it has failed and is being left alone$"):
            await getattr(cache, operation)(*arguments)


async def test_a_server_that_says_nothing_is_a_miss(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cache = make(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
        assert await cache.get("k") is None
        assert not await cache.set("k", 1, MINUTE)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"VALUE k x y\r\n", b"\r\n", b""])
async def test_a_server_that_is_no_memcached_is_a_miss(make: Make, said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        cache = make(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert await cache.get("k") is None
        assert not await cache.set("k", 1, MINUTE)


async def test_a_server_error_is_an_error(make: Make) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SERVER_ERROR it is\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        cache = make(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(StorageError, match=r"^memcached at 127.0.0.1:\d+: it is$"):
            await cache.get("k")
        await cache.close()


async def test_close_leaves_no_thread_and_no_connection(make: Make) -> None:
    with running("memcached") as server, closing(Client(server.name)) as admin:
        alone = admin.stats()[b"curr_connections"]
        cache = make(server.name)
        await asyncio.gather(*(cache.set(f"k{number}", 1, MINUTE) for number in range(40)))
        assert alone < admin.stats()[b"curr_connections"] <= alone + 8
        await cache.close()
        await asyncio.to_thread(await_that, lambda: admin.stats()[b"curr_connections"] == alone)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("memcached")]


# Settings.


async def test_options_of_the_client(make: Make, servers: list[Server]) -> None:
    options = {"no_delay": True, "ignore_exc": True, "pool_idle_timeout": 4, "use_pooling": True, "timeout": 1}
    cache = make(servers[1].name, **options)
    assert await cache.set("k", 1, MINUTE)
    client = cache._ring.node("k")._client
    assert (client.no_delay, client.timeout, client.client_pool.idle_timeout) == (True, 1, 4)


@pytest.mark.parametrize(
    ("location", "options", "said"),
    [
        pytest.param("", {}, "LOCATION: expected at least one server, found none", id="nothing"),
        pytest.param(11211, {}, "LOCATION: expected one server or a list of them, found int", id="a-number"),
        pytest.param("h:x", {}, "LOCATION: invalid literal for int", id="no-port"),
        pytest.param("h", {"serde": 1}, "OPTIONS.serde: expected one of allow_unicode_keys, conn", id="unknown"),
        pytest.param("h", {"no_delay": 1}, "OPTIONS.no_delay: expected true or false, found 1", id="no-bool"),
        pytest.param("h", {"timeout": "1"}, "OPTIONS.timeout: expected a number of seconds, found '1'", id="text"),
        pytest.param("h", {"timeout": True}, "OPTIONS.timeout: expected a number of seconds, found True", id="bool"),
        pytest.param("h", {"max_pool_size": 0}, "OPTIONS.max_pool_size: expected 1 or more, found 0", id="no-pool"),
    ],
)
def test_a_setting_that_is_wrong(location: object, options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        PyMemcacheCache.build(location, options)


def test_a_server_that_dies_under_many_threads_fails_once_and_breaks_nobodys_connection() -> None:
    now = [0.0]
    raised: list[Exception] = []

    def use(node: Node, asked: threading.Event) -> None:
        try:
            while True:
                node.ask(methodcaller("get_many", ["k", "l"]))
                asked.set()
        except Exception as error:  # noqa: BLE001  whatever it is
            raised.append(error)

    with running("memcached", listen="tcp") as server:
        node = Node(server.name, {}, Rests(lambda: now[0], Seconds(1), 2, Seconds(60)))
        events = [threading.Event() for _ in range(8)]
        threads = [threading.Thread(target=use, args=(node, event)) for event in events]
        for thread in threads:
            thread.start()
        assert all(event.wait(60) for event in events)
        server.kill()
        for thread in threads:
            thread.join()
        assert {type(error) for error in raised} == {Lost}
        server.start()
        with pytest.raises(Lost, match="left alone"):
            node.ask(methodcaller("get", "k"))
        # The short rest is over, whoever failed together with the first.
        now[0] = 1
        assert node.ask(methodcaller("get", "k")) is None
        node.close()
