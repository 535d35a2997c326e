"""Is a secret of the configuration shown nowhere, also where it is wrong?"""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.show import show
from proxy.errors import ConfigError

TOKEN = "hidden-and-long-enough"


def read(folder: Path, text: str, **environ: str) -> str:
    (folder / "site.yaml").write_text(f"upstream: http://a\n{text}\n")
    return show(load(folder / "site.yaml", environ, {}))


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        pytest.param(f"admin: {{token: {TOKEN}}}", {}, id="in-the-file"),
        pytest.param("admin: {token: '${ADMIN_TOKEN}'}", {"ADMIN_TOKEN": TOKEN}, id="in-the-environment"),
    ],
)
def test_the_token_is_taken_and_not_shown(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    shown = read(tmp_path, text, **environ)
    assert load(tmp_path / "site.yaml", environ, {}).config.admin.token == TOKEN
    assert 'token: "***"' in shown
    assert TOKEN not in shown


def test_no_token_is_null(tmp_path: Path) -> None:
    assert "token: null " in read(tmp_path, "")


@pytest.mark.parametrize("token", ["hidden-15-chars", "hidden and with blanks", "hidden-häuser-and-käse", "''"])
def test_a_token_that_is_refused_is_not_shown(tmp_path: Path, token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"admin: {{token: {token}}}")
    said = str(caught.value)
    assert "site.yaml:2: admin.token: expected at least 16 characters of ASCII without blanks" in said
    assert said.endswith("found a value that is not shown")
