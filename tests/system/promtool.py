"""What does Prometheus itself say of our numbers and of our rules? Its own tool is asked."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.system.processes import ROOT

RULES = ROOT / "deploy" / "prometheus" / "sitecache.rules.yml"
INTERVAL = 15
"""Seconds between two scrapes, as usual."""
_EXPRESSIONS = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}
ALERTS = tuple(_EXPRESSIONS)
_WHOSE = 'job="sitecache", instance="127.0.0.1:9180"'


def promtool(*arguments: str, given: str = "") -> str:
    """Run it; return what it says, or raise AssertionError with that where it finds a fault."""
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@dataclass(frozen=True, slots=True)
class Phase:
    """What happened between one scrape and another, and how many scrapes long it goes on like that."""

    page: str | None
    """The metrics page at the end of it; None: nobody answers."""
    lasts: int


def alerts(name: str, phases: Sequence[Phase], directory: Path, interval: int = INTERVAL) -> None:
    """Raise AssertionError unless this alert fires after these phases, and did not before the last of them.

    The first phase begins with its page as it is. In each later one, counters grow with every scrape by what they grew
    between the two pages, and gauges are as in its page.
    """
    scrapes = sum(phase.lasts for phase in phases)
    firing = f'count by (alertname) (ALERTS{{alertname="{name}", alertstate="firing"}})'
    fired = [{"labels": f'{{alertname="{name}"}}', "value": 1}]
    before = {"expr": firing, "eval_time": _at(scrapes - phases[-1].lasts, interval), "exp_samples": []}
    after = {"expr": firing, "eval_time": _at(scrapes, interval), "exp_samples": fired}
    _test(phases, [before, after], _named(_EXPRESSIONS[name]), directory / f"{name}.test.yml", interval)


def silent(phases: Sequence[Phase], directory: Path) -> None:
    """Raise AssertionError if any alert fires, or is about to, after these phases."""
    asked = {"expr": "ALERTS", "eval_time": _at(sum(phase.lasts for phase in phases), INTERVAL), "exp_samples": []}
    _test(phases, [asked], _named(" ".join(_EXPRESSIONS.values())), directory / "silent.test.yml", INTERVAL)


def _at(scrapes: int, interval: int) -> str:
    return f"{interval * (scrapes - 1)}s"


def _named(expression: str) -> frozenset[str]:
    return frozenset(re.findall(r"\b(?:sitecache_\w+|up)\b", expression))


def _test(
    phases: Sequence[Phase], asked: list[dict[str, object]], names: frozenset[str], file: Path, interval: int
) -> None:
    given = [{"series": series, "values": values} for series, values in _series(phases, names)]
    test = {"interval": f"{interval}s", "input_series": given, "promql_expr_test": asked}
    rules = {"rule_files": [str(RULES)], "evaluation_interval": f"{interval}s", "tests": [test]}
    file.write_text(yaml.safe_dump(rules))
    promtool("test", "rules", str(file))


def _series(phases: Sequence[Phase], names: frozenset[str]) -> Iterator[tuple[str, str]]:
    pages = [_samples(phase.page) for phase in phases]
    yield f"up{{{_WHOSE}}}", " ".join(f"{int(phase.page is not None)}x{phase.lasts - 1}" for phase in phases)
    for series in sorted({series for page in pages for series in page if series.partition("{")[0] in names}):
        yield series, " ".join(_values(series, pages, phases))


def _values(series: str, pages: Sequence[dict[str, tuple[float, bool]]], phases: Sequence[Phase]) -> Iterable[str]:
    last = None
    for number, (page, phase) in enumerate(zip(pages, phases, strict=True)):
        if series not in page:
            yield f"_x{phase.lasts - 1}"
            continue
        value, grows = page[series]
        former = pages[number - 1].get(series, (0.0, grows))[0] if number else value
        step = value - former if grows else 0.0
        begin = value if last is None or not grows else last + step
        last = begin + step * (phase.lasts - 1)
        yield f"{begin!r}+{step!r}x{phase.lasts - 1}"


def _samples(page: str | None) -> dict[str, tuple[float, bool]]:
    """Return value and whether it is one that grows, by the name of the series."""
    found = {}
    for family in text_string_to_metric_families(page or ""):
        for sample in family.samples:
            labels = ", ".join([_WHOSE, *(f'{name}="{value}"' for name, value in sample.labels.items())])
            found[f"{sample.name}{{{labels}}}"] = (sample.value, family.type != "gauge")
    return found


def show(queries: Sequence[str], phases: Sequence[Phase], directory: Path) -> None:
    """Raise AssertionError if one of these queries has nothing to show after these phases."""
    at = _at(sum(phase.lasts for phase in phases), INTERVAL)
    something = [{"labels": "{}", "value": 1}]
    asked = [{"expr": f"count({query}) > bool 0", "eval_time": at, "exp_samples": something} for query in queries]
    _test(phases, asked, _named(" ".join(queries)), directory / "show.test.yml", INTERVAL)
