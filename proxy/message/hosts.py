"""Which host does a Host field name?"""

from __future__ import annotations

import re
from functools import lru_cache

from proxy.errors import RequestError

_HOST = re.compile(rb"((?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?")
_DEFAULT_PORTS = {b"http": b"80", b"https": b"443"}


#: A name as long as DNS allows, 255 bytes, with a colon and a port.
_LONGEST = 261


@lru_cache(maxsize=1024)
def canonical_host(host: bytes, scheme: bytes) -> bytes:
    """Return a Host value in normal form; RequestError if it is none.

    That is in lower case, without a dot at its end, an empty port or the scheme's default port.
    """
    if not host:
        return b""
    matched = _HOST.fullmatch(host) if len(host) <= _LONGEST else None
    if matched is None:
        raise RequestError(400, "the Host field is not a host")
    name, port = matched[1].lower(), matched[2]
    if len(name) > 1:
        # The root of DNS, which a name may end with: the same host (RFC 9110 §4.2.3, RFC 3986 §3.2.2).
        name = name.removesuffix(b".")
    port = port and (port.lstrip(b"0") or b"0")
    return name if not port or port == _DEFAULT_PORTS[scheme] else name + b":" + port
