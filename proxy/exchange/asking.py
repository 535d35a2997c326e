"""The request that the origin gets: as its key has it where the answer could be stored, else as it came."""

from __future__ import annotations

from proxy.exchange.job import Job
from proxy.exchange.replies import Exchange
from proxy.exchange.tunnel import upgrade_fields
from proxy.message.fields import Fields, RawField
from proxy.message.framing import Length
from proxy.policy.forwarding import PRECONDITIONS, request_fields, request_head
from proxy.policy.key import normalise
from proxy.policy.partial import completing_fields
from proxy.policy.validation import validating_fields
from proxy.policy.variants import offering_fields
from proxy.upstream.connection import Ask

_PERCENT = ord("%")
_NOTHING: frozenset[bytes] = frozenset()


def ask_of(job: Job) -> Ask:
    """Return what the origin is asked for a job."""
    exchange = job.exchange
    request = exchange.request
    is_storable = bool(exchange.primary) and not exchange.asked.no_store
    fields = _fields(exchange, PRECONDITIONS if job.whole else _left_out(job), is_storable=is_storable)
    if job.validating is not None:
        fields += validating_fields(job.validating)
    if job.offered:
        fields += offering_fields(job.offered)
    if job.completing is not None:
        fields += completing_fields(job.completing, exchange.route.rules)
    body = exchange.client.body
    if request.upgrade is not None:
        fields += upgrade_fields(request.fields, request.upgrade)
    elif isinstance(request.framing, Length):
        pass
    elif body is not None:
        fields.append((b"Transfer-Encoding", b"chunked"))
    asking = exchange.route.asking(request)
    target = asking.target
    if is_storable and _PERCENT in target:
        target = normalise(target)
    return Ask(
        head=request_head(asking, fields, target) + b"\r\n",
        method=request.method,
        interim=exchange.client.interim,
        body=body,
        framing=request.framing,
        upgrade=request.upgrade,
        repeatable=request.is_safe and body is None,
    )


def is_shown_as_keyed(exchange: Exchange) -> bool:
    """Tell whether a request that came whole to the origin says nothing that a storable one would not say."""
    whole, shown = (Fields(_fields(exchange, _NOTHING, is_storable=each)) for each in (False, True))
    target = exchange.request.target
    return whole.index == shown.index and target == normalise(target)


def _fields(exchange: Exchange, without: frozenset[bytes], *, is_storable: bool) -> list[RawField]:
    rules = exchange.route.rules
    return request_fields(
        exchange.request,
        rules.distinctions.fields,
        without=without,
        storable=is_storable,
        cookies=rules.withheld_cookies,
    )


def _left_out(job: Job) -> frozenset[bytes]:
    """Return the conditions of the client that the origin is not told of, for ours stand in their place."""
    # A part is validated with the range that it answers.
    return _NOTHING if job.validating is None else PRECONDITIONS - {b"range"}
