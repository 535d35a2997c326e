"""Does a cache that processes share survive whoever is killed, what is damaged and what is full?"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.config.model import DEFAULT_CACHES, SHARED_CACHES, CacheConfig, Config, SharedOptions
from proxy.config.units import Bytes, Seconds
from proxy.places import Places
from proxy.storage.backends.base import InvalidCacheBackendError
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared import SharedMemoryCache, build
from proxy.storage.numbers import Room
from tests.storage.contract import Clock

MINUTE = Seconds(60)
MIB = 2**20


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(place: Path, clock: Clock, size: int = 16 * MIB, **limits: int) -> SharedMemoryCache:
    return SharedMemoryCache(str(place), clock, Limits(**{"max_entries": None, "max_bytes": size, **limits}))


@pytest.fixture
async def cache(tmp_path: Path, clock: Clock) -> AsyncIterator[SharedMemoryCache]:
    cache = opened(tmp_path / "cache", clock)
    yield cache
    await cache.close()


WRITE_FOR_EVER = """
import asyncio, sys
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared import SharedMemoryCache
cache = SharedMemoryCache(sys.argv[1], lambda: 1000.0, Limits(max_entries=None, max_bytes=16 << 20))
async def write():
    await cache.add("n", 0, None)
    print("writes", flush=True)
    number = 0
    while True:
        number += 1
        await cache.set(f"k{number % 20}", (b"%d." % number) * 5000, None)
        await cache.set(f"l{number % 3}", (b"%d." % number) * 80_000, None)
        await cache.touch(f"k{number % 7}", 600 + number)
        await cache.incr("n", 1)
asyncio.run(write())
"""


async def test_writers_can_be_killed_at_any_point(cache: SharedMemoryCache, tmp_path: Path) -> None:
    last = -1
    for round_ in range(12):
        writers = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / "cache"), stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        for writer in writers:
            assert await writer.stdout.readline() == b"writes\n"
        # Some other point of their work each time; none is better than another.
        await asyncio.sleep(0.003 * round_)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            await writer.wait()
        for name, times in [*((f"k{n}", 5000) for n in range(20)), *((f"l{n}", 80_000) for n in range(3))]:
            value = await cache.get(name)
            assert value is None or value == value.split(b".")[0].join([b"", b"."]) * times
        count = await cache.get("n")
        assert count >= last
        last = await cache.incr("n", 1)
        # LMDB: a writer that is killed behind the commit, and before it has said so in the lock file, leaves a change
        # that no reader sees until the next writer finds it. There is never more than one.
        assert last - count in (1, 2)
    assert cache.damaged == 0
    assert sorted(path.name for path in (tmp_path / "cache").glob("pages.*")) == ["pages.0", "pages.0-lock"]


HOLD = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_writer_that_hangs_holds_nobody_up_for_ever(cache: SharedMemoryCache, tmp_path: Path) -> None:
    await cache.set("old", b"1", None)
    place = tmp_path / "cache"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(place / "lock.0"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert await holder.stdout.readline() == b"held\n"
    assert await cache.get("old") == b"1", "readers wait for no writer"
    cache.store.give_up("what is to be forgotten cannot be")
    assert await cache.get("old") is None
    assert await cache.set("new", b"2", None)
    assert await cache.get("new") == b"2"
    await holder.communicate(b"")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b"x" * 100_000), id="overwritten"),
        pytest.param(lambda path: path.write_bytes(b""), id="emptied"),
        pytest.param(lambda path: os.truncate(path, path.stat().st_size // 2 // 4096 * 4096), id="cut"),
        pytest.param(lambda path: path.write_bytes(bytes(path.stat().st_size)), id="zeros"),
    ],
)
async def test_a_damaged_file_is_set_aside(tmp_path: Path, clock: Clock, damage) -> None:
    cache = opened(tmp_path / "cache", clock)
    for number in range(100):
        await cache.set(f"k{number}", b"x" * 5000, None)
    await cache.close()
    damage(tmp_path / "cache" / "pages.0")
    for _ in range(2):
        assert await cache.get("k1") is None
        assert await cache.set("k", b"new", None)
        assert await cache.get("k") == b"new"
        await cache.close()


async def test_what_the_machine_lost_is_begun_anew(tmp_path: Path, clock: Clock) -> None:
    cache = opened(tmp_path / "cache", clock)
    await cache.set("k", b"1", None)
    await cache.close()
    assert await cache.get("k") == b"1", "all of it was on the disk"
    await cache.close()
    # As it stands when the machine goes down while the cache is open.
    (tmp_path / "cache" / "users").write_bytes(b"some other start of the machine")
    assert await cache.get("k") is None
    await cache.set("k", b"2", None)
    assert await cache.get("k") == b"2"
    await cache.close()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
async def test_modes_are_private_whatever_the_umask(tmp_path: Path, clock: Clock, umask: int) -> None:
    before = os.umask(umask)
    try:
        cache = opened(tmp_path / "cache", clock)
        await cache.set("k", b"1", None)
    finally:
        os.umask(before)
    place = tmp_path / "cache"
    assert place.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    await cache.close()


def test_a_location_that_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ValueError, match="LOCATION: expected a directory that only its owner can write"):
        build(str(tmp_path), {})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"MAX_BYTES": "1MiB"}, "OPTIONS.MAX_BYTES: expected 4MiB or more, found 1MiB"),
        ({"MAX_ENTRIES": 0}, "OPTIONS.MAX_ENTRIES: expected a whole number of 1 or more, found 0"),
        (
            {"MAX_ENTRYS": 1},
            "OPTIONS.MAX_ENTRYS: expected one of MAX_ENTRIES, CULL_FREQUENCY, MAX_BYTES, found MAX_ENTRYS",
        ),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(str(tmp_path / "cache"), options)


def test_without_a_location_it_lies_in_memory_while_the_process_runs() -> None:
    ask = """
