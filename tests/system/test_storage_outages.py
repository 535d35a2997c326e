"""Does a site go on answering when the storage of its pages dies, is slow, or turns the proxy away?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.forwarder import forwarding
from tests.system.processes import PATIENCE
from tests.system.storing import DATABASES, SERVED, Load, Proxies, Storage, proxies, until

KINDS = {**SERVED, **DATABASES}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with proxies(tmp_path) as started:
        yield started


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, storages) -> Storage:
    return storages(request.param)


async def test_no_request_fails_under_load_while_the_server_is_killed_and_started(
    start: Proxies, storage: Storage
) -> None:
    # With time enough, so that a busy machine is not taken for a slow storage.
    process, port = start.start(storage.settings(KEY_PREFIX="killed", DEADLINE="2s", BREAKER_REST="1s"))
    async with Load(port) as load:
        await load.more(hits=300)
        await asyncio.to_thread(storage.server.kill)
        await load.more(answers=500)
        assert load.said["storage-failed"]
        load.prefix = "/after"
        await asyncio.to_thread(storage.server.start)
        before = await asyncio.to_thread(storage.records)
        await load.more(hits=500)
        # memcached's list of keys comes a little later than they.
        async with asyncio.timeout(PATIENCE):
            while not (await asyncio.to_thread(storage.records)).keys() - before.keys():
                await load.more(answers=1)
    assert load.faults == []
    said = process.output()
    assert "Traceback" not in said
    assert said.count("is left alone") == said.count("answers again")


async def test_a_storage_that_is_slow_is_not_waited_for(start: Proxies, storage: Storage) -> None:
    async with forwarding(storage.server) as way:
        settings = storage.through(way.port, KEY_PREFIX="slow", DEADLINE="250ms", BREAKER_REST="1s")
        process, port = await asyncio.to_thread(start.start, settings)
        await asyncio.to_thread(until, port, "hit")
        way.hold()
        async with Load(port) as load:
            await load.more(answers=300)
            assert load.said["storage-failed"]
            way.release()
            await load.more(hits=300)
        assert load.faults == []
        assert "Traceback" not in process.output()
