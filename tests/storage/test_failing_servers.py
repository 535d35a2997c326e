"""Does one server of several that fails cost its own pages only, and what does its return bring back?"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Protocol

import pytest
import redis as redis_client

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.policy.key import Distinctions, PrimaryKey
from proxy.storage.asking import NUMBER_KEY
from proxy.storage.backends.base import Backend
from proxy.storage.backends.memcached import PyLibMCCache, PyMemcacheCache
from proxy.storage.backends.redis import RedisCache
from proxy.storage.guard import Guards, Patience
from proxy.storage.numbers import Failure
from proxy.storage.remote import RemoteResponses
from tests.storage.contract import Clock
from tests.storage.forwarder import forwarding
from tests.storage.servers import Server, running
from tests.storage.test_responses import LATER, PAGE, asking, stored

NOW = UnixTime(1000.0)
#: Seconds; a server that is there answers in time on the slowest machine, and the tests wait for it a few times.
DEADLINE = Seconds(1)
ANY = asking()


class Proxy:
    """The stored responses of one proxy, and what it does meanwhile."""

    def __init__(self, backend: Backend, failures: int) -> None:
        self.clock = Clock()
        self.tasks: set[asyncio.Task[None]] = set()
        self.guards = Guards("pages", Patience(deadline=DEADLINE, failures=failures), self.clock)
        self.backend = backend
        self.responses = RemoteResponses(
            backend, self.guards, lambda key: f"page.{key.hex()}", Distinctions(()), 128, self._start
        )

    def _start(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def put(self, *pages: PrimaryKey, vary: tuple[bytes, ...] = (), request=ANY) -> None:
        for page in pages:
            assert self.responses.store(page, request, stored(bytes(page), vary), LATER, NOW)
        await self.responses.finish()

    async def get(self, page: PrimaryKey, request=ANY) -> bytes | None:
        found = await self.responses.look(page, request, NOW)
        return None if found is None else found.body

    async def said(self, page: PrimaryKey) -> bytes | str | None:
        try:
            return await self.get(page)
        except StorageError:
            return "failed"

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.backend.close()


class Make(Protocol):
    def __call__(self, backend: Backend, failures: int = 5) -> Proxy:
        """Make a proxy that leaves a server alone after so many failures."""


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        def one(backend: Backend, failures: int = 5) -> Proxy:
            proxy = Proxy(backend, failures)
            stack.push_async_callback(proxy.close)
            return proxy

        yield one


@asynccontextmanager
async def stopped(server: Server) -> AsyncIterator[None]:
    """Have the server take connections and answer nothing."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


async def eventually(wanted: object, ask) -> None:
    async with asyncio.timeout(20):
        while await ask() != wanted:  # noqa: ASYNC110  servers have no events
            await asyncio.sleep(0.02)


async def owing(proxy: Proxy, wanted: int = 1) -> None:
    """Return when the proxy has found out that so many deletions failed."""
    await eventually(wanted, lambda: asyncio.sleep(0, len(proxy.responses.debts)))


