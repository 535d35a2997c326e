"""Do files survive crashes, full disks, damage and other processes, and who may look at them?"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from proxy.config.units import Seconds, UnixTime
from proxy.errors import StorageError
from proxy.storage.backends.file_index import FileIndex
from proxy.storage.backends.file_record import FOREVER
from proxy.storage.backends.filebased import FileBasedCache, build
from proxy.storage.backends.limits import Limits
from tests.storage.contract import Clock

MINUTE = Seconds(60)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(tmp_path: Path, clock: Clock):
    cache = FileBasedCache(str(tmp_path / "cache"), clock)
    yield cache
    await cache.close()


def values(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.value"))


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file() and not path.name.endswith((".value", "lock"))]


def in_another_process(code: str, *args: str) -> None:
    subprocess.run([sys.executable, "-c", code, *args], check=True)


async def only_file(cache: FileBasedCache, tmp_path: Path, value: bytes | int = b"the value") -> Path:
    await cache.set("a", value, MINUTE)
    (path,) = values(tmp_path)
    return path


# What is read.


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(at: int, path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


class Canary:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def plant_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(None) + pickle.dumps(Canary(str(path.parent / "canary"))))


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(cut, id="cut-short"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"x"), id="longer"),
        pytest.param(lambda path: path.write_bytes(os.urandom(200)), id="noise"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:20]), id="half-a-head"),
        pytest.param(partial(flip, 0), id="magic"),
        pytest.param(partial(flip, 10), id="timeout"),
        pytest.param(partial(flip, 20), id="length"),
        pytest.param(partial(flip, -1), id="value"),
        pytest.param(plant_pickle, id="a-pickle-with-a-canary"),
        pytest.param(make_pipe, id="a-pipe"),
        pytest.param(make_link, id="a-link"),
    ],
)
@pytest.mark.parametrize("use", ["get", "has_key", "get_many", "touch", "delete", "incr", "add", "set", "rename"])
async def test_what_is_damaged_is_not_there(cache: FileBasedCache, tmp_path: Path, damage, use: str) -> None:
    path = await only_file(cache, tmp_path)
    damage(path)
    uses = {
        "get": lambda: cache.get("a"),
        "has_key": lambda: cache.has_key("a"),
        "get_many": lambda: cache.get_many(["a"]),
        "touch": lambda: cache.touch("a", MINUTE),
        "delete": lambda: cache.delete("a"),
        "add": lambda: cache.add("a", b"new", MINUTE),
        "set": lambda: cache.set("a", b"new", MINUTE),
        "rename": lambda: cache.rename("a", "b"),
    }
    if use == "incr":
        with pytest.raises(KeyError):
            await cache.incr("a", 1)
    elif use in {"add", "set"}:
        assert await uses[use]()
        assert await cache.get("a") == b"new"
    else:
        assert not await uses[use]()
        assert path not in values(tmp_path)
        assert await cache.add("a", b"new", MINUTE)
    assert cache.damaged == (0 if use == "set" else 1)
    assert not (path.parent / "canary").exists()


async def test_a_file_of_another_key_is_no_answer(cache: FileBasedCache, tmp_path: Path) -> None:
    path = await only_file(cache, tmp_path)
    await cache.set("b", b"of b", MINUTE)
    (other,) = [one for one in values(tmp_path) if one != path]
    path.write_bytes(other.read_bytes())
    assert await cache.get("a") is None
    assert await cache.get("b") == b"of b"


async def test_a_directory_in_the_place_of_a_file_is_a_miss(cache: FileBasedCache, tmp_path: Path) -> None:
    path = await only_file(cache, tmp_path)
    path.unlink()
    path.mkdir()
    assert await cache.get("a") is None
    with pytest.raises(StorageError, match="directory"):
        await cache.set("a", b"new", MINUTE)
    assert leftovers(tmp_path) == []


async def test_foreign_files_stay(cache: FileBasedCache, tmp_path: Path) -> None:
    path = await only_file(cache, tmp_path)
    foreign = [path.parent / "notes.txt", tmp_path / "cache" / "readme"]
    for one in foreign:
        one.write_text("mine")
    await cache.clear()
    assert values(tmp_path) == []
    assert all(one.read_text() == "mine" for one in foreign)


async def test_a_touch_writes_no_value_again(cache: FileBasedCache, tmp_path: Path, clock: Clock) -> None:
    path = await only_file(cache, tmp_path)
    before = path.stat().st_ino
    assert await cache.touch("a", None)
    clock.turn(10**9)
    assert await cache.get("a") == b"the value"
    assert path.stat().st_ino == before


async def test_numbers_have_no_end(cache: FileBasedCache) -> None:
    await cache.set("n", -(10**5000), None)
    assert await cache.incr("n", 2 * 10**5000) == 10**5000


# Who may look, and where.


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777])
async def test_modes_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    location = tmp_path / "new" / "parents" / "cache"
    before = os.umask(umask)
    try:
        cache = FileBasedCache(str(location), Clock())
        await cache.set("a", b"1", MINUTE)
        await cache.close()
    finally:
        os.umask(before)
    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {path.stat().st_mode & 0o7777 for path in made if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o7777 for path in made if path.is_file()} == {0o600}


@pytest.mark.parametrize(
    ("mode", "above", "says"),
    [
        pytest.param(0o777, 0o755, "only its owner can write", id="everybody"),
        pytest.param(0o770, 0o755, "only its owner can write", id="the-group"),
        pytest.param(0o1777, 0o755, "only its owner can write", id="everybody-sticky"),
        pytest.param(0o700, 0o777, "everybody can write", id="exchangeable"),
        pytest.param(None, 0o777, "everybody can write", id="exchangeable-and-not-there"),
        pytest.param(0o700, 0o1777, None, id="as-in-tmp"),
        pytest.param(0o755, 0o755, None, id="readable"),
        pytest.param(None, 0o755, None, id="not-there"),
    ],
)
async def test_a_location_that_others_can_write_is_refused(tmp_path: Path, mode, above: int, says: str | None) -> None:
    parent = tmp_path / "parent"
    parent.mkdir()
    if mode is not None:
        (parent / "cache").mkdir()
        (parent / "cache").chmod(mode)
    parent.chmod(above)
    location = str(parent / "cache")
    if says is None:
        build(location, {})
        return
    with pytest.raises(ValueError, match=f"^LOCATION: .*{says}"):
        build(location, {})
    cache = FileBasedCache(location, Clock())
    with pytest.raises(StorageError, match=says):
        await cache.get("a")
    await cache.close()


async def test_a_location_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        location = str(tmp_path)
    else:
        location = "/"
    with pytest.raises(ValueError, match=r"^LOCATION: expected a directory of user"):
        build(location, {})


@pytest.mark.parametrize("location", ["cache", "./cache", "", "~/cache", ["/a", "/b"]])
def test_a_relative_location_is_refused(location: object) -> None:
    with pytest.raises(ValueError, match=r"^LOCATION: expected an absolute path, found"):
        build(location, {})


def test_a_file_is_no_location(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for location in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(ValueError, match=r"^LOCATION: expected a directory"):
            build(str(location), {})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"MAX_ENTRIES": "5m"}, "OPTIONS.MAX_ENTRIES: expected a whole number of 1 or more, found '5m'"),
        ({"MAX_ENTRIES": 0}, "OPTIONS.MAX_ENTRIES: expected a whole number of 1 or more, found 0"),
        ({"CULL_FREQUENCY": -1}, "OPTIONS.CULL_FREQUENCY: expected a whole number of 0 or more, found -1"),
        ({"CULL_FREQUENCY": True}, "OPTIONS.CULL_FREQUENCY: expected a whole number of 0 or more, found True"),
        ({"MAX_BYTES": "much"}, "OPTIONS.MAX_BYTES: expected a size such as 64MiB, found 'much'"),
        ({"MAX_BYTES": []}, r"OPTIONS.MAX_BYTES: expected a size such as 64MiB, found \[\]"),
        (
            {"no_delay": True},
            "OPTIONS.no_delay: expected one of MAX_ENTRIES, CULL_FREQUENCY, MAX_BYTES, found no_delay",
        ),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}$"):
        build(str(tmp_path), options)


async def test_with_and_without_a_slash_is_one_store(tmp_path: Path) -> None:
    one, other = (build(f"{tmp_path}/cache{end}", {"MAX_ENTRIES": None, "MAX_BYTES": "1MiB"}) for end in ("", "/"))
    await one.set("a", b"1", MINUTE)
    assert await other.get("a") == b"1"
    await one.close()
    await other.close()


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    build(str(tmp_path / "cache"), {})
    assert list(tmp_path.iterdir()) == []


async def test_a_location_that_went_away_is_made_again(cache: FileBasedCache, tmp_path: Path) -> None:
    path = await only_file(cache, tmp_path)
    for one in (path, path.with_name("lock")):
        one.unlink()
    path.parent.rmdir()
    assert await cache.get("a") is None
    assert not await cache.delete("a")
    assert await cache.set("a", b"again", MINUTE)
    assert await cache.get("a") == b"again"


# Making room.


def limited(tmp_path: Path, clock: Clock, *limits: int | None, **more) -> FileBasedCache:
    return FileBasedCache(str(tmp_path / "cache"), clock, Limits(*limits), **more)


@pytest.mark.parametrize(
    ("most", "frequency", "kept"),
    [
        pytest.param(30, 3, 29, id="as-django-documents"),
        pytest.param(30, 0, 19, id="all-at-once"),
        pytest.param(None, 3, 49, id="no-bound"),
        pytest.param(1, 3, 1, id="room-for-one"),
    ],
)
async def test_how_many_go(tmp_path: Path, clock: Clock, most: int | None, frequency: int, kept: int) -> None:
    cache = limited(tmp_path, clock, most, frequency)
    for number in range(49):
        await cache.set(f"k{number}", b"1", MINUTE)
    assert len(values(tmp_path)) == kept
    assert cache.evicted == 49 - kept
    await cache.close()


async def test_what_has_expired_goes_before_what_was_not_used(tmp_path: Path, clock: Clock) -> None:
    cache = limited(tmp_path, clock, 4, 2)
    for key, timeout in (("a", 100), ("b", 1), ("c", 100), ("d", 100)):
        await cache.set(key, b"1", Seconds(timeout))
    clock.turn(2)
    await cache.set("e", b"1", MINUTE)
    assert sorted(await cache.get_many("abcde")) == ["a", "c", "d", "e"]
    await cache.get("a")
    await cache.set("f", b"1", MINUTE)
    assert "a" in await cache.get_many("abcdef")
    assert "c" not in await cache.get_many("abcdef")
    await cache.close()


async def test_a_value_that_is_replaced_evicts_nothing(tmp_path: Path, clock: Clock) -> None:
    cache = limited(tmp_path, clock, 3, 1)
    for key in "abcab":
        await cache.set(key, b"1", MINUTE)
    assert len(await cache.get_many("abc")) == 3
    await cache.close()


async def test_bytes_are_bounded(tmp_path: Path, clock: Clock) -> None:
    cache = limited(tmp_path, clock, None, 3, 10_000)
    for number in range(50):
        assert await cache.set(f"k{number}", b"x" * 900, MINUTE)
    assert sum(path.stat().st_size for path in values(tmp_path)) in range(9_000, 10_001)
    assert await cache.get("k49") is not None
    assert not await cache.set("k49", b"x" * 10_000, MINUTE)
    assert await cache.get("k49") is None
    with pytest.raises(StorageError, match="MAX_BYTES"):
        await cache.add("k49", b"x" * 10_000, MINUTE)
    await cache.close()


class Listings:
    """Counts how often a directory is listed, and can make the listing wait."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: str):
        self.count += 1
        return os.scandir(path)


