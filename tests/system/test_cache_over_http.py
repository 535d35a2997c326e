"""Does what docs/cache-api.md shows with curl work against a proxy, and is the token shown nowhere?"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.system.processes import ROOT, admin_port, start_proxy

TOKEN = "a-token-of-many-characters"
TEXT = (ROOT / "docs/cache-api.md").read_text(encoding="utf-8")
NOWHERE = "http://127.0.0.1:9"


def shown() -> list[tuple[str, str]]:
    """Return each command of the document, and what it says that it prints."""
    console = "".join(re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
    return re.findall(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", console, re.MULTILINE)


def test_what_the_document_shows_with_curl(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("admin: {token: '${ADMIN_TOKEN}'}\n")
    process, _ = start_proxy(NOWHERE, "--config", str(file), env={"ADMIN_TOKEN": TOKEN})
    try:
        script = "".join(f"{command}printf '\\0'\n" for command, _ in shown())
        script = script.replace("127.0.0.1:9180", f"127.0.0.1:{admin_port(process)}")
        environment = {**os.environ, "ADMIN_TOKEN": TOKEN}
        done = subprocess.run(["sh", "-eu"], input=script, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        printed = done.stdout.split("\0")[:-1]
        assert list(zip([command for command, _ in shown()], printed, strict=True)) == shown()
        assert len(shown()) > 15
    finally:
        assert process.stop() == 0
    assert TOKEN not in process.output()
    assert "warning" not in process.output().lower()


def test_clients_of_the_site_do_not_come_to_it(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(f"admin: {{token: {TOKEN}}}\n")
    process, port = start_proxy(NOWHERE, "--config", str(file))
    try:
        header = f"Authorization: Bearer {TOKEN}"
        ask = ["curl", "--silent", "--header", header, f"http://127.0.0.1:{port}/-/cache/default/k", "--write-out"]
        said = subprocess.run([*ask, "%{http_code}"], capture_output=True, text=True, check=True).stdout
        assert said.endswith("502"), "it is a page of the application, which is not there"
    finally:
        process.stop()


def test_without_a_token_there_is_nothing(tmp_path: Path) -> None:
    process, _ = start_proxy(NOWHERE)
    try:
        url = f"http://127.0.0.1:{admin_port(process)}/-/cache/default/k"
        ask = ["curl", "--silent", "--header", "Authorization: Bearer ", url]
        assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout.startswith("404 Not Found")
    finally:
        process.stop()
