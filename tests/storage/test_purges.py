"""Is what was purged gone for everybody who uses a storage, and does all else stay?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.message.heads import Request
from proxy.policy.key import Distinctions, PrimaryKey, primary_key
from proxy.policy.purging import Kind as What
from proxy.policy.purging import Purge, PurgeLog, Rule
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.base import Backend, Value
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.locmem import LocMemCache
from proxy.storage.backends.shared import SharedMemoryCache
from proxy.storage.guard import Guards, Patience
from proxy.storage.memory import PageMemory
from proxy.storage.remote import RemoteResponses
from proxy.storage.responses import MemoryResponses, Responses
from proxy.storage.shared import SharedResponses
from tests.storage.contract import Clock, Factory, Kind, Store, kinds
from tests.storage.test_responses import asking, stored

#: Behind the clock of any machine that this runs on: what a file cache finds unfinished and old by this, it removes.
NOW = UnixTime(1_700_000_000)
AT = UnixTime(NOW + 10)
ALL = Rule(What.ALL)
TAG = Rule(What.TAG, b"news")


def key(path: bytes) -> PrimaryKey:
    request = asking()
    return primary_key(b"", Request(b"GET", path, request.fields, request.framing, request.host))


ONE, OTHER = key(b"/blog/1"), key(b"/about")
URL = Rule(What.URL, b"/blog/1", b"site.test")


class Instance:
    """What one process knows of a storage."""

    def __init__(self, responses: Responses, clock: Clock, tasks: set[asyncio.Task[None]]) -> None:
        self.responses = responses
        self.clock = clock
        self.tasks = tasks
        self.now = NOW

    @classmethod
    def of(cls, backend: Backend, clock: Clock | None = None) -> Instance:
        tasks: set[asyncio.Task[None]] = set()
        ticks = clock or Clock()

        def start(work) -> None:
            task = asyncio.get_running_loop().create_task(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        guards = Guards("pages", Patience(deadline=Seconds(20)), ticks)
        make_key = lambda key: f"page.{key.hex()}"  # noqa: E731
        return cls(RemoteResponses(backend, guards, make_key, Distinctions(()), 8, start), ticks, tasks)

    async def put(self, primary: PrimaryKey, *tags: bytes, begun: Responses | None = None, vary: bool = False) -> None:
        page = stored(bytes(primary), (b"accept-language",) if vary else (), born=NOW)
        page.tags = tags
        for line in ("accept-language: de", "accept-language: en")[: 1 + vary]:
            copy = StoredResponse(page.status, page.head, page.body, page.terms, None, tags)
            (begun or self.responses).store(primary, asking(line), copy, UnixTime(NOW + 1e6), NOW)
        await self.settle()

    async def settle(self) -> None:
        if isinstance(self.responses, RemoteResponses):
            await self.responses.finish()

    async def look(self, primary: PrimaryKey, line: str = "accept-language: de") -> StoredResponse | None:
        return await self.responses.look(primary, asking(line), self.now)

    async def has(self, primary: PrimaryKey, line: str = "accept-language: de") -> bool:
        return await self.look(primary, line) is not None

    async def purge(self, *rules: Rule, soft: bool = False) -> str | None:
        return await self.responses.purge(Purge(rules, soft, AT), alone=False)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()


# Every kind that others use too.


@pytest.fixture(scope="module", params=kinds(), ids=str)
def started(request: pytest.FixtureRequest) -> Iterator[tuple[Kind, Factory]]:
    with request.param.start() as make:
        yield request.param, make


@pytest.fixture
async def two(started: tuple[Kind, Factory]) -> AsyncIterator[tuple[Instance, Instance]]:
    kind, make = started
    store = Store(kind, make, Clock(NOW))
    backends = [store.backend() for _ in range(2)] if kind.processes else [store.backend()] * 2
    await backends[0].clear()
    instances = [Instance.of(backend) for backend in backends]
    for instance in instances:
        await instance.responses.prepare()  # type: ignore[attr-defined]
    yield instances[0], instances[1]
    for instance in instances:
        await instance.close()
    for backend in backends:
        await backend.close()


async def test_what_one_instance_purges_is_gone_for_the_other(two: tuple[Instance, Instance]) -> None:
    first, second = two
    await first.put(ONE, b"news", vary=True)
    await first.put(OTHER)
    for instance in two:
        assert await instance.has(ONE)
        assert await instance.has(ONE, "accept-language: en")
        assert await instance.has(OTHER)
    assert await second.purge(URL) is None
    for instance in two:
        assert not await instance.has(ONE)
        assert not await instance.has(ONE, "accept-language: en")
        assert await instance.has(OTHER), "what was not meant stays"
    await first.put(ONE, b"news")
    for instance in two:
        assert await instance.has(ONE), "what is stored after it stays"
    assert await first.purge(TAG, soft=True) is None
    for instance in two:
        found = await instance.look(ONE)
        assert found is not None
        assert found.purged
        assert found.fresh_until == NOW, "its clock is ahead of ours"
    assert await first.purge(TAG) is None
    assert await first.purge(Rule(What.PREFIX, b"/about")) is None
    for instance in two:
        assert not await instance.has(ONE)
        assert not await instance.has(OTHER)


async def test_what_was_asked_for_before_a_purge_is_not_stored_by_it(two: tuple[Instance, Instance]) -> None:
    first, second = two
    await first.put(OTHER)
    assert await second.has(OTHER)
    begun = second.responses.begun()
    assert await first.purge(URL) is None
    await second.put(ONE, begun=begun)
    await second.put(OTHER, begun=begun)
    for instance in two:
        assert not await instance.has(ONE)
        assert await instance.has(OTHER)


async def test_one_that_starts_later_knows_what_was_purged(
    two: tuple[Instance, Instance], started: tuple[Kind, Factory]
) -> None:
    first, second = two
    await first.put(ONE, b"news")
    await first.put(OTHER)
    for number in range(3):
        await first.purge(Rule(What.TAG, b"%d" % number))
    await first.purge(TAG)
    late = Instance.of(second.responses._backend)  # type: ignore[attr-defined]
    assert not await late.has(ONE)
    assert await late.has(OTHER)
    await late.close()


async def test_a_count_that_is_lost_takes_everything_with_it(two: tuple[Instance, Instance]) -> None:
    first, second = two
    await first.put(ONE)
    await first.put(OTHER)
    assert await second.has(OTHER)
    await first.purge(URL)
    backend = first.responses._backend  # type: ignore[attr-defined]
    name = f"page.{b'purge number'.hex()}"
    assert await backend.delete(name)
    for instance in two:
        # The new count begins with the time.
        instance.now = UnixTime(NOW + 1)
    assert not await second.has(OTHER)
    for instance in two:
        assert not await instance.has(ONE), "what was purged does not come back"
        assert not await instance.has(OTHER)
    async with asyncio.timeout(20):
        while not (await first.has(OTHER) and await second.has(OTHER)):
            # As soon as both know that the count has begun anew, it stays.
            await first.put(OTHER)


# A storage that fails.


class Failing(LocMemCache):
    """A storage in memory that fails when told to, and may lose the notes of purges."""

    def __init__(self) -> None:
        super().__init__(Clock(NOW), max_entries=None)
        self.gone = False
        self.loses = False

    async def incr(self, key: str, delta: int) -> int:
        if self.gone:
            raise StorageError("gone")
        return await super().incr(key, delta)

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        if self.loses and key.startswith(f"page.{b'purge '.hex()}"):
            return True
        return await super().set(key, value, timeout)


class Uncounting(LocMemCache):
    """An operator's own class that cannot count."""

    async def incr(self, key: str, delta: int) -> int:
        raise NotImplementedError


