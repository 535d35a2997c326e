"""Do the queries of the dashboard, the alerts and the documentation ask for metrics, labels and words that exist?"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.ops.catalogue import METRICS
from proxy.ops.metric import Kind, Metric
from proxy.ops.readings import CODES
from proxy.ops.snapshot import total
from proxy.storage.numbers import Failure, Operation, Room
from tests.repository.files import text

DASHBOARD: dict[str, Any] = json.loads(text("deploy/grafana/sitecache.json"))
RULES = [
    rule for group in yaml.safe_load(text("deploy/prometheus/sitecache.rules.yml"))["groups"] for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PAGE = text("docs/metrics.md")

#: From Prometheus itself.
_GIVEN = {"job", "instance"}
_START = total([])
_WORDS = {
    "code": {*CODES, "other"},
    "operation": {one.value for one in Operation},
    "state": {"active", "idle"},
}
_SELECTED = re.compile(r"\b(sitecache_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_BY = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


def _queries() -> list[tuple[str, str]]:
    queries = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
    queries += [(one["name"], one["expr"]) for one in DASHBOARD["annotations"]["list"]]
    queries += [(one["name"], one["query"]) for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    queries += [(rule["alert"], rule["expr"]) for rule in RULES]
    table = PAGE.partition("## Questions, as queries")[2].partition("\n## ")[0]
    return queries + re.findall(r"^\| ([^|?]+\?) \| `([^`]+)`", table, re.MULTILINE)


QUERIES = [pytest.param(query, id=f"{name}-{number}") for number, (name, query) in enumerate(_queries())]


def _metric(name: str) -> Metric:
    by_name = {metric.name: metric for metric in METRICS}
    for metric in METRICS:
        if metric.kind is Kind.HISTOGRAM:
            by_name |= {f"{metric.name}_{end}": metric for end in ("bucket", "sum", "count")}
            by_name.pop(metric.name)
    assert name in by_name, f"no metric {name}"
    return by_name[name]


def _labels(name: str) -> set[str]:
    return {*_metric(name).labels, *_GIVEN, *(("le",) if name.endswith("_bucket") else ())}


def _words_of(metric: Metric, label: str) -> set[str]:
    """Return every value of a label whose values are closed; nothing for those that the configuration names."""
    place = metric.labels.index(label)
    words = {labels[place] for labels in _START.samples[metric.name]}
    if metric.name == "sitecache_storage_errors_total" and label == "reason":
        return {one.value for one in Failure}
    if metric.name == "sitecache_evictions_total" and label == "reason":
        return {one.value for one in Room}
    if metric.name == "sitecache_upstream_errors_total" and label == "reason":
        return {labels[0] for labels in _START.samples["sitecache_details_total"]}
    if label == "cache":
        return {labels[4] for labels in _START.samples["sitecache_requests_total"]}
    return _WORDS.get(label, words)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_what_exists(query: str) -> None:
    assert _SELECTED.search(query) or query.startswith("up")
    for name, matchers in _SELECTED.findall(query):
        known = _labels(name)
        for label, _, value in _MATCHER.findall(matchers):
            assert label in known, f"{name} has no label {label}"
            if label not in _GIVEN | {"le"}:
                assert set(value.split("|")) <= _words_of(_metric(name), label), (name, label, value)
    named = {label.strip() for labels in _BY.findall(query) for label in labels.split(",") if label.strip()}
    everything = set().union(*(_labels(name) for name, _ in _SELECTED.findall(query)))
    assert named <= everything, query


@pytest.mark.parametrize("panel", [pytest.param(panel, id=panel["title"]) for panel in PANELS])
def test_a_legend_names_labels_that_are_left(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            assert label in ",".join(_BY.findall(target["expr"]))


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    said = {"$__rate_interval": "1m", "$job": "sitecache", "$instance": ".*"}
    rules = []
    for number, (_, query) in enumerate(_queries()):
        if not query.startswith("label_values"):
            for variable, value in said.items():
                query = query.replace(variable, value)  # noqa: PLW2901
            rules.append({"record": f"query:{number}", "expr": query})
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_lie_beside_each_other() -> None:
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_rules_pass_their_own_tests() -> None:
    for what in (("test", "rules", "sitecache.test.yml"), ("check", "config", "prometheus.yml")):
        place = Path(__file__).parents[2] / "deploy" / "prometheus"
        done = subprocess.run(["promtool", *what], cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test_and_says_what_to_do() -> None:
    tests = yaml.safe_load(text("deploy/prometheus/sitecache.test.yml"))["tests"]
    assert [test["name"] for test in tests] == [rule["alert"] for rule in RULES]
    for test in tests:
        fires = [asked.get("exp_alerts") for asked in test["alert_rule_test"]]
        assert [] in [one or [] for one in fires], "it does not fire at once"
        assert any(fires), "it fires"
    documented = re.findall(r"^\| `(Sitecache\w+)` \|", PAGE, re.MULTILINE)
    assert documented == [rule["alert"] for rule in RULES]
