"""Does the lock hold an exact version of everything that pyproject.toml asks for?"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.files import pyproject, text


def _locked() -> dict[str, str]:
    lines = [line for line in text("deploy/requirements.lock").splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


LOCKED = _locked()


def _asked_for() -> Iterator[object]:
    project = pyproject()["project"]
    groups = {"(none)": project["dependencies"], **project["optional-dependencies"]}
    groups["(build)"] = pyproject()["build-system"]["requires"]
    for extra, requirements in groups.items():
        for requirement in map(Requirement, requirements):
            if requirement.name != project["name"]:
                yield pytest.param(requirement, id=f"{extra}-{requirement.name}")


@pytest.mark.parametrize("requirement", list(_asked_for()))
def test_a_dependency_is_locked_in_a_version_that_its_range_admits(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in LOCKED, "run `make lock`"
    assert requirement.specifier.contains(LOCKED[name], prereleases=True), f"the lock has {LOCKED[name]}"


def test_every_line_is_an_exact_version_and_nothing_else() -> None:
    lines = [line for line in text("deploy/requirements.lock").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not _is_exact(line)] == []


def _is_exact(line: str) -> bool:
    requirement = Requirement(line)
    return requirement.url is None and requirement.marker is None and str(requirement.specifier).startswith("==")


def test_what_these_tests_run_on_is_what_is_locked() -> None:
    installed = {canonicalize_name(one.name): one.version for one in metadata.distributions()}
    asked = {canonicalize_name(Requirement(text).name) for text in pyproject()["project"]["dependencies"]}
    assert {name: installed[name] for name in asked} == {name: LOCKED[name] for name in asked}
