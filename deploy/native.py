"""How is the wheel built whose hot modules are machine code? From the same sources, by mypyc.

``python deploy/native.py [--out DIRECTORY]`` needs a C compiler, mypy and setuptools, and takes a minute or two. The
wheel is for one version of Python on one kind of machine; the pure one is for all of them, and does the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "proxy")
#: Each of these as a whole: a call from one compiled module into another costs next to nothing, others do not.
PACKAGES = ("downstream", "exchange", "message", "policy", "upstream")
ALONE = ("deadlines.py", "departures.py")
#: These derive from classes that mypyc cannot derive from, or run once.
LEFT_OUT = frozenset({"downstream/workers.py", "downstream/listeners.py", "policy/stored.py", "upstream/pool.py"})


def compiled(package: Path) -> Iterator[str]:
    """Yield the modules that become machine code."""
    modules = [package / name for name in ALONE]
    for name in PACKAGES:
        modules += sorted((package / name).glob("*.py"))
    for module in modules:
        is_left_out = module.relative_to(package).as_posix() in LEFT_OUT
        if module.name != "__init__.py" and not is_left_out and module.exists():
            yield str(module)


def build(out: Path) -> None:
    """Write the wheel into a directory."""
    with tempfile.TemporaryDirectory(prefix="sitecache-native-") as work:
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, Path(work, name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, work)
        os.chdir(work)
        modules = mypycify(
            ["--config-file=pyproject.toml", *compiled(Path("proxy"))],
            opt_level="3",
            group_name="sitecache_native",
        )
        setup(ext_modules=modules, script_args=["--quiet", "bdist_wheel", "--dist-dir", str(out)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the wheel goes (default: dist)")
    options = parser.parse_args()
    build(options.out.resolve())


if __name__ == "__main__":
    main()
