"""Do the CACHES examples of Django's page pass ``check`` unchanged, and work against the servers they name?

Only the addresses are others: those of the example are replaced by those of servers of the test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from pymemcache.client.base import Client

from proxy.cache import Cache
from proxy.cache.aliases import Caches
from proxy.cli import main
from tests.cache.counting import ROOT
from tests.storage.servers import Server, await_that, running

DJANGO = "django.core.cache.backends"
MEMCACHED = f"BACKEND: {DJANGO}.memcached.PyMemcacheCache"
REDIS = f"BACKEND: {DJANGO}.redis.RedisCache"

EXAMPLES = {
    "memcached": f"{MEMCACHED}\nLOCATION: 127.0.0.1:11211",
    "memcached-socket": f"{MEMCACHED}\nLOCATION: unix:/tmp/memcached.sock",
    "memcached-two": f"{MEMCACHED}\nLOCATION:\n  - 172.19.26.240:11211\n  - 172.19.26.242:11211",
    "memcached-three": (
        f"{MEMCACHED}\nLOCATION:\n  - 172.19.26.240:11211\n  - 172.19.26.242:11212\n  - 172.19.26.244:11213"
    ),
    "memcached-semicolon": f"{MEMCACHED}\nLOCATION: 172.19.26.240:11211;172.19.26.242:11211",
    "memcached-comma": f"{MEMCACHED}\nLOCATION: 172.19.26.240:11211,172.19.26.242:11211",
    "memcached-options": (
        f"{MEMCACHED}\nLOCATION: 127.0.0.1:11211\n"
        "OPTIONS:\n  no_delay: true\n  ignore_exc: true\n  max_pool_size: 4\n  use_pooling: true"
    ),
    "redis": f"{REDIS}\nLOCATION: redis://127.0.0.1:6379",
    "redis-password": f"{REDIS}\nLOCATION: redis://username:password@127.0.0.1:6379",
    "redis-replicas": (
        f"{REDIS}\nLOCATION:\n"
        "  - redis://127.0.0.1:6379  # leader\n"
        "  - redis://127.0.0.1:6378  # read-replica 1\n"
        "  - redis://127.0.0.1:6377  # read-replica 2"
    ),
    "redis-options": (
        f'{REDIS}\nLOCATION: redis://127.0.0.1:6379\nOPTIONS:\n  db: "10"\n  pool_class: redis.BlockingConnectionPool'
    ),
    "database": f"BACKEND: {DJANGO}.db.DatabaseCache\nLOCATION: my_cache_table",
    "files": f"BACKEND: {DJANGO}.filebased.FileBasedCache\nLOCATION: /var/tmp/django_cache",
    "files-arguments": (
        f"BACKEND: {DJANGO}.filebased.FileBasedCache\nLOCATION: /var/tmp/django_cache\n"
        "TIMEOUT: 60\nOPTIONS:\n  MAX_ENTRIES: 1000"
    ),
    "memory": f"BACKEND: {DJANGO}.locmem.LocMemCache\nLOCATION: unique-snowflake",
    "own-class": "BACKEND: path.to.backend",
    "own-keys": f"BACKEND: {DJANGO}.locmem.LocMemCache\nKEY_PREFIX: site\nVERSION: 2\nKEY_FUNCTION: path.to.make_key",
}
DUMMY = f"BACKEND: {DJANGO}.dummy.DummyCache"
PYLIBMC = f"""BACKEND: {DJANGO}.memcached.PyLibMCCache
LOCATION: 127.0.0.1:11211
OPTIONS:
  binary: true
  username: user
  password: pass
  behaviors:
    ketama: true
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """Run what stands for the addresses of the examples."""
    with ExitStack() as stack:
        found = {
            "/tmp/memcached.sock": stack.enter_context(running("memcached")),
            "127.0.0.1:11211": stack.enter_context(running("memcached", listen="tcp")),
            "172.19.26.242:11211": stack.enter_context(running("memcached", listen="tcp")),
            "172.19.26.244:11213": stack.enter_context(running("memcached", listen="tcp")),
            "127.0.0.1:6379": stack.enter_context(running("redis-server", listen="tcp")),
        }
        found["172.19.26.240:11211"] = found["127.0.0.1:11211"]
        found["172.19.26.242:11212"] = found["172.19.26.242:11211"]
        leader = found["127.0.0.1:6379"]
        for address in ("127.0.0.1:6378", "127.0.0.1:6377"):
            found[address] = replica = stack.enter_context(
                running("redis-server", "--replicaof", "127.0.0.1", str(leader.port), listen="tcp")
            )
            with redis.Redis(port=replica.port) as admin:
                await_that(lambda admin=admin: admin.info("replication")["master_link_status"] == "up")
        with redis.Redis(port=leader.port) as admin:
            admin.execute_command("ACL", "SETUSER", "username", "on", ">password", "~*", "+@all")
        yield found


