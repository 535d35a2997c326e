"""Are pages kept where an operator's own class keeps them, under the keys that CACHES says, and nowhere in a dummy?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.storage.servers import running
from tests.system.processes import ROOT
from tests.system.storing import Proxies, get, proxies, until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with proxies(tmp_path) as started:
        yield started


def caches(**entry: object) -> dict[str, object]:
    # Time enough for a busy machine: a look that takes longer is a miss.
    return {"CACHES": {"default": {"DEADLINE": "5s", **entry}}}


@pytest.mark.parametrize("name", ["PlainCache", "AsyncCache"])
def test_a_class_of_ones_own_keeps_pages(start: Proxies, name: str) -> None:
    _, port = start.start(caches(BACKEND=f"tests.storage.own_caches.{name}", LOCATION="pages"))
    assert get(port)[1].endswith("stored")
    until(port, "hit")
    assert start.origin.made["/page"] == 1


def test_a_class_that_fails_costs_misses_only(start: Proxies) -> None:
    _, port = start.start(caches(BACKEND="tests.storage.own_caches.BrokenCache"))
    for number in range(1, 11):
        assert get(port)[0] == f"/page made {number} times"


@pytest.mark.parametrize(
    "path", ["tests.storage.own_caches.Nothing", "tests.storage.own_caches.NoSet", "no.such.Cache"]
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_path_that_names_no_cache_stops_the_start(tmp_path: Path, command: str, path: str) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(
        f"upstream: http://127.0.0.1:9\nCACHES: {{default: {{BACKEND: dummy}}, special: {{BACKEND: {path}}}}}\n"
    )
    given = [str(file)] if command == "check" else ["--config", str(file)]
    ask = [sys.executable, "-m", "proxy", command, *given]
    done = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"config error: {file}:2: CACHES.special.BACKEND: expected ")
    assert done.stderr.count("\n") == 1


def test_a_dummy_keeps_nothing(start: Proxies) -> None:
    _, port = start.start(caches(BACKEND="django.core.cache.backends.dummy.DummyCache"))
    for number in range(1, 4):
        page, said = get(port)
        assert page == f"/page made {number} times"
        assert not said.startswith("hit")


def upper(key: object, key_prefix: str, version: object) -> str:
    return f"{key_prefix.upper()}/{version}/{key}"


def test_pages_lie_under_the_keys_that_caches_says_and_a_version_is_a_cache_of_its_own(start: Proxies) -> None:
    with running("redis-server", listen="tcp") as server, redis.Redis(port=server.port) as admin:
        entry = {"BACKEND": "redis", "LOCATION": f"redis://{server.name}", "KEY_PREFIX": "site"}
        for version, made in ((1, 1), (2, 2), (1, 1)):
            process, port = start.start(caches(**entry, VERSION=version))
            assert until(port, "hit") == f"/page made {made} times"
            process.stop()
        pages = {name.decode() for name in admin.scan_iter()}
        assert {name.rpartition(":")[0] for name in pages} == {"site:1", "site:2"}
        process, port = start.start(caches(**entry, KEY_FUNCTION="tests.system.test_own_caches.upper"))
        assert until(port, "hit") == "/page made 3 times"
        assert any(name.startswith(b"SITE/1/") for name in admin.scan_iter())
