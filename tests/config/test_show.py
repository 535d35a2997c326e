"""What ``sitecache check`` prints: readable, complete, loadable again, and without secrets."""

# ruff: noqa: E501  a row is one line of output, whole

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.reader import leaves
from proxy.config.rules import usable_cores
from proxy.config.show import show
from proxy.config.wording import masked, one_line, quoted

FILE = """
upstream: ${APP:-http://127.0.0.1:8000}
workers: auto
timeouts: {header: 250ms, idle: 90.5}
trusted_proxies: [10.0.0.0/8, '::1']
access_log: off
cookies: {ignore: []}
CACHES:
  default: {BACKEND: dummy, TIMEOUT: null, LOCATION: 'redis://u:pw@h/0'}
  "a: b": {BACKEND: locmem, KEY_PREFIX: "x # ${N} $${Y}"}
CACHE_MIDDLEWARE_KEY_PREFIX: "off"
"""


def shown(text: str, folder: Path) -> str:
    file = folder / "site.yaml"
    file.write_text(text)
    return show(load(file, {"N": "n"}, {"listen": (":80", "unix:/a")})).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("left", "origin"),
    [
        ("  url: http://127.0.0.1:8000", "${APP} at site.yaml:2"),
        ('listen: [":80", unix:/a]', "option --listen"),
        ("  header: 250ms", "site.yaml:4"),
        ("  idle: 90.5s", "site.yaml:4"),
        ("  write: 1m", "default"),
        ('trusted_proxies: ["10.0.0.0/8", "::1/128"]', "site.yaml:5"),
        ("access_log: off", "site.yaml:6"),
        ("  ignore: []", "site.yaml:7"),
        ('    LOCATION: "redis://***@h/0"', "site.yaml:9"),
        ("    TIMEOUT: null", "site.yaml:9"),
        ('  "a: b":', ""),
        ('    KEY_PREFIX: "x # n $${Y}"', "${N} at site.yaml:10"),
        ('CACHE_MIDDLEWARE_KEY_PREFIX: "off"', "site.yaml:11"),
        (f"workers: {usable_cores()}", "site.yaml:3 (auto)"),
    ],
)
def test_line(left: str, origin: str, tmp_path: Path) -> None:
    lines = [line.partition("  # ") for line in shown(FILE, tmp_path).splitlines()]
    assert (left, origin) in [(before.rstrip(), after) for before, _, after in lines]


def test_origins_stand_in_one_column(tmp_path: Path) -> None:
    columns = {line.index("  # ") for line in shown(FILE, tmp_path).splitlines() if line.endswith("# default")}
    assert len(columns) == 1


def test_what_is_shown_loads_as_the_same(tmp_path: Path) -> None:
    text = FILE.replace("u:pw@", "")
    (tmp_path / "again.yaml").write_text(shown(text, tmp_path))
    first = load(tmp_path / "site.yaml", {"N": "n"}, {"listen": (":80", "unix:/a")})
    assert load(tmp_path / "again.yaml", {}, {}).config == first.config


def test_every_setting_is_shown_once(tmp_path: Path) -> None:
    lines = shown(FILE, tmp_path).splitlines()
    config = load(tmp_path / "site.yaml", {"N": "n"}, {}).config
    assert len([line for line in lines if "  # " in line]) == len(leaves(config))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("LOCATION: ['redis://:pw@a', 'redis://u:pw@b;redis://u:pw@c']", 'LOCATION: ["redis://***@a", "redis://***@c"]', id="locations"),
        pytest.param("LOCATION: 'a:1;b:1'", 'LOCATION: "a:1;b:1"', id="servers-in-one"),
        pytest.param("LOCATION: []", "LOCATION: []", id="no-location"),
        pytest.param("VERSION: 1", "OPTIONS: {}", id="no-options"),
        pytest.param("OPTIONS: {password: 12345}", '  password: "***"', id="password"),
        pytest.param("OPTIONS: {sentinel_kwargs: {Password: [a]}}", '    Password: "***"', id="password-inside"),
        pytest.param("OPTIONS: {auth: {a: b}}", '    a: "***"', id="under-a-secret"),
        pytest.param("OPTIONS: {a: [{api_key: x, b: [1]}]}", '  a: [{api_key: "***", b: [1]}]', id="password-in-a-list"),
        pytest.param("OPTIONS: {url: 'redis://:pw@a?token=b'}", '  url: "redis://***@a?token=***"', id="url"),
        pytest.param("OPTIONS: {a: 1.0e-7, b: 2.50, c: -3}", "  a: 1.0e-07", id="small-number"),
        pytest.param("OPTIONS: {a: yes}", "  a: true", id="boolean"),
        pytest.param("OPTIONS: {a: }", "  a: null", id="null"),
        pytest.param("OPTIONS: {'a ${b}': '10'}", '  "a ${b}": "10"', id="name-with-a-dollar"),
        pytest.param("OPTIONS: {behaviors: {}}", "  behaviors: {}", id="empty-mapping"),
    ],
)  # fmt: skip
def test_options_that_a_backend_judges(entry: str, expected: str, tmp_path: Path) -> None:
    text = f"upstream: http://a\nCACHES:\n  default: {{BACKEND: redis, {entry}}}\n"
    lines = [line.partition("  # ") for line in shown(text, tmp_path).splitlines()]
    origin = "default" if expected == "OPTIONS: {}" else "site.yaml:3"
    assert (f"    {expected}", origin) in [(before.rstrip(), after) for before, _, after in lines]
    assert "pw" not in str(lines)


def test_databases_and_their_passwords(tmp_path: Path) -> None:
    text = "upstream: http://a\nDATABASES: {a: 'postgresql://u:pw@h/db'}\nROUTER: {read: [a]}\n"
    assert '\n  a: "postgresql://***@h/db"' in shown(text, tmp_path)
    assert "\nROUTER:\n  read: [a]" in shown(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("redis://:pw@host:1/0", "redis://***@host:1/0", id="password"),
        pytest.param("redis://user:p@ss/w@host", "redis://***@host", id="password-with-odd-characters"),
        pytest.param("redis://host?db=1&password=pw&x=1", "redis://host?db=1&password=***&x=1", id="parameter"),
        pytest.param("host=h Password=pw;x", "host=h Password=***;x", id="connection-string"),
        pytest.param("redis://host:6379", "redis://host:6379", id="nothing-to-hide"),
        pytest.param("me@example.org", "me@example.org", id="no-url"),
    ],
)
def test_secrets_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_what_is_shown_fits_one_line() -> None:
    assert one_line("a\nb\x00\u2028\ud800") == "a\\nb\\x00\\u2028\\ud800"
    assert one_line("x" * 500) == "x" * 117 + "..."
    assert quoted("x" * 500) == '"' + "x" * 77 + '..."'
