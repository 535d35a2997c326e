"""What becomes of parts of a representation, by RFC 9111 §3.3, §3.4 and RFC 9110 §15.3.7?"""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.units import Seconds
from proxy.message.heads import Request, Response
from proxy.policy.decisions import Detail, Discard, Fetch, ForwardReason, Refuse, Reuse, Serve, Store, Validate
from proxy.policy.directives import NO_TERMS, request_terms
from proxy.policy.partial import Keep, Received, complete, completing_fields, merge, missing
from proxy.policy.ranges import Extent, stated_extent
from proxy.policy.reuse import decide_reuse
from proxy.policy.stored import StoredResponse
from proxy.policy.storing import decide_storing
from proxy.policy.validation import validating_fields
from tests.policy.making import (
    HOUR_AGO,
    NOW,
    NOW_DATE,
    RULES,
    TIMES,
    fields,
    later,
    request,
    response,
    rules,
    stored,
)

FRESH, STALE, TAG = "Cache-Control: max-age=60", "Cache-Control: max-age=0", 'ETag: "a"'
BODY = b"".join(b"%03d " % number for number in range(25))
"""100 bytes, no two of which in one place are like two in another."""


def came(first: int, last: int, *lines: str, size: int = 100) -> Response:
    return response(*lines, f"Content-Range: bytes {first}-{last}/{size}", status=206)


def received(
    first: int, last: int, *lines: str, asked: Request | None = None, body: bytes | None = None, size: int = 100
) -> Received:
    """A part that has come for itself, at NOW."""
    body = BODY[first : last + 1] if body is None else body
    said = came(first, last, *lines, size=size)
    asked = asked or request(f"Range: bytes={first}-{last}")
    decision = decide_storing(asked, NO_TERMS, said, TIMES, RULES)
    assert isinstance(decision, Store), decision
    kept = StoredResponse(206, said.head(), body, decision.terms, stated_extent(said))
    return Received(asked, said, TIMES, kept, decision.retention)


def part(first: int, last: int, *lines: str, **changes: Any) -> StoredResponse:
    """A stored part."""
    return received(first, last, *(lines or (FRESH, TAG)), **changes).stored


def merged(new: Received, current: StoredResponse | None, **changes: Any) -> StoredResponse | None:
    kept = merge(new, current, rules(**changes))
    return kept.stored if isinstance(kept, Keep) else None


def said(kept: StoredResponse | None) -> tuple[int, Extent | None, bytes]:
    assert kept is not None
    return kept.status, kept.extent, kept.body


# What a 206 says it is (RFC 9110 §14.4, §15.3.7).


@pytest.mark.rfc(9110, "14.4")
@pytest.mark.rfc(9110, "15.3.7.1")
@pytest.mark.rfc(9111, "3.3")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["Content-Range: bytes 0-4/10"], Extent(0, 4, 10), id="one-part"),
        pytest.param(["Content-Range: bytes 0-4/10", "Content-Length: 5"], Extent(0, 4, 10), id="of-that-length"),
        pytest.param(["Content-Range: bytes 4-9/10", "Content-Length: 5"], None, id="of-another-length"),
        pytest.param(["Content-Range: bytes 0-4/*"], None, id="of-an-open-size"),
        pytest.param(["Content-Range: bytes 0-10/10"], None, id="beyond-the-end"),
        pytest.param(["Content-Range: pages 0-4/10"], None, id="another-unit"),
        pytest.param([], None, id="without-content-range"),
        pytest.param(["Content-Range: bytes 0-4/10", "Content-Range: bytes 5-9/10"], None, id="two"),
        pytest.param(
            ["Content-Range: bytes 0-4/10", "Content-Type: Multipart/Byteranges; boundary=x"], None, id="multipart"
        ),
    ],
)
def test_stated_extent(lines: list[str], expected: Extent | None) -> None:
    assert stated_extent(response(*lines, status=206)) == expected
    assert stated_extent(response(*lines, status=200)) is None
    decision = decide_storing(request("Range: x"), NO_TERMS, response(FRESH, *lines, status=206), TIMES, RULES)
    assert isinstance(decision, Store) is (expected is not None)
    if isinstance(decision, Discard):
        assert decision.why is Detail.PARTIAL_CONTENT


