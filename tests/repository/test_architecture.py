"""Does docs/architecture.md speak of the modules that there are, and of no others?"""

from __future__ import annotations

import re

import pytest

from tests.repository.files import ROOT, text, tracked

#: `proxy/message/heads.py`, whole; a folder by its path with a slash behind it.
_MENTIONED = re.compile(r"`(proxy/[\w/]+(?:\.py|/))`")

MODULES = sorted(path for path in tracked() if re.fullmatch(r"proxy/.*\.py", path) and "__init__" not in path)
MENTIONED = sorted(set(_MENTIONED.findall(text("docs/architecture.md"))))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_place_in_the_architecture(module: str) -> None:
    assert module in MENTIONED


@pytest.mark.parametrize("path", MENTIONED)
def test_what_the_architecture_speaks_of_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("module", MODULES)
def test_the_architecture_says_of_a_module_what_it_says_itself(module: str) -> None:
    """The line of the table is the first sentence of the module: neither drifts from the other."""
    docstring = re.match(r'"""(.+?)("""|\n)', text(module))
    assert docstring is not None
    line = f"| `{module}` | {docstring[1].strip()} |"
    assert line in text("docs/architecture.md"), f"its line there is: {line}"
