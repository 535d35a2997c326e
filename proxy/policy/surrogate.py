"""What applications say to one kind of cache only: X-Accel-Expires, Surrogate-Control and Edge-Control.

They count where the lifetime would otherwise be the operator's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields
from proxy.message.grammar import members, unquote
from proxy.policy.directives import GREATEST_DELTA, delta_seconds

#: The device token under which Surrogate-Control may name this cache alone (Edge Architecture Specification 1.0).
_OUR_TOKEN = b"sitecache"

_MOMENT = re.compile(rb"@[0-9]{1,18}")
_DURATION = re.compile(rb"([0-9]{1,11})([smhd]?)")
#: A comma is missing, and what forbids still does.
_SEPARATED = re.compile(rb"[; \t]+")
_PART = re.compile(rb'(?:\A|(?<=;))(?:[^;"]|"[^"]*"?)*')
_UNITS: Mapping[bytes, int] = {b"": 1, b"s": 1, b"m": 60, b"h": 3600, b"d": 86400}
#: The first is of the specification; who writes the others means the same.
_SURROGATE_FORBIDS = frozenset((b"no-store", b"private", b"no-cache"))
#: Words of Edge-Control that keep a response out of a cache; ``!`` before one takes it back.
_EDGE_FORBIDS = frozenset((b"no-store", b"bypass-cache", b"no-cache"))

_STALE = Seconds(0)


@dataclass(frozen=True, slots=True)
class SurrogateWord:
    """What such fields say together."""

    lifetime: Seconds | None
    """0: it is not to be stored; None: they say nothing that counts here."""
    fields: frozenset[bytes]
    """The lower-case names of those that say it: they are for this cache, and nobody behind it gets them."""

    @property
    def forbids(self) -> bool:
        """Tell whether it is not to be stored."""
        return self.lifetime is not None and not self.lifetime


NO_WORD = SurrogateWord(None, frozenset())


def surrogate_word(fields: Fields, now: UnixTime) -> SurrogateWord:
    """Return the shortest lifetime that these fields give; what cannot be read is 0 (RFC 9111 §4.2.1)."""
    if READERS.keys().isdisjoint(fields.index):
        return NO_WORD
    said = {}
    for name, read in READERS.items():
        value = fields.index.get(name)
        lifetime = None if value is None else read(value, now)
        if lifetime is not None:
            said[name] = lifetime
    return SurrogateWord(min(said.values()), frozenset(said)) if said else NO_WORD


def _x_accel_expires(value: bytes, now: UnixTime) -> Seconds | None:
    """Read seconds, or ``@`` and a moment in seconds since 1970 (nginx, ngx_http_proxy_module)."""
    value = value.strip(b" \t")
    if _MOMENT.fullmatch(value):
        return Seconds(max(0.0, min(int(value[1:]) - now, GREATEST_DELTA)))
    return delta_seconds(value) or _STALE


def _surrogate_control(value: bytes, now: UnixTime) -> Seconds | None:
    """Read ``no-store`` and ``max-age=N+M``; a directive with the token of another device is not for us."""
    del now
    said: dict[bytes, Seconds] = {}
    for member in members(value):
        directive, targets = _split_targets(member)
        if not _SURROGATE_FORBIDS.isdisjoint(targets):
            # No device is called so: a comma is missing.
            return _STALE
        if targets and _OUR_TOKEN not in targets:
            continue
        name, equals, argument = directive.partition(b"=")
        name = name.strip(b" \t").lower()
        if name in _SURROGATE_FORBIDS:
            return _STALE
        if name == b"max-age" and equals:
            # Fresh for N seconds, and of use for M more; those are not ours to promise.
            said[b"ours" if targets else b"all"] = delta_seconds(unquote(argument).partition(b"+")[0]) or _STALE
    return said.get(b"ours", said.get(b"all"))


def _split_targets(member: bytes) -> tuple[bytes, frozenset[bytes]]:
    """Return a directive and the device tokens behind it; ``content="a;b"`` has none."""
    directive, *others = _PART.findall(member)
    # A token has no argument: `no-store; content="ESI/1.0"` lacks a comma, and is said to every device.
    return directive, frozenset(part for other in others if b"=" not in (part := other.strip(b" \t").lower()) and part)


def _edge_control(value: bytes, now: UnixTime) -> Seconds | None:
    """Read what Akamai does: ``no-store``, ``bypass-cache``, ``max-age=10m``, ``cache-maxage=1h``."""
    del now
    lifetime: Seconds | None = None
    for name, argument in _edge_directives(value):
        if name in _EDGE_FORBIDS:
            return _STALE
        if name in (b"max-age", b"cache-maxage"):
            read = _duration(argument)
            lifetime = read if lifetime is None else min(lifetime, read)
    return lifetime


def _edge_directives(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    for member in members(value):
        for part in _SEPARATED.split(member):
            name, _, argument = part.partition(b"=")
            yield name.lower(), unquote(argument).lower()


def _duration(value: bytes) -> Seconds:
    matched = _DURATION.fullmatch(value)
    return _STALE if matched is None else Seconds(min(int(matched[1]) * _UNITS[matched[2]], GREATEST_DELTA))


READERS: Mapping[bytes, Callable[[bytes, UnixTime], Seconds | None]] = {
    b"x-accel-expires": _x_accel_expires,
    b"surrogate-control": _surrogate_control,
    b"edge-control": _edge_control,
}
"""By lower-case name of the field."""