@pytest.mark.rfc(9111, "3.3")
def test_a_part_without_a_lifetime_of_its_own_is_not_stored() -> None:
    for lines in ([], ["Cache-Control: no-cache", TAG]):
        decision = decide_storing(request(), NO_TERMS, came(0, 9, *lines), TIMES, rules(site_lifetime=Seconds(60)))
        assert decision == Discard(Detail.NO_FRESHNESS)


# What is stored when a part has come (RFC 9111 §3.4).


@pytest.mark.rfc(9111, "3.3")
def test_a_part_is_stored_as_it_came() -> None:
    kept = merged(received(10, 19, FRESH, TAG, "X-A: 1"), None)
    assert said(kept) == (206, Extent(10, 19, 100), BODY[10:20])


@pytest.mark.rfc(9110, "15.3.7.3")
def test_a_part_that_is_all_is_a_200() -> None:
    kept = merged(received(0, 99, FRESH, TAG, "X-A: 1", "Age: 10"), None)
    assert said(kept) == (200, None, BODY)
    assert kept is not None
    assert kept.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert kept.fields().get(b"content-length") == b"100"
    assert kept.fields().get(b"x-a") == b"1"
    assert b"content-range" not in kept.fields()
    assert kept.terms.age(NOW) == 10


@pytest.mark.rfc(9110, "15.3.7")
def test_a_part_that_answered_if_range_lacks_fields_and_is_not_stored_by_itself() -> None:
    asked = request("Range: bytes=10-19", 'If-Range: "a"')
    assert merged(received(10, 19, FRESH, TAG, asked=asked), None) is None
    assert merged(received(0, 99, FRESH, TAG, asked=asked), None) is None
    joined = merged(received(10, 19, FRESH, TAG, asked=asked), part(0, 9, FRESH, TAG, "Content-Type: text/plain"))
    assert said(joined) == (206, Extent(0, 19, 100), BODY[:20])
    assert joined is not None
    assert joined.fields().get(b"content-type") == b"text/plain"


@pytest.mark.rfc(9111, "3.4")
@pytest.mark.rfc(9110, "15.3.7.3")
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param((0, 9), (10, 19), (0, 19), id="contiguous-behind"),
        pytest.param((10, 19), (0, 9), (0, 19), id="contiguous-before"),
        pytest.param((0, 9), (5, 19), (0, 19), id="overlapping-behind"),
        pytest.param((5, 19), (0, 9), (0, 19), id="overlapping-before"),
        pytest.param((0, 19), (5, 9), (0, 19), id="the-new-within"),
        pytest.param((5, 9), (0, 19), (0, 19), id="the-old-within"),
        pytest.param((5, 9), (5, 9), (5, 9), id="the-same"),
        pytest.param((0, 9), (11, 19), (11, 19), id="a-gap-of-a-byte"),
        pytest.param((50, 59), (0, 9), (0, 9), id="a-gap-before"),
        pytest.param((0, 49), (50, 99), (0, 99), id="complete"),
        pytest.param((50, 99), (0, 60), (0, 99), id="complete-before"),
    ],
)
def test_parts_of_one_representation(old: tuple[int, int], new: tuple[int, int], expected: tuple[int, int]) -> None:
    kept = merged(received(*new, FRESH, TAG), part(*old))
    first, last = expected
    is_all = expected == (0, 99)
    assert said(kept) == (200 if is_all else 206, None if is_all else Extent(first, last, 100), BODY[first : last + 1])
    assert kept is not None
    length = kept.fields().get(b"content-length")
    assert is_all or expected == new or length == b"%d" % (last - first + 1)
    assert (b"content-range" in kept.fields()) is not is_all


@pytest.mark.rfc(9111, "3.4")
@pytest.mark.rfc(9111, "3.2")
def test_fields_of_parts_are_those_of_the_latest_and_what_it_does_not_say() -> None:
    old = part(0, 9, FRESH, TAG, "X-A: old", "X-B: old", "Content-MD5: x", "Content-Digest: x")
    new = received(10, 19, "Cache-Control: max-age=90", TAG, "X-A: new", "Content-MD5: y", "Content-Encoding: ")
    assert said(merged(new, old))[1] == Extent(10, 19, 100), "the coding is another"
    new = received(10, 19, "Cache-Control: max-age=90", TAG, "X-A: new", "X-C: new", "Content-MD5: y")
    kept = merged(new, old)
    assert kept is not None
    assert [kept.fields().get(name) for name in (b"x-a", b"x-b", b"x-c")] == [b"new", b"old", b"new"]
    assert kept.fields().lines(b"content-range") == [b"bytes 0-19/100"]
    assert kept.fields().lines(b"content-length") == [b"20"]
    assert kept.terms.lifetime == 90
    assert b"content-md5" not in kept.fields()
    assert b"content-digest" not in kept.fields()


