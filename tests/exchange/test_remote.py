"""Are pages served from a storage that has to be waited for, and does the site go on without it?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

import pytest

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.policy.key import Distinctions, PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.base import Value
from proxy.storage.codec import decode, encode
from proxy.storage.debts import Debts
from proxy.storage.memory import PageMemory
from proxy.storage.numbers import Operation
from proxy.storage.remote import RemoteResponses
from proxy.storage.responses import MemoryResponses, Responses
from tests.exchange.making import NOW, Bench, Clock, Gate, request, settled, whole
from tests.exchange.remotes import PURGES, Counting, Unreachable, guards, pages_of, remote, start
from tests.storage.test_responses import stored

FRESH = "cache-control: max-age=60"
LANGUAGE = "vary: accept-language"


def body_of(slot: tuple[object, ...]) -> bytes:
    """Return what lies there, as bytes."""
    held = slot[0]
    return held.head if isinstance(held, StoredResponse) else held if isinstance(held, bytes) else b""


async def test_a_page_is_stored_and_then_one_look_up_answers() -> None:
    backend = Counting()
    bench = Bench(whole(FRESH, body=b"page"), storage=remote(backend))
    assert (await bench.get()).cache_status == "fwd=uri-miss; fwd-status=200; ttl=60; stored"
    backend.trips.clear()
    assert (await bench.get()).got == (200, b"page", True)
    assert [len(keys) for keys in backend.trips] == [2], "the page, and how much was purged"
    assert bench.times_asked == 1


async def test_another_instance_finds_what_the_first_has_stored() -> None:
    backend = Counting()
    first = Bench(whole(FRESH, LANGUAGE, body=b"hola"), storage=remote(backend))
    await first.get("/page", "accept-language: es")
    second = Bench(whole(FRESH, LANGUAGE, body=b"hello"), storage=remote(backend))
    assert (await second.get("/page", "accept-language: es")).got == (200, b"hola", True)
    assert (await second.get("/page", "accept-language: en")).got == (200, b"hello", True)
    backend.trips.clear()
    assert (await second.get("/page", "accept-language: es")).content == b"hola"
    assert (await second.get("/page", "accept-language: en")).content == b"hello"
    assert len(backend.trips) == 2, "a hit takes one round trip, also where responses vary"
    assert second.times_asked == 1


async def test_after_a_write_no_variant_is_found_by_anybody() -> None:
    backend = Counting()
    first, second = (Bench(storage=remote(backend)) for _ in range(2))
    for language in ("en", "es"):
        first.give(whole(FRESH, LANGUAGE, body=language.encode()))
        await first.get("/page", f"accept-language: {language}")
        await second.get("/page", f"accept-language: {language}")
    first.give(whole(FRESH, status=200))
    await first.ask(request("/page", method="POST"))
    first.clock.turn(1)
    first.give(whole(FRESH, LANGUAGE, body=b"new en"))
    await first.get("/page", "accept-language: en")
    second.give(whole(FRESH, LANGUAGE, body=b"new es"))
    assert (await second.get("/page", "accept-language: en")).content == b"new en"
    assert (await second.get("/page", "accept-language: es")).content == b"new es"


async def test_a_stale_page_is_validated_and_stored_again() -> None:
    backend = Counting()
    bench = Bench(whole(FRESH, 'etag: "a"', body=b"page"), storage=remote(backend))
    await bench.get()
    bench.clock.turn(61)
    bench.give(whole(FRESH, 'etag: "a"', status=304))
    assert (await bench.get()).got == (200, b"page", True)
    assert (await bench.get()).cache_status == "hit; ttl=60"


class Slow(Counting):
    """A storage whose writes wait until they are let through, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[asyncio.Future[None]] = []

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        if key.startswith(PURGES):
            return await super().set(key, value, timeout)
        self.writes.append(asyncio.get_running_loop().create_future())
        await self.writes[-1]
        return await super().set(key, value, timeout)


async def test_what_is_on_its_way_is_a_hit_already() -> None:
    bench = Bench(whole(FRESH, body=b"page"), storage=remote(Slow()))
    await bench.get()
    assert (await bench.get()).got == (200, b"page", True)


async def test_a_write_that_comes_late_does_not_undo_an_invalidation() -> None:
    backend = Slow()
    bench = Bench(whole(FRESH, body=b"old"), storage=remote(backend))
    await bench.get()
    bench.give(whole())
    await bench.ask(request("/page", method="POST"))
    backend.writes[0].set_result(None)
    await settled()
    other = Bench(whole(FRESH, body=b"new"), storage=remote(backend))
    assert (await other.get()).content == b"new"


