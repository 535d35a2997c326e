"""What is stored after a part of a representation has come, and which part is asked for? (RFC 9111 §3.3, §3.4)"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields, RawField, serialise
from proxy.message.heads import Request, Response
from proxy.policy.decisions import Freshen
from proxy.policy.ranges import Extent, Part, stated_extent
from proxy.policy.rules import Rules
from proxy.policy.said import said
from proxy.policy.stored import StoredResponse
from proxy.policy.validation import decide_validation
from proxy.policy.validators import share_strong, strong_tag

#: Of one message or one part; what is put together has its own, or none.
_OF_THE_MESSAGE = (b"content-length", b"content-range", b"content-digest", b"content-md5")


@dataclass(slots=True)
class Received:
    """A response that may be stored, all of whose content has come. Slotted and not frozen: one for each (STYLE 8)."""

    request: Request
    response: Response
    times: tuple[UnixTime, UnixTime]
    stored: StoredResponse
    """As it is stored by itself; where it is a part, with its extent."""
    retention: Seconds


def stands_alone(request: Request) -> bool:
    """Tell whether a 206 has all fields of the representation: RFC 9110 §15.3.7 lets a reply to If-Range omit them."""
    return b"if-range" not in request.fields


@dataclass(frozen=True, slots=True)
class Keep:
    """Store this, in the place of what is there."""

    stored: StoredResponse
    retention: Seconds


def merge(received: Received, current: StoredResponse | None, rules: Rules) -> Keep | None:
    """Return what to store where ``current`` is stored and a part has come; None: leave what is there.

    Parts of the same representation become one where they touch. What is complete and fresh stays.
    """
    if current is None:
        return _alone(received, rules)
    new = received.stored
    if current.terms.vary != new.terms.vary:
        return None
    if _are_of_one(received, current):
        joined = _freshened(received, current, rules) if current.extent is None else _joined(received, current, rules)
        if joined is not None:
            return joined
    if current.extent is None and received.times[1] < current.fresh_until:
        return None
    return _alone(received, rules)


def _alone(received: Received, rules: Rules) -> Keep | None:
    stored = received.stored
    if not stands_alone(received.request):
        return None
    if stored.extent is not None and stored.extent.is_complete:
        # RFC 9110 §15.3.7.3: what is the entire representation is a 200.
        return _freshened(received, _as(stored, stored.extent, stored.body), rules)
    return Keep(stored, received.retention)


def _are_of_one(received: Received, current: StoredResponse) -> bool:
    """Tell whether both are of one representation: by a strong validator (§3.4), and nothing speaks against it."""
    new = received.stored
    fields = current.fields()
    return (
        share_strong(fields, received.response.fields, received.times[1])
        and current.complete_size == new.complete_size
        and _same_coding(fields, received.response.fields, may_omit=not stands_alone(received.request))
        and _agree(current, new)
    )


def _same_coding(stored: Fields, new: Fields, *, may_omit: bool) -> bool:
    coding = new.get(b"content-encoding")
    return coding == stored.get(b"content-encoding") or (coding is None and may_omit)


def _agree(one: StoredResponse, other: StoredResponse) -> bool:
    """Tell whether the bytes that both hold are the same: an origin whose strong validators are not would be seen."""
    first, last = max(_first(one), _first(other)), min(_last(one), _last(other))
    return _bytes(one, first, last) == _bytes(other, first, last)


def _joined(received: Received, current: StoredResponse, rules: Rules) -> Keep | None:
    """Return both parts as one; None where there is a gap between them, or together they are too large."""
    new = received.stored
    one, other = (current, new) if _first(current) <= _first(new) else (new, current)
    if _first(other) > _last(one) + 1:
        return None
    last = max(_last(one), _last(other))
    extent = Extent(_first(one), last, new.complete_size)
    if extent.size > rules.stored_body:
        return None
    body = one.body + _bytes(other, _last(one) + 1, last)
    return _freshened(received, _as(current, extent, body), rules)


def _freshened(received: Received, stored: StoredResponse, rules: Rules) -> Keep | None:
    freshen = _updated(received.request, stored, received.response, received.times, rules)
    return None if freshen is None else Keep(freshen.stored, freshen.retention)


def _updated(
    request: Request, stored: StoredResponse, answer: Response, times: tuple[UnixTime, UnixTime], rules: Rules
) -> Freshen | None:
    """Give a stored response the fields of a 206 of the same representation (§3.4): as those of a 304 (§3.2)."""
    said = Response(304, b"Not Modified", Fields(answer.fields.without(_OF_THE_MESSAGE)))
    decision = decide_validation(request, stored, said, times, rules)
    return decision if isinstance(decision, Freshen) else None


def _as(stored: StoredResponse, extent: Extent, body: bytes) -> StoredResponse:
    """Return a stored part as one of this extent, which is a 200 when nothing is missing (RFC 9110 §15.3.7.3)."""
    kept = serialise(stored.fields().without(_OF_THE_MESSAGE))
    length = b"Content-Length: %d\r\n" % extent.size
    if extent.is_complete:
        head = b"HTTP/1.1 200 OK\r\n" + kept + length
        return StoredResponse(200, head, body, stored.terms, None, stored.tags, stored.number)
    said = b"Content-Range: bytes %d-%d/%d\r\n" % (extent.first, extent.last, extent.complete)
    head = b"HTTP/1.1 206 Partial Content\r\n" + kept + said + length
    return StoredResponse(206, head, body, stored.terms, extent, stored.tags, stored.number)


def _first(stored: StoredResponse) -> int:
    return 0 if stored.extent is None else stored.extent.first


def _last(stored: StoredResponse) -> int:
    return stored.complete_size - 1 if stored.extent is None else stored.extent.last


def _bytes(stored: StoredResponse, first: int, last: int) -> bytes:
    offset = _first(stored)
    return stored.body[first - offset : last + 1 - offset] if first <= last else b""


# Completing what is stored (§3.3).


def missing(stored: StoredResponse, rules: Rules) -> Part | None:
    """Return the one part that would make a stored part complete; None where it is not safe, or not worth it, to ask.

    Safe by a strong entity tag only: If-Range then gives either the rest of the same representation or all of another.
    """
    extent = stored.extent
    if extent is None or extent.complete > rules.stored_body or strong_tag(stored.fields()) is None:
        return None
    if extent.first == 0:
        return Part(extent.last + 1, extent.complete - 1)
    return Part(0, extent.first - 1) if extent.last == extent.complete - 1 else None


def completing_fields(stored: StoredResponse, rules: Rules) -> list[RawField]:
    """Return the fields that ask the origin for what is missing (RFC 9110 §13.1.5, §14.2)."""
    part = missing(stored, rules)
    if part is None:
        return []
    to = b"" if part.last == stored.complete_size - 1 else b"%d" % part.last
    return [(b"Range", b"bytes=%d-%b" % (part.first, to)), (b"If-Range", stored.terms.etag or b"")]


def complete(
    request: Request,
    stored: StoredResponse,
    answer: Response,
    times: tuple[UnixTime, UnixTime],
    rules: Rules,
) -> Freshen | None:
    """Return the complete response, without its body, where the answer brings exactly what was missing; else None."""
    extent = stated_extent(answer)
    part = missing(stored, rules)
    fields = stored.fields()
    if (
        extent is None
        or b"content-length" not in answer.fields
        or part is None
        or extent != Extent(part.first, part.last, stored.complete_size)
        or not share_strong(fields, answer.fields, times[1])
        or not _same_coding(fields, answer.fields, may_omit=True)
        # What is only for who asks (RFC 9111 §5.2.2.7) would be lost.
        or said(answer.fields, rules.targeted).withheld
    ):
        return None
    return _updated(request, _as(stored, Extent(0, extent.complete - 1, extent.complete), b""), answer, times, rules)
