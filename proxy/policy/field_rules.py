"""Field rules: which fields of a request are in its key, which the application does not get, and which pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from proxy.policy.globs import any_of
from proxy.policy.known_fields import (
    COMMON,
    EDGE_PREFIXES,
    FRAGMENTS,
    KNOWN_FIELDS,
    OF_PROXIES,
    SPELLED_PLAINLY,
    STEADY,
    FieldKind,
)

#: What nginx takes for a name, in lower case (``ignore_invalid_headers``, ``underscores_in_headers``).
_PLAIN_NAME = re.compile(rb"[a-z0-9-]+")
_NOT_PLAIN = re.compile(rb"[^a-z0-9-]")

_OF_PROXIES = frozenset({FieldKind.PROXY, FieldKind.PROXY_CLIENT, FieldKind.METHOD})
_FROM_PROXIES_KEYED = frozenset({FieldKind.PROXY, FieldKind.METHOD, FieldKind.EDGE})

#: What a setting makes of a field of these kinds.
_WITHHELD = dict.fromkeys(_OF_PROXIES, FieldKind.SPELLED)
_KEYED = dict.fromkeys(_OF_PROXIES, FieldKind.PROXY) | {FieldKind.METHOD: FieldKind.METHOD}
_FORWARDED = dict.fromkeys(_OF_PROXIES, FieldKind.PROXY_CLIENT) | {FieldKind.METHOD: FieldKind.METHOD}


class FieldRules:
    """What is done with each field of a request: the table of known fields, and what an operator said otherwise."""

    __slots__ = ("_forward", "_key", "_underscores", "_withhold", "common", "common_but", "counted", "kind")

    def __init__(
        self,
        *,
        key: Sequence[str] = (),
        withhold: Sequence[str] = (),
        forward: Sequence[str] = (),
        underscores: bool = False,
    ) -> None:
        """The first three have names, and ``*`` for any text save in ``key``; the earlier goes before the later."""
        self._key = frozenset(name.lower().encode("ascii") for name in key)
        self._withhold = _matching(withhold)
        self._forward = _matching(forward)
        self._underscores = underscores
        # Few, because clients choose the names and each may be as long as a head.
        self.kind = lru_cache(maxsize=256)(self._kind)
        """What a field is, by its name in lower case."""
        self.common = frozenset(name for name in COMMON if self._kind(name) is FieldKind.PASSED)
        """What every browser sends, and passes: for these there is no need to look further."""
        self.common_but = lru_cache(maxsize=16)(self.common.difference)
        """The same without some names; asked for with the few sets of names that are left out of requests."""
        known = FRAGMENTS | self._key
        self.counted = frozenset(name for name in known if self._kind(name) is FieldKind.KEYED)
        """All that are in the key from whoever they come."""

    def _kind(self, name: bytes) -> FieldKind:
        known = _known(name)
        if known is FieldKind.NEVER:
            return known
        if name in self._key:
            return _KEYED.get(known, FieldKind.KEYED)
        if self._withhold is not None and self._withhold.fullmatch(name):
            return _WITHHELD.get(known, FieldKind.WITHHELD)
        if self._forward is not None and self._forward.fullmatch(name):
            return _FORWARDED.get(known, FieldKind.PASSED)
        if self._underscores and known in (FieldKind.ODD, FieldKind.SPELLED):
            return FieldKind.PASSED if known is FieldKind.ODD else FieldKind.PROXY
        return known


def _matching(names: Sequence[str]) -> re.Pattern[bytes] | None:
    return re.compile(any_of([name.lower() for name in names]).encode("ascii")) if names else None


def _known(name: bytes) -> FieldKind:
    kind = KNOWN_FIELDS.get(name)
    if kind is not None:
        return kind
    if _PLAIN_NAME.fullmatch(name) is None:
        # CGI, FastCGI and WSGI give both to the application under one name.
        plain = _NOT_PLAIN.sub(b"-", name)
        is_spelled = _known(plain) in _OF_PROXIES or plain.startswith(SPELLED_PLAINLY)
        return FieldKind.SPELLED if is_spelled else FieldKind.ODD
    if name.startswith(OF_PROXIES):
        return FieldKind.PROXY
    return FieldKind.EDGE if name.startswith(EDGE_PREFIXES) else FieldKind.PASSED


KNOWN = FieldRules()
"""What holds where no operator said otherwise."""


def _kinds_left_out(*, trusted: bool, storable: bool, safe: bool) -> frozenset[FieldKind]:
    kinds = {FieldKind.NEVER}
    if storable:
        kinds |= {FieldKind.WITHHELD, FieldKind.ODD, FieldKind.SPELLED}
    if not trusted:
        kinds |= {FieldKind.PROXY, FieldKind.PROXY_CLIENT, FieldKind.SPELLED}
        if storable:
            kinds |= {FieldKind.EDGE, FieldKind.EDGE_CLIENT}
        if safe:
            kinds.add(FieldKind.METHOD)
    return frozenset(kinds)


LEFT_OUT = {
    (trusted, storable, safe): _kinds_left_out(trusted=trusted, storable=storable, safe=safe)
    for trusted in (False, True)
    for storable in (False, True)
    for safe in (False, True)
}
"""The kinds of fields that the application does not get of a request, by whether it is trusted, storable and safe."""


def is_counted(kind: FieldKind, *, trusted: bool) -> bool:
    """Tell whether a field of this kind is in the key of a request."""
    return kind is FieldKind.KEYED or (trusted and kind in _FROM_PROXIES_KEYED)


def is_steady(name: bytes) -> bool:
    """Tell whether all requests of a site have the same in a field that is in their keys."""
    return name in STEADY
