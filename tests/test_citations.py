"""Is every section of an RFC that the policy cites held by a test?

A section is cited as ``RFC 9110 §13.1.2``, more of the same RFC following after commas; a bare ``§`` belongs to the
RFC that its file names first. A test holds a section with ``@pytest.mark.rfc(9110, "13.1.2")``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxy/policy", "proxy/message")
COVERAGE = ROOT / "docs" / "rfc-coverage.md"

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


def held() -> set[Section]:
    """Every section that a test holds."""
    return {
        (int(number), section)
        for path in (ROOT / "tests").rglob("*.py")
        for number, section in _MARK.findall(path.read_text())
    }


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=str(path.relative_to(ROOT))) for p in PACKAGES for path in sorted((ROOT / p).glob("*.py"))],
)
def test_every_cited_section_is_held_by_a_test(path: Path) -> None:
    missing = set(cited(path.read_text())) - held()
    assert not missing, f"no test is marked rfc(number, section) for {sorted(missing)}"


def test_the_document_claims_no_section_that_no_test_holds() -> None:
    _, _, table = COVERAGE.read_text().partition("## Held")
    rows = re.findall(r"^\| (\d+) \| §([\d.]+) \|", table, re.MULTILINE)
    assert rows
    assert not {(int(number), section) for number, section in rows} - held()


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