@pytest.fixture(autouse=True)
def path_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ``path.to`` be a module of the operator's own."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path/to.py").write_text(
        "from tests.storage.own_caches import PlainCache as backend\n"
        "def make_key(key, key_prefix, version):\n    return f'{key}/{version}/{key_prefix}'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("path", "path.to"):
        sys.modules.pop(name, None)


def configuration(folder: Path, example: str) -> Path:
    """Write the example as a file, with the database that the one of them needs."""
    file = folder / "site.yaml"
    entry = example.replace("\n", "\n    ")
    database = f"DATABASES: {{default: 'sqlite:///{folder}/site.sqlite3'}}\n"
    file.write_text(f"upstream: http://127.0.0.1:9\n{database}CACHES:\n  default:\n    {entry}\n")
    return file


@pytest.mark.parametrize("example", [*EXAMPLES.values(), DUMMY, PYLIBMC], ids=[*EXAMPLES, "dummy", "pylibmc"])
def test_check_takes_it_unchanged(tmp_path: Path, example: str) -> None:
    done = CliRunner().invoke(main, ["check", str(configuration(tmp_path, example))])
    assert (done.exit_code, "config error" in done.stderr) == (0, False)
    assert "password:" not in done.stdout.replace('password: "***"', "")
    assert "username:password" not in done.stdout


@pytest.fixture
def use(servers: dict[str, Server], tmp_path: Path) -> Iterator[Callable[[str], Cache]]:
    """Open the cache of an example, where the servers of the test stand for those that it names."""
    caches = Caches()

    def opened(name: str) -> Cache:
        example = EXAMPLES[name].replace("/var/tmp/django_cache", str(tmp_path / "files"))
        for address in sorted(servers, key=len, reverse=True):
            example = example.replace(address, f"\0{address.encode().hex()}\0")
        for address, server in servers.items():
            example = example.replace(f"\0{address.encode().hex()}\0", server.name)
        file = configuration(tmp_path, example)
        made = CliRunner().invoke(main, ["createcachetable", "--config", str(file)])
        assert made.exit_code == 0
        caches.configure(file)
        return caches["default"]

    yield opened
    caches.close_all()


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_works(use: Callable[[str], Cache], servers: dict[str, Server], name: str) -> None:
    cache = use(name)
    values = {f"k{number}": {"number": number} for number in range(50)}
    assert cache.set_many(values) == []
    if name == "redis-replicas":
        with redis.Redis(port=servers["127.0.0.1:6379"].port) as admin:
            assert admin.wait(2, 10_000) == 2
    assert cache.get_many(values) == values
    assert cache.get("k1") == {"number": 1}
    if name != "redis-replicas":
        assert cache.add("n", 41)
        assert not cache.add("n", 0)
        assert cache.incr("n") == 42
        assert cache.delete("n")
        assert "n" not in cache


async def test_each_server_of_three_holds_some(use: Callable[[str], Cache], servers: dict[str, Server]) -> None:
    cache = use("memcached-three")
    cache.clear()
    assert await cache.aset_many(dict.fromkeys(range(60), 1)) == []
    for address in ("172.19.26.240:11211", "172.19.26.242:11212", "172.19.26.244:11213"):
        with closing(Client(servers[address].address)) as admin:
            assert admin.stats()[b"curr_items"] > 0
    await cache.aclose()


def test_the_database_of_the_options_is_taken(use: Callable[[str], Cache], servers: dict[str, Server]) -> None:
    use("redis-options").set("k", 1)
    with redis.Redis(port=servers["127.0.0.1:6379"].port, db=10) as tenth:
        assert tenth.get(":1:k") == b"1"


LOGIN = """if True:
    import sys
    from proxy.cache import cache, configure
    configure(sys.argv[1])
    cache.set_many({"a": [1], "n": 1})
    print(cache.incr("n"), cache.get("a"))
"""


def test_the_example_with_a_password_for_memcached(tmp_path: Path) -> None:
    add = ["saslpasswd2", "-p", "-c", "-a", "memcached", "-f", f"{tmp_path}/sasldb", "user"]
    subprocess.run(add, input=b"pass", check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    (tmp_path / "memcached.conf").write_text(f"mech_list: plain\nsasldb_path: {tmp_path}/sasldb\n")
    with running("memcached", "-S", listen="tcp", environment={"SASL_CONF_PATH": str(tmp_path)}) as server:
        file = configuration(tmp_path, PYLIBMC.replace("127.0.0.1:11211", server.name))
        ask = [sys.executable, "-c", LOGIN, str(file)]
        assert subprocess.run(ask, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "2 [1]\n"
