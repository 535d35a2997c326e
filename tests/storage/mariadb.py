"""A real MariaDB for the tests, in a directory of its own, as a user that is not root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from tests.storage.postgresql import PASSWORD, URL_PASSWORD, as_nobody
from tests.storage.servers import Server, free_port

#: Nothing of this machine's own MariaDB is read, and nothing but a port of loopback is listened on.
_MAKE = ("--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db")
_RUN = ("--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0")
_SMALL = ("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--max-connections=200")


class MariaDB(Server):
    """It accepts connections before it is ready, and lets them wait."""

    def _accepts(self) -> bool:
        ping = ["mariadb-admin", *_login(self), "--connect-timeout=2", "ping"]
        return super()._accepts() and subprocess.run(ping, capture_output=True, check=False).returncode == 0


def client(server: Server, database: str = "site") -> list[str]:
    """Return the command of the ``mariadb`` client, logged in as the user ``cache``."""
    return ["mariadb", *_login(server), database]


def _login(server: Server) -> list[str]:
    where = ["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", str(server.port)]
    return [*where, "-u", "cache", f"-p{PASSWORD}"]


def ask(server: Server, sql: str) -> list[list[str]]:
    """Return the rows of a query, each a list of texts."""
    done = subprocess.run([*client(server), "-N", "-B", "-e", sql], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@contextmanager
def mariadb(*options: str) -> Iterator[Server]:
    """Start a server with the user ``cache`` and the database ``site``; it listens on a port of loopback only."""
    directory = Path(mkdtemp(prefix="mariadb", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, "nobody", "nogroup")
        data = directory / "data"
        _run(["mariadb-install-db", *_MAKE, f"--datadir={data}"], directory)
        users = directory / "users.sql"
        grant = "GRANT ALL ON *.* TO cache@'%';\nCREATE DATABASE site;\n"
        users.write_text(f"CREATE USER cache@'%' IDENTIFIED BY '{PASSWORD}';\n{grant}")
        port = free_port()
        where = (f"--datadir={data}", f"--port={port}", f"--socket={directory}/socket", f"--tmpdir={directory}")
        # The file of commands is for the first start only.
        command = as_nobody("mariadbd", *_RUN, *where, *_SMALL, *options)
        server = MariaDB([*command, f"--init-file={users}"], ("127.0.0.1", port), directory)
        try:
            server.start(within=60)
            server.command = command
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(as_nobody(*command), cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def address(server: Server, database: str = "site", password: str = URL_PASSWORD) -> str:
    """Return the URL of a database."""
    return f"mysql://cache:{password}@127.0.0.1:{server.port}/{database}"
