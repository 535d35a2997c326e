"""Which sites and routes are impossible, although each of their settings has a type that fits?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from proxy.config.conflict import Conflict
from proxy.config.model import Config, RouteConfig, SiteConfig, UpstreamConfig
from proxy.config.source import join
from proxy.config.units import parse_seconds
from proxy.config.wording import closest, listed, quoted
from proxy.errors import Fault

_DURATIONS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})
_WITH_FIELDS = frozenset({"no-cache", "private"})
_BARE = frozenset(
    {"public", "no-store", "no-transform", "must-revalidate", "proxy-revalidate", "must-understand", "immutable"}
)
DIRECTIVES = _DURATIONS | _WITH_FIELDS | _BARE
"""Of a response (RFC 9111 §5.2.2, RFC 5861, RFC 8246); others are extensions."""

_WHICH = ("match", "regex", "methods", "hosts", "name")
"""What says which requests a route takes, and what it is called."""
_OF_STORING = (
    *("cache_page", "cache", "key_prefix", "stale_while_revalidate", "stale_if_error", "status_ttl"),
    *("query", "normalize", "set_cookie"),
)
_STATUS = re.compile(r"[2-5](?:[0-9]{2}|xx)")
_NEVER_STORED = frozenset({"206", "304"})


def route_conflicts(config: Config) -> Iterator[Conflict]:
    """List what is wrong with the routes of every site."""
    for path, routes in route_lists(config):
        names: dict[str, str] = {}
        for i, route in enumerate(routes):
            at = f"{path}[{i}]"
            yield from _which(at, route)
            yield from _together(at, route)
            yield from _alias(join(at, "cache"), route.cache, config)
            yield from _directives(at, route)
            yield from _statuses(at, route)
            name = route_name(path, i, route)
            if name in names:
                fault = Fault(f"{at}.name", "a name of its own", quoted(name), hint=f"{names[name]} has it")
                yield Conflict((f"{at}.name", f"{names[name]}.name"), fault)
            names[name] = at


def site_conflicts(config: Config) -> Iterator[Conflict]:
    """List what is wrong between sites."""
    if config.upstream is None and not config.sites:
        hint = "give it with --upstream http://127.0.0.1:8000, or with upstream: in the file"
        yield Conflict(("upstream",), Fault("upstream", "the address of the application", "nothing", hint=hint))
    if config.upstream is None and config.routes:
        fault = Fault("routes", "routes of a site, since there is no upstream for other hosts", "routes of its own")
        yield Conflict(("upstream", "routes"), fault)
    taken: dict[str, str] = {}
    for name, site in config.sites.items():
        path = join("sites", name)
        if site.upstream is None and config.upstream is None:
            hint = "give it here, or at the top of the file for all sites"
            fault = Fault(f"{path}.upstream", "the address of the application", "nothing", hint=hint)
            yield Conflict((path, "upstream"), fault)
        yield from _alias(f"{path}.CACHE_MIDDLEWARE_ALIAS", site.CACHE_MIDDLEWARE_ALIAS, config)
        yield from _hosts(path, site, config, taken)


def _hosts(path: str, site: SiteConfig, config: Config, taken: dict[str, str]) -> Iterator[Conflict]:
    for i, host in enumerate(site.hosts):
        at = f"{path}.hosts[{i}]"
        if host == "*":
            hint = "hosts that no site names are those of upstream and routes at the top of the file"
            yield Conflict((at,), Fault(at, "a host of this site", '"*"', hint=hint))
        elif host in taken:
            yield Conflict(
                (at, taken[host]), Fault(at, "a host of one site", quoted(host), hint=f"{taken[host]} has it")
            )
        elif not any(may_be_allowed(host, pattern) for pattern in config.ALLOWED_HOSTS):
            fault = Fault(at, "a host that ALLOWED_HOSTS allows", quoted(host), hint="add it there")
            yield Conflict((at, "ALLOWED_HOSTS"), fault)
        taken.setdefault(host, at)


def may_be_allowed(host: str, pattern: str) -> bool:
    """Whether a pattern of ALLOWED_HOSTS allows at least one of the hosts that another pattern names."""
    if pattern in {"*", host}:
        return True
    name = host.removeprefix(".")
    inside = pattern.startswith(".") and f".{name}".endswith(pattern)
    return inside or (host.startswith(".") and f".{pattern.removeprefix('.')}".endswith(host))


def route_name(path: str, number: int, route: RouteConfig) -> str:
    """Return the name of a route, which is its place where it was given none."""
    return route.name or f"{path}[{number}]"


def plain_directives(said: Mapping[str, object]) -> Mapping[str, object]:
    """Return ``cache_control`` with its durations in seconds."""
    return {name: _argument(_directive_name(name), value) for name, value in said.items()}


def _directive_name(name: str) -> str:
    return name.lower().replace("_", "-")


def _argument(name: str, value: object) -> object:
    """Return the argument that a directive can have; ValueError says what is expected."""
    if name in _DURATIONS:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError("a duration such as 30s, 5m or 1d")
        try:
            return int(parse_seconds(value))
        except ValueError:
            raise ValueError("a duration such as 30s, 5m or 1d") from None
    if value is True:
        return True
    if name in _BARE:
        raise ValueError("true")
    if isinstance(value, bool) or not isinstance(value, str | int) or not _is_argument(str(value)):
        raise ValueError("true, or names of fields" if name in _WITH_FIELDS else "true, a word or a number")
    return value


def _is_argument(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and not any(mark in text for mark in '"\\;')


def upstreams(config: Config) -> Iterator[tuple[str, UpstreamConfig]]:
    """Give the path and the settings of every upstream that is usable."""
    found = {"upstream": config.upstream}
    found |= {f"{join('sites', name)}.upstream": site.upstream for name, site in config.sites.items()}
    for path, upstream in found.items():
        if upstream is not None and upstream.url:
            yield path, upstream


def page_aliases(config: Config) -> dict[str, str]:
    """Return the caches that pages are stored in, each with the path of the first setting that says so."""
    found = [(config.CACHE_MIDDLEWARE_ALIAS, "CACHE_MIDDLEWARE_ALIAS")] if config.upstream is not None else []
    for name, site in config.sites.items():
        own = site.CACHE_MIDDLEWARE_ALIAS
        path = "CACHE_MIDDLEWARE_ALIAS" if own is None else f"{join('sites', name)}.CACHE_MIDDLEWARE_ALIAS"
        found.append((own or config.CACHE_MIDDLEWARE_ALIAS, path))
    for path, routes in route_lists(config):
        found += [(route.cache, f"{path}[{i}].cache") for i, route in enumerate(routes) if route.cache is not None]
    return dict(reversed(found))


def route_lists(config: Config) -> Iterator[tuple[str, tuple[RouteConfig, ...]]]:
    """Give the routes of every site, with the path they stand under."""
    yield "routes", config.routes
    for name, site in config.sites.items():
        yield join(join("sites", name), "routes"), site.routes


def _which(at: str, route: RouteConfig) -> Iterator[Conflict]:
    if route.match and route.regex is not None:
        fault = Fault(f"{at}.regex", "either match or regex", "both", hint="make two routes of them")
        yield Conflict((f"{at}.match", f"{at}.regex"), fault)


def _together(at: str, route: RouteConfig) -> Iterator[Conflict]:
    """What says that nothing is stored, beside what says how things are stored."""
    given = _given(route)
    if route.bypass:
        yield from _useless(at, "bypass", [name for name in given if name not in (*_WHICH, "bypass")])
    elif route.never_cache:
        yield from _useless(at, "never_cache", [name for name in given if name in (*_OF_STORING, "cache_control")])
    elif route.cache_page is not None and not route.cache_page:
        yield from _useless(at, "cache_page: 0", [name for name in given if name in _OF_STORING[1:]])
    if {"private", "public"} <= set(map(_directive_name, route.cache_control)):
        fault = Fault(f"{at}.cache_control", "either private or public", "both")
        yield Conflict((f"{at}.cache_control",), fault)


def _useless(at: str, why: str, names: list[str]) -> Iterator[Conflict]:
    for name in names:
        hint = f"{why} stores nothing and looks nothing up"
        setting = why.partition(":")[0]
        yield Conflict((at,), Fault(f"{at}.{name}", f"not together with {setting}", "both", hint=hint))


def _given(route: RouteConfig) -> list[str]:
    """Return the names of the settings that differ from their defaults."""
    plain = RouteConfig()
    return [name for name in RouteConfig.__slots__ if getattr(route, name) != getattr(plain, name)]


def _alias(path: str, alias: str | None, config: Config) -> Iterator[Conflict]:
    if alias is None or alias in config.CACHES:
        return
    aliases = list(config.CACHES)
    expected = f"a cache of CACHES ({listed(map(quoted, aliases[:20])) if aliases else 'none'})"
    yield Conflict((path, "CACHES"), Fault(path, expected, quoted(alias), hint=closest(alias, aliases)))


def _directives(at: str, route: RouteConfig) -> Iterator[Conflict]:
    for name, value in route.cache_control.items():
        path = join(f"{at}.cache_control", name)
        directive = _directive_name(name)
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            yield Conflict((path,), Fault(path, "the name of a directive such as max_age", quoted(name)))
        elif directive not in DIRECTIVES and (hint := closest(directive, DIRECTIVES, 0.75)):
            yield Conflict((path,), Fault(path, "a directive of responses", quoted(name), hint=hint.replace("-", "_")))
        else:
            try:
                _argument(directive, value)
            except ValueError as error:
                shown = quoted(value) if isinstance(value, str) else _shown(value)
                yield Conflict((path,), Fault(path, str(error), shown))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    return "null" if value is None else str(value) if isinstance(value, int | float) else "something else"


def _statuses(at: str, route: RouteConfig) -> Iterator[Conflict]:
    for status in route.status_ttl:
        path = join(f"{at}.status_ttl", status)
        if not _STATUS.fullmatch(status):
            yield Conflict((path,), Fault(path, "a status such as 404, or a class such as 4xx", quoted(status)))
        elif status in _NEVER_STORED:
            yield Conflict((path,), Fault(path, "a status that can be stored", quoted(status)))
