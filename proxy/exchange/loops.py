"""Redirect loops to https, told of once: which proxy in front has to be trusted."""

from __future__ import annotations

import logging

from proxy.config.addresses import UNIX_PEERS
from proxy.message.heads import Request, Response
from proxy.policy.forwarded import scheme_field
from proxy.policy.https_loop import is_https_loop

_log = logging.getLogger("sitecache")


class Loops:
    """Sees them, and writes the first into the log."""

    def __init__(self) -> None:
        self._is_told = False

    def sees(self, request: Request, response: Response) -> bool:
        """Tell whether a redirect is a part of one."""
        if not is_https_loop(request, response):
            return False
        if not self._is_told:
            self._is_told = True
            name = (scheme_field(request.fields) or b"").decode("latin-1")
            _log.warning(
                "%s says https in %s, and the application redirects it to https of the same URL again: "
                "if that is your proxy, name it (trusted_proxies: [%s])",
                *(request.peer or "a peer on a Unix socket", name, request.peer or UNIX_PEERS),
            )
        return True
