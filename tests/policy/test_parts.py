"""Is what a client gets of a stored response written as RFC 9110 §14.6 and §15.3.7 say?"""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message

import pytest

from proxy.message.fields import Fields
from proxy.policy.multipart import overhead
from proxy.policy.parts import at_once, cut
from proxy.policy.preconditions import WHOLE, NotModified, Parts, Unsatisfiable, wanted
from proxy.policy.ranges import Extent, Part
from proxy.policy.stored import StoredResponse
from tests.policy.making import NOW, NOW_DATE, request, stored

BODY = (bytes(range(256)) * 4)[:1000]
BOUNDARY = b"0123456789abcdef01234567"
LINES = [
    *("Cache-Control: max-age=60", f"Date: {NOW_DATE}", 'ETag: "a"', "Content-Type: video/example"),
    *("Content-Length: 1000", "Content-Digest: sha-256=:AA==:", "Content-MD5: AA==", "X-Own: 1", "Vary: Accept"),
]


def fields_of(head: bytes) -> Fields:
    pairs = [line.partition(b": ") for line in head.split(b"\r\n")[1:-1]]
    return Fields([(name, value) for name, _, value in pairs])


def of_a_part(first: int, last: int) -> StoredResponse:
    """The stored response of which only a part is there."""
    kept = stored(*LINES, body=BODY)
    return StoredResponse(206, kept.head, BODY[first : last + 1], kept.terms, Extent(first, last, len(BODY)))


STORED = [pytest.param(stored(*LINES, body=BODY), id="complete"), pytest.param(of_a_part(100, 899), id="partial")]


@pytest.mark.rfc(9110, "15.3.7")
@pytest.mark.parametrize("kept", STORED)
def test_one_part(kept: StoredResponse) -> None:
    status, head, pieces = cut(kept, Part(100, 199), b"")
    assert (status, b"".join(pieces)) == (206, BODY[100:200])
    assert head.startswith(b"HTTP/1.1 206 Partial Content\r\n")
    said = fields_of(head)
    assert said.get(b"content-range") == b"bytes 100-199/1000"
    assert said.get(b"content-length") == b"100"
    for name in (b"date", b"cache-control", b"etag", b"vary", b"content-type", b"x-own"):
        assert name in said
    assert b"content-digest" not in said, "it is that of another message"
    assert b"content-md5" not in said


@pytest.mark.rfc(9110, "14.6")
@pytest.mark.rfc(9110, "15.3.7.2")
@pytest.mark.parametrize("kept", STORED)
def test_several_parts(kept: StoredResponse) -> None:
    wanted = Parts((Part(800, 899), Part(100, 109), Part(400, 400)))
    status, head, pieces = cut(kept, wanted, BOUNDARY)
    body = b"".join(pieces)
    assert {type(piece) for piece in pieces if len(piece) == 100} == {memoryview}, "what is stored is not copied"
    assert status == 206
    said = fields_of(head)
    assert b"content-range" not in said
    assert b"content-digest" not in said
    assert said.get(b"content-length") == b"%d" % len(body)
    assert said.get(b"content-type") == b"multipart/byteranges; boundary=" + BOUNDARY
    assert said.get(b"etag") == b'"a"'
    assert body == (
        b"--0123456789abcdef01234567\r\nContent-Type: video/example\r\nContent-Range: bytes 800-899/1000\r\n\r\n"
        + BODY[800:900]
        + b"\r\n--0123456789abcdef01234567\r\nContent-Type: video/example\r\nContent-Range: bytes 100-109/1000\r\n\r\n"
        + BODY[100:110]
        + b"\r\n--0123456789abcdef01234567\r\nContent-Type: video/example\r\nContent-Range: bytes 400-400/1000\r\n\r\n"
        + BODY[400:401]
        + b"\r\n--0123456789abcdef01234567--\r\n"
    )


@pytest.mark.rfc(9110, "14.6")
def test_several_parts_are_read_by_a_reader_of_multipart() -> None:
    text = b"".join(b"line %04d\r\n" % number for number in range(90))
    kept = stored("Cache-Control: max-age=60", body=text)
    _, head, pieces = cut(kept, Parts((Part(0, 10), Part(500, 510))), BOUNDARY)
    kind = fields_of(head).get(b"content-type") or b""
    message = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + b"".join(pieces))
    read = message.get_payload()
    assert isinstance(read, list)
    parts = [part for part in read if isinstance(part, Message)]
    assert [part["Content-Range"] for part in parts] == ["bytes 0-10/990", "bytes 500-510/990"]
    assert [part["Content-Type"] for part in parts] == [None, None], "what the 200 does not say, no part says"
    assert [part.get_payload() for part in parts] == ["line 0000\r\n", "0045\r\nline "]


