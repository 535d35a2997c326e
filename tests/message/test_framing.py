"""Does a message end where RFC 9112 §6.3 says, and is every doubt an error?"""

from __future__ import annotations

import pytest

from proxy.errors import RequestError, UpstreamGarbage
from proxy.message.fields import Fields, RawField
from proxy.message.framing import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    Framing,
    Length,
    has_body,
    request_framing,
    response_framing,
)

CL, TE = b"Content-Length", b"Transfer-Encoding"


@pytest.mark.rfc(9112, "6")
@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param([], NO_BODY, id="7-neither"),
        pytest.param([(CL, b"0")], Length(0), id="6-length-zero"),
        pytest.param([(CL, b"5")], Length(5), id="6-length"),
        pytest.param([(CL, b"00005")], Length(5), id="6-leading-zeros"),
        pytest.param([(CL, b"9" * 18)], Length(10**18 - 1), id="6-18-digits"),
        pytest.param([(TE, b"chunked")], CHUNKED, id="4-chunked"),
        pytest.param([(TE, b"Chunked")], CHUNKED, id="4-without-case"),
        pytest.param([(TE, b"chunked, ")], CHUNKED, id="4-empty-list-member"),
    ],
)
def test_where_a_request_ends(raw: list[RawField], expected: Framing) -> None:
    assert request_framing(Fields(raw), 1) == expected


@pytest.mark.rfc(9112, "6.1")
@pytest.mark.rfc(9112, "6.3")
@pytest.mark.rfc(9112, "11.2")
@pytest.mark.parametrize(
    ("raw", "minor", "status"),
    [
        pytest.param([(CL, b"5"), (TE, b"chunked")], 1, 400, id="both"),
        pytest.param([(CL, b"0"), (TE, b"chunked")], 1, 400, id="both-zero"),
        pytest.param([(TE, b"identity"), (CL, b"5")], 1, 400, id="identity-and-length"),
        pytest.param([(TE, b"chunked")], 0, 400, id="http-1.0"),
        pytest.param([(TE, b"chunked"), (CL, b"5")], 0, 400, id="http-1.0-both"),
        pytest.param([(TE, b"gzip, chunked")], 1, 501, id="unknown-coding-before-chunked"),
        pytest.param([(TE, b"gzip"), (TE, b"chunked")], 1, 501, id="unknown-coding-in-two-lines"),
        pytest.param([(TE, b"gzip")], 1, 400, id="not-chunked"),
        pytest.param([(TE, b"identity")], 1, 400, id="identity"),
        pytest.param([(TE, b"chunked, gzip")], 1, 400, id="chunked-not-final"),
        pytest.param([(TE, b"chunked, identity")], 1, 400, id="chunked-then-identity"),
        pytest.param([(TE, b"")], 1, 400, id="empty-coding"),
        pytest.param([(TE, b"xchunked")], 1, 400, id="prefix"),
        pytest.param([(TE, b"chunkedx")], 1, 400, id="suffix"),
        pytest.param([(TE, b"chunked;q=1")], 1, 400, id="parameter"),
        pytest.param([(TE, b'"chunked"')], 1, 400, id="quoted"),
        pytest.param([(TE, b"\x0bchunked")], 1, 400, id="vertical-tab"),
        pytest.param([(TE, b"chunked\x00")], 1, 400, id="nul"),
        pytest.param([(TE, b"chunked, chunked")], 1, 501, id="chunked-twice"),
        pytest.param([(CL, b"5, 5")], 1, 400, id="list-of-equal"),
        pytest.param([(CL, b"5"), (CL, b"5")], 1, 400, id="two-equal-lines"),
        pytest.param([(CL, b"5"), (CL, b"6")], 1, 400, id="two-lines"),
        pytest.param([(CL, b"")], 1, 400, id="empty"),
        pytest.param([(CL, b"+5")], 1, 400, id="plus"),
        pytest.param([(CL, b"-5")], 1, 400, id="minus"),
        pytest.param([(CL, b"0x5")], 1, 400, id="hexadecimal"),
        pytest.param([(CL, b"5e1")], 1, 400, id="exponent"),
        pytest.param([(CL, b"5.0")], 1, 400, id="fraction"),
        pytest.param([(CL, b"1_0")], 1, 400, id="underscore"),
        pytest.param([(CL, b"5 5")], 1, 400, id="space-inside"),
        pytest.param([(CL, b"\xb2")], 1, 400, id="superscript"),
        pytest.param([(CL, "\N{ARABIC-INDIC DIGIT FIVE}".encode())], 1, 400, id="arabic-digit"),
        pytest.param([(CL, b"9" * 19)], 1, 400, id="too-many-digits"),
    ],
)
def test_a_request_two_readers_could_disagree_about_is_refused(raw: list[RawField], minor: int, status: int) -> None:
    with pytest.raises(RequestError) as raised:
        request_framing(Fields(raw), minor)
    assert raised.value.status == status


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.parametrize(
    ("raw", "status", "method", "expected"),
    [
        pytest.param([(CL, b"5")], 200, b"HEAD", NO_BODY, id="1-head"),
        pytest.param([(TE, b"chunked")], 200, b"HEAD", NO_BODY, id="1-head-chunked"),
        pytest.param([(CL, b"5")], 100, b"POST", NO_BODY, id="1-continue"),
        pytest.param([(CL, b"5")], 103, b"GET", NO_BODY, id="1-early-hints"),
        pytest.param([], 101, b"GET", NO_BODY, id="1-switching"),
        pytest.param([(CL, b"5")], 204, b"GET", NO_BODY, id="1-no-content"),
        pytest.param([(CL, b"5")], 304, b"GET", NO_BODY, id="1-not-modified"),
        pytest.param([(TE, b"chunked")], 304, b"GET", NO_BODY, id="1-not-modified-chunked"),
        pytest.param([(TE, b"chunked")], 200, b"GET", CHUNKED, id="4-chunked"),
        pytest.param([(TE, b"CHUNKED")], 500, b"POST", CHUNKED, id="4-without-case"),
        pytest.param([(CL, b"5")], 200, b"GET", Length(5), id="6-length"),
        pytest.param([(CL, b"0")], 200, b"GET", Length(0), id="6-length-zero"),
        pytest.param([(CL, b"5")], 205, b"GET", Length(5), id="6-reset-content"),
        pytest.param([], 200, b"GET", UNTIL_CLOSE, id="8-until-close"),
        pytest.param([], 404, b"DELETE", UNTIL_CLOSE, id="8-any-status"),
    ],
)
def test_where_a_response_ends(raw: list[RawField], status: int, method: bytes, expected: Framing) -> None:
    assert response_framing(Fields(raw), status, method) == expected


