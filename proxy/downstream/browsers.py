"""Header fields that a browser sends with a request of which no more is said than its URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from proxy.downstream.pretended import Asked
from proxy.policy.file_types import Kind, kind_of_path

_DOCUMENT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
_ACCEPT = {
    None: _DOCUMENT,
    Kind.STYLE: "text/css,*/*;q=0.1",
    Kind.SCRIPT: "*/*",
    Kind.FONT: "*/*",
    Kind.IMAGE: "image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8",
}
_LANGUAGE = "en-US,en;q=0.9"
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
#: Chrome and Firefox, then Safari; over plain HTTP all of them leave out what old proxies on the way might break.
_CODINGS = ("gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate")


def as_browsers(asked: Asked) -> Sequence[Asked]:
    """Return a request as browsers would send it, the likeliest first.

    Fields that are given stand as they are; one without a value, as in ``Accept-Encoding:``, is left out.
    """
    given = {line.partition(":")[0].strip().lower() for line in asked.fields}
    likely = [*as_given(asked).fields, *(line for name, line in _plain(asked.url).items() if name not in given)]
    if "accept-encoding" in given:
        return (replace(asked, fields=likely),)
    return tuple(replace(asked, fields=[*likely, f"Accept-Encoding: {codings}"]) for codings in _codings(asked.url))


def as_given(asked: Asked) -> Asked:
    """Return a request with the fields that have a value, and no others."""
    return replace(asked, fields=[line for line in asked.fields if line.partition(":")[2].strip() or ":" not in line])


def assumed(asked: Asked, browser: Asked) -> list[str]:
    """Return the lines that a request as a browser sends it has beside those that were given."""
    return [line for line in browser.fields if line not in asked.fields]


def _plain(url: str) -> dict[str, str]:
    accept = _ACCEPT[kind_of_path(url.partition("?")[0].partition("#")[0].encode("utf-8", "replace"))]
    fields = {"Accept": accept, "Accept-Language": _LANGUAGE, "User-Agent": _AGENT}
    return {name.lower(): f"{name}: {value}" for name, value in fields.items()}


def _codings(url: str) -> Sequence[str]:
    try:
        is_secure = urlsplit(url).scheme.lower() == "https"
    except ValueError:
        is_secure = False
    return _CODINGS if is_secure else (_CODINGS[-1], *_CODINGS[:-1])
