"""Are pages served from a storage that has to be waited for, and does the site go on without it?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.base import Value
from proxy.storage.numbers import Operation
from tests.exchange.making import Bench, Clock, Gate, request, settled, whole
from tests.exchange.remotes import Counting, Unreachable, guards, remote

FRESH = "cache-control: max-age=60"
LANGUAGE = "vary: accept-language"


async def test_a_page_is_stored_and_then_one_look_up_answers() -> None:
    backend = Counting()
    bench = Bench(whole(FRESH, body=b"page"), storage=remote(backend))
    assert (await bench.get()).cache_status == "fwd=uri-miss; fwd-status=200; ttl=60; stored"
    backend.trips.clear()
    assert (await bench.get()).got == (200, b"page", True)
    assert [len(keys) for keys in backend.trips] == [1]
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
    [(key, slot)] = backend._slots.items()
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
    one, two = backend._slots
    backend.put(two, backend._slots[one][0], 1, backend._slots[one][2])
    assert (await bench.get("/two")).content == b"new"
