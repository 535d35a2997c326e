"""Every setting, its type, its unit and its default, each written down once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from proxy.config.purging import PurgeConfig
from proxy.config.units import Bytes, Seconds
from proxy.config.usual import USUAL

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class ClientCacheControl(StrEnum):
    """Whose ``Cache-Control`` request directives count (RFC 9111 §5.2.1)."""

    HONOUR = "honour"
    IGNORE = "ignore"
    TRUSTED = "trusted"
    """Only those of peers in ``trusted_proxies``."""


class SetCookie(StrEnum):
    """What is done with a response that sets a cookie."""

    NEVER = "never"
    """It is not stored."""
    EXPLICIT = "explicit"
    """With a lifetime of its own it is stored, and the cookie is set in everybody's browser."""


class CookiePreset(StrEnum):
    """Whose cookies are known: those of analytics say nothing of a page; those of a framework do."""

    ANALYTICS = "analytics"
    DJANGO = "django"
    FLASK = "flask"
    RAILS = "rails"
    LARAVEL = "laravel"
    SYMFONY = "symfony"
    EXPRESS = "express"
    SPRING = "spring"
    ASPNET = "aspnet"
    PHOENIX = "phoenix"
    DRUPAL = "drupal"
    WORDPRESS = "wordpress"


class QueryPreset(StrEnum):
    """Whose parameters are known."""

    TRACKING = "tracking"


class KeyWarnings(StrEnum):
    """What is done about keys of caches that memcached would refuse, where the cache is none."""

    WARN = "warn"
    """A CacheKeyWarning in programs; over HTTP one line in the log for each pattern of keys."""
    IGNORE = "ignore"


class AccessLog(StrEnum):
    """How one line per request is written to standard output, if at all."""

    OFF = "off"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """How long a client may take."""

    header: Seconds = Seconds(10)
    """From the first byte of a request to the end of its head."""
    body: Seconds = Seconds(30)
    """Between two parts of a request body."""
    idle: Seconds = Seconds(75)
    """Between two requests on one connection."""
    write: Seconds = Seconds(60)
    """Without taking any byte of what we are sending."""
    linger: Seconds = Seconds(30)
    """For the rest of a request that was answered without it to be read and dropped."""
    drain: Seconds = Seconds(30)
    """For what is running to finish after SIGTERM or SIGINT."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client may send, and how much one response may hold."""

    header_bytes: Bytes = Bytes(64 * KIB)
    headers: int = 100
    target: Bytes = Bytes(16 * KIB)
    body: Bytes = Bytes(1 * GIB)
    """Of a request."""
    unwanted_body: Bytes = Bytes(1 * GIB)
    """Read and dropped of a request body after the answer to it, so that a client that sends all first reads that."""
    connections: int = 10000
    """Of clients, for each worker."""
    stored_body: Bytes = Bytes(32 * MIB)
    """Of a response; a larger one is passed on and not stored."""
    variants: int = 128
    """Stored responses for one URL that differ in what ``Vary`` names."""


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """How long the origin may take."""

    connect: Seconds = Seconds(2)
    first_byte: Seconds = Seconds(30)
    between_bytes: Seconds = Seconds(30)
    """Between two parts of a response body; event streams and tunnels are exempt."""
    idle: Seconds = Seconds(60)
    """How long an unused connection is kept for the next request."""


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """How much the origin may say before the body of a response."""

    header_bytes: Bytes = Bytes(256 * KIB)
    headers: int = 500
    interim: int = 16
    """Responses before the final one, such as ``103 Early Hints``."""


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """The origin: ``http://host:port``, ``https://host`` or ``unix:/path``."""

    url: str
    timeouts: UpstreamTimeouts = field(default_factory=UpstreamTimeouts)
    limits: UpstreamLimits = field(default_factory=UpstreamLimits)
    max_idle: int = 64
    """Unused connections kept for the next requests."""
    resolve_every: Seconds = Seconds(30)
    """How long an address is used before its name is looked up again."""
    ca_file: str | None = None
    """Certificates to verify an https origin with, instead of the system's."""


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """The listener for operators and their machines, never reachable through the public ones."""

    listen: str = "127.0.0.1:9180"
    """An address as in ``listen``, or ``off``."""
    token: str | None = None
    """Whoever shows it may see the pages and use the caches there; without one the pages are for this machine."""