async def test_a_storage_that_cannot_count_forgets_everything_at_each_purge() -> None:
    backend = Uncounting(Clock(NOW), max_entries=None)
    first, second = Instance.of(backend), Instance.of(backend)
    for page in (ONE, OTHER):
        await first.put(page)
        assert await second.has(page)
    assert await first.purge(URL) is None
    for instance in (first, second):
        assert not await instance.has(ONE)
        assert not await instance.has(OTHER)
    await first.put(OTHER)
    assert await second.has(OTHER)
    for instance in (first, second):
        await instance.close()


@pytest.fixture
async def failing() -> AsyncIterator[tuple[Failing, Instance, Instance]]:
    backend = Failing()
    first, second = Instance.of(backend, Clock(UnixTime(0))), Instance.of(backend, Clock(UnixTime(0)))
    await first.put(ONE)
    await first.put(OTHER)
    assert await second.has(ONE)
    yield backend, first, second
    await first.close()
    await second.close()


async def test_a_purge_that_a_storage_cannot_be_told_is_owed(failing: tuple[Failing, Instance, Instance]) -> None:
    backend, first, second = failing
    backend.gone = True
    assert await first.purge(URL) == "gone"
    responses = first.responses
    assert isinstance(responses, RemoteResponses)
    assert responses.owed == 1
    assert not await first.has(ONE), "this process goes by it"
    assert await first.has(OTHER)
    assert await second.has(ONE), "and nobody else can know"
    assert await responses.purges.pay() == 1
    backend.gone = False
    assert await responses.purges.pay() == 0
    assert responses.owed == 0
    for instance in (first, second):
        assert not await instance.has(ONE)
        assert await instance.has(OTHER)
    await first.put(ONE)
    for instance in (first, second):
        assert await instance.has(ONE)


async def test_one_that_is_told_of_a_failure_goes_by_it_too(failing: tuple[Failing, Instance, Instance]) -> None:
    backend, first, second = failing
    backend.gone = True
    purge = Purge((URL,), at=AT)
    assert await second.responses.purge(purge, alone=True) is None
    assert not await second.has(ONE)
    assert await first.has(ONE)
    await second.settle()