@pytest.mark.rfc(9112, "6.3")
@pytest.mark.rfc(9112, "11.1")
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param([(CL, b"5"), (TE, b"chunked")], id="both"),
        pytest.param([(TE, b"gzip, chunked")], id="unknown-coding"),
        pytest.param([(TE, b"gzip")], id="not-chunked"),
        pytest.param([(TE, b"chunked, chunked")], id="chunked-twice"),
        pytest.param([(TE, b"")], id="empty-coding"),
        pytest.param([(CL, b"5, 6")], id="list"),
        pytest.param([(CL, b"5"), (CL, b"6")], id="two-lines"),
        pytest.param([(CL, b"")], id="empty"),
        pytest.param([(CL, b"five")], id="words"),
        pytest.param([(CL, b"9" * 19)], id="too-many-digits"),
    ],
)
def test_a_response_we_cannot_delimit_is_garbage(raw: list[RawField]) -> None:
    with pytest.raises(UpstreamGarbage):
        response_framing(Fields(raw), 200, b"GET")


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        pytest.param(NO_BODY, False, id="none"),
        pytest.param(Length(0), False, id="length-zero"),
        pytest.param(Length(1), True, id="length"),
        pytest.param(CHUNKED, True, id="chunked"),
        pytest.param(UNTIL_CLOSE, True, id="until-close"),
    ],
)
def test_has_body(framing: Framing, expected: bool) -> None:
    assert has_body(framing) is expected