async def scanned(cache: FileBasedCache) -> None:
    """Wait for a scan that is under way: the threads take one piece of work after the other."""
    async with asyncio.timeout(20):
        while cache._store.index._scanning:  # noqa: ASYNC110  it runs in a thread, and nobody else asks for its end
            await asyncio.sleep(0.001)


async def test_storing_lists_no_directory(tmp_path: Path, clock: Clock) -> None:
    listings = Listings()
    cache = limited(tmp_path, clock, None, list_directory=listings)
    await cache.set("first", b"1", MINUTE)
    await scanned(cache)
    assert listings.count == 256
    for number in range(200):
        await cache.set(f"k{number}", b"1", MINUTE)
    await scanned(cache)
    assert listings.count == 256
    for number in range(3000):
        await cache.set(f"k{number}", b"1", MINUTE)
    await scanned(cache)
    assert listings.count <= 256 * 12
    await cache.close()


async def test_a_scan_finds_what_was_there_before(tmp_path: Path, clock: Clock) -> None:
    location = str(tmp_path / "cache")
    in_another_process(WRITE_SOME, location, "100")
    assert len(values(tmp_path)) == 100
    cache = limited(tmp_path, clock, 50, 5)
    await cache.set("new", b"1", MINUTE)
    await scanned(cache)
    await cache.set("newer", b"1", MINUTE)
    assert len(values(tmp_path)) <= 50
    assert sorted(await cache.get_many(["new", "newer"])) == ["new", "newer"]
    await cache.close()


