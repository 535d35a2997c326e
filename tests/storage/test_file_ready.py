"""Is what lies in memory read at once, never anything but the value, and does no disk keep the loop waiting?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.units import Seconds, UnixTime
from proxy.storage.backends.base import Value
from proxy.storage.backends.file_ready import ReadyFiles, file_system, reader
from proxy.storage.backends.file_record import pack
from proxy.storage.backends.filebased import FileBasedCache
from tests.storage.contract import Clock

LATER = UnixTime(2000.0)
MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
24 22 0:21 / /dev/shm rw,nosuid shared:3 - tmpfs tmpfs rw
30 22 0:40 / /mnt/far rw shared:9 - nfs4 server:/export rw
31 22 254:1 / /mnt/with\\040blank rw - xfs /dev/vdb rw
32 30 254:2 / /mnt/far rw - btrfs /dev/vdc rw
33 22 0:50 / /mnt/layers rw - overlay overlay rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        pytest.param("/var/cache/site", "ext4", id="root"),
        pytest.param("/dev/shm", "tmpfs", id="itself"),
        pytest.param("/dev/shm/site", "tmpfs", id="below"),
        pytest.param("/dev/shmoo", "ext4", id="only-begins-so"),
        pytest.param("/mnt/with blank/site", "xfs", id="blank"),
        pytest.param("/mnt/far/site", "btrfs", id="mounted-over"),
    ],
)
def test_the_file_system_of_a_place_is_the_last_that_was_mounted_above_it(
    mounts: Path, place: str, expected: str
) -> None:
    assert file_system(place, mounts) == expected


@pytest.mark.parametrize("place", ["/mnt/layers/site", "relative"])
def test_where_nothing_is_known_of_the_file_system_the_threads_read(mounts: Path, place: str) -> None:
    mounts.write_text(MOUNTS.partition("\n")[2])
    assert reader(place, mounts) is None


def test_where_the_system_does_not_tell_the_threads_read(tmp_path: Path) -> None:
    assert reader(str(tmp_path), tmp_path / "not there") is None


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Path], Value | None]:
    """Read a file of the key ``a`` as from a file system in memory, which each machine can do."""
    mounts = tmp_path / "mounts"
    mounts.write_text("22 1 254:0 / / rw - tmpfs tmpfs rw\n")
    how = reader(str(tmp_path), mounts)
    assert how is not None

    def reading(path: Path) -> Value | None:
        found = how(str(path), "a")
        return None if found is None else found[0]

    return reading


@pytest.mark.parametrize("value", [b"", b"a page" * 1000, 12, -(10**30)])
def test_a_whole_file_is_read(tmp_path: Path, read: Callable[[Path], Value | None], value: Value) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"".join(pack("a", value, LATER)))
    assert read(path) == value


def spoilt(spoil: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(spoil(b"".join(pack("a", b"the value", LATER)))) and None


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: None, id="missing"),
        pytest.param(lambda path: path.mkdir(), id="directory"),
        pytest.param(os.mkfifo, id="pipe"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="link"),
        pytest.param(spoilt(lambda data: b""), id="empty"),
        pytest.param(spoilt(lambda data: data[:20]), id="cut-in-the-head"),
        pytest.param(spoilt(lambda data: data[:-1]), id="cut"),
        pytest.param(spoilt(lambda data: data + b"x"), id="longer"),
        pytest.param(spoilt(lambda data: data[:-1] + b"x"), id="changed"),
        pytest.param(spoilt(lambda data: b"x" + data[1:]), id="changed-in-the-head"),
        pytest.param(spoilt(lambda data: b"".join(pack("b", b"the value", LATER))), id="another-key"),
        pytest.param(spoilt(lambda data: b"".join(pack("long", b"the value", LATER))), id="a-longer-key"),
        pytest.param(spoilt(lambda data: b"".join(pack("a", b"x" * 200_000, LATER))), id="large"),
    ],
)
def test_what_is_not_plainly_the_value_is_left_to_the_threads(
    tmp_path: Path, read: Callable[[Path], Value | None], make: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    make(path)
    assert read(path) is None


class Disk:
    """Reads that take their time, and are told apart from others."""

    def __init__(self, took: float, blocks: int = 0) -> None:
        self.clock = Clock()
        self.took, self.blocks, self.blocked, self.reads = took, blocks, 0, 0
        self.files = ReadyFiles(self.clock, self.clock, lambda: self.blocked)
        self.files.read = self.read
        self.note()

    def note(self) -> None:
        self.files.note({key: f"/{key}" for key in "abcdef"})

    def read(self, path: str, key: str) -> tuple[Value, UnixTime]:
        self.reads += 1
        self.clock.turn(self.took)
        self.blocked += self.blocks
        return key.encode(), UnixTime(self.clock() + 60)

    def got(self) -> str:
        return "".join(self.files.get_many("abcdefgh")[0])


def test_files_that_were_read_before_are_read_at_once() -> None:
    disk = Disk(took=0.00001)
    assert disk.files.get_many("agb") == ({"a": b"a", "b": b"b"}, ["/a", "/b"])


def test_a_read_that_waited_for_a_disk_is_the_last_for_a_while() -> None:
    disk = Disk(took=0.01, blocks=1)
    assert disk.got() == "a"
    assert disk.got() == ""
    disk.clock.turn(2)
    disk.took = 0.00001
    assert disk.got() == "abcdef"


def test_whoever_had_to_wait_for_the_processor_only_goes_on() -> None:
    disk = Disk(took=0.0021)
    assert disk.got() == "abc", "as far as one turn of the loop may go"
    assert disk.got() == "abc"


def test_what_has_expired_or_changed_is_left_to_the_threads() -> None:
    disk = Disk(took=0.00001)
    disk.files.read = lambda path, key: None if key == "a" else (b"x", UnixTime(disk.clock() - (key == "b")))
    disk.files.note({"c": "/c"})
    assert disk.got() == ""
    disk.files.read = disk.read
    assert disk.got() == "", "until they have been read again"


async def test_a_cache_says_what_is_there_now_however_it_reads(tmp_path: Path) -> None:
    clock = Clock()
    cache, other = (FileBasedCache(str(tmp_path / "cache"), clock) for _ in range(2))
    for one in (b"first", b"second"):
        await other.set("a", one, Seconds(60))
        for _ in range(3):
            assert await cache.get_many(["a", "b"]) == {"a": one}
    await other.delete("a")
    assert await cache.get_many(["a", "b"]) == {}
    await other.set("a", b"third", Seconds(60))
    assert await cache.get_many(["a"]) == {"a": b"third"}
    clock.turn(61)
    assert await cache.get_many(["a"]) == {}
    await cache.close()
    await other.close()
