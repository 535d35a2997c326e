"""Which stored variants may the origin be asked about, for a request that selects none of them? (RFC 9111 §4.3.1)"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.message.fields import RawField
from proxy.message.heads import Response
from proxy.policy.cookies import SINGLE_COOKIE
from proxy.policy.stored import StoredResponse
from proxy.policy.validators import is_strong, strong_tag

MOST_OFFERED = 8
"""So that the field stays short; those stored last."""
_LONGEST = 200
"""Bytes of a tag; a longer one than any digest has would make the field long all the same."""

#: What tells people apart: an application whose tags do not would have one get the page of another.
_PERSONAL = frozenset((b"cookie", b"authorization"))


def offered_tag(stored: StoredResponse) -> bytes | None:
    """Return the entity tag of a variant that any client could be given, should the origin say that it is current.

    It is complete (§4.3.2), known by a strong tag, and of no coding that a client may not take.
    """
    fields = stored.fields()
    if stored.status != 200 or b"content-encoding" in fields or _is_personal(stored):
        return None
    tag = strong_tag(fields)
    return tag if tag is not None and len(tag) <= _LONGEST else None


def _is_personal(stored: StoredResponse) -> bool:
    return any(name in _PERSONAL or name.startswith(SINGLE_COOKIE) for name in stored.terms.vary)


def offered(tags: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the tags that the origin is asked about, each once; ``tags`` begin with the latest.

    They may have lain where others write, too: what no variant could have had is left out.
    """
    fit = dict.fromkeys(tag for tag in tags if len(tag) <= _LONGEST and is_strong(tag))
    return tuple(fit)[:MOST_OFFERED]


def offering_fields(tags: Iterable[bytes]) -> list[RawField]:
    """Return the precondition that asks the origin about all of them."""
    return [(b"If-None-Match", b", ".join(tags))]


def named(tags: Iterable[bytes], answer: Response) -> bytes | None:
    """Return the tag of the variant that a 304 is about (§4.3.4): its strong one; None where it names none of them."""
    tag = strong_tag(answer.fields)
    return next((one for one in tags if one == tag), None)