async def test_what_another_process_stored_again_is_not_taken_for_expired(tmp_path: Path, clock: Clock) -> None:
    cache = limited(tmp_path, clock, 3, 3)
    path = await only_file(cache, tmp_path)
    code = (
        "import sys; from proxy.storage.backends.file_store import *; "
        "FileStore(sys.argv[1], lambda: 1000.0, Limits(), os.scandir).set('a', b'theirs', 600)"
    )
    in_another_process(code, str(tmp_path / "cache"))
    clock.turn(61)
    await cache.set("b", b"1", MINUTE)
    assert path.exists()
    assert await cache.get("a") == b"theirs"
    await cache.close()


async def test_an_old_unfinished_file_is_removed_by_a_scan_and_a_new_one_is_not(tmp_path: Path) -> None:
    clock = Clock()
    cache = limited(tmp_path, clock, 10)
    path = await only_file(cache, tmp_path)
    await scanned(cache)
    unfinished = path.with_name("0123.part")
    unfinished.write_bytes(b"half")
    made = unfinished.stat().st_ctime
    for later, there in ((599, True), (601, False)):
        clock.now = UnixTime(made + later)
        await asyncio.to_thread(cache._store.scan)
        assert unfinished.exists() is there
    await cache.close()


@pytest.mark.parametrize("by", ["culled", "expired", "deleted", "cleared"])
def test_what_went_while_a_scan_saw_it_does_not_come_back(by: str) -> None:
    index = FileIndex()
    index.note("ab1", UnixTime(10.0), 5)
    assert index.begin_scan()
    seen, tick = {"ab1": (UnixTime(10.0), 5)}, index.tick
    match by:
        case "culled":
            assert index.cull(Limits(1, 1, None)) == 1
            assert index.take_doomed(9) == ["ab1"]
        case "expired":
            assert index.take_expired(UnixTime(11.0), 9) == ["ab1"]
        case "deleted":
            index.forget("ab1")
        case _:
            index.forget_all()
    index.merge("ab", seen, tick)
    assert len(index) == 0
    index.end_scan(complete=True)
    index.note("ab1", UnixTime(10.0), 5)
    assert len(index) == 1


