"""Does every operation of the low-level API work over HTTP, for whoever has the token and nobody else?"""

# ruff: noqa: E501  a row is one line of output, whole

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from proxy.cache.aliases import Caches
from proxy.cache.logged import LoggedCache
from proxy.cache.settings import of_mapping
from proxy.ops.cache_http import add_caches
from proxy.ops.cache_values import TYPED, read, write
from tests.storage.own_caches import BrokenCache, PlainCache
from tests.storage.servers import running

TOKEN = "a-token-of-many-characters"
Client = TestClient[web.Request, web.Application]


class CannotCount(PlainCache):
    """Lacks what there is no substitute for."""

    incr = None


def made() -> Caches:
    entries = {
        "default": {"BACKEND": "locmem", "LOCATION": "over-http"},
        "broken": {"BACKEND": BrokenCache},
        "plain": {"BACKEND": CannotCount, "LOCATION": "cannot-count"},
        "memcached": {"BACKEND": "pymemcache", "LOCATION": "127.0.0.1:9"},
        "full": {"BACKEND": "locmem", "LOCATION": "full", "OPTIONS": {"MAX_BYTES": 1000}},
    }
    return Caches(of_mapping(entries), LoggedCache)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    caches = made()
    caches["default"].clear()
    add_caches(app, caches, TOKEN)
    async with TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def at(target: str) -> URL:
    return URL(f"/-/cache/{target}", encoded=True)


async def ask(client: Client, method: str, target: str, body: object = ..., **headers: str) -> tuple[int, Any]:
    """Return the status and what the JSON says."""
    data = None if body is ... else io.BytesIO(json.dumps(body).encode())
    given = {"Content-Type": "application/json"} if data is not None else {}
    async with client.request(method, at(target), data=data, headers=given | headers) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None


