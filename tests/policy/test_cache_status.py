"""Is Cache-Status written as RFC 9211 defines it, as an independent parser of Structured Fields reads it?"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import http_sf
import pytest

from proxy.policy.cache_status import Outcome, cache_status
from proxy.policy.decisions import Detail, ForwardReason
from proxy.policy.key import PrimaryKey
from tests.policy.making import later, stored

#: RFC 9211 §2.2
REASONS = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}


def read(line: bytes) -> dict[str, Any]:
    """The parameters of the one member, as http_sf reads them."""
    matched = re.fullmatch(rb"Cache-Status: (.*)\r\n", line)
    assert matched is not None
    members = http_sf.parse(matched[1], tltype="list")
    assert isinstance(members, list)
    ((name, parameters),) = members
    assert str(name) == "sitecache"
    return {key: value if isinstance(value, int) else str(value) for key, value in parameters.items()}


@pytest.mark.rfc(9211, "2")
@pytest.mark.rfc(9211, "2.1")
@pytest.mark.rfc(9211, "2.2")
@pytest.mark.rfc(9211, "2.3")
@pytest.mark.rfc(9211, "2.4")
@pytest.mark.rfc(9211, "2.5")
@pytest.mark.rfc(9211, "2.6")
@pytest.mark.rfc(9211, "2.8")
@pytest.mark.parametrize(
    ("outcome", "expected", "word"),
    [
        pytest.param(Outcome(hit=True, ttl=5), {"hit": True, "ttl": 5}, "hit", id="hit"),
        pytest.param(Outcome(purge=True), {}, "purge", id="purge"),
        pytest.param(
            Outcome(hit=True, ttl=-5, detail=Detail.STALE_IF_ERROR),
            {"hit": True, "ttl": -5, "detail": "stale-if-error"},
            "hit-stale",
            id="stale-hit",
        ),
        pytest.param(
            Outcome(forward=ForwardReason.URI_MISS, stored=True, ttl=60),
            {"fwd": "uri-miss", "stored": True, "ttl": 60},
            "uri-miss",
            id="miss-and-stored",
        ),
        pytest.param(
            Outcome(forward=ForwardReason.STALE, forward_status=304),
            {"fwd": "stale", "fwd-status": 304},
            "stale",
            id="304",
        ),
        pytest.param(
            Outcome(forward=ForwardReason.URI_MISS, collapsed=True),
            {"fwd": "uri-miss", "collapsed": True},
            "uri-miss",
            id="collapsed",
        ),
        pytest.param(
            Outcome(forward=ForwardReason.BYPASS, detail=Detail.COOKIE),
            {"fwd": "bypass", "detail": "cookie"},
            "bypass",
            id="bypass",
        ),
        pytest.param(Outcome(detail=Detail.ONLY_IF_CACHED), {"detail": "only-if-cached"}, "refused", id="refused"),
        pytest.param(Outcome(ttl=0), {"ttl": 0}, "refused", id="ttl-zero"),
    ],
)
def test_outcomes(outcome: Outcome, expected: dict[str, object], word: str) -> None:
    assert read(cache_status(outcome)) == expected
    assert outcome.word() == word


@pytest.mark.rfc(9211, "2.2")
def test_every_reason_is_one_of_the_registry() -> None:
    for reason in ForwardReason:
        assert read(cache_status(Outcome(forward=reason)))["fwd"] in REASONS


@pytest.mark.rfc(9211, "2.8")
def test_every_detail_is_a_token() -> None:
    for detail in Detail:
        line = cache_status(Outcome(forward=ForwardReason.BYPASS, detail=detail))
        assert read(line)["detail"] == detail.value
        assert b'"' not in line


@pytest.mark.rfc(9211, "2.7")
def test_the_key_is_a_string_that_tells_nothing_of_what_it_is_made_of() -> None:
    said = [
        read(cache_status(Outcome(hit=True, detail=Detail.STALE_IF_ERROR), PrimaryKey(key)))
        for key in (b"9:site.test14:/?token=secret", b'"\\\r\n\xff', b"")
    ]
    keys = [one["key"] for one in said]
    assert all(re.fullmatch("page[.][0-9a-f]{40}", key) for key in keys)
    assert len(set(keys)) == 3
    assert all({**one, "key": ""} == {"hit": True, "key": "", "detail": "stale-if-error"} for one in said)


@pytest.mark.rfc(9211, "2")
def test_every_combination_parses() -> None:
    for hit, stored_, collapsed, ttl in product((True, False), (True, False), (True, False), (None, -1, 0, 2**31)):
        outcome = Outcome(hit=hit, stored=stored_, collapsed=collapsed, ttl=ttl)
        found = read(cache_status(outcome))
        assert ("hit" in found, "stored" in found, "collapsed" in found) == (hit, stored_, collapsed)
        assert found.get("ttl") == ttl


@pytest.mark.rfc(9211, "2.4")
@pytest.mark.rfc(9111, "5.1")
@pytest.mark.rfc(9111, "4")
@pytest.mark.parametrize(("age", "ttl"), [(0, 60), (0.5, 59), (59, 1), (60, 0), (70, -10)])
def test_a_hit_says_the_same_from_its_ready_made_tail(age: float, ttl: int) -> None:
    tail = stored("Cache-Control: max-age=60").tail(later(age))
    age_line, status_line, end, nothing = tail.split(b"\r\n")
    assert age_line == b"Age: %d" % age
    assert status_line + b"\r\n" == cache_status(Outcome(hit=True, ttl=ttl))
    assert (end, nothing) == (b"", b"")
