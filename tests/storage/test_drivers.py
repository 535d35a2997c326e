"""What is said where the driver of a storage is not installed?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.storage.drivers import EXTRAS, missing_driver, need_driver

ROOT = Path(__file__).parents[2]

#: Runs a command with some packages gone.
SCRIPT = """
import sys

class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Gone())
from proxy.cli import main
main(sys.argv[2:], prog_name="sitecache")
"""


def without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, package, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def database(url: str) -> str:
    return f"{{BACKEND: db, LOCATION: t}}\nDATABASES: {{default: {url}}}"


@pytest.mark.parametrize(
    ("package", "entry", "extra"),
    [
        pytest.param("redis", "{BACKEND: redis, LOCATION: 'redis://h'}", "redis", id="redis"),
        pytest.param(
            "redis",
            "{BACKEND: django.core.cache.backends.redis.RedisCache, LOCATION: 'redis://h'}",
            "redis",
            id="pasted",
        ),
        pytest.param("pymemcache", "{BACKEND: pymemcache, LOCATION: 'h:11211'}", "memcached", id="pymemcache"),
        pytest.param("pylibmc", "{BACKEND: pylibmc, LOCATION: 'h:11211'}", "pylibmc", id="pylibmc"),
        pytest.param("sqlalchemy", database("sqlite:////tmp/a"), "db", id="sqlalchemy"),
        pytest.param("aiosqlite", database("sqlite:////tmp/a"), "db", id="aiosqlite"),
        pytest.param("asyncpg", database("postgresql://u@h/n"), "db", id="asyncpg"),
        pytest.param("aiomysql", database("mysql://u@h/n"), "db", id="aiomysql"),
    ],
)
def test_a_missing_driver_is_named_with_its_extra(package: str, entry: str, extra: str, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(f"upstream: http://a\nCACHES:\n  default: {entry}\n")
    for command in ("check", "serve"):
        got = without(package, command, "-c", str(file))
        expected = f"expected the package {package}, found none; pip install 'sitecache[{extra}]'"
        assert got.stderr == f"config error: {file}:3: CACHES.default.BACKEND: {expected}\n"
        assert got.returncode == 2


def test_pylibmc_without_pymemcache_names_the_extra_that_brings_both(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://a\nCACHES: {default: {BACKEND: pylibmc, LOCATION: 'h:11211'}}\n")
    assert "pip install 'sitecache[pylibmc]'" in without("pymemcache", "check", str(file)).stderr


def test_tables_are_not_made_without_sqlalchemy(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://a\n")
    got = without("sqlalchemy", "createcachetable", "-c", str(file))
    assert (got.returncode, got.stderr) == (
        2, "expected the package sqlalchemy, found none; pip install 'sitecache[db]'\n",
    )  # fmt: skip


def test_every_extra_is_one_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for package, extra in EXTRAS.items():
        [line] = [line for line in text.splitlines() if line.startswith(f"{extra} = ")]
        assert f'"{package}' in line.lower()


def test_what_is_no_driver_is_nothing_of_ours() -> None:
    assert missing_driver(ImportError("cannot import name", name="redis")) is None
    assert missing_driver(ModuleNotFoundError("No module named 'x'", name="x")) is None
    with pytest.raises(ModuleNotFoundError):
        need_driver("no_such_package")


def test_djangos_own_key_function_is_none(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    function = "django.core.cache.backends.base.default_key_func"
    file.write_text(f"upstream: http://a\nCACHES: {{default: {{BACKEND: locmem, KEY_FUNCTION: {function}}}}}\n")
    assert load(file, {}, {}).config.CACHES["default"].KEY_FUNCTION is None
    assert without("django", "check", str(file)).returncode == 0