def test_the_index_forgets_what_others_removed() -> None:
    index = FileIndex()
    for name in ("00/a", "00/b", "01/c"):
        index.note(name, FOREVER, 10)
    tick = index.tick
    index.note("00/b", FOREVER, 20)
    index.merge("00", {"00/d": (UnixTime(5.0), 7)}, tick)
    assert len(index) == 3
    assert index.bytes == 37
    assert index.take_expired(UnixTime(5.0), 10) == ["00/d"]


def test_the_index_does_not_grow_when_one_file_is_written_for_ever() -> None:
    index = FileIndex()
    for number in range(10_000):
        index.note("00/a", UnixTime(float(number)), 10)
    assert len(index._ends) == 1
    assert len(index._seconds) < 2000
    assert len(index) == 1


def test_what_expires_within_a_second_is_taken_as_it_does() -> None:
    index = FileIndex()
    for number in range(3000):
        index.note(f"00/{number}", UnixTime(5 + number / 3000), 10)
    assert index.take_expired(UnixTime(4.9), 10) == []
    assert len(index.take_expired(UnixTime(7.0), 10)) == 10
    taken = 10
    while more := index.take_expired(UnixTime(7.0), 700):
        taken += len(more)
    assert (taken, len(index), index.bytes) == (3000, 0, 0)
    assert not index._ends
    assert not index._seconds


