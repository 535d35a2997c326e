"""What is special about memcached through pylibmc: libmemcached's choice of servers, its options, and its absence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from django.core.cache.backends.memcached import PyLibMCCache as DjangosPyLibMCCache
from pymemcache.client.base import Client

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.memcached import PyLibMCCache
from proxy.storage.backends.pylibmc_ring import PylibmcRing, _Client
from tests.storage.servers import Server, running

MINUTE = Seconds(60)
Make = Callable[..., PyLibMCCache]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running("memcached", listen="tcp")) for _ in range(3)]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make caches that are closed in the end."""
    made: list[PyLibMCCache] = []

    def one(location, **options) -> PyLibMCCache:
        made.append(PyLibMCCache.build(location, options))
        return made[-1]

    yield one
    for cache in made:
        await cache.close()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="default"),
        pytest.param({"behaviors": {"ketama": True}}, id="ketama"),
        pytest.param({"behaviors": {"ketama_weighted": True}}, id="ketama-weighted"),
        pytest.param({"behaviors": {"distribution": "consistent"}}, id="consistent"),
        pytest.param({"binary": True, "behaviors": {"ketama": True, "tcp_nodelay": True}}, id="binary"),
    ],
)
async def test_a_key_is_on_the_server_that_djangos_client_picks(
    make: Make, servers: list[Server], options: dict[str, object]
) -> None:
    location = [server.name for server in servers]
    cache, django = make(location, **options), DjangosPyLibMCCache(location, {"OPTIONS": options})
    await cache.clear()
    names = [f"page/{number}?{number % 7}" for number in range(3000)]
    django.set_many(dict.fromkeys(names, 1))
    assert len(await cache.get_many(f":1:{name}" for name in names)) == 3000
    await cache.set_many({f":1:{name}": 2 for name in names}, MINUTE)
    assert django.get_many(names) == dict.fromkeys(names, 2)
    held = []
    for server in servers:
        with closing(Client(server.address)) as client:
            held.append(client.stats()[b"curr_items"])
    assert sum(held) == 3000, "each key is on one server only"
    assert min(held) > 100


async def test_numbers_are_counted_together_with_django(make: Make, servers: list[Server]) -> None:
    location = servers[0].name
    cache, django = make(location), DjangosPyLibMCCache(location, {})
    django.set("visits", 100)
    assert await cache.incr(":1:visits", -1) == 99
    assert await cache.get(":1:visits") == 99
    await cache.set(":1:visits", 7, MINUTE)
    assert django.incr("visits") == 8


async def test_a_server_that_is_away_costs_misses_and_comes_back(make: Make) -> None:
    with running("memcached", listen="tcp") as one, running("memcached", listen="tcp") as other:
        cache = make(f"{one.name};{other.name}", behaviors={"_retry_timeout": 1})
        values = {f"k{number}": number for number in range(40)}
        assert await cache.set_many(values, MINUTE) == []
        one.kill()
        await cache.get_many(values)  # in which libmemcached notices, and gives up on the other's keys too
        found = await cache.get_many(values)
        assert 0 < len(found) < 40
        lost = sorted(values.keys() - found.keys())
        assert not await cache.set(lost[0], 1, MINUTE)
        assert not await cache.delete(lost[0])
        with pytest.raises(KeyError):
            await cache.incr(lost[0], 1)
        await cache.close()
        one.start()
        assert await cache.set_many(values, MINUTE) == []
        assert await cache.get_many(values) == values


async def test_a_server_that_is_alone_and_away_is_an_error_for_who_wants_to_know(make: Make) -> None:
    with running("memcached", listen="tcp") as server:
        cache = make(server.name)
        cache.tell_losses()
        assert cache.server_of("k", writing=False) == server.name
        assert await cache.set("k", 1, MINUTE)
        server.kill()
        for operation in (cache.get("k"), cache.get_many(["k", "l"]), cache.set("k", 1, MINUTE), cache.delete("k")):
            with pytest.raises(StorageError, match=f"^memcached at {server.name}: "):
                await operation


async def test_a_server_that_refuses_us_is_an_error_that_does_not_show_the_password(make: Make, tmp_path: Path) -> None:
    (tmp_path / "memcached.conf").write_text(f"mech_list: plain\nsasldb_path: {tmp_path}/sasldb\n")
    with running("memcached", "-S", listen="tcp", environment={"SASL_CONF_PATH": str(tmp_path)}) as server:
        cache = make(server.name, binary=True, username="pages", password="hidden")
        for _ in range(3):
            with pytest.raises(StorageError, match=rf"(?i)^memcached at {server.name}: .*authentication") as caught:
                await cache.get("k")
            assert "hidden" not in str(caught.value)
        with pytest.raises(StorageError):
            await cache.set("k", 1, MINUTE)


