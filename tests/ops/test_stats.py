"""Does /stats say the same as the metrics page, and which URLs weigh most?"""

from __future__ import annotations

import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

import proxy
from proxy.exchange.counters import Counters
from proxy.ops.admin import admin_app
from proxy.ops.catalogue import METRICS
from proxy.ops.readiness import Degraded, Readiness, Watch, degraded
from proxy.ops.snapshot import Snapshot, take, total
from proxy.ops.stats import stats, stats_pages
from proxy.ops.urls import Url, together
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from proxy.upstream.client import Asked
from tests.ops.making import NOW, counted, entry, failing, memory, request, sources


def worker(target: bytes = b"/page?token=s3cret") -> Snapshot:
    """A worker with two hits, one of them measured, and a page that is never stored."""
    counters = Counters()
    counters.follow([counted((b"GET", 200), (b"GET", 200))])
    counters.measure(request(target=b"/hot"), 200, counted(), NOW, NOW)
    outcome = Outcome(forward=ForwardReason.URI_MISS, forward_status=200, detail=Detail.SET_COOKIE)
    counters.done(entry(request(target=target), outcome))
    return take(
        sources(
            counters,
            stores={"default": memory(3, 500, 1)},
            storages={"shared": failing()},
            origins=lambda: {"app:80": Asked(requests=1, is_failing=True)},
        )
    )


def test_the_numbers_are_those_of_the_metrics_page() -> None:
    snapshots = [worker(), worker()]
    said = stats(snapshots, NOW)["metrics"]
    sums = total(snapshots)
    assert list(said) == [metric.name for metric in METRICS]
    for metric in METRICS:
        rows = [row["value"] for row in said[metric.name]]
        assert sorted(rows) == sorted(sums.samples[metric.name].values())
        assert all(set(metric.labels) <= set(row) for row in said[metric.name])


def test_what_rates_and_ratios_are_made_of_is_told() -> None:
    said = stats([worker(), worker()], NOW)
    assert (said["time"], said["version"], said["workers"]) == (NOW, proxy.__version__, 2)
    requests = said["requests"]
    assert (requests["total"], requests["hits"], requests["cache"]["uri-miss"]) == (6, 4, 2)
    assert requests["codes"]["2xx"] == 6
    (blog,) = [route for route in requests["routes"] if route["route"] == "blog"]
    assert (blog["site"], blog["total"], blog["hits"]) == ("-", 4, 4)
    assert said["not_stored"]["set-cookie"] == said["details"]["set-cookie"] == 2
    assert said["bytes"] == {"cache": 0, "origin": 10}


def test_quantiles_can_be_reckoned() -> None:
    took = stats([worker()], NOW)["duration_seconds"]
    assert sum(took["cache"]["uri-miss"]["counts"]) == 1
    assert took["ends"][took["cache"]["uri-miss"]["counts"].index(1)] == "0.025"
    assert took["cache"]["uri-miss"]["sum"] == 0.0125
    assert len(took["ends"]) == len(took["cache"]["hit"]["counts"])


def test_each_cache_and_each_origin_has_its_numbers() -> None:
    said = stats([worker(), worker()], NOW)
    assert said["caches"]["default"] == {
        "entries": 6,
        "limit_entries": 600,
        "bytes": 1000,
        "limit_bytes": 8192,
        "evictions": {"entries": 0, "bytes": 2, "disk": 0},
    }
    shared = said["caches"]["shared"]
    assert (shared["entries"], shared["limit_entries"], shared["errors"]["timeout"]) == (70, 100, 4)
    assert shared["resting"] == {"-": 0, "10.0.0.2:11211": 2}
    origin = said["upstreams"]["app:80"]
    assert (origin["requests"], origin["failing"], origin["errors"]["upstream-timeout"]) == (2, 2, 0)


def test_the_heaviest_urls_are_added_up_and_say_why() -> None:
    said = stats([worker(), worker(), worker(b"/other")], NOW)
    assert [(url["url"], url["weight"], url["cache"]) for url in said["busiest"]] == [
        ("http://example.org/hot", 3, "hit"),
        ("http://example.org/page?token=s3cret", 2, "uri-miss"),
        ("http://example.org/other", 1, "uri-miss"),
    ]
    first, second = said["costliest"]
    assert first == {
        "url": "http://example.org/page?token=s3cret",
        "site": "-",
        "route": "-",
        "weight": 0.025,
        "error": 0.0,
        "requests": 2,
        "cache": "uri-miss",
        "detail": "set-cookie",
        "code": 200,
    }
    assert second["url"] == "http://example.org/other"


def test_lists_stay_short_however_many_workers_there_are() -> None:
    urls = [Url(f"/{n}", "-", "-", float(n), 0, 1, "hit", "", 200) for n in range(200)]
    listed = together([{"busiest": urls[:100]}, {"busiest": urls[100:]}, {}])["busiest"]
    assert len(listed) == 50
    assert listed[0].url == "/199"


async def test_the_page_is_json() -> None:
    async def collect() -> list[Snapshot]:
        return [worker()]

    async with TestClient(TestServer(admin_app(stats_pages(collect, lambda: NOW)))) as client:
        response = await client.get("/stats")
        assert response.content_type == "application/json"
        assert json.loads(await response.text()) == json.loads(json.dumps(stats([worker()], NOW)))


# What health checks make of the numbers.


@pytest.mark.parametrize(
    ("samples", "wrong"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param({"sitecache_upstream_failing": {("a:1",): 0, ("b:1",): 1}}, (Degraded.ORIGIN,), id="an-origin"),
        pytest.param({"sitecache_storage_server_resting": {("default", "-"): 2}}, (Degraded.STORAGE,), id="a-storage"),
        pytest.param({"sitecache_storage_server_resting": {("default", "-"): 0}}, (), id="all-answer"),
    ],
)
def test_what_is_degraded(samples: dict[str, dict[tuple[str, ...], float]], wrong: tuple[Degraded, ...]) -> None:
    assert degraded(Snapshot(dict(samples))) == wrong


async def test_health_checks_know_of_the_last_look() -> None:
    async def collect() -> list[Snapshot]:
        return [worker()]

    watch = Watch(collect)
    looking = watch.run()
    looking.send(None)
    looking.close()
    assert Readiness((), watch.degraded).report() == "ready\ndegraded: origin failing\ndegraded: storage resting\n"
