"""Whose purges are taken on the public listeners, and in which dialects?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PurgeDialect(StrEnum):
    """Programs whose purges are understood on the public listeners."""

    WAGTAIL = "wagtail"
    """PURGE of a URL, as Wagtail's frontend cache sends it."""
    WORDPRESS = "wordpress"
    """The same, and ``X-Purge-Method: regex``, as Proxy Cache Purge (Varnish HTTP Purge) and its kin send it."""
    W3TC = "w3tc"
    """The same, and ``/.*`` at the end of the path, as W3 Total Cache sends it."""
    VARNISH = "varnish"
    """PURGE, BAN and REFRESH of a URL, as Varnish's own examples take them."""
    VARNISH_XKEY = "varnish-xkey"
    """PURGE with ``xkey``, ``xkey-purge`` or ``xkey-softpurge``."""
    FASTLY = "fastly"
    """PURGE of a URL or with ``Surrogate-Key``, soft with ``Fastly-Soft-Purge: 1``."""


@dataclass(frozen=True, slots=True)
class PurgeConfig:
    """Who may purge on the public listeners."""

    dialects: tuple[PurgeDialect, ...] = ()
    """Without one, PURGE and its kin are requests like all others."""
    networks: tuple[str, ...] = ()
    """Addresses that they are taken from."""
    token: str | None = None
    """And what they have to show."""