@dataclass(frozen=True, slots=True)
class CookieConfig:
    """Cookies that say nothing about the page: they count neither in keys nor in decisions."""

    ignore: tuple[str, ...] = ()
    """Names, ``*`` standing for any text."""
    preset: tuple[CookiePreset, ...] = (CookiePreset.ANALYTICS,)
    """The cookies of analytics are ignored, too; those by which a framework knows its visitors never are."""
    withhold: bool = True
    """The application does not get the ignored ones of requests whose answers could be stored."""


@dataclass(frozen=True, slots=True)
class RequestFieldsConfig:
    """What is done with single fields of requests, where that is not what is known of them; names without case."""

    key: tuple[str, ...] = ()
    """They are in the key, from whoever they come."""
    withhold: tuple[str, ...] = ()
    """The application does not get them of requests whose answers could be stored; ``*`` stands for any text."""
    forward: tuple[str, ...] = ()
    """The application gets them, and they are not in the key; ``*`` stands for any text."""
    underscores: bool = False
    """The application gets fields with an underscore in their names, too."""


@dataclass(frozen=True, slots=True)
class NormalizeConfig:
    """What is known of the application, so that requests that differ in spelling only share pages."""

    accept_encoding: tuple[str, ...] = ()
    """The codings it can produce, the one it prefers first."""
    accept_language: tuple[str, ...] = ()
    """The languages it has, the one it prefers first."""
    language_order: bool = True
    """Of languages that a client wants equally, it takes the first."""
    content_language: bool = False
    """A page in a language is for whoever wants that one most, whatever else they take."""
    fields: tuple[str, ...] = ()
    """More fields that are lists: white space around their commas says nothing; ``*`` for all that may be."""


@dataclass(frozen=True, slots=True)
class HeuristicConfig:
    """Lifetimes that are guessed from Last-Modified, where neither the origin nor a setting gives one."""

    percent: int = 0
    """Of the time for which the response had not changed when it came; 0 guesses nothing."""
    most: Seconds = Seconds(86400)


class PageData(StrEnum):
    """Frameworks that serve the data of a page under a URL beside that of the page."""

    REACT_ROUTER = "react-router"
    NUXT = "nuxt"
    SVELTEKIT = "sveltekit"


class StaleMarks(StrEnum):
    """Frameworks that say in a field that a response is stale already."""

    NEXTJS = "nextjs"


@dataclass(frozen=True, slots=True)
class HealthCheckConfig:
    """Requests that ask whether the application is well: no default lifetime and no stale answer is for them."""

    paths: tuple[str, ...] = (USUAL,)
    """Of the path as the application sees it, ``*`` standing for any text; ``usual`` for those that are known."""
    user_agents: tuple[str, ...] = (USUAL,)
    """Programs that send them, by their User-Agent, written likewise."""


@dataclass(frozen=True, slots=True)
class FieldLifetimeConfig:
    """A field of the response that makes its lifetime shorter."""

    field: str
    value: str
    lifetime: Seconds = Seconds(0)
    """The longest, from when the response comes; 0: it is stale already."""