# One of several.


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(
            lambda names: PyMemcacheCache.build(names, {"retry_timeout": 0, "dead_timeout": 0}), id="pymemcache"
        ),
        pytest.param(lambda names: PyLibMCCache.build(names, {"behaviors": {"ketama": True}}), id="pylibmc"),
    ],
)
async def test_one_of_three_memcached_that_hangs_costs_its_own_pages_only(
    make: Make, build: Callable[[list[str]], Backend]
) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(running("memcached", listen="tcp")) for _ in range(3)]
        # What is asked for at once fails as one.
        proxy = make(build([server.name for server in servers]), failures=1)
        pages = [PrimaryKey(b"page %d" % number) for number in range(60)]
        await proxy.put(*pages)
        # While the one that has the count of purges hangs, the others' pages wait for it, until it is left alone.
        counting = proxy.backend.server_of(f"page.{NUMBER_KEY.hex()}", writing=False)
        hung = next(server for server in servers if server.name != counting)
        lost = {page for page in pages if proxy.backend.server_of(f"page.{page.hex()}", writing=False) == hung.name}
        assert 0 < len(lost) < len(pages)
        async with stopped(hung):
            for _ in range(3):
                # All at once: those who wait for the server that hangs leave the others their threads.
                found = dict(zip(pages, await asyncio.gather(*map(proxy.said, pages)), strict=True))
                assert found == {page: "failed" if page in lost else bytes(page) for page in pages}
            errors = proxy.guards.numbers.errors
            assert errors[Failure.TIMEOUT] == len(lost), "those of the first round waited, and nobody after them"
            assert errors[Failure.RESTING] == 2 * len(lost)
            assert proxy.guards.resting() == {server.name: server is hung for server in servers}
            assert not proxy.responses.accepts(min(lost))
            assert proxy.responses.accepts(next(page for page in pages if page not in lost))
        proxy.clock.turn(1)

        async def again() -> object:
            proxy.clock.turn(30)
            return await proxy.said(min(lost))

        await eventually(bytes(min(lost)), again)
        assert await asyncio.gather(*map(proxy.get, pages)) == [bytes(page) for page in pages]


async def test_a_replica_that_hangs_is_asked_once_and_the_others_go_on(make: Make) -> None:
    with ExitStack() as stack:
        leader = stack.enter_context(running("redis-server", "--repl-diskless-sync-delay", "0", listen="tcp"))
        follows = ("--replicaof", f"127.0.0.1 {leader.port}")
        replicas = [stack.enter_context(running("redis-server", *follows, listen="tcp")) for _ in range(2)]
        proxy = make(RedisCache([f"redis://{server.name}" for server in (leader, *replicas)]))
        await proxy.put(PAGE)
        for replica in replicas:
            with redis_client.Redis(port=replica.port) as client:
                # The page, the count of purges, and the one that it began with.
                await eventually(3, lambda client=client: asyncio.to_thread(client.dbsize))
        assert {await proxy.said(PAGE) for _ in range(20)} == {bytes(PAGE)}
        async with stopped(replicas[0]):
            found = [await proxy.said(PAGE) for _ in range(60)]
            assert found.count("failed") == proxy.guards.numbers.errors[Failure.TIMEOUT]
            assert 1 <= found.count("failed") <= 6, "once for each time that it is tried"
            assert not any(proxy.guards.resting().values())


async def test_a_leader_that_hangs_leaves_the_replicas_to_be_read(make: Make) -> None:
    with ExitStack() as stack:
        leader = stack.enter_context(running("redis-server", "--repl-diskless-sync-delay", "0", listen="tcp"))
        follows = ("--replicaof", f"127.0.0.1 {leader.port}")
        replica = stack.enter_context(running("redis-server", *follows, listen="tcp"))
        proxy = make(RedisCache([f"redis://{leader.name}", f"redis://{replica.name}"]))
        await proxy.put(PAGE)
        await eventually(bytes(PAGE), lambda: proxy.said(PAGE))
        leader.kill()
        others = [PrimaryKey(b"other %d" % number) for number in range(5)]
        for page in others:
            assert proxy.responses.store(page, ANY, stored(), LATER, NOW)
        await proxy.responses.finish()
        assert proxy.guards.resting() == {leader.name: True, "the replicas": False}
        assert not proxy.responses.accepts(PAGE)
        assert await proxy.get(PAGE) == bytes(PAGE)


# What comes back with a server that went on running.


async def test_what_was_deleted_while_memcached_could_not_be_reached_is_gone_when_it_can() -> None:
    with running("memcached") as server:
        async with forwarding(server) as way:
            cache = PyMemcacheCache.build(way.name, {"retry_timeout": 0, "dead_timeout": 0, "max_pool_size": 2})
            for key in ("deleted", "deleted-too", "set", "kept"):
                assert await cache.set(key, b"former", None)
            way.cut()
            assert not await cache.delete("deleted")
            await cache.delete_many(["deleted-too"])
            assert not await cache.set("set", b"newer", None)
            assert await cache.get("kept") is None
            way.restore()
            assert await cache.get_many(["deleted", "deleted-too", "set", "kept"]) == {"kept": b"former"}
            await cache.close()