import asyncio, os
from proxy.storage.backends.shared import build
cache = build("", {"MAX_BYTES": "8MiB"})
async def use():
    await cache.set("k", b"1", None)
    print(cache.store.file.directory, os.path.isdir(cache.store.file.directory), await cache.get("k"))
asyncio.run(use())
"""
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    place, was_there, value = done.stdout.split(maxsplit=2)
    assert place.startswith("/dev/shm/sitecache-")
    assert (was_there, value.strip()) == ("True", "b'1'")
    assert not Path(place).exists()


# What goes.


async def test_the_file_never_outgrows_its_bound(tmp_path: Path, clock: Clock) -> None:
    cache = opened(tmp_path / "cache", clock, 8 * MIB)
    for number in range(3000):
        assert await cache.set(f"k{number}", b"x" * (number * 37 % 20_000), None)
        if number % 50 == 0:
            await cache.set("large", b"y" * 1_500_000, None)
    assert await cache.get("k2999") == b"x" * (2999 * 37 % 20_000)
    assert (tmp_path / "cache" / "pages.0").stat().st_size <= 8 * MIB
    assert cache.held[1] <= 8 * MIB
    assert cache.evictions[Room.BYTES] > 1000
    await cache.close()


async def test_what_is_asked_for_once_does_not_displace_what_is_used(tmp_path: Path, clock: Clock) -> None:
    cache = opened(tmp_path / "cache", clock, 8 * MIB)
    hot = [f"hot{number}" for number in range(100)]
    for key in hot:
        await cache.set(key, b"h" * 10_000, None)
    for number in range(3000):
        await cache.set(f"scan{number}", b"s" * 10_000, None)
        await cache.get(hot[number % 100])
    assert len(await cache.get_many(hot)) > 90
    await cache.close()


@pytest.mark.parametrize(("most", "frequency", "kept"), [(9, 3, 7), (9, 0, 1), (9, 1, 1), (1, 3, 1)])
async def test_how_many_go(tmp_path: Path, clock: Clock, most: int, frequency: int, kept: int) -> None:
    cache = opened(tmp_path / "cache", clock, max_entries=most, cull_frequency=frequency)
    for number in range(most + 1):
        await cache.set(f"k{number}", b"1", None)
    assert cache.held[0] == kept
    assert await cache.get(f"k{most}") == b"1"
    await cache.close()


async def test_what_has_expired_goes_first(tmp_path: Path, clock: Clock) -> None:
    cache = opened(tmp_path / "cache", clock, max_entries=6)
    for number in range(6):
        await cache.set(f"k{number}", b"1", Seconds(5) if number in (2, 4) else None)
    clock.turn(10)
    await cache.set("new", b"1", None)
    assert sorted(await cache.get_many([*(f"k{number}" for number in range(6)), "new"])) == [
        "k0",
        "k1",
        "k3",
        "k5",
        "new",
    ]
    await cache.close()


async def test_a_value_that_is_too_large_is_refused_and_the_rest_stays(cache: SharedMemoryCache) -> None:
    await cache.set("small", b"1", None)
    await cache.set("large", b"old", None)
    assert not await cache.set("large", b"x" * 15 * MIB, None)
    assert await cache.get("large") is None
    assert await cache.get("small") == b"1"


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 6 MiB where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", place], check=False).returncode:
        yield None
        return
    yield place
    subprocess.run(["umount", place], check=True)


async def test_a_full_disk(small_disk: Path | None, clock: Clock) -> None:
    if small_disk is None:
        return
    cache = opened(small_disk / "cache", clock, 16 * MIB)
    for number in range(600):
        with suppress(Exception):
            await cache.set(f"k{number}", b"x" * 30_000, None)
    found = await cache.get_many([f"k{number}" for number in range(600)])
    assert set(found.values()) <= {b"x" * 30_000}
    await cache.clear()
    assert await cache.set("k", b"1", None)
    assert await cache.get("k") == b"1"
    await cache.close()


def test_what_does_not_fit_is_said_at_the_start_or_each_worker_has_its_own(small_disk: Path | None) -> None:
    if small_disk is None:
        return
    places = Places(str(small_disk))
    asked = CacheConfig("shared", OPTIONS=SharedOptions(MAX_BYTES=Bytes(64 * MIB)))
    with pytest.raises(
        InvalidCacheBackendError, match=r"CACHES\.default\.OPTIONS\.MAX_BYTES: expected room for 64MiB in"
    ):
        places.settle(Config(CACHES={"default": asked}))
    assert places.settle(Config(workers=2, CACHES=SHARED_CACHES)).CACHES == DEFAULT_CACHES
    places.remove()
    assert list(small_disk.iterdir()) == []


def test_a_place_stays_the_same_through_reloads(tmp_path: Path) -> None:
    places = Places(str(tmp_path))
    first = places.settle(Config(workers=2, CACHES=SHARED_CACHES))
    assert first.CACHES["default"].LOCATION.startswith(str(tmp_path))
    assert places.settle(Config(workers=2, CACHES=SHARED_CACHES)) == first
    (Path(first.CACHES["default"].LOCATION) / "pages.0").write_bytes(b"x" * MIB)
    assert places.settle(Config(workers=2, CACHES=SHARED_CACHES)) == first
    places.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("workers", "later"), [(1, 2), (2, 1)])
def test_without_caches_there_are_those_of_the_workers_that_run(tmp_path: Path, workers: int, later: int) -> None:
    by_default = {1: DEFAULT_CACHES, 2: SHARED_CACHES}
    places = Places(str(tmp_path))
    first = places.settle(Config(workers=workers, CACHES=by_default[workers]))
    assert places.settle(Config(workers=later, CACHES=by_default[later])).CACHES == first.CACHES
    places.remove()
