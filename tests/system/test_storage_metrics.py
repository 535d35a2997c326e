"""Does the metrics page say what the storage of pages does, and how it fails, for all workers together?"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.servers import await_that, running
from tests.system.processes import PATIENCE, Process, admin_port
from tests.system.storing import Proxies, get, proxies


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with proxies(tmp_path) as started:
        yield started


def page(process: Process) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", admin_port(process), timeout=PATIENCE)
    connection.request("GET", "/metrics")
    said = connection.getresponse().read().decode()
    connection.close()
    return said


def number(process: Process, name: str, labels: str) -> float:
    found = re.search(rf"^{re.escape(name)}{{{re.escape(labels)}}} (\S+)$", page(process), re.MULTILINE)
    return float(found[1]) if found else 0


def test_the_metrics_of_all_workers_say_what_redis_does_and_that_it_is_gone(start: Proxies) -> None:
    with running("redis-server") as redis:
        cache = {"BACKEND": "redis", "LOCATION": f"unix://{redis.name}", "DEADLINE": "2s", "BREAKER_FAILURES": 2}
        settings = {"CACHES": {"default": cache}, "workers": 2, "admin": "127.0.0.1:0"}
        process, port = start.start(settings)
        gets = 'alias="default",operation="get"'

        def asked() -> bool:
            get(port)
            return number(process, "sitecache_storage_operation_duration_seconds_count", gets) >= 20

        await_that(asked)
        assert number(process, "sitecache_storage_errors_total", 'alias="default",reason="error"') == 0
        redis.kill()

        def both_rest() -> bool:
            get(port, "/gone")
            return number(process, "sitecache_storage_server_resting", 'alias="default",server="-"') == 2

        await_that(both_rest)
        assert number(process, "sitecache_storage_errors_total", 'alias="default",reason="error"') >= 4
    said = process.output()
    assert said.count("storage 'default' is left alone") == 2


def test_files_are_counted_once_however_many_workers_share_them(start: Proxies, tmp_path: Path) -> None:
    cache = {"BACKEND": "filebased", "LOCATION": str(tmp_path / "pages")}
    process, port = start.start({"CACHES": {"default": cache}, "workers": 2, "admin": "127.0.0.1:0"})
    for path in ("/a", "/b", "/c"):
        while not get(port, path)[1].startswith("hit"):
            pass
    await_that(lambda: number(process, "sitecache_storage_entries", 'alias="default"') >= 2)
    lying = list((tmp_path / "pages").rglob("*.value"))
    assert number(process, "sitecache_storage_entries", 'alias="default"') <= len(lying) < 6
