"""Do parts go over real sockets, and come back from what is stored, byte by byte as RFC 9110 §14 and §15.3.7 say?"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.system.scripted import Script, get, listening, response

LIFE = (b"Cache-Control: max-age=600", b'ETag: "a"', b"Content-Type: text/plain")
BODY = b"".join(b"%04d " % number for number in range(400))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Script]:
    with Script(tmp_path_factory.mktemp("proxies"), {}, listening()) as script:
        yield script


@pytest.fixture
def proxied(script: Script) -> Iterator[Script]:
    yield script
    script.hang_up()


def partial(first: int, last: int) -> bytes:
    extent = b"Content-Range: bytes %d-%d/%d" % (first, last, len(BODY))
    return response(*LIFE, extent, status=b"206 Partial Content", body=BODY[first : last + 1])


@pytest.mark.rfc(9110, "14.6")
@pytest.mark.rfc(9110, "15.3.7.2")
def test_several_parts_of_a_stored_response(proxied: Script) -> None:
    client, _ = proxied.exchange(b"/several", response(*LIFE, body=BODY))
    assert client.response() == (200, BODY)
    client.send(get(b"/several", b"Range: bytes=-5, 0-4, 1000-1009"))
    status, body = client.response()
    assert status == 206
    assert b"content-range" not in client.head.lower()
    boundary = re.search(rb"\r\nContent-Type: multipart/byteranges; boundary=([0-9a-f]{24})\r\n", client.head)
    assert boundary is not None
    dash = b"--" + boundary[1]
    expected = b"".join(
        b"%b\r\nContent-Type: text/plain\r\nContent-Range: bytes %d-%d/2000\r\n\r\n%b\r\n"
        % (dash, first, last, BODY[first : last + 1])
        for first, last in ((1995, 1999), (0, 4), (1000, 1009))
    )
    assert body == expected + dash + b"--\r\n"
    # The connection is where it should be for the next request.
    client.send(get(b"/several", b"Range: bytes=2000-"))
    assert client.response() == (416, b"")
    assert b"\r\nContent-Range: bytes */2000\r\n" in client.head
    client.send(get(b"/several", b"Range: bytes=" + b",".join([b"0-"] * 65)))
    assert client.response() == (200, BODY)


@pytest.mark.rfc(9111, "3.3")
@pytest.mark.rfc(9111, "3.4")
def test_parts_are_stored_joined_and_completed(proxied: Script) -> None:
    client = proxied.client(get(b"/parts", b"Range: bytes=0-499"))
    origin = proxied.accept(b"/parts")
    origin.send(partial(0, 499))
    assert client.response() == (206, BODY[:500])
    client.send(get(b"/parts", b"Range: bytes=100-199"))
    assert client.response() == (206, BODY[100:200])
    assert b"\r\nContent-Range: bytes 100-199/2000\r\n" in client.head
    assert b"\r\nCache-Status: sitecache; hit; ttl=" in client.head

    client.send(get(b"/parts", b"Range: bytes=400-999"))
    origin.read_head()
    origin.send(partial(400, 999))
    assert client.response() == (206, BODY[400:1000])
    client.send(get(b"/parts"))
    head = origin.read_head()
    assert b"\r\nRange: bytes=1000-\r\n" in head
    assert b'\r\nIf-Range: "a"\r\n' in head
    origin.send(partial(1000, 1999))
    assert client.response() == (200, BODY)
    assert b"content-range" not in client.head.lower()
    assert b"\r\nCache-Status: sitecache; fwd=partial; fwd-status=206; ttl=" in client.head
    client.send(get(b"/parts"))
    assert client.response() == (200, BODY)
    assert b"; hit; " in client.head


def test_a_part_that_contradicts_itself_is_passed_on_and_not_stored(proxied: Script) -> None:
    client = proxied.client(get(b"/lie", b"Range: bytes=-5"))
    origin = proxied.accept(b"/lie")
    for _ in range(2):
        origin.send(response(*LIFE, b"Content-Range: bytes 4-9/10", status=b"206 Partial Content", body=b"01234"))
        assert client.response() == (206, b"01234")
        assert b"\r\nContent-Range: bytes 4-9/10\r\n" in client.head
        assert b"; detail=partial-content\r\n" in client.head
        client.send(get(b"/lie", b"Range: bytes=-5"))
        origin.read_head()
