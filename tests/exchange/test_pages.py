"""Is each cache that sites and routes name opened once, and closed once?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path

from proxy.config.load import load
from proxy.pages import Pages
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.storage.backends.locmem import LocMemCache
from tests.exchange.making import Clock, Origin, request

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
