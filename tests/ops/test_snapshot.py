"""Does a snapshot say what the parts of a worker say, survive the way to another process, and add up?"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import UpstreamConfig
from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.deadlines import Deadlines
from proxy.departures import Departures
from proxy.exchange.collapse import Flights
from proxy.exchange.counters import Counters
from proxy.ops import process
from proxy.ops.catalogue import METRICS, UPSTREAM_REASONS
from proxy.ops.process import LAG_BUCKETS, Usage
from proxy.ops.snapshot import Snapshot, take, total
from proxy.ops.sources import Sources, Store
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from proxy.storage.backends.locmem import LocMemCache
from proxy.storage.numbers import Durations
from proxy.upstream.client import Asked, Origins
from proxy.upstream.pool import Pool as RealPool
from tests.exchange.remotes import remote
from tests.ops.making import NOW, Remote, Tier, counted, entry, failing, memory, request, sources


def asked() -> Asked:
    errors = Counter({"upstream-timeout": 6})
    return Asked(20, 1, Counter({2: 9, 5: 2, 9: 3}), errors, opened=8, connections=5, idle=2, is_failing=True)


def lag() -> Durations:
    durations = Durations(LAG_BUCKETS)
    durations.add(Seconds(0.04))
    return durations


def busy() -> Sources:
    counters = Counters()
    counters.follow([counted((b"GET", 200), (b"HEAD", 200), (b"GET", 404))])
    counters.bytes_from_cache += 10
    counters.done(entry(outcome=Outcome(hit=True, ttl=-3, detail=Detail.STALE_IF_ERROR), size=7))
    counters.done(entry(outcome=Outcome(forward=ForwardReason.URI_MISS, stored=True), size=100))
    counters.done(entry(outcome=Outcome(forward=ForwardReason.URI_MISS, collapsed=True), size=20, first_byte=0.008))
    counters.done(entry(request(b"BREW"), Outcome(forward=ForwardReason.METHOD), status=999))
    counters.done(entry(request(b"get"), Outcome(forward=ForwardReason.METHOD), status=999))
    counters.done(entry(outcome=Outcome(detail=Detail.ONLY_IF_CACHED), status=504))
    set_cookie = Outcome(forward=ForwardReason.VARY_MISS, forward_status=200, detail=Detail.SET_COOKIE)
    counters.done(entry(outcome=set_cookie, size=0))
    counters.done(entry(outcome=Outcome(forward=ForwardReason.BYPASS, detail=Detail.COOKIE), status=302, size=0))
    counters.asked_behind(entry(outcome=Outcome(forward=ForwardReason.STALE, stored=True)))
    for status in (304, 200, 502):
        counters.validated(status)
    counters.purges["tag", "success"] += 2
    counters.refreshed = 4
    counters.accepted = 9
    counters.refused(431)
    return sources(
        counters,
        clients={1, 2, 3},
        flights={1},
        exchanges={1, 2},
        origins=lambda: {"app:80": asked()},
        stores={"default": memory(11, 1234, 5), "pages": Store(memory(1, 2, 3).numbers, None, None)},
        storages={"shared": failing(), "new": Remote()},
        tiers={"shared": Tier()},
        usage=lambda: Usage(Seconds(1.5), Bytes(8192)),
        dropped_lines=lambda: 12,
        lag=lag(),
    )


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        pytest.param("sitecache_requests_total", ("-", "blog", "GET", "2xx", "hit"), 1, id="hit"),
        pytest.param("sitecache_requests_total", ("-", "blog", "HEAD", "2xx", "hit"), 1, id="hit-by-HEAD"),
        pytest.param("sitecache_requests_total", ("-", "blog", "GET", "4xx", "hit"), 1, id="hit-of-a-404"),
        pytest.param("sitecache_requests_total", ("-", "-", "GET", "2xx", "hit-stale"), 1, id="stale"),
        pytest.param("sitecache_requests_total", ("-", "-", "GET", "2xx", "uri-miss"), 2, id="forwarded"),
        pytest.param("sitecache_requests_total", ("-", "-", "GET", "5xx", "refused"), 1, id="refused"),
        pytest.param("sitecache_requests_total", ("-", "-", "other", "other", "method"), 2, id="any-token-is-one"),
        pytest.param("sitecache_responses_total", ("200",), 6, id="status"),
        pytest.param("sitecache_responses_total", ("404",), 1, id="status-of-a-hit"),
        pytest.param("sitecache_responses_total", ("other",), 2, id="no-status"),
        pytest.param("sitecache_request_duration_seconds", ("uri-miss", "0.025"), 2, id="took"),
        pytest.param("sitecache_request_duration_seconds", ("uri-miss", "sum"), 0.025, id="took-together"),
        pytest.param("sitecache_first_byte_duration_seconds", ("uri-miss", "0.01"), 1, id="first-byte"),
        pytest.param("sitecache_first_byte_duration_seconds", ("uri-miss", "0.025"), 1, id="first-byte-at-the-end"),
        pytest.param("sitecache_not_stored_total", ("set-cookie",), 1, id="not-stored"),
        pytest.param("sitecache_bypasses_total", ("method",), 2, id="not-for-the-cache"),
        pytest.param("sitecache_bypasses_total", ("cookie",), 1, id="bypass"),
        pytest.param("sitecache_stale_responses_total", ("stale-if-error",), 1, id="stale-by-reason"),
        pytest.param("sitecache_validations_total", ("not-modified",), 1, id="validated"),
        pytest.param("sitecache_validations_total", ("modified",), 1, id="replaced"),
        pytest.param("sitecache_validations_total", ("error",), 1, id="not-validated"),
        pytest.param("sitecache_purges_total", ("tag", "success"), 2, id="purged"),
        pytest.param("sitecache_details_total", ("stale-if-error",), 1, id="detail"),
        pytest.param("sitecache_responses_stored_total", (), 2, id="stored"),
        pytest.param("sitecache_collapsed_total", (), 1, id="collapsed"),
        pytest.param("sitecache_background_refreshes_total", (), 4, id="refreshed"),
        pytest.param("sitecache_response_body_bytes_total", ("cache",), 37, id="bytes-from-the-cache"),
        pytest.param("sitecache_response_body_bytes_total", ("origin",), 115, id="bytes-from-the-origin"),
        pytest.param("sitecache_rejected_requests_total", ("431",), 1, id="rejected"),
        pytest.param("sitecache_client_connections", (), 3, id="clients-now"),
        pytest.param("sitecache_client_connections_accepted_total", (), 9, id="clients-ever"),
        pytest.param("sitecache_inflight_exchanges", (), 2, id="exchanges"),
        pytest.param("sitecache_inflight_fetches", (), 1, id="flights"),
        pytest.param("sitecache_store_entries", ("default",), 11, id="entries"),
        pytest.param("sitecache_store_bytes", ("default",), 1234, id="bytes"),
        pytest.param("sitecache_store_limit_entries", ("default",), 300, id="limit-of-entries"),
        pytest.param("sitecache_store_limit_bytes", ("default",), 4096, id="limit-of-bytes"),
        pytest.param("sitecache_evictions_total", ("pages", "bytes"), 3, id="evicted"),
        pytest.param("sitecache_evictions_total", ("shared", "disk"), 6, id="evicted-from-a-full-disk"),
        pytest.param("sitecache_storage_limit_entries", ("shared",), 100, id="limit-of-files"),
        pytest.param("sitecache_storage_operation_duration_seconds", ("shared", "get", "0.05"), 1, id="storage-took"),
        pytest.param("sitecache_storage_operation_duration_seconds", ("shared", "get", "+Inf"), 1, id="storage-late"),
        pytest.param("sitecache_storage_operation_duration_seconds", ("shared", "set", "sum"), 0, id="storage-sum"),
        pytest.param("sitecache_storage_errors_total", ("shared", "timeout"), 2, id="storage-failed"),
        pytest.param("sitecache_storage_server_resting", ("shared", "-"), 0, id="the-only-server-answers"),
        pytest.param("sitecache_storage_server_resting", ("shared", "10.0.0.2:11211"), 1, id="a-server-rests"),
        pytest.param("sitecache_storage_damaged_records_total", ("shared",), 3, id="damaged"),
        pytest.param("sitecache_storage_owed_deletions", ("shared",), 4, id="owed"),
        pytest.param("sitecache_storage_entries", ("shared",), 70, id="files"),
        pytest.param("sitecache_storage_bytes", ("shared",), 8000, id="bytes-of-files"),
        pytest.param("sitecache_local_tier_entries", ("shared",), 2, id="copies"),
        pytest.param("sitecache_local_tier_bytes", ("shared",), 700, id="bytes-of-copies"),
        pytest.param("sitecache_local_tier_limit_bytes", ("shared",), 1000, id="limit-of-copies"),
        pytest.param("sitecache_local_tier_hits_total", ("shared",), 9, id="answered-by-copies"),
        pytest.param("sitecache_upstream_requests_total", ("app:80",), 20, id="asked"),
        pytest.param("sitecache_upstream_responses_total", ("app:80", "2xx"), 9, id="answered"),
        pytest.param("sitecache_upstream_responses_total", ("app:80", "5xx"), 2, id="answered-with-an-error"),
        pytest.param("sitecache_upstream_responses_total", ("app:80", "other"), 3, id="answered-with-no-status"),
        pytest.param("sitecache_upstream_retries_total", ("app:80",), 1, id="asked-again"),
        pytest.param("sitecache_upstream_errors_total", ("app:80", "upstream-timeout"), 6, id="origin-failed"),
        pytest.param("sitecache_upstream_failing", ("app:80",), 1, id="origin-failing"),
        pytest.param("sitecache_upstream_connections", ("app:80", "active"), 3, id="connections-in-use"),
        pytest.param("sitecache_upstream_connections", ("app:80", "idle"), 2, id="connections-idle"),
        pytest.param("sitecache_upstream_connections_opened_total", ("app:80",), 8, id="connections-ever"),
        pytest.param("sitecache_event_loop_lag_seconds", ("0.05",), 1, id="lag"),
        pytest.param("sitecache_access_log_dropped_lines_total", (), 12, id="dropped-lines"),
        pytest.param("sitecache_workers", (), 1, id="workers"),
        pytest.param("sitecache_process_start_time_seconds", (), NOW, id="started"),
        pytest.param("sitecache_process_cpu_seconds_total", (), 1.5, id="cpu"),
        pytest.param("sitecache_process_resident_memory_bytes", (), 8192, id="memory"),
    ],
)
def test_numbers_come_from_their_parts(name: str, labels: tuple[str, ...], value: float) -> None:
    assert take(busy()).value(name, *labels) == value


def test_a_cache_without_limits_has_no_sample_for_them() -> None:
    samples = take(busy()).samples
    assert set(samples["sitecache_store_limit_bytes"]) == {("default",)}
    assert set(samples["sitecache_store_limit_entries"]) == {("default",)}


def test_a_storage_that_does_not_know_what_it_holds_has_no_sample_for_it() -> None:
    samples = take(busy()).samples
    assert set(samples["sitecache_storage_entries"]) == set(samples["sitecache_storage_bytes"]) == {("shared",)}


def test_files_that_several_workers_share_are_not_added_up() -> None:
    one, two = (
        take(sources(storages={"files": failing()})),
        take(sources(storages={"files": Remote(held=(71, Bytes(9)))})),
    )
    both = total([one, two])
    assert both.value("sitecache_storage_entries", "files") == 71
    assert both.value("sitecache_storage_bytes", "files") == 8000
    assert both.value("sitecache_storage_damaged_records_total", "files") == 3


async def test_the_real_parts_fit() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    origins = Origins(lambda upstream: RealPool(upstream, deadlines, Departures(loop), loop.time))
    origins.of(UpstreamConfig("http://127.0.0.1:1"))
    cache = LocMemCache(lambda: NOW)
    cache.put("key", b"value", 5, UnixTime(NOW + 1))
    stores = {"default": Store(cache, 300, None)}
    storages = {"shared": remote(cache)}
    given_parts = Sources(Counters(), set(), origins.asked, Flights(), set(), stores, NOW, process.usage, storages)
    snapshot = take(given_parts)
    deadlines.close()
    assert snapshot.value("sitecache_store_entries", "default") == 1
    assert snapshot.value("sitecache_store_bytes", "default") == cache.bytes
    assert snapshot.value("sitecache_storage_errors_total", "shared", "timeout") == 0
    assert snapshot.value("sitecache_process_resident_memory_bytes") > 1024 * 1024
    assert snapshot.value("sitecache_process_cpu_seconds_total") > 0
    errors = snapshot.samples["sitecache_upstream_errors_total"]
    assert errors == {("127.0.0.1:1", reason): 0 for reason in UPSTREAM_REASONS}


def test_a_failure_of_the_origin_has_the_same_words_in_details_and_errors() -> None:
    assert set(UPSTREAM_REASONS) <= {detail.value for detail in Detail}


# On its way to another process.


def test_it_survives_the_way() -> None:
    snapshot = take(busy())
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert Snapshot.from_json(snapshot.to_json().encode()) == snapshot
    assert "\n" not in snapshot.to_json()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("[]", id="a-list"),
        pytest.param("{}", id="no-samples"),
        pytest.param('{"samples": 1}', id="a-number-for-all-samples"),
        pytest.param('{"samples": {"a": 1}}', id="a-number-for-samples"),
        pytest.param('{"samples": {"a": [1]}}', id="a-number-for-a-sample"),
        pytest.param('{"samples": {"a": [[["x"]]]}}', id="no-value"),
        pytest.param('{"samples": {"a": [[["x"], "1"]]}}', id="a-text-for-a-value"),
        pytest.param('{"samples": {"a": [[[1], 1]]}}', id="a-number-for-a-label"),
        pytest.param('{"samples": {"a": [[["x"], 1', id="cut-short"),
        pytest.param('{"samples": {}, "urls": []}', id="no-lists-of-urls"),
        pytest.param('{"samples": {}, "urls": {"busiest": 1}}', id="a-number-for-urls"),
        pytest.param('{"samples": {}, "urls": {"busiest": [["/"]]}}', id="a-url-without-its-numbers"),
    ],
)
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Snapshot.from_json(text)


# Adding up.


def test_without_a_worker_everything_is_at_its_start() -> None:
    nothing = total([])
    assert nothing.value("sitecache_workers") == 0
    assert set(nothing.samples["sitecache_details_total"]) == {(detail.value,) for detail in Detail}
    assert all(value == 0 for value in nothing.samples["sitecache_details_total"].values())


def test_two_workers_make_the_sum() -> None:
    one, two = take(busy()), take(sources(started_at=UnixTime(NOW + 60), stores={"default": memory(1, 1, 1)}))
    both = total([one, two])
    assert both.value("sitecache_workers") == 2
    assert both.value("sitecache_store_entries", "default") == 12
    assert both.value("sitecache_store_limit_bytes", "default") == 8192
    assert both.value("sitecache_requests_total", "-", "-", "GET", "2xx", "uri-miss") == 2
    assert both.value("sitecache_process_start_time_seconds") == NOW + 60
    assert list(both.samples["sitecache_build_info"].values()) == [1]


def test_no_counter_falls_when_a_worker_ends() -> None:
    one, two = take(busy()), take(busy())
    before, after = total([one, two]), total([one, two.ended()])
    for metric in METRICS:
        if metric.kind == "counter":
            assert after.samples[metric.name] == before.samples[metric.name]
    assert after.value("sitecache_workers") == 1
    assert after.value("sitecache_client_connections") == 3


def test_what_another_version_counts_is_left_out() -> None:
    other = Snapshot({"sitecache_of_tomorrow_total": {(): 1}, "sitecache_collapsed_total": {("new-label",): 1, (): 2}})
    assert "sitecache_of_tomorrow_total" not in total([other]).samples
    assert total([other]).samples["sitecache_collapsed_total"] == {(): 2}


counts = st.dictionaries(st.tuples(st.sampled_from([detail.value for detail in Detail])), st.integers(0, 2**53))
snapshots = st.lists(counts.map(lambda rows: Snapshot({"sitecache_details_total": rows})), max_size=4)


@given(snapshots, snapshots)
def test_sums_of_sums_are_sums(some: list[Snapshot], more: list[Snapshot]) -> None:
    assert total([total(some), total(more)]) == total([*some, *more])
