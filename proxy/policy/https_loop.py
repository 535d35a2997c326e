"""Redirect loops to https, where what took TLS off in front is not trusted and the application never sees https."""

from __future__ import annotations

from urllib.parse import urlsplit

from proxy.message.heads import Request, Response
from proxy.policy.forwarded import scheme_said
from proxy.policy.routing import host_name


def is_https_loop(request: Request, response: Response) -> bool:
    """Tell whether a response sends to https of the same URL who says that it came by https, and is not believed."""
    location = response.fields.get(b"location")
    if location is None or not 300 <= response.status < 400 or request.trusted or request.scheme == b"https":
        return False
    if scheme_said(request.fields) != b"https":
        return False
    try:
        url = urlsplit(location)
    except ValueError:
        return False
    target = url.path or b"/"
    if url.query:
        target = b"%b?%b" % (target, url.query)
    is_same = host_name(url.netloc.lower()) == host_name(request.host) and target == request.target
    return is_same and url.scheme == b"https"
