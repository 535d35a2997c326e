"""What will bite, although the configuration is valid?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_network

from proxy.config.addresses import UNIX_PEERS, Tcp, Unix, is_every, is_loopback, parse_listener, parse_origin
from proxy.config.backtracking import nested_repetition
from proxy.config.load import BY_DEFAULT, Loaded
from proxy.config.model import SHARED_BYTES, CacheOptions, ClientCacheControl, Config, SetCookie, SharedOptions
from proxy.config.presets import kept_cookies
from proxy.config.routes import page_aliases, route_lists, upstreams
from proxy.config.telling_apart import cookie_settings
from proxy.config.units import show_bytes
from proxy.config.usual import USUAL
from proxy.config.wording import listed, quoted

SESSION_COOKIES = (
    "sessionid", "csrftoken", "PHPSESSID", "JSESSIONID", "ASP.NET_SessionId", ".AspNetCore.Cookies",
    "connect.sid", "session", "_session_id", "laravel_session", "XSRF-TOKEN", "ci_session",
    "CAKEPHP", "SESS0", "wordpress_logged_in_0", "wp-settings-1", "remember_token", "auth_token",
    "access_token", "jwt", "token",
)  # fmt: skip
"""Cookies by which frameworks know who is logged in; ``0`` and ``1`` stand for what differs from site to site."""
SHARE_FOR_CACHES = 0.8
"""Of the memory limit: an interpreter, its connections and the bodies on their way need the rest."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the machine gives us; None where it sets no limit or does not say."""

    memory: int | None = None
    cores: int | None = None


def warnings(loaded: Loaded, cgroup_limit: int | None = None, cores: int | None = None) -> list[str]:
    """List what an operator should know, each on one line; ``cgroup_limit`` in bytes, ``cores`` those usable."""
    around = Around(cgroup_limit, cores)
    return [line for check in _CHECKS for line in check(loaded, around)]


def _local_caches(config: Config) -> dict[str, CacheOptions]:
    """Return the options of those caches that each process has for itself."""
    return {
        alias: cache.OPTIONS
        for alias, cache in config.CACHES.items()
        if cache.BACKEND == "locmem" and isinstance(cache.OPTIONS, CacheOptions)
    }


def _in_shared_memory(config: Config) -> int:
    """Return what the caches may hold that all processes have together in memory."""
    shared = (each for each in config.CACHES.values() if not each.LOCATION and isinstance(each.OPTIONS, SharedOptions))
    return sum(each.OPTIONS.MAX_BYTES or SHARED_BYTES for each in shared if isinstance(each.OPTIONS, SharedOptions))


def _memory(loaded: Loaded, around: Around) -> Iterator[str]:
    caches = _local_caches(loaded.config)
    for alias, options in caches.items():
        if options.MAX_BYTES is None and options.MAX_ENTRIES is None:
            yield (
                f"CACHES.{alias}.OPTIONS: neither MAX_BYTES nor MAX_ENTRIES is set: "
                "the cache grows until memory runs out"
            )
    workers = loaded.config.workers
    tiers = sum(cache.LOCAL_TIER or 0 for cache in loaded.config.CACHES.values())
    of_each = sum(options.MAX_BYTES or 0 for options in caches.values()) + tiers
    bound = of_each * workers + _in_shared_memory(loaded.config)
    if around.memory is not None and bound > around.memory * SHARE_FOR_CACHES:
        each = f" in {workers} workers" if workers > 1 and (caches or tiers) else ""
        named = "MAX_BYTES, LOCAL_TIER" if tiers else "MAX_BYTES"
        yield (
            f"{named}: the caches may hold {show_bytes(bound)}{each}, and the memory limit of this control group is "
            f"{show_bytes(around.memory)}: when they fill up, the kernel ends the process"
        )


def _each_its_own(loaded: Loaded, _: Around) -> Iterator[str]:
    caches = _local_caches(loaded.config)
    if loaded.config.workers > 1 and caches:
        yield (
            f"workers: each of the {loaded.config.workers} has its own {listed(map(quoted, caches), 'and')} cache: "
            "a page is fetched once for each, and invalidated in one only"
        )


def _more_workers_than_cores(loaded: Loaded, around: Around) -> Iterator[str]:
    if around.cores is not None and loaded.config.workers > around.cores:
        yield f"workers: {loaded.config.workers} are more than the {around.cores} usable cores"


def _few_pages(loaded: Loaded, _: Around) -> Iterator[str]:
    for alias, options in _local_caches(loaded.config).items():
        at = f"CACHES.{alias}.OPTIONS.MAX_ENTRIES"
        if options.MAX_ENTRIES is not None and loaded.origins.get(at) == BY_DEFAULT:
            yield (
                f"{at}: Django's default of {options.MAX_ENTRIES} is few for pages: "
                "set it, or set it to null to be bounded by MAX_BYTES alone"
            )


def _page_caches(loaded: Loaded, _: Around) -> Iterator[str]:
    config = loaded.config
    for alias, path in page_aliases(config).items():
        if config.CACHES[alias].BACKEND == "dummy":
            yield f"{path}: {quoted(alias)} is a dummy cache: nothing is ever stored"
        options = _local_caches(config).get(alias)
        most = options.MAX_BYTES if options is not None else None
        if most is not None and config.limits.stored_body > most:
            yield (
                f"limits.stored_body: {show_bytes(config.limits.stored_body)} for one response is more than "
                f"CACHES.{alias}.OPTIONS.MAX_BYTES ({show_bytes(most)}) holds: such a response is never kept"
            )