@pytest.mark.parametrize(
    "shown",
    [
        None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, f"Basic {TOKEN}",
        "Bearer \udcff", f"Bearer {TOKEN} {TOKEN}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["default/k", "no-such-alias/k", "default:clear"])
async def test_without_the_token_nothing_is_told(client: Client, shown: str | None, target: str) -> None:
    headers = {} if shown is None else {"Authorization": shown}
    async with aiohttp.ClientSession() as session:
        url = client.make_url("/").join(at(target))
        async with session.request("POST" if ":" in target else "GET", url, headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert await response.json() == {"error": "Authorization: expected Bearer and the token of admin.token"}


async def test_one_value(client: Client) -> None:
    assert await ask(client, "GET", "default/k") == (404, {"error": "no value under this key"})
    assert await ask(client, "PUT", "default/k", {"a": [1, 2.5, None, True, "h\u00e9"]}) == (204, None)
    assert await ask(client, "GET", "default/k") == (200, {"a": [1, 2.5, None, True, "h\u00e9"]})
    assert await ask(client, "HEAD", "default/k") == (200, None)
    assert await ask(client, "PUT", "default/none", None) == (204, None)
    assert await ask(client, "GET", "default/none") == (200, None)
    assert await ask(client, "DELETE", "default/k") == (204, None)
    assert (await ask(client, "DELETE", "default/k"))[0] == 404
    assert (await ask(client, "HEAD", "default/k"))[0] == 404


async def test_add_and_touch(client: Client) -> None:
    assert await ask(client, "POST", "default/k:add", 1) == (201, None)
    assert await ask(client, "POST", "default/k:add", 2) == (409, {"error": "there is a value under this key"})
    assert await ask(client, "GET", "default/k") == (200, 1)
    assert await ask(client, "POST", "default/k:touch?timeout=60") == (204, None)
    assert await ask(client, "POST", "default/k:touch?timeout=0") == (204, None)
    assert (await ask(client, "POST", "default/k:touch"))[0] == 404


async def test_numbers_and_versions(client: Client) -> None:
    assert (await ask(client, "POST", "default/n:incr"))[0] == 404
    await ask(client, "PUT", "default/n", 2**62)
    assert await ask(client, "POST", "default/n:incr") == (200, 2**62 + 1)
    assert await ask(client, "POST", "default/n:incr?delta=-1") == (200, 2**62)
    assert await ask(client, "POST", "default/n:decr?delta=2") == (200, 2**62 - 2)
    assert await ask(client, "POST", "default/n:incr_version") == (200, 2)
    assert (await ask(client, "GET", "default/n"))[0] == 404
    assert await ask(client, "GET", "default/n?version=2") == (200, 2**62 - 2)
    assert await ask(client, "POST", "default/n:decr_version?version=2") == (200, 1)
    await ask(client, "PUT", "default/text", "1")
    assert await ask(client, "POST", "default/text:incr") == (409, {"error": "the value of 'text' is not an integer"})
    await ask(client, "PUT", "default/large", 2**70)
    assert (await ask(client, "POST", "default/large:incr"))[0] == 409
    assert await ask(client, "PUT", "default/k?version=beta", 1) == (204, None)
    assert await ask(client, "GET", "default/k?version=beta") == (200, 1)
    assert (await ask(client, "POST", "default/k:incr_version?version=beta"))[0] == 409


async def test_many(client: Client) -> None:
    assert await ask(client, "POST", "default:set_many", {"a": 1, "b c": None}) == (200, {"failed": []})
    assert await ask(client, "POST", "default:get_many", ["a", "b c", "d"]) == (200, {"a": 1, "b c": None})
    assert await ask(client, "POST", "default:get_many?version=2", ["a"]) == (200, {})
    assert await ask(client, "POST", "default:delete_many", ["a"]) == (204, None)
    assert await ask(client, "POST", "default:get_many", ["a", "b c"]) == (200, {"b c": None})
    assert await ask(client, "POST", "default:clear") == (204, None)
    assert await ask(client, "POST", "default:get_many", ["b c"]) == (200, {})


async def test_what_was_not_kept_is_told(client: Client) -> None:
    large = "x" * 2000
    await ask(client, "PUT", "full/k", 1)
    assert await ask(client, "POST", "full:set_many", {"a": 1, "k": large}) == (200, {"failed": ["k"]})
    assert (await ask(client, "PUT", "full/k", large))[0] == 507
    assert (await ask(client, "GET", "full/k"))[0] == 404


@pytest.mark.parametrize(
    ("program", "backend", "url", "failed"),
    [("memcached", "pymemcache", "{}", ["large"]), ("memcached", "pylibmc", "{}", ["large"]), ("redis-server", "redis", "redis://{}", [])],
    ids=["pymemcache", "pylibmc", "redis"],
)  # fmt: skip
async def test_a_store_in_a_server(program: str, backend: str, url: str, failed: list[str]) -> None:
    with running(program, listen="tcp") as server:
        entry = {"BACKEND": backend, "LOCATION": url.format(server.name)}
        caches = Caches(of_mapping({"default": entry}), LoggedCache)
        app = web.Application()
        add_caches(app, caches, TOKEN)
        async with TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            values = {"a": 1, "large": "x" * 2_000_000, "b": {"c": None}}
            assert await ask(client, "POST", "default:set_many", values) == (200, {"failed": failed})
            assert await ask(client, "POST", "default/a:incr?delta=41") == (200, 42)
            assert await ask(client, "POST", "default:get_many", ["a", "b"]) == (200, {"a": 42, "b": {"c": None}})
            assert (await ask(client, "GET", "default/large"))[0] == (404 if failed else 200)
            server.kill()
            status = {"redis": 503}.get(backend, 404)
            assert (await ask(client, "GET", "default/a"))[0] == status


@pytest.mark.parametrize("timeout", ["60", "1.5", "5m", "null"])
async def test_timeouts(client: Client, timeout: str) -> None:
    assert await ask(client, "PUT", f"default/k?timeout={timeout}", 1) == (204, None)
    assert await ask(client, "GET", "default/k") == (200, 1)
    assert await ask(client, "PUT", "default/k?timeout=-1", 1) == (204, None)
    assert (await ask(client, "GET", "default/k"))[0] == 404


@pytest.mark.filterwarnings("error::proxy.cache.CacheKeyWarning")
@pytest.mark.parametrize(
    "key",
    ["", "a/b", "/", "a b", "a:b", "a:add", "..", "../../metrics", "a?b=c#d", "100%", "%2F", "\u5b57" * 100, "x" * 300,
     "a\nb\x00", "+", "a;b", "\u00e9"],
    ids=ascii,
)  # fmt: skip
async def test_any_key(client: Client, key: str) -> None:
    escaped = quote(key, safe="").replace(".", "%2E")
    assert await ask(client, "PUT", f"default/{escaped}", key) == (204, None)
    assert await ask(client, "GET", f"default/{escaped}") == (200, key)
    assert await ask(client, "POST", f"default/{escaped}:add", 1) == (409, {"error": "there is a value under this key"})
    assert await ask(client, "POST", "default:get_many", [key]) == (200, {key: key})
    assert await made()["default"].aget(key) == key
    assert await ask(client, "DELETE", f"default/{escaped}") == (204, None)


async def test_slashes_and_colons_may_stand_as_they_are(client: Client) -> None:
    assert await ask(client, "PUT", "default/a/b:c", 1) == (204, None)
    assert await ask(client, "POST", "default/a/b:c:incr") == (200, 2)
    assert await ask(client, "GET", "default/a%2Fb%3Ac") == (200, 2)


VALUES = [
    b"\x00\xff", (1, 2), {1, 2}, {1: "a"}, datetime(2026, 1, 2, tzinfo=UTC), float("nan"), float("inf"), "\ud800",
    [1, (2,)], {"a": b""},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=ascii)
async def test_what_json_would_change_comes_in_its_own_form(client: Client, value: object) -> None:
    async with client.put(at("default/k"), data=write(value, TYPED), headers={"Content-Type": TYPED}) as response:
        assert response.status == 204
    status, said = await ask(client, "GET", "default/k")
    assert status == 406
    assert said["error"].endswith(f": ask for it with Accept: {TYPED}")
    async with client.get(at("default/k"), headers={"Accept": f"text/html, {TYPED};q=0.9"}) as response:
        assert response.content_type == TYPED
        found = read(await response.read(), TYPED)
    assert type(found) is type(value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize("value", [0, -5, 2**70, None, True, "text", {"a": 1}], ids=ascii)
async def test_both_forms_say_the_same(client: Client, value: object) -> None:
    await client.put(at("default/k"), data=write(value, TYPED), headers={"Content-Type": TYPED})
    assert await ask(client, "GET", "default/k") == (200, value)
    async with client.get(at("default/k"), headers={"Accept": TYPED}) as response:
        assert read(await response.read(), TYPED) == value
    headers = {"Accept": TYPED, "Content-Type": "application/json"}
    async with client.post(at("default:get_many"), data=b'["k"]', headers=headers) as response:
        assert read(await response.read(), TYPED) == {"k": value}


@pytest.mark.parametrize(
    ("line", "headers", "body", "status", "said"),
    [
        pytest.param("GET nope/k", {}, b"", 404, "The connection 'nope' doesn't exist.", id="alias"),
        pytest.param("GET default/%ff", {}, b"", 400, "expected UTF-8, escaped", id="no-utf-8"),
        pytest.param("GET default/%zz", {}, b"", 400, "with %25 for each percent sign", id="no-escape"),
        pytest.param("GET default/k?ttl=1", {}, b"", 400, "ttl: expected timeout, version or delta", id="query"),
        pytest.param("PATCH default/k", {}, b"", 405, "expected one of DELETE, GET, HEAD, POST, PUT", id="method"),
        pytest.param("GET default", {}, b"", 405, "expected one of POST", id="method-of-a-cache"),
        pytest.param("POST default/k", {}, b"", 404, "expected an operation such as :add", id="no-operation"),
        pytest.param("POST default/k:get", {}, b"", 404, "expected one of :add, :touch, :incr", id="operation"),
        pytest.param("POST default:wipe", {}, b"", 404, "expected one of :get_many, :set_many", id="of-a-cache"),
        pytest.param("PUT default/k", {}, b"{", 400, "the body is not application/json", id="json"),
        pytest.param("PUT default/k", {}, b"NaN", 400, "NaN is not JSON", id="nan"),
        pytest.param("PUT default/k", {}, b"[" * 100_000, 400, "the body is not application/json", id="deep"),
        pytest.param("PUT default/k", {}, b"[" * 101 + b"]" * 101, 400, "nested more than 100 deep", id="deeper"),
        pytest.param("PUT default/k", {}, b'"\\ud800"', 400, "it holds a str that would not come back", id="surrogate"),
        pytest.param("PUT default/k", {"Content-Type": TYPED}, b"x", 400, f"the body is not {TYPED}", id="typed"),
        pytest.param("PUT default/k", {"Content-Type": "text/plain"}, b"x", 415, "expected application/json", id="type"),
        pytest.param("PUT default/k?timeout=soon", {}, b"1", 400, "timeout: expected seconds, a", id="timeout"),
        pytest.param("PUT default/k?timeout=nan", {}, b"1", 400, "timeout: expected seconds, a", id="timeout-nan"),
        pytest.param("POST default/k:incr?delta=x", {}, b"", 400, "delta: expected a whole number", id="delta"),
        pytest.param("POST default:get_many", {}, b"{}", 400, "expected a list of keys", id="no-list"),
        pytest.param("POST default:get_many", {}, b"[1]", 400, "expected a list of keys", id="no-texts"),
        pytest.param("POST default:set_many", {}, b"[]", 400, "expected a mapping of keys", id="no-mapping"),
        pytest.param("GET memcached/a%20b", {}, b"", 400, "Cache key contains characters that will", id="bad-key"),
        pytest.param("GET broken/k", {}, b"", 503, "BrokenCache.get() failed: ConnectionResetError", id="store"),
        pytest.param("POST plain/k:incr", {}, b"", 501, "CannotCount has no incr()", id="cannot"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_one_line(
    client: Client, line: str, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    method, target = line.split()
    given = {"Content-Type": "application/json"} | headers
    async with client.request(method, at(target), data=body, headers=given) as response:
        assert (response.status, response.content_type) == (status, "application/json")
        error = json.loads(await response.text())["error"]
    assert said in error
    assert "\n" not in error


async def test_a_body_that_is_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.ops.cache_http._MOST_BYTES", 1000)
    assert (await ask(client, "PUT", "default/k", "x" * 2000))[0] == 413


async def test_odd_keys_are_logged_once_for_each_pattern(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "sitecache"):
        for number in range(20):
            await ask(client, "GET", f"default/user%20{number}")
            await ask(client, "GET", f"default/session%20{number:032x}")
    said = "cache default: Cache key contains characters that will cause errors if used with memcached: "
    keys = [":1:user 0", f":1:session {'0' * 32}"]
    assert [record.getMessage() for record in caplog.records] == [f"{said}{key!r}" for key in keys]
