"""Is the server that we name for a key the one that libmemcached keeps it on?"""

from __future__ import annotations

from contextlib import ExitStack, closing

import pylibmc
import pytest
from pymemcache import Client

from proxy.storage.backends.libmemcached import pick_of
from tests.storage.servers import running

KEYS = [f":1:page.{number:x}" for number in range(500)] + [f"\u00e9:1:page.{number:x}" for number in range(100)]


@pytest.mark.parametrize("listen", ["tcp", "unix"])
@pytest.mark.parametrize(
    "behaviors",
    [
        pytest.param({}, id="modula"),
        pytest.param({"ketama": True, "tcp_nodelay": True}, id="ketama"),
        pytest.param({"distribution": "consistent"}, id="consistent"),
        pytest.param({"ketama_weighted": True}, id="ketama-weighted"),
    ],
)
def test_a_key_is_on_the_server_that_is_named(listen: str, behaviors: dict[str, object]) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(running("memcached", listen=listen)) for _ in range(3)]
        client = pylibmc.Client([server.name for server in servers], behaviors=behaviors)
        for key in KEYS:
            client.set(key, "x")
        pick = pick_of([server.name for server in servers], behaviors)
        assert pick is not None
        named = {key: pick(key) for key in KEYS}
        assert set(named.values()) == {server.name for server in servers}
        for server in servers:
            own = [key.encode() for key in KEYS if named[key] == server.name]
            with closing(Client(server.address)) as direct:
                assert len(direct.get_many(own)) == len(own)
        client.disconnect_all()


def test_the_default_port_is_no_part_of_a_points_name() -> None:
    """By hand, on three addresses with port 11211: 900 of 900 keys with it left out, 303 of 900 with it."""
    ketama = {"ketama": True}
    named, bare = pick_of(["a:11211", "b:11211"], ketama), pick_of(["a", "b"], ketama)
    assert named is not None
    assert bare is not None
    assert [named(key).removesuffix(":11211") for key in KEYS] == [bare(key) for key in KEYS]


@pytest.mark.parametrize(
    ("servers", "behaviors"),
    [
        pytest.param(["a:1", "b:1"], {"hash": "fnv1a_32"}, id="hash"),
        pytest.param(["a:1", "b:1"], {"ketama": True, "remove_failed": 1}, id="a-dead-server-gives-its-keys-away"),
        pytest.param(["a:1:5", "b:1"], {"ketama": True}, id="weights"),
    ],
)
def test_what_is_not_known_is_not_guessed(servers: list[str], behaviors: dict[str, object]) -> None:
    assert pick_of(servers, behaviors) is None


def test_one_server_has_every_key() -> None:
    pick = pick_of(["a:1"], {"hash": "md5"})
    assert pick is not None
    assert pick("k") == "a:1"
