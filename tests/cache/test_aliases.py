"""Which caches does a configuration give to a program, and how are they found?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.cache.backends.base import default_key_func as djangos_key_func

from proxy.cache import Cache, InvalidCacheBackendError, cache, caches, configure
from proxy.cache.aliases import Caches
from proxy.cache.keys import default_key_func
from proxy.cache.settings import of_mapping
from proxy.errors import ConfigError

SITE = """
CACHES:
  default:
    BACKEND: django.core.cache.backends.locmem.LocMemCache
    LOCATION: of-the-file
    TIMEOUT: 2m
    KEY_PREFIX: site
    VERSION: 3
  nothing:
    BACKEND: dummy
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def mine() -> Caches:
    found = Caches()
    found.configure({"CACHES": {"default": {"BACKEND": "locmem", "LOCATION": "mine"}, "nothing": {"BACKEND": "dummy"}}})
    found["default"].clear()
    return found


def test_an_alias_is_the_same_object_in_one_thread(mine: Caches) -> None:
    assert mine["default"] is mine["default"]
    assert mine["default"] is not mine["nothing"]
    others: list[Cache] = []
    thread = threading.Thread(target=lambda: others.append(mine["default"]))
    thread.start()
    thread.join()
    assert others[0] is not mine["default"]
    others[0].set("k", 1)
    assert mine["default"].get("k") == 1, "another object, and the same cache"
    assert list(mine) == ["default", "nothing"]


@pytest.mark.parametrize("as_path", [True, False])
def test_djangos_own_key_function_is_the_default(as_path: bool) -> None:
    function = "django.core.cache.backends.base.default_key_func" if as_path else djangos_key_func
    [settings] = of_mapping({"default": {"BACKEND": "locmem", "KEY_FUNCTION": function}}).values()
    assert settings.key_function is default_key_func


def test_an_unknown_alias(mine: Caches) -> None:
    with pytest.raises(InvalidCacheBackendError, match=r"^The connection 'x' doesn't exist\.$"):
        mine["x"]


def test_a_backend_that_is_not_there_is_found_at_first_use() -> None:
    found = Caches()
    found.configure({"CACHES": {"special": {"BACKEND": "no.such.Cache"}}})
    with pytest.raises(InvalidCacheBackendError, match=r"CACHES.special.BACKEND: .*'no.such.Cache': No module named"):
        found["special"]
    with pytest.raises(InvalidCacheBackendError, match="The connection 'default' doesn't exist"):
        found["default"]


def test_a_file(site: Path) -> None:
    found = Caches()
    found.configure(site)
    default = found["default"]
    assert (default.default_timeout, default.key_prefix, default.version) == (120, "site", 3)
    assert default.make_key("k") == "site:3:k"
    default.set("k", 1)
    assert default.get("k") == 1
    found["nothing"].set("k", 1)
    assert found["nothing"].get("k") is None


def test_a_database_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    database = f"sqlite:///{tmp_path / 'values.sqlite'}"
    path.write_text(
        f"upstream: http://127.0.0.1\nDATABASES: {{default: '{database}'}}\n"
        "CACHES: {default: {BACKEND: db, LOCATION: my_table}}\n"
    )
    made = [sys.executable, "-m", "proxy", "createcachetable", "--config", str(path)]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    found = Caches()
    found.configure(path)
    found["default"].set("k", {"a": 1})
    found.configure(
        {
            "CACHES": {"default": {"BACKEND": "db", "LOCATION": "my_table"}},
            "DATABASES": {"default": database},
        }
    )
    assert found["default"].get("k") == {"a": 1}
    found.close_all()


