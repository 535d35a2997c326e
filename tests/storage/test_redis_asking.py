"""Does who asks for many values get the reply to that question, whatever the server and the network do?"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import hiredis
import pytest
import redis
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from proxy.errors import StorageError
from proxy.storage.backends.redis import RedisCache
from proxy.storage.backends.redis_asking import _may_keep, can_ask
from tests.storage.servers import Server, await_that, running

Answer = Callable[[asyncio.StreamWriter, list[bytes]], Coroutine[object, object, None]]
PUSH = b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("redis-server") as server:
        yield server


@dataclass
class Scripted:
    """A server that says what a test has it say when it is asked for values."""

    answer: Answer
    connections: int = 0
    asked: list[list[bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        commands = hiredis.Reader()
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    if command[0] == b"MGET":
                        self.asked.append(command[1:])
                        await self.answer(writer, command[1:])
                    else:
                        writer.write(b"%1\r\n+proto\r\n:3\r\n" if command[0] == b"HELLO" else b"+OK\r\n")
        writer.close()


@asynccontextmanager
async def scripted(answer: Answer, **options: object) -> AsyncIterator[tuple[Scripted, RedisCache]]:
    """Give a scripted server, and a cache that asks it."""
    one = Scripted(answer)
    listening = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    cache = RedisCache.build(f"redis://127.0.0.1:{port}", options)
    try:
        yield one, cache
    finally:
        await cache.close()
        listening.close()


def values(names: list[bytes]) -> bytes:
    """The right reply: each value is its key."""
    return b"*%d\r\n" % len(names) + b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in names)


async def rightly(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
    writer.write(values(names))


def first_then_rightly(*first: bytes) -> Answer:
    """Say this to the first question, and the right thing to all others."""
    said = list(first)

    async def answer(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
        writer.write(said.pop(0) if said else values(names))

    return answer


async def test_a_reply_may_come_byte_by_byte() -> None:
    async def slowly(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
        for byte in PUSH + values(names):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)

    async with scripted(slowly) as (one, cache):
        for keys in (["a", "bb"], ["c"]):
            assert await cache.get_many(keys) == {key: key.encode() for key in keys}
        assert one.connections == 1


async def test_what_the_server_says_unasked_is_no_reply() -> None:
    async def pushing(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
        writer.write(PUSH + values(names))

    async with scripted(pushing) as (one, cache):
        assert await cache.get_many(["a"]) == {"a": b"a"}
        assert await cache.get_many(["b"]) == {"b": b"b"}
        assert one.connections == 1


@pytest.mark.parametrize("pushed", [PUSH, PUSH[:7]], ids=["whole", "in-part"])
async def test_what_the_server_says_between_two_questions_is_no_reply(pushed: bytes) -> None:
    async def later(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
        # The library may have made another connection.
        rest = PUSH[len(pushed) :] if len(one.asked) == 2 and one.connections == 1 else b""
        writer.write(rest + values(names))
        if len(one.asked) == 1:
            asyncio.get_running_loop().call_later(0.05, writer.write, pushed)

    async with scripted(later) as (one, cache):
        assert await cache.get_many(["a"]) == {"a": b"a"}
        await asyncio.sleep(0.1)
        assert await cache.get_many(["b"]) == {"b": b"b"}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(values([b"a"]) + values([b"z"]), id="two-replies"),
        pytest.param(values([b"a"]) + b"*1\r", id="a-reply-and-part-of-one"),
        pytest.param(b"?what\r\n", id="no-reply"),
        pytest.param(values([b"a", b"z"]), id="a-value-too-many"),
        pytest.param(b"-LOADING of data\r\n", id="loading"),
    ],
)
async def test_a_server_that_says_something_else_is_an_error_and_asked_anew(said: bytes) -> None:
    async with scripted(first_then_rightly(said)) as (one, cache):
        with pytest.raises((StorageError, ValueError)):
            await cache.get_many(["a"])
        assert await cache.get_many(["b"]) == {"b": b"b"}
        assert len(one.asked) == 2


async def test_a_refusal_is_an_error_and_the_connection_goes_on() -> None:
    async with scripted(first_then_rightly(b"-NOPERM this user has no permissions\r\n")) as (one, cache):
        with pytest.raises(StorageError, match="no permissions"):
            await cache.get_many(["a"])
        assert await cache.get_many(["b"]) == {"b": b"b"}
        assert one.connections == 1


async def test_a_server_that_leaves_in_the_middle_is_an_error_and_asked_anew() -> None:
    async def leaving(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
        if one.connections > 1:
            writer.write(values(names))
        else:
            writer.write(values(names)[:-3])
            writer.close()

    async with scripted(leaving) as (one, cache):
        with pytest.raises(StorageError):
            await cache.get_many(["a"])
        assert await cache.get_many(["b"]) == {"b": b"b"}
        assert one.connections == 2


async def test_a_late_reply_is_nobodys() -> None:
    async def late_once(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
        if len(one.asked) == 1:
            asyncio.get_running_loop().call_later(0.2, writer.write, values(names))
        else:
            await rightly(writer, names)

    async with scripted(late_once, socket_timeout=0.1, max_connections=1) as (one, cache):
        with pytest.raises(StorageError, match="Timeout"):
            await cache.get_many(["a"])
        for _ in range(15):
            assert await cache.get_many(["b"]) == {"b": b"b"}
            await asyncio.sleep(0.02)
        assert one.connections == 2


async def test_whoever_gives_up_leaves_no_reply_for_others(server: Server) -> None:
    cache = RedisCache.build(f"unix://{server.name}", {"max_connections": 3})
    chance = random.Random(22)
    keys = [f"k{number}" for number in range(200)]
    await cache.set_many({key: key.encode() * 2000 for key in keys}, None)

    async def ask() -> bool:
        wanted = chance.sample(keys, chance.randrange(1, 60))
        patience = chance.choice([None, 0.0, 0.0005, 0.002, 0.005, 0.02])
        try:
            async with asyncio.timeout(patience):
                found = await cache.get_many(wanted)
        except TimeoutError:
            return False
        assert found == {key: key.encode() * 2000 for key in wanted}
        return True

    done = [one for _ in range(60) for one in await asyncio.gather(*(ask() for _ in range(20)))]
    assert set(done) == {True, False}
    await cache.close()


async def test_the_library_and_we_take_turns_on_a_connection(server: Server) -> None:
    cache = RedisCache.build(f"unix://{server.name}", {"max_connections": 1})
    for number in range(50):
        await cache.set("n", number, None)
        assert await cache.get_many(["n", "no"]) == {"n": number}
        assert await cache.get("n") == number
    with redis.Redis(unix_socket_path=server.name) as admin:
        assert len(admin.client_list()) == 2
    await cache.close()


async def test_a_connection_stays_at_hand_until_the_end(server: Server) -> None:
    cache = RedisCache.build(f"unix://{server.name}", {})
    await cache.set("k", b"v", None)
    with redis.Redis(unix_socket_path=server.name) as admin:
        for _ in range(5):
            assert await cache.get_many(["k"]) == {"k": b"v"}
        assert len(admin.client_list()) == 2
        await asyncio.gather(*(cache.get_many(["k"]) for _ in range(30)), *(cache.get("k") for _ in range(300)))
        assert len(admin.client_list()) <= 65
        await cache.close()
        await asyncio.to_thread(await_that, lambda: len(admin.client_list()) == 1)


async def test_a_connection_that_ended_while_it_was_at_hand_fails_nobody(server: Server) -> None:
    cache = RedisCache.build(f"unix://{server.name}", {})
    await cache.set("k", b"v", None)
    with redis.Redis(unix_socket_path=server.name) as admin:
        for _ in range(10):
            await asyncio.gather(*(cache.get_many(["k"]) for _ in range(6)))
            admin.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0.01)
            assert await cache.get_many(["k"]) == {"k": b"v"}
        assert len(admin.client_list()) <= 7
    await cache.close()


async def test_what_came_while_it_was_at_hand_is_no_reply() -> None:
    async def twice(writer: asyncio.StreamWriter, names: list[bytes]) -> None:
        writer.write(values(names))
        asyncio.get_running_loop().call_later(0.02, writer.write, values([b"z"]))

    async with scripted(twice) as (_, cache):
        for key in "abc":
            assert await cache.get_many([key]) == {key: key.encode()}
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("pool", "options", "may"),
    [
        pytest.param(BlockingConnectionPool, {"max_connections": 64}, True, id="many"),
        pytest.param(ConnectionPool, {"max_connections": 3}, False, id="few"),
        pytest.param(ConnectionPool, {"credential_provider": object()}, False, id="passwords-that-change"),
    ],
)
async def test_of_which_pools_connections_are_kept(
    pool: type[ConnectionPool], options: dict[str, object], may: bool
) -> None:
    assert _may_keep(pool.from_url("redis://127.0.0.1", **options)) is may


async def test_the_connections_to_a_leader_that_sentinels_name_go_back() -> None:
    assert not _may_keep(Sentinel([("127.0.0.1", 1)]).master_for("pages").connection_pool)


class OwnPool(ConnectionPool):
    """What an operator may have made."""


@pytest.mark.parametrize(
    ("pool", "options", "can"),
    [
        pytest.param(BlockingConnectionPool, {}, True, id="ours"),
        pytest.param(ConnectionPool, {}, True, id="the-librarys"),
        pytest.param(OwnPool, {}, False, id="the-operators"),
        pytest.param(ConnectionPool, {"health_check_interval": 3}, False, id="health"),
        pytest.param(ConnectionPool, {"retry_on_timeout": True}, False, id="retry-on-timeout"),
        pytest.param(ConnectionPool, {"retry": Retry(NoBackoff(), 2)}, False, id="retry"),
    ],
)
async def test_what_the_library_does_for_each_command_it_goes_on_doing(
    pool: type[ConnectionPool], options: dict[str, object], can: bool
) -> None:
    assert can_ask(Redis.from_pool(pool.from_url("redis://127.0.0.1", **options))) is can


async def test_what_the_url_says_counts_as_well() -> None:
    url = "redis://127.0.0.1?health_check_interval=3"
    assert not can_ask(Redis.from_pool(ConnectionPool.from_url(url)))
