"""What is the admin listener given to answer from?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.config.model import Config
from proxy.ops.explain import AskWorkers
from proxy.ops.readiness import Readiness
from proxy.ops.snapshot import Collect
from proxy.policy.asked_purges import Carry


@dataclass(frozen=True, slots=True)
class Insight:
    """What those who serve can be asked."""

    collect: Collect
    """The numbers of every worker."""
    readiness: Callable[[], Readiness]
    """Whether traffic should come here; it does not wait."""
    ask: AskWorkers
    purge: Carry
    config: Callable[[], Config]
    """What they go by now."""
