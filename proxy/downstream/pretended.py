"""Which request would this be, had a client sent it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from proxy.config.addresses import UNIX_PEERS
from proxy.config.model import Limits
from proxy.downstream.parser import HeadLimits, HeadParser
from proxy.downstream.trust import Networks, believe, is_trusted, networks_of
from proxy.errors import RequestError
from proxy.message.heads import Request

_UNSAFE = "".join(map(chr, range(33, 127)))
"""What may stand in a target as it is; the rest is escaped, as browsers do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a person describes it."""

    url: str
    method: str = "GET"
    fields: Sequence[str] = ()
    """Lines such as ``Accept-Language: de``."""
    peer: str = ""
    """The address that it comes from, or ``unix``; empty for one that may say anything where the URL is https."""


def pretend(
    asked: Asked, limits: Limits, trusted_proxies: Sequence[str], upgrades: Sequence[str] = ("websocket",)
) -> Request:
    """Read a request as the parser of a client's connection would; RequestError says why it could not be one."""
    trusted = networks_of(trusted_proxies)
    try:
        url = urlsplit(asked.url)
        host, secure = url.netloc, url.scheme == "https"
    except ValueError as error:
        raise RequestError(400, f"not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not host or "@" in host:
        raise RequestError(400, "expected a URL such as http://www.example.org/page")
    lines = list(asked.fields)
    if any(mark in text for text in (asked.method, *lines) for mark in "\r\n"):
        raise RequestError(400, "expected one line for the method and for each header field")
    names = {line.partition(":")[0].strip().lower() for line in lines}
    # Nobody comes here over https but through a proxy that says so.
    is_trusted_peer = _trusts(asked.peer, trusted) if asked.peer else secure
    if secure and is_trusted_peer and "x-forwarded-proto" not in names:
        lines.append("X-Forwarded-Proto: https")
    if "host" not in names:
        lines.insert(0, f"Host: {host}")
    head = "".join(f"{line}\r\n" for line in [_request_line(asked, url.path, url.query), *lines, ""])
    within = HeadLimits(limits.header_bytes, limits.headers, limits.target)
    parser = HeadParser(within, frozenset(name.encode() for name in upgrades))
    return _read(head, parser, asked.peer, is_trusted_peer=is_trusted_peer)


def _trusts(peer: str, trusted: Networks) -> bool:
    if peer == UNIX_PEERS:
        return is_trusted("", trusted)
    try:
        return is_trusted(str(ip_address(peer)), trusted)
    except ValueError as error:
        raise RequestError(400, "expected an IP address as the peer") from error


def _request_line(asked: Asked, path: str, query: str) -> str:
    target = quote(path or "/", safe=_UNSAFE) + (f"?{quote(query, safe=_UNSAFE)}" if query else "")
    return f"{asked.method} {target} HTTP/1.1"


def _read(head: str, parser: HeadParser, peer: str, *, is_trusted_peer: bool) -> Request:
    try:
        request = parser.parse(head.encode("latin-1"))
    except UnicodeEncodeError as error:
        raise RequestError(400, "expected header fields of ISO 8859-1") from error
    request.peer = "" if peer == UNIX_PEERS else peer
    if is_trusted_peer:
        request.trusted = True
        believe(request)
    return request
