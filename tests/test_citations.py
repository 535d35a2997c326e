"""Is every section of an RFC that the policy cites held by a test?

A section is cited as ``RFC 9110 §13.1.2``, more of the same RFC following after commas; a bare ``§`` belongs to the
RFC that its file names first. A test holds a section with ``@pytest.mark.rfc(9110, "13.1.2")``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROXY = ROOT / "proxy"
TESTS = ROOT / "tests"
PACKAGES = ("proxy/policy", "proxy/message")
COVERAGE = ROOT / "docs" / "rfc-coverage.md"

#: What has a requirement for a cache, or is the frame of such; not introductions, notation, registries and references.
#: RFC 9111 §6 and §7.2 are for applications and user agents.
BINDING = {
    9111: """
        1.2.2 2 3 3.1 3.2 3.3 3.4 3.5 4 4.1 4.2 4.2.1 4.2.2 4.2.3 4.2.4 4.3 4.3.1 4.3.2 4.3.3 4.3.4 4.3.5 4.4 5.1 5.2
        5.2.1 5.2.1.1 5.2.1.2 5.2.1.3 5.2.1.4 5.2.1.5 5.2.1.6 5.2.1.7
        5.2.2 5.2.2.1 5.2.2.2 5.2.2.3 5.2.2.4 5.2.2.5 5.2.2.6 5.2.2.7 5.2.2.8 5.2.2.9 5.2.2.10 5.2.3 5.3 5.4 5.5 7.1 7.3
        """,
    5861: "3 4",
    8246: "2 2.1",
    9211: "2 2.1 2.2 2.3 2.4 2.5 2.6 2.7 2.8",
    9213: "2 2.1 2.2 2.3 3",
    9875: "2 2.1 2.2 2.2.1 3",
    9110: """
        5.6.7 6.6.1 8.8 8.8.1 8.8.2.2 8.8.3 8.8.3.2 9.2.1 9.2.3 9.3.1 9.3.2 9.3.3 9.3.4 9.3.5 12.5.5
        13.1.1 13.1.2 13.1.3 13.1.4 13.1.5 13.2.1 13.2.2 14.1.1 14.1.2 14.2 14.3 14.4 14.5 14.6
        15.1 15.2 15.3.7.1 15.3.7.2 15.3.7.3 15.4.5 15.5.17
        """,
}

_FILE = re.compile(r"`([^`]+)`")
_SECTION = r"§(\d+(?:\.\d+)*)"
_CITATION = re.compile(rf"(?:(?P<source>RFC \d+|DESIGN|STYLE)\s+)?(?P<sections>{_SECTION}(?:,\s+{_SECTION})*)")
_RFC = re.compile(r"RFC (\d+)")
_MARK = re.compile(r'mark\.rfc\((\d+), "(\d+(?:\.\d+)*)"\)')

Section = tuple[int, str]


def cited(text: str) -> Iterator[Section]:
    """Every section of an RFC that a file cites."""
    own = _RFC.search(text)
    for citation in _CITATION.finditer(text):
        source = citation["source"] or (own and own[0])
        if source is None:
            raise ValueError(f"no RFC is named for {citation[0]}")
        if source.startswith("RFC "):
            for section in re.findall(_SECTION, citation["sections"]):
                yield int(source[4:]), section


@cache
def citing() -> dict[Section, set[str]]:
    """The files of the package that cite each section."""
    files: dict[Section, set[str]] = {}
    for path in sorted(PROXY.rglob("*.py")):
        for section in cited(path.read_text()):
            files.setdefault(section, set()).add(path.relative_to(PROXY).as_posix())
    return files


@cache
def holding() -> dict[Section, set[str]]:
    """The files of tests that hold each section; what stands in this one are examples."""
    files: dict[Section, set[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        for number, section in _MARK.findall(path.read_text()) if path != Path(__file__) else ():
            files.setdefault((int(number), section), set()).add(path.relative_to(TESTS).as_posix())
    return files


def table() -> dict[Section, tuple[set[str], set[str]]]:
    """What the document says: code and tests of each section."""
    _, _, rows = COVERAGE.read_text().partition("## Held")
    found = re.findall(r"^\| (\d+) \| §([\d.]+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", rows, re.MULTILINE)
    return {
        (int(number), section): (set(_FILE.findall(code)), set(_FILE.findall(tests)))
        for number, section, code, tests in found
    }


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=str(path.relative_to(ROOT))) for p in PACKAGES for path in sorted((ROOT / p).glob("*.py"))],
)
def test_every_cited_section_is_held_by_a_test(path: Path) -> None:
    missing = set(cited(path.read_text())) - holding().keys()
    assert not missing, f"no test is marked rfc(number, section) for {sorted(missing)}"


@pytest.mark.parametrize("section", sorted(holding()), ids=lambda section: f"{section[0]}-{section[1]}")
def test_the_table_names_the_code_and_the_tests_of_each_section(section: Section) -> None:
    code, tests = table().get(section, (set(), set()))
    row = f"docs/rfc-coverage.md: RFC {section[0]} §{section[1]}"
    assert tests == holding()[section], f"{row}: the tests that are marked with it"
    assert code >= citing().get(section, set()), f"{row}: the files that cite it"
    assert code, f"{row}: no code is named"
    assert all((PROXY / path).is_file() for path in code), f"{row}: there is no such file"


def test_the_table_has_no_section_that_no_test_holds() -> None:
    assert not table().keys() - holding().keys()


def test_every_section_that_binds_a_cache_has_a_row() -> None:
    sections = {(number, section) for number, sections in BINDING.items() for section in sections.split()}
    assert not sections - table().keys()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("RFC 9110 §1.2, §3: RFC 9111 §4", {(9110, "1.2"), (9110, "3"), (9111, "4")}, id="in-full"),
        pytest.param("RFC 9110, RFC 9111 §4. §1.2", {(9111, "4"), (9110, "1.2")}, id="bare"),
        pytest.param("RFC 9110. DESIGN §5, STYLE §8.", set(), id="not-of-an-rfc"),
    ],
)
def test_how_citations_are_read(text: str, expected: set[Section]) -> None:
    assert set(cited(text)) == expected


def test_a_bare_section_needs_an_rfc() -> None:
    with pytest.raises(ValueError, match="no RFC"):
        list(cited("§1"))