LOGIN = """if True:
    import asyncio, sys
    from proxy.errors import StorageError
    from proxy.storage.backends import sasl
    if sys.argv[3] == "none":
        sasl.show_mechanisms.__defaults__ = (["nowhere/*"],)
    elif sys.argv[3] == "too-late":
        import pylibmc
    from proxy.storage.backends.memcached import PyLibMCCache

    async def use():
        options = {"binary": True, "username": "pages", "password": sys.argv[2], "behaviors": {"ketama": True}}
        cache = PyLibMCCache.build(sys.argv[1], options)
        await cache.set("n", 1, 60)
        print(await cache.incr("n", 1))
        await cache.close()

    try:
        asyncio.run(use())
    except StorageError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("password", "mechanism", "said"),
    [
        pytest.param("right", "found", r"2\n", id="right"),
        pytest.param("hidden", "found", r"memcached at [\d.:]+: error \d+ .*: AUTHENTICATION FAILURE\n", id="wrong"),
        pytest.param("right", "none", r"memcached at .*; no PLAIN mechanism .* or set SASL_PATH\n", id="no-mechanism"),
        pytest.param("right", "too-late", r"memcached at .*; where .* set SASL_PATH=/.* imports it\n", id="too-late"),
    ],
)
def test_who_knows_the_password_is_let_in(tmp_path: Path, password: str, mechanism: str, said: str) -> None:
    add = ["saslpasswd2", "-p", "-c", "-a", "memcached", "-f", f"{tmp_path}/sasldb", "pages"]
    subprocess.run(add, input=b"right", check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    (tmp_path / "memcached.conf").write_text(f"mech_list: plain\nsasldb_path: {tmp_path}/sasldb\n")
    environment = {name: value for name, value in os.environ.items() if name != "SASL_PATH"}
    with running("memcached", "-S", listen="tcp", environment={"SASL_CONF_PATH": str(tmp_path)}) as server:
        ask = [sys.executable, "-c", LOGIN, server.name, password, mechanism]
        done = subprocess.run(ask, check=True, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert re.fullmatch(said, done.stdout)
    assert "hidden" not in done.stdout


@pytest.mark.parametrize(
    ("location", "options", "said"),
    [
        pytest.param("", {}, "LOCATION: expected at least one server, found none", id="nothing"),
        pytest.param("h:x", {}, "LOCATION or OPTIONS of pylibmc: invalid literal", id="no-port"),
        pytest.param("h;/tmp/m.sock", {}, "LOCATION or OPTIONS of pylibmc: can't mix", id="mixed"),
        pytest.param("h", {"timeout": 1}, "OPTIONS.timeout: expected one of behaviors, binary, pass", id="unknown"),
        pytest.param("h", {"binary": "yes"}, "OPTIONS.binary: expected true or false, found 'yes'", id="no-bool"),
        pytest.param("h", {"behaviors": {"no": 1}}, "LOCATION or OPTIONS of pylibmc: unknown behavior", id="behavior"),
        pytest.param("h", {"behaviors": {"distribution": "x"}}, "LOCATION or OPTIONS of pylibmc: 'x'", id="value"),
    ],
)
def test_a_setting_that_is_wrong(location: object, options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        PyLibMCCache.build(location, options)


def test_without_pylibmc_it_says_what_to_install_and_the_other_cache_works() -> None:
    script = """if True:
        import sys
        sys.modules["pylibmc"] = None
        from proxy.storage.backends.memcached import PyLibMCCache, PyMemcacheCache
        PyMemcacheCache.build("h", {})
        try:
            PyLibMCCache.build("h", {})
        except ImportError as error:
            print(error)
    """
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert said == "expected the package pylibmc, found none; pip install 'sitecache[pylibmc]'\n"


def test_a_value_that_gets_does_not_find_at_first_is_moved_all_the_same() -> None:
    with running("memcached") as server:
        ring = PylibmcRing([server.name], {})

        class Forgetful(_Client):
            asked = 0

            def gets(self, key: str) -> tuple[object, object]:
                Forgetful.asked += 1
                return (None, None) if Forgetful.asked == 1 else super().gets(key)

        ring._own.client = Forgetful([server.name], behaviors={"cas": True})
        assert ring.set_many({"old": b"1"}, 60) == []
        assert ring.move("old", "new")
        assert Forgetful.asked == 2
        assert ring.get_many(["old", "new"]) == {"new": b"1"}
        assert not ring.move("old", "new"), "what is not there is not there"
