"""Which numbers do we publish, what does each mean, and where does it come from?

One row for each metric: snapshots, the metrics page and its documentation are all made from these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import add

import proxy
from proxy.errors import UpstreamError
from proxy.ops.sources import Sources, Storage, Store
from proxy.policy.decisions import Detail, ForwardReason
from proxy.storage.numbers import BUCKETS, Failure, Operation

Labels = tuple[str, ...]
"""Values of a metric's labels, in the order of their names."""
Samples = Mapping[Labels, float]

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"})
"""RFC 9110 §9.3 and RFC 5789. Clients may send any token; what is not among these is counted as ``other``."""
OTHER = "other"
NO_NAME = "-"
SUM = "sum"
"""In the place of the upper end of a bucket: all that was measured together."""
UPPER_ENDS = (*map(str, BUCKETS), "+Inf")
CACHE_WORDS = ("hit", "hit-stale", *(reason.value for reason in ForwardReason), "refused")
"""What ``Outcome.word`` can say."""
RELOADS = "sitecache_reloads_total"
LAST_RELOAD = "sitecache_last_reload_time_seconds"
"""These two come from the process that gets the signals, and not from the workers."""
REJECTIONS = (400, 405, 408, 413, 414, 431, 501, 503, 505)
"""What a request that breaks a rule or a limit gets."""


def _reasons(error: type[UpstreamError]) -> Iterator[str]:
    yield error.reason
    for kind in error.__subclasses__():
        yield from _reasons(kind)


UPSTREAM_REASONS = tuple(sorted(set(_reasons(UpstreamError))))
"""Every way in which the origin can fail."""


class Kind(StrEnum):
    """How a number behaves (the word is the type on the page)."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One name on the page."""

    name: str
    kind: Kind
    help: str
    read: Callable[[Sources], Samples]
    labels: Labels = ()
    start: Samples = field(default_factory=lambda: {(): 0})
    """What the page shows before anything has happened: every value of a closed label, for rates to begin at."""
    merge: Callable[[float, float], float] = lambda one, other: one + other
    """What two workers' numbers make together."""

    @property
    def width(self) -> int:
        """Return how many labels a sample has: those of a histogram end with the upper end of a bucket, or ``SUM``."""
        return len(self.labels) + (self.kind is Kind.HISTOGRAM)


def _one(number: Callable[[Sources], float]) -> Callable[[Sources], Samples]:
    return lambda sources: {(): number(sources)}


def _counter(name: str, text: str, number: Callable[[Sources], float]) -> Metric:
    return Metric(name, Kind.COUNTER, text, _one(number))


def _gauge(name: str, text: str, number: Callable[[Sources], float]) -> Metric:
    return Metric(name, Kind.GAUGE, text, _one(number))


def _by_reason(name: str, text: str, label: str, closed: Iterable[str], read: Callable[[Sources], Samples]) -> Metric:
    return Metric(name, Kind.COUNTER, text, read, (label,), {(value,): 0 for value in closed})


def _by_alias(name: str, kind: Kind, text: str, number: Callable[[Store], int | None]) -> Metric:
    def read(sources: Sources) -> Samples:
        found = {(alias,): number(store) for alias, store in sources.stores.items()}
        return {labels: value for labels, value in found.items() if value is not None}

    return Metric(name, kind, text, read, ("alias",), {})


def _by_storage(
    name: str, kind: Kind, text: str, number: Callable[[Storage], int | None], merge: Callable[[float, float], float]
) -> Metric:
    def read(sources: Sources) -> Samples:
        found = {(alias,): number(storage) for alias, storage in sources.storages.items()}
        return {labels: value for labels, value in found.items() if value is not None}

    return Metric(name, kind, text, read, ("alias",), {}, merge)


def _storage_durations(sources: Sources) -> Samples:
    found: dict[Labels, float] = {}
    for alias, storage in sources.storages.items():
        for operation in Operation:
            durations = storage.numbers.durations[operation]
            labels = (alias, operation.value)
            found |= {(*labels, end): count for end, count in zip(UPPER_ENDS, durations.counts, strict=True)}
            found[*labels, SUM] = durations.sum
    return found


def _storage_errors(sources: Sources) -> Samples:
    return {
        (alias, failure.value): storage.numbers.errors[failure]
        for alias, storage in sources.storages.items()
        for failure in Failure
    }


