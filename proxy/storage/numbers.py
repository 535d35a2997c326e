"""What has a storage been asked, how long did it take, and how did it fail? Plain numbers for the metrics page."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from enum import StrEnum

from proxy.config.units import Seconds


class Operation(StrEnum):
    """What a storage is asked to do for pages."""

    GET = "get"
    SET = "set"
    DELETE = "delete"


class Failure(StrEnum):
    """Why an operation brought nothing."""

    TIMEOUT = "timeout"
    """It took longer than its deadline."""
    ERROR = "error"
    """The storage, or the way to it, said no."""
    RESTING = "resting"
    """It was not tried: the server is being left alone."""
    REFUSED = "refused"
    """The storage did not take the value: too large, or no room."""


class Room(StrEnum):
    """What there was too little of, so that something was evicted."""

    ENTRIES = "entries"
    """MAX_ENTRIES was reached."""
    BYTES = "bytes"
    """MAX_BYTES was exceeded."""
    DISK = "disk"
    """The disk was full."""


BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper ends in seconds; the usual deadline is one of them."""


class Durations:
    """How long things of one kind took, those that failed included."""

    __slots__ = ("counts", "ends", "sum")

    def __init__(self, ends: tuple[float, ...] = BUCKETS) -> None:
        """``ends`` are the upper ends of the buckets, in seconds."""
        self.ends = ends
        self.counts = [0] * (len(ends) + 1)
        """One for each bucket, and one for what took longer."""
        self.sum = 0.0

    def add(self, seconds: Seconds, times: int = 1) -> None:
        """Count one, or one that stands for several."""
        self.counts[bisect_left(self.ends, seconds)] += times
        self.sum += seconds * times


class Numbers:
    """What became of the operations on one storage, since the start."""

    def __init__(self) -> None:
        self.durations = {operation: Durations() for operation in Operation}
        self.errors: Counter[Failure] = Counter()
        self.damaged = 0
        """Records that were not what had been written."""
