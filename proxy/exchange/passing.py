"""What does the head of a response look like that is passed on?"""

from __future__ import annotations

from dataclasses import replace

from proxy.config.units import Seconds, UnixTime
from proxy.exchange.replies import Exchange
from proxy.message.fields import RawField, serialise
from proxy.message.grammar import format_date
from proxy.message.heads import Response
from proxy.policy.decisions import Store
from proxy.policy.forwarding import response_fields
from proxy.policy.rules import Rules
from proxy.policy.stored import StoredResponse, Terms
from proxy.policy.storing import FOR_CACHES, decide_storing, hidden_fields, without
from proxy.policy.told import site_fields, spent_fields


def head_of(response: Response, fields: list[RawField]) -> bytes:
    """Write the status line and these fields, without the empty line."""
    return b"HTTP/1.1 %d %b\r\n%b" % (response.status, response.reason, serialise(fields))


def passed_on(response: Response, now: UnixTime, rules: Rules) -> list[RawField]:
    """Return the fields that are for clients, with the Date that a recipient with a clock adds (RFC 9110 §6.6.1)."""
    fields = response_fields(response.fields, response.minor)
    index = response.fields.index
    if not FOR_CACHES.isdisjoint(index):
        fields = without(fields, hidden_fields(response, now, rules))
    return fields if b"date" in index else [(b"Date", format_date(now)), *fields]


def unstored_fields(exchange: Exchange, response: Response, times: tuple[UnixTime, UnixTime]) -> list[RawField]:
    """Return the fields of a response that is not stored; to HEAD those that GET would get (RFC 9110 §9.3.2).

    ``times`` are those of ``decide_storing``.
    """
    request, rules, now = exchange.request, exchange.route.rules, times[1]
    fields = passed_on(response, now, rules)
    if request.method == b"HEAD" and exchange.primary:
        storing = decide_storing(replace(request, method=b"GET"), exchange.asked, response, times, rules)
        if isinstance(storing, Store):
            return site_fields(fields, storing.terms, rules, response.status)
    if rules.site_lifetime and rules.cache_page is None and not rules.varied_cookies:
        # Nothing is to be written, as nearly always.
        return fields
    return spent_fields(fields, response, rules, now) if request.method in (b"GET", b"HEAD") else fields


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
