"""Which facts of one exchange does an explanation name? Names and numbers, and no value of a cookie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from proxy.config.units import Bytes, show_bytes
from proxy.message.fields import Fields
from proxy.message.heads import Request, Response
from proxy.policy.file_types import Kind, kind_of_file
from proxy.policy.key import Distinctions
from proxy.policy.rules import Rules
from proxy.policy.said import said
from proxy.policy.surrogate import READERS as SURROGATE_FIELDS

_MOST_NAMES = 8
_LONGEST_NAME = 60
_NAME = re.compile(rb"[^!-~]")
_USUAL = {b"GET": "GET", b"HEAD": "HEAD", b"POST": "POST"}
_SESSION = re.compile(r"(?i)sess|sid\b|logged_in|remember|^\.?asp.*auth|_sec_|web_user")
_CSRF = re.compile(r"(?i)csrf|xsrf|requestverification")


class CookieKind(StrEnum):
    """What a cookie is for, by its name."""

    SESSION = "session"
    CSRF = "csrf"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one exchange; where nothing is, the words are general."""

    method: str = ""
    route: str = ""
    status: int | None = None
    """Of the application's answer."""
    cookies: tuple[str, ...] = ()
    """Names of those of the request that count."""
    set_cookies: tuple[str, ...] = ()
    """Names of those that the response sets."""
    control: str = "Cache-Control"
    """The field that counts of those that speak of caching."""
    word: str = "no-store"
    """What it says where it forbids to store."""
    vary: tuple[str, ...] = ()
    """The fields that the responses of this URL vary by."""
    length: Bytes | None = None
    limit: Bytes | None = None
    """The most that is stored of a body."""
    file: Kind | None = None
    """It is one of the files that pages consist of, and no page."""

    @property
    def kind(self) -> CookieKind | None:
        """Return what the cookies that the response sets are for: the most personal of them."""
        if any(map(_SESSION.search, self.set_cookies)):
            return CookieKind.SESSION
        return CookieKind.CSRF if any(map(_CSRF.search, self.set_cookies)) else None

    def words(self) -> Mapping[str, str]:
        """Return what stands for each fact in a sentence."""
        return {
            "method": self.method or "another method",
            "route": self.route or "that it takes",
            "status": "it has" if self.status is None else str(self.status),
            "cookies": _counted(self.cookies) or "cookies",
            "set_cookies": _counted(self.set_cookies) or "a cookie",
            "control": self.control,
            "word": self.word,
            "vary": ", ".join(self.vary) or "the fields that they vary by",
            "length": "its body" if self.length is None else show_bytes(self.length),
            "file": self.file or "of a page",
            "limit": "limits.stored_body" if self.limit is None else show_bytes(self.limit),
        }


def _counted(cookies: tuple[str, ...]) -> str:
    return f"the cookie{'s' if len(cookies) > 1 else ''} {', '.join(cookies)}" if cookies else ""


def facts_of(request: Request, response: Response | None, rules: Rules, route: str = "") -> Facts:
    """Return the facts of one exchange, each of a bounded size."""
    method = shown_name(request.method)
    left = cookie_names(rules.distinctions, request)
    file = kind_of_file(request, response)
    if response is None:
        return Facts(method, route, cookies=left, limit=rules.stored_body, file=file)
    fields = response.fields
    length = fields.get(b"content-length") or b""
    return Facts(
        method=method,
        route=route,
        status=response.status,
        cookies=left,
        set_cookies=_set_cookies(fields) if b"set-cookie" in fields else (),
        control=_control(fields, rules)[0],
        word=_control(fields, rules)[1],
        length=Bytes(int(length)) if length.isdigit() else None,
        limit=rules.stored_body,
        file=file,
    )


def _set_cookies(fields: Fields) -> tuple[str, ...]:
    return _shown(value.partition(b"=")[0].strip() for value in fields.lines(b"set-cookie"))


def _control(fields: Fields, rules: Rules) -> tuple[str, str]:
    """Return the field that counts of those that speak of caching, and the word by which it forbids to store."""
    surrogate = next((name for name in SURROGATE_FIELDS if name in fields), None)
    if surrogate is not None and b"no-store" not in said(fields, rules.targeted).directives:
        return field_name(surrogate), shown_name(fields.get(surrogate) or b"")
    return _cache_control(fields, rules), "no-store"


def _cache_control(fields: Fields, rules: Rules) -> str:
    targeted = next((name for name in rules.targeted if name in fields), None)
    if targeted is None or not said(fields, rules.targeted).is_targeted:
        return "Cache-Control"
    return field_name(targeted)


def cookie_names(distinctions: Distinctions, request: Request) -> tuple[str, ...]:
    """Return the names of the cookies of a request that are not ignored."""
    left = distinctions.cookies.remaining(request.fields.get(b"cookie"))
    return _shown(pair.partition(b"=")[0].strip() for pair in left.split(b";")) if left else ()


def field_name(name: bytes) -> str:
    """Return a field's lower-case name as it is usually written: ``Accept-Language``."""
    return shown_name(name.title())


def shown_name(name: bytes) -> str:
    """Return a name that somebody else chose, short and printable."""
    return _USUAL.get(name) or _shown_name(name)


def _shown_name(name: bytes) -> str:
    text = name.decode("latin-1")
    if not text.isascii() or not text.isprintable() or " " in text:
        text = _NAME.sub(b"?", name).decode("ascii")
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..."


def _shown(names: Iterable[bytes]) -> tuple[str, ...]:
    unique = list(dict.fromkeys(map(shown_name, names)))
    more = len(unique) - _MOST_NAMES
    return tuple(unique) if more <= 0 else (*unique[:_MOST_NAMES], f"and {more} more")
