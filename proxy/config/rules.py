"""What may one setting hold, beyond what its type says?"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from proxy.config.addresses import LISTENER, ORIGIN, UNIX_PEERS, parse_listener, parse_origin
from proxy.config.allowed import HOST_PATTERN, host_pattern
from proxy.config.backends import (
    BACKEND,
    DJANGOS_KEY_FUNCTION,
    backend,
    dotted,
    kind_of_location,
    kind_of_options,
    router,
    serializer,
)
from proxy.config.locales import LANGUAGES, SOURCE, language, languages, source, time_zone
from proxy.config.model import (
    AdminConfig,
    CacheConfig,
    CacheOptions,
    ClientTimeouts,
    Config,
    CookieConfig,
    FieldLifetimeConfig,
    FileOptions,
    HealthCheckConfig,
    HeuristicConfig,
    Limits,
    NormalizeConfig,
    QueryConfig,
    RequestFieldsConfig,
    RouteConfig,
    SharedOptions,
    SiteConfig,
    UpstreamConfig,
    UpstreamLimits,
    UpstreamTimeouts,
)
from proxy.config.purging import PurgeConfig
from proxy.config.usual import USUAL

OFF = "off"
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "QUERY"})
MOST_WORKERS = 1024
_FIXED_FIELDS = frozenset(
    {
        "host",
        "cookie",
        "authorization",
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "te",
        "via",
        "proxy",
    }
)
"""Of requests: what no setting of single fields is for."""


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Rule:
    """One setting's rule: what it expects, in words, and how a value of its type is checked and normalised."""

    expected: str
    accept: Callable[[Any], Any] = _itself
    """Gives the value to keep; ValueError refuses it, its text being the hint."""
    words: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """Words that stand for a value, whatever the type."""
    numbers_are_text: bool = False
    least_items: int = 0
    if_missing: str = ""
    """The hint where a setting that has no default is absent."""


def usable_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def _between(least: int, most: int | None = None) -> Callable[[int], int]:
    def accept(value: int) -> int:
        if value < least or (most is not None and value > most):
            raise ValueError("")
        return value

    return accept


def _more_than_zero(value: float) -> float:
    if not value > 0:
        raise ValueError("")
    return value


def _token(text: str) -> str:
    if not re.fullmatch(r"[!-~]{16,}", text):
        raise ValueError("")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        likely = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("") from None
    raise ValueError(f'did you mean "{likely}"?')


def _proxy(text: str) -> str:
    """Read where a trusted proxy may be; as nginx writes it, a Unix socket has a colon."""
    if text in (UNIX_PEERS, f"{UNIX_PEERS}:"):
        return UNIX_PEERS
    if text.startswith(UNIX_PEERS):
        raise ValueError(f'"{UNIX_PEERS}" stands for every Unix socket')
    return _network(text)


def _request_field(text: str) -> str:
    """Read the name of a field of requests; those without which there is no such request are not for choice."""
    if not re.fullmatch(_WORD, text):
        raise ValueError("")
    name = text.lower()
    if any(fnmatchcase(fixed, name) for fixed in _FIXED_FIELDS):
        raise ValueError("see cookies" if name == "cookie" else "it is in the key, or about the connection")
    return name


def _whole_field(text: str) -> str:
    if "*" in text:
        raise ValueError("the whole name is needed")
    return _request_field(text)


def _cookie(text: str) -> str:
    if not re.fullmatch(_WORD, text):
        raise ValueError("")
    return text


def _path_pattern(text: str) -> str:
    if "?" in text:
        raise ValueError("the query is no part of it; see query")
    if re.search("%[0-9A-Fa-f]{2}", text):
        raise ValueError(f'it is matched with the decoded path: did you mean "{unquote(text)}"?')
    if not text.startswith(("/", "*")):
        raise ValueError(f'did you mean "/{text}"?')
    return text


def _health_path(text: str) -> str:
    return text if text == USUAL else _path_pattern(text)


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return text


def _method(text: str) -> str:
    if not re.fullmatch(_WORD, text):
        raise ValueError("")
    if not text.isupper() and text.upper() in _METHODS:
        raise ValueError(f'did you mean "{text.upper()}"?')
    return text


def _varied(text: str) -> str:
    """Read the name of a field, or of one cookie; the field in lower case."""
    name, colon, cookie = text.partition(":")
    if not re.fullmatch(_WORD, name) or (colon and (name.lower() != "cookie" or not re.fullmatch(_WORD, cookie))):
        raise ValueError("")
    return f"cookie:{cookie}" if colon else name.lower()


def _cookie_name(text: str) -> str:
    if "*" in text:
        raise ValueError("the whole name is needed")
    return _cookie(text)


def _protocol(text: str) -> str:
    if not re.fullmatch(_WORD, text):
        raise ValueError("without its version" if "/" in text else "")
    return text.lower()


def _targeted(text: str) -> str:
    """Read the name of a field that says what Cache-Control says; that name itself is always behind them."""
    if not re.fullmatch(_WORD, text) or text.lower() in {"cache-control", "expires", "pragma"}:
        raise ValueError("")
    return text


