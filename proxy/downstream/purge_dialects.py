"""What does a purge that comes to a public listener mean, in the words of the program that sent it, and may it?"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_network

from proxy.config.purging import PurgeConfig, PurgeDialect
from proxy.downstream.trust import Networks, is_trusted
from proxy.message.heads import Request
from proxy.policy.asked_purges import Asked, PurgeError, asked_of
from proxy.policy.tags import said_by_blanks, said_in

METHODS = frozenset({b"PURGE", b"PURGEKEYS", b"BAN", b"REFRESH"})
#: Fields that programs show a token in, beside Authorization.
_TOKENS = (b"x-purge-token", b"fastly-key")
SHOWING = frozenset({b"authorization", *_TOKENS})
"""Fields that may show the token."""
#: What a pattern of these programs ends with, where it means a prefix.
_ANYTHING = b".*"
#: What is more than itself in a regular expression, save the dot, which is in most paths.
_SPECIAL = frozenset(b"*+?^$|()[]{}\\")


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not carried out."""

    status: int
    why: str
    fields: bytes = b""


@dataclass(frozen=True, slots=True)
class Refresh:
    """The page is to be asked for again, and answers."""

    asked: Asked


Meaning = Asked | Refresh | Refused


@dataclass(frozen=True, slots=True)
class Door:
    """Who may purge here, and in which dialects."""

    dialects: frozenset[PurgeDialect]
    networks: Networks
    token: bytes = field(repr=False)

    @classmethod
    def of(cls, config: PurgeConfig) -> Door | None:
        """Return the door that a configuration opens; None where purges are requests like others."""
        if not config.dialects:
            return None
        networks = tuple(ip_network(network) for network in config.networks)
        return cls(frozenset(config.dialects), networks, (config.token or "").encode())

    def read(self, request: Request) -> Meaning:
        """Return what a request with one of the methods asks for."""
        if not is_trusted(_sender(request), self.networks):
            return Refused(403, "purges are not taken from this address (purge.networks)")
        if not any(hmac.compare_digest(shown, self.token) for shown in _shown(request)):
            return Refused(401, "a purge has to show the token of purge.token", _CHALLENGE)
        try:
            return self._meaning(request)
        except PurgeError as error:
            return Refused(400, str(error))

    def _meaning(self, request: Request) -> Meaning:
        speaks = self.dialects
        if PurgeDialect.VARNISH_XKEY in speaks and (asked := _by_keys(request)) is not None:
            return asked
        if PurgeDialect.FASTLY in speaks and request.method == b"PURGE" and b"surrogate-key" in request.fields:
            return _tags(said_by_blanks(request.fields.get(b"surrogate-key") or b""), soft=_is_soft(request))
        match request.method:
            case b"BAN" if PurgeDialect.VARNISH in speaks:
                return _prefix(request, request.target)
            case b"REFRESH" if PurgeDialect.VARNISH in speaks:
                return Refresh(_url(request, soft=True))
            case b"PURGE" if speaks - {PurgeDialect.VARNISH_XKEY}:
                return self._purge(request)
        return Refused(405, "no dialect of purge.dialects has this request")

    def _purge(self, request: Request) -> Asked:
        speaks = self.dialects
        method = (request.fields.get(b"x-purge-method") or b"").lower()
        if PurgeDialect.WORDPRESS in speaks and method == b"regex":
            return _prefix(request, request.target.removesuffix(_ANYTHING))
        if PurgeDialect.W3TC in speaks and request.target.endswith(_ANYTHING):
            return _prefix(request, request.target.removesuffix(_ANYTHING))
        return _url(request, soft=PurgeDialect.FASTLY in speaks and _is_soft(request))


_CHALLENGE = b'WWW-Authenticate: Basic realm="purge", charset="UTF-8"\r\n'


def _sender(request: Request) -> str:
    """Return the address that a request is from, as the last proxy that is trusted says."""
    said = request.fields.get(b"x-forwarded-for") if request.trusted else None
    return request.peer if said is None else _address(said.rpartition(b",")[2].strip())


def _address(said: bytes) -> str:
    text = said.decode("latin-1")
    try:
        ip_network(text)
    except ValueError:
        return ""
    return text


def _shown(request: Request) -> Sequence[bytes]:
    scheme, _, shown = (request.fields.get(b"authorization") or b"").partition(b" ")
    tokens = [request.fields.get(name) or b"" for name in _TOKENS]
    if scheme.lower() == b"bearer":
        tokens.append(shown.strip())
    elif scheme.lower() == b"basic":
        with suppress(binascii.Error):
            tokens.append(b64decode(shown.strip(), validate=True).partition(b":")[2])
    return [token for token in tokens if token]


def _is_soft(request: Request) -> bool:
    return (request.fields.get(b"fastly-soft-purge") or b"").strip() == b"1"


def _by_keys(request: Request) -> Asked | None:
    """Return what the fields of Varnish's recipes for xkey name."""
    if request.method not in (b"PURGE", b"PURGEKEYS", b"BAN"):
        return None
    soft = request.fields.get(b"xkey-softpurge")
    hard = request.fields.get(b"xkey-purge") or request.fields.get(b"xkey")
    if soft is None and hard is None:
        return None
    return _tags(said_in(hard or soft or b""), soft=hard is None)


def _tags(tags: Sequence[bytes], *, soft: bool) -> Asked:
    return asked_of({"tag": [tag.decode("latin-1") for tag in tags], "soft": soft})


def _url(request: Request, *, soft: bool) -> Asked:
    url = b"%b://%b%b" % (request.scheme, request.host, request.target)
    return Asked(url=(url.decode("latin-1"),), soft=soft)


def _prefix(request: Request, prefix: bytes) -> Asked:
    path = prefix.removeprefix(b"^")
    if not _SPECIAL.isdisjoint(path):
        raise PurgeError("of patterns, only a path and .* behind it can be purged")
    if path == b"/":
        return Asked(host=(request.host.decode("latin-1"),))
    return asked_of({"prefix": path.decode("latin-1"), "host": request.host.decode("latin-1")})