@pytest.mark.rfc(9111, "4.4")
async def test_a_page_that_was_invalidated_while_memcached_could_not_be_reached_does_not_come_back(make: Make) -> None:
    with running("memcached", listen="tcp") as server:
        async with forwarding(server) as way:
            options = {"retry_timeout": 0, "dead_timeout": 0}
            here = make(PyMemcacheCache.build(way.name, options))
            other = make(PyMemcacheCache.build(server.name, options))
            await here.put(PAGE)
            assert await other.get(PAGE) == bytes(PAGE)
            way.cut()
            here.responses.invalidate(PAGE)
            await owing(here)
            assert not here.responses.accepts(PAGE), "it is forgotten before anything is stored there again"
            assert await here.get(PAGE) is None
            way.restore()
            await eventually(None, lambda: other.get(PAGE))
            assert await here.get(PAGE) is None
            await owing(here, 0)
            await here.put(PAGE)
            assert await other.get(PAGE) == bytes(PAGE)


@pytest.mark.rfc(9111, "4.4")
async def test_a_process_that_ends_tells_the_storage_for_the_last_time_what_is_to_be_forgotten(make: Make) -> None:
    with running("redis-server", listen="tcp") as server:
        async with forwarding(server) as way:
            here, other = make(RedisCache(f"redis://{way.name}")), make(RedisCache(f"redis://{server.name}"))
            await here.put(PAGE)
            way.cut()
            here.responses.invalidate(PAGE)
            await owing(here)
            way.restore()
            await here.responses.finish()
            assert await other.get(PAGE) is None


async def test_what_could_not_be_told_to_the_storage_when_a_process_ends_stands_in_the_log(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with running("redis-server", listen="tcp") as server:
        async with forwarding(server) as way:
            proxy = make(RedisCache(f"redis://{way.name}"))
            await proxy.put(PAGE)
            way.cut()
            proxy.responses.invalidate(PAGE)
            with caplog.at_level(logging.WARNING, "sitecache"):
                await proxy.responses.finish()
    assert "1 invalidations did not reach the storage" in caplog.messages[-1]


# Round trips.


@pytest.mark.parametrize(
    "vary",
    [
        pytest.param((), id="no-vary"),
        pytest.param((b"accept-encoding", b"cookie"), id="usual"),
        pytest.param((b"x-device",), id="a-field-of-the-application"),
    ],
)
async def test_right_after_a_start_a_hit_is_one_command_to_redis(make: Make, vary: tuple[bytes, ...]) -> None:
    request = asking("accept-encoding: gzip", "x-device: phone")
    with running("redis-server") as server, redis_client.Redis(unix_socket_path=server.name) as admin:
        url = f"unix://{server.name}"
        await make(RedisCache(url)).put(PAGE, vary=vary, request=request)
        started = make(RedisCache(url))
        await started.responses.prepare()
        admin.config_resetstat()
        assert await started.get(PAGE, request) == bytes(PAGE)
        asked = {name: stats["calls"] for name, stats in admin.info("commandstats").items()}
        del asked["cmdstat_config|resetstat"]
        assert asked == {"cmdstat_mget": 1}


@pytest.mark.parametrize("vary", [pytest.param((), id="no-vary"), pytest.param((b"x-device",), id="vary")])
async def test_right_after_a_start_a_hit_is_one_command_to_memcached(make: Make, vary: tuple[bytes, ...]) -> None:
    request = asking("x-device: phone")
    with running("memcached") as server:
        async with forwarding(server) as way:
            await make(PyMemcacheCache.build(way.name, {})).put(PAGE, vary=vary, request=request)
            started = make(PyMemcacheCache.build(way.name, {}))
            await started.responses.prepare()
            way.commands.clear()
            assert await started.get(PAGE, request) == bytes(PAGE)
            assert way.commands == [b"get"]