@dataclass(frozen=True, slots=True)
class ResponseLifetimesConfig:
    """Fields of responses that make their lifetimes shorter, whatever Cache-Control says."""

    preset: tuple[StaleMarks, ...] = (StaleMarks.NEXTJS,)
    rules: tuple[FieldLifetimeConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """``OPTIONS`` of one cache, with Django's names."""

    MAX_ENTRIES: int | None = 300
    """Stored values; ``null`` means that only MAX_BYTES bounds the cache."""
    CULL_FREQUENCY: int = 3
    """One in so many is evicted when MAX_ENTRIES is reached; 0 evicts all."""
    MAX_BYTES: Bytes | None = Bytes(256 * MIB)
    """Of keys, header blocks and bodies together, as they lie in memory."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """``OPTIONS`` of a cache in files, with Django's names."""

    MAX_ENTRIES: int | None = 300
    CULL_FREQUENCY: int = 3
    MAX_BYTES: Bytes | None = None
    """Of all files together."""


SHARED_BYTES = Bytes(256 * MIB)
"""How large a cache is that processes share, where nobody says and it fits."""


@dataclass(frozen=True, slots=True)
class SharedOptions:
    """``OPTIONS`` of a cache that processes share, with Django's names."""

    MAX_ENTRIES: int | None = None
    CULL_FREQUENCY: int = 3
    MAX_BYTES: Bytes | None = None
    """What its file never outgrows; ``null`` takes what fits in its place, 256 MiB at most."""


Options = CacheOptions | FileOptions | SharedOptions | Mapping[str, object]
"""Of a cache that something else keeps (a server, a database, an operator's class): plain values, which it judges."""


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """One entry of ``CACHES``, with Django's names."""

    BACKEND: str
    """A name of ours (``redis``), or the dotted path of an operator's own class."""
    LOCATION: str | tuple[str, ...] = ""
    TIMEOUT: Seconds | None = Seconds(300)
    OPTIONS: Options = field(default_factory=CacheOptions)
    KEY_PREFIX: str = ""
    VERSION: int = 1
    KEY_FUNCTION: str | None = None
    """The dotted path of a function of key, prefix and version; without it Django's ``prefix:version:key``."""
    SERIALIZER: str | None = None
    """The dotted path of a class with ``dumps`` and ``loads``; without it the safe one."""
    DEADLINE: Seconds = Seconds(0.05)
    """How long a request waits for it; then the page comes from the origin."""
    BREAKER_FAILURES: int = 5
    """So many in a row, and a server of it is left alone for a while."""
    BREAKER_REST: Seconds = Seconds(30)
    """The longest that a server is left alone before it is tried again."""
    LOCAL_TIER: Bytes | None = None
    """Bytes of copies that each process keeps of pages in a cache outside the process; null is none."""
    LOCAL_TIER_SECONDS: Seconds = Seconds(1)
    """How long a copy is served after the cache was asked for it, whatever happens there."""


def plain_options(cache: CacheConfig) -> Mapping[str, object]:
    """Return OPTIONS as the mapping that the ``build`` of a backend takes."""
    options = cache.OPTIONS
    if isinstance(options, Mapping):
        return options
    return {each.name: getattr(options, each.name) for each in fields(options)}


@dataclass(frozen=True, slots=True)
class QueryConfig:
    """Which parameters of a query tell pages apart; the application gets the query as it was sent."""

    ignore: tuple[str, ...] = ()
    """Names, ``*`` standing for any text."""
    preset: tuple[QueryPreset, ...] = ()
    """Those that trackers add to links are ignored, too."""
    keep: tuple[str, ...] = ()
    """All others are ignored."""
    sort: bool = False
    """The order of the parameters makes no difference."""
    upstream: bool = False
    """The application gets the query like this, too."""


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """What holds for some requests of a site: Django's per-view cache, told from outside."""

    match: tuple[str, ...] = ()
    """Of the path as the application sees it, decoded and without the query; ``*`` stands for any text."""
    regex: str | None = None
    """Instead of ``match``, and searched for in the same path."""
    methods: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """As in ALLOWED_HOSTS."""
    name: str | None = None
    """For logs and metrics; null is the place of the route, as in ``routes[0]``."""
    cache_page: Seconds | None = None
    """Lifetime of a 200, whatever the origin says of it; 0 stores nothing."""
    cache: str | None = None
    """An alias of CACHES; null is the site's."""
    key_prefix: str | None = None
    """In the place of CACHE_MIDDLEWARE_KEY_PREFIX."""
    bypass: bool = False
    never_cache: bool = False
    cache_control: Mapping[str, object] = field(default_factory=dict)
    """Directives with Django's names, such as ``max_age``."""
    vary_on: tuple[str, ...] = ()
    """Names of fields, or ``cookie:NAME`` for one cookie."""
    stale_while_revalidate: Seconds | None = None
    """Where the origin did not say (RFC 5861 §3)."""
    stale_if_error: Seconds | None = None
    """The same (RFC 5861 §4); null is the setting of that name."""
    status_ttl: Mapping[str, Seconds] = field(default_factory=dict)
    """Lifetime by status, or class of them such as ``4xx``, where the origin gave none."""
    query: QueryConfig | None = None
    """Null is the site's, as for the two below."""
    cookies: CookieConfig | None = None
    normalize: NormalizeConfig | None = None
    set_cookie: SetCookie | None = None
    """Null is the setting of that name."""
    remove_set_cookie: tuple[str, ...] = ()
    """Cookies that are not set, so that the response may be stored."""
    downstream_headers: bool | None = None
    """Null is the setting of that name."""


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """One of several sites; null is what stands at the top of the file."""

    hosts: tuple[str, ...]
    """As in ALLOWED_HOSTS, without ``*``."""
    upstream: UpstreamConfig | None = None
    routes: tuple[RouteConfig, ...] = ()
    query: QueryConfig | None = None
    cookies: CookieConfig | None = None
    normalize: NormalizeConfig | None = None
    CACHE_MIDDLEWARE_ALIAS: str | None = None
    CACHE_MIDDLEWARE_SECONDS: Seconds | None = None
    CACHE_MIDDLEWARE_KEY_PREFIX: str | None = None


@dataclass(frozen=True, slots=True)
class CacheStatusConfig:
    """What Cache-Status says beside what the cache did (RFC 9211)."""

    key: bool = False
    """The name of the key that was looked for (§2.7)."""


DEFAULT_LIFETIME = Seconds(600)
"""Of pages and files whose lifetime nobody states, where CACHE_MIDDLEWARE_SECONDS is not set."""
DEFAULT_STALE_IF_ERROR = Seconds(3600)
"""Where ``stale_if_error`` is not set."""

DEFAULT_CACHES: Mapping[str, CacheConfig] = {
    "default": CacheConfig(BACKEND="locmem", OPTIONS=CacheOptions(MAX_ENTRIES=None)),
}
"""Without a ``CACHES`` setting: process memory, bounded in bytes only."""
SHARED_CACHES: Mapping[str, CacheConfig] = {"default": CacheConfig(BACKEND="shared", OPTIONS=SharedOptions())}
"""Without a ``CACHES`` setting, where there are several workers: memory that they share."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    upstream: UpstreamConfig | None = None
    """Of the hosts that no site names; null, beside ``sites``: there are no others."""
    listen: tuple[str, ...] = ("127.0.0.1:8080",)
    workers: int = 1
    """Processes that share the listeners; ``auto`` in the file means one for each core."""
    timeouts: ClientTimeouts = field(default_factory=ClientTimeouts)
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose ``X-Forwarded-*`` and ``Forwarded`` fields count; ``unix`` is whoever comes over a Unix socket."""
    admin: AdminConfig = field(default_factory=AdminConfig)
    purge: PurgeConfig = field(default_factory=PurgeConfig)
    access_log: AccessLog = AccessLog.OFF
    client_cache_control: ClientCacheControl = ClientCacheControl.HONOUR
    stale_if_error: Seconds | None = None
    """How long a stale response may stand in for an origin that fails, where the origin did not say (RFC 5861 §4).

    Null is one hour, but nothing for JSON, plain text and health checks.
    """
    cookies: CookieConfig = field(default_factory=CookieConfig)
    query: QueryConfig = field(default_factory=QueryConfig)
    normalize: NormalizeConfig = field(default_factory=NormalizeConfig)
    request_fields: RequestFieldsConfig = field(default_factory=RequestFieldsConfig)
    path_parameters: bool = True
    """Routes hold for paths without what follows a ``;`` in a segment, too."""
    no_vary_search: bool = False
    """Believe ``No-Vary-Search``: what the origin says there of a query makes no difference."""
    downstream_headers: bool | None = None
    """Where the lifetime is the operator's, write it into ``Expires`` and ``Cache-Control: max-age``, if it is shorter.

    Null does so where the operator set the lifetime and nobody purges through ``purge.dialects``.
    """
    identity_fields: tuple[str, ...] = (USUAL,)
    """Fields of requests, beside Cookie and Authorization, that say who asks; ``usual`` is those that are known."""
    page_types: tuple[str, ...] = (USUAL,)
    """Media types that are kept for ten minutes where nobody states a lifetime; ``usual`` is pages and their files."""
    health_checks: HealthCheckConfig = field(default_factory=HealthCheckConfig)
    response_lifetimes: ResponseLifetimesConfig = field(default_factory=ResponseLifetimesConfig)
    invalidate_also: tuple[PageData, ...] = tuple(PageData)
    """Frameworks whose answers beside a page become stale with the page, and it with them."""
    stale_while_revalidate_without_value: Seconds = Seconds(0)
    """What ``stale-while-revalidate`` without a number means; with Nuxt it means for ever."""
    downstream_tags: bool = False
    """Pass ``Surrogate-Key``, ``Cache-Tag``, ``xkey`` and ``X-Cache-Tags`` on to clients."""
    upgrades: tuple[str, ...] = ("websocket",)
    """Protocols that clients may switch to; an ``Upgrade`` to another is not passed on (RFC 9110 §7.8)."""
    targeted: tuple[str, ...] = ("CDN-Cache-Control",)
    """Fields that count in place of ``Cache-Control`` and ``Expires``, the most applicable first (RFC 9213)."""
    heuristic: HeuristicConfig = field(default_factory=HeuristicConfig)
    set_cookie: SetCookie = SetCookie.NEVER
    store_post: bool = False
    """Answer ``GET`` with the answer to a ``POST`` that says it is the same (RFC 9110 §9.3.3)."""
    validate_variants: bool = False
    """Ask the origin about the variants that a request does not select (RFC 9111 §4.3.1)."""
    stale_after_s_maxage: bool = False
    """Beside ``s-maxage``, let the origin's ``stale-while-revalidate`` and ``stale-if-error`` count."""
    cache_status: CacheStatusConfig = field(default_factory=CacheStatusConfig)
    ALLOWED_HOSTS: tuple[str, ...] = ("*",)
    """``www.example.org``, ``.example.org`` with all below it, or ``*``, as in Django; others get 421."""
    CACHES: Mapping[str, CacheConfig] = field(default_factory=lambda: DEFAULT_CACHES)
    key_warnings: KeyWarnings = KeyWarnings.WARN
    DATABASES: Mapping[str, str] = field(default_factory=dict)
    """URLs of the databases that caches of the backend ``db`` lie in, by alias."""
    ROUTER: object = None
    """Aliases of DATABASES under ``read``, ``write`` and ``migrate``, or a dotted path; null is ``default``."""
    CACHE_MIDDLEWARE_ALIAS: str = "default"
    CACHE_MIDDLEWARE_SECONDS: Seconds | None = None
    """Lifetime of a 200 that says nothing about its own; 0 stores no such response; null: 10m for ``page_types``."""
    CACHE_MIDDLEWARE_KEY_PREFIX: str = ""
    USE_I18N: bool = False
    """Pages are kept once for each language that the application would answer in."""
    LANGUAGES: object = ()
    """Their codes; Django's list of pairs is read, too."""
    LANGUAGE_CODE: str = "en-us"
    """The language of those who ask for none of the others."""
    LANGUAGE_COOKIE_NAME: str = "django_language"
    USE_TZ: bool = False
    """Pages are kept once for each time zone that clients name."""
    TIME_ZONE: str = "UTC"
    """The zone of those who name none, or one that is not known."""
    timezone_from: str | None = None
    """``cookie:NAME`` or ``header:NAME``: where clients name their zone."""
    routes: tuple[RouteConfig, ...] = ()
    """Of the hosts that no site names; the first that takes a request holds."""
    sites: Mapping[str, SiteConfig] = field(default_factory=dict)
