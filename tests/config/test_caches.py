"""Does a CACHES block of Django's documentation mean the same as YAML, and what is said of one that a backend refuses?"""

# ruff: noqa: E501  a row is one line of output, whole

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from proxy.config.load import Loaded, backend_fault, load
from proxy.config.model import CacheConfig, CacheOptions, FileOptions, plain_options

DJANGO = "django.core.cache.backends"
MEMCACHED = f"{DJANGO}.memcached.PyMemcacheCache"


def loaded(text: str, folder: Path, **environ: str) -> Loaded:
    (folder / "site.yaml").write_text(text)
    with chdir(folder):
        return load(Path("site.yaml"), environ, {})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            {"BACKEND": MEMCACHED, "LOCATION": "127.0.0.1:11211"},
            CacheConfig("pymemcache", "127.0.0.1:11211", OPTIONS={}),
            id="memcached",
        ),
        pytest.param(
            {"BACKEND": MEMCACHED, "LOCATION": "unix:/tmp/memcached.sock"},
            CacheConfig("pymemcache", "unix:/tmp/memcached.sock", OPTIONS={}),
            id="memcached-socket",
        ),
        pytest.param(
            {"BACKEND": MEMCACHED, "LOCATION": ["172.19.26.240:11211", "172.19.26.242:11211"]},
            CacheConfig("pymemcache", ("172.19.26.240:11211", "172.19.26.242:11211"), OPTIONS={}),
            id="two-memcacheds",
        ),
        pytest.param(
            {"BACKEND": MEMCACHED, "LOCATION": ["172.19.26.240:11211", "172.19.26.242:11212", "172.19.26.244:11213"]},
            CacheConfig("pymemcache", ("172.19.26.240:11211", "172.19.26.242:11212", "172.19.26.244:11213"), OPTIONS={}),
            id="three-memcacheds",
        ),
        *(
            pytest.param(
                {"BACKEND": MEMCACHED, "LOCATION": f"172.19.26.240:11211{mark}172.19.26.242:11211"},
                CacheConfig("pymemcache", f"172.19.26.240:11211{mark}172.19.26.242:11211", OPTIONS={}),
                id=f"memcacheds-with-{mark}",
            )
            for mark in ";,"
        ),
        pytest.param(
            {
                "BACKEND": MEMCACHED,
                "LOCATION": "127.0.0.1:11211",
                "OPTIONS": {"no_delay": True, "ignore_exc": True, "max_pool_size": 4, "use_pooling": True},
            },
            CacheConfig(
                "pymemcache",
                "127.0.0.1:11211",
                OPTIONS={"no_delay": True, "ignore_exc": True, "max_pool_size": 4, "use_pooling": True},
            ),
            id="pymemcache-options",
        ),
        pytest.param(
            {
                "BACKEND": f"{DJANGO}.memcached.PyLibMCCache",
                "LOCATION": "127.0.0.1:11211",
                "OPTIONS": {"binary": True, "username": "user", "password": "pass", "behaviors": {"ketama": True}},
            },
            CacheConfig(
                "pylibmc",
                "127.0.0.1:11211",
                OPTIONS={"binary": True, "username": "user", "password": "pass", "behaviors": {"ketama": True}},
            ),
            id="pylibmc-options",
        ),
        pytest.param(
            {"BACKEND": f"{DJANGO}.redis.RedisCache", "LOCATION": "redis://127.0.0.1:6379"},
            CacheConfig("redis", "redis://127.0.0.1:6379", OPTIONS={}),
            id="redis",
        ),
        pytest.param(
            {"BACKEND": f"{DJANGO}.redis.RedisCache", "LOCATION": "redis://username:password@127.0.0.1:6379"},
            CacheConfig("redis", "redis://username:password@127.0.0.1:6379", OPTIONS={}),
            id="redis-with-password",
        ),
        pytest.param(
            {
                "BACKEND": f"{DJANGO}.redis.RedisCache",
                "LOCATION": ["redis://127.0.0.1:6379", "redis://127.0.0.1:6378", "redis://127.0.0.1:6377"],
            },
            CacheConfig(
                "redis", ("redis://127.0.0.1:6379", "redis://127.0.0.1:6378", "redis://127.0.0.1:6377"), OPTIONS={}
            ),
            id="redis-with-replicas",
        ),
        pytest.param(
            {
                "BACKEND": f"{DJANGO}.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:6379",
                "OPTIONS": {"db": "10", "pool_class": "redis.BlockingConnectionPool"},
            },
            CacheConfig(
                "redis",
                "redis://127.0.0.1:6379",
                OPTIONS={"db": "10", "pool_class": "redis.BlockingConnectionPool"},
            ),
            id="redis-options",
        ),
        pytest.param(
            {"BACKEND": f"{DJANGO}.db.DatabaseCache", "LOCATION": "my_cache_table"},
            CacheConfig("db", "my_cache_table", OPTIONS={}),
            id="database",
        ),
        pytest.param(
            {"BACKEND": f"{DJANGO}.filebased.FileBasedCache", "LOCATION": "/var/tmp/django_cache"},
            CacheConfig("filebased", "/var/tmp/django_cache", OPTIONS=FileOptions()),
            id="files",
        ),
        pytest.param(
            {"BACKEND": f"{DJANGO}.filebased.FileBasedCache", "LOCATION": "c:/foo/bar"},
            CacheConfig("filebased", "c:/foo/bar", OPTIONS=FileOptions()),
            id="files-on-windows",
        ),
        pytest.param(
            {
                "BACKEND": f"{DJANGO}.filebased.FileBasedCache",
                "LOCATION": "/var/tmp/django_cache",
                "TIMEOUT": 60,
                "OPTIONS": {"MAX_ENTRIES": 1000},
            },
            CacheConfig("filebased", "/var/tmp/django_cache", 60, FileOptions(MAX_ENTRIES=1000)),
            id="files-with-arguments",
        ),
        pytest.param(
            {"BACKEND": f"{DJANGO}.locmem.LocMemCache", "LOCATION": "unique-snowflake"},
            CacheConfig("locmem", "unique-snowflake"),
            id="memory",
        ),
        pytest.param({"BACKEND": f"{DJANGO}.dummy.DummyCache"}, CacheConfig("dummy"), id="dummy"),
        pytest.param({"BACKEND": "path.to.backend"}, CacheConfig("path.to.backend", OPTIONS={}), id="own-class"),
        pytest.param(
            {"BACKEND": f"{DJANGO}.locmem.LocMemCache", "KEY_FUNCTION": "path.to.make_key", "KEY_PREFIX": "a", "VERSION": 2},
            CacheConfig("locmem", KEY_PREFIX="a", VERSION=2, KEY_FUNCTION="path.to.make_key"),
            id="own-keys",
        ),
    ],
)  # fmt: skip
def test_example_of_djangos_page(entry: object, expected: CacheConfig, tmp_path: Path) -> None:
    text = yaml.safe_dump({"upstream": "http://a", "CACHES": {"default": entry}})
    assert {"default": expected} == loaded(text, tmp_path).config.CACHES


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("file", "filebased"),
        ("filebased", "filebased"),
        ("memcached", "pymemcache"),
        ("pymemcache", "pymemcache"),
        ("pylibmc", "pylibmc"),
        ("redis", "redis"),
        ("db", "db"),
        ("database", "db"),
        ("proxy.storage.backends.memcached.PyLibMCCache", "pylibmc"),
        ("proxy.storage.backends.redis.RedisCache", "redis"),
        ("django_redis.cache.RedisCache", "django_redis.cache.RedisCache"),
        ("mysite.core.cache.backends.redis.RedisCache", "mysite.core.cache.backends.redis.RedisCache"),
        ("häuser.Käse2", "häuser.Käse2"),
    ],
)
def test_name_of_a_backend(name: str, kept: str, tmp_path: Path) -> None:
    text = f"upstream: http://a\nCACHES: {{default: {{BACKEND: {name}}}}}"
    assert kept == loaded(text, tmp_path).config.CACHES["default"].BACKEND


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param("'10'", "10", id="digits-in-quotes"),
        pytest.param("-1_000", -1000, id="number"),
        pytest.param("123456789012345678901", 123456789012345678901, id="large-number"),
        pytest.param("1.5e+3", 1500.0, id="fraction"),
        pytest.param("!!float 5", 5.0, id="tagged-fraction"),
        pytest.param("Off", False, id="boolean"),
        pytest.param("~", None, id="null"),
        pytest.param("[1, [a], {b: c}]", [1, ["a"], {"b": "c"}], id="list"),
        pytest.param("{1: {}, yes: []}", {"1": {}, "yes": []}, id="mapping"),
        pytest.param("${N}", "4", id="variable-is-text"),
        pytest.param("!!int ${N}", 4, id="variable-with-a-tag"),
        pytest.param("2026-01-01", "2026-01-01", id="date-is-text"),
    ],
)
def test_option_that_a_backend_judges(written: str, read: object, tmp_path: Path) -> None:
    text = f"upstream: http://a\nCACHES:\n  default:\n    BACKEND: redis\n    OPTIONS:\n      a: {written}\n"
    options = loaded(text, tmp_path, N="4").config.CACHES["default"].OPTIONS
    assert options == {"a": read}
    assert isinstance(options, dict)
    assert type(options["a"]) is type(read)


