"""Does the driver keep to the sections that no single question of the policy answers?"""

from __future__ import annotations

import pytest

from tests.exchange.making import Bench, request, whole

FRESH = "cache-control: max-age=60"


@pytest.mark.rfc(9111, "5.2.3")
@pytest.mark.parametrize(
    ("said", "is_stored"),
    [
        pytest.param("max-age=60, community", True, id="unknown"),
        pytest.param('community="no-store, private", max-age=60', True, id="its-argument-says-nothing"),
        pytest.param("max-age=60, no-storage, privates, x-no-cache", True, id="like-a-known-one"),
        pytest.param('private, community="UCI"', False, id="the-example-of-the-section"),
        pytest.param("community=60, no-store", False, id="beside-no-store"),
    ],
)
async def test_a_directive_that_we_do_not_know_changes_nothing(said: str, is_stored: bool) -> None:
    bench = Bench(whole(f"cache-control: {said}"), whole(FRESH))
    await bench.get()
    again = await bench.get("/page", "cache-control: community, no-caching")
    assert again.cache_status.startswith("hit") == is_stored


@pytest.mark.rfc(9111, "5.2.1.6")
@pytest.mark.rfc(9111, "5.2.2.6")
async def test_content_and_what_describes_it_are_never_transformed() -> None:
    body = b"\x1f\x8b not really gzip \r\n\xff"
    described = ("content-encoding: gzip", "content-type: image/png", "content-language: de")
    bench = Bench(whole("cache-control: max-age=60, no-transform", *described, body=body))
    for client in (await bench.get("/page", "cache-control: no-transform"), await bench.get()):
        assert client.content == body
        assert [client.fields.get(name) for name in (b"content-encoding", b"content-type", b"content-language")] == [
            b"gzip",
            b"image/png",
            b"de",
        ]
    assert bench.origin.fields(0).get(b"cache-control") == b"no-transform"
    assert bench.times_asked == 1


@pytest.mark.rfc(9111, "5.5")
async def test_a_warning_is_a_field_like_any_other_and_none_is_made() -> None:
    bench = Bench(whole("cache-control: max-age=1, stale-while-revalidate=60", 'warning: 299 - "old"'), whole())
    await bench.get()
    bench.clock.turn(2)
    assert (await bench.get()).fields.lines(b"warning") == [b'299 - "old"']


@pytest.mark.rfc(9111, "7.1")
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("x-forwarded-host: evil.test", id="forwarded-host"),
        pytest.param("x-forwarded-proto: https", id="forwarded-proto"),
        pytest.param("forwarded: host=evil.test;proto=https", id="forwarded"),
    ],
)
async def test_what_counts_in_no_key_does_not_reach_the_origin_from_just_anybody(line: str) -> None:
    bench = Bench(whole(FRESH))
    await bench.get("/page", line)
    asked = bench.origin.asked[0].head
    assert b"evil.test" not in asked
    assert b"proto: https" not in asked.lower()
    assert b"proto=https" not in asked.lower()


@pytest.mark.rfc(9110, "9.2.3")
@pytest.mark.rfc(9110, "9.3")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "POST", "FROBNICATE"])
async def test_what_answers_another_method_never_answers_get(method: str) -> None:
    bench = Bench(whole(FRESH, body=b"of another"), whole(FRESH, body=b"of a get"))
    await bench.ask(request("/page", method=method))
    assert (await bench.get()).content == b"of a get"


@pytest.mark.rfc(9110, "9.3.4")
@pytest.mark.rfc(9110, "9.3.5")
@pytest.mark.rfc(9110, "14.5")
@pytest.mark.parametrize(
    ("method", "lines"),
    [
        pytest.param("PUT", (), id="put"),
        pytest.param("DELETE", (), id="delete"),
        pytest.param("PUT", ("content-range: bytes 0-1/10",), id="partial-put"),
    ],
)
async def test_what_was_stored_before_a_write_is_not_served_after_it(method: str, lines: tuple[str, ...]) -> None:
    bench = Bench(whole(FRESH, body=b"before"), whole(), whole(FRESH, body=b"after"))
    await bench.get()
    bench.clock.turn(1)
    await bench.ask(request("/page", *lines, method=method))
    sent = bench.origin.fields(1)
    assert [f"content-range: {value.decode()}" for value in sent.lines(b"content-range")] == list(lines)
    bench.clock.turn(1)
    assert (await bench.get()).content == b"after"


@pytest.mark.rfc(9110, "14.3")
@pytest.mark.parametrize("said", ["bytes", "none"])
async def test_what_the_origin_says_of_ranges_is_passed_on(said: str) -> None:
    bench = Bench(whole(FRESH, f"accept-ranges: {said}"))
    await bench.get()
    assert (await bench.get()).fields.lines(b"accept-ranges") == [said.encode()]


@pytest.mark.rfc(9213, "2")
@pytest.mark.rfc(9213, "2.3")
async def test_a_response_that_is_fresh_by_its_targeted_field_keeps_its_other_fields_and_its_age() -> None:
    lines = ("cdn-cache-control: max-age=600", "cache-control: max-age=60", "age: 5")
    bench = Bench(whole(*lines), targeted=(b"cdn-cache-control",))
    await bench.get()
    bench.clock.turn(500)
    hit = await bench.get()
    assert (hit.cache_status, hit.age) == ("hit; ttl=95", 505)
    assert hit.fields.lines(b"cache-control") == [b"max-age=60"]
    assert hit.fields.lines(b"cdn-cache-control") == [b"max-age=600"]


@pytest.mark.rfc(9875, "2.2")
async def test_groups_change_neither_freshness_nor_what_a_response_is_stored_under() -> None:
    bench = Bench(whole(FRESH, 'cache-groups: "a"'), whole(FRESH, 'cache-groups: "a"', body=b"other"))
    await bench.get("/page")
    assert (await bench.get("/other")).content == b"other"
    assert (await bench.get("/page")).cache_status == "hit; ttl=60"
