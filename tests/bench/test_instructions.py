"""Can instructions be counted here, and does every row that two commits are compared by come out plausible?"""

from tests.bench import wire
from tests.bench.instructions import count

STEPS = (
    *("parse request head", "parse response head", "primary_key", "variant_key"),
    *("decide_reuse", "decide_storing", "encode", "decode"),
)


def test_every_row_is_counted() -> None:
    counted = count(operations=10)
    assert counted.keys() == {f"wire: {load}" for load in wire.LOADS} | {f"micro: {step}" for step in STEPS}
    # A call in Python takes hundreds; whatever is done for each exchange takes less than a second.
    assert all(100 < instructions < 100_000_000 for instructions in counted.values()), counted
    assert counted["wire: hits"] < counted["wire: forward"] < counted["wire: cold"]
