"""Which page shows a person what the cache does, live? Files of this package that ask the other pages for numbers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from aiohttp import web

from proxy.ops.admin import Page

_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: What stands in the page for what it is to offer: words that its script reads.
_OFFERS = 'data-offers=""'
_HEADERS = {
    # Nothing from elsewhere, nothing inline, and no text that becomes HTML: most of what it shows was sent by clients.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}


def dashboard_pages(*, wants_token: bool) -> Sequence[Page]:
    """Return the page and the files it is made of.

    They hold nothing that is anybody's business, so they are open to all: the page asks for the token itself, and
    shows it to the pages that want one.
    """
    held = {file.name: file.read_text("utf-8") for file in files("proxy.ops").joinpath("dashboard_files").iterdir()}

    async def page(request: web.Request) -> web.Response:
        can_purge = any(resource.canonical == "/purge" for resource in request.app.router.resources())
        offers = " ".join(word for word, there in (("token", wants_token), ("purge", can_purge)) if there)
        return _file("index.html", held["index.html"].replace(_OFFERS, f'data-offers="{offers}"'))

    async def part(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in held:
            raise web.HTTPNotFound
        return _file(name, held[name])

    return (
        Page("/", "the dashboard: all of this for a person, live", page, open_to_all=True),
        Page("/dashboard/{file}", "what it is made of", part, open_to_all=True),
    )


def _file(name: str, text: str) -> web.Response:
    kind = _TYPES[name[name.rindex(".") :]]
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=_HEADERS)