async def test_the_site_goes_on_without_its_storage_and_uses_it_when_it_is_back() -> None:
    backend = Unreachable()
    bench = Bench(*(whole(FRESH, body=b"page") for _ in range(3)), storage=remote(backend))
    for _ in range(2):
        client = await bench.get()
        assert client.got == (200, b"page", True)
        assert client.cache_status == "fwd=uri-miss; fwd-status=200; ttl=60; detail=storage-failed"
    backend.gone = False
    assert (await bench.get()).detail is None
    assert (await bench.get()).cache_status == "hit; ttl=60"


async def test_a_crowd_on_a_cold_page_is_collapsed_without_the_storage_too() -> None:
    gate = Gate()
    bench = Bench(gate, storage=remote(Unreachable()))
    clients = await bench.crowd([request("/page") for _ in range(20)])
    gate.open(whole(FRESH, body=b"page"))
    await settled()
    assert {client.got for client in clients} == {(200, b"page", True)}
    assert bench.times_asked == 1


class Stuck(Counting):
    """A storage that never answers."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        await asyncio.get_running_loop().create_future()
        return {}


async def test_nobody_waits_for_a_storage_longer_than_its_deadline() -> None:
    guarded = guards(deadline=Seconds(0.001))
    bench = Bench(whole(FRESH, body=b"page"), storage=remote(Stuck(), guarded))
    client = bench.start(request("/page"))
    async with asyncio.timeout(60):
        while not client.is_whole:  # noqa: ASYNC110 - the client is a fake without events
            await asyncio.sleep(0)
    assert client.detail == "storage-failed"
    assert guarded.numbers.errors == {"timeout": 1}


async def test_a_storage_that_fails_again_and_again_is_left_alone_and_tried_later() -> None:
    clock = Clock()
    guarded = guards(clock)
    backend = Unreachable()

    async def ask() -> dict[str, Value]:
        return await guarded.run(Operation.GET, "", lambda: backend.get_many(["a"]))

    for _ in range(8):
        with pytest.raises(StorageError):
            await ask()
    assert len(backend.trips) == 5
    assert guarded.numbers.errors == {"error": 5, "resting": 3}
    clock.turn(1)
    with pytest.raises(StorageError):
        await ask()
    clock.turn(1)
    with pytest.raises(StorageError):
        await ask()
    assert len(backend.trips) == 6, "each time it fails it is left alone for longer"
    clock.turn(1)
    backend.gone = False
    assert await ask() == {}
    assert guarded.resting() == {"": False}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[:-1], id="truncated"),
        pytest.param(lambda data: data + b"x", id="longer"),
        pytest.param(lambda data: b"\x80\x05pickle." + data, id="foreign"),
        pytest.param(lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:], id="one-bit"),
        pytest.param(lambda data: b"scp0" + data[4:], id="another-form"),
        pytest.param(lambda data: 7, id="number"),
    ],
)
async def test_a_damaged_record_is_a_miss(spoil: object) -> None:
    backend = Counting()
    guarded = guards()
    bench = Bench(whole(FRESH, body=b"page"), whole(FRESH, body=b"again"), storage=remote(backend, guarded))
    await bench.get()
    [key] = backend.pages
    slot = backend._slots[key]
    backend.put(key, spoil(slot[0]), 1, slot[2])  # type: ignore[operator]
    again = await bench.get()
    assert again.content == b"again"
    assert again.cache_status == "fwd=uri-miss; fwd-status=200; ttl=60; stored; detail=storage-damaged"
    assert guarded.numbers.damaged == 1
    assert (await bench.get()).content == b"again"


async def test_a_record_under_the_key_of_another_page_is_no_answer_for_it() -> None:
    backend = Counting()
    bench = Bench(
        whole(FRESH, body=b"one"), whole(FRESH, body=b"two"), whole(FRESH, body=b"new"), storage=remote(backend)
    )
    await bench.get("/one")
    await bench.get("/two")
    one, two = backend.pages
    backend.put(two, backend._slots[one][0], 1, backend._slots[one][2])
    assert (await bench.get("/two")).content == b"new"


# Variants.


Pages = Callable[[], int]


def in_memory(variants: int) -> tuple[Responses, Pages]:
    memory = PageMemory(Clock())

    def pages() -> int:
        return sum(isinstance(kept.value, StoredResponse) for kept in memory.kept.values())

    return MemoryResponses(memory, Distinctions(("_ga",)), variants), pages


def in_storage(variants: int) -> tuple[Responses, Pages]:
    backend = Counting()
    return remote(backend, variants=variants), lambda: pages_in(backend)


def pages_in(backend: Counting) -> int:
    return sum(b"HTTP/1.1" in body_of(slot) for slot in backend._slots.values())


KINDS = [pytest.param(in_memory, id="memory"), pytest.param(in_storage, id="remote")]
Kind = Callable[[int], tuple[Responses, Pages]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variants", [1, 3])
async def test_a_url_has_no_more_stored_variants_than_it_may(kind: Kind, variants: int) -> None:
    storage, pages = kind(variants)
    bench = Bench(storage=storage)
    for number in range(12):
        vary = LANGUAGE if number % 2 else "vary: accept-language, x-device"
        bench.give(whole(FRESH, vary, body=b"%d" % number))
        assert (await bench.get("/page", f"accept-language: l{number}")).content == b"%d" % number
        assert (await bench.get("/page", f"accept-language: l{number}")).cache_status.startswith("hit")
    assert pages() == variants


@pytest.mark.parametrize("kind", KINDS)
async def test_variants_up_to_the_limit_are_all_kept(kind: Kind) -> None:
    bench = Bench(storage=kind(16)[0])
    for number in range(16):
        bench.give(whole(FRESH, LANGUAGE, body=b"%d" % number))
        await bench.get("/page", f"accept-language: l{number}")
    for number in range(16):
        assert (await bench.get("/page", f"accept-language: l{number}")).content == b"%d" % number


async def test_proxies_that_store_variants_at_the_same_time_keep_the_limit_together() -> None:
    backend = Counting()
    proxies = [Bench(storage=remote(backend, variants=4)) for _ in range(3)]
    for number in range(40):
        gates = [Gate() for _ in proxies]
        for proxy, gate in zip(proxies, gates, strict=True):
            proxy.give(gate)
        clients = [
            proxy.start(request("/page", f"accept-language: l{number}-{which}")) for which, proxy in enumerate(proxies)
        ]
        await settled()
        for which, gate in enumerate(gates):
            gate.open(whole(FRESH, LANGUAGE, body=b"%d-%d" % (number, which)))
        await settled()
        assert [client.content for client in clients] == [b"%d-%d" % (number, which) for which in range(3)]
    assert pages_in(backend) <= 4


async def test_a_variant_never_answers_for_another_that_had_its_slot() -> None:
    backend = Counting()
    one, other = (Bench(storage=remote(backend, variants=1)) for _ in range(2))
    one.give(whole(FRESH, LANGUAGE, body=b"hola"))
    await one.get("/page", "accept-language: es")
    other.give(whole(FRESH, LANGUAGE, body=b"hello"))
    await other.get("/page", "accept-language: en")
    one.give(whole(FRESH, LANGUAGE, body=b"hola"))
    assert (await one.get("/page", "accept-language: es")).got == (200, b"hola", True)


async def test_what_the_site_varies_by_is_known_after_a_start() -> None:
    backend = Counting()
    first = Bench(whole(FRESH, "vary: x-device", body=b"phone"), storage=remote(backend))
    await first.get("/page", "x-device: phone")
    started = remote(backend)
    await started.prepare()
    backend.trips.clear()
    assert (await Bench(storage=started).get("/page", "x-device: phone")).content == b"phone"
    assert len(backend.trips) == 1


# What a storage that fails may not do.


@pytest.mark.rfc(9211, "2.5")
async def test_stored_is_not_said_when_the_storage_is_known_not_to_take_it() -> None:
    backend = Unreachable()
    backend.gone = False
    guarded = guards(failures=1)
    bench = Bench(*(whole(FRESH, body=b"page") for _ in range(2)), storage=remote(backend, guarded))
    gate = Gate()
    bench.origin.answers.insert(0, gate)
    client = await bench.ask(request("/page"))
    backend.gone = True
    await bench.get("/other")
    assert guarded.resting() == {"": True}
    gate.open(whole(FRESH, body=b"page"))
    await settled()
    assert client.cache_status == "fwd=uri-miss; fwd-status=200; ttl=60", "it was looked up, and will not be stored"


class Late(Counting):
    """A storage that does what it is told when the test lets it, also after nobody waits any more."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[tuple[str, Value]] = []

    async def set(self, key: str, value: Value, timeout: Seconds | None) -> bool:
        if key.startswith(PURGES):
            return await super().set(key, value, timeout)
        self.late.append((key, value))
        await asyncio.get_running_loop().create_future()
        return True

    async def arrive(self) -> None:
        for key, value in self.late:
            await super().set(key, value, Seconds(600))


