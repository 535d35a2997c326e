"""Are we alive, and should traffic come here? Two pages for whoever restarts processes and hands traffic out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from proxy.ops.admin import Page, plain
from proxy.ops.readiness import Readiness


def health_pages(ready: Callable[[], Readiness]) -> Sequence[Page]:
    """Return both pages; ``ready`` is asked at each check and must not wait. Neither touches a cache or the origin."""

    async def livez(_: web.Request) -> web.Response:
        return plain(HTTPStatus.OK, "ok\n")

    async def readyz(_: web.Request) -> web.Response:
        readiness = ready()
        return plain(HTTPStatus.SERVICE_UNAVAILABLE if readiness.unready else HTTPStatus.OK, readiness.report())

    return (
        Page("/livez", "is this process alive?", livez, open_to_all=True),
        Page("/readyz", "should it get traffic?", readyz, open_to_all=True),
    )
