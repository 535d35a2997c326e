"""How does Prometheus read the numbers of all workers?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from proxy.ops.admin import Page
from proxy.ops.catalogue import METRICS
from proxy.ops.metric import SUM, Kind, Metric, Samples
from proxy.ops.snapshot import Collect, Snapshot, total

_FAMILIES: dict[Kind, type[CounterMetricFamily | GaugeMetricFamily]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
}


@dataclass(frozen=True, slots=True)
class Text:
    """The metrics page in one of its two formats."""

    body: bytes
    content_type: str


class Totals(Collector):
    """The sum of some snapshots, in the words of prometheus_client."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        self._total = total(snapshots)

    def collect(self) -> Iterator[Family]:
        """Yield one family for each row of the catalogue, in its order."""
        for metric in METRICS:
            samples = self._total.samples[metric.name]
            if metric.kind is Kind.HISTOGRAM:
                yield _histogram(metric, samples)
                continue
            family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
            for labels, value in sorted(samples.items()):
                family.add_metric(labels, value)
            yield family


def _histogram(metric: Metric, samples: Samples) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels in sorted({labels[:-1] for labels in samples}):
        counts = accumulate(samples.get((*labels, end), 0) for end in metric.ends)
        family.add_metric(labels, list(zip(metric.ends, counts, strict=True)), samples.get((*labels, SUM), 0))
    return family


def render(snapshots: Sequence[Snapshot], accept: str = "") -> Text:
    """Write the page in the format that ``accept``, the request's Accept field, prefers: plain text or OpenMetrics."""
    # A registry for each page: the one that prometheus_client keeps for the process knows only this process.
    registry = CollectorRegistry()
    registry.register(Totals(snapshots))
    encode, content_type = choose_encoder(accept)
    return Text(encode(registry), content_type)


def metrics_pages(collect: Collect) -> Sequence[Page]:
    """Return the page that Prometheus scrapes."""

    async def metrics(request: web.Request) -> web.Response:
        text = render(await collect(), request.headers.get("Accept", ""))
        return web.Response(body=text.body, headers={"Content-Type": text.content_type})

    return (Page("/metrics", "numbers for Prometheus", metrics),)