def _unreached_routes(loaded: Loaded, _: Around) -> Iterator[str]:
    for path, routes in route_lists(loaded.config):
        for i, route in enumerate(routes[:-1]):
            if not (route.regex or route.methods or route.hosts) and (not route.match or "*" in route.match):
                yield f"{path}[{i}]: takes every request: those behind it are never reached"
                break


def _slow_patterns(loaded: Loaded, _: Around) -> Iterator[str]:
    for path, routes in route_lists(loaded.config):
        for i, route in enumerate(routes):
            if route.regex is not None and (found := nested_repetition(route.regex)) is not None:
                yield (
                    f"{path}[{i}].regex: {quoted(found)} repeats a repetition: "
                    "on a path made for it, matching takes longer than anybody waits"
                )


def _pickles(loaded: Loaded, _: Around) -> Iterator[str]:
    for alias, cache in loaded.config.CACHES.items():
        if cache.SERIALIZER is not None and "pickle" in cache.SERIALIZER.lower():
            yield (
                f"CACHES.{alias}.SERIALIZER: pickle runs whatever code a stored value holds: "
                "whoever can write to the store can run code here"
            )


def _session_cookies(loaded: Loaded, _: Around) -> Iterator[str]:
    for path, cookies in cookie_settings(loaded.config):
        kept = kept_cookies(cookies)
        known = [name for name in SESSION_COOKIES if not any(fnmatchcase(name, pattern) for pattern in kept)]
        for pattern in cookies.ignore:
            hit = [name for name in known if fnmatchcase(name.lower(), pattern.lower())]
            if not hit:
                continue
            yield (
                f"{path}.ignore: {quoted(pattern)} covers {quoted(hit[0])}, which looks like a session: "
                "one user may be shown another's page"
            )


def _identity(loaded: Loaded, _: Around) -> Iterator[str]:
    if USUAL not in loaded.config.identity_fields and loaded.config.identity_fields:
        yield (
            "identity_fields: API keys and the fields of authenticating proxies say nothing of who asks; "
            f"add {USUAL} to count them too"
        )


def _told_and_purged(loaded: Loaded, _: Around) -> Iterator[str]:
    if loaded.config.downstream_headers and loaded.config.purge.dialects:
        yield (
            "downstream_headers: browsers are told to keep pages for the operator's lifetime, and what is purged here "
            "stays there; leave it out where purge.dialects are set"
        )


def _set_cookie(loaded: Loaded, _: Around) -> Iterator[str]:
    config = loaded.config
    found = [("set_cookie", config.set_cookie)]
    for path, routes in route_lists(config):
        found += [(f"{path}[{i}].set_cookie", route.set_cookie) for i, route in enumerate(routes) if route.set_cookie]
    for path in (path for path, said in found if said is SetCookie.EXPLICIT):
        yield (
            f"{path}: explicit: a cookie in a response that says how long it is fresh is set in every visitor's "
            "browser: if it is a session, they all share it"
        )


def _proxies(loaded: Loaded, _: Around) -> Iterator[str]:
    config = loaded.config
    for network in config.trusted_proxies:
        if network != UNIX_PEERS and ip_network(network).prefixlen == 0:
            yield f"trusted_proxies: {network} is everybody: any client can claim any address, scheme and host"
    sockets = [text for text in config.listen if isinstance(parse_listener(text), Unix)]
    if sockets and UNIX_PEERS not in config.trusted_proxies:
        yield (
            f"listen: {sockets[0]}: whoever comes over a Unix socket is a proxy on this machine: "
            "name it (trusted_proxies: [unix]), or its X-Forwarded-For and -Proto are dropped"
        )
    if config.trusted_proxies:
        return
    if config.client_cache_control is ClientCacheControl.TRUSTED:
        yield "client_cache_control: trusted, and trusted_proxies is empty: no request's Cache-Control counts"
    public = [text for text in config.listen if not is_loopback(parse_listener(text))]
    if public:
        yield (
            f"listen: {public[0]} can be reached from outside and trusted_proxies is empty: behind a load balancer, "
            "name its network, or its X-Forwarded-For and -Proto are dropped"
        )


def _same_port(loaded: Loaded, _: Around) -> Iterator[str]:
    for path, upstream in upstreams(loaded.config):
        origin = parse_origin(upstream.url).address
        if not isinstance(origin, Tcp) or is_loopback(origin):
            continue
        for text in loaded.config.listen:
            listener = parse_listener(text)
            if is_every(listener) and isinstance(listener, Tcp) and listener.port == origin.port:
                yield (
                    f"{path}.url: has the port of listen ({text}): if {origin.host} is this machine, "
                    "requests go round in a loop"
                )


def _certificates(loaded: Loaded, _: Around) -> Iterator[str]:
    for path, upstream in upstreams(loaded.config):
        if upstream.ca_file is not None and not parse_origin(upstream.url).tls:
            yield f"{path}.ca_file: has no effect, since {path}.url is not https"


_CHECKS: tuple[Callable[[Loaded, Around], Iterator[str]], ...] = (
    _memory,
    _each_its_own,
    _more_workers_than_cores,
    _few_pages,
    _page_caches,
    _unreached_routes,
    _slow_patterns,
    _pickles,
    _session_cookies,
    _identity,
    _told_and_purged,
    _set_cookie,
    _proxies,
    _same_port,
    _certificates,
)
