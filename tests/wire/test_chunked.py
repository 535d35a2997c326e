"""Is the chunked coding read as RFC 9112 §7.1 writes it, however its bytes arrive, and as httptools reads it?"""

from __future__ import annotations

import re

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.message.chunked import ChunkedDecoder, MalformedChunk, chunk, last_chunk

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

VALID = [
    pytest.param(b"0\r\n\r\n", b"", id="empty"),
    pytest.param(b"5\r\nhello\r\n0\r\n\r\n", b"hello", id="one"),
    pytest.param(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world", id="two"),
    pytest.param(b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="lower-case-size"),
    pytest.param(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="upper-case-size"),
    pytest.param(b"005\r\nhello\r\n000\r\n\r\n", b"hello", id="leading-zeros"),
    pytest.param(b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", id="content-is-crlf"),
    pytest.param(b"7\r\n0\r\n\r\nab\r\n0\r\n\r\n", b"0\r\n\r\nab", id="content-looks-like-the-end"),
    pytest.param(b"3\r\n\x00\xff\n\r\n0\r\n\r\n", b"\x00\xff\n", id="binary"),
    pytest.param(b"5;a\r\nhello\r\n0;b\r\n\r\n", b"hello", id="extension-name"),
    pytest.param(b"5;a=b;c=d\r\nhello\r\n0\r\n\r\n", b"hello", id="extension-values"),
    pytest.param(b'5;a="b;c \\" d"\r\nhello\r\n0\r\n\r\n', b"hello", id="extension-quoted"),
]
TRAILERS = [
    pytest.param(b"", [], id="none"),
    pytest.param(b"X-A: 1\r\n", [(b"X-A", b"1")], id="one"),
    pytest.param(b"X-A:1\r\nx-a:\r\n", [(b"X-A", b"1"), (b"x-a", b"")], id="two-and-empty"),
    pytest.param(b"X-A: \t a b\xe9 \t\r\n", [(b"X-A", b"a b\xe9")], id="whitespace-around"),
]
INVALID = [
    pytest.param(b"\r\n", id="no-size"),
    pytest.param(b"g\r\n", id="no-hexadecimal"),
    pytest.param(b"0x5\r\nhello\r\n", id="prefix"),
    pytest.param(b"+5\r\nhello\r\n", id="plus"),
    pytest.param(b"-5\r\nhello\r\n", id="minus"),
    pytest.param(b"5_0\r\n", id="underscore"),
    pytest.param(b" 5\r\nhello\r\n", id="space-before-size"),
    pytest.param(b"5 \r\nhello\r\n", id="space-after-size"),
    pytest.param(b"5\t\r\nhello\r\n", id="tab-after-size"),
    pytest.param(b"1" + b"0" * 15 + b"\r\n", id="size-overflow"),
    pytest.param(b"ffffffffffffffff5\r\nhello\r\n", id="size-wraps-around"),
    pytest.param(b"5\nhello\r\n", id="lf-after-size"),
    pytest.param(b"5\rhello\r\n", id="cr-after-size"),
    pytest.param(b"5\r\rhello\r\n", id="two-cr"),
    pytest.param(b"5\n\r\nhello\r\n", id="lf-and-crlf"),
    pytest.param(b"5\r\nhello\n0\r\n\r\n", id="lf-after-data"),
    pytest.param(b"5\r\nhello0\r\n\r\n", id="nothing-after-data"),
    pytest.param(b"5\r\nhelloX\r\n", id="longer-than-its-size"),
    pytest.param(b"5\r\nhel\r\n0\r\n\r\n", id="shorter-than-its-size"),
    pytest.param(b"5;\r\nhello\r\n", id="extension-without-name"),
    pytest.param(b"5;=b\r\nhello\r\n", id="extension-without-name-with-value"),
    pytest.param(b"5;a=\r\nhello\r\n", id="extension-without-value"),
    pytest.param(b'5;a="b\r\nhello\r\n', id="extension-quote-not-closed"),
    pytest.param(b"5;a=b c\r\nhello\r\n", id="extension-of-two-words"),
    pytest.param(b"5;a\x00\r\nhello\r\n", id="nul-in-extension"),
    pytest.param(b"5;a\nb\r\nhello\r\n", id="lf-in-extension"),
    pytest.param(b"5;a\rb\r\nhello\r\n", id="cr-in-extension"),
    pytest.param(b'5;a="\n"\r\nhello\r\n', id="lf-in-quoted-extension"),
    pytest.param(b"5,5\r\nhello\r\n", id="comma"),
    pytest.param(b"0\r\nX-A\r\n\r\n", id="trailer-without-colon"),
    pytest.param(b"0\r\n: a\r\n\r\n", id="trailer-without-name"),
    pytest.param(b"0\r\nX A: b\r\n\r\n", id="space-in-trailer-name"),
    pytest.param(b"0\r\nX-A : b\r\n\r\n", id="space-before-colon"),
    pytest.param(b"0\r\nX-A: b\r\n c\r\n\r\n", id="folded-trailer"),
    pytest.param(b"0\r\nX-A: b\x00\r\n\r\n", id="nul-in-trailer"),
    pytest.param(b"0\r\nX-A: b\rc\r\n\r\n", id="cr-in-trailer"),
    pytest.param(b"0\r\nX-A: b\n\r\n", id="lf-after-trailer"),
    pytest.param(b"0\r\n\n", id="lf-at-the-end"),
    pytest.param(b"0\r\n\rX\n", id="cr-at-the-end"),
]


def decode(*pieces: bytes) -> tuple[bytes, bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder()
    content: list[bytes] = []
    rest = b""
    for piece in pieces:
        chunks, left = decoder.feed(piece)
        assert all(chunks)
        content += chunks
        rest += left
    return b"".join(content), rest, decoder


@pytest.mark.rfc(9112, "7.1")
@pytest.mark.rfc(9112, "7.1.1")
@pytest.mark.parametrize(("coded", "content"), VALID)
def test_whole(coded: bytes, content: bytes) -> None:
    decoded, rest, decoder = decode(coded)
    assert (decoded, rest, decoder.done, decoder.trailers) == (content, b"", True, [])


@pytest.mark.rfc(9112, "7.1")
@pytest.mark.parametrize(("coded", "content"), VALID)
def test_split_at_every_byte(coded: bytes, content: bytes) -> None:
    for at in range(len(coded) + 1):
        decoded, rest, decoder = decode(coded[:at], coded[at:])
        assert (decoded, rest, decoder.done) == (content, b"", True)
    decoded, rest, decoder = decode(*[coded[i : i + 1] for i in range(len(coded))])
    assert (decoded, rest, decoder.done) == (content, b"", True)


@pytest.mark.rfc(9112, "7.1")
@pytest.mark.rfc(9112, "9.3.2")
@pytest.mark.parametrize(("coded", "content"), VALID)
def test_with_the_next_message_behind(coded: bytes, content: bytes) -> None:
    for at in range(len(coded) + 1):
        decoded, rest, decoder = decode(coded[:at], coded[at:] + NEXT)
        assert (decoded, rest, decoder.done) == (content, NEXT, True)


@pytest.mark.parametrize(("coded", "content"), VALID)
def test_cut_short_is_not_done(coded: bytes, content: bytes) -> None:
    for at in range(len(coded)):
        decoded, rest, decoder = decode(coded[:at])
        assert content.startswith(decoded)
        assert (rest, decoder.done) == (b"", False)


@pytest.mark.rfc(9112, "7.1.2")
@pytest.mark.parametrize(("lines", "trailers"), TRAILERS)
def test_trailers(lines: bytes, trailers: list[tuple[bytes, bytes]]) -> None:
    coded = b"1\r\na\r\n0\r\n" + lines + b"\r\n"
    for at in range(len(coded) + 1):
        decoded, rest, decoder = decode(coded[:at], coded[at:] + NEXT)
        assert (decoded, rest, decoder.trailers) == (b"a", NEXT, trailers)


@pytest.mark.rfc(9112, "7.1")
@pytest.mark.rfc(9112, "11.2")
@pytest.mark.parametrize("coded", INVALID)
def test_malformed(coded: bytes) -> None:
    for at in range(len(coded) + 1):
        with pytest.raises(MalformedChunk):
            decode(coded[:at], coded[at:])


@pytest.mark.rfc(9112, "7.1.1")
def test_whitespace_around_an_extension_is_read_past() -> None:
    decoded, _, decoder = decode(b'5 \t; a \t= "b"\t; c\r\nhello\r\n0\r\n\r\n')
    assert (decoded, decoder.done) == (b"hello", True)


@pytest.mark.rfc(9112, "7.1.1")
def test_extensions_are_bounded() -> None:
    fits = b"5;" + b"a" * 18 + b"\r\n"
    decoder = ChunkedDecoder(line_limit=len(fits))
    assert decoder.feed(fits + b"hello\r\n") == ([b"hello"], b"")
    with pytest.raises(MalformedChunk):
        decoder.feed(b"5;" + b"a" * 19 + b"\r\n")


@pytest.mark.rfc(9112, "7.1.1")
@pytest.mark.parametrize("piece", [1, 7, 100000])
def test_an_extension_that_never_ends_is_refused_early(piece: int) -> None:
    decoder = ChunkedDecoder(line_limit=64)
    for _ in range(64 // piece):
        assert decoder.feed(b"5" * piece) == ([], b"")
    with pytest.raises(MalformedChunk):
        decoder.feed(b"5" * piece)


@pytest.mark.rfc(9112, "7.1.2")
def test_trailers_are_bounded_together() -> None:
    line = b"X-A: 1\r\n"
    assert ChunkedDecoder(trailer_limit=26).feed(b"0\r\n" + line * 3 + b"\r\n") == ([], b"")
    with pytest.raises(MalformedChunk):
        ChunkedDecoder(trailer_limit=25).feed(b"0\r\n" + line * 3 + b"\r\n")
    with pytest.raises(MalformedChunk):
        ChunkedDecoder(trailer_limit=26).feed(b"0\r\n" + b"X" * 27)


def test_nothing_is_read_once_done() -> None:
    _, _, decoder = decode(b"0\r\n\r\n")
    assert decoder.feed(NEXT) == ([], NEXT)
    assert decoder.feed(b"") == ([], b"")


@pytest.mark.rfc(9112, "7.1")
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 50))
def test_what_we_write_we_read(contents: list[bytes], size: int) -> None:
    coded = b"".join(map(chunk, contents)) + last_chunk([(b"X-A", b"1")]) + NEXT
    decoded, rest, decoder = decode(*[coded[i : i + size] for i in range(0, len(coded), size)])
    assert (decoded, rest, decoder.trailers) == (b"".join(contents), NEXT, [(b"X-A", b"1")])


class _Peer:
    """httptools' decoder on the same bytes."""

    def __init__(self, coded: bytes) -> None:
        self.body = b""
        self.messages = 0
        self.refused = False
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)
        except httptools.HttpParserError:
            self.refused = True

    def on_body(self, data: bytes) -> None:
        if not self.messages:
            self.body += data

    def on_message_complete(self) -> None:
        self.messages += 1


coded_pieces = st.sampled_from(
    [b"0", b"1", b"5", b"a", b"0\r\n\r\n", b"5\r\nhello\r\n", b"1\r\nx\r\n", b"\r\n", b"\r", b"\n", b";", b"a=b", b" "]
    + [b'"', b"\\", b"hello", b"X-A: b\r\n", b":", b"\x00", b"\xff", b"=", b"\t", NEXT]
)
#: What RFC 9112 §7.1.1 allows and httptools does not read.
_OURS_ALONE = re.compile(rb'[ \t"\x80-\xff]')


@settings(max_examples=500)
@given(st.lists(coded_pieces, max_size=12).map(b"".join))
@example(b"5;a=b\r\nhello\r\n0\r\nX-A: b\r\n\r\n" + NEXT)
def test_httptools_never_reads_another_body(coded: bytes) -> None:
    peer = _Peer(coded + NEXT)
    try:
        content, rest, decoder = decode(coded + NEXT)
    except MalformedChunk:
        return
    assert content.startswith(peer.body) if peer.refused else peer.body == content
    if decoder.done:
        assert rest.endswith(NEXT)
        if not peer.refused:
            assert peer.messages >= 1
        elif not peer.messages:
            assert _OURS_ALONE.search(coded[: len(coded) + len(NEXT) - len(rest)])
    else:
        assert peer.messages == 0
