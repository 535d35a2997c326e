"""Which numbers do we publish, what does each mean, and where does it come from?

One row for each metric: snapshots, the metrics page and its documentation are all made from these rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import proxy
from proxy.errors import UpstreamError
from proxy.exchange.counters import BYPASSES, NOT_STORED, OTHER, REQUEST_BUCKETS
from proxy.ops import readings
from proxy.ops.metric import Labels, Metric, buckets, counter, gauge, histogram, one
from proxy.ops.process import LAG_BUCKETS
from proxy.policy.decisions import Detail, ForwardReason
from proxy.storage.numbers import BUCKETS

CACHE_WORDS = ("hit", "hit-stale", *(reason.value for reason in ForwardReason), "refused", "purge")
"""What ``Outcome.word`` can say."""
RELOADS = "sitecache_reloads_total"
LAST_RELOAD = "sitecache_last_reload_time_seconds"
RELOADED = "sitecache_last_reload_successful"
RESTARTS = "sitecache_worker_restarts_total"
"""These come from the process that gets the signals, and not from the workers."""
REJECTIONS = (400, 405, 408, 413, 414, 431, 501, 503, 505)
"""What a request that breaks a rule or a limit gets."""
VALIDATIONS = ("not-modified", "modified", "error")
PURGE_KINDS = ("url", "prefix", "glob", "tag", "host", "all", "unread")
PURGE_RESULTS = ("success", "failure", "refused")


def _reasons(error: type[UpstreamError]) -> Iterator[str]:
    yield error.reason
    for kind in error.__subclasses__():
        yield from _reasons(kind)


UPSTREAM_REASONS = tuple(sorted(set(_reasons(UpstreamError))))
"""Every way in which the origin can fail."""


def _zeros(words: Iterable[str]) -> dict[Labels, float]:
    return {(word,): 0 for word in words}


_REQUESTS = (
    counter(
        "sitecache_requests_total",
        "Requests answered, by site, route, method, class of the status and what the cache did: hit, hit-stale, "
        "refused or why it was forwarded.",
        readings.requests,
        ("site", "route", "method", "code", "cache"),
        {("-", "-", "GET", "5xx" if word == "refused" else "2xx", word): 0 for word in CACHE_WORDS},
    ),
    counter("sitecache_responses_total", "Requests answered, by status.", readings.responses, ("code",)),
    histogram(
        "sitecache_request_duration_seconds",
        "From a request's head to the end of the response, by what the cache did; tunnels are left out. Of plain hits, "
        "where there are many, one in up to 61 is measured and counts for as many.",
        readings.durations(lambda it: it.counters.took),
        ("cache",),
        REQUEST_BUCKETS,
    ),
    histogram(
        "sitecache_first_byte_duration_seconds",
        "From a request's head to the head of the response, by what the cache did; measured as the above.",
        readings.durations(lambda it: it.counters.first_byte),
        ("cache",),
        REQUEST_BUCKETS,
    ),
    counter(
        "sitecache_details_total",
        "Requests by the detail in Cache-Status: why a response was not stored or reused, or how the origin failed.",
        readings.by_word(lambda it: it.counters.details),
        ("detail",),
        _zeros(detail.value for detail in Detail),
    ),
    counter(
        "sitecache_not_stored_total",
        "Responses of the origin that were not stored, though the request was one for the cache, by reason.",
        readings.by_word(lambda it: it.counters.not_stored),
        ("reason",),
        _zeros(sorted(detail.value for detail in NOT_STORED)),
    ),
    counter(
        "sitecache_bypasses_total",
        "Requests that were not for the cache, by reason.",
        readings.by_word(lambda it: it.counters.bypasses),
        ("reason",),
        _zeros((*(detail.value for detail in BYPASSES), OTHER)),
    ),
    counter("sitecache_responses_stored_total", "Responses stored.", one(lambda it: it.counters.stored)),
    counter(
        "sitecache_collapsed_total",
        "Requests answered by another request's answer from the origin.",
        one(lambda it: it.counters.collapsed),
    ),
    counter(
        "sitecache_stale_responses_total",
        "Requests answered with a stale response, by reason.",
        readings.by_word(lambda it: {reason.value: it.counters.details[reason.value] for reason in readings.STALE}),
        ("reason",),
        _zeros(reason.value for reason in readings.STALE),
    ),
    counter(
        "sitecache_background_refreshes_total",
        "Stale responses validated in the background after being served.",
        one(lambda it: it.counters.refreshed),
    ),
    counter(
        "sitecache_validations_total",
        "Answers of the origin to validations of stored responses, by result.",
        readings.by_word(lambda it: it.counters.validations),
        ("result",),
        _zeros(VALIDATIONS),
    ),
    counter(
        "sitecache_response_body_bytes_total",
        "Bytes of response bodies sent to clients, by where they came from.",
        readings.body_bytes,
        ("source",),
        _zeros(("cache", "origin")),
    ),
    counter(
        "sitecache_rejected_requests_total",
        "Requests that broke a rule of HTTP or a limit, by the status they got.",
        lambda it: {(str(status),): count for status, count in it.counters.rejected.items()},
        ("code",),
        _zeros(map(str, REJECTIONS)),
    ),
    counter(
        "sitecache_purges_total",
        "Purges asked for, by what they named and by result.",
        lambda it: it.counters.purges,
        ("kind", "result"),
        {(kind, result): 0 for kind in PURGE_KINDS for result in PURGE_RESULTS},
    ),
)

_CLIENTS = (
    gauge("sitecache_client_connections", "Clients connected now.", one(lambda it: len(it.clients))),
    counter(
        "sitecache_client_connections_accepted_total",
        "Clients that have connected.",
        one(lambda it: it.counters.accepted),
    ),
    gauge(
        "sitecache_inflight_exchanges",
        "Requests being answered with the help of the origin now, background refreshes included.",
        one(lambda it: len(it.exchanges)),
    ),
    gauge(
        "sitecache_inflight_fetches",
        "Requests to the origin that others may join now.",
        one(lambda it: len(it.flights)),
    ),
)

_ALIAS = ("alias",)
_STORAGE = (
    gauge(
        "sitecache_store_entries",
        "Values held in memory now, by cache.",
        readings.by_store(lambda store: len(store.numbers)),
        _ALIAS,
    ),
    gauge(
        "sitecache_store_limit_entries",
        "MAX_ENTRIES of the cache, all workers together; absent without a limit.",
        readings.by_store(lambda store: store.limit_entries),
        _ALIAS,
    ),
    gauge(
        "sitecache_store_bytes",
        "Memory taken by keys, headers and bodies, by cache.",
        readings.by_store(lambda store: store.numbers.bytes),
        _ALIAS,
    ),
    gauge(
        "sitecache_store_limit_bytes",
        "MAX_BYTES of the cache, all workers together; absent without a limit.",
        readings.by_store(lambda store: store.limit_bytes),
        _ALIAS,
    ),
    counter(
        "sitecache_evictions_total",
        "Values that were evicted to make room, by cache and by what there was too little of.",
        readings.evictions,
        ("alias", "reason"),
    ),
    histogram(
        "sitecache_storage_operation_duration_seconds",
        "How long operations on a cache outside the process took, those that failed included.",
        readings.storage_durations,
        ("alias", "operation"),
        BUCKETS,
    ),
    counter(
        "sitecache_storage_errors_total",
        "Operations on a cache outside the process that failed, by reason.",
        readings.storage_errors,
        ("alias", "reason"),
    ),
    gauge(
        "sitecache_storage_server_resting",
        "Workers that leave this server of a cache alone now, because it has failed several times in a row.",
        readings.storage_resting,
        ("alias", "server"),
    ),
    counter(
        "sitecache_storage_damaged_records_total",
        "Records found in a cache outside the process that were not what had been written; each was a miss.",
        readings.by_storage(lambda storage: storage.damaged),
        _ALIAS,
    ),
    gauge(
        "sitecache_storage_owed_deletions",
        "Deletions that a cache outside the process could not be told yet; what they are for counts as gone.",
        readings.by_storage(lambda storage: storage.owed),
        _ALIAS,
    ),
    gauge(
        "sitecache_storage_entries",
        "Values that a cache which all workers share holds, as the worker that knows of most says.",
        readings.by_storage(lambda storage: None if storage.held is None else storage.held[0]),
        _ALIAS,
        merge=max,
    ),
    gauge(
        "sitecache_storage_limit_entries",
        "MAX_ENTRIES of such a cache; absent without a limit.",
        readings.by_storage(lambda storage: storage.limits[0]),
        _ALIAS,
        merge=max,
    ),
    gauge(
        "sitecache_storage_bytes",
        "What the values take there.",
        readings.by_storage(lambda storage: None if storage.held is None else storage.held[1]),
        _ALIAS,
        merge=max,
    ),
    gauge(
        "sitecache_storage_limit_bytes",
        "MAX_BYTES of such a cache; absent without a limit.",
        readings.by_storage(lambda storage: storage.limits[1]),
        _ALIAS,
        merge=max,
    ),
    gauge(
        "sitecache_local_tier_entries",
        "Values held in memory now of what is hot in a cache outside the process, by cache.",
        readings.by_tier(len),
        _ALIAS,
    ),
    gauge("sitecache_local_tier_bytes", "Memory taken by them.", readings.by_tier(lambda tier: tier.bytes), _ALIAS),
    gauge(
        "sitecache_local_tier_limit_bytes",
        "LOCAL_TIER of the cache, all workers together.",
        readings.by_tier(lambda tier: tier.most),
        _ALIAS,
    ),
    counter(
        "sitecache_local_tier_hits_total",
        "Look-ups in a cache outside the process that were answered from memory, without asking it.",
        readings.by_tier(lambda tier: tier.hits),
        _ALIAS,
    ),
)

_UPSTREAM_LABEL = ("upstream",)
_UPSTREAM = (
    counter(
        "sitecache_upstream_requests_total",
        "Requests sent to the origin.",
        readings.by_upstream(lambda asked: asked.requests),
        _UPSTREAM_LABEL,
    ),
    counter(
        "sitecache_upstream_responses_total",
        "Answers of the origin, by class of their status.",
        readings.upstream_responses,
        ("upstream", "code"),
    ),
    counter(
        "sitecache_upstream_retries_total",
        "Requests sent again because a reused connection had ended.",
        readings.by_upstream(lambda asked: asked.retries),
        _UPSTREAM_LABEL,
    ),
    counter(
        "sitecache_upstream_errors_total",
        "Requests to the origin that got no usable answer, by reason.",
        readings.upstream_errors(UPSTREAM_REASONS),
        ("upstream", "reason"),
    ),
    gauge(
        "sitecache_upstream_failing",
        "Workers whose last three requests to the origin, or more, got no usable answer.",
        readings.by_upstream(lambda asked: asked.is_failing),
        _UPSTREAM_LABEL,
    ),
    gauge(
        "sitecache_upstream_connections",
        "Connections to the origin that are open now.",
        readings.upstream_connections,
        ("upstream", "state"),
    ),
    counter(
        "sitecache_upstream_connections_opened_total",
        "Connections made to the origin.",
        readings.by_upstream(lambda asked: asked.opened),
        _UPSTREAM_LABEL,
    ),
)

_ITSELF = (
    histogram(
        "sitecache_event_loop_lag_seconds",
        "How much later than asked for the event loop of a worker called back, asked ten times a second.",
        lambda it: buckets(it.lag),
        (),
        LAG_BUCKETS,
    ),
    counter(
        "sitecache_access_log_dropped_lines_total",
        "Lines of the access log that nobody took in time.",
        one(lambda it: it.dropped_lines()),
    ),
    counter(
        RELOADS,
        "Times that the configuration was read again, by result: taken over, or not for its faults.",
        lambda _: {},
        ("result",),
        _zeros(("success", "failure")),
    ),
    gauge(
        RELOADED,
        "Whether the configuration was taken over when it was last read again: 1, also before the first time; else 0.",
        lambda _: {},
        start={(): 1},
        merge=min,
    ),
    gauge(
        LAST_RELOAD,
        "When the configuration was last read again and taken over, since 1970; 0 before the first time.",
        lambda _: {},
        merge=max,
    ),
    gauge("sitecache_workers", "Worker processes that were counted.", one(lambda _: 1)),
    counter(RESTARTS, "Worker processes that ended unasked and were replaced.", lambda _: {}, start={(): 0}),
    gauge(
        "sitecache_build_info",
        "Always 1; the version is in the label.",
        lambda _: {(proxy.__version__,): 1},
        ("version",),
        {(proxy.__version__,): 1},
        max,
    ),
    gauge(
        "sitecache_process_start_time_seconds",
        "When the worker that started last did so, since 1970.",
        one(lambda it: it.started_at),
        merge=max,
    ),
    counter(
        "sitecache_process_cpu_seconds_total",
        "Processor time used, user and system, all workers together.",
        one(lambda it: it.usage().cpu),
    ),
    gauge(
        "sitecache_process_resident_memory_bytes",
        "Memory held, all workers together; pages they share count for each.",
        one(lambda it: it.usage().resident),
    ),
)

METRICS: tuple[Metric, ...] = (*_REQUESTS, *_CLIENTS, *_STORAGE, *_UPSTREAM, *_ITSELF)
"""In the order of the page."""
