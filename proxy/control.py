"""What does the admin listener have, and how is it opened?

Nothing imports this before clients can be served: what it stands on takes longer to import than all the rest.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from proxy.cache.aliases import Caches
from proxy.cache.logged import LoggedCache
from proxy.cache.settings import of_config
from proxy.config.model import Config
from proxy.ops.admin import Page, admin_app, start_admin, stop_admin
from proxy.ops.cache_http import add_caches
from proxy.ops.config_page import config_pages
from proxy.ops.dashboard import dashboard_pages
from proxy.ops.explain_page import explain_pages
from proxy.ops.health import health_pages
from proxy.ops.insight import Insight
from proxy.ops.metrics import metrics_pages
from proxy.ops.purge_page import purge_pages
from proxy.ops.stats import stats_pages
from proxy.worker import clock


async def start_control(
    config: Config, listeners: Sequence[socket.socket], insight: Insight
) -> Callable[[], Awaitable[None]]:
    """Answer operators on these listeners; return what ends that."""
    pages = _pages(config, insight)
    runners = [
        await start_admin(_with_caches(config, admin_app(pages, config.admin.token)), listener.dup())
        for listener in listeners
    ]

    async def stop() -> None:
        for runner in runners:
            await stop_admin(runner)

    return stop


def _pages(config: Config, insight: Insight) -> Sequence[Page]:
    """Return every page of the admin listener but those of the caches."""
    return [
        *dashboard_pages(wants_token=config.admin.token is not None),
        *metrics_pages(insight.collect),
        *stats_pages(insight.collect, clock),
        *health_pages(insight.readiness),
        *config_pages(insight.config),
        *explain_pages(insight.ask),
        *purge_pages(insight.purge),
    ]


def _with_caches(config: Config, app: web.Application) -> web.Application:
    """Let whoever has the token use the caches on the admin listener, where there is one."""
    if config.admin.token is not None:
        add_caches(app, Caches(of_config(config), LoggedCache), config.admin.token)
    return app