async def test_a_write_that_arrives_after_its_deadline_does_not_undo_an_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.storage.remote._WRITE_DEADLINE", 0.001)
    backend = Late()
    responses = remote(backend)
    bench = Bench(whole(FRESH, body=b"old"), whole(), storage=responses)
    await bench.get()
    async with asyncio.timeout(20):
        while not responses.debts:  # noqa: ASYNC110 - a fake without events
            await asyncio.sleep(0)
    await bench.ask(request("/page", method="POST"))
    (primary,) = responses.debts._keys
    assert not responses.accepts(PrimaryKey(primary)), "nobody knows what would come after what"
    await responses.debts.pay()
    await backend.arrive()
    assert set(backend.pages) == {key for key, _ in backend.late}
    await responses.debts.pay()
    assert not pages_of(backend)
    assert responses.accepts(PrimaryKey(primary))


async def test_more_to_forget_than_can_be_noted_makes_everything_older_untrusted() -> None:
    told: list[list[str]] = []

    async def say(keys: list[str]) -> list[str]:
        told.append(keys)
        return keys

    debts: Debts[str] = Debts(say, start, most=2)
    before, now = UnixTime(90), UnixTime(100)
    debts.owe("a")
    debts.owe("b", times=2)
    assert debts.forgives(before, now)
    debts.owe("c")
    assert "c" not in debts
    assert not debts.forgives(before, now)
    assert debts.forgives(now, UnixTime(110))
    assert not debts.forgives(before, UnixTime(120))
    assert await debts.pay() == 0
    assert (len(debts), "b" in debts) == (1, True)
    assert await debts.pay() == 0
    assert (len(debts), told) == (0, [["a", "b"], ["b"]])


