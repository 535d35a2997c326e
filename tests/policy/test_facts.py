"""Which facts of an exchange are named, and does no secret come along?"""

from __future__ import annotations

import pytest

from proxy.config.units import Bytes
from proxy.policy.facts import Facts, facts_of, field_name
from tests.policy.making import request, response, rules

SECRET = "s3cret"


def test_names_and_no_values() -> None:
    asked = request(f"cookie: _ga={SECRET}; sid={SECRET}; cart={SECRET}", f"authorization: Bearer {SECRET}")
    came = response(f"set-cookie: csrftoken={SECRET}; Path=/", f"set-cookie: lang={SECRET}", "content-length: 1024")
    facts = facts_of(asked, came, rules(), "blog")
    assert facts == Facts(
        method="GET",
        route="blog",
        status=200,
        cookies=("sid", "cart"),
        set_cookies=("csrftoken", "lang"),
        length=Bytes(1024),
        limit=Bytes(1000),
    )
    assert SECRET not in repr(facts)


@pytest.mark.parametrize(
    ("lines", "targeted", "control"),
    [
        pytest.param(["cache-control: private"], (b"cdn-cache-control",), "Cache-Control", id="cache-control"),
        pytest.param(["cdn-cache-control: private"], (b"cdn-cache-control",), "Cdn-Cache-Control", id="targeted"),
        pytest.param(["cdn-cache-control: ("], (b"cdn-cache-control",), "Cache-Control", id="unreadable"),
        pytest.param(["cdn-cache-control: private"], (), "Cache-Control", id="not-believed"),
    ],
)
def test_the_field_that_counts(lines: list[str], targeted: tuple[bytes, ...], control: str) -> None:
    assert facts_of(request(), response(*lines), rules(targeted=targeted)).control == control


def test_without_an_answer_there_is_only_the_request() -> None:
    facts = facts_of(request("cookie: sid=1", method=b"POST"), None, rules())
    assert facts == Facts(method="POST", cookies=("sid",), limit=Bytes(1000))


def test_what_somebody_else_chose_is_short_and_printable() -> None:
    many = "; ".join(f"c{number}=1" for number in range(20))
    facts = facts_of(request(f"cookie: {many}", method=b"\x1b" + b"X" * 90), response("content-length: no"), rules())
    assert facts.cookies == (*(f"c{number}" for number in range(8)), "and 12 more")
    assert facts.method == "?" + "X" * 59 + "..."
    assert facts.length is None


def test_a_cookie_that_is_named_twice_is_one() -> None:
    assert facts_of(request("cookie: a=1; a=2; b"), None, rules()).cookies == ("a", "b")


def test_fields_are_written_as_usual() -> None:
    assert field_name(b"accept-language") == "Accept-Language"