def _field_pattern(text: str) -> str:
    if not re.fullmatch(_WORD, text):
        raise ValueError("")
    if text.lower() in {"cookie", "authorization"}:
        raise ValueError("it counts in any case")
    return text.lower()


def _media_type(text: str) -> str:
    if not re.fullmatch(rf"(?:{_WORD}/{_WORD}|\*|{USUAL})", text):
        raise ValueError("parameters such as charset are no part of it" if ";" in text else "")
    return text.lower()


def _response_field(text: str) -> str:
    if not re.fullmatch(_WORD, text):
        raise ValueError("")
    return text.lower()


def _field_value(text: str) -> str:
    if not text.isascii() or not text.isprintable() or text != text.strip() or not text:
        raise ValueError("")
    return text


def _coding(text: str) -> str:
    if not re.fullmatch(_WORD, text) or text.lower() in {"*", "identity"}:
        raise ValueError("")
    return text.lower()


def _tag(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*", text):
        raise ValueError(f'did you mean "{text.replace("_", "-")}"?' if "_" in text else "")
    return text.lower()


def _list_field(text: str) -> str:
    if not re.fullmatch(_WORD, text) or text.lower() in {"cookie", "authorization"}:
        raise ValueError("")
    return text.lower()


def _parameter(text: str) -> str:
    if not text or any(mark in text for mark in "&=;#"):
        raise ValueError("")
    return text


def _route_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,64}", text):
        raise ValueError("")
    return text


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError("no such file")
    return text


_FIELDS = "the name of a field, * standing for any text"
_GIVE_UPSTREAM = "give it with --upstream http://127.0.0.1:8000, or with upstream: in the file"
_COUNT = Rule("a whole number of at least 1", _between(1))
_COUNT_OR_NONE = Rule("a whole number of at least 0", _between(0))
_LASTING = Rule("a duration longer than 0, such as 30s or 5m", _more_than_zero)
_LARGE = Rule("a size of at least 1 byte, such as 64KiB", _between(1))

