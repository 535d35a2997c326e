"""Does the list of the heaviest URLs stay bounded, and name those that are?"""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import UnixTime
from proxy.exchange.heaviest import Became, Heaviest, url_of
from tests.ops.making import NOW, request

BECAME = Became("-", "blog", "uri-miss", "set-cookie", 200)


def add(heaviest: Heaviest, name: str, weight: float = 1, at: float = NOW) -> None:
    heaviest.add(url_of(request(target=f"/{name}".encode())), BECAME, weight, 1, UnixTime(at))


def test_it_says_what_became_of_a_url_last() -> None:
    heaviest = Heaviest()
    add(heaviest, "a", 2)
    heaviest.add(url_of(request(target=b"/a")), Became("shop", "-", "hit", None, 304), 3, 61, NOW)
    (heavy,) = heaviest.first()
    assert (heavy.url, heavy.weight, heavy.requests) == (b"http://example.org/a", 5, 62)
    assert heavy.last == ("shop", "-", "hit", None, 304)


@given(st.lists(st.integers(0, 40), max_size=400), st.integers(1, 8))
def test_no_weight_is_too_low_nor_too_high_by_more_than_its_error(asked: list[int], most: int) -> None:
    heaviest = Heaviest(most)
    for name in asked:
        add(heaviest, str(name))
    counts = Counter(asked)
    listed = heaviest.first()
    assert len(listed) <= most
    for heavy in listed:
        count = counts[int(heavy.url.rpartition(b"/")[2])]
        assert heavy.weight - heavy.error <= count <= heavy.weight
    # Whoever has more than its share of all that was asked is on the list.
    names = {int(heavy.url.rpartition(b"/")[2]) for heavy in listed}
    assert {name for name, count in counts.items() if count > len(asked) / most} <= names


def test_whatever_clients_ask_for_it_stays_bounded() -> None:
    heaviest = Heaviest(10)
    for number in range(1000):
        add(heaviest, f"{number}?{'x' * 2000}")
        if number % 3 == 0:
            add(heaviest, "front")
    assert len(heaviest._held) <= 80
    assert heaviest.first()[0].url == b"http://example.org/front"
    assert all(len(heavy.url) < 600 for heavy in heaviest.first())


def test_what_was_heavy_yesterday_goes() -> None:
    heaviest = Heaviest()
    add(heaviest, "yesterday", 1000, NOW - 86400)
    for tick in range(144):
        add(heaviest, "today", 1, NOW - 86400 + 600 * tick)
    assert heaviest.first()[0].url == b"http://example.org/today"
