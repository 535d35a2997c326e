"""How does a test look at a page as a person does? A real Chromium without a window, over the DevTools protocol."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.system.processes import PATIENCE, Process

DESKTOP = (1280, 900)
PHONE = (360, 740)
_LOOKING = 20_000
"""Milliseconds for anything a page is waited for; only a broken one takes them."""

_COMMAND = [
    "chromium",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
]
#: Evaluated again and again until it is so, without leaving the page between.
_UNTIL = """new Promise((done, failed) => {
  const limit = performance.now() + %d;
  const look = () => {
    let found = null;
    try { found = %s; } catch (error) { console.debug(error); }
    if (found) done(found);
    else if (performance.now() > limit) failed(new Error("never so: " + document.body.innerText));
    else setTimeout(look, 20);
  };
  look();
})"""


class PageError(Exception):
    """The page, or Chromium, could not do what it was told."""


@dataclass
class Tab:
    """One page; nobody else's storage, cookies or history."""

    _socket: ClientConnection
    _session: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    problems: list[str] = field(default_factory=list)
    """What its console said that is an error or a warning, exceptions that nobody caught, and refused loads."""

    def do(self, method: str, **params: object) -> Any:
        """Send a command of the protocol; return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            told = json.loads(self._socket.recv(PATIENCE))
            if told.get("id") == number:
                if "error" in told:
                    raise PageError(f"{method}: {told['error']['message']}")
                return told["result"]
            self._note(told.get("method"), told.get("params", {}))

    def _note(self, event: str | None, said: dict[str, Any]) -> None:
        match event:
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "warning", "assert"}:
                self.problems.append(json.dumps(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in {"error", "warning"}:
                self.problems.append(json.dumps(said["entry"]))
            case _:
                pass

    def js(self, expression: str) -> Any:
        """Evaluate an expression in the page, await it, and return its value."""
        told = self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise PageError(json.dumps(told["exceptionDetails"].get("exception", told["exceptionDetails"])))
        return told["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true in the page; return its value."""
        return self.js(_UNTIL % (_LOOKING, expression))

    def open(self, url: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        """Load a page in a window of this size, for somebody who likes this colour scheme."""
        width, height = size
        small = size == PHONE
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1 + small, mobile=small
        )
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.do("Page.navigate", url=url)
        self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def press(self, key: str) -> None:
        """Press a key of the keyboard: Tab, Enter or Space."""
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        codes = {"Enter": 13, "Space": 32, "Tab": 9}
        named = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": codes[key]}
        self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.do("Input.dispatchKeyEvent", type="keyUp", **named)

    def write(self, text: str) -> None:
        """Write into what has the focus."""
        self.do("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        """Save what the whole page looks like."""
        size = self.do("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        told = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        file.write_bytes(b64decode(told["data"]))


@dataclass(frozen=True, slots=True)
class Chromium:
    """A browser that runs."""

    address: str
    """Of its DevTools, as a WebSocket."""

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        """Open a tab of its own kind: what one leaves behind, no other finds."""
        with connect(self.address, max_size=None, proxy=None) as socket:
            tab = Tab(socket)
            context = tab.do("Target.createBrowserContext")["browserContextId"]
            target = tab.do("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            # What is said from here on is said to the page.
            tab._session = tab.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for part in ("Page", "Runtime", "Log"):
                tab.do(f"{part}.enable")
            yield tab
            tab._session = ""
            tab.do("Target.disposeBrowserContext", browserContextId=context)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Run one, with a profile that goes with it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = Process("chromium", [*_COMMAND, f"--user-data-dir={profile}", "about:blank"], {"HOME": profile})
        try:
            yield Chromium(process.wait_for(r"DevTools listening on (ws://\S+)")[1])
        finally:
            process.stop()
