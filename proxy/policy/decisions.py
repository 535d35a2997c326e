"""What can the policy answer, and in which words does it say why?

Four closed unions, one for each question, and one closed vocabulary of reasons. Cache-Status, metrics, the access log
and every explanation read the values made here, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.config.units import Seconds
from proxy.message.fields import RawField
from proxy.policy.stored import StoredResponse, Terms


class ForwardReason(StrEnum):
    """Why a request goes to the origin (RFC 9211 §2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    REQUEST = "request"
    STALE = "stale"
    PARTIAL = "partial"


class Detail(StrEnum):
    """What Cache-Status says in ``detail``: the one vocabulary behind every answer that is not a plain hit."""

    # The request was not, or not alone, for the cache.
    HOST_NOT_ALLOWED = "host-not-allowed"
    ROUTE = "route"
    """A route of the configuration keeps it away from the cache."""
    UPGRADE = "upgrade"
    PRECONDITION = "precondition"
    REQUEST_BODY = "request-body"
    COOKIE = "cookie"
    AUTHORIZATION = "authorization"
    IDENTITY = "identity"
    """A field of ``identity_fields`` says who asks."""
    HEALTH_CHECK = "health-check"
    """A health check asks, and is to hear the application itself."""
    REQUEST_NO_CACHE = "request-no-cache"
    REQUEST_NO_STORE = "request-no-store"
    REQUEST_MAX_AGE = "request-max-age"
    REQUEST_MIN_FRESH = "request-min-fresh"
    ONLY_IF_CACHED = "only-if-cached"
    # The response was not stored.
    METHOD = "method"
    NO_STORE = "no-store"
    PRIVATE = "private"
    VARY_STAR = "vary-star"
    SET_COOKIE = "set-cookie"
    STATUS = "status"
    PARTIAL_CONTENT = "partial-content"
    EVENT_STREAM = "event-stream"
    NO_FRESHNESS = "no-freshness"
    NOT_REUSABLE = "not-reusable"
    TOO_LARGE = "too-large"
    UNDELIMITED = "undelimited"
    """The body ended with the connection, and nobody can tell whether it was whole."""
    UNTRUSTED_PROXY = "untrusted-proxy"
    """It sends to https who says that it came by https, and is not in ``trusted_proxies``."""
    STORAGE_FAILED = "storage-failed"
    # What was stored was of no use.
    STORAGE_DAMAGED = "storage-damaged"
    # The stored response had to be, or was, validated.
    NO_CACHE = "no-cache"
    PURGED = "purged"
    """An operator has purged it softly: it is stale whatever its age."""
    # A stale response was served.
    STALE_WHILE_REVALIDATE = "stale-while-revalidate"
    STALE_IF_ERROR = "stale-if-error"
    MAX_STALE = "max-stale"
    # The origin failed.
    UPSTREAM_UNREACHABLE = "upstream-unreachable"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    UPSTREAM_CLOSED = "upstream-closed"
    UPSTREAM_GARBAGE = "upstream-garbage"
    UPSTREAM_ERROR = "upstream-error"
    REQUEST_BODY_LOST = "request-body-lost"


class Unkept(StrEnum):
    """Why a response was not stored after all whose head had said that it would be: too late for Cache-Status."""

    TOO_LARGE = "too-large"
    CUT_SHORT = "cut-short"
    INVALIDATED = "invalidated"


# May the cache answer this request? (RFC 9111 §4)


@dataclass(slots=True)
class Serve:
    """Answer with this stored response. Slotted and not frozen: one for each hit (STYLE 8)."""

    stored: StoredResponse
    stale: Detail | None = None
    """Why it may be served although it is stale."""
    refresh: bool = False
    """Validate it in the background, once (RFC 5861 §3)."""


@dataclass(frozen=True, slots=True)
class Validate:
    """Ask the origin whether this stored response still holds."""

    stored: StoredResponse
    reason: ForwardReason
    detail: Detail | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """Nothing stored can answer; ask the origin."""

    reason: ForwardReason
    detail: Detail | None = None
    fallback: StoredResponse | None = None
    """What may stand in for the origin should it fail."""
    completing: StoredResponse | None = None
    """A fresh part of what is wanted: only the rest need come (RFC 9111 §3.3)."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing stored can answer, and the client forbids asking the origin (RFC 9111 §5.2.1.7)."""

    detail: Detail
    status: int = 504


Reuse = Serve | Validate | Fetch | Refuse


# May this response be stored? (RFC 9111 §3)


@dataclass(slots=True)
class Store:
    """Store it under these terms."""

    terms: Terms
    retention: Seconds
    """How long it is of use, stale or not: the timeout to give to the storage."""
    withheld: frozenset[bytes] = frozenset()
    """The lower-case names of fields that stay out of it (RFC 9111 §3.1)."""


@dataclass(slots=True)
class Discard:
    """Pass it on and forget it."""

    why: Detail


Storing = Store | Discard


# What does this validation say? (RFC 9111 §4.3.3, RFC 5861 §4)


@dataclass(frozen=True, slots=True)
class Freshen:
    """The stored response holds; here it is with the fields and the terms of the 304."""

    stored: StoredResponse
    retention: Seconds
    own: tuple[RawField, ...] = ()
    """Fields of the 304 that are for the client of this exchange only (RFC 9111 §5.2.2.4, §5.2.2.7)."""


@dataclass(frozen=True, slots=True)
class Replace:
    """The origin sent another response; it is to be stored, or not, like any other."""


@dataclass(frozen=True, slots=True)
class ServeStale:
    """The origin failed and the stored response may stand in for it."""

    stored: StoredResponse


@dataclass(frozen=True, slots=True)
class PassOn:
    """The failure goes to the client."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The 304 is not about the stored response, or must not touch it: ask without preconditions (RFC 9111 §4.3.3)."""


Validation = Freshen | Replace | ServeStale | PassOn | AskAgain
