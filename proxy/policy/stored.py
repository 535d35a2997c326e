"""What is kept of a response, and under which terms?"""

from __future__ import annotations

from dataclasses import dataclass
from sys import getsizeof

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.message.fields import Fields
from proxy.policy.ranges import Extent


@dataclass(frozen=True, slots=True)
class Terms:
    """What a response said about its own reuse, read once, when it came."""

    born: UnixTime
    """When it was, by all we know, generated: the time of reception less its age then (RFC 9111 §4.2.3)."""
    lifetime: Seconds
    explicit: bool
    """The origin gave the lifetime; else it is the operator's."""
    no_cache: bool
    """Validate on every use (§5.2.2.4)."""
    must_revalidate: bool
    """Never serve it stale (§5.2.2.2, §5.2.2.8, §5.2.2.10)."""
    stale_while_revalidate: Seconds
    stale_if_error: Seconds | None
    """None: the origin did not say."""
    etag: bytes | None
    last_modified: bytes | None
    vary: tuple[bytes, ...]
    """The lower-case names of the request fields that select it (§4.1), sorted."""
    unsaid: bool = False
    """The lifetime is not the origin's, and nobody else is told of it: a guess (§4.2.2), or beside a targeted field."""
    immutable: bool = False
    """A reload is no reason to validate it while it is fresh (RFC 8246 §2)."""

    @property
    def has_validator(self) -> bool:
        """Tell whether the origin can be asked about it instead of for it (§4.3.1)."""
        return self.etag is not None or self.last_modified is not None

    def age(self, now: UnixTime) -> float:
        """Return current_age (§4.2.3)."""
        return max(0.0, now - self.born)


class StoredResponse:
    """A response, ready to be sent: its head is serialised once.

    ``head`` is the status line and the end-to-end fields, Content-Length among them, each with its CRLF, without Age,
    Cache-Status and the empty line. It is never changed; what freshens it makes another. One with an ``extent`` is
    partial (RFC 9111 §3.3): a 206 with one part, which answers nothing but requests for what lies in it.
    """

    __slots__ = ("_second", "_tail", "body", "extent", "fresh_until", "head", "status", "terms")

    def __init__(self, status: int, head: bytes, body: bytes, terms: Terms, extent: Extent | None = None) -> None:
        self.status = status
        self.head = head
        self.body = body
        self.terms = terms
        self.extent = extent
        # A response that must be validated on each use is never fresh enough to be served unasked, nor is a part.
        self.fresh_until = 0.0 if terms.no_cache or extent is not None else terms.born + terms.lifetime
        self._second = -1
        self._tail = b""

    @property
    def complete_size(self) -> int:
        """Return the size of the whole representation, whatever part of it is stored."""
        return len(self.body) if self.extent is None else self.extent.complete

    def fields(self) -> Fields:
        """Return the fields of the head."""
        raw = []
        for line in self.head.split(b"\r\n")[1:-1]:
            name, _, value = line.partition(b": ")
            raw.append((name, value))
        return Fields(raw)

    def tail(self, now: UnixTime) -> bytes:
        """Return the fields that change with time and the empty line, for a hit at this time.

        They change once a second, so those of the current second are kept.
        """
        second = int(now)
        if second != self._second:
            age = self.terms.age(now)
            self._second = second
            self._tail = b"Age: %d\r\nCache-Status: sitecache; hit; ttl=%d\r\n\r\n" % (
                age,
                self.terms.lifetime - age,
            )
        return self._tail

    def size(self) -> Bytes:
        """Return the memory it takes, its objects' overhead included."""
        terms = self.terms
        return Bytes(
            getsizeof(self.head)
            + getsizeof(self.body)
            + _FIXED
            + sum(getsizeof(part) for part in (terms.etag, terms.last_modified) if part is not None)
            + sum(getsizeof(name) for name in terms.vary)
        )


#: The object, its terms with their numbers, and the tail of the current second, as sys.getsizeof counts them.
_FIXED = 96 + 120 + 4 * 24 + 56 + 110