def test_a_fault_of_its_own_databases_is_under_its_options(tmp_path: Path) -> None:
    text = "upstream: http://a\nCACHES:\n  default:\n    BACKEND: db\n    OPTIONS:\n      DATABASES: {default: x}\n"
    fault = backend_fault(loaded(text, tmp_path), "default", ValueError("DATABASES.default: expected a URL, found x"))
    assert (fault.path, fault.where) == ("CACHES.default.OPTIONS.DATABASES.default", "site.yaml:6")


def test_options_as_a_backend_takes_them() -> None:
    assert plain_options(CacheConfig("redis", OPTIONS={"db": 1})) == {"db": 1}
    assert plain_options(CacheConfig("filebased", OPTIONS=FileOptions(MAX_ENTRIES=5))) == {
        "MAX_ENTRIES": 5,
        "CULL_FREQUENCY": 3,
        "MAX_BYTES": None,
    }
    assert set(plain_options(CacheConfig("locmem", OPTIONS=CacheOptions()))) == {
        "MAX_ENTRIES",
        "CULL_FREQUENCY",
        "MAX_BYTES",
    }


JUDGED = """upstream: http://a
CACHES:
  default:
    BACKEND: dummy
  a b:
    BACKEND: redis
    LOCATION: ${WHERE}
    OPTIONS:
      db: ten
      nested:
        inside: [1]
      password: 5
DATABASES: {x: 'postgresql://u:pw@h/db'}
ROUTER: {read: [x]}
"""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("null", None, id="none"),
        pytest.param("{}", {}, id="all-default"),
        pytest.param("{read: [a, b], write: c}", {"read": ["a", "b"], "write": "c"}, id="routes"),
        pytest.param("{read: a, migrate: c}", {"read": "a", "migrate": "c"}, id="one-to-read-from"),
        pytest.param("my.own.Router", "my.own.Router", id="own-class"),
    ],
)
def test_router(written: str, read: object, tmp_path: Path) -> None:
    got = loaded(f"upstream: http://a\nDATABASES: {{a: 'sqlite:////x'}}\nROUTER: {written}\n", tmp_path).config
    assert ({"a": "sqlite:////x"}, read) == (got.DATABASES, got.ROUTER)


