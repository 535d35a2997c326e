"""What does one site consist of: its origin, where its pages are stored, and by which rules?"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.policy.rules import Rules
from proxy.storage.responses import Responses
from proxy.upstream.client import Origin


@dataclass(frozen=True, slots=True)
class Site:
    """The parts that exchanges of one site share."""

    origin: Origin
    responses: Responses
    rules: Rules
    scope: bytes
    """What its keys begin with, so that two sites on one storage never meet."""
