"""What is the dashboard made of, and who gets it?"""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from proxy.ops.admin import Page, admin_app
from proxy.ops.dashboard import dashboard_pages

TOKEN = "a-token-of-some-length"
HELD = {file.name: file.read_text("utf-8") for file in files("proxy.ops").joinpath("dashboard_files").iterdir()}
SCRIPTS = [pytest.param(text, id=name) for name, text in sorted(HELD.items()) if name.endswith(".js")]


async def _purge(_: web.Request) -> web.Response:
    return web.Response()


async def ask(path: str, token: str | None = None, *more: Page) -> tuple[ClientResponse, str]:
    app = admin_app([*dashboard_pages(wants_token=token is not None), *more], token)
    async with TestClient(TestServer(app)) as client:
        response = await client.get(path)
        return response, await response.text()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("/", "text/html", id="page"),
        pytest.param("/dashboard/main.js", "text/javascript", id="script"),
        pytest.param("/dashboard/style.css", "text/css", id="style"),
        pytest.param("/dashboard/icon.svg", "image/svg+xml", id="icon"),
    ],
)
@pytest.mark.parametrize("token", [pytest.param(None, id="no-token"), pytest.param(TOKEN, id="token")])
async def test_whoever_asks_gets_it_and_nothing_of_it_may_come_from_elsewhere(
    name: str, kind: str, token: str | None
) -> None:
    response, _ = await ask(name, token)
    assert (response.status, response.content_type) == (200, kind)
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["nothing.js", "..%2fdashboard.py", "%2e%2e%2fgate.py"])
async def test_there_is_nothing_else(name: str) -> None:
    assert (await ask(f"/dashboard/{name}"))[0].status == 404


async def test_the_page_offers_what_there_is() -> None:
    purge = Page("/purge", "a purge", _purge, "POST")
    assert 'data-offers=""' in (await ask("/"))[1]
    assert 'data-offers="token"' in (await ask("/", TOKEN))[1]
    assert 'data-offers="token purge"' in (await ask("/", TOKEN, purge))[1]


def test_everything_that_it_names_is_there() -> None:
    named = re.findall(r'(?:href|src)="dashboard/([^"]+)"', HELD["index.html"])
    named += [name for text in HELD.values() for name in re.findall(r'from "\./([^"]+)"', text)]
    assert set(named) == set(HELD) - {"index.html"}


@pytest.mark.parametrize("text", SCRIPTS)
def test_no_text_becomes_html(text: str) -> None:
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", text)
        == []
    )


def test_the_page_has_nothing_inline() -> None:
    page = HELD["index.html"]
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|https?://(?!www\.example\.org)", page) == []
    assert not any(
        "http://" in text.replace("http://www.w3.org/", "") for name, text in HELD.items() if name != "index.html"
    )
