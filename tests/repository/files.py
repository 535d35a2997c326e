"""Where is everything in the repository, and what do its text files say?"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def text(path: str) -> str:
    """Return what a file of the repository says."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def pyproject() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads(text("pyproject.toml"))


@cache
def tracked() -> tuple[str, ...]:
    """Return the files of the repository, those not yet added included, those ignored excluded."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for path in listed.splitlines() if (ROOT / path).is_file())


@cache
def make_targets() -> dict[str, str]:
    """Return the targets of the Makefile that `make help` lists, and what it says of them."""
    return dict(re.findall(r"^([a-z-]+):.*## (.+)$", text("Makefile"), re.MULTILINE))


@dataclass
class Stage:
    """One stage of the Dockerfile."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and what stands behind it, in order."""

    def all(self, word: str) -> list[str]:
        """Return what stands behind every instruction of one kind."""
        return [rest for instruction, rest in self.steps if instruction == word]

    def last(self, word: str) -> str:
        """Return what stands behind the one that counts."""
        return self.all(word)[-1]

    def command(self, word: str) -> list[str]:
        """Return ENTRYPOINT, CMD or the command of HEALTHCHECK, which must be in exec form."""
        rest = self.last(word)
        command = json.loads(rest[rest.index("[") :])
        assert isinstance(command, list)
        return command

    @property
    def env(self) -> dict[str, str]:
        """Return what ENV sets."""
        pairs = (pair.partition("=") for rest in self.all("ENV") for pair in shlex.split(rest))
        return {name: value for name, _, value in pairs}


@cache
def dockerfile() -> dict[str, Stage]:
    """Return the stages of the Dockerfile, the default one last."""
    stages: dict[str, Stage] = {}
    lines = "\n".join(line for line in text("Dockerfile").splitlines() if not line.startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = stages[name] = Stage(name, base)
        elif stages:
            stage.steps.append((word, rest.strip())) if word else None
    return stages
