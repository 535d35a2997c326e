"""Which cookies and parameters does a preset name?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.config.model import CookieConfig, CookiePreset, FieldLifetimeConfig, QueryConfig, QueryPreset, StaleMarks


@dataclass(frozen=True, slots=True)
class Cookies:
    """Patterns of the names of cookies, ``*`` standing for any text."""

    ignored: tuple[str, ...] = ()
    """They say nothing about a page."""
    kept: tuple[str, ...] = ()
    """By them the application knows its visitors: no pattern makes them ignored."""


_ANALYTICS = (
    *("_ga", "_ga_*", "_gid", "_gat", "_gat_*", "_gcl_*", "__utm*"),
    *("_fbp", "_fbc", "_pk_*", "_hj*", "_clck", "_clsk", "_uetsid", "_uetvid", "_ttp", "_scid", "_pin_unauth"),
)
_PHP = ("PHPSESSID",)

COOKIES: Mapping[CookiePreset, Cookies] = {
    CookiePreset.ANALYTICS: Cookies(_ANALYTICS),
    CookiePreset.DJANGO: Cookies(_ANALYTICS, ("sessionid", "csrftoken", "messages", "django_language")),
    CookiePreset.FLASK: Cookies(_ANALYTICS, ("session", "remember_token")),
    CookiePreset.RAILS: Cookies(_ANALYTICS, ("_*_session", "_session_id", "remember_*_token", "remember_token")),
    CookiePreset.LARAVEL: Cookies(_ANALYTICS, ("*_session", "XSRF-TOKEN", "remember_*")),
    CookiePreset.SYMFONY: Cookies(_ANALYTICS, (*_PHP, "REMEMBERME")),
    CookiePreset.EXPRESS: Cookies(_ANALYTICS, ("connect.sid", "_csrf")),
    CookiePreset.SPRING: Cookies(_ANALYTICS, ("JSESSIONID", "SESSION", "XSRF-TOKEN", "remember-me")),
    CookiePreset.ASPNET: Cookies(
        _ANALYTICS, (".AspNetCore.*", "ASP.NET_SessionId", ".ASPXAUTH", "__RequestVerification*")
    ),
    CookiePreset.PHOENIX: Cookies(_ANALYTICS, ("_*_key", "_*_web_user_remember_me")),
    CookiePreset.DRUPAL: Cookies(_ANALYTICS, ("SESS*", "SSESS*", "NO_CACHE")),
    CookiePreset.WORDPRESS: Cookies(
        (*_ANALYTICS, "wordpress_test_cookie", "sbjs_*"),
        (
            *("wordpress_logged_in_*", "wordpress_sec_*", "wp-postpass_*", "comment_author_*", "wp-settings-*"),
            *(*_PHP, "woocommerce_*", "wp_woocommerce_session_*"),
        ),
    ),
}  # fmt: skip

#: What mail programs, advertisements and analytics add to links.
PARAMETERS: Mapping[QueryPreset, tuple[str, ...]] = {
    QueryPreset.TRACKING: (
        *("utm_*", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "gad_source", "gad_campaignid", "srsltid"),
        *("_ga", "_gl", "fbclid", "msclkid", "twclid", "ttclid", "li_fat_id", "igshid", "yclid", "ysclid"),
        *("epik", "rdt_cid", "ScCid", "mc_cid", "mc_eid", "_hsenc", "_hsmi", "hsCtaTracking", "mkt_tok"),
        *("vero_id", "oly_anon_id", "oly_enc_id"),
        *("pk_*", "piwik_*", "mtm_*", "matomo_*"),
    ),
}  # fmt: skip


#: Where a framework answers with a page that it knows is stale while it makes the new one, and says so.
RESPONSE_LIFETIMES: Mapping[StaleMarks, tuple[FieldLifetimeConfig, ...]] = {
    StaleMarks.NEXTJS: (
        FieldLifetimeConfig("x-nextjs-cache", "STALE"),
        FieldLifetimeConfig("x-opennext-cache", "STALE"),
        FieldLifetimeConfig("x-vercel-cache", "STALE"),
    ),
}


def ignored_cookies(cookies: CookieConfig) -> tuple[str, ...]:
    """Return the patterns of all cookies that are ignored."""
    return (*cookies.ignore, *_united(COOKIES[preset].ignored for preset in cookies.preset))


def kept_cookies(cookies: CookieConfig) -> tuple[str, ...]:
    """Return the patterns of the cookies that no pattern of the others covers."""
    return _united(COOKIES[preset].kept for preset in cookies.preset)


def ignored_parameters(query: QueryConfig) -> tuple[str, ...]:
    """Return the patterns of all parameters that are ignored."""
    return (*query.ignore, *_united(PARAMETERS[preset] for preset in query.preset))


def _united(several: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in several for name in names))
