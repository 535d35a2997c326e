"""What did one worker's numbers say at one moment, and what do several make together?"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from proxy.ops import urls
from proxy.ops.catalogue import METRICS
from proxy.ops.metric import Kind, Labels, Samples
from proxy.ops.sources import Sources
from proxy.ops.urls import Lists

Collect = Callable[[], Awaitable[Sequence["Snapshot"]]]
"""Returns the numbers of every worker."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Samples by the name of their metric: what a worker sends to the process that answers on the admin listener."""

    samples: dict[str, Samples]
    urls: Lists = field(default_factory=dict)

    def value(self, name: str, *labels: str) -> float:
        """Return one number; 0 where nothing was counted."""
        return self.samples.get(name, {}).get(labels, 0)

    def ended(self) -> Snapshot:
        """Return what stays true of a worker that has ended: its counters.

        Whoever restarts workers keeps these, since a sum that falls is read as the restart of everything.
        """
        counters = {metric.name for metric in METRICS if metric.kind is not Kind.GAUGE}
        return Snapshot({name: rows for name, rows in self.samples.items() if name in counters})

    def to_json(self) -> str:
        """Write it on one line."""
        rows = {name: [[list(labels), value] for labels, value in rows.items()] for name, rows in self.samples.items()}
        written = {"samples": rows, "urls": urls.rows(self.urls)}
        return json.dumps(written, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Snapshot:
        """Read what ``to_json`` wrote; ValueError for anything else."""
        found = json.loads(text)
        if not isinstance(found, dict) or not isinstance(found.get("samples"), dict):
            raise ValueError("a snapshot is an object with samples")
        samples: dict[str, Samples] = {name: dict(map(_row, _list(rows))) for name, rows in found["samples"].items()}
        return cls(samples, urls.of_rows(found.get("urls", {})))


def take(sources: Sources) -> Snapshot:
    """Read the numbers of one worker now."""
    return Snapshot({metric.name: metric.read(sources) for metric in METRICS}, urls.told(sources.counters))


def of_caches(sources: Sources) -> Snapshot:
    """Read what caches have counted, and nothing that is true of them only while they are used."""
    return Snapshot(
        {metric.name: metric.read(sources) for metric in METRICS if metric.labels[:1] == ("alias",)}
    ).ended()


def total(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Add several workers' numbers up, beginning with what the page shows before anything has happened."""
    sums = {metric.name: dict(metric.start) for metric in METRICS}
    snapshots = list(snapshots)
    for snapshot in snapshots:
        for metric in METRICS:
            sum_ = sums[metric.name]
            for labels, value in snapshot.samples.get(metric.name, {}).items():
                if len(labels) == metric.width:
                    sum_[labels] = metric.merge(sum_.get(labels, 0), value)
    return Snapshot(dict(sums), urls.together(snapshot.urls for snapshot in snapshots))


def _row(row: object) -> tuple[Labels, float]:
    match row:
        case [list(labels), int() | float() as value] if all(isinstance(label, str) for label in labels):
            return tuple(labels), value
        case _:
            raise ValueError(f"not a sample: {row!r}")


def _list(rows: object) -> list[object]:
    if not isinstance(rows, list):
        raise ValueError(f"not a list of samples: {rows!r}")
    return rows
