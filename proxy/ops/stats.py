"""What do the numbers say, for a person's page and for programs? As JSON, the same ones that Prometheus gets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

import proxy
from proxy.config.units import UnixTime
from proxy.ops.admin import Page
from proxy.ops.catalogue import METRICS
from proxy.ops.metric import SUM, Kind, Metric, Samples
from proxy.ops.snapshot import Collect, Snapshot, total

_BY_METRIC: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
_CACHES = {
    "entries": ("sitecache_store_entries", "sitecache_storage_entries"),
    "limit_entries": ("sitecache_store_limit_entries", "sitecache_storage_limit_entries"),
    "bytes": ("sitecache_store_bytes", "sitecache_storage_bytes"),
    "limit_bytes": ("sitecache_store_limit_bytes", "sitecache_storage_limit_bytes"),
    "damaged": ("sitecache_storage_damaged_records_total",),
    "owed_deletions": ("sitecache_storage_owed_deletions",),
}
_CACHES_BY = {
    "evictions": "sitecache_evictions_total",
    "errors": "sitecache_storage_errors_total",
    "resting": "sitecache_storage_server_resting",
}
_UPSTREAMS = {
    "requests": "sitecache_upstream_requests_total",
    "retries": "sitecache_upstream_retries_total",
    "failing": "sitecache_upstream_failing",
    "connections_opened": "sitecache_upstream_connections_opened_total",
}
_UPSTREAMS_BY = {
    "responses": "sitecache_upstream_responses_total",
    "errors": "sitecache_upstream_errors_total",
    "connections": "sitecache_upstream_connections",
}
_BY_WORD = {
    "details": "sitecache_details_total",
    "not_stored": "sitecache_not_stored_total",
    "bypasses": "sitecache_bypasses_total",
    "stale": "sitecache_stale_responses_total",
    "validations": "sitecache_validations_total",
    "rejected": "sitecache_rejected_requests_total",
    "bytes": "sitecache_response_body_bytes_total",
    "reloads": "sitecache_reloads_total",
}


def stats(snapshots: Sequence[Snapshot], now: UnixTime) -> dict[str, Any]:
    """Return the numbers of all workers: sums since the start, so that two answers make rates."""
    sums = total(snapshots)
    return {
        "time": now,
        "version": proxy.__version__,
        "workers": sums.value("sitecache_workers"),
        "started": sums.value("sitecache_process_start_time_seconds"),
        "requests": _requests(sums.samples["sitecache_requests_total"]),
        "duration_seconds": _histograms("sitecache_request_duration_seconds", sums),
        "first_byte_seconds": _histograms("sitecache_first_byte_duration_seconds", sums),
        **{name: _words(sums.samples[metric]) for name, metric in _BY_WORD.items()},
        "stored": sums.value("sitecache_responses_stored_total"),
        "collapsed": sums.value("sitecache_collapsed_total"),
        "refreshes": sums.value("sitecache_background_refreshes_total"),
        "caches": _caches(sums),
        "upstreams": _upstreams(sums),
        **{name: [one.plain() for one in urls] for name, urls in sums.urls.items()},
        "metrics": {metric.name: _metric(metric, sums) for metric in METRICS},
    }


def _requests(samples: Samples) -> dict[str, Any]:
    """What a hit ratio is made of, and the same for each route."""
    words: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    routes: dict[tuple[str, str], Counter[str]] = {}
    for (site, route, _, code, word), count in samples.items():
        for counts, label in ((words, word), (codes, code), (routes.setdefault((site, route), Counter()), word)):
            counts[label] += int(count)
    return {
        **_ratio(words),
        "codes": dict(codes),
        "routes": [{"site": site, "route": route, **_ratio(by_word)} for (site, route), by_word in routes.items()],
    }


def _ratio(words: Counter[str]) -> dict[str, Any]:
    hits = words["hit"] + words["hit-stale"]
    return {"total": words.total(), "hits": hits, "cache": dict(words)}


def _histograms(name: str, sums: Snapshot) -> dict[str, Any]:
    """By what the cache did; a count for each bucket by its upper end, and not for those below as well."""
    samples, ends = sums.samples[name], _BY_METRIC[name].ends
    words = sorted({labels[0] for labels in samples})
    return {
        "ends": list(ends),
        "cache": {
            word: {"counts": [samples.get((word, end), 0) for end in ends], "sum": samples.get((word, SUM), 0)}
            for word in words
        },
    }


def _words(samples: Samples) -> dict[str, float]:
    return {word: count for (word,), count in samples.items()}


def _caches(sums: Snapshot) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, metrics in _CACHES.items():
        for metric in metrics:
            for (alias,), value in sums.samples[metric].items():
                found.setdefault(alias, {})[name] = value
    return _by(found, _CACHES_BY, sums)


def _upstreams(sums: Snapshot) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, metric in _UPSTREAMS.items():
        for (upstream,), value in sums.samples[metric].items():
            found.setdefault(upstream, {})[name] = value
    return _by(found, _UPSTREAMS_BY, sums)


def _by(found: dict[str, dict[str, Any]], metrics: Mapping[str, str], sums: Snapshot) -> dict[str, dict[str, Any]]:
    for name, metric in metrics.items():
        for (whose, word), value in sums.samples[metric].items():
            found.setdefault(whose, {}).setdefault(name, {})[word] = value
    return found


def _metric(metric: Metric, sums: Snapshot) -> list[dict[str, Any]]:
    names = (*metric.labels, "end") if metric.kind is Kind.HISTOGRAM else metric.labels
    return [
        {**dict(zip(names, labels, strict=True)), "value": value}
        for labels, value in sorted(sums.samples[metric.name].items())
    ]


def stats_pages(collect: Collect, clock: Callable[[], UnixTime]) -> Sequence[Page]:
    """Return the page."""

    async def answer(_: web.Request) -> web.Response:
        text = json.dumps(stats(await collect(), clock()), separators=(",", ":"))
        return web.Response(text=text + "\n", content_type="application/json")

    return (Page("/stats", "the same numbers as JSON, and which URLs weigh most", answer),)