LM = f"Last-Modified: {HOUR_AGO}"


@pytest.mark.rfc(9111, "3.4")
@pytest.mark.parametrize(
    ("old", "new", "joins"),
    [
        pytest.param([TAG], [TAG], True, id="strong-tags"),
        pytest.param([TAG], ['ETag: "b"'], False, id="another-tag"),
        pytest.param(['ETag: W/"a"'], ['ETag: W/"a"'], False, id="weak-tags"),
        pytest.param([LM, f"Date: {NOW_DATE}"], [LM, f"Date: {NOW_DATE}"], True, id="strong-dates"),
        pytest.param([LM], [LM], False, id="weak-dates"),
        pytest.param([], [], False, id="nothing"),
        pytest.param([TAG, "Content-Encoding: gzip"], [TAG, "Content-Encoding: gzip"], True, id="one-coding"),
        pytest.param([TAG, "Content-Encoding: gzip"], [TAG, "Content-Encoding: br"], False, id="two-codings"),
        pytest.param([TAG, "Content-Encoding: gzip"], [TAG], False, id="no-coding-any-more"),
    ],
)
def test_only_parts_with_a_strong_validator_in_common_are_joined(old: list[str], new: list[str], joins: bool) -> None:
    varied = "Vary: Accept-Encoding"
    kept = merged(received(10, 19, FRESH, varied, *new), part(0, 9, FRESH, varied, *old))
    assert said(kept) == (206, Extent(0 if joins else 10, 19, 100), BODY[0 if joins else 10 : 20])


@pytest.mark.rfc(9111, "3.4")
def test_bytes_that_contradict_each_other_are_not_joined_whatever_the_validators_say() -> None:
    lies = received(5, 14, FRESH, TAG, body=b"x" * 10)
    assert said(merged(lies, part(0, 9))) == (206, Extent(5, 14, 100), b"x" * 10)
    longer = received(10, 19, FRESH, TAG, size=200)
    assert said(merged(longer, part(0, 9)))[1] == Extent(10, 19, 200)
    whole = stored(FRESH, TAG, body=BODY)
    assert merged(lies, whole) is None, "what is complete and fresh stays"


def test_parts_that_are_too_large_together_are_not_joined() -> None:
    assert said(merged(received(10, 19, FRESH, TAG), part(0, 9), stored_body=19))[1] == Extent(10, 19, 100)
    assert said(merged(received(10, 19, FRESH, TAG), part(0, 9), stored_body=20))[1] == Extent(0, 19, 100)


@pytest.mark.rfc(9111, "4.1")
def test_a_part_that_varies_by_other_fields_takes_no_place() -> None:
    assert merged(received(10, 19, FRESH, TAG, "Vary: Accept"), part(0, 9)) is None


@pytest.mark.rfc(9111, "3.4")
@pytest.mark.parametrize(
    ("whole", "new", "expected"),
    [
        pytest.param([FRESH, TAG], [FRESH, 'ETag: "b"'], None, id="fresh-stays"),
        pytest.param([FRESH], [FRESH], None, id="fresh-without-validator-stays"),
        pytest.param([STALE, TAG], [FRESH, 'ETag: "b"'], 206, id="stale-goes"),
        pytest.param([STALE, TAG], [FRESH, TAG], 200, id="stale-of-the-same-representation-is-freshened"),
        pytest.param([FRESH, TAG], [FRESH, TAG, "X-A: new"], 200, id="fresh-of-the-same-representation-is-updated"),
    ],
)
def test_a_part_beside_a_complete_response(whole: list[str], new: list[str], expected: int | None) -> None:
    kept = merged(received(10, 19, *new), stored(*whole, body=BODY))
    if expected is None:
        assert kept is None
        return
    assert kept is not None
    assert kept.status == expected
    assert kept.body == (BODY if expected == 200 else BODY[10:20])
    if expected == 200:
        assert kept.fresh_until == later(60)
        assert kept.extent is None
        assert b"content-range" not in kept.fields()
        assert kept.fields().get(b"x-a") == (b"new" if len(new) == 3 else None)


