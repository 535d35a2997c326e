"""Does the order in which pages in memory go bear a crawler, and changes of what is popular?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bench.admission import (
    BUDGET,
    PAGE,
    Load,
    Memory,
    changing,
    drifting,
    hit_ratio,
    lru,
    mixed,
    s3_fifo,
    scan,
    with_scan,
    zipf,
)

FEW = 40_000


def after(memory: Memory, scanned: Load) -> float:
    """Return the part of the requests that is answered from memory once it is warm and this has come by."""
    hit_ratio(memory, zipf(1, requests=FEW))
    hit_ratio(memory, [*scanned, (0, PAGE)])
    return hit_ratio(memory, zipf(2, requests=FEW // 20))


TWICE = 2 * BUDGET // PAGE


def test_a_scan_of_twice_the_budget_costs_the_hot_set_nothing() -> None:
    assert after(s3_fifo(BUDGET), scan(TWICE)) == pytest.approx(after(s3_fifo(BUDGET), []), abs=0.01)


def test_it_is_a_scan_that_costs_lru_its_hot_set() -> None:
    assert after(lru(BUDGET), scan(TWICE)) < after(lru(BUDGET), []) - 0.05


@pytest.mark.parametrize(
    ("load", "ahead"),
    [
        pytest.param(zipf, 0.04, id="zipf"),
        pytest.param(lambda requests: with_scan(zipf(requests=requests), 1), 0.12, id="every-other-request-of-a-scan"),
        pytest.param(drifting, 0.02, id="popularity-drifts"),
        pytest.param(mixed, 0.05, id="sizes-differ"),
        pytest.param(changing, -0.05, id="popularity-changes-wholly-every-4000-requests"),
    ],
)
def test_it_is_so_far_ahead_of_lru(load: Callable[..., Load], ahead: float) -> None:
    assert hit_ratio(s3_fifo(BUDGET), load(requests=FEW)) > hit_ratio(lru(BUDGET), load(requests=FEW)) + ahead
