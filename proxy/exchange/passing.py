"""What does the head of a response look like that is passed on?"""

from __future__ import annotations

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import RawField, serialise
from proxy.message.grammar import format_date
from proxy.message.heads import Response
from proxy.policy.forwarding import response_fields
from proxy.policy.stored import StoredResponse, Terms
from proxy.policy.storing import without


def head_of(response: Response, fields: list[RawField]) -> bytes:
    """Write the status line and these fields, without the empty line."""
    return b"HTTP/1.1 %d %b\r\n%b" % (response.status, response.reason, serialise(fields))


def passed_on(response: Response, now: UnixTime, hidden: frozenset[bytes] = frozenset()) -> list[RawField]:
    """Return the fields to pass on, with the Date that a recipient with a clock adds (RFC 9110 §6.6.1).

    ``hidden`` are names in lower case of those that are not for clients.
    """
    fields = response_fields(response.fields, response.minor)
    if not hidden.isdisjoint(response.fields.index):
        fields = without(fields, hidden)
    return fields if b"date" in response.fields else [(b"Date", format_date(now)), *fields]


def length_line(body: bytes) -> bytes:
    """Write the Content-Length of a body whose length was not known before it had come."""
    return b"Content-Length: %d\r\n" % len(body)


def unstored(response: Response, head: bytes, now: UnixTime) -> StoredResponse:
    """Return a response that is not stored in the form that preconditions are evaluated on."""
    terms = Terms(
        born=now,
        lifetime=Seconds(0),
        explicit=True,
        no_cache=True,
        must_revalidate=True,
        stale_while_revalidate=Seconds(0),
        stale_if_error=None,
        etag=response.fields.get(b"etag"),
        last_modified=response.fields.get(b"last-modified"),
        vary=(),
    )
    return StoredResponse(response.status, head, b"", terms)
