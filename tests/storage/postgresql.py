"""A real PostgreSQL for the tests, in a directory of its own, as a user that is not root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

from tests.storage.servers import Server, free_port

PASSWORD = "a pass:word@/%"
URL_PASSWORD = quote(PASSWORD, safe="")


def programs() -> Path:
    """Return the directory of the newest PostgreSQL of this machine."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def as_nobody(*command: str | Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    given_up = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    return [*given_up, *map(str, command)]


class PostgreSQL(Server):
    """It accepts connections before it is ready, and turns them away."""

    def _accepts(self) -> bool:
        ask = [programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return super()._accepts() and subprocess.run(ask, check=False).returncode == 0


@contextmanager
def postgresql() -> Iterator[Server]:
    """Start a server with the user ``cache`` and the database ``postgres``; it listens on a port of loopback only."""
    directory = Path(mkdtemp(prefix="pg", dir="/tmp"))
    try:
        directory.chmod(0o755)
        (directory / "password").write_text(PASSWORD)
        data = directory / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(data, "nobody", "nogroup")
        initdb = [programs() / "initdb", "-D", data, "-U", "cache", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
        done = subprocess.run(
            as_nobody(*initdb, "--pwfile", directory / "password"), cwd="/", capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        port = free_port()
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200")
        server = PostgreSQL(
            as_nobody(programs() / "postgres", "-D", data, "-p", str(port), *[f"--{one}" for one in options]),
            ("127.0.0.1", port),
            directory,
        )
        server.start()
        try:
            yield server
        finally:
            if server.process is not None:
                server.process.send_signal(signal.SIGINT)
                server.process.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def address(server: Server, database: str = "postgres", password: str = URL_PASSWORD) -> str:
    """Return the URL of a database."""
    return f"postgresql://cache:{password}@127.0.0.1:{server.port}/{database}"
