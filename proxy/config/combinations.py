"""Which settings are each right and impossible together?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from proxy.config.addresses import is_loopback, parse_listener, parse_origin, same_place
from proxy.config.conflict import Conflict
from proxy.config.locales import locale_conflicts
from proxy.config.model import Config
from proxy.config.routes import route_conflicts, site_conflicts, upstreams
from proxy.config.rules import OFF
from proxy.config.telling_apart import telling_apart_conflicts
from proxy.config.units import show_bytes
from proxy.config.wording import closest, listed, quoted
from proxy.errors import Fault

DEFAULT = "default"
#: Why a copy of what lies there would bring nothing.
_NO_LOCAL_TIER = {
    "locmem": "its pages are in the memory of the process already",
    "shared": "each process has its hot pages ready already, and knows at once when they change",
    "dummy": "it keeps nothing that could be copied",
}


def conflicts(config: Config, origins: Mapping[str, str], bad: set[str]) -> list[Fault]:
    """List what cannot be together, save where a value taking part is itself refused already."""
    found = (conflict for check in _CHECKS for conflict in check(config))
    return [
        _placed(conflict.fault, origins)
        for conflict in found
        if not any(touches(path, refused) for path in conflict.paths for refused in bad)
    ]


def _placed(fault: Fault, origins: Mapping[str, str]) -> Fault:
    where = origins.get(fault.path, "")
    return Fault(fault.path, fault.expected, fault.found, where, fault.hint)


def touches(one: str, other: str) -> bool:
    """Whether one path is the other, or leads into it."""
    short, long = sorted((one, other), key=len)
    return long == short or long.startswith((f"{short}.", f"{short}["))


def _target_in_header(config: Config) -> Iterator[Conflict]:
    limits = config.limits
    if limits.target > limits.header_bytes:
        expected = f"at most limits.header_bytes ({show_bytes(limits.header_bytes)}), which the target is part of"
        fault = Fault("limits.target", expected, show_bytes(limits.target))
        yield Conflict(("limits.target", "limits.header_bytes"), fault)


def _listeners_apart(config: Config) -> Iterator[Conflict]:
    for (i, one), (j, other) in combinations(enumerate(config.listen), 2):
        if same_place(parse_listener(one), parse_listener(other)):
            fault = Fault(f"listen[{j}]", "an address of its own", quoted(other), hint=f"listen[{i}] is {quoted(one)}")
            yield Conflict(("listen",), fault)


def _admin_apart(config: Config) -> Iterator[Conflict]:
    if config.admin.listen == OFF or not config.admin.listen:
        return
    admin = parse_listener(config.admin.listen)
    for i, text in enumerate(config.listen):
        if same_place(parse_listener(text), admin):
            hint = f"listen[{i}] is {quoted(text)}"
            fault = Fault("admin.listen", "an address of its own", quoted(config.admin.listen), hint=hint)
            yield Conflict(("listen", "admin.listen"), fault)
    for path, upstream in upstreams(config):
        if same_place(admin, parse_origin(upstream.url).address):
            fault = Fault("admin.listen", "an address other than the upstream's", quoted(config.admin.listen))
            yield Conflict(("admin.listen", path), fault)


def _admin_guarded(config: Config) -> Iterator[Conflict]:
    admin = config.admin
    if admin.listen == OFF or not admin.listen or admin.token is not None or is_loopback(parse_listener(admin.listen)):
        return
    expected = "a loopback address or a Unix socket where there is no admin.token"
    fault = Fault("admin.listen", expected, quoted(admin.listen), hint="or set admin.token, as ${ADMIN_TOKEN}")
    yield Conflict(("admin.listen", "admin.token"), fault)


def _purges_guarded(config: Config) -> Iterator[Conflict]:
    purge = config.purge
    if not purge.dialects:
        return
    if not purge.networks:
        fault = Fault("purge.networks", "the addresses that purges are taken from, beside purge.dialects", "none")
        yield Conflict(("purge.dialects", "purge.networks"), fault)
    if purge.token is None:
        expected = "what purges have to show, beside purge.dialects"
        fault = Fault("purge.token", expected, "none", hint="set it, as ${PURGE_TOKEN}")
        yield Conflict(("purge.dialects", "purge.token"), fault)


def _no_loop(config: Config) -> Iterator[Conflict]:
    for i, text in enumerate(config.listen):
        for path, upstream in upstreams(config):
            if same_place(parse_listener(text), parse_origin(upstream.url).address):
                hint = f"listen[{i}] is {quoted(text)}: requests would go round in a loop"
                fault = Fault(f"{path}.url", "an address that is not our own", quoted(upstream.url), hint=hint)
                yield Conflict(("listen", path), fault)


def _aliases(config: Config) -> Iterator[Conflict]:
    aliases = list(config.CACHES)
    if DEFAULT not in aliases:
        found = listed(map(quoted, aliases[:20]), "and") if aliases else "no cache"
        yield Conflict((), Fault("CACHES", f'a cache named "{DEFAULT}"', found, hint=_meant(aliases)))
    alias = config.CACHE_MIDDLEWARE_ALIAS
    if alias not in aliases and alias != DEFAULT:
        expected = f"a cache of CACHES ({listed(map(quoted, aliases[:20])) if aliases else 'none'})"
        fault = Fault("CACHE_MIDDLEWARE_ALIAS", expected, quoted(alias), hint=closest(alias, aliases))
        yield Conflict(("CACHE_MIDDLEWARE_ALIAS",), fault)


def _local_tiers(config: Config) -> Iterator[Conflict]:
    for alias, cache in config.CACHES.items():
        why = _NO_LOCAL_TIER.get(cache.BACKEND)
        if cache.LOCAL_TIER is not None and why is not None:
            path = f"CACHES.{alias}.LOCAL_TIER"
            fault = Fault(path, "a cache outside the process", quoted(cache.BACKEND), hint=why)
            yield Conflict((path, f"CACHES.{alias}.BACKEND"), fault)


def _meant(aliases: list[str]) -> str:
    near = [alias for alias in aliases if closest(alias, [DEFAULT])]
    return f"rename {quoted(near[0])}" if near else ""


_CHECKS: tuple[Callable[[Config], Iterator[Conflict]], ...] = (
    _target_in_header,
    _listeners_apart,
    _admin_apart,
    _admin_guarded,
    _purges_guarded,
    _no_loop,
    _aliases,
    _local_tiers,
    site_conflicts,
    route_conflicts,
    locale_conflicts,
    telling_apart_conflicts,
)
