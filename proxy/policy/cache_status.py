"""How do we tell what the cache did with a request? (RFC 9211)"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.policy.decisions import Detail, ForwardReason
from proxy.policy.key import PrimaryKey, page_name

NAME = b"sitecache"

_FORWARD = {reason: b"fwd=" + reason.value.encode() for reason in ForwardReason}
#: Looked up: asking an enumeration for it takes two calls.
_WORD = {reason: reason.value for reason in ForwardReason}
_DETAIL = {detail: b"detail=" + detail.value.encode() for detail in Detail}


@dataclass(slots=True)
class Outcome:
    """What became of one request; Cache-Status, metrics and the access log all read this."""

    hit: bool = False
    ttl: int | None = None
    """Seconds of freshness left; negative when stale (§2.4)."""
    forward: ForwardReason | None = None
    """Why the request went to the origin (§2.2)."""
    forward_status: int | None = None
    """What the origin answered, when it is not what the client gets (§2.3)."""
    stored: bool = False
    collapsed: bool = False
    detail: Detail | None = None
    cause: str = ""
    """What was wrong with the origin's answer, in words for the operator; clients are not told."""
    purge: bool = False
    """It asked for a purge."""

    def word(self) -> str:
        """Return the word that metrics and logs count by: hit, hit-stale, refused, purge, or the reason to forward."""
        if self.purge:
            return "purge"
        if self.hit:
            return "hit" if self.detail is None else "hit-stale"
        return "refused" if self.forward is None else _WORD[self.forward]


def cache_status(outcome: Outcome, key: PrimaryKey | None = None) -> bytes:
    """Write the Cache-Status field line; ``key`` is the one that was looked for, where it is to be told.

    Its name is told (§2.7): what it is made of may hold what is nobody's business.
    """
    parts = [NAME]
    if outcome.hit:
        parts.append(b"hit")
    if outcome.forward is not None:
        parts.append(_FORWARD[outcome.forward])
    if outcome.forward_status is not None:
        parts.append(b"fwd-status=%d" % outcome.forward_status)
    if outcome.ttl is not None:
        parts.append(b"ttl=%d" % outcome.ttl)
    if outcome.stored:
        parts.append(b"stored")
    if outcome.collapsed:
        parts.append(b"collapsed")
    if key is not None:
        parts.append(b'key="%b"' % page_name(key).encode())
    if outcome.detail is not None:
        parts.append(_DETAIL[outcome.detail])
    return b"Cache-Status: " + b"; ".join(parts) + b"\r\n"
