"""How does `make run` show sitecache at work? The demo site, or one's own, and the proxy before it, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST_PORT = 8080
FIRST_ADMIN_PORT = 9180


class EndedEarly(Exception):
    """A process ended before it was ready; it has said why."""


class Child:
    """A process in a session of its own, so that a Ctrl-C reaches us alone and we end it in our order."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self._forwarding: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, name: str, arguments: Sequence[str]) -> Child:
        """Run a module of ours; what it writes to standard error comes through here."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", *arguments),
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE if name == "demo" else None,
            stderr=None if name == "demo" else PIPE,
            start_new_session=True,
        )
        return cls(name, process)

    async def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line that matches, and pass on what comes after it; raise EndedEarly."""
        said = []
        stream = self.process.stdout or self.process.stderr
        assert stream is not None  # noqa: S101  one of the two is a pipe
        while line := (await stream.readline()).decode(errors="backslashreplace"):
            if matched := re.search(pattern, line):
                self._forwarding = asyncio.create_task(_forward(stream))
                return matched
            said.append(line)
        sys.stderr.write("".join(said))
        raise EndedEarly(f"{self.name} ended with exit code {await self.process.wait()}")

    async def stop(self) -> None:
        """End it and wait until it has ended."""
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        if self._forwarding is not None:
            self._forwarding.cancel()


async def _forward(stream: asyncio.StreamReader) -> None:
    while line := await stream.readline():
        sys.stderr.buffer.write(line)
        sys.stderr.flush()


def free_port(first: int) -> int:
    """Return the first port from this one on that nobody listens on."""
    for port in range(first, first + 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return 0


async def run(upstream: str | None, port: int | None, children: list[Child]) -> None:
    """Start what is asked for and say what to open; return when a signal comes, raise EndedEarly when a part ends."""
    if upstream is None:
        demo = await Child.start("demo", ["demo", "--bind", "127.0.0.1:0"])
        children.append(demo)
        upstream = (await demo.wait_for(r"^demo: ready on (\S+)"))[1]
    listen = f"127.0.0.1:{free_port(FIRST_PORT) if port is None else port}"
    admin = f"127.0.0.1:{free_port(FIRST_ADMIN_PORT)}"
    arguments = ["proxy", "serve", "--upstream", upstream, "--listen", listen, "--admin", admin, "--access-log", "text"]
    proxy = await Child.start("sitecache", arguments)
    children.append(proxy)
    await proxy.wait_for(r"^sitecache: ready")
    print(
        f"\n  Open      http://{listen}/\n"
        f"  Metrics   http://{admin}/metrics\n"
        f"  The site  {upstream} (without the cache)\n\n"
        "Every request is one line below; what the cache did is also in each response's Cache-Status field.\n"
        "Ctrl-C ends it.\n",
        flush=True,
    )
    ended, _ = await asyncio.wait(
        [asyncio.create_task(child.process.wait(), name=child.name) for child in children],
        return_when=asyncio.FIRST_COMPLETED,
    )
    raise EndedEarly(" and ".join(f"{task.get_name()} ended" for task in ended))


async def until_signal(upstream: str | None, port: int | None) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP, then end the proxy and, after it, the demo; return the exit code."""
    loop = asyncio.get_running_loop()
    children: list[Child] = []
    running = asyncio.create_task(run(upstream, port, children))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return 0
    except EndedEarly as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1
    finally:
        for child in reversed(children):
            await child.stop()
    return 0


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", metavar="URL", help="the site to put the proxy in front of, instead of the demo")
    parser.add_argument("--port", type=int, help=f"of the proxy; the first free one from {FIRST_PORT} on without this")
    options = parser.parse_args()
    sys.exit(asyncio.run(until_signal(options.upstream, options.port)))


if __name__ == "__main__":
    main()
