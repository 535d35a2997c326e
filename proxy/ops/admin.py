"""How do operators, and their machines, ask how we are?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from aiohttp import web

from proxy.config.units import Seconds
from proxy.ops.metrics import render
from proxy.ops.snapshot import Snapshot

Collect = Callable[[], Awaitable[Sequence[Snapshot]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SERVER = "sitecache"
"""Instead of aiohttp's own, which tells versions."""
_KEEP_ALIVE = Seconds(75)
_PAGES = {
    "/metrics": "numbers for Prometheus",
    "/livez": "is this process alive?",
    "/readyz": "should it get traffic?",
}


class Unready(StrEnum):
    """Why no traffic should come here."""

    DRAINING = "draining"
    NO_WORKER = "no worker ready"


class Degraded(StrEnum):
    """What is wrong while traffic may come all the same."""

    ORIGIN = "origin failing"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether traffic should come here; an origin that fails is no reason against, for stored responses still serve."""

    unready: tuple[Unready, ...] = ()
    degraded: tuple[Degraded, ...] = ()

    def report(self) -> str:
        """Say it in lines: ``ready`` or the reasons against, then what is degraded."""
        lines = [reason.value for reason in self.unready] or ["ready"]
        return "".join(f"{line}\n" for line in [*lines, *(f"degraded: {what.value}" for what in self.degraded)])


def admin_app(collect: Collect, ready: Callable[[], Readiness]) -> web.Application:
    """Build the application of the admin listener.

    ``collect`` returns the numbers of every worker; ``ready`` is asked at each health check and must not wait. Neither
    health check touches a cache or the origin.
    """

    async def metrics(request: web.Request) -> web.Response:
        page = render(await collect(), request.headers.get("Accept", ""))
        return web.Response(body=page.body, headers={"Content-Type": page.content_type})

    async def livez(_: web.Request) -> web.Response:
        return _text(HTTPStatus.OK, "ok\n")

    async def readyz(_: web.Request) -> web.Response:
        readiness = ready()
        return _text(HTTPStatus.SERVICE_UNAVAILABLE if readiness.unready else HTTPStatus.OK, readiness.report())

    app = web.Application(middlewares=[_plain_errors])
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.on_response_prepare.append(_head)
    return app


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        pages = "".join(f"  {path:10}{what}\n" for path, what in _PAGES.items())
        return _text(HTTPStatus.NOT_FOUND, f"404 Not Found. There are:\n{pages}")
    except web.HTTPMethodNotAllowed as error:
        response = _text(HTTPStatus.METHOD_NOT_ALLOWED, "405 Method Not Allowed\n")
        response.headers["Allow"] = error.headers["Allow"]
        return response


async def _head(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = _SERVER
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _text(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/plain", charset="utf-8")


# The listener.


class _Handler(web.RequestHandler):
    """Answers what is not HTTP, or fails, without aiohttp's banner either: such answers pass by the application."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer and close."""
        response = super().handle_error(request, status, exc, message)
        response.headers["Server"] = _SERVER
        return response


class _Site(web.BaseSite):
    """A socket that is listening already, TCP or Unix."""

    __slots__ = ("_listener",)

    def __init__(self, runner: web.AppRunner, listener: socket.socket) -> None:
        super().__init__(runner)
        self._listener = listener

    @property
    def name(self) -> str:
        return f"admin on {self._listener.getsockname()}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner has not been set up")

        def handler() -> _Handler:
            # aiohttp takes None for no log of its own, but does not say so in its types.
            return _Handler(server, loop=loop, keepalive_timeout=_KEEP_ALIVE, access_log=None)  # type: ignore[arg-type]

        if self._listener.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(handler, sock=self._listener)
        else:
            self._server = await loop.create_server(handler, sock=self._listener)


async def start_admin(app: web.Application, listener: socket.socket) -> web.AppRunner:
    """Answer on a socket that is listening already; the loop owns it from then on."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=Seconds(1))
    await runner.setup()
    await _Site(runner, listener).start()
    return runner


async def stop_admin(runner: web.AppRunner) -> None:
    """Close the listener and its connections; what is being answered has a second."""
    await runner.cleanup()
