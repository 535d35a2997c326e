"""Do workers, and proxies, hear at once of what one of them has made invalid, long before their copies are too old?

Copies are good for an hour here, so only a notice can end one in time.
"""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.storage.servers import await_that
from tests.system.processes import PATIENCE, Process
from tests.system.storing import Origin, Proxies, Storage, _Pages, get, in_redis
from tests.system.test_purging import purge
from tests.system.test_storage_metrics import number
from tests.system.test_workers import workers

ALIAS = 'alias="default"'
HOUR = {"LOCAL_TIER": "1MiB", "LOCAL_TIER_SECONDS": "1h", "DEADLINE": "5s"}
#: On so many connections, each of two workers has surely been asked.
_MANY = 30


class _Written(_Pages):
    """Pages that can be written to."""

    def do_POST(self) -> None:  # noqa: N802  the name is the library's
        self.send_response(204)
        self.end_headers()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with Origin() as origin, ExitStack() as stack:
        origin.RequestHandlerClass = _Written
        yield Proxies(origin, tmp_path, stack)
        origin.shutdown()


def write(port: int, path: str = "/page") -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("POST", path, headers={"Host": "site.test", "Content-Length": "0"})
    assert connection.getresponse().status == 204
    connection.close()


def copies(process: Process) -> float:
    return number(process, "sitecache_local_tier_entries", ALIAS)


def hits(process: Process) -> float:
    return number(process, "sitecache_local_tier_hits_total", ALIAS)


def await_new(start: Proxies, act: Callable[[], object], *ports: int) -> None:
    """Do this, and await that nobody has anything from before any more."""
    before = start.origin.made["/page"]
    act()
    for each in ports:
        await_that(lambda each=each: all(made(each) > before for _ in range(_MANY)))


def made(port: int) -> int:
    """Return how often the page had been made when this one was."""
    return int(get(port)[0].split()[2])


@pytest.mark.parametrize("kind", ["redis", "files"])
def test_all_workers_hear_of_a_write(start: Proxies, storages, kind: str) -> None:
    storage: Storage = storages(kind)
    settings = storage.settings(KEY_PREFIX="tiers", **HOUR) | {"workers": 2, "admin": "127.0.0.1:0"}
    process, port = start.start(settings)
    await_that(lambda: get(port) and copies(process) == 2)
    for _ in range(3):
        await_new(start, lambda: write(port), port)
    assert hits(process) > 0
    assert process.stop() == 0


def test_a_worker_that_starts_later_hears_too(start: Proxies, storages) -> None:
    storage: Storage = storages("redis")
    settings = storage.settings(KEY_PREFIX="later", **HOUR) | {"workers": 2, "admin": "127.0.0.1:0"}
    process, port = start.start(settings)
    await_that(lambda: get(port) and copies(process) == 2)
    os.kill(workers(process)[0], signal.SIGKILL)
    process.wait_for(r"worker \d is back$")
    await_that(lambda: get(port) and copies(process) == 2)
    await_new(start, lambda: write(port), port)


def test_proxies_on_one_redis_hear_of_a_write(start: Proxies, storages) -> None:
    storage: Storage = storages("redis")
    settings = storage.settings(KEY_PREFIX="heard", **HOUR) | {"admin": "127.0.0.1:0"}
    (process, port), (other, far) = (start.start(settings) for _ in range(2))
    await_that(lambda: get(port) and get(far) and copies(process) == copies(other) == 1)
    for _ in range(3):
        await_new(start, lambda: write(port), port, far)


def test_proxies_hear_each_other_again_when_redis_is_back(start: Proxies) -> None:
    with in_redis() as storage:
        settings = storage.settings(**HOUR, BREAKER_REST="1s") | {"admin": "127.0.0.1:0"}
        (process, port), (other, far) = (start.start(settings) for _ in range(2))
        storage.server.kill()
        for one in (process, other):
            one.wait_for("what other proxies forget is heard late")
        storage.server.start()
        for one in (process, other):
            one.wait_for("what other proxies forget is heard at once again")
        await_that(lambda: get(port) and get(far) and copies(process) == copies(other) == 1)
        await_new(start, lambda: write(port), port, far)


def test_purges_are_heard_by_all_workers_of_all_proxies(start: Proxies, storages) -> None:
    storage: Storage = storages("redis")
    settings = storage.settings(KEY_PREFIX="purged", **HOUR) | {"admin": "127.0.0.1:0"}
    (process, port), (other, far) = (start.start(settings | {"workers": count}) for count in (2, 1))
    await_that(lambda: get(port) and get(far) and copies(process) == 2 and copies(other) == 1)
    await_new(start, lambda: purge(process, "http://site.test/page"), port, far)
    await_new(start, lambda: purge(other, "--all"), port, far)


def test_a_tier_comes_and_goes_with_the_configuration_and_ends_quietly(start: Proxies, storages) -> None:
    storage: Storage = storages("redis")
    plain = storage.settings(KEY_PREFIX="reloaded", DEADLINE="5s") | {"admin": "127.0.0.1:0"}
    tiered = storage.settings(KEY_PREFIX="reloaded", **HOUR) | {"admin": "127.0.0.1:0"}
    process, port = start.start(tiered)
    file = start.directory / "site1.yaml"
    await_that(lambda: get(port) and copies(process) == 1)
    for settings, there in ((plain, 0), (tiered, 1)):
        file.write_text(yaml.safe_dump(settings))
        process.signal(signal.SIGHUP)
        await_that(lambda there=there: get(port) and copies(process) == there)
    before = hits(process)
    await_that(lambda: get(port) and hits(process) > before)
    write(port)
    assert process.stop() == 0
    assert "Traceback" not in process.output()
    assert "heard late" not in process.output()
