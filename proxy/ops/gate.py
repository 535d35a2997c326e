"""Who may see a page of the admin listener, or change something there?"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="sitecache", charset="UTF-8", Bearer realm="sitecache"'}
_SAFE = frozenset({"GET", "HEAD"})


def refusal(request: web.Request, token: str | None) -> web.Response | None:
    """Return what to answer instead of the page; None lets the request through.

    With a token whoever shows it may: as ``Bearer``, or as the password of ``Basic``, which browsers ask for. Without
    one whoever reaches the listener may, which is on loopback or a Unix socket then; but no page of another site that
    a browser on this machine has open may, neither under a name that leads here nor by a form it sends.
    """
    if token is not None and not _shows(request.headers.get("Authorization", ""), token):
        return _refused(HTTPStatus.UNAUTHORIZED, "expected the token of admin.token", _CHALLENGE)
    if token is None and not _is_local(request.host):
        return _refused(HTTPStatus.MISDIRECTED_REQUEST, "expected an address or localhost as the host")
    if request.method not in _SAFE and _is_from_elsewhere(request):
        return _refused(HTTPStatus.FORBIDDEN, "a page of another site may not change anything here")
    return None


def _shows(authorization: str, token: str) -> bool:
    scheme, _, shown = authorization.partition(" ")
    told = shown.strip().encode(errors="surrogateescape")
    if scheme.lower() == "basic":
        try:
            told = b64decode(told, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(told, token.encode())


def _is_local(host: str) -> bool:
    """Tell whether no name server of somebody else can have led a browser here by this name."""
    name = urlsplit(f"//{host}").hostname or ""
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_from_elsewhere(request: web.Request) -> bool:
    """Tell whether a browser says that the page it sends this for is not one of ours."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _refused(status: HTTPStatus, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{status.value} {status.phrase}: {why}\n", headers=headers)
