"""What does this process cost the machine?"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

from proxy.config.units import Bytes, Seconds

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time since the start, and memory held now."""

    cpu: Seconds
    resident: Bytes


def usage() -> Usage:
    """Measure this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(Seconds(used.ru_utime + used.ru_stime), _resident())


def _resident() -> Bytes:
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        # Without /proc there is only the largest it ever was, in KiB on Linux.
        return Bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return Bytes(pages * os.sysconf("SC_PAGESIZE"))