def _storage_resting(sources: Sources) -> Samples:
    return {
        (alias, server or NO_NAME): is_resting
        for alias, storage in sources.storages.items()
        for server, is_resting in storage.resting.items()
    }


def _requests(sources: Sources) -> Samples:
    found: dict[Labels, float] = {}
    for (method, status, word), count in sources.counters.requests.items():
        labels = (
            method.decode("ascii") if method in METHODS else OTHER,
            str(status) if 100 <= status <= 599 else OTHER,
            word,
        )
        found[labels] = found.get(labels, 0) + count
    return found


def _body_bytes(sources: Sources) -> Samples:
    counters = sources.counters
    return {("cache",): counters.bytes_from_cache, ("origin",): counters.bytes_from_origin}


def _upstream_connections(sources: Sources) -> Samples:
    pool = sources.origin.pool
    return {("active",): max(0, pool.connections - pool.idle), ("idle",): pool.idle}


METRICS: tuple[Metric, ...] = (
    # What became of requests.
    Metric(
        "sitecache_requests_total",
        Kind.COUNTER,
        "Requests answered, by method, status and what the cache did: hit, hit-stale, refused or why it was forwarded.",
        _requests,
        ("method", "code", "cache"),
        {("GET", "504" if word == "refused" else "200", word): 0 for word in CACHE_WORDS},
    ),
    Metric(
        "sitecache_route_requests_total",
        Kind.COUNTER,
        "Requests answered, by site, route and what the cache did, where sites or routes are configured.",
        lambda it: {labels: count for labels, count in it.counters.routed.items()},  # noqa: C416  of another type
        ("site", "route", "cache"),
        {},
    ),
    _by_reason(
        "sitecache_details_total",
        "Requests by the detail in Cache-Status: why a response was not stored or reused, or how the origin failed.",
        "detail",
        (detail.value for detail in Detail),
        lambda sources: {(detail,): count for detail, count in sources.counters.details.items()},
    ),
    _counter("sitecache_responses_stored_total", "Responses stored.", lambda it: it.counters.stored),
    _counter(
        "sitecache_collapsed_total",
        "Requests answered by another request's answer from the origin.",
        lambda it: it.counters.collapsed,
    ),
    _counter(
        "sitecache_background_refreshes_total",
        "Stale responses validated in the background after being served.",
        lambda it: it.counters.refreshed,
    ),
    _by_reason(
        "sitecache_response_body_bytes_total",
        "Bytes of response bodies sent to clients, by where they came from.",
        "source",
        ("cache", "origin"),
        _body_bytes,
    ),
    _by_reason(
        "sitecache_rejected_requests_total",
        "Requests that broke a rule of HTTP or a limit, by the status they got.",
        "code",
        map(str, REJECTIONS),
        lambda sources: {(str(status),): count for status, count in sources.counters.rejected.items()},
    ),
    # Clients, and what is going on for them.
    _gauge("sitecache_client_connections", "Clients connected now.", lambda it: len(it.clients)),
    _counter(
        "sitecache_client_connections_accepted_total",
        "Clients that have connected.",
        lambda it: it.counters.accepted,
    ),
    _gauge(
        "sitecache_inflight_exchanges",
        "Requests being answered with the help of the origin now, background refreshes included.",
        lambda it: len(it.exchanges),
    ),
    _gauge(
        "sitecache_inflight_fetches",
        "Requests to the origin that others may join now.",
        lambda it: len(it.flights),
    ),
    # Where responses are stored.
    _by_alias("sitecache_store_entries", Kind.GAUGE, "Values held now, by cache.", lambda store: len(store.numbers)),
    _by_alias(
        "sitecache_store_limit_entries",
        Kind.GAUGE,
        "MAX_ENTRIES of the cache, all workers together; absent without a limit.",
        lambda store: store.limit_entries,
    ),
    _by_alias(
        "sitecache_store_bytes",
        Kind.GAUGE,
        "Memory taken by keys, headers and bodies, by cache.",
        lambda store: store.numbers.bytes,
    ),
    _by_alias(
        "sitecache_store_limit_bytes",
        Kind.GAUGE,
        "MAX_BYTES of the cache, all workers together; absent without a limit.",
        lambda store: store.limit_bytes,
    ),
    _by_alias(
        "sitecache_evictions_total",
        Kind.COUNTER,
        "Values that were evicted to make room, by cache.",
        lambda store: store.numbers.evicted,
    ),
    Metric(
        "sitecache_storage_operation_duration_seconds",
        Kind.HISTOGRAM,
        "How long operations on a cache outside the process took, those that failed included.",
        _storage_durations,
        ("alias", "operation"),
        {},
    ),
    Metric(
        "sitecache_storage_errors_total",
        Kind.COUNTER,
        "Operations on a cache outside the process that failed, by reason.",
        _storage_errors,
        ("alias", "reason"),
        {},
    ),
    Metric(
        "sitecache_storage_server_resting",
        Kind.GAUGE,
        "Workers that leave this server of a cache alone now, because it has failed several times in a row.",
        _storage_resting,
        ("alias", "server"),
        {},
    ),
    _by_storage(
        "sitecache_storage_damaged_records_total",
        Kind.COUNTER,
        "Records found in a cache outside the process that were not what had been written; each was a miss.",
        lambda storage: storage.damaged,
        add,
    ),
    _by_storage(
        "sitecache_storage_owed_deletions",
        Kind.GAUGE,
        "Deletions that a cache outside the process could not be told yet; what they are for counts as gone.",
        lambda storage: storage.owed,
        add,
    ),
    _by_storage(
        "sitecache_storage_entries",
        Kind.GAUGE,
        "Values that a cache in files holds, as the worker that knows of most says.",
        lambda storage: None if storage.held is None else storage.held[0],
        max,
    ),
    _by_storage(
        "sitecache_storage_bytes",
        Kind.GAUGE,
        "What they take.",
        lambda storage: None if storage.held is None else storage.held[1],
        max,
    ),
    # The origin.
    _counter("sitecache_upstream_requests_total", "Requests sent to the origin.", lambda it: it.origin.requests),
    _counter(
        "sitecache_upstream_retries_total",
        "Requests sent again because a reused connection had ended.",
        lambda it: it.origin.retries,
    ),
    _by_reason(
        "sitecache_upstream_errors_total",
        "Requests to the origin that got no usable answer, by reason.",
        "reason",
        UPSTREAM_REASONS,
        lambda sources: {(reason,): count for reason, count in sources.origin.errors.items()},
    ),
    Metric(
        "sitecache_upstream_connections",
        Kind.GAUGE,
        "Connections to the origin that are open now.",
        _upstream_connections,
        ("state",),
        {("active",): 0, ("idle",): 0},
    ),
    _counter(
        "sitecache_upstream_connections_opened_total",
        "Connections made to the origin.",
        lambda it: it.origin.pool.opened,
    ),
    # The proxy itself.
    _counter(
        "sitecache_access_log_dropped_lines_total",
        "Lines of the access log that nobody took in time.",
        lambda it: it.dropped_lines(),
    ),
    Metric(
        RELOADS,
        Kind.COUNTER,
        "Times that the configuration was read again, by result: taken over, or not for its faults.",
        lambda _: {},
        ("result",),
        {("success",): 0, ("failure",): 0},
    ),
    Metric(
        LAST_RELOAD,
        Kind.GAUGE,
        "When the configuration was last read again and taken over, since 1970; 0 before the first time.",
        lambda _: {},
        merge=max,
    ),
    _gauge("sitecache_workers", "Worker processes that were counted.", lambda _: 1),
    Metric(
        "sitecache_build_info",
        Kind.GAUGE,
        "Always 1; the version is in the label.",
        lambda _: {(proxy.__version__,): 1},
        ("version",),
        {(proxy.__version__,): 1},
        max,
    ),
    Metric(
        "sitecache_process_start_time_seconds",
        Kind.GAUGE,
        "When the worker that started last did so, since 1970.",
        _one(lambda it: it.started_at),
        merge=max,
    ),
    _counter(
        "sitecache_process_cpu_seconds_total",
        "Processor time used, user and system, all workers together.",
        lambda it: it.usage().cpu,
    ),
    _gauge(
        "sitecache_process_resident_memory_bytes",
        "Memory held, all workers together; pages they share count for each.",
        lambda it: it.usage().resident,
    ),
)
