"""What do proxies on one storage do whose clocks differ? What docs/redis-and-memcached.md says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.exchange.making import Bench, request, whole
from tests.exchange.remotes import Counting, remote

GROUP = 'cache-groups: "news"'
WRITE = 'cache-group-invalidation: "news"'


@dataclass
class Proxies:
    """Two on one storage; the clock of the second is the other's and some seconds."""

    ahead: float
    first: Bench = field(init=False)
    second: Bench = field(init=False)

    def __post_init__(self) -> None:
        backend = Counting()
        self.first, self.second = (Bench(storage=remote(backend)) for _ in range(2))
        self.second.clock.turn(self.ahead)

    def turn(self, seconds: float) -> None:
        for proxy in (self.first, self.second):
            proxy.clock.turn(seconds)


async def stored(proxy: Bench, body: bytes) -> None:
    proxy.give(whole("cache-control: max-age=60", GROUP, body=body))
    assert (await proxy.get()).content == body


async def written(proxy: Bench) -> None:
    proxy.give(whole(WRITE, status=204))
    assert (await proxy.ask(request("/form", method="POST"))).status == 204


async def is_hit(proxy: Bench, body: bytes) -> bool:
    proxy.give(whole("cache-control: no-store", body=b"asked for"))
    client = await proxy.get()
    if client.content == b"asked for":
        return False
    proxy.origin.answers.pop()
    assert (client.content, client.cache_status.partition(";")[0]) == (body, "hit")
    return True


@pytest.mark.parametrize(
    ("ahead", "later", "stays"),
    [
        pytest.param(0, 0, False, id="one-time-at-once"),
        pytest.param(0, 1, False, id="one-time"),
        pytest.param(5, 4, True, id="ahead-and-written-soon"),
        pytest.param(5, 5, False, id="ahead-and-written-later"),
        pytest.param(-5, 1, False, id="behind"),
    ],
)
async def test_a_page_stays_after_a_write_only_where_who_stored_it_was_ahead(
    ahead: float, later: float, stays: bool
) -> None:
    proxies = Proxies(ahead)
    await stored(proxies.second, b"before")
    proxies.turn(later)
    await written(proxies.first)
    assert [await is_hit(proxy, b"before") for proxy in (proxies.first, proxies.second)] == [stays, stays]


@pytest.mark.parametrize(
    ("ahead", "later", "is_used"),
    [
        pytest.param(0, 1, True, id="one-time"),
        pytest.param(-5, 5, False, id="behind-and-stored-soon"),
        pytest.param(-5, 6, True, id="behind-and-stored-later"),
        pytest.param(5, 1, True, id="ahead"),
    ],
)
async def test_a_page_stored_after_a_write_is_not_used_only_where_who_wrote_was_ahead(
    ahead: float, later: float, is_used: bool
) -> None:
    proxies = Proxies(ahead)
    await stored(proxies.first, b"before")
    proxies.turn(10)
    await written(proxies.first)
    proxies.turn(later)
    await stored(proxies.second, b"after")
    assert [await is_hit(proxy, b"after") for proxy in (proxies.first, proxies.second)] == [is_used, is_used]


async def test_the_later_write_of_one_that_is_behind_counts_with_its_earlier_time() -> None:
    proxies = Proxies(-5)
    await written(proxies.first)
    proxies.turn(2)
    await stored(proxies.first, b"between")
    proxies.turn(1)
    await written(proxies.second)
    assert await is_hit(proxies.first, b"between")


@pytest.mark.parametrize(("ahead", "fresh"), [(0, 59), (5, 64), (-5, 54)])
async def test_a_page_is_as_young_as_the_clock_says_that_it_was_stored_by(ahead: float, fresh: float) -> None:
    proxies = Proxies(ahead)
    await stored(proxies.second, b"page")
    proxies.turn(fresh)
    assert await is_hit(proxies.first, b"page")
    proxies.turn(1)
    assert not await is_hit(proxies.first, b"page")