#: What is not here may be anything its type allows. A rule of a list is that of each item.
RULES: Mapping[tuple[type, str], Rule] = {
    (Config, "upstream"): Rule("the address of the application", if_missing=_GIVE_UPSTREAM),
    (Config, "listen"): Rule(LISTENER, lambda text: str(parse_listener(text)), numbers_are_text=True, least_items=1),
    (Config, "workers"): Rule(
        f"a whole number from 1 to {MOST_WORKERS}, or auto", _between(1, MOST_WORKERS), {"auto": usable_cores}
    ),
    (Config, "trusted_proxies"): Rule('a network such as "10.0.0.0/8", an address, or unix', _proxy),
    (RequestFieldsConfig, "key"): Rule("the name of a field", _whole_field),
    (RequestFieldsConfig, "withhold"): Rule(_FIELDS, _request_field),
    (RequestFieldsConfig, "forward"): Rule(_FIELDS, _request_field),
    (Config, "ROUTER"): Rule("aliases of DATABASES under read, write and migrate, or a dotted path", router),
    (UpstreamConfig, "url"): Rule(ORIGIN, lambda text: str(parse_origin(text)), if_missing=_GIVE_UPSTREAM),
    (UpstreamConfig, "max_idle"): _COUNT_OR_NONE,
    (UpstreamConfig, "ca_file"): Rule("the path of a file of certificates", _file),
    (UpstreamTimeouts, "connect"): _LASTING,
    (UpstreamTimeouts, "first_byte"): _LASTING,
    (UpstreamTimeouts, "between_bytes"): _LASTING,
    (UpstreamTimeouts, "idle"): _LASTING,
    (UpstreamLimits, "header_bytes"): _LARGE,
    (UpstreamLimits, "headers"): _COUNT,
    (UpstreamLimits, "interim"): _COUNT_OR_NONE,
    (ClientTimeouts, "header"): _LASTING,
    (ClientTimeouts, "body"): _LASTING,
    (ClientTimeouts, "idle"): _LASTING,
    (ClientTimeouts, "write"): _LASTING,
    (Limits, "header_bytes"): _LARGE,
    (Limits, "headers"): _COUNT,
    (Limits, "target"): _LARGE,
    (Limits, "connections"): _COUNT,
    (Limits, "stored_body"): _LARGE,
    (Limits, "variants"): _COUNT,
    (AdminConfig, "listen"): Rule(
        'an address such as "127.0.0.1:9180", "unix:/run/admin.sock", or off',
        lambda text: str(parse_listener(text)),
        {OFF: lambda: OFF},
        numbers_are_text=True,
    ),
    (AdminConfig, "token"): Rule("at least 16 characters of ASCII without blanks", _token),
    (PurgeConfig, "networks"): Rule('a network such as "10.0.0.0/8", or an address', _network),
    (PurgeConfig, "token"): Rule("at least 16 characters of ASCII without blanks", _token),
    (CookieConfig, "ignore"): Rule("the name of a cookie, * standing for any text", _cookie),
    (Config, "ALLOWED_HOSTS"): Rule(f"{HOST_PATTERN}, or *", host_pattern),
    (Config, "upgrades"): Rule("the name of a protocol, as Upgrade has it, such as websocket", _protocol),
    (Config, "targeted"): Rule("the name of a field such as CDN-Cache-Control", _targeted),
    (Config, "identity_fields"): Rule("the name of a field, * standing for any text, or usual", _field_pattern),
    (Config, "page_types"): Rule("a media type such as text/html or image/*, or usual", _media_type),
    (HealthCheckConfig, "paths"): Rule("a path such as /healthz, * standing for any text, or usual", _health_path),
    (FieldLifetimeConfig, "field"): Rule(
        "the name of a field of responses", _response_field, if_missing="say which field it is about"
    ),
    (FieldLifetimeConfig, "value"): Rule("the value of that field", _field_value, if_missing="say which value it has"),
    (HeuristicConfig, "percent"): Rule("a whole number from 0 to 100", _between(0, 100)),
    (Config, "LANGUAGES"): Rule(LANGUAGES, languages),
    (Config, "LANGUAGE_CODE"): Rule("a language code such as en-us", language),
    (Config, "LANGUAGE_COOKIE_NAME"): Rule("the name of a cookie", _cookie_name),
    (Config, "TIME_ZONE"): Rule("a time zone such as Europe/Berlin", time_zone),
    (Config, "timezone_from"): Rule(SOURCE, source),
    (SiteConfig, "hosts"): Rule(HOST_PATTERN, host_pattern, least_items=1, if_missing="say which hosts the site has"),
    (RouteConfig, "match"): Rule("a path such as /blog/*, * standing for any text", _path_pattern),
    (RouteConfig, "regex"): Rule("a regular expression of Python", _regex),
    (RouteConfig, "methods"): Rule("a method such as GET", _method),
    (RouteConfig, "hosts"): Rule(HOST_PATTERN, host_pattern),
    (RouteConfig, "name"): Rule("a name of letters, digits, - and _, at most 64", _route_name),
    (RouteConfig, "vary_on"): Rule("the name of a field such as User-Agent, or cookie:NAME", _varied),
    (RouteConfig, "remove_set_cookie"): Rule("the name of a cookie", _cookie_name),
    (QueryConfig, "ignore"): Rule("the name of a parameter, * standing for any text", _parameter),
    (QueryConfig, "keep"): Rule("the name of a parameter, * standing for any text", _parameter),
    (NormalizeConfig, "accept_encoding"): Rule("a coding such as br or gzip", _coding),
    (NormalizeConfig, "accept_language"): Rule("a language tag such as en or pt-BR", _tag),
    (NormalizeConfig, "fields"): Rule("the name of a field that is a list, or *", _list_field),
    (CacheConfig, "BACKEND"): Rule(BACKEND, backend),
    (CacheConfig, "VERSION"): _COUNT_OR_NONE,
    (CacheConfig, "KEY_FUNCTION"): Rule("the dotted path of a function", dotted, {DJANGOS_KEY_FUNCTION: lambda: None}),
    (CacheConfig, "DEADLINE"): _LASTING,
    (CacheConfig, "BREAKER_FAILURES"): _COUNT,
    (CacheConfig, "BREAKER_REST"): _LASTING,
    (CacheConfig, "LOCAL_TIER"): _LARGE,
    (CacheConfig, "LOCAL_TIER_SECONDS"): _LASTING,
    (CacheConfig, "SERIALIZER"): Rule("typed, pickle or the dotted path of a class", serializer),
    (CacheOptions, "MAX_ENTRIES"): _COUNT,
    (CacheOptions, "CULL_FREQUENCY"): _COUNT_OR_NONE,
    (CacheOptions, "MAX_BYTES"): _LARGE,
    (FileOptions, "MAX_ENTRIES"): _COUNT,
    (FileOptions, "CULL_FREQUENCY"): _COUNT_OR_NONE,
    (FileOptions, "MAX_BYTES"): _LARGE,
    (SharedOptions, "MAX_ENTRIES"): _COUNT,
    (SharedOptions, "CULL_FREQUENCY"): _COUNT_OR_NONE,
    (SharedOptions, "MAX_BYTES"): _LARGE,
}

SHORTHAND: Mapping[type, str] = {UpstreamConfig: "url", AdminConfig: "listen"}
"""A single value in place of one of these sections is that key of it."""

HYPHENATED = frozenset({NormalizeConfig})
"""Sections whose keys are named like fields, and may have a hyphen where ours have an underscore."""

DECIDES: Mapping[type, str] = {CacheConfig: "BACKEND"}
"""The key that decides what the others of its section mean: while it is wrong they are not judged."""

KINDS: Mapping[tuple[type, str], Callable[[str], Any]] = {
    (CacheConfig, "LOCATION"): kind_of_location,
    (CacheConfig, "OPTIONS"): kind_of_options,
}
"""Settings whose type depends on what that key holds."""