@pytest.mark.parametrize("kind", [None, b"text/html; charset=utf-8"])
def test_no_part_takes_more_than_its_overhead(kind: bytes | None) -> None:
    lines = [] if kind is None else [f"Content-Type: {kind.decode()}"]
    kept = stored("Cache-Control: max-age=60", *lines, body=BODY)
    two, three = (
        sum(map(len, cut(kept, Parts(parts), BOUNDARY)[2]))
        for parts in (
            (Part(500, 509), Part(0, 9)),
            (Part(500, 509), Part(0, 9), Part(990, 999)),
        )
    )
    assert three - two - 10 <= overhead(len(BODY), kind)


@pytest.mark.rfc(9110, "15.5.17")
@pytest.mark.parametrize("kept", STORED)
def test_nothing_of_it(kept: StoredResponse) -> None:
    status, head, pieces = cut(kept, Unsatisfiable(), b"")
    assert (status, pieces) == (416, ())
    said = fields_of(head)
    assert said.get(b"content-range") == b"bytes */1000"
    assert said.get(b"content-length") == b"0"
    assert b"etag" not in said


@pytest.mark.rfc(9110, "15.4.5")
def test_all_of_it_and_its_fields_alone() -> None:
    kept = stored(*LINES, body=BODY)
    assert cut(kept, WHOLE, b"") == (200, kept.head, (BODY,))
    status, head, pieces = cut(kept, NotModified(), b"")
    assert (status, pieces) == (304, ())
    said = fields_of(head)
    assert said.get(b"etag") == b'"a"'
    assert b"content-type" not in said
    assert b"content-length" not in said


@pytest.mark.parametrize(
    ("asked", "statuses"),
    [
        pytest.param([], (200, 206), id="nothing"),
        pytest.param(['If-None-Match: "a"'], (304, 304), id="its-tag"),
        pytest.param(['If-None-Match: "b", "a"'], (304, 304), id="its-tag-among-others"),
        pytest.param(['If-None-Match: "b"'], (200, 206), id="another-tag"),
        pytest.param(["Range: lines=1-2"], (200, 206), id="another-unit"),
        pytest.param([f"If-Modified-Since: {NOW_DATE}"], (304, 304), id="unmodified"),
        pytest.param(["Range: bytes=100-899"], (206, 206), id="a-part"),
        pytest.param(["Range: bytes=0100-0100", 'If-Range: "a"'], (206, 206), id="a-part-of-this"),
        pytest.param(["Range: bytes=100-100,899-899"], (None, None), id="several-parts"),
        pytest.param(["Range: bytes=1000-"], (None, None), id="no-part"),
    ],
)
def test_what_is_answered_at_once(asked: list[str], statuses: tuple[int | None, int | None]) -> None:
    asking = request(*asked)
    for (kept,), status in zip([one.values for one in STORED], statuses, strict=True):
        assert isinstance(kept, StoredResponse)
        answer = at_once(asking, kept, NOW)
        assert (answer and answer[0]) == status
        if answer is not None:
            said, head, pieces = cut(kept, wanted(asking, kept, kept.complete_size, NOW), b"")
            assert answer == (said, head, b"".join(pieces))


def test_a_head_gets_no_body_at_once() -> None:
    kept = stored(*LINES, body=BODY)
    assert at_once(request(method=b"HEAD"), kept, NOW) == (200, kept.head, b"")


def test_a_large_part_is_not_copied() -> None:
    kept = stored(*LINES, body=bytes(70_000))
    assert at_once(request("Range: bytes=0-65535"), kept, NOW) is not None
    assert at_once(request("Range: bytes=0-65536"), kept, NOW) is None


@pytest.mark.parametrize("wants", [Part(0, 9), NotModified()])
def test_a_long_head_is_made_anew(wants: Part | NotModified) -> None:
    short, long = (stored(*LINES, f"Via: {'x' * size}", body=BODY) for size in (1, 5000))
    for kept in (short, long):
        _, head, _ = cut(kept, wants, b"")
        assert fields_of(head).get(b"via") == fields_of(kept.head).get(b"via")