async def test_no_more_waits_for_a_slow_storage_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.storage.remote._MOST_ON_ITS_WAY", 5)
    backend = Slow()
    bench = Bench(*(whole(FRESH, body=b"page") for _ in range(3)), storage=remote(backend))
    for number in range(2):
        assert (await bench.get(f"/{number}")).cache_status.endswith("stored")
    assert not (await bench.get("/2")).cache_status.endswith("stored")
    assert len(backend.writes) == 2


async def test_a_large_page_is_written_and_read_outside_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[bool] = []

    def noting(work):
        def noted(*arguments):
            where.append(threading.current_thread() is threading.main_thread())
            return work(*arguments)

        return noted

    monkeypatch.setattr("proxy.storage.remote.encode", noting(encode))
    monkeypatch.setattr("proxy.storage.asking.decode", noting(decode))
    responses = remote(Counting())
    for size, on_loop in ((1000, True), (1_000_000, False)):
        where.clear()
        primary = PrimaryKey(b"%d" % size)
        page = StoredResponse(200, b"HTTP/1.1 200 OK\r\n", b"x" * size, stored().terms)
        assert responses.store(primary, request(), page, UnixTime(NOW + 60), NOW)
        await responses.finish()
        found = await responses.look(primary, request(), NOW)
        assert found is not None
        assert found.body == page.body
        assert where == [on_loop, on_loop]


async def test_a_key_function_that_fails_costs_no_request() -> None:
    fails = True

    def make_key(key: bytes) -> str:
        if fails:
            raise ValueError("no key today")
        return f"page.{key.hex()}"

    storage = RemoteResponses(Counting(), guards(), make_key, Distinctions(()), 128, start)
    bench = Bench(*[whole(FRESH) for _ in range(4)], storage=storage)
    await storage.prepare()
    details = []
    for asked in (request(), request(method="POST"), request("/other")):
        client = await bench.ask(asked)
        assert client.status == 200
        assert "; stored" not in client.cache_status
        details.append(client.detail)
    assert details == ["storage-failed", None, "storage-failed"]
    await settled()
    # The page, and those of several keys of its path.
    assert await storage.debts.pay() == 2, "what the write made invalid is not forgotten"
    fails = False
    assert await storage.debts.pay() == 0
    assert (await bench.get()).cache_status.endswith("stored")
