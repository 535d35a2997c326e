"""What is said of settings that are each right and impossible together?"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.errors import Fault


@dataclass(frozen=True, slots=True)
class Conflict:
    """A fault, and the paths it was concluded from."""

    paths: tuple[str, ...]
    fault: Fault
