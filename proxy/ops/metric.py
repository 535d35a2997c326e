"""What is one number that we publish: its name, its kind, its labels, and where it is read?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import add

from proxy.ops.sources import Sources
from proxy.storage.numbers import Durations

Labels = tuple[str, ...]
"""Values of a metric's labels, in the order of their names."""
Samples = Mapping[Labels, float]
Read = Callable[[Sources], Samples]

SUM = "sum"
"""In the place of the upper end of a bucket: all that was measured together."""


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
    read: Read
    labels: Labels = ()
    start: Samples = field(default_factory=lambda: {(): 0})
    """What the page shows before anything has happened: every value of a closed label, for rates to begin at."""
    merge: Callable[[float, float], float] = add
    """What two workers' numbers make together."""
    ends: tuple[str, ...] = ()
    """Of a histogram: the upper ends of its buckets."""

    @property
    def width(self) -> int:
        """Return how many labels a sample has: those of a histogram end with the upper end of a bucket, or ``SUM``."""
        return len(self.labels) + (self.kind is Kind.HISTOGRAM)


def counter(name: str, text: str, read: Read, labels: Labels = (), start: Samples | None = None) -> Metric:
    """Return a number that only grows; with labels it begins with no sample unless ``start`` has some."""
    return Metric(name, Kind.COUNTER, text, read, labels, _start(labels, start))


def gauge(
    name: str,
    text: str,
    read: Read,
    labels: Labels = (),
    start: Samples | None = None,
    merge: Callable[[float, float], float] = add,
) -> Metric:
    """Return a number that is as it is now; of several workers the sum, unless ``merge`` makes something else."""
    return Metric(name, Kind.GAUGE, text, read, labels, _start(labels, start), merge)


def histogram(name: str, text: str, read: Read, labels: Labels, ends: tuple[float, ...]) -> Metric:
    """Return durations by buckets with these upper ends; ``read`` gives what ``buckets`` makes."""
    return Metric(name, Kind.HISTOGRAM, text, read, labels, {}, add, upper_ends(ends))


def upper_ends(ends: tuple[float, ...]) -> tuple[str, ...]:
    """Return the upper ends of all buckets as they are written, the last of them for what took longer."""
    return (*map(str, ends), "+Inf")


def buckets(durations: Durations, labels: Labels = ()) -> dict[Labels, float]:
    """Return the samples of a histogram under these labels."""
    found: dict[Labels, float] = {
        (*labels, end): count for end, count in zip(upper_ends(durations.ends), durations.counts, strict=True)
    }
    found[*labels, SUM] = durations.sum
    return found


def one(number: Callable[[Sources], float]) -> Read:
    """Return how a number without labels is read."""
    return lambda sources: {(): number(sources)}


def _start(labels: Labels, start: Samples | None) -> Samples:
    if start is not None:
        return start
    return {} if labels else {(): 0}
