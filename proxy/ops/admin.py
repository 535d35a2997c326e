"""How do operators, and their machines, ask how we are?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from proxy.config.units import Seconds
from proxy.ops.gate import refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SERVER = "sitecache"
"""Instead of aiohttp's own, which tells versions."""
_KEEP_ALIVE = Seconds(75)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the admin listener. A module that has pages returns a sequence of them, and app.py joins them."""

    path: str
    what: str
    """What it is for, in a few words: whoever asks for a page that is not there is told of those that are."""
    answer: Handler
    method: str = "GET"
    """HEAD comes with GET."""
    open_to_all: bool = False
    """It is answered without the token too, where there is one."""


def admin_app(pages: Iterable[Page], token: str | None = None) -> web.Application:
    """Build the application of the admin listener; with a token, only whoever shows it gets what is not open to all."""
    pages = tuple(pages)
    app = web.Application(middlewares=[_plain_errors(pages)])
    for page in pages:
        handler = page.answer if page.open_to_all else partial(_behind_the_gate, page.answer, token)
        app.router.add_route(page.method, page.path, handler)
        if page.method == "GET":
            app.router.add_route("HEAD", page.path, handler)
    app.on_response_prepare.append(_head)
    return app


async def _behind_the_gate(answer: Handler, token: str | None, request: web.Request) -> web.StreamResponse:
    return refusal(request, token) or await answer(request)


def _plain_errors(pages: Iterable[Page]) -> Middleware:
    width = max((len(page.path) for page in pages), default=0)
    there_are = "".join(f"  {page.path:{width}}  {page.what}\n" for page in pages)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return plain(HTTPStatus.NOT_FOUND, f"404 Not Found. There are:\n{there_are}")
        except web.HTTPMethodNotAllowed as error:
            response = plain(HTTPStatus.METHOD_NOT_ALLOWED, "405 Method Not Allowed\n")
            response.headers["Allow"] = error.headers["Allow"]
            return response

    return middleware


async def _head(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = _SERVER
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def plain(status: HTTPStatus, text: str) -> web.Response:
    """Return an answer of plain text."""
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
