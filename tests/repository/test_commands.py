"""Do the commands of the repository do what the README says of them?"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.repository.files import ROOT, make_targets, text, tracked

SCRIPTS = [path for path in tracked() if (ROOT / path).read_bytes()[:2] == b"#!"]


def _run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    # These tests may be run by make themselves; a make that they start must not take itself for a part of that one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    return subprocess.run(
        command, cwd=ROOT, env=kept | environ, capture_output=True, text=True, check=False, timeout=60
    )


def test_make_alone_lists_the_commands() -> None:
    lines = _run("make").stdout.splitlines()
    assert [line.split()[1] for line in lines] == list(make_targets())
    assert {"run", "test", "check", "format", "bench", "lock", "clean"} <= set(make_targets())


def test_ci_runs_what_the_readme_says() -> None:
    assert text(".ci/run").rstrip().endswith("exec make test")
    assert "\n    make test" in text("README.md")


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_can_be_run(path: str) -> None:
    assert (ROOT / path).stat().st_mode & stat.S_IXUSR
    assert _run("bash", "-n", ROOT / path).returncode == 0


def _script(path: Path, *lines: str) -> Path:
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = _script(tmp_path / "python3", 'case "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    (tmp_path / "deploy").mkdir()
    for name in ("deploy/environment", "deploy/requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    refused = _run("bash", tmp_path / "deploy/environment", "test", PYTHON=str(old))
    assert refused.returncode == 1
    assert "needs Python 3.11 or later" in refused.stderr
    assert "Python 3.9.2" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def test_nothing_is_installed_where_every_program_is_there(tmp_path: Path) -> None:
    _script(tmp_path / "apt-get", f"touch {tmp_path}/called")
    done = _run(ROOT / "tests/install-packages", "sh=dash", "ls=coreutils", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "called").exists()
