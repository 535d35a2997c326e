"""Do the documents name files, commands and headings that exist?"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from proxy.cli import main
from proxy.policy.decisions import Detail, ForwardReason
from tests.repository.files import ROOT, make_targets, pyproject, text, tracked

DOCUMENTS = [path for path in tracked() if path.endswith(".md")]
DECISIONS = [path for path in DOCUMENTS if path.startswith("docs/decisions/")]
_FENCED = re.compile(r"^```.*?^```|^    .*$", re.MULTILINE | re.DOTALL)


def _slug(heading: str) -> str:
    """Return the anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _links(path: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text(path)) if "://" not in link]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_somewhere(path: str) -> None:
    for link in _links(path):
        file, _, anchor = link.partition("#")
        target = (ROOT / path).parent / file if file else ROOT / path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [_slug(heading) for heading in headings], link


@pytest.mark.parametrize("path", DOCUMENTS)
def test_make_commands_that_are_named_exist(path: str) -> None:
    named = set(re.findall(r"(?:`|^    (?:[A-Z_]+=\S+ )*)make ([a-z]+)\b", text(path), re.MULTILINE))
    assert named <= set(make_targets())


@pytest.mark.parametrize("path", DOCUMENTS)
def test_sitecache_commands_that_are_named_exist(path: str) -> None:
    named = set(re.findall(r"(?:`|^    )sitecache ([a-z-]+)\b", text(path), re.MULTILINE))
    known = set(main.list_commands(click.Context(main)))
    assert named <= known | {"console"}, named - known


@pytest.mark.parametrize("path", ["README.md", "docs/architecture.md", "docs/fresh-machine.md"])
def test_files_that_are_named_exist(path: str) -> None:
    roots = "|".join(sorted({Path(one).parts[0] for one in tracked()} - {"LICENSE"}))
    named = re.findall(rf"`((?:{roots})/[\w./-]+)`", text(path))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    readme = text("README.md")
    assert len(readme.splitlines()) <= 170
    pages = [path for path in DOCUMENTS if re.fullmatch(r"docs/[\w-]+\.md", path)]
    assert [page for page in pages if f"({page})" not in readme] == []
    assert "(docs/decisions/)" in readme


def test_the_readme_names_every_reason_and_no_other() -> None:
    table = text("README.md").partition("## What Cache-Status says")[2].partition("\n## ")[0]
    named = set(re.findall(r"(?:fwd|detail)=([a-z-]+)", table))
    known = {reason.value for reason in ForwardReason} | {detail.value for detail in Detail}
    assert named == known


def test_the_changelog_has_the_version_and_the_form() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] in ("Unreleased", pyproject()["project"]["version"])
    kinds = set(re.findall(r"^### (.+)$", text("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("path", [path for path in DECISIONS if Path(path).name[:4].isdigit()])
def test_a_decision_is_one_page_in_four_parts(path: str) -> None:
    page = text(path)
    assert page.startswith(f"# {int(Path(path).name[:4])}. ")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == [
        "Context",
        "Decision",
        "What follows",
        "What was passed over",
    ]
    assert len(page.splitlines()) <= 70


def test_decisions_are_numbered_one_after_the_other() -> None:
    numbers = sorted(int(Path(path).name[:4]) for path in DECISIONS if Path(path).name[:4].isdigit())
    assert numbers == list(range(len(numbers)))
