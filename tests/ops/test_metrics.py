"""Is the metrics page what Prometheus expects, and what docs/metrics.md says?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import proxy
from proxy.exchange.counters import Counters
from proxy.ops.catalogue import METRICS
from proxy.ops.metric import Kind, Metric
from proxy.ops.metrics import Text, render
from proxy.ops.snapshot import take
from proxy.policy.decisions import Detail
from proxy.storage.numbers import BUCKETS
from proxy.upstream.client import Asked
from tests.ops.making import NOW, Tier, counted, entry, failing, memory, request, sources

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| (.+) \|$", re.MULTILINE)
UNITS = {"seconds", "bytes", "ratio"}
UNITS_OF_OTHERS = {"milliseconds", "minutes", "hours", "kilobytes", "megabytes", "percent", "ms", "kb", "mb"}


def page(accept: str = "", workers: int = 1) -> Text:
    counters = Counters()
    counters.follow([counted((b"GET", 200))])
    counters.measure(request(), 200, counted(), NOW, NOW)
    counters.done(entry())
    worker = take(
        sources(
            counters,
            stores={"default": memory(3, 500, 1)},
            storages={"pages": failing()},
            tiers={"pages": Tier()},
            origins=lambda: {"app:80": Asked()},
        )
    )
    return render([worker] * workers, accept)


def families(accept: str = "", workers: int = 1) -> dict[str, Family]:
    parse = parse_openmetrics if accept else parse_text
    return {family.name: family for family in parse(page(accept, workers).body.decode())}


def bare(metric_name: str) -> str:
    return metric_name.removesuffix("_total")


@pytest.mark.parametrize("accept", [pytest.param("", id="text"), pytest.param(OPENMETRICS, id="openmetrics")])
def test_both_formats_hold_every_metric_with_help_and_type(accept: str) -> None:
    found = families(accept)
    assert list(found) == [bare(metric.name) for metric in METRICS]
    for metric in METRICS:
        family = found[bare(metric.name)]
        assert (family.type, family.documentation) == (metric.kind.value, metric.help)
        assert family.samples, metric.name
        for sample in family.samples:
            if metric.kind is Kind.HISTOGRAM:
                assert sample.name.removeprefix(metric.name) in {"_bucket", "_sum", "_count"}
                assert set(sample.labels) - {"le"} == set(metric.labels)
            else:
                assert sample.name == metric.name
                assert set(sample.labels) == set(metric.labels)


def test_workers_are_added_up() -> None:
    samples = families(workers=3)["sitecache_requests"].samples
    labels = {"site": "-", "route": "blog", "method": "GET", "code": "2xx", "cache": "hit"}
    assert [sample.value for sample in samples if sample.labels == labels] == [3]
    assert families(workers=3)["sitecache_workers"].samples[0].value == 3


@pytest.mark.parametrize("accept", [pytest.param("", id="text"), pytest.param(OPENMETRICS, id="openmetrics")])
def test_durations_are_a_histogram_whose_buckets_hold_the_smaller_ones(accept: str) -> None:
    family = families(accept, workers=2)["sitecache_storage_operation_duration_seconds"]
    gets = [sample for sample in family.samples if sample.labels["operation"] == "get"]
    buckets = {float(sample.labels["le"]): sample.value for sample in gets if sample.name.endswith("_bucket")}
    assert list(buckets) == [*BUCKETS, float("inf")]
    wanted = {0.0005: 2, 0.001: 4, 0.025: 4, 0.05: 6, 2.5: 6, float("inf"): 8}
    assert {end: buckets[end] for end in wanted} == wanted
    assert {sample.name.rpartition("_")[2]: sample.value for sample in gets if "le" not in sample.labels} == {
        "count": 8,
        "sum": pytest.approx(2 * 60.0414),
    }


def test_every_detail_is_there_from_the_start() -> None:
    samples = families()["sitecache_details"].samples
    assert {sample.labels["detail"]: sample.value for sample in samples} == {detail.value: 0 for detail in Detail}


def test_the_build_is_told() -> None:
    (sample,) = families()["sitecache_build_info"].samples
    assert (sample.labels, sample.value) == ({"version": proxy.__version__}, 1)


def test_the_format_is_negotiated() -> None:
    assert page().content_type.startswith("text/plain; version=0.0.4")
    assert page(OPENMETRICS).content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert page(OPENMETRICS).body.endswith(b"# EOF\n")
    assert page("text/html").content_type.startswith("text/plain")


def test_nothing_global_is_used() -> None:
    page()
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("sitecache")]


# Prometheus's rules for names: https://prometheus.io/docs/practices/naming/


@pytest.mark.parametrize("metric", [pytest.param(metric, id=metric.name) for metric in METRICS])
def test_names_follow_the_rules(metric: Metric) -> None:
    words = metric.name.split("_")
    assert re.fullmatch(r"sitecache(_[a-z]+)+", metric.name)
    assert (words[-1] == "total") == (metric.kind is Kind.COUNTER)
    assert not UNITS_OF_OTHERS & set(words)
    if UNITS & set(words):
        assert [word for word in words if word != "total"][-1] in UNITS, "the unit stands last"
    assert metric.help[0].isupper()
    assert metric.help.endswith(".")
    assert all(re.fullmatch(r"[a-z]+", label) for label in metric.labels)
    assert all(len(labels) == len(metric.labels) for labels in metric.start)


def test_names_are_unique_in_openmetrics_too() -> None:
    names = [bare(metric.name) for metric in METRICS]
    assert len(set(names)) == len(names)


def test_the_documentation_has_every_metric_as_it_is() -> None:
    documented = [(name, kind, labels, text) for name, kind, labels, text in ROW.findall(PAGE)]
    assert documented == [
        (metric.name, metric.kind.value, ", ".join(f"`{label}`" for label in metric.labels), metric.help)
        for metric in METRICS
    ]


def test_the_documentation_has_every_detail() -> None:
    for detail in Detail:
        assert f"`{detail.value}`" in PAGE


@pytest.mark.parametrize("metric", [pytest.param(one, id=one.name) for one in METRICS if one.kind is Kind.HISTOGRAM])
def test_ends_of_buckets_are_written_as_openmetrics_wants_them(metric: Metric) -> None:
    assert metric.ends == (*(repr(float(end)) for end in metric.ends[:-1]), "+Inf")
    assert list(map(float, metric.ends)) == sorted(map(float, metric.ends))