async def test_more_that_is_owed_than_can_be_noted_is_everything(failing: tuple[Failing, Instance, Instance]) -> None:
    backend, first, _ = failing
    backend.gone = True
    responses = first.responses
    assert isinstance(responses, RemoteResponses)
    for number in range(1001):
        responses.purges.owe(Purge((Rule(What.TAG, b"%d" % number),)))
    assert responses.owed == 1
    assert not await first.has(OTHER)


async def test_a_purge_that_was_counted_and_cannot_be_read_counts_as_everything(
    failing: tuple[Failing, Instance, Instance],
) -> None:
    backend, first, second = failing
    backend.loses = True
    assert await first.purge(URL) is None
    assert await first.has(OTHER), "who purged knows what"
    assert not await second.has(OTHER), "nobody knows"
    assert not await second.has(OTHER)
    second.clock.turn(5)
    assert not await second.has(OTHER)
    await second.put(OTHER)
    assert await second.has(OTHER), "what is stored from then on is of use"


async def test_a_count_that_is_behind_is_that_of_a_replica(failing: tuple[Failing, Instance, Instance]) -> None:
    backend, first, _ = failing
    name = f"page.{b'purge number'.hex()}"
    before = await backend.get(name)
    assert await first.purge(URL) is None
    assert isinstance(before, int)
    await backend.set(name, before, None)
    assert await first.has(OTHER)
    assert not await first.has(ONE)
    first.clock.turn(59)
    assert await first.has(OTHER)
    first.clock.turn(2)
    assert not await first.has(OTHER), "the storage has lost something: nobody knows what"
    await first.put(OTHER)
    assert await first.has(OTHER)


async def test_a_count_that_is_something_else_is_begun_anew(failing: tuple[Failing, Instance, Instance]) -> None:
    backend, first, second = failing
    await backend.set(f"page.{b'purge number'.hex()}", b"nonsense", None)
    assert await first.purge(URL) is None
    for instance in (first, second):
        assert not await instance.has(ONE)
        assert not await instance.has(OTHER)


# In memory, of this process and of all workers.


@pytest.fixture(params=["memory", "shared"])
async def immediate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Instance, Instance]]:
    clock = Clock(NOW)
    if request.param == "memory":
        log = PurgeLog()
        memory = PageMemory(clock, max_entries=None)
        found: list[Responses] = [MemoryResponses(memory, Distinctions(()), 8, log) for _ in range(2)]
        yield Instance(found[0], clock, set()), Instance(found[1], clock, set())
        return
    cache = SharedMemoryCache(str(tmp_path / "cache"), clock, Limits(max_entries=None, max_bytes=32 * 2**20))
    make_key = lambda key: f"page.{key.hex()}"  # noqa: E731
    workers = [SharedResponses(cache.store, make_key, Distinctions(()), 8, clock) for _ in range(2)]
    yield Instance(workers[0], clock, set()), Instance(workers[1], clock, set())
    for worker in workers:
        await worker.finish()
    await cache.close()


async def test_the_same_in_memory(immediate: tuple[Instance, Instance]) -> None:
    await test_what_one_instance_purges_is_gone_for_the_other(immediate)


async def test_the_same_of_what_was_asked_for_before(immediate: tuple[Instance, Instance]) -> None:
    await test_what_was_asked_for_before_a_purge_is_not_stored_by_it(immediate)


async def test_what_is_listed_and_offered_was_not_purged(immediate: tuple[Instance, Instance]) -> None:
    first, second = immediate
    await first.put(ONE, vary=True)
    assert len(await second.responses.listed(ONE, 9, NOW)) == 2
    await first.purge(ALL)
    assert list(await second.responses.listed(ONE, 9, NOW)) == []
    await first.put(ONE)
    assert len(await second.responses.listed(ONE, 9, NOW)) == 1
    await first.purge(URL, soft=True)
    assert [one.purged for one in await second.responses.listed(ONE, 9, NOW)] == [True]
    assert [one.purged for one in await second.responses.listed(ONE, 9, NOW)] == [True]


async def test_workers_keep_no_more_purges_than_they_may(tmp_path: Path) -> None:
    clock = Clock(NOW)
    cache = SharedMemoryCache(str(tmp_path / "cache"), clock, Limits(max_entries=None, max_bytes=32 * 2**20))
    for number in range(40):
        cache.store.purge(b"%d" % number, most=20)
    floor, purges = cache.store.purges(0)
    assert 20 <= len(purges) <= 40
    assert 0 < floor < purges[0][0]
    assert purges[-1][1] == b"39"
    worker = SharedResponses(cache.store, lambda key: key.hex(), Distinctions(()), 8, clock)
    instance = Instance(worker, clock, set())
    await instance.put(ONE)
    assert await instance.has(ONE), "notes that cannot be read are of everything before them"
    await worker.finish()
    await cache.close()