class NotedLock:
    """A lock that knows who has waited for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.by: set[threading.Thread] = set()

    def __enter__(self) -> None:
        self.by.add(threading.current_thread())
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


async def test_the_loop_never_waits_for_what_threads_do(tmp_path: Path, clock: Clock) -> None:
    """A cull under this lock took 29 ms of the loop, which asked whether to scan."""
    cache = FileBasedCache(str(tmp_path / "cache"), clock, Limits(50, 3, None))
    await cache.get("k")
    index = cache._store.index
    index._lock = lock = NotedLock()
    for number in range(120):
        await cache.set(f"k{number}", b"value", Seconds(60))
        await cache.set_many({f"m{number}": 1}, None)
        await cache.incr(f"m{number}", 1)
        await cache.add(f"a{number}", 1, None)
        await cache.touch(f"a{number}", Seconds(5))
        await cache.rename(f"a{number}", "b")
        await cache.get_many([f"k{number}", "no"])
        await cache.delete("b")
    assert cache.held is not None
    await cache.clear()
    await cache.close()
    assert lock.by
    assert threading.main_thread() not in lock.by


# Crashes, full disks, other processes.

WRITE_SOME = """
import os, sys, time
from proxy.storage.backends.file_store import FileStore, Limits
store = FileStore(sys.argv[1], lambda: 1000.0, Limits(None), os.scandir)
for number in range(int(sys.argv[2])):
    store.set(f"p{number}", b"1", None)
"""

WRITE_FOR_EVER = """
import os, sys
from proxy.storage.backends.file_store import FileStore, Limits
store = FileStore(sys.argv[1], lambda: 1000.0, Limits(None), os.scandir)
store.add("n", 0, None)
print("writes", flush=True)
number = 0
while True:
    number += 1
    store.set(f"k{number % 20}", (b"%d." % number) * 5000, None)
    store.touch(f"k{number % 7}", 600 + number)
    store.incr("n", 1)
