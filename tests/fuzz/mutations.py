"""Break each rule of whose page it is, and see that the property tests notice: ``python -m tests.fuzz.mutations``.

Each mutation is a text of the source, which has to be there once, and what stands in its place in a temporary copy. The
tests that are to notice run on that copy. By hand, and outside CI: each takes some seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.rules import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
COPIED = ("proxy", "tests", "config", "pyproject.toml")
#: What fails is not made smaller: that it fails is enough. It has to be the copy that is tested.
CONFTEST = """
from pathlib import Path
from hypothesis import Phase, settings
import proxy
assert Path(proxy.__file__).is_relative_to(Path(__file__).parents[2]), proxy.__file__
settings.register_profile("mutations", phases=[Phase.explicit, Phase.generate], database=None)
"""


class StaleMutationError(Exception):
    """What a mutation replaces is not there once."""


@dataclass(frozen=True)
class Ran:
    """How the tests went."""

    passed: bool
    said: str

    @property
    def first(self) -> str:
        """The first assertion that failed."""
        lines = [line for line in self.said.splitlines() if "AssertionError: " in line or line.startswith("E   ")]
        return lines[0].strip(" |E")[:160] if lines else (self.said.strip().splitlines() or [""])[-1][:160]


class Copy:
    """The source in a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.failing: list[str] = []
        """Tests that fail on the source as it is."""
        for name in COPIED:
            place = ROOT / name
            if place.is_dir():
                shutil.copytree(place, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
            else:
                shutil.copy(place, folder / name)
        (folder / "tests" / "fuzz" / "conftest.py").write_text(CONFTEST)

    def run(self, mutation: Mutation | None, tests: Sequence[str], seed: int, examples: int) -> Ran:
        """Run tests on the source as this mutation makes it, but those that fail without any."""
        undone = {} if mutation is None else self._apply(mutation)
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", *tests]
        command += ["--maxfail=50" if mutation is None else "-x", *(f"--deselect={one}" for one in self.failing)]
        command += ["--hypothesis-profile=mutations", f"--hypothesis-seed={seed}"]
        env = {**os.environ, "SITECACHE_FUZZ": str(examples), "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(command, cwd=self._folder, env=env, capture_output=True, text=True, check=False)
        for place, text in undone.items():
            place.write_text(text)
        if ended.returncode not in (0, 1):
            raise RuntimeError(ended.stdout + ended.stderr)
        if mutation is None:
            self.failing = re.findall(r"^FAILED (\S+)", ended.stdout, re.MULTILINE)
        return Ran(ended.returncode == 0, ended.stdout)

    def _apply(self, mutation: Mutation) -> dict[Path, str]:
        undone: dict[Path, str] = {}
        for file, old, new in mutation.changes:
            place = self._folder / file
            text = place.read_text()
            if text.count(old) != 1:
                raise StaleMutationError(f"{mutation.name}: {file} has {text.count(old)} times {old!r}")
            undone.setdefault(place, text)
            place.write_text(text.replace(old, new))
        return undone


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", help="of mutations; all where none is named")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=2, help="times as many as in an ordinary run")
    options = parser.parse_args()
    chosen = [one for one in MUTATIONS if not options.names or one.name in options.names]
    with TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        tests = sorted({test for one in chosen for test in one.tests})
        unbroken = copy.run(None, tests, options.seed, options.examples)
        print(f"{'passes' if unbroken.passed else f'FAILS ({unbroken.first})'}: the source as it is", flush=True)
        missed = 0 if unbroken.passed else 1
        for one in chosen:
            try:
                ran = copy.run(one, one.tests, options.seed, options.examples)
            except StaleMutationError as stale:
                missed += 1
                print(f"STALE: {stale}", flush=True)
                continue
            missed += ran.passed
            told = "NOT CAUGHT" if ran.passed else "caught"
            print(f"{told}: {one.rule}: {one.name}{'' if ran.passed else f' ({ran.first})'}", flush=True)
    print(f"{len(chosen)} mutations, {missed} not caught, stale, or of a source that fails")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
