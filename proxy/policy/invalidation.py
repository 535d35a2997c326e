"""What does this write make invalid? (RFC 9111 §4.4)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from proxy.errors import RequestError
from proxy.message.heads import Request, Response
from proxy.message.hosts import canonical_host
from proxy.policy.companions import Companion, companions

_LOCATIONS = (b"location", b"content-location")


def invalidated(request: Request, response: Response, kinds: Sequence[Companion] = ()) -> tuple[Request, ...]:
    """Return a GET for each resource that a successful unsafe request may have changed.

    The target itself, what Location and Content-Location name on the same origin, and what frameworks answer beside
    them. What is stored for them lies where these requests would look for it, whatever route the unsafe one took.
    """
    if request.is_safe or not 200 <= response.status < 400:
        return ()
    targets = [request.target]
    for name in _LOCATIONS:
        value = response.fields.get(name)
        if value is not None and (target := same_origin(request, value)) is not None and target not in targets:
            targets.append(target)
    if kinds:
        # Frameworks tell actions of one page apart by the query: POST /todo?/create, /todo.data?index.
        paths = dict.fromkeys(target.partition(b"?")[0] for target in targets)
        targets += [*paths, *(beside for path in paths for beside in companions(path, kinds))]
    targets = list(dict.fromkeys(targets))
    return tuple(replace(request, method=b"GET", target=target) for target in targets)


def same_origin(request: Request, reference: bytes) -> bytes | None:
    """Return the target a reference means, when it is on the request's origin."""
    base = b"%b://%b%b" % (request.scheme, request.host, request.target)
    try:
        url = urlsplit(urljoin(base, reference))
        if url.scheme != request.scheme or canonical_host(url.netloc, url.scheme) != request.host:
            return None
    except (ValueError, RequestError, KeyError):
        return None
    path = url.path or b"/"
    return b"%b?%b" % (path, url.query) if url.query else path
