"""Has Python's collector of cycles nothing to do for what is fetched and kept? It stops everything while it looks."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import pytest

from proxy.message.framing import CHUNKED
from proxy.policy.stored import StoredResponse
from tests.exchange.making import Bench, Gate, request, settled, whole

FRESH = "cache-control: max-age=60"
TAG = 'etag: "a"'
_NUMBERS = count()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What is left for the collector stays until the test asks for it."""
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


async def stored(bench: Bench) -> None:
    bench.give(whole(FRESH))
    assert "stored" in (await bench.get(f"/{next(_NUMBERS)}")).cache_status


async def stored_by_language(bench: Bench) -> None:
    bench.give(whole(FRESH, "vary: accept-language"))
    assert "stored" in (await bench.get(f"/{next(_NUMBERS)}", "accept-language: de")).cache_status


async def stored_from_chunks(bench: Bench) -> None:
    bench.give(whole(FRESH, framing=CHUNKED))
    assert "stored" in (await bench.get(f"/{next(_NUMBERS)}")).cache_status


async def not_stored(bench: Bench) -> None:
    bench.give(whole("cache-control: no-store"))
    await bench.get(f"/{next(_NUMBERS)}")


async def freshened(bench: Bench) -> None:
    target = f"/{next(_NUMBERS)}"
    bench.give(whole("cache-control: max-age=0", TAG), whole(FRESH, TAG, status=304))
    await bench.get(target)
    assert "fwd-status=304" in (await bench.get(target)).cache_status


async def followed(bench: Bench) -> None:
    gate = Gate()
    bench.give(gate)
    target = f"/{next(_NUMBERS)}"
    clients = [bench.start(request(target)) for _ in range(3)]
    await settled()
    gate.open(whole(FRESH))
    await settled()
    assert [client.content for client in clients] == [b"0123456789"] * 3


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("load", [stored, stored_by_language, stored_from_chunks, not_stored, freshened, followed])
async def test_an_exchange_leaves_no_cycles(load: Callable[[Bench], Awaitable[None]]) -> None:
    bench = Bench()
    for _ in range(10):
        await load(bench)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    for _ in range(10):
        await load(bench)
    gc.collect()
    assert Counter(type(one).__qualname__ for one in gc.garbage) == {}


async def test_what_is_kept_is_not_looked_at() -> None:
    bench = Bench()
    for load in (stored, stored_by_language):
        await load(bench)
    values = [kept.value for kept in bench.memory.kept.values()]
    terms = [value.terms for value in values if isinstance(value, StoredResponse)]
    assert len(terms) == 2
    assert not any(gc.is_tracked(one) for one in [*bench.memory.kept.values(), *values, *terms])


def test_what_was_imported_is_not_looked_at() -> None:
    code = "import gc; from proxy.worker import settle; settle(); print(gc.get_freeze_count() > 10_000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
