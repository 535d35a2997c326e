"""What did the origin answer? Bytes of one whole response head in, a Response or UpstreamGarbage out."""

from __future__ import annotations

import re

import httptools

from proxy.errors import UpstreamGarbage
from proxy.message.fields import Fields, RawField
from proxy.message.grammar import TOKEN
from proxy.message.heads import Response
from proxy.policy.directives import delta_seconds

VERSIONS = {b"HTTP/1.1 ": 1, b"HTTP/1.0 ": 0}
"""How a response begins, and its minor version."""
#: Bytes of an answer that is none which are shown to the operator.
_SHOWN = 24
#: How a record of TLS begins that is no application data: its type, and the major version.
_TLS = (b"\x15\x03", b"\x16\x03")
#: Digits of an Age that is surely below its bound.
_SHORT_AGE = 9
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class _Collector:
    """What httptools calls back."""

    __slots__ = ("fields", "reason")

    def __init__(self) -> None:
        self.fields: list[RawField] = []
        self.reason = b""

    def on_status(self, reason: bytes) -> None:
        self.reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def could_begin(said: bytes) -> bool:
    """Tell whether a response may begin like this."""
    begun = said[:9]
    return begun in VERSIONS or any(version.startswith(begun) for version in VERSIONS)


def not_http(said: bytes) -> UpstreamGarbage:
    """Return what is wrong with an answer that does not begin as one."""
    if said.startswith(_TLS):
        return UpstreamGarbage("the answer is TLS, not HTTP: does the URL of the origin begin with https?")
    return UpstreamGarbage(f"the answer is not HTTP/1.1 or HTTP/1.0: it begins with {said[:_SHOWN]!r}")


def parse_response_head(head: bytes, most: int | None = None) -> Response:
    """Read the head that ends with these bytes' CRLF CRLF; raise UpstreamGarbage where it is malformed.

    It may have so many fields at ``most``.

    A parser for each head: one that is reused goes on into a body, and would read that of a HEAD or 304 response as
    the next message. Making it costs 0.25 µs.
    """
    minor = VERSIONS.get(head[:9])
    if minor is None:
        raise not_http(head)
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise _malformed(head, parser.get_status_code(), error) from error
    status = parser.get_status_code()
    if status < 100:
        raise UpstreamGarbage("the status code is below 100")
    if not _REASON.fullmatch(collector.reason):
        raise UpstreamGarbage("the reason phrase has control characters")
    raw = collector.fields
    if most is not None and len(raw) > most:
        raise UpstreamGarbage("more fields in the response head than upstream.limits.headers")
    if b" \r\n" in head or b"\t\r\n" in head:
        # RFC 9110 §5.5: whitespace behind a value does not belong to it; llhttp leaves it there.
        raw = [(name, value.rstrip(b" \t")) for name, value in raw]
    fields = Fields(raw)
    if b"age" in fields.index:
        fields = _with_age(fields)
    if minor == 0 and b"transfer-encoding" in fields:
        # RFC 9112 §6.1: somebody passed on a coding that it does not know.
        raise UpstreamGarbage("Transfer-Encoding in an HTTP/1.0 response")
    return Response(status, collector.reason, fields, minor)


def _with_age(fields: Fields) -> Fields:
    """Return them with the Age that counts, in the one form that a recipient understands (RFC 9111 §5.1, §1.2.2)."""
    value = fields.index[b"age"]
    if value.isdigit() and len(value) <= _SHORT_AGE:
        return fields
    age = delta_seconds(value.split(b",", 1)[0].strip(b" \t"))
    rest = fields.without({b"age"})
    return Fields(rest if age is None else [*rest, (b"Age", b"%d" % age)])


def _malformed(head: bytes, status: int, error: Exception) -> UpstreamGarbage:
    if status == 101:
        return UpstreamGarbage("a switch of protocols that does not say to which")
    return UpstreamGarbage(str(error).lower() + _where(head))


def _where(head: bytes) -> str:
    """Name the first field line that no parser would take, as the end of a sentence."""
    _, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            return f", in the field line {line[:_SHOWN]!r}"
    return ""
