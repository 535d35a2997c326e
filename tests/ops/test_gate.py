"""Who gets a page of the admin listener: whoever has the token, and else only whoever is on this machine?"""

from __future__ import annotations

from base64 import b64encode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from proxy.ops.admin import Page, admin_app

TOKEN = "a-token-of-some-length"


async def _answer(_: web.Request) -> web.Response:
    return web.Response(text="secret")


PAGES = (
    Page("/page", "something", _answer),
    Page("/do", "a change", _answer, method="POST"),
    Page("/open", "for all", _answer, open_to_all=True),
)


def basic(password: str) -> str:
    return "Basic " + b64encode(f"anybody:{password}".encode()).decode()


async def ask(method: str, path: str, token: str | None, **headers: str) -> tuple[int, str, str]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with TestClient(TestServer(admin_app(PAGES, token))) as client:
        response = await client.request(method, path, headers=sent)
        return response.status, await response.text(), response.headers.get("WWW-Authenticate", "")


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        pytest.param("/page", "", 401, id="nothing"),
        pytest.param("/page", f"Bearer {TOKEN}", 200, id="bearer"),
        pytest.param("/page", f"bearer   {TOKEN}", 200, id="a-scheme-has-no-case"),
        pytest.param("/page", "Bearer another-token-of-some-length", 401, id="another"),
        pytest.param("/page", f"Bearer {TOKEN}x", 401, id="longer"),
        pytest.param("/page", TOKEN, 401, id="no-scheme"),
        pytest.param("/page", f"Digest {TOKEN}", 401, id="another-scheme"),
        pytest.param("/page", basic(TOKEN), 200, id="password"),
        pytest.param("/page", basic("another"), 401, id="another-password"),
        pytest.param("/page", "Basic %%%", 401, id="not-base64"),
        pytest.param("/page", "Bearer \udcff", 401, id="not-ascii"),
        pytest.param("/open", "", 200, id="open-to-all"),
    ],
)
async def test_with_a_token_whoever_shows_it(path: str, authorization: str, status: int) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    got, text, challenge = await ask("GET", path, TOKEN, **headers)
    assert got == status
    assert (text == "secret") == (status == 200)
    assert ("Basic realm=" in challenge) == ("Bearer realm=" in challenge) == (status == 401)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1:9180", 200, id="address"),
        pytest.param("[::1]:9180", 200, id="ipv6"),
        pytest.param("localhost:9180", 200, id="localhost"),
        pytest.param("site.localhost", 200, id="a-name-of-localhost"),
        pytest.param("sitecache", 200, id="a-name-without-a-dot"),
        pytest.param("rebound.example.com:9180", 421, id="a-name-of-somebody-else"),
        pytest.param("127.0.0.1.example.com", 421, id="a-name-like-an-address"),
    ],
)
async def test_without_one_no_name_of_somebody_else_leads_here(host: str, status: int) -> None:
    assert (await ask("GET", "/page", None, Host=host))[0] == status
    assert (await ask("GET", "/open", None, Host=host))[0] == 200
    assert (await ask("GET", "/page", TOKEN, Host=host, Authorization=f"Bearer {TOKEN}"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="a-program"),
        pytest.param({"Sec_Fetch_Site": "same-origin"}, 200, id="our-page"),
        pytest.param({"Sec_Fetch_Site": "none"}, 200, id="the-user"),
        pytest.param({"Sec_Fetch_Site": "same-site"}, 403, id="a-neighbour"),
        pytest.param({"Sec_Fetch_Site": "cross-site"}, 403, id="a-stranger"),
        pytest.param({"Origin": "http://localhost:1", "Host": "localhost:1"}, 200, id="our-page-in-an-older-browser"),
        pytest.param({"Origin": "http://localhost:2", "Host": "localhost:1"}, 403, id="a-stranger-in-an-older-browser"),
        pytest.param({"Origin": "null", "Host": "localhost:1"}, 403, id="a-page-without-an-origin"),
    ],
)
@pytest.mark.parametrize("token", [pytest.param(None, id="no-token"), pytest.param(TOKEN, id="token")])
async def test_no_page_of_another_site_changes_anything(
    token: str | None, headers: dict[str, str], status: int
) -> None:
    shown = {} if token is None else {"Authorization": basic(token)}
    assert (await ask("POST", "/do", token, **headers, **shown))[0] == status
    assert (await ask("GET", "/page", token, **headers, **shown))[0] == 200
