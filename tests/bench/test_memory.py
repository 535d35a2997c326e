"""Is what MAX_BYTES counts what the kernel counts?"""

from __future__ import annotations

import sys

import pytest

from tests.bench.memory import KINDS, measure

RESPONSES = 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has for itself")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "large"])
def test_what_is_accounted_is_what_is_used(kind: str) -> None:
    cost = measure(kind, RESPONSES)
    assert cost.accounted == pytest.approx(cost.pss, rel=0.10)
