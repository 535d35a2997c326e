"""Identity of the client of a request: cookies, credentials and identity fields that a response may depend on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from proxy.message.heads import Request
from proxy.policy.cookies import SINGLE_COOKIE
from proxy.policy.decisions import Detail
from proxy.policy.globs import any_of

if TYPE_CHECKING:
    from proxy.policy.key import Distinctions

#: What clients and proxies send with usual requests and what says nothing of who asks: no need to look further.
_USUAL = frozenset(
    b"accept accept-charset accept-encoding accept-language access-control-request-headers "
    b"access-control-request-method cache-control connection content-length content-type date dnt forwarded from host "
    b"if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive max-forwards origin pragma "
    b"priority range referer save-data sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode "
    b"sec-fetch-site sec-fetch-user sec-gpc te traceparent tracestate transfer-encoding upgrade "
    b"upgrade-insecure-requests user-agent via x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto "
    b"x-forwarded-server x-real-ip x-request-id x-requested-with".split()
)
#: Bytes of a name that is worth remembering: clients choose them.
_LONGEST_REMEMBERED = 64
_CREDENTIALS = frozenset((b"authorization", b"cookie"))


class IdentityFields:
    """Names of fields, beside Cookie and Authorization, by which an application may know who asks."""

    __slots__ = ("_known", "_pattern", "usual")

    def __init__(self, patterns: Sequence[str]) -> None:
        """``patterns`` are lower-case names, ``*`` standing for any text."""
        self._pattern = re.compile(any_of(patterns)) if patterns else None
        # A site's requests have the same few names, and a hundred patterns take long.
        self._known = lru_cache(maxsize=512)(self._matches)
        self.usual = frozenset(name for name in _USUAL if not self.covers(name)) | _CREDENTIALS
        """Names that are none of them, and all that most requests have: then there is no need to look further."""

    def covers(self, name: bytes) -> bool:
        """Tell whether a field with this lower-case name identifies the client.

        CGI and WSGI give an application the same name for ``X-Api-Key`` and ``X_Api_Key``.
        """
        return self._known(name) if len(name) <= _LONGEST_REMEMBERED else self._matches(name)

    def _matches(self, name: bytes) -> bool:
        return self._pattern is not None and self._pattern.match(_text(name)) is not None

    def sent(self, names: Iterable[bytes]) -> Iterable[bytes]:
        """Return those of the lower-case names of a request's fields that identify its client."""
        return filter(self.covers, names)


def _text(name: bytes) -> str:
    return name.replace(b"_", b"-").decode("latin-1")


def unaccounted(request: Request, vary: Collection[bytes], distinctions: Distinctions) -> Detail | None:
    """Return what identifies the client of a request and is not among the fields that a response varies by.

    None: nobody is identified, or whoever is has a variant of his own.
    """
    index = request.fields.index
    if b"authorization" in index and b"authorization" not in vary:
        return Detail.AUTHORIZATION
    if not distinctions.identity.usual.issuperset(index) and _has_identity(index, vary, distinctions):
        return Detail.IDENTITY
    cookie = index.get(b"cookie")
    if cookie is None or b"cookie" in vary:
        return None
    left = distinctions.cookies.remaining(cookie)
    return Detail.COOKIE if left and not _are_varied(left, vary) else None


def is_identified(request: Request, distinctions: Distinctions) -> bool:
    """Tell whether anything in a request identifies its client."""
    return unaccounted(request, (), distinctions) is not None


def tells_clients_apart(vary: Iterable[bytes], distinctions: Distinctions) -> bool:
    """Tell whether one of the fields that a response varies by identifies clients."""
    return any(
        name in _CREDENTIALS or name.startswith(SINGLE_COOKIE) or distinctions.identity.covers(name) for name in vary
    )


def _has_identity(index: Mapping[bytes, bytes], vary: Collection[bytes], distinctions: Distinctions) -> bool:
    return any(name not in vary for name in distinctions.identity.sent(index))


def _are_varied(cookies: bytes, vary: Collection[bytes]) -> bool:
    """Tell whether each of these cookies is in the key by itself."""
    named = [name.removeprefix(SINGLE_COOKIE) for name in vary if name.startswith(SINGLE_COOKIE)]
    return bool(named) and all(pair.partition(b"=")[0].strip() in named for pair in cookies.split(b";"))
