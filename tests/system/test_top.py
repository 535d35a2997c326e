"""Does ``sitecache top`` follow a running proxy in a real terminal?"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.processes import PATIENCE, ROOT, admin_port
from tests.system.storing import Proxies, get, proxies


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxies]:
    with proxies(tmp_path_factory.mktemp("top")) as started:
        yield started


class Terminal:
    """A terminal with one program in it."""

    def __init__(self, descriptor: int, child: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.child = child
        self.written = b""

    def until(self, mark: bytes) -> None:
        """Read until this has been written."""
        limit = time.monotonic() + PATIENCE
        while mark not in self.written:
            assert select.select([self._descriptor], [], [], limit - time.monotonic())[0], self.written
            self.written += os.read(self._descriptor, 65536)

    def press(self, keys: bytes) -> None:
        """Write what a keyboard would."""
        os.write(self._descriptor, keys)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    """Run the command in a terminal of 40 lines."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SITECACHE_", "COLUMNS", "LINES"))}
    # What a shell starts in the background is deaf to Ctrl-C, and so is all that it starts.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "proxy", "top", *arguments]
    # In a session of its own, whose terminal this is: Ctrl-C reaches it.
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, child)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        os.close(ours)


def test_it_follows_what_happens_until_it_is_told_to_end(start: Proxies) -> None:
    proxy, port = start.start({})
    with terminal("--admin", f"127.0.0.1:{admin_port(proxy)}", "--every", "0.1") as top:
        top.until(b"Hit ratio")
        assert b"/page-for-top" not in top.written
        for _ in range(3):
            get(port, "/page-for-top")
        top.until(b"/page-for-top")
        top.until(b"66.7 %")
        proxy.stop()
        top.until(b"NO ANSWER")
        top.child.send_signal(signal.SIGINT)
        assert top.child.wait(PATIENCE) == 0
        # It gives the screen back as it was.
        top.until(b"\x1b[?1049l")


def test_elsewhere_it_is_one_screen(start: Proxies, tmp_path: Path) -> None:
    proxy, port = start.start({})
    get(port, "/page-for-a-file")
    command = [sys.executable, "-m", "proxy", "top", "--admin", f"127.0.0.1:{admin_port(proxy)}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.count("Hit ratio") == 1
    assert "/page-for-a-file" in done.stdout
    assert "\x1b" not in done.stdout
