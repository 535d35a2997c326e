"""Does what docs/cache-api.md shows work, and does it name every method?"""

from __future__ import annotations

import inspect
import re
import subprocess

from proxy.cache import Cache
from tests.cache.counting import ROOT, command

TEXT = (ROOT / "docs/cache-api.md").read_text(encoding="utf-8")


def test_the_examples_run() -> None:
    program = "\n".join(re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
    done = subprocess.run(command(program), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_method_is_named_and_has_its_twin() -> None:
    methods = {name for name, _ in inspect.getmembers(Cache, inspect.isfunction) if not name.startswith(("_", "make_"))}
    awaited = {name for name in methods if inspect.iscoroutinefunction(getattr(Cache, name))}
    plain = methods - awaited - {"validate_key"}
    assert awaited == {f"a{name}" for name in plain}
    assert [name for name in plain if f"`{name}(" not in TEXT and f"`{name}`" not in TEXT] == []


def test_both_forms_take_the_same_arguments() -> None:
    for name, method in inspect.getmembers(Cache, inspect.iscoroutinefunction):
        assert inspect.signature(method).parameters == inspect.signature(getattr(Cache, name[1:])).parameters, name