@pytest.mark.parametrize(
    ("alias", "said", "expected"),
    [
        pytest.param("a b", "OPTIONS.db: expected a number, found 'ten'", "site.yaml:9: CACHES.\"a b\".OPTIONS.db: expected a number, found 'ten'", id="option"),
        pytest.param("a b", "CACHES.a b.OPTIONS.db: expected a number, found 'ten'", "site.yaml:9: CACHES.\"a b\".OPTIONS.db: expected a number, found 'ten'", id="with-its-alias"),
        pytest.param("a b", "OPTIONS.nested: expected a list, found a mapping", "site.yaml:11: CACHES.\"a b\".OPTIONS.nested: expected a list, found a mapping", id="mapping"),
        pytest.param("a b", "OPTIONS.nested.inside[0]: expected x, found 1", "site.yaml:11: CACHES.\"a b\".OPTIONS.nested.inside[0]: expected x, found 1", id="item"),
        pytest.param("a b", "OPTIONS.port: expected a number, found none", "site.yaml:6: CACHES.\"a b\".OPTIONS.port: expected a number, found none", id="absent"),
        pytest.param("a b", "OPTIONS: expected binary, found none", "site.yaml:9: CACHES.\"a b\".OPTIONS: expected binary, found none", id="options-together"),
        pytest.param("a b", "OPTIONS.password: expected text, found 5", "site.yaml:12: CACHES.\"a b\".OPTIONS.password: expected text, found a value that is not shown", id="secret"),
        pytest.param("a b", "LOCATION: expected a URL, found redis://u:pw@h", "site.yaml:7: CACHES.\"a b\".LOCATION: expected a URL, found redis://***@h", id="location"),
        pytest.param("a b", "BACKEND: Could not find\nit", "site.yaml:6: CACHES.\"a b\".BACKEND: expected what the backend can use, found Could not find\\nit", id="backend"),
        pytest.param("a b", "odd", "site.yaml:6: CACHES.\"a b\".BACKEND: expected what the backend can use, found odd", id="anything"),
        pytest.param("a b", "DATABASES: expected one of x, found 'y'", "site.yaml:13: DATABASES: expected one of x, found 'y'", id="databases"),
        pytest.param("a b", "CACHES.a b.BACKEND: DATABASES.x: expected a URL, found what is no URL", "site.yaml:13: DATABASES.x: expected a URL, found what is no URL", id="one-database"),
        pytest.param("a b", "BACKEND: ROUTER.read: expected an alias, found none", "site.yaml:14: ROUTER.read: expected an alias, found none", id="router"),
        pytest.param("default", "OPTIONS.MAX_BYTES: expected more, found 1", "site.yaml:4: CACHES.default.OPTIONS.MAX_BYTES: expected more, found 1", id="default-value"),
    ],
)  # fmt: skip
def test_what_a_backend_says_becomes_a_fault(alias: str, said: str, expected: str, tmp_path: Path) -> None:
    fault = backend_fault(loaded(JUDGED, tmp_path, WHERE="redis://u:pw@h"), alias, ValueError(said))
    assert str(fault) == f"config error: {expected}"


def test_a_cache_that_nobody_wrote_down_has_no_place() -> None:
    fault = backend_fault(load(None, {}, {"upstream": "http://a"}), "default", ValueError("BACKEND: gone"))
    assert str(fault) == "config error: CACHES.default.BACKEND: expected what the backend can use, found gone"
