"""By which configuration does the proxy go now?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from proxy.config.model import Config
from proxy.config.show import show_values
from proxy.ops.admin import Page, plain


def config_pages(config: Callable[[], Config]) -> Sequence[Page]:
    """Return the page; ``config`` is asked each time, for a reload changes it."""

    async def answer(_: web.Request) -> web.Response:
        return plain(HTTPStatus.OK, show_values(config()))

    return (Page("/config", "the settings that count now, without secrets", answer),)
