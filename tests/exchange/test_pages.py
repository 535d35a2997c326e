"""Is each cache that sites and routes name opened once, and closed once?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import CacheConfig, Config, SharedOptions
from proxy.config.units import Bytes, UnixTime
from proxy.pages import Pages
from proxy.policy.key import PrimaryKey
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.storage.backends.locmem import LocMemCache
from tests.exchange.making import Clock, Origin, request
from tests.storage.test_responses import LATER, asking, stored

SETTINGS = """
upstream: http://127.0.0.1:1
CACHES:
  default: {BACKEND: locmem}
  same: {BACKEND: locmem, KEY_PREFIX: x}
  other: {BACKEND: locmem, LOCATION: other, OPTIONS: {MAX_ENTRIES: 7}}
  none: {BACKEND: dummy}
  far: {BACKEND: tests.exchange.test_pages.Counted}
  unused: {BACKEND: tests.exchange.test_pages.Counted}
routes:
- {match: /default, cache: default}
- {match: /same, cache: same}
- {match: /other, cache: other}
- {match: /none, cache: none}
- {match: /far, cache: far}
- {match: /far/*, cache: far, key_prefix: y}
"""


class Counted(LocMemCache):
    """A cache that has to be waited for, and counts how often it is opened and closed."""

    opened = 0
    closed = 0

    def __init__(self, *_: object) -> None:
        super().__init__(Clock(), max_entries=None)
        Counted.opened += 1

    @classmethod
    def build(cls, *_: object) -> Counted:
        return cls()

    async def close(self) -> None:
        Counted.closed += 1


async def test_each_cache_is_opened_and_closed_once(tmp_path: Path) -> None:
    Counted.opened = Counted.closed = 0
    file = tmp_path / "site.yaml"
    file.write_text(SETTINGS)
    config = load(file, {}, {}).config
    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()

    def start(work: Coroutine[object, object, None]) -> None:
        tasks.append(loop.create_task(work))

    pages = Pages(config, distinctions_of(config), Clock(), loop.time, start)
    sites = sites_of(Parts(config, pages.of, lambda _: Origin()))  # type: ignore[arg-type, return-value]
    routes = {
        path: sites.route(request(path)) for path in ("/", "/default", "/same", "/other", "/none", "/far", "/far/x")
    }
    at = {path: route.responses for path, route in routes.items()}
    assert at["/"] is at["/default"] is at["/same"]
    assert routes["/default"].scope != routes["/same"].scope
    assert at["/far"] is at["/far/x"]
    assert routes["/far"].scope != routes["/far/x"].scope
    assert len({id(responses) for responses in at.values()}) == 4
    assert {alias: store.limit_entries for alias, store in pages.stores.items()} == {"default": 300, "other": 7}
    await pages.prepare()
    await pages.finish()
    await pages.close()
    await asyncio.gather(*tasks)
    assert (Counted.opened, Counted.closed) == (1, 1)


@pytest.mark.parametrize(("workers", "ready"), [(1, 20), (2, 10)])
async def test_workers_that_share_a_cache_share_what_they_have_ready(tmp_path: Path, workers: int, ready: int) -> None:
    options = SharedOptions(MAX_BYTES=Bytes(64 * 2**20))
    shared = CacheConfig("shared", LOCATION=str(tmp_path / "cache"), OPTIONS=options)
    config = Config(workers=workers, CACHES={"default": shared})
    now = UnixTime(1000.0)
    pages = Pages(config, distinctions_of(config), Clock(), asyncio.get_running_loop().time, lambda _: None)
    responses = pages.of("default")
    kept = {PrimaryKey(b"%d" % number): stored(b"%d" % number * 100_000) for number in range(10, 30)}
    for primary, response in kept.items():
        assert responses.store(primary, asking(), response, LATER, now)
    # What is not ready is read again, and is another object then.
    found = {primary: responses.select(primary, asking(), now) for primary in reversed(kept)}
    assert sum(found[primary] is response for primary, response in kept.items()) == ready
    assert [found[primary].body for primary in kept] == [response.body for response in kept.values()]
    await pages.finish()
    await pages.close()
