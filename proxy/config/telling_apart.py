"""Which settings of what tells pages apart are impossible together?"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.conflict import Conflict
from proxy.config.model import Config, CookieConfig, NormalizeConfig, QueryConfig, RouteConfig, SiteConfig
from proxy.config.routes import route_lists
from proxy.config.source import join
from proxy.errors import Fault

_PLAIN = NormalizeConfig()
_OF_LANGUAGES = ("accept_language", "language_order", "content_language")


def telling_apart_conflicts(config: Config) -> Iterator[Conflict]:
    """List what is wrong with ``normalize`` and ``query``, wherever they stand."""
    for path, settings in everywhere(config):
        if settings.normalize is not None and config.USE_I18N:
            yield from _languages(join(path, "normalize") if path else "normalize", settings.normalize)
        if settings.query is not None:
            yield from _parameters(join(path, "query") if path else "query", settings.query)


def everywhere(config: Config) -> Iterator[tuple[str, Config | SiteConfig | RouteConfig]]:
    """Give the path and the settings of the file, of each site and of each route."""
    yield "", config
    for name, site in config.sites.items():
        yield join("sites", name), site
    for path, routes in route_lists(config):
        for i, route in enumerate(routes):
            yield f"{path}[{i}]", route


def cookie_settings(config: Config) -> Iterator[tuple[str, CookieConfig]]:
    """Give the path of every ``cookies`` with its settings."""
    for path, settings in everywhere(config):
        if settings.cookies is not None:
            yield join(path, "cookies") if path else "cookies", settings.cookies


def _languages(path: str, normalize: NormalizeConfig) -> Iterator[Conflict]:
    for name in _OF_LANGUAGES:
        if getattr(normalize, name) != getattr(_PLAIN, name):
            at = f"{path}.{name}"
            hint = "LANGUAGES says already which language a request gets"
            yield Conflict((at, "USE_I18N"), Fault(at, "not together with USE_I18N", "both", hint=hint))


def _parameters(path: str, query: QueryConfig) -> Iterator[Conflict]:
    if query.keep and (query.ignore or query.preset):
        at = f"{path}.keep"
        hint = "keep ignores all others"
        fault = Fault(at, "either keep, or ignore and preset", "both", hint=hint)
        yield Conflict((at, f"{path}.ignore", f"{path}.preset"), fault)