def test_a_joined_response_that_may_not_be_stored_leaves_the_new_part() -> None:
    # The old one says what the new one does not, and together they may not be stored.
    old = part(0, 9, FRESH, TAG)
    forbidding = StoredResponse(206, old.head + b"Set-Cookie: a=b\r\n", old.body, old.terms, old.extent)
    assert said(merged(received(10, 19, FRESH, TAG), forbidding)) == (206, Extent(10, 19, 100), BODY[10:20])


# What a stored part answers (RFC 9111 §3.3, §4).


def decided(kept: StoredResponse, *lines: str, after: float = 0, method: bytes = b"GET", **changes: Any) -> Reuse:
    asked = request(*lines, method=method)
    return decide_reuse(asked, request_terms(asked.fields), kept, later(after), rules(**changes))


def silent(kept: StoredResponse, *lines: str, after: float = 0, method: bytes = b"GET", **changes: Any) -> Reuse:
    return decide_reuse(request(*lines, method=method), NO_TERMS, kept, later(after), rules(**changes))


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.rfc(9211, "2.2")
def test_a_fresh_part_answers_what_lies_in_it_and_nothing_else() -> None:
    kept = part(10, 19)
    for ask in (silent, decided):
        assert ask(kept, "Range: bytes=12-15") == Serve(kept)
        assert ask(kept, "Range: bytes=12-25") == Fetch(ForwardReason.PARTIAL)
        assert ask(kept) == Fetch(ForwardReason.PARTIAL)
        assert ask(kept, "Range: bytes=12-15", method=b"HEAD") == Fetch(ForwardReason.PARTIAL)
    assert decided(kept, "Range: bytes=12-15", "Cache-Control: max-age=5", after=4) == Serve(kept)
    assert decided(kept, "Cache-Control: only-if-cached") == Refuse(Detail.ONLY_IF_CACHED)
    assert decided(kept, "Range: bytes=12-15", "Cache-Control: only-if-cached") == Serve(kept)


@pytest.mark.rfc(9111, "4.2.4")
@pytest.mark.rfc(9111, "4.3.1")
def test_a_part_that_is_not_fresh_is_validated_where_it_covers_the_request_and_has_a_strong_tag() -> None:
    lines = "Cache-Control: max-age=60, stale-while-revalidate=600", TAG
    kept = part(10, 19, *lines)
    assert silent(kept, "Range: bytes=12-15", after=61) == Validate(kept, ForwardReason.STALE)
    assert silent(kept, after=61) == Fetch(ForwardReason.STALE)
    assert silent(kept, "Range: bytes=0-15", after=61) == Fetch(ForwardReason.STALE)
    assert decided(kept, "Range: bytes=12-15", "Cache-Control: max-stale", after=61) == Validate(
        kept, ForwardReason.STALE
    )
    weak = part(10, 19, FRESH, 'ETag: W/"a"')
    assert silent(weak, "Range: bytes=12-15", after=61) == Fetch(ForwardReason.STALE, None, weak)
    careful = part(10, 19, "Cache-Control: max-age=60, no-cache", TAG)
    assert silent(careful, "Range: bytes=12-15") == Validate(careful, ForwardReason.STALE, Detail.NO_CACHE)
    assert decided(careful, "Range: bytes=12-15", "Cache-Control: only-if-cached") == Refuse(Detail.ONLY_IF_CACHED)


@pytest.mark.rfc(9111, "5.2.1.4")
def test_the_client_may_refuse_a_part() -> None:
    kept = part(0, 19)
    assert decided(kept, "Range: bytes=12-15", "Cache-Control: no-cache") == Validate(
        kept, ForwardReason.REQUEST, Detail.REQUEST_NO_CACHE
    )
    assert decided(kept, "Cache-Control: no-cache") == Fetch(ForwardReason.REQUEST, Detail.REQUEST_NO_CACHE)


@pytest.mark.rfc(9111, "4.3.1")
def test_a_part_is_validated_by_its_tag_alone() -> None:
    assert validating_fields(part(0, 9, FRESH, TAG, LM)) == [(b"If-None-Match", b'"a"')]


