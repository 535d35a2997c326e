"""Which languages and time zones can a site have?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from zoneinfo import available_timezones

from proxy.config.conflict import Conflict
from proxy.config.model import Config
from proxy.config.wording import closest, quoted
from proxy.errors import Fault

LANGUAGES = 'language codes such as en or pt-br ("no" in quotes), or pairs of them and their names as Django has them'
SOURCE = "cookie:NAME or header:NAME"

_CODE = re.compile(r"[A-Za-z]{2,8}(?:[-@_][A-Za-z0-9]{1,8})*")
_SOURCE = re.compile(r"(?P<kind>cookie|header):(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)")


def languages(value: object) -> tuple[str, ...]:
    """Give the codes of LANGUAGES in their order; ValueError where it is no list of them."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, list):
        raise ValueError("")
    codes = [item[0] if isinstance(item, list) and len(item) == 2 else item for item in value]
    if not all(isinstance(code, str) and _CODE.fullmatch(code) for code in codes):
        raise ValueError("")
    return tuple(dict.fromkeys(map(str, codes)))


def language(text: str) -> str:
    """Give a language code back; ValueError where it is none."""
    if not _CODE.fullmatch(text):
        raise ValueError("")
    return text


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """Return the names of the zones that this machine knows."""
    return frozenset(available_timezones())


def time_zone(text: str) -> str:
    """Give the name of a zone back; ValueError where there is none of that name."""
    if text not in time_zones():
        raise ValueError(closest(text, time_zones()))
    return text


def source(text: str) -> str:
    """Give the place that a client names its zone in: fields in lower case; ValueError where it is none."""
    matched = _SOURCE.fullmatch(text)
    if matched is None:
        raise ValueError("")
    return text.lower() if matched["kind"] == "header" else text


def locale_conflicts(config: Config) -> Iterator[Conflict]:
    """List what USE_I18N and USE_TZ lack."""
    codes = tuple(config.LANGUAGES) if isinstance(config.LANGUAGES, tuple) else ()
    if config.USE_I18N and not codes:
        hint = "leave USE_I18N out where every page has one language"
        fault = Fault("LANGUAGES", "the languages of the site, since USE_I18N is true", "none", hint=hint)
        yield Conflict(("USE_I18N", "LANGUAGES"), fault)
    elif config.USE_I18N and not _among(config.LANGUAGE_CODE, codes):
        hint = "it is the language of those who ask for none of the others"
        fault = Fault("LANGUAGE_CODE", "one of LANGUAGES", quoted(config.LANGUAGE_CODE), hint=hint)
        yield Conflict(("USE_I18N", "LANGUAGES", "LANGUAGE_CODE"), fault)
    if config.USE_TZ and config.timezone_from is None:
        hint = f"or say with timezone_from ({SOURCE}) where visitors have zones of their own"
        fault = Fault("USE_TZ", "to be left out, as no page differs by time zone", "true", hint=hint)
        yield Conflict(("USE_TZ", "timezone_from"), fault)


def _among(code: str, codes: tuple[str, ...]) -> bool:
    """Whether a language, or a more general one, is one of the site's: en-us is English."""
    known = {each.lower() for each in codes}
    parts = code.lower().split("-")
    return any("-".join(parts[:i]) in known for i in range(1, len(parts) + 1))
