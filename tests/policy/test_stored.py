"""Does a stored response say what was stored, and how long it is fresh?"""

from __future__ import annotations

import pytest

from tests.policy.making import fields, later, stored

FRESH = "Cache-Control: max-age=60"


def test_fields_are_those_that_were_stored() -> None:
    lines = [FRESH, "X-A: 1", "x-a: ", "X-B: a: b", "X-C: caf\xe9"]
    kept = stored(*lines)
    assert kept.fields() == fields(*lines)
    assert kept.head.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.rfc(9111, "4.2.3")
def test_age_and_freshness() -> None:
    kept = stored(FRESH, "Age: 10")
    assert kept.terms.age(later(5)) == 15
    assert kept.terms.age(later(-100)) == 0
    assert kept.fresh_until == later(50)


@pytest.mark.rfc(9111, "5.2.2.4")
def test_no_cache_is_never_fresh() -> None:
    assert stored("Cache-Control: no-cache, max-age=60", 'ETag: "a"').fresh_until == 0


@pytest.mark.rfc(9111, "5.1")
def test_the_tail_follows_the_clock_and_is_kept_within_a_second() -> None:
    kept = stored(FRESH)
    first = kept.tail(later(5))
    assert kept.tail(later(5.9)) is first
    assert first.startswith(b"Age: 5\r\n")
    assert kept.tail(later(6)).startswith(b"Age: 6\r\n")
    assert kept.tail(later(5)) == first


def test_the_size_grows_with_what_is_kept() -> None:
    small = stored(FRESH, body=b"")
    assert small.size() >= len(small.head)
    assert stored(FRESH, body=b"a" * 500).size() == small.size() + 500
    assert stored(FRESH, 'ETag: "a"', body=b"").size() > small.size() + len('ETag: "a"\r\n')
    assert stored(FRESH, "Vary: accept", body=b"").size() > small.size() + len("Vary: accept\r\n")