# What is missing, and whether it has come.


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.rfc(9110, "13.1.5")
@pytest.mark.parametrize(
    ("extent", "asked"),
    [
        pytest.param((0, 9), b"bytes=10-", id="the-end"),
        pytest.param((90, 99), b"bytes=0-89", id="the-beginning"),
        pytest.param((10, 19), None, id="both"),
    ],
)
def test_what_is_missing_is_asked_for(extent: tuple[int, int], asked: bytes | None) -> None:
    kept = part(*extent)
    ask = [] if asked is None else [(b"Range", asked), (b"If-Range", b'"a"')]
    assert completing_fields(kept, RULES) == ask
    assert silent(kept) == Fetch(ForwardReason.PARTIAL, completing=None if asked is None else kept)
    assert decided(kept, "Cache-Control: no-store") == Fetch(ForwardReason.PARTIAL)
    assert silent(kept, "Range: bytes=0-98") == Fetch(ForwardReason.PARTIAL)
    assert silent(kept, stored_body=99) == Fetch(ForwardReason.PARTIAL)


@pytest.mark.rfc(9110, "13.1.5")
@pytest.mark.parametrize("lines", [[], [LM, f"Date: {NOW_DATE}"], ['ETag: W/"a"']])
def test_without_a_strong_tag_the_whole_is_asked_for(lines: list[str]) -> None:
    assert missing(part(0, 9, FRESH, *lines), RULES) is None
    assert missing(stored(FRESH, TAG), RULES) is None


def answer(*lines: str, status: int = 206) -> Response:
    return Response(status, b"", fields(*lines))


RANGE, LENGTH = "Content-Range: bytes 10-99/100", "Content-Length: 90"


@pytest.mark.rfc(9111, "3.4")
@pytest.mark.rfc(9110, "15.3.7.3")
def test_the_missing_part_makes_it_complete() -> None:
    kept = part(0, 9, FRESH, TAG, "X-A: old", "X-B: old")
    came = complete(request(), kept, answer(FRESH, TAG, RANGE, LENGTH, "X-A: new"), TIMES, RULES)
    assert came is not None
    whole = came.stored
    assert said(whole) == (200, None, b"")
    assert whole.fields().lines(b"content-length") == [b"100"]
    assert b"content-range" not in whole.fields()
    assert [whole.fields().get(name) for name in (b"x-a", b"x-b")] == [b"new", b"old"]


@pytest.mark.rfc(9111, "3.4")
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([FRESH, 'ETag: "b"', RANGE, LENGTH], id="another-tag"),
        pytest.param([FRESH, RANGE, LENGTH], id="no-tag"),
        pytest.param([FRESH, 'ETag: W/"a"', RANGE, LENGTH], id="weak"),
        pytest.param([FRESH, TAG, "Content-Range: bytes 10-98/100", "Content-Length: 89"], id="too-little"),
        pytest.param([FRESH, TAG, "Content-Range: bytes 9-99/100", "Content-Length: 91"], id="too-much"),
        pytest.param([FRESH, TAG, "Content-Range: bytes 10-99/101", LENGTH], id="of-another-size"),
        pytest.param([FRESH, TAG, RANGE, "Content-Length: 89"], id="that-contradicts-itself"),
        pytest.param([FRESH, TAG, RANGE], id="without-length"),
        pytest.param([FRESH, TAG, LENGTH], id="without-content-range"),
        pytest.param([FRESH, TAG, RANGE, LENGTH, "Content-Encoding: gzip"], id="of-another-coding"),
        pytest.param(["Cache-Control: no-store", TAG, RANGE, LENGTH], id="not-to-be-stored"),
        pytest.param(
            ['Cache-Control: max-age=60, private="x-own"', TAG, RANGE, LENGTH, "X-Own: 1"], id="private-field"
        ),
        pytest.param([FRESH, TAG, RANGE, LENGTH, "Set-Cookie: a=b"], id="set-cookie"),
    ],
)
def test_anything_else_does_not(lines: list[str]) -> None:
    assert complete(request(), part(0, 9), answer(*lines), TIMES, RULES) is None


def test_a_part_that_cannot_be_completed_is_not() -> None:
    said = answer(FRESH, TAG, RANGE, LENGTH)
    assert complete(request(), part(0, 9, FRESH), said, TIMES, RULES) is None
    assert complete(request(), part(0, 9), answer(FRESH, TAG, RANGE, LENGTH, status=200), TIMES, RULES) is None
