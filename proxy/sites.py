"""Which sites and routes does the configuration have, and what does each of them decide?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from proxy.config.locales import time_zones
from proxy.config.model import (
    DEFAULT_LIFETIME,
    DEFAULT_STALE_IF_ERROR,
    CacheConfig,
    Config,
    CookieConfig,
    NormalizeConfig,
    QueryConfig,
    ResponseLifetimesConfig,
    RouteConfig,
    SiteConfig,
    UpstreamConfig,
)
from proxy.config.presets import RESPONSE_LIFETIMES, ignored_cookies, ignored_parameters, kept_cookies
from proxy.config.routes import plain_directives, route_name
from proxy.config.source import join
from proxy.config.units import Seconds
from proxy.config.usual import HEALTH_AGENTS, HEALTH_PATHS, IDENTITY_FIELDS, PAGE_TYPES, with_usual
from proxy.exchange.searches import Searches
from proxy.exchange.site import NONE, Route, Site, Sites
from proxy.policy.companions import COMPANIONS
from proxy.policy.cookies import IgnoredCookies
from proxy.policy.default_lifetime import FieldLifetimes, HealthChecks, MediaTypes
from proxy.policy.field_rules import FieldRules
from proxy.policy.heuristic import Heuristic
from proxy.policy.identity import IdentityFields
from proxy.policy.key import Distinctions
from proxy.policy.languages import Languages
from proxy.policy.negotiation import NOTHING_DECLARED, Normal
from proxy.policy.patching import NO_PATCHES, Patches, directives_of
from proxy.policy.query import QueryRules
from proxy.policy.routing import Hosts, match_of
from proxy.policy.rules import Rules
from proxy.policy.tags import HIDDEN
from proxy.policy.zones import Zones
from proxy.storage.responses import Responses
from proxy.upstream.client import Origin


@dataclass(frozen=True, slots=True)
class Parts:
    """What sites are built of."""

    config: Config
    responses: Callable[[str], Responses]
    """The stored responses of an alias."""
    origin: Callable[[UpstreamConfig], Origin]


def sites_of(parts: Parts) -> Sites:
    """Return every site of the configuration."""
    config = parts.config
    named = []
    for name, settings in config.sites.items():
        site = _site(parts, join("sites", name), name, settings)
        named += [(host, site) for host in settings.hosts]
    otherwise = None
    if config.upstream is not None:
        otherwise = _site(parts, "", NONE, SiteConfig((), config.upstream, config.routes))
    return Sites(named, otherwise, Hosts(config.ALLOWED_HOSTS))


def rules_of(config: Config) -> Rules:
    """Return what the operator decided about caching, for all sites."""
    is_told = config.downstream_headers
    return Rules(
        site_lifetime=DEFAULT_LIFETIME,
        stale_if_error=DEFAULT_STALE_IF_ERROR if config.stale_if_error is None else config.stale_if_error,
        stale_data=config.stale_if_error is not None,
        page_types=MediaTypes(with_usual(config.page_types, PAGE_TYPES)),
        health_checks=HealthChecks(
            with_usual(config.health_checks.paths, HEALTH_PATHS),
            with_usual(config.health_checks.user_agents, HEALTH_AGENTS),
        ),
        tells_default=bool(is_told),
        bare_while_revalidate=config.stale_while_revalidate_without_value,
        response_lifetimes=response_lifetimes(config.response_lifetimes),
        companions=tuple(each for framework in config.invalidate_also for each in COMPANIONS.get(framework, ())),
        stored_body=config.limits.stored_body,
        client_cache_control=config.client_cache_control,
        distinctions=distinctions_of(config),
        downstream_headers=not config.purge.dialects if is_told is None else is_told,
        hidden=frozenset() if config.downstream_tags else HIDDEN,
        targeted=tuple(name.lower().encode("ascii") for name in config.targeted),
        heuristic=Heuristic(config.heuristic.percent / 100, config.heuristic.most),
        set_cookie=config.set_cookie,
        store_post=config.store_post,
        validate_variants=config.validate_variants,
        stale_after_s_maxage=config.stale_after_s_maxage,
        tells_keys=config.cache_status.key,
    )


def response_lifetimes(config: ResponseLifetimesConfig) -> FieldLifetimes:
    """Return the fields of responses that make lifetimes shorter."""
    lifetimes: dict[bytes, dict[bytes, Seconds]] = {}
    for rule in (*(rule for preset in config.preset for rule in RESPONSE_LIFETIMES.get(preset, ())), *config.rules):
        known = lifetimes.setdefault(rule.field.encode("ascii"), {})
        known[rule.value.lower().encode("ascii")] = rule.lifetime
    return lifetimes


def distinctions_of(config: Config) -> Distinctions:
    """Return what tells the variants of a page apart, where no site and no route says otherwise."""
    return _distinctions(config, _Apart(config.cookies, config.normalize))


def _distinctions(config: Config, apart: _Apart) -> Distinctions:
    languages = zones = None
    if config.USE_I18N and isinstance(config.LANGUAGES, tuple):
        languages = Languages(config.LANGUAGES, config.LANGUAGE_CODE, config.LANGUAGE_COOKIE_NAME.encode("ascii"))
    if config.USE_TZ and config.timezone_from is not None:
        zones = Zones(time_zones(), config.TIME_ZONE, config.timezone_from.removeprefix("header:").encode("ascii"))
    ignored, kept = ignored_cookies(apart.cookies), kept_cookies(apart.cookies)
    told = config.request_fields
    rules = FieldRules(key=told.key, withhold=told.withhold, forward=told.forward, underscores=told.underscores)
    identity = IdentityFields(with_usual(config.identity_fields, IDENTITY_FIELDS))
    distinctions = Distinctions(ignored, languages, zones, _normal(apart.normalize), kept, identity)
    distinctions.fields = rules
    return distinctions


def _normal(normalize: NormalizeConfig) -> Normal:
    if normalize == NormalizeConfig():
        return NOTHING_DECLARED
    return Normal(
        encodings=tuple(name.encode("ascii") for name in normalize.accept_encoding),
        languages=tuple(tag.encode("ascii") for tag in normalize.accept_language),
        lists=frozenset(name.encode("ascii") for name in normalize.fields),
        language_order=normalize.language_order,
        content_language=normalize.content_language,
    )


def _site(parts: Parts, path: str, name: str, settings: SiteConfig) -> Site:
    config = parts.config
    upstream = settings.upstream or config.upstream
    if upstream is None:
        raise ValueError(f"{path} has no upstream")  # the configuration was not checked
    alias = settings.CACHE_MIDDLEWARE_ALIAS or config.CACHE_MIDDLEWARE_ALIAS
    prefix = settings.CACHE_MIDDLEWARE_KEY_PREFIX
    seconds = settings.CACHE_MIDDLEWARE_SECONDS
    seconds = config.CACHE_MIDDLEWARE_SECONDS if seconds is None else seconds
    prefix = config.CACHE_MIDDLEWARE_KEY_PREFIX if prefix is None else prefix
    rules = rules_of(config)
    plain = Route(
        origin=parts.origin(upstream),
        responses=parts.responses(alias),
        # Where it is set, it means what Django means: for every 200, and browsers are told.
        rules=rules if seconds is None else replace(rules, site_lifetime=seconds, page_types=None, tells_default=True),
        scope=scope(config.CACHES[alias], prefix),
        site=name,
        query=_query(config.query if settings.query is None else settings.query),
        searches=Searches() if config.no_vary_search else None,
    )
    apart = _Apart(config.cookies, config.normalize).of(settings)
    plain = _told_apart(plain, apart, config) if apart.is_own(settings) else plain
    plain = _withholding(plain, apart.cookies, config)
    routes_at = f"{path}.routes" if path else "routes"
    routes = []
    for i, route in enumerate(settings.routes):
        own = alias if route.cache is None else route.cache
        made = _route(plain, route, route_name(routes_at, i, route))
        if route.cache is not None or route.key_prefix is not None:
            own_prefix = prefix if route.key_prefix is None else route.key_prefix
            responses = parts.responses(own)
            if apart.is_own(settings):
                responses = responses.told_apart_by(plain.rules.distinctions)
            made = replace(made, responses=responses, scope=scope(config.CACHES[own], own_prefix))
        if apart.is_own(route):
            made = _told_apart(made, apart.of(route), config)
        made = _withholding(made, apart.of(route).cookies, config)
        routes.append((match_of(route), _searching(made)))
    return Site(tuple(routes), _searching(plain), config.path_parameters)


@dataclass(frozen=True, slots=True)
class _Apart:
    """What of a site or a route tells the variants of its pages apart."""

    cookies: CookieConfig
    normalize: NormalizeConfig

    @staticmethod
    def is_own(settings: SiteConfig | RouteConfig) -> bool:
        """Tell whether a site or a route has any of its own."""
        return settings.cookies is not None or settings.normalize is not None

    def of(self, settings: SiteConfig | RouteConfig) -> _Apart:
        """Return what holds for a site or a route in here."""
        cookies = self.cookies if settings.cookies is None else settings.cookies
        return _Apart(cookies, self.normalize if settings.normalize is None else settings.normalize)


def _told_apart(route: Route, apart: _Apart, config: Config) -> Route:
    distinctions = _distinctions(config, apart)
    rules = replace(route.rules, distinctions=distinctions)
    return replace(route, rules=rules, responses=route.responses.told_apart_by(distinctions))


def _searching(route: Route) -> Route:
    """Return a route that looks at queries, where responses may say something of them."""
    return route if route.searches is None or route.query is not None else replace(route, query=QueryRules())


def _query(query: QueryConfig) -> QueryRules | None:
    ignored = ignored_parameters(query)
    if not ignored and not query.keep and not query.sort:
        return None
    return QueryRules(ignored, keep=query.keep, sort=query.sort, upstream=query.upstream)


def _withholding(route: Route, cookies: CookieConfig, config: Config) -> Route:
    """Return a route whose origin does not get ignored cookies; those by which it answers differently it does."""
    if not cookies.withhold:
        return replace(route, rules=replace(route.rules, withheld_cookies=None))
    needed = [name.decode("ascii").removeprefix("cookie:") for name in route.rules.varied_cookies]
    if config.USE_I18N:
        needed.append(config.LANGUAGE_COOKIE_NAME)
    if config.USE_TZ and (config.timezone_from or "").startswith("cookie:"):
        needed.append((config.timezone_from or "").removeprefix("cookie:"))
    withheld = route.rules.distinctions.cookies
    if needed:
        withheld = IgnoredCookies(ignored_cookies(cookies), kept=(*kept_cookies(cookies), *needed))
    return replace(route, rules=replace(route.rules, withheld_cookies=withheld))


def _route(plain: Route, route: RouteConfig, name: str) -> Route:
    return replace(
        plain,
        name=name,
        rules=_rules(plain.rules, route),
        query=plain.query if route.query is None else _query(route.query),
        patches=_patches(route),
        bypass=route.bypass or route.never_cache or (route.cache_page is not None and not route.cache_page),
    )


def _patches(route: RouteConfig) -> Patches | None:
    patches = Patches(
        cache_control=directives_of(plain_directives(route.cache_control)),
        vary_on=tuple(name.encode("ascii") for name in route.vary_on if not name.startswith("cookie:")),
        never_cache=route.never_cache,
        remove_set_cookie=frozenset(name.encode("ascii") for name in route.remove_set_cookie),
    )
    return None if patches == NO_PATCHES else patches


def _rules(rules: Rules, route: RouteConfig) -> Rules:
    lifetimes = {int(status.removesuffix("xx")): lifetime for status, lifetime in route.status_ttl.items()}
    downstream = route.downstream_headers
    return replace(
        rules,
        cache_page=route.cache_page,
        status_lifetimes=lifetimes,
        stale_while_revalidate=route.stale_while_revalidate or Seconds(0),
        stale_if_error=rules.stale_if_error if route.stale_if_error is None else route.stale_if_error,
        stale_data=rules.stale_data or route.stale_if_error is not None,
        varied_cookies=tuple(name.encode("ascii") for name in route.vary_on if name.startswith("cookie:")),
        hidden=rules.hidden,
        downstream_headers=rules.downstream_headers if downstream is None else downstream,
        tells_default=rules.tells_default if downstream is None else downstream,
        set_cookie=route.set_cookie or rules.set_cookie,
        # What the operator wrote into Cache-Control is to count.
        targeted=() if route.cache_control else rules.targeted,
    )


def scope(cache: CacheConfig, prefix: str) -> bytes:
    """Return what the keys of pages in this cache, under this prefix, begin with."""
    parts = (cache.KEY_PREFIX, str(cache.VERSION), prefix)
    return b"".join(b"%d:%b" % (len(part), part) for part in (text.encode() for text in parts))
