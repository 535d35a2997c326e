"""What the command line answers, and with which exit code."""

# ruff: noqa: E501  a row is one line of output, whole

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy import __version__
from proxy.cli import Parts, main
from proxy.config.load import Source
from proxy.config.model import AccessLog, Config, plain_options
from proxy.errors import SitecacheError

REPOSITORY = Path(__file__).parents[2]


@dataclass
class Runs:
    """A stand-in for ``proxy.app.serve`` that notes what it was given."""

    code: int = 0
    configs: list[Config] = field(default_factory=list)
    sources: list[Source | None] = field(default_factory=list)

    def __call__(self, config: Config, source: Source | None) -> int:
        self.configs.append(config)
        self.sources.append(source)
        return self.code


def invoke(*arguments: str, runs: Runs | None = None, **environ: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("SITECACHE_")}
    return CliRunner().invoke(main, arguments, obj=Parts(runs) if runs else None, env=clean | environ)


def module(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SITECACHE_")}
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=REPOSITORY, env=kept | environ, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_version_names_what_it_stands_on() -> None:
    got = invoke("version")
    names = [line.split()[0] for line in got.stdout.splitlines()]
    assert names == ["sitecache", "Python", "uvloop", "httptools"]
    assert got.stdout.startswith(f"sitecache {__version__}\n")
    assert got.exit_code == 0


def test_check_shows_and_warns(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://127.0.0.1:8000\nclient_cache_control: trusted\n")
    got = invoke("check", str(file))
    assert got.exit_code == 0
    assert f"# {file}:2\n" in got.stdout
    assert "config warning: client_cache_control: trusted" in got.stderr


def test_the_version_is_an_option_too() -> None:
    assert invoke("--version").stdout == f"sitecache {__version__}\n"


@pytest.mark.parametrize("option", ["-c", "--config"])
def test_every_command_takes_the_configuration_alike(option: str, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://127.0.0.1:8000\nadmin: off\n")
    runs = Runs()
    assert invoke("serve", option, str(file), runs=runs).exit_code == 0
    assert len(runs.configs) == 1
    assert f"# {file}:1\n" in invoke("check", option, str(file)).stdout
    assert invoke("createcachetable", option, str(file)).exit_code == 0
    for command in (("explain", "http://a/"), ("purge", "--all"), ("top",)):
        assert "admin: off" in invoke(*command, option, str(file)).stderr
    for command in main.commands:
        names = {name for each in main.commands[command].params for name in each.opts}
        assert {"-c", "--config"} <= names


def test_check_takes_its_file_with_and_without_an_option(tmp_path: Path) -> None:
    file, other = tmp_path / "site.yaml", tmp_path / "other.yaml"
    file.write_text("upstream: http://127.0.0.1:8000\n")
    for arguments in ([str(file)], ["-c", str(file)]):
        assert f"# {file}:1\n" in invoke("check", *arguments).stdout
    assert f"# {file}:1\n" in invoke("check", str(file), SITECACHE_CONFIG=str(other)).stdout
    assert f"# {file}:1\n" in invoke("check", SITECACHE_CONFIG=str(file)).stdout
    twice = invoke("check", str(file), "-c", str(other))
    assert (twice.exit_code, twice.stderr.splitlines()[-1]) == (
        2,
        "Error: give FILE once: by itself or behind --config",
    )


def test_check_takes_the_options_of_serve() -> None:
    got = invoke("check", "--upstream", "http://app:1", "--workers", "1")
    assert got.exit_code == 0
    assert "url: http://app:1 " in got.stdout


def test_serve_hands_over_what_was_loaded(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://127.0.0.1:8000\nlisten: 127.0.0.1:1\nworkers: 9\n")
    runs = Runs(code=3)
    options = "--listen 127.0.0.1:2 --listen unix:/a --workers 1 --admin off --access-log json --upstream unix:/b"
    got = invoke("serve", "--config", str(file), *options.split(), runs=runs)
    assert got.exit_code == 3
    [config] = runs.configs
    assert config.listen == ("127.0.0.1:2", "unix:/a")
    assert (config.workers, config.admin.listen, config.access_log) == (1, "off", AccessLog.JSON)
    assert config.upstream.url == "unix:/b"


def test_serve_reads_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://127.0.0.1:8000\n")
    runs = Runs()
    assert invoke("serve", runs=runs, SITECACHE_CONFIG=str(file), SITECACHE_LISTEN=":1,:2").exit_code == 0
    assert runs.configs[0].listen == (":1", ":2")
    assert runs.configs[0].upstream.url == "http://127.0.0.1:8000"


def test_serve_warns_and_goes_on() -> None:
    runs = Runs()
    got = invoke("serve", "--upstream", "http://app:1", "--listen", ":8080", runs=runs)
    assert "config warning: listen: :8080 can be reached from outside" in got.stderr
    assert len(runs.configs) == 1


@pytest.mark.parametrize("command", ["serve", "check"])
def test_faults_go_to_stderr_one_a_line(command: str) -> None:
    runs = Runs()
    got = invoke(command, "--listen", "x", "--workers", "no", "--admin", "x", "--access-log", "xml", runs=runs)
    assert got.exit_code == 2
    assert got.stdout == ""
    assert runs.configs == []
    lines = got.stderr.splitlines()
    assert [line.split(": expected")[0] for line in lines] == [
        "config error: option --listen: listen[0]",
        "config error: option --workers: workers",
        "config error: option --admin: admin.listen",
        "config error: option --access-log: access_log",
        "config error: upstream",
    ]
    assert lines[-1].endswith("give it with --upstream http://127.0.0.1:8000, or with upstream: in the file")


@dataclass
class Judge:
    """A stand-in for the registry of backends, which refuses one alias."""

    refused: str
    error: Exception
    asked: list[str] = field(default_factory=list)

    def __call__(self, alias: str, config: Config) -> object:
        cache = config.CACHES[alias]
        self.asked.append(f"{alias} {cache.BACKEND} {dict(plain_options(cache))}")
        if alias == self.refused:
            raise self.error
        return object()


JUDGED = "upstream: http://a\nCACHES:\n  default: {BACKEND: dummy}\n  r:\n    BACKEND: redis\n    OPTIONS: {db: x}\n"


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize("kind", [ValueError, SitecacheError])
def test_backends_judge_their_options(command: str, kind: type[Exception], tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(JUDGED)
    judge = Judge("r", kind("OPTIONS.db: expected the number of a database, found 'x'"))
    runs = Runs()
    got = CliRunner().invoke(main, [command], obj=Parts(runs, judge), env={"SITECACHE_CONFIG": str(file)})
    assert got.exit_code == 2
    assert got.stdout == ""
    expected = "CACHES.r.OPTIONS.db: expected the number of a database, found 'x'"
    assert got.stderr == f"config error: {file}:6: {expected}\n"
    assert judge.asked[1:] == ["r redis {'db': 'x'}"]
    assert runs.configs == []


def test_serve_has_other_caches_beside_the_one_of_the_pages(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(JUDGED)
    runs = Runs()
    judge = Judge("", ValueError())
    got = CliRunner().invoke(main, ["serve", "--config", str(file)], obj=Parts(runs, judge))
    assert got.exit_code == 0
    assert len(runs.configs) == 1


NAMED = """
number = 1
def make_key(key, key_prefix, version): return str(key)
class Lacking:
    def __init__(self, *_): pass
class Needing:
    def __new__(cls, what): pass
class Own(Lacking):
    get = set = delete = clear = dumps = loads = lambda *_: None
"""


@pytest.fixture
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let an operator's modules be found beside the configuration."""
    (tmp_path / "named.py").write_text(NAMED)
    (tmp_path / "breaking.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("named", None)


@pytest.mark.usefixtures("own_modules")
def test_check_takes_what_it_can_import(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    entry = "{BACKEND: named.Own, KEY_FUNCTION: named.make_key, SERIALIZER: named.Own}"
    file.write_text(f"upstream: http://a\nCACHES: {{default: {entry}}}\n")
    assert invoke("check", str(file)).exit_code == 0


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("{BACKEND: filebased, LOCATION: pages}", "LOCATION: expected an absolute path, found 'pages'", id="file"),
        pytest.param("{BACKEND: no.such.Cache}", "BACKEND: expected what the backend can use, found Could not find backend 'no.such.Cache': No module named 'no', name its directory in PYTHONPATH or install it", id="own"),
        pytest.param("{BACKEND: named.Nothing}", "BACKEND: expected what the backend can use, found Could not find backend 'named.Nothing': module 'named' has no attribute 'Nothing'", id="own-without-the-class"),
        pytest.param("{BACKEND: named.Lacking}", "BACKEND: expected what the backend can use, found Lacking lacks get, set, delete, clear", id="own-without-methods"),
        pytest.param("{BACKEND: breaking.Cache}", "BACKEND: expected what the backend can use, found Could not find backend 'breaking.Cache': breaking raised ZeroDivisionError: division by zero", id="own-that-breaks"),
        pytest.param("{BACKEND: dummy, KEY_FUNCTION: named.nothing}", "KEY_FUNCTION: expected a function of key, key_prefix and version, or its dotted path, found 'named.nothing': module 'named' has no attribute 'nothing'", id="key-function"),
        pytest.param("{BACKEND: dummy, KEY_FUNCTION: named.number}", "KEY_FUNCTION: expected a function of key, key_prefix and version, or its dotted path, found 'named.number'", id="no-function"),
        pytest.param("{BACKEND: dummy, SERIALIZER: no.such.Serializer}", "SERIALIZER: expected a class with dumps and loads, made without arguments, or its dotted path, found 'no.such.Serializer': No module named 'no', name its directory in PYTHONPATH or install it", id="serializer"),
        pytest.param("{BACKEND: dummy, SERIALIZER: named.Lacking}", "SERIALIZER: expected a class with dumps and loads, made without arguments, or its dotted path, found 'named.Lacking'", id="no-serializer"),
        pytest.param("{BACKEND: dummy, SERIALIZER: named.Needing}", "SERIALIZER: expected a class with dumps and loads, made without arguments, or its dotted path, found 'named.Needing': TypeError: Needing.__new__() missing 1 required positional argument: 'what'", id="serializer-with-arguments"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("own_modules")
def test_check_asks_the_backends_themselves(entry: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(f"upstream: http://a\nCACHES: {{default: {entry}}}\n")
    got = invoke("check", str(file))
    assert got.stderr == f"config error: {file}:2: CACHES.default.{expected}\n"
    assert got.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "stderr"),
    [
        pytest.param(("check", "config/minimal.yaml"), 0, None, id="check"),
        pytest.param(("check", "config/django.yaml"), 0, None, id="check-django"),
        pytest.param(("check", "nowhere.yaml"), 2, "config error: nowhere.yaml: the file: expected a YAML file that can be read, found no such file or directory\n", id="missing"),
        pytest.param(("check", "config"), 2, "config error: config: the file: expected a YAML file that can be read, found is a directory\n", id="directory"),
        pytest.param(("serve",), 2, "config error: upstream: expected the address of the application, found nothing; give it with --upstream http://127.0.0.1:8000, or with upstream: in the file\n", id="no-upstream"),
        pytest.param(("serve", "--config", "pyproject.toml"), 2, None, id="not-yaml"),
        pytest.param(("serve", "--upstreem", "x"), 2, None, id="no-such-option"),
        pytest.param(("version",), 0, "", id="version"),
        pytest.param(("--help",), 0, "", id="help"),
    ],
)  # fmt: skip
def test_as_a_module(arguments: tuple[str, ...], code: int, stderr: str | None) -> None:
    got = module(*arguments)
    assert got.returncode == code
    assert "Traceback" not in got.stderr
    if stderr is not None:
        assert got.stderr == stderr


def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("upstream: http://a\nCACHE_MIDDLEWARE_KEY_PREFIX: häuser\n", "utf-8")
    got = module("check", str(file), PYTHONIOENCODING="ascii")
    assert got.returncode == 0
    assert "h\\xe4user" in got.stdout
