"""Does the wheel hold the package, all of it, and nothing else?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from proxy import __version__
from tests.repository.files import ROOT, pyproject, tracked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy, with the setuptools that is installed: no network, and no build folder in the repository."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked():
        if path.startswith("proxy/") or path in ("pyproject.toml", "README.md", "LICENSE"):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, source / path)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", source / "dist", source], check=True, capture_output=True)
    (made,) = (source / "dist").iterdir()
    return made


def test_it_is_pure_and_has_the_version(wheel: Path) -> None:
    assert wheel.name == f"sitecache-{pyproject()['project']['version']}-py3-none-any.whl"
    assert __version__ == pyproject()["project"]["version"]


def test_it_holds_every_module_and_says_that_it_is_typed(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {path for path in tracked() if path.startswith("proxy/")} <= names
    assert "proxy/py.typed" in names


def test_it_holds_nothing_else(wheel: Path) -> None:
    others = [name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("proxy/")]
    assert [name for name in others if not re.match(r"sitecache-[\d.]+\.dist-info/", name)] == []
    assert any(name.endswith("licenses/LICENSE") for name in others)


def test_its_command_runs(wheel: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        tmp_path,
        wheel,
    ]
    subprocess.run(command, check=True, capture_output=True)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run(
        [tmp_path / "bin" / "sitecache", "version"], env=env, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith(f"sitecache {__version__}\n")
