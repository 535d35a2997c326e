"""Can a running proxy be asked what becomes of a request, however many workers it has?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.storage.servers import await_that
from tests.system.processes import PATIENCE, ROOT, Process, admin_port
from tests.system.storing import Proxies, get, proxies
from tests.system.test_workers import workers

URL = "http://site.test/page"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxies]:
    with proxies(tmp_path_factory.mktemp("explain")) as started:
        yield started


def explain(proxy: Process) -> str:
    """Return what the command says."""
    command = [sys.executable, "-m", "proxy", "explain", URL, "--admin", f"127.0.0.1:{admin_port(proxy)}"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SITECACHE_")}
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


def told(proxy: Process) -> list[dict[str, Any]]:
    """Return what the page says, worker by worker."""
    connection = HTTPConnection("127.0.0.1", admin_port(proxy), timeout=PATIENCE)
    connection.request("GET", f"/explain?url={URL}")
    found: list[dict[str, Any]] = json.loads(connection.getresponse().read())["workers"]
    connection.close()
    return found


def both_worked(port: int, proxy: Process, told: Callable[[Process], list[dict[str, Any]]]) -> None:
    """Ask until both workers have fetched the page: each client is taken in by whichever worker comes first."""

    def asked() -> bool:
        get(port)
        return all(worker["last"] is not None for worker in told(proxy))

    await_that(asked)


@pytest.fixture(scope="module")
def two(start: Proxies) -> tuple[Process, int]:
    """A proxy with two workers, each with a memory of its own."""
    return start.start({"workers": 2, "CACHES": {"default": {"BACKEND": "locmem"}}})


def test_each_worker_says_what_it_has(two: tuple[Process, int]) -> None:
    proxy, port = two
    get(port)
    answers = told(proxy)
    assert [answer["worker"] for answer in answers] == [0, 1]
    assert sorted(len(answer["stored"]) for answer in answers) == [0, 1]
    assert sorted(answer["now"]["cache"] for answer in answers) == ["hit", "uri-miss"]
    said = " ".join(explain(proxy).split())
    assert "Each worker has a locmem of its own" in said
    both_worked(port, proxy, told)
    assert [answer["now"]["cache"] for answer in told(proxy)] == ["hit", "hit"]


def test_one_that_hangs_keeps_nobody_from_explaining(two: tuple[Process, int]) -> None:
    proxy, _ = two
    with ExitStack() as stack:
        stopped = workers(proxy)[0]
        os.kill(stopped, signal.SIGSTOP)
        stack.callback(os.kill, stopped, signal.SIGCONT)
        answers = told(proxy)
        assert sorted("error" in answer for answer in answers) == [False, True]


def test_a_cache_that_workers_share_is_seen_by_both(start: Proxies, tmp_path: Path) -> None:
    files = {"BACKEND": "filebased", "LOCATION": str(tmp_path / "pages"), "DEADLINE": "5s"}
    proxy, port = start.start({"workers": 2, "CACHES": {"default": files}})
    get(port)
    await_that(lambda: [answer["now"]["cache"] for answer in told(proxy)] == ["hit", "hit"])
    answers = told(proxy)
    assert [[one["selected"] for one in answer["stored"]] for answer in answers] == [[True], [True]]
    assert sorted(answer["last"] is None for answer in answers) == [False, True]


def test_it_goes_by_the_configuration_of_now(start: Proxies, tmp_path: Path) -> None:
    proxy, port = start.start({})
    get(port)
    assert told(proxy)[0]["route"] == "-"
    file = start.directory / f"site{start._number}.yaml"
    file.write_text("routes: [{match: /page, name: kept-away, bypass: true}]\n")
    proxy.signal(signal.SIGHUP)
    proxy.wait_for(r"reloaded")
    [answer] = told(proxy)
    assert (answer["route"], answer["now"]["detail"]) == ("kept-away", "route")
    assert answer["last"]["stored"]
