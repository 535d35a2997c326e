"""In which time zone does an application answer a request?"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from proxy.message.heads import Request
from proxy.policy.cookies import SINGLE_COOKIE, last_cookie


class Zones:
    """The time zones that clients may name, and where they name them."""

    __slots__ = ("_default", "_spellings", "cookie", "name")

    def __init__(self, known: Iterable[str], default: str, source: bytes) -> None:
        """``source`` is ``cookie:NAME`` or the lower-case name of a field; ``default`` is TIME_ZONE."""
        known = tuple(known)
        plain = {*known, *(quote(zone, safe="") for zone in known)}
        # Each spelling counts as it is, for which of them the application understands is not known.
        self._spellings = frozenset(text.encode("utf-8") for zone in plain for text in (zone, f'"{zone}"'))
        self._default = default.encode("utf-8")
        self.name = source
        """What responses vary by."""
        self.cookie = source.removeprefix(SINGLE_COOKIE) if source.startswith(SINGLE_COOKIE) else None

    def of(self, request: Request) -> bytes:
        """Return the zone that a request names; one that is not known is the default, and never a new one."""
        index = request.fields.index
        said = index.get(self.name) if self.cookie is None else last_cookie(index.get(b"cookie"), self.cookie)
        return said if said in self._spellings else self._default
