"""Which settings of what tells pages apart are impossible together?"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from proxy.config.conflict import Conflict
from proxy.config.model import Config, CookieConfig, CookiePreset, NormalizeConfig, QueryConfig, RouteConfig, SiteConfig
from proxy.config.presets import COOKIES
from proxy.config.routes import route_lists
from proxy.config.source import join
from proxy.config.wording import listed, quoted
from proxy.errors import Fault

_PLAIN = NormalizeConfig()
_OF_LANGUAGES = ("accept_language", "language_order", "content_language")


def telling_apart_conflicts(config: Config) -> Iterator[Conflict]:
    """List what is wrong with ``normalize``, ``query`` and ``cookies``, wherever they stand."""
    for path, settings in everywhere(config):
        if settings.normalize is not None and config.USE_I18N:
            yield from _languages(join(path, "normalize") if path else "normalize", settings.normalize)
        if settings.query is not None:
            yield from _parameters(join(path, "query") if path else "query", settings.query)
        if settings.cookies is not None:
            yield from _cookies(join(path, "cookies") if path else "cookies", settings.cookies)


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


def _cookies(path: str, cookies: CookieConfig) -> Iterator[Conflict]:
    """A cookie that a preset keeps is not ignored, whatever ``ignore`` says; a star means all but those."""
    for i, pattern in enumerate(cookies.ignore):
        keeping = [preset for preset in cookies.preset if _is_kept(pattern, preset)]
        if keeping:
            at, named = f"{path}.ignore[{i}]", listed(map(str, keeping), "and")
            expected = f"a cookie that cookies.preset ({named}) does not keep"
            fault = Fault(at, expected, quoted(pattern), hint=_instead(keeping, pattern))
            yield Conflict((f"{path}.ignore", f"{path}.preset"), fault)


def _is_kept(pattern: str, preset: CookiePreset) -> bool:
    """Tell whether a preset keeps all that a pattern means; a star in it stands for any text, and so for itself."""
    return any(fnmatchcase(pattern, kept) for kept in COOKIES[preset].kept)


def _instead(keeping: list[CookiePreset], pattern: str) -> str:
    is_about_all = len(keeping) == 1 and COOKIES[keeping[0]].ignored == COOKIES[CookiePreset.ANALYTICS].ignored
    other = f"write {CookiePreset.ANALYTICS} in the place of {keeping[0]}" if is_about_all else "take the preset out"
    return f"leave {pattern} out, or where no page depends on it {other}"


def _parameters(path: str, query: QueryConfig) -> Iterator[Conflict]:
    if query.keep and (query.ignore or query.preset):
        at = f"{path}.keep"
        hint = "keep ignores all others"
        fault = Fault(at, "either keep, or ignore and preset", "both", hint=hint)
        yield Conflict((at, f"{path}.ignore", f"{path}.preset"), fault)
