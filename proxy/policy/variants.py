"""Which stored variants may the origin be asked about, for a request that selects none of them? (RFC 9111 §4.3.1)"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.message.fields import RawField
from proxy.message.heads import Response
from proxy.policy.cookies import SINGLE_COOKIE
from proxy.policy.stored import StoredResponse
from proxy.policy.validators import strong_tag

_MOST = 8
"""So that the field stays short; those stored last."""

#: What tells people apart: an application whose tags do not would have one get the page of another.
_PERSONAL = frozenset((b"cookie", b"authorization"))

Tagged = tuple[bytes, StoredResponse]
"""An entity tag, and what is stored with it."""


def offered(variants: Iterable[StoredResponse]) -> tuple[Tagged, ...]:
    """Return those of the variants that any client could be given, should the origin say that they are current.

    They are complete (§4.3.2), known by a strong tag, and of no coding that a client may not take. ``variants`` begin
    with the latest.
    """
    tagged: dict[bytes, StoredResponse] = {}
    for stored in variants:
        fields = stored.fields()
        tag = strong_tag(fields)
        if tag is not None and stored.status == 200 and b"content-encoding" not in fields and not _is_personal(stored):
            tagged.setdefault(tag, stored)
    return tuple(tagged.items())[:_MOST]


def _is_personal(stored: StoredResponse) -> bool:
    return any(name in _PERSONAL or name.startswith(SINGLE_COOKIE) for name in stored.terms.vary)


def offering_fields(tagged: Iterable[Tagged]) -> list[RawField]:
    """Return the precondition that asks the origin about all of them."""
    return [(b"If-None-Match", b", ".join(tag for tag, _ in tagged))]


def named(tagged: Iterable[Tagged], answer: Response) -> StoredResponse | None:
    """Return the one that a 304 is about (§4.3.4): the one with its strong tag; None where it names none of them."""
    tag = strong_tag(answer.fields)
    return next((stored for known, stored in tagged if known == tag), None)
