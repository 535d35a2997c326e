"""How are the numbers that have labels read from the parts of a worker?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from proxy.exchange.counters import OTHER
from proxy.ops.metric import Labels, Read, Samples, buckets
from proxy.ops.sources import Sources, Storage, Store, TierNumbers
from proxy.policy.decisions import Detail
from proxy.storage.numbers import Durations, Failure, Operation, Room
from proxy.upstream.client import Asked

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"})
"""RFC 9110 §9.3 and RFC 5789. Clients may send any token; what is not among these is counted as ``other``."""
NO_NAME = "-"

CODES = ("1xx", "2xx", "3xx", "4xx", "5xx")
STALE = (Detail.STALE_WHILE_REVALIDATE, Detail.STALE_IF_ERROR, Detail.MAX_STALE)


def requests(sources: Sources) -> Samples:
    """Requests by site, route, method, class of the status, and what the cache did."""
    found: Counter[Labels] = Counter()
    for (site, route, method, status, word), count in sources.counters.requests.items():
        name = method.decode("ascii") if method in METHODS else OTHER
        found[site, route, name, _class_of(status // 100), word] += count
    return found


def responses(sources: Sources) -> Samples:
    """Requests by the status they got."""
    found: Counter[Labels] = Counter()
    for (_, _, _, status, _), count in sources.counters.requests.items():
        found[(str(status) if 100 <= status <= 599 else OTHER,)] += count
    return found


def _class_of(hundreds: int) -> str:
    return f"{hundreds}xx" if 1 <= hundreds <= 5 else OTHER


def durations(which: Callable[[Sources], Mapping[str, Durations]]) -> Read:
    """Durations by what the cache did."""

    def read(sources: Sources) -> Samples:
        found: dict[Labels, float] = {}
        for word, took in which(sources).items():
            found |= buckets(took, (word,))
        return found

    return read


def by_word(which: Callable[[Sources], Mapping[str, int]]) -> Read:
    """Counts by one word."""
    return lambda sources: {(word,): count for word, count in which(sources).items()}


def body_bytes(sources: Sources) -> Samples:
    """Bytes sent to clients by where they came from."""
    counters = sources.counters
    return {("cache",): counters.bytes_from_cache, ("origin",): counters.bytes_from_origin}


# Where responses are stored.


def by_store(number: Callable[[Store], int | None]) -> Read:
    """A number of each cache in memory that has it."""

    def read(sources: Sources) -> Samples:
        found = {(alias,): number(store) for alias, store in sources.stores.items()}
        return {labels: value for labels, value in found.items() if value is not None}

    return read


def by_storage(number: Callable[[Storage], int | None]) -> Read:
    """A number of each cache outside the process that has it."""

    def read(sources: Sources) -> Samples:
        found = {(alias,): number(storage) for alias, storage in sources.storages.items()}
        return {labels: value for labels, value in found.items() if value is not None}

    return read


def by_tier(number: Callable[[TierNumbers], int]) -> Read:
    """A number of each local tier."""
    return lambda sources: {(alias,): number(tier) for alias, tier in sources.tiers.items()}


def evictions(sources: Sources) -> Samples:
    """Values that went to make room, by cache and by what there was too little of."""
    found = {
        **{alias: store.numbers.evictions for alias, store in sources.stores.items()},
        **{alias: storage.evictions for alias, storage in sources.storages.items()},
    }
    return {
        (alias, room.value): evicted.get(room, 0)
        for alias, evicted in found.items()
        if evicted is not None
        for room in Room
    }


def storage_durations(sources: Sources) -> Samples:
    """Durations by cache and operation."""
    found: dict[Labels, float] = {}
    for alias, storage in sources.storages.items():
        for operation in Operation:
            found |= buckets(storage.numbers.durations[operation], (alias, operation.value))
    return found


def storage_errors(sources: Sources) -> Samples:
    """Failures by cache and reason."""
    return {
        (alias, failure.value): storage.numbers.errors[failure]
        for alias, storage in sources.storages.items()
        for failure in Failure
    }


def storage_resting(sources: Sources) -> Samples:
    """Whether each server of each cache is being left alone."""
    return {
        (alias, server or NO_NAME): is_resting
        for alias, storage in sources.storages.items()
        for server, is_resting in storage.resting.items()
    }


# The origin.


def by_upstream(number: Callable[[Asked], float]) -> Read:
    """A number of each origin."""
    return lambda sources: {(upstream,): number(asked) for upstream, asked in sources.origins().items()}


def upstream_responses(sources: Sources) -> Samples:
    """Answers by origin and class of the status."""
    found: Counter[Labels] = Counter()
    for upstream, asked in sources.origins().items():
        found.update({(upstream, code): 0 for code in CODES[1:]})
        for hundreds, count in asked.answers.items():
            found[upstream, _class_of(hundreds)] += count
    return found


def upstream_errors(reasons: tuple[str, ...]) -> Read:
    """Failures by origin and reason."""
    return lambda sources: {
        (upstream, reason): asked.errors[reason] for upstream, asked in sources.origins().items() for reason in reasons
    }


def upstream_connections(sources: Sources) -> Samples:
    """Connections by origin and what they do."""
    found: dict[Labels, float] = {}
    for upstream, asked in sources.origins().items():
        found[upstream, "active"] = max(0, asked.connections - asked.idle)
        found[upstream, "idle"] = asked.idle
    return found
