"""Can a cache be used from wherever a program is: a script, threads, event loops, the child of a fork?"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from pathlib import Path

import pytest

from proxy.cache.aliases import Caches
from proxy.cache.loops import Store, _at_once
from proxy.storage.backends.base import Backend
from proxy.storage.custom import Custom
from tests.cache.counting import FORK, ROOT, SCRIPT, command
from tests.storage.own_caches import AsyncCache


class Telling(AsyncCache):
    """Tells which thread asks it, and calls back."""

    seen: list[int] = []  # noqa: RUF012
    caches: Caches | None = None
    closed = 0

    async def get(self, key):
        Telling.seen.append(threading.get_ident())
        if key == ":1:inside":
            return Telling.caches["default"].get("other")
        return await super().get(key)

    async def close(self):
        Telling.closed += 1


@pytest.fixture
def caches() -> Caches:
    found = Caches()
    found.configure({"CACHES": {"default": {"BACKEND": Telling, "LOCATION": "telling"}}})
    Telling.seen.clear()
    Telling.caches = found
    Telling.closed = 0
    return found


def test_who_waits_is_served_by_one_thread_in_the_background(caches: Caches) -> None:
    caches["default"].get("a")
    thread = threading.Thread(target=lambda: caches["default"].get("a"))
    thread.start()
    thread.join()
    assert len(set(Telling.seen)) == 1
    assert threading.get_ident() not in Telling.seen


async def test_who_awaits_is_served_in_the_own_loop(caches: Caches) -> None:
    await caches["default"].aget("a")
    assert Telling.seen == [threading.get_ident()]


async def test_who_waits_within_a_running_loop_is_served(caches: Caches) -> None:
    caches["default"].set("a", 1)
    assert caches["default"].get("a") == 1
    assert await caches["default"].aget("a") == 1


def test_one_loop_after_the_other(caches: Caches) -> None:
    async def use() -> object:
        await caches["default"].aset("a", 1)
        value = await caches["default"].aget("a")
        await caches["default"].aclose()
        return value

    assert [asyncio.run(use()) for _ in range(3)] == [1, 1, 1]
    assert Telling.closed == 3


def test_code_in_the_loop_of_the_caches_is_told_not_to_wait_for_it(caches: Caches) -> None:
    with pytest.raises(Exception, match=r"get\(\) failed: RuntimeError"):
        caches["default"].get("inside")


def test_configuring_again_closes_what_was_open(caches: Caches) -> None:
    caches["default"].get("a")
    caches.configure({})
    assert Telling.closed == 1


async def test_an_operation_that_is_called_immediate_and_waits_is_told_of() -> None:
    with pytest.raises(RuntimeError, match="a backend that is called immediate has waited"):
        _at_once(asyncio.sleep(1))


def test_nothing_is_started_to_close_what_was_never_open() -> None:
    made: list[Backend] = []

    def make() -> Backend:
        made.append(Custom(AsyncCache("never", {})))
        return made[-1]

    Store(make).close()
    assert len(made) == 1


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "values"


def test_scripts_count_to_four_hundred(place: Path) -> None:
    found = Caches()
    found.configure({"CACHES": {"default": {"BACKEND": "file", "LOCATION": str(place)}}})
    found["default"].set("n", 0)
    running = [
        subprocess.Popen(
            command(SCRIPT, place, 50), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    said = [process.communicate(timeout=60) for process in running]
    assert said == [("True\n", "")] * 8
    assert found["default"].get("n") == 400
    found.close_all()


def test_a_fork_goes_on_with_connections_of_its_own(place: Path) -> None:
    done = subprocess.run(command(FORK, place), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    code, number = done.stdout.split()
    assert code == "0"
    assert number == "40"
