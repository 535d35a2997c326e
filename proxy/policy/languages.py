"""In which language does a Django application answer a request?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from proxy.message.heads import Request
from proxy.policy.cookies import django_cookie, single_cookie
from proxy.policy.routing import decoded_path

ACCEPT_LANGUAGE = b"accept-language"
"""The name that the negotiated language has among varied fields."""
AS_SAID = b":language"
"""Among varied fields, what the client says of languages, as it says it; no field can have such a name."""

_LONGEST = 500
"""What Django reads of a field or a code at most, in characters."""
_RANGE = re.compile(
    r"([a-z]{1,8}(?:-[a-z0-9]{1,8})*|\*)(?:\s*;\s*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
)
_PREFIX = re.compile(r"/(\w+(?:[@-]\w+){0,2})(?:/|\Z)")
#: Where Django looks before it takes a code apart.
_INSTEAD = {
    **dict.fromkeys(("zh-cn", "zh-my", "zh-sg"), "zh-hans"),
    **dict.fromkeys(("zh-hk", "zh-mo", "zh-tw"), "zh-hant"),
}


class Languages:
    """The languages of a site: LANGUAGES, LANGUAGE_CODE and LANGUAGE_COOKIE_NAME."""

    __slots__ = ("_accepted", "_default", "_supported", "cookie")

    def __init__(self, codes: Sequence[str], default: str, cookie: bytes) -> None:
        """The application is taken to have a translation for each of ``codes``; Django passes over those it has not."""
        self._supported = dict.fromkeys(code.lower() for code in codes)
        self._default = self._variant(default) or default.lower()
        self._accepted = lru_cache(maxsize=1000)(self._accept)
        self.cookie = cookie
        """The name of the cookie that goes before Accept-Language."""

    def of(self, request: Request) -> bytes:
        """Return the language of a request: that of its path, its cookie, its Accept-Language, or LANGUAGE_CODE."""
        return self.of_path(request) or self.negotiated(request)

    def of_path(self, request: Request) -> bytes | None:
        """Return the language that the first segment of the path names."""
        named = _PREFIX.match(decoded_path(request.target))
        code = None if named is None else self._variant(named[1])
        return None if code is None else code.encode("utf-8", "surrogateescape")

    def negotiated(self, request: Request) -> bytes:
        """Return the language that a request without one in its path gets."""
        index = request.fields.index
        cookie = django_cookie(index.get(b"cookie"), self.cookie)
        code = None if cookie is None else self._variant(cookie)
        if code is None:
            said = index.get(ACCEPT_LANGUAGE, b"").decode("latin-1")
            if len(said) > _LONGEST:
                said = said[: max(said.rfind(",", 0, _LONGEST), 0)]
            code = self._accepted(said)
        return code.encode("utf-8")

    def as_said(self, request: Request) -> bytes:
        """Return all that the language could be negotiated from."""
        index = request.fields.index
        cookie = single_cookie(index.get(b"cookie"), self.cookie) or b""
        return b"%d:%b%b" % (len(cookie), cookie, index.get(ACCEPT_LANGUAGE, b""))

    def varied(self, request: Request, content_language: bytes | None) -> tuple[bytes, ...]:
        """Return what a response varies by: Accept-Language, as Django's LocaleMiddleware says, unless the path has it.

        Where the response is in another language than it should be by our reckoning, the application reckons otherwise:
        then requests share it that say just the same.
        """
        answered = None if content_language is None else content_language.lower()
        if (path := self.of_path(request)) is not None and answered in (None, path):
            return ()
        if answered in (None, self.negotiated(request)):
            return (ACCEPT_LANGUAGE,)
        return (ACCEPT_LANGUAGE, AS_SAID)

    def _accept(self, said: str) -> str:
        for code in _by_preference(said.lower()):
            if code == "*":
                break
            if (variant := self._variant(code)) is not None:
                return variant
        return self._default

    def _variant(self, code: str) -> str | None:
        """Return the supported language for a code: itself, a more general one, or a sibling of that."""
        if len(code) > _LONGEST:
            code = code[: max(code.rfind("-", 0, _LONGEST), 0)]
        if not code:
            return None
        general = code
        for general in _generalised(code):
            if general.lower() in self._supported:
                return general.lower()
        return next((each for each in self._supported if each.startswith(f"{general}-")), None)


def _generalised(code: str) -> Iterator[str]:
    yield code
    if code in _INSTEAD:
        yield _INSTEAD[code]
    while "-" in code:
        code = code.rpartition("-")[0]
        yield code


def _by_preference(said: str) -> list[str]:
    """Return the ranges of an Accept-Language, the most wanted first; none where one of them is malformed."""
    ranges: list[tuple[str, float]] = []
    parts = [part.strip() for part in said.split(",")]
    if not parts[-1]:
        del parts[-1]
    for part in parts:
        matched = _RANGE.fullmatch(part)
        if matched is None:
            return []
        ranges.append((matched[1], float(matched[2] or 1)))
    return [code for code, _ in sorted(ranges, key=lambda each: -each[1])]