"""


async def test_a_writer_can_be_killed_at_any_point(cache: FileBasedCache, tmp_path: Path) -> None:
    last = -1
    for round_ in range(15):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / "cache"), stdout=subprocess.PIPE
        )
        assert await writer.stdout.readline() == b"writes\n"
        # Some other point of its work each time; none is better than another.
        await asyncio.sleep(0.003 * round_)
        writer.send_signal(signal.SIGKILL)
        await writer.wait()
        for number in range(20):
            value = await cache.get(f"k{number}")
            assert value is None or value == value.split(b".")[0].join([b"", b"."]) * 5000
        count = await cache.get("n")
        assert count >= last
        assert await cache.incr("n", 1) == count + 1
        last = count + 1
    assert cache.damaged == 0
    assert len(leftovers(tmp_path)) <= 15


FULL = """
import os, resource, sys
from proxy.errors import StorageError
from proxy.storage.backends.file_store import FileStore, Limits
store = FileStore(sys.argv[1], lambda: 1000.0, Limits(None), os.scandir)
assert store.set("small", b"1", None) and store.set("large", b"old", None) and store.set("n", 5, None)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
assert store.set("large", b"x" * 100_000, None) is False
assert store.get("large") is None
assert store.set_many({"large": b"x" * 100_000, "other": b"y"}, None) == ["large"]
assert store.get("other") == b"y"
store.set("small", b"1", None)
try:
    store.add("large", b"x" * 100_000, None)
except OSError:
    pass
else:
    raise AssertionError
assert store.get("large") is None
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 20_000))
assert store.set("n", 5, None) is False and store.get("n") is None
"""


def test_a_file_that_may_not_grow_is_no_half_value(tmp_path: Path) -> None:
    in_another_process(FULL, str(tmp_path / "cache"))
    assert leftovers(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 300 KiB where we may mount one, else a directory of a user who may not."""
    place = tmp_path / "disk"
    place.mkdir(mode=0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k,mode=700", "tmpfs", place], check=False)
    if done.returncode:
        yield None
        return
    yield place
    subprocess.run(["umount", place], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def test_a_full_disk(small_disk: Path | None, clock: Clock) -> None:
    if small_disk is None:
        return  # the limit of a file's size, above, is the same path
    cache = FileBasedCache(str(small_disk / "cache"), clock, Limits(None))
    await cache.set("n", 1, None)
    kept = [await cache.set(f"k{number}", b"x" * 30_000, None) for number in range(30)]
    assert not all(kept)
    # It goes on: what was full makes room, and what was kept is whole.
    assert kept.count(True) > 10
    found = await cache.get_many([f"k{number}" for number in range(30)])
    assert found
    assert set(found.values()) == {b"x" * 30_000}
    assert leftovers(small_disk) == []
    await cache.close()


async def test_a_full_disk_leaves_numbers_as_they_are(small_disk: Path | None, clock: Clock) -> None:
    if small_disk is None:
        return  # as above
    cache = FileBasedCache(str(small_disk / "cache"), clock, Limits(None))
    await cache.set("n", 1, None)
    fill(small_disk / "ballast")
    with pytest.raises(StorageError, match=r"No space left on device$"):
        await cache.incr("n", 1)
    assert await cache.get("n") == 1
    assert await cache.touch("n", MINUTE)
    assert await cache.delete("n")
    assert leftovers(small_disk) == ["ballast"]
    await cache.close()


def count_up(location: str, times: int) -> int:
    async def run() -> int:
        cache = FileBasedCache(location, Clock())
        won = sum([await cache.add(f"won-{number}", b"1", None) for number in range(times)])
        for _ in range(times):
            await cache.incr("n", 1)
        await cache.close()
        return won

    return asyncio.run(run())


async def test_incr_and_add_are_atomic_between_processes(cache: FileBasedCache, tmp_path: Path) -> None:
    await cache.set("n", 0, None)
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        won = list(pool.map(partial(count_up, str(tmp_path / "cache")), [50] * 4))
    assert await cache.get("n") == 200
    assert sum(won) == 50


async def test_renames_both_ways_at_once_end(cache: FileBasedCache) -> None:
    await cache.set("a", b"1", None)
    async with asyncio.timeout(30):
        await asyncio.gather(*[cache.rename(*pair) for _ in range(50) for pair in (("a", "b"), ("b", "a"))])
    assert len(await cache.get_many("ab")) == 1


async def test_a_cache_that_was_closed_can_be_used_again(cache: FileBasedCache) -> None:
    await cache.set("a", b"1", None)
    await cache.close()
    await cache.close()
    assert await cache.get("a") == b"1"
