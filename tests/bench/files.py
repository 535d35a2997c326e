"""How long does FileBasedCache take for one set and one get in a directory of many files?

Run it as ``python -m tests.bench.files [FILES]``; 100,000 unless told. It prints milliseconds; nothing is asserted.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from random import Random
from tempfile import TemporaryDirectory

from proxy.config.units import Seconds, UnixTime
from proxy.storage.backends.filebased import FileBasedCache
from proxy.storage.backends.limits import Limits

_VALUE = b"x" * 4096
_SAMPLES = 5000


def clock() -> UnixTime:
    return UnixTime(time.time())  # noqa: TID251  a benchmark has no other


async def measured(name: str, work: Callable[[], Awaitable[object]], samples: int = _SAMPLES) -> None:
    took = []
    for _ in range(samples):
        begun = time.perf_counter()
        await work()
        took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    print(f"{name:44} p50 {took[samples // 2]:6.3f}  p99 {took[samples * 99 // 100]:6.3f}  max {took[-1]:7.3f} ms")


async def lag(done: asyncio.Event) -> float:
    worst = 0.0
    while not done.is_set():
        begun = time.perf_counter()
        await asyncio.sleep(0.001)
        worst = max(worst, time.perf_counter() - begun - 0.001)
    return worst * 1000


async def main(files: int) -> None:
    random = Random(1)

    def new() -> str:
        return f"new-{random.random()}"

    with TemporaryDirectory() as directory:
        cache = FileBasedCache(directory, clock, Limits(files))
        for first in range(0, files, 500):
            await cache.set_many(
                {f"k{number}": _VALUE for number in range(first, min(first + 500, files))}, Seconds(900)
            )
        await cache.close()
        print(f"{files} files of {len(_VALUE)} bytes")
        # As after a start: what is there is not known yet, and the scan runs beside.
        cache = FileBasedCache(directory, clock, Limits(files * 2))
        done = asyncio.Event()
        watcher = asyncio.create_task(lag(done))
        await measured("set after a start, a scan beside it", lambda: cache.set(new(), _VALUE, Seconds(900)))
        await measured("set of a new key", lambda: cache.set(new(), _VALUE, Seconds(900)))
        old = lambda: f"k{random.randrange(files)}"  # noqa: E731
        await measured("set of a key that is there", lambda: cache.set(old(), _VALUE, Seconds(900)))
        await measured("get", lambda: cache.get(old()))
        many = [f"k{number}" for number in range(50)]
        await measured("get_many of 50", lambda: cache.get_many(many), 500)
        await cache.close()
        full = FileBasedCache(directory, clock, Limits(files))
        await measured("set of a new key in a full cache, with culls", lambda: full.set(new(), _VALUE, Seconds(900)))
        await full.close()
        done.set()
        print(f"{'longest time the event loop was held up':44} {await watcher:.3f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
