"""Does a request get the time zone it names, and never a new one?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.zones import Zones
from tests.policy.making import request

KNOWN = ("UTC", "Europe/Paris", "America/New_York")
BY_COOKIE = Zones(KNOWN, "UTC", b"cookie:tz")
BY_FIELD = Zones(KNOWN, "UTC", b"x-timezone")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("Cookie: tz=Europe/Paris", b"Europe/Paris", id="known"),
        pytest.param("Cookie: a=1; tz = Europe/Paris ; b", b"Europe/Paris", id="among-others"),
        pytest.param("Cookie: tz=UTC; tz=Europe/Paris", b"Europe/Paris", id="the-last"),
        pytest.param("Cookie: tz=Europe/Nowhere", b"UTC", id="unknown"),
        pytest.param("Cookie: tz=europe/paris", b"UTC", id="case-counts"),
        pytest.param("Cookie: tz=", b"UTC", id="empty"),
        pytest.param("Cookie: tz", b"UTC", id="no-value"),
        pytest.param("Cookie: a=Europe/Paris", b"UTC", id="another-cookie"),
        pytest.param("Cookie: tz=Europe%2FParis", b"Europe%2FParis", id="encoded-which-not-all-understand"),
        pytest.param('Cookie: tz="Europe/Paris"', b'"Europe/Paris"', id="quoted-which-not-all-understand"),
        pytest.param("X-Timezone: Europe/Paris", b"UTC", id="not-by-field"),
    ],
)
def test_a_zone_by_cookie(line: str, expected: bytes) -> None:
    assert BY_COOKIE.of(request(line)) == expected


def test_a_zone_by_field() -> None:
    assert BY_FIELD.of(request("X-Timezone: America/New_York", "Cookie: tz=UTC")) == b"America/New_York"
    assert BY_FIELD.of(request("X-Timezone: Mars")) == BY_FIELD.of(request()) == b"UTC"
    assert BY_FIELD.cookie is None


@given(st.text(max_size=12).map(str.encode) | st.sampled_from(KNOWN).map(str.encode))
def test_a_zone_is_one_of_those_that_are_known(said: bytes) -> None:
    known = {spelling for zone in KNOWN for spelling in (zone, f'"{zone}"', zone.replace("/", "%2F"))}
    zone = BY_FIELD.of(request(f"X-Timezone: {said.decode('latin-1')}"))
    assert zone.decode() in known
    assert zone == (said if said.decode() in KNOWN else zone)
