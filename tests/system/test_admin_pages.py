"""Do the pages of the admin listener say what has happened, in all workers, and what is wrong?"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.servers import await_that, running
from tests.system.processes import PATIENCE, Process, admin_port
from tests.system.storing import Proxies, get, proxies

TOKEN = "a-token-of-some-length"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with proxies(tmp_path) as started:
        yield started


def page(process: Process, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", admin_port(process), timeout=PATIENCE)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    said = response.read().decode()
    connection.close()
    return response.status, said


def stats(process: Process) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(page(process, "/stats")[1])
    return told


def test_stats_are_those_of_all_workers(start: Proxies) -> None:
    cache = {"BACKEND": "locmem", "OPTIONS": {"MAX_ENTRIES": 100}}
    process, port = start.start({"CACHES": {"default": cache}, "workers": 2, "admin": "127.0.0.1:0"})
    asked = 0
    while True:
        asked += 1
        get(port, "/page?token=secret")
        if get(port, "/hot")[1].startswith("hit"):
            break
    said = stats(process)
    assert said["workers"] == 2
    assert said["requests"]["total"] == 2 * asked
    assert said["requests"]["hits"] == said["requests"]["cache"]["hit"] >= 1
    assert said["caches"]["default"]["limit_entries"] == 200
    (upstream,) = said["upstreams"].values()
    assert upstream["requests"] == said["requests"]["total"] - said["requests"]["hits"]
    assert sum(said["duration_seconds"]["cache"]["hit"]["counts"]) == said["requests"]["hits"]
    assert {url["url"].rpartition("/")[2]: url["requests"] for url in said["busiest"]} == {
        "page?token=secret": asked,
        "hot": asked,
    }
    assert {url["cache"] for url in said["costliest"]} == {"uri-miss"}


def test_with_a_token_only_health_is_for_everybody(start: Proxies) -> None:
    process, _ = start.start({"admin": {"listen": "127.0.0.1:0", "token": TOKEN}})
    for path in ("/livez", "/readyz"):
        assert page(process, path)[0] == 200
    for path in ("/metrics", "/stats", "/config"):
        assert page(process, path)[0] == 401
        status, said = page(process, path, Authorization=f"Bearer {TOKEN}")
        assert status == 200
        assert TOKEN not in said


def test_what_is_degraded_is_said_and_is_not_down(start: Proxies) -> None:
    with running("redis-server") as redis:
        cache = {"BACKEND": "redis", "LOCATION": f"unix://{redis.name}", "BREAKER_FAILURES": 1, "BREAKER_REST": "1m"}
        process, port = start.start({"CACHES": {"default": cache}, "workers": 2, "admin": "127.0.0.1:0"})
        assert page(process, "/readyz") == (200, "ready\n")
        redis.kill()
        get(port)
        await_that(lambda: page(process, "/readyz") == (200, "ready\ndegraded: storage resting\n"))
