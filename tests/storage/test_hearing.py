"""Do proxies with one Redis hear what each forgets, and does nothing wait for it when it is away?"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import pytest
import redis

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.redis import RedisCache
from proxy.storage.backends.redis_channel import listen_on
from proxy.storage.backends.redis_servers import Servers
from proxy.storage.hearing import Hearing, Messenger
from tests.exchange.making import settled
from tests.exchange.remotes import start
from tests.storage.servers import Server, redis_cluster, redis_sentinel, running


@pytest.fixture
def server() -> Iterator[Server]:
    with running("redis-server", listen="tcp") as server:
        yield server


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with redis_cluster() as servers:
        yield "redis+cluster://" + ",".join(server.name for server in servers)


class Proxy:
    """A proxy on that Redis."""

    def __init__(self, location: str) -> None:
        self.cache = RedisCache(location)
        self.said: asyncio.Queue[bytes | None] = asyncio.Queue()
        """What was heard; None where listening began."""
        self.hearing = Hearing(self.cache, "pages", self.said.put_nowait, lambda: self.said.put_nowait(None), start)
        self.hearing.begin()

    async def next(self) -> bytes | None:
        async with asyncio.timeout(30):
            return await self.said.get()

    async def close(self) -> None:
        await self.hearing.close()
        await self.cache.close()


Start = Callable[[str], Coroutine[object, object, Proxy]]


@pytest.fixture
async def begin() -> AsyncIterator[Start]:
    proxies = []

    async def one(location: str) -> Proxy:
        proxies.append(Proxy(location))
        assert await proxies[-1].next() is None
        return proxies[-1]

    yield one
    for proxy in proxies:
        await proxy.close()


async def test_all_hear_what_one_says(begin: Start, server: Server) -> None:
    one, other = [await begin(f"redis://{server.name}") for _ in range(2)]
    one.hearing.tell(b"\x00\xff 1")
    assert await other.next() == await one.next() == b"\x00\xff 1"
    other.hearing.tell(b"2")
    assert await one.next() == b"2"


async def test_all_hear_what_one_says_in_a_cluster(begin: Start, cluster: str) -> None:
    one, other = [await begin(cluster) for _ in range(2)]
    one.hearing.tell(b"1")
    assert await other.next() == b"1"


async def test_all_hear_what_one_says_by_the_leader_that_sentinels_name(begin: Start, server: Server) -> None:
    with redis_sentinel(server, "pages") as sentinel:
        location = f"redis+sentinel://{sentinel.name}/pages/3"
        one, other = [await begin(location) for _ in range(2)]
        one.hearing.tell(b"1")
        assert await other.next() == b"1"


async def test_who_may_not_listen_is_told_why(server: Server) -> None:
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "pages", "on", ">secret", "~*", "+@all", "resetchannels")
    cache = RedisCache(f"redis://pages:secret@{server.name}")
    with pytest.raises(StorageError, match="channels"):
        await cache.listen("pages", lambda _: None, lambda: None)
    with pytest.raises(StorageError, match="channels"):
        await cache.publish("pages", b"1")
    assert await cache.set("key", 1, None)
    await cache.close()


async def test_who_listens_takes_no_connection_from_the_others(server: Server) -> None:
    cache = RedisCache(f"redis://{server.name}", {"max_connections": 1})
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    begun = asyncio.Event()
    listening = asyncio.ensure_future(cache.listen("pages", heard.put_nowait, begun.set))
    async with asyncio.timeout(30):
        await begun.wait()
        assert await cache.set("key", b"value", None)
        await cache.publish("pages", b"1")
        assert await heard.get() == b"1"
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await cache.close()


async def test_who_was_away_is_told_that_it_may_have_missed_something_and_hears_again(
    begin: Start, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = [await begin(f"redis://{server.name}") for _ in range(2)]
    server.kill()
    for number in range(500):
        one.hearing.tell(b"%d" % number)
    await settled()
    server.start()
    assert await one.next() is None
    assert await other.next() is None
    one.hearing.tell(b"again")
    while (said := await other.next()) != b"again":
        assert said is None or said.isdigit()
    assert sum("is heard late" in line for line in caplog.messages) <= 2


async def test_a_server_that_says_nothing_any_more_is_away(server: Server) -> None:
    """It is asked whether it is there, as a connection may hang for hours."""
    begun = asyncio.Event()
    async with Servers(f"redis://{server.name}", {}).apart() as apart, asyncio.timeout(60):
        listening = asyncio.ensure_future(listen_on(apart, "pages", lambda _: None, begun.set, quiet=Seconds(0.5)))
        await begun.wait()
        with redis.Redis(port=server.port) as admin:
            while admin.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] < 2:
                assert not listening.done()
                await asyncio.sleep(0.01)
        server.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(StorageError, match="says nothing"):
                await listening
        finally:
            server.process.send_signal(signal.SIGCONT)


class Silent:
    """A store that takes no message, and fails whoever listens in some way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.sent = 0
        self.listened = asyncio.Event()

    async def publish(self, channel: str, message: bytes) -> None:
        self.sent += 1
        await asyncio.Event().wait()

    async def listen(self, channel: str, heard: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        self.listened.set()
        raise self.error


@pytest.mark.parametrize("error", [StorageError("no permission"), RuntimeError("a fault")], ids=["away", "fault"])
async def test_a_store_that_fails_costs_a_line_and_bounded_memory(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    silent = Silent(error)
    assert isinstance(silent, Messenger)
    tasks: list[asyncio.Task[None]] = []
    hearing = Hearing(
        silent, "pages", lambda _: None, lambda: None, lambda work: tasks.append(asyncio.ensure_future(work))
    )
    hearing.begin()
    hearing.begin()
    await silent.listened.wait()
    for _ in range(1000):
        hearing.tell(b"1")
    await settled()
    assert silent.sent == 100
    await hearing.close()
    await hearing.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(caplog.messages) == 1


class Slow:
    """A store that passes messages on when it is told to, or fails."""

    def __init__(self) -> None:
        self.passed: list[bytes] = []
        self.go_on = asyncio.Event()
        self.fails = False

    async def publish(self, channel: str, message: bytes) -> None:
        await self.go_on.wait()
        if self.fails:
            raise StorageError("closed")
        self.passed.append(message)

    async def listen(self, channel: str, heard: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        await asyncio.Event().wait()


async def test_what_is_on_its_way_arrives_before_the_end() -> None:
    store = Slow()
    hearing = Hearing(store, "pages", print, print, start)
    hearing.tell(b"gone")
    finishing = asyncio.create_task(hearing.finish())
    await settled()
    assert not finishing.done()
    store.go_on.set()
    await finishing
    assert store.passed == [b"gone"]


async def test_what_fails_after_the_end_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    store = Slow()
    store.fails = True
    hearing = Hearing(store, "pages", print, print, start)
    hearing.tell(b"gone")
    await hearing.close()
    store.go_on.set()
    await hearing.finish()
    assert not caplog.records