def test_the_environment_names_the_file(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITECACHE_CONFIG", str(site))
    assert Caches()["default"].key_prefix == "site"
    monkeypatch.delenv("SITECACHE_CONFIG")
    with pytest.raises(ConfigError, match=r"call configure\(\).*or set SITECACHE_CONFIG"):
        Caches()["default"]


def test_a_wrong_file_changes_nothing(mine: Caches, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("CACHES: {default: {BACKEND: locmem, TIMEOUT: soon}}\n")
    mine["default"].set("k", 1)
    with pytest.raises(ConfigError, match="TIMEOUT"):
        mine.configure(wrong)
    assert mine["default"].get("k") == 1


def test_no_entry_at_all_is_process_memory() -> None:
    found = Caches()
    found.configure({})
    found["default"].set("k", 1)
    assert found["default"].get("k") == 1
    found["default"].clear()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        pytest.param("locmem", "CACHES.a: expected a mapping with BACKEND", id="no-mapping"),
        pytest.param({}, "CACHES.a.BACKEND: expected the name of a backend, .* found nothing", id="no-backend"),
        pytest.param({"TIMEOUT": "soon"}, "CACHES.a.TIMEOUT: expected a duration .* found 'soon'", id="timeout"),
        pytest.param({"TIMEOUT": True}, "CACHES.a.TIMEOUT: expected a duration .* found True", id="timeout-bool"),
        pytest.param({"OPTIONS": []}, None, id="no-options"),
        pytest.param({"DEADLINE": "50ms", "BREAKER_FAILURES": 5, "BREAKER_REST": "30s"}, None, id="of-the-proxy"),
        pytest.param({"OPTIONS": "x"}, "CACHES.a.OPTIONS: expected a mapping of options, found 'x'", id="options"),
        pytest.param({"KEY_PREFIX": 1}, "CACHES.a.KEY_PREFIX: expected a string, found 1", id="prefix"),
        pytest.param({"KEY_FUNCTION": 1}, "CACHES.a.KEY_FUNCTION: expected a function", id="function"),
        pytest.param({"KEY_FUNCTION": "x"}, "CACHES.a.KEY_FUNCTION: .*, found 'x': that is no dotted", id="no-path"),
        pytest.param({"KEY_FUNCTION": "no.x"}, "CACHES.a.KEY_FUNCTION: .*No module named 'no'", id="no-module"),
        pytest.param({"SERIALIZER": "json.nope"}, "CACHES.a.SERIALIZER: .*no attribute 'nope'", id="no-serializer"),
        pytest.param({"SERIALIZER": dict}, "CACHES.a.SERIALIZER: expected a class with dumps and loads", id="no-loads"),
        pytest.param(
            {"KEY_FUNCTON": "x"},
            r'CACHES.a.KEY_FUNCTON: expected a known key, found an unknown key; did you mean "KEY_FUNCTION"',
            id="unknown",
        ),
    ],
)
def test_wrong_entries(entry: object, said: str | None) -> None:
    found = Caches()
    if isinstance(entry, dict) and entry:
        entry = {"BACKEND": "locmem", **entry}
    if said is None:
        found.configure({"CACHES": {"a": entry}})
        return
    with pytest.raises(ConfigError, match=said):
        found.configure({"CACHES": {"a": entry}})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Caches().configure({"CACHES": {"a": 1, "b": {}}})
    assert [fault.path for fault in caught.value.faults] == ["CACHES.a", "CACHES.b.BACKEND"]
    with pytest.raises(ConfigError, match="listen: expected CACHES"):
        Caches().configure({"listen": "x"})
    with pytest.raises(ConfigError, match="CACHES: expected a mapping"):
        Caches().configure({"CACHES": []})


def test_configuring_again_takes_the_new_caches(mine: Caches) -> None:
    former = mine["default"]
    mine.configure({"CACHES": {"default": {"BACKEND": "locmem", "LOCATION": "mine", "VERSION": 2}}})
    assert mine["default"] is not former
    assert mine["default"].version == 2


class Small(Cache):
    def make_key(self, key: object, version: object = None) -> str:
        return super().make_key(str(key).lower(), version)

    def validate_key(self, key: str) -> None:
        """Take any key."""


def test_a_subclass_makes_and_checks_keys_itself() -> None:
    found = Caches()
    found.configure({}, cache_class=Small)
    found["default"].set("A B", 1)
    assert found["default"].get("a b") == 1
    found["default"].clear()


def test_the_default_cache_stands_for_its_alias() -> None:
    configure({"CACHES": {"default": {"BACKEND": "locmem", "LOCATION": "front", "VERSION": 7}}})
    cache.clear()
    cache.set("k", {"a": 1})
    assert cache.get("k") == {"a": 1}
    assert "k" in cache
    assert "l" not in cache
    assert cache == caches["default"]
    assert cache.version == 7
    cache.version = 8
    assert caches["default"].version == 8
    assert cache.get("k") is None
    assert asyncio.run(cache.aget("k", version=7)) == {"a": 1}
    caches.close_all()


def test_a_pickle_is_named_and_warned_of() -> None:
    found = Caches()
    with pytest.warns(RuntimeWarning, match="runs whatever code"):
        found.configure({"CACHES": {"default": {"BACKEND": "locmem", "LOCATION": "p", "SERIALIZER": "pickle"}}})
    found["default"].set("k", {1j: Cache})
    assert found["default"].get("k") == {1j: Cache}
    assert found["default"].incr_version("k") == 2
