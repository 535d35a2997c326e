"""What does the origin's answer to a validation say? (RFC 9111 §4.3, RFC 5861 §4)"""

from __future__ import annotations

from typing import assert_never

import msgspec

from proxy.config.model import SetCookie
from proxy.config.units import Seconds, UnixTime
from proxy.errors import UpstreamError
from proxy.message.fields import Fields, RawField, serialise
from proxy.message.grammar import format_date
from proxy.message.heads import Request, Response
from proxy.policy.decisions import AskAgain, Discard, Freshen, PassOn, Replace, ServeStale, Store, Validation
from proxy.policy.default_lifetime import is_data
from proxy.policy.directives import NO_TERMS
from proxy.policy.forwarding import end_to_end
from proxy.policy.rules import Rules
from proxy.policy.stored import StoredResponse, Terms
from proxy.policy.storing import decide_storing, hidden_fields, is_personal, without
from proxy.policy.surrogate import READERS
from proxy.policy.tags import tags_of
from proxy.policy.told import site_fields, without_lifetime

#: RFC 5861 §4
_ERRORS = frozenset({500, 502, 503, 504})

#: RFC 9111 §3.2: fields of a 304 that say nothing about the stored body, which stays as it is.
_NOT_UPDATED = frozenset({b"content-length", b"content-encoding", b"content-range", b"transfer-encoding", b"age"})


def validating_fields(stored: StoredResponse) -> list[RawField]:
    """Return the preconditions that ask the origin about a stored response (§4.3.1)."""
    terms = stored.terms
    fields: list[RawField] = []
    if terms.etag is not None:
        fields.append((b"If-None-Match", terms.etag))
    if terms.last_modified is not None and stored.extent is None:
        fields.append((b"If-Modified-Since", terms.last_modified))
    return fields


def decide_validation(
    request: Request,
    stored: StoredResponse,
    answer: Response | UpstreamError,
    times: tuple[UnixTime, UnixTime],
    rules: Rules,
) -> Validation:
    """Say what follows from the origin's answer, or its failure, for the stored response that was asked about."""
    if isinstance(answer, UpstreamError) or answer.status in _ERRORS:
        if may_stand_in(request, stored, times[1], rules):
            return ServeStale(stored)
        return PassOn() if isinstance(answer, UpstreamError) else Replace()
    if answer.status != 304:
        return Replace()
    if not _is_about(stored, answer):
        return AskAgain()
    return _freshen(request, stored, answer, times, rules)


def _is_about(stored: StoredResponse, answer: Response) -> bool:
    """Tell whether a 304 can be about the stored response (§4.3.4): not with a validator that this has not."""
    terms = stored.terms
    etag, modified = answer.fields.get(b"etag"), answer.fields.get(b"last-modified")
    if etag is not None and terms.etag is not None:
        # Weakly: an origin that compresses weakens the tag of a 200 and leaves that of a 304 as it is (Django's does).
        return _opaque(etag) == _opaque(terms.etag)
    if modified is not None and terms.last_modified is not None:
        return modified == terms.last_modified
    return etag is None and modified is None


def may_stand_in(request: Request, stored: StoredResponse, now: UnixTime, rules: Rules) -> bool:
    """Tell whether a stored response may be served although the origin fails (§4.2.4, RFC 5861 §4).

    A stored error may not, for the new one is newer; nor does a health check hear that all was well once.
    """
    terms = stored.terms
    if terms.must_revalidate or terms.no_cache or not stored.is_good or rules.health_checks.sends(request):
        return False
    window = terms.stale_if_error
    if window is None:
        # Data for programs, and what a health check asks for, is to be of now unless somebody says otherwise.
        is_of_now = (not rules.stale_data and is_data(stored.fields())) or rules.health_checks.ask(request)
        window = Seconds(0) if is_of_now else rules.stale_if_error
    return terms.age(now) < terms.lifetime + window


def _freshen(
    request: Request, stored: StoredResponse, answer: Response, times: tuple[UnixTime, UnixTime], rules: Rules
) -> Freshen | AskAgain:
    """Give the stored response the fields of the 304 and terms made from both (§3.2, §4.3.4)."""
    if b"set-cookie" in answer.fields and rules.set_cookie is SetCookie.NEVER:
        # The cookie is for this client only; it gets a response of its own, which is not stored.
        return AskAgain()
    if is_personal(request, stored, answer, times[1], rules):
        # A 304 says what the 200 would have said of sharing (RFC 9110 §15.4.5): this one is for one client.
        return AskAgain()
    # What a field said of how old the response was is said anew, or no longer holds.
    marks = frozenset(rules.response_lifetimes)
    stated = Fields(without(without_lifetime(stored.fields().raw, stored.terms), marks))
    fields = Fields(updated(stated, answer))
    whole = Response(stored.status, b"", fields)
    match decide_storing(request, NO_TERMS, whole, times, rules):
        case Discard():
            return AskAgain()
        case Store(terms, retention, withheld):
            terms = _no_longer_than(stored.terms, terms, answer, rules)
            line, _, _ = stored.head.partition(b"\r\n")
            hidden = hidden_fields(whole, times[1], rules)
            raw = without(site_fields(fields.raw, terms, rules, stored.status), withheld | hidden)
            if b"date" not in fields:
                raw = [(b"Date", format_date(times[1])), *raw]  # RFC 9110 §6.6.1
            head = line + b"\r\n" + serialise(field for field in raw if field[0].lower() != b"age")
            tags = tags_of(answer.fields) or stored.tags
            extent, number = stored.extent, stored.number
            fresh = StoredResponse(stored.status, head, stored.body, terms, extent, tags, number)
            return Freshen(fresh, retention, _own(answer, withheld - hidden))
        case never:
            assert_never(never)


def _own(answer: Response, withheld: frozenset[bytes]) -> tuple[RawField, ...]:
    """Return the fields of a 304 that are not stored, for the client that asked."""
    return tuple(field for field in end_to_end(answer.fields) if field[0].lower() in withheld) if withheld else ()


def _no_longer_than(before: Terms, terms: Terms, answer: Response, rules: Rules) -> Terms:
    """Return terms that no default makes longer than what surrogates were told, where a 304 does not tell it again.

    What they were told is not among the stored fields, for clients do not get it.
    """
    is_default = terms.unsaid and not terms.explicit and before.unsaid and not before.explicit
    if not is_default or rules.heuristic.fraction or not READERS.keys().isdisjoint(answer.fields.index):
        return terms
    return msgspec.structs.replace(terms, lifetime=min(before.lifetime, terms.lifetime))


def updated(stored: Fields, answer: Response) -> list[RawField]:
    """Return the stored fields with those of a 304 in the place of their namesakes (§3.2)."""
    fresh = [field for field in end_to_end(answer.fields) if field[0].lower() not in _NOT_UPDATED]
    names = {name.lower() for name, _ in fresh}
    if b"date" not in names:
        # §4.2.3 counts from the Date of the message that was received last, and this one has none.
        names.add(b"date")
    age = [field for field in answer.fields.raw if field[0].lower() == b"age"]
    return [field for field in stored.raw if field[0].lower() not in names] + fresh + age


def _opaque(etag: bytes) -> bytes:
    return etag.removeprefix(b"W/")
