"""What of a request went into its key, what did not, and why?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from proxy.config.wording import is_secret, one_line
from proxy.message.fields import RawField
from proxy.message.heads import Request
from proxy.policy.cookies import SINGLE_COOKIE
from proxy.policy.facts import cookie_names, field_name, shown_name
from proxy.policy.field_rules import LEFT_OUT, FieldRules
from proxy.policy.forwarded import scheme_field
from proxy.policy.key import Distinctions, counted_fields, normalise, varied_value
from proxy.policy.known_fields import FieldKind
from proxy.policy.languages import ACCEPT_LANGUAGE, AS_SAID
from proxy.policy.negotiation import AS_SENT
from proxy.policy.query import QueryRules
from proxy.policy.search import SearchVariance

MASK = "***"
ABSENT = "(absent)"

_LENGTH = re.compile(rb"(\d+):")
_CREDENTIALS = frozenset((b"authorization", b"proxy-authorization", b"cookie"))
_ABOUT_CLIENTS = frozenset({FieldKind.PROXY_CLIENT, FieldKind.EDGE_CLIENT})
_OF_PROXIES = frozenset({FieldKind.PROXY, FieldKind.PROXY_CLIENT, FieldKind.METHOD, FieldKind.SPELLED})
_SECRET_PARAMETER = re.compile(r"(?i)(?:^|[_-])(?:sid|session|sig|signature|key|code|otp)(?:[_-]?id)?$")
_COOKIES = (
    "`cookies.ignore` and `cookies.preset` say which cookies do not count, and `cookies.withhold` that the application "
    "does not get these"
)


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One part of a key, without secrets."""

    name: str
    kept: str
    """What stands in the key."""
    ignored: tuple[str, ...] = ()
    """What the request says beside that, and does not count: names only."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Keying:
    """What keys of a route are made by."""

    scope: bytes
    distinctions: Distinctions
    query: QueryRules | None = None
    variance: SearchVariance | None = None
    """What No-Vary-Search of this path said last, where it counts."""


def key_parts(request: Request, keying: Keying, vary: Sequence[bytes] | None) -> list[KeyPart]:
    """Return the parts of the key, in their order; ``vary`` is None where nothing is known of the responses."""
    parts = [*_prefix(keying.scope), *_place(request), _query(request, keying), *_beside(request, keying)]
    parts += [_varied(name, request, keying.distinctions) for name in vary or ()]
    if vary is None or b"cookie" not in vary:
        parts += _cookies(request, keying.distinctions)
    return [*parts, *_others(request, vary, keying.distinctions.fields)]


def _prefix(scope: bytes) -> Iterator[KeyPart]:
    if scope:
        named = zip(("KEY_PREFIX", "VERSION", "CACHE_MIDDLEWARE_KEY_PREFIX"), _parts_of(scope), strict=True)
        kept = ", ".join(f"{name} {_text(value)}" for name, value in named if value)
        yield KeyPart("prefix", kept, why="as the cache and the site or route say")


def _parts_of(key: bytes) -> list[bytes]:
    """Return the parts of a key, each of which stands behind its length."""
    parts = []
    while (matched := _LENGTH.match(key)) is not None:
        end = matched.end() + int(matched[1])
        parts.append(key[matched.end() : end])
        key = key[end:]
    return parts


def _place(request: Request) -> Iterator[KeyPart]:
    told = scheme_field(request.fields) if request.trusted else None
    why = "" if told is None else f"as a trusted proxy says in {field_name(told)}"
    yield KeyPart("scheme", _text(request.scheme), why=why)
    sent = request.fields.get(b"host") or request.host
    why = "" if sent == request.host else "in lower case, without the default port and the dot at the end"
    yield KeyPart("host", _text(request.host), why=why)
    path = request.target.partition(b"?")[0]
    normal = normalise(path)
    yield KeyPart("path", _text(normal), why="" if normal == path else "escapes are written one way")


def _query(request: Request, keying: Keying) -> KeyPart:
    query = request.target.partition(b"?")[2]
    if not query:
        return KeyPart("query", "", why="there is none")
    target, why = request.target, []
    if keying.query is not None and keying.query.is_declared:
        target = keying.query.keyed(target)
        why.append("`query.ignore`, `query.preset`, `query.keep` and `query.sort` say what counts")
    if keying.variance is not None:
        target = keying.variance.keyed(target)
        why.append("No-Vary-Search of this path says what counts")
    kept = target.partition(b"?")[2].partition(b"#")[0]
    ignored = _names_left_out(query, kept)
    if not why:
        why.append("every parameter counts; `query.ignore`, `query.preset` and `query.sort` change that")
    shown = "&".join(map(_shown_pair, normalise(kept).split(b"&"))) if kept else ""
    return KeyPart("query", shown, ignored, "; ".join(why))


def _names_left_out(query: bytes, kept: bytes) -> tuple[str, ...]:
    left = kept.split(b"&")
    ignored = []
    for pair in query.split(b"&"):
        if pair in left:
            left.remove(pair)
        elif pair:
            ignored.append(shown_name(pair.partition(b"=")[0]))
    return tuple(dict.fromkeys(ignored))


def _beside(request: Request, keying: Keying) -> Iterator[KeyPart]:
    """Return what of the fields is in the key whatever responses vary by, and what the application does not get."""
    rules = keying.distinctions.fields
    steady, varying = counted_fields(request, rules)
    kinds = {name: rules.kind(name) for name in request.fields.index}
    client = [field for field in varying if kinds[field[0]] is FieldKind.KEYED]
    if client:
        why = "an application may answer them with a part of the page; `request_fields` says otherwise"
        yield KeyPart("fields", _shown_fields(client), why=why)
    proxy = sorted(field for field in (*steady, *varying) if field not in client)
    about = tuple(field_name(name) for name, kind in kinds.items() if request.trusted and kind in _ABOUT_CLIENTS)
    about = tuple(name for name in about if name.lower().encode() not in dict(proxy))
    if proxy or about:
        why = "what differs with each client and not with the page is left out"
        yield KeyPart("forwarded fields", _shown_fields(proxy), about, why)
    yield from _withheld(request, kinds)


def _shown_fields(said: Sequence[RawField]) -> str:
    return "; ".join(f"{field_name(name)}: {_shown(name, value)}" for name, value in said)


def _withheld(request: Request, kinds: Mapping[bytes, FieldKind]) -> Iterator[KeyPart]:
    apart = LEFT_OUT[request.trusted, True, True]
    names = {name: kind for name, kind in kinds.items() if kind in apart}
    never = frozenset() if request.trusted else _OF_PROXIES
    proxies = tuple(field_name(name) for name, kind in names.items() if kind in never)
    others = tuple(field_name(name) for name, kind in names.items() if kind not in never)
    if proxies:
        why = "only `trusted_proxies` may say these; the application does not get them either"
        yield KeyPart("forwarded fields", "", proxies, why)
    if others:
        why = "the application does not get them where its answer could be stored; `request_fields` says otherwise"
        yield KeyPart("withheld fields", "", others, why)


def _varied(name: bytes, request: Request, distinctions: Distinctions) -> KeyPart:
    value = varied_value(name, request, distinctions)
    if name == b"cookie":
        [part] = list(_cookies(request, distinctions, is_varied=True))
        return part
    if name.startswith(SINGLE_COOKIE):
        cookie = name.removeprefix(SINGLE_COOKIE)
        is_zone = name in distinctions.readings
        kept = _text(value or b"") if is_zone else ABSENT if value is None else f"{shown_name(cookie)}={MASK}"
        why = "the time zone, by `timezone_from`" if is_zone else "this cookie alone, by `routes[].vary_on`"
        return KeyPart(f"cookie {shown_name(cookie)}", kept, why=why)
    if name == AS_SAID or name.startswith(AS_SENT):
        field = ACCEPT_LANGUAGE if name == AS_SAID else name.removeprefix(AS_SENT)
        why = "as it was sent, for the response was not what was reckoned from it"
        return KeyPart(f"{field_name(field)} as sent", _text(request.fields.get(field) or b"") or ABSENT, why=why)
    return KeyPart(
        field_name(name), ABSENT if value is None else _shown(name, value), why=_reading(name, request, value)
    )


def _reading(name: bytes, request: Request, value: bytes | None) -> str:
    sent = request.fields.get(name)
    if sent == value or name in _CREDENTIALS:
        return f"the response varies by it (Vary: {field_name(name)})"
    return f"what counts of {_shown(name, sent or b'') or 'nothing'}"


def _cookies(request: Request, distinctions: Distinctions, *, is_varied: bool = False) -> Iterator[KeyPart]:
    sent = request.fields.get(b"cookie") or b""
    counted = cookie_names(distinctions, request)
    every = dict.fromkeys(shown_name(pair.partition(b"=")[0].strip()) for pair in sent.split(b";") if pair.strip())
    ignored = tuple(name for name in every if name not in counted)
    kept = "; ".join(f"{name}={MASK}" for name in counted)
    if is_varied:
        yield KeyPart("Cookie", kept or ABSENT, ignored, f"Vary: Cookie; {_COOKIES}")
    elif every:
        why = f"no part of the key; {_COOKIES}"
        if counted:
            those = ", ".join(counted)
            why = f"not in the key, but with {those} only a page that says who may share it is used; {_COOKIES}"
        yield KeyPart("cookies", "", (*counted, *ignored), why)


def _others(request: Request, vary: Sequence[bytes] | None, rules: FieldRules) -> Iterator[KeyPart]:
    told = {b"host", b"cookie", *(vary or ())}
    passed = [name for name in request.fields.index if rules.kind(name) is FieldKind.PASSED]
    others = [name for name in passed if name not in told]
    if others:
        why = "nothing that is stored here varies by them" if vary is not None else "no response is known that varies"
        yield KeyPart("other fields", "", tuple(map(field_name, others)), why)


def _shown(name: bytes, value: bytes) -> str:
    is_secret_field = name in _CREDENTIALS or is_secret_parameter(name.decode("latin-1").replace("-", "_"))
    return MASK if is_secret_field else _text(value)


def _shown_pair(pair: bytes) -> str:
    name, mark, _ = pair.partition(b"=")
    text = _text(name)
    return f"{text}={MASK}" if mark and is_secret_parameter(text) else _text(pair)


def is_secret_parameter(name: str) -> bool:
    """Tell whether the value of a parameter of this name is likely a secret."""
    return is_secret(name) or _SECRET_PARAMETER.search(name) is not None


def _text(value: bytes) -> str:
    return one_line(value.decode("latin-1"), 200)


def without_secrets(target: bytes) -> str:
    """Return a path and query to be shown."""
    path, mark, query = target.partition(b"?")
    return _text(path) + mark.decode() + "&".join(map(_shown_pair, query.split(b"&")))
