"""Every exchange goes right whether a connection to the origin is at hand, and no task is made, or none is."""

from __future__ import annotations

import pytest

from tests.exchange.making import Reached


@pytest.fixture(params=[True, False], ids=["at-hand", "in-a-task"], autouse=True)
def is_at_hand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reached, "is_at_hand", request.param)
