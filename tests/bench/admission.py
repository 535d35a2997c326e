"""Which part of the requests does each order of eviction answer, of the same loads within the same bytes?

``python -m tests.bench.admission`` prints the table. The loads come from seeded generators and nothing is timed: every
machine says the same.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Protocol

from proxy.config.units import UnixTime
from proxy.storage.backends.locmem import LocMemCache
from proxy.storage.memory import PageMemory

Load = Iterable[tuple[int, int]]
"""The number of a page, and how many bytes it has."""

PAGES = 10_000
PAGE = 4096
BUDGET = 1000 * PAGE
"""Room for a tenth of the pages, or a little less for what keeping them costs."""
REQUESTS = 200_000
SCANNED = 1_000_000
"""What a scan asks for has numbers from here on."""
_NOW = UnixTime(0.0)


class Memory(Protocol):
    """What is compared."""

    evicted: int

    def peek(self, key: bytes, now: UnixTime) -> object | None:
        """Return the value, and count it as used."""

    def put(self, key: bytes, value: object, size: int, until: UnixTime) -> bool:
        """Keep the value."""


def lru(budget: int) -> Memory:
    """The least recently used goes first."""
    return LocMemCache(lambda: _NOW, max_entries=None, max_bytes=budget)


def s3_fifo(budget: int) -> Memory:
    """What pages in memory are kept by."""
    return PageMemory(lambda: _NOW, max_bytes=budget)


ORDERS: dict[str, Callable[[int], Memory]] = {"LRU": lru, "S3-FIFO": s3_fifo}


def zipf(seed: int = 1, skew: float = 1.0, pages: int = PAGES, requests: int = REQUESTS) -> Iterator[tuple[int, int]]:
    """Page n is asked for in proportion to 1 / n ** skew."""
    chance = random.Random(seed)
    sums = list(accumulate(1 / (page + 1) ** skew for page in range(pages)))
    for _ in range(requests):
        yield bisect(sums, chance.random() * sums[-1]), PAGE


def with_scan(load: Load, one_in: int = 2) -> Iterator[tuple[int, int]]:
    """Every other request is for a page that nobody ever asks for again."""
    for number, asked in enumerate(load):
        yield asked
        if number % one_in == 0:
            yield SCANNED + number, PAGE


def scan(pages: int) -> Iterator[tuple[int, int]]:
    """Each page once, as a crawler asks."""
    return ((SCANNED + number, PAGE) for number in range(pages))


def between(scanned: int, requests: int = REQUESTS) -> Iterator[tuple[int, int]]:
    """A crawler comes by in the middle of a Zipf load."""
    yield from zipf(1, requests=requests)
    yield from scan(scanned)
    yield from zipf(2, requests=requests)


def changing(requests: int = REQUESTS) -> Iterator[tuple[int, int]]:
    """What is popular changes ten times, wholly."""
    for part in range(10):
        for page, size in zipf(part, requests=requests // 10):
            yield (page + part * 1009) % PAGES, size


def drifting(requests: int = REQUESTS) -> Iterator[tuple[int, int]]:
    """What is popular changes a little all the time: news."""
    for number, (page, size) in enumerate(zipf(requests=requests)):
        yield page + number // 50, size


def mixed(requests: int = REQUESTS) -> Iterator[tuple[int, int]]:
    """Sizes from 500 bytes to 250 KiB, whatever the popularity."""
    for page, _ in zipf(requests=requests):
        yield page, int(500 * 500 ** random.Random(page).random())


LOADS: dict[str, Callable[[], Load]] = {
    "Zipf 1.0": zipf,
    "Zipf 0.8": lambda: zipf(skew=0.8),
    "Zipf 1.0, each second request of a scan": lambda: with_scan(zipf(), 1),
    "Zipf 1.0, a scan of twice the budget within": lambda: between(2 * BUDGET // PAGE),
    "popularity changes wholly every 20,000 requests": changing,
    "popularity changes wholly every 4,000 requests": lambda: changing(REQUESTS // 5),
    "popularity drifts": drifting,
    "sizes from 500 bytes to 250 KiB": mixed,
}


def hit_ratio(memory: Memory, load: Load) -> float:
    """Return the part of the requests for pages (a scan's are not counted) that was answered from memory."""
    asked = hits = 0
    forever = UnixTime(float("inf"))
    for page, size in load:
        key = b"7:default4:http9:site.test%d:/%d" % (page, page)
        found = memory.peek(key, _NOW) is not None
        if not found:
            memory.put(key, page, size, forever)
        if page < SCANNED:
            asked += 1
            hits += found
    return hits / asked


def main() -> None:
    print("| load |", " | ".join(ORDERS), "|")
    print("|---|" + "---:|" * len(ORDERS))
    for name, load in LOADS.items():
        ratios = [f"{100 * hit_ratio(order(BUDGET), load()):.1f} %" for order in ORDERS.values()]
        print(f"| {name} |", " | ".join(ratios), "|")


if __name__ == "__main__":
    main()
