"""What does the admin listener of a running proxy say?"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from proxy.config.addresses import Tcp, Unix, parse_listener
from proxy.config.load import load
from proxy.config.model import AdminConfig
from proxy.errors import SitecacheError

_PATIENCE = 15.0


class AdminError(SitecacheError):
    """A running proxy could not be asked, or refused to answer."""


class _Connection(http.client.HTTPConnection):
    """A connection to a listener, TCP or Unix."""

    def __init__(self, address: Tcp | Unix) -> None:
        host, port = (address.host or "localhost", address.port) if isinstance(address, Tcp) else ("localhost", None)
        super().__init__(host, port, timeout=_PATIENCE)
        self._address = address

    def connect(self) -> None:
        """Connect."""
        if isinstance(self._address, Tcp):
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(self._address.path)


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin listener of one proxy."""

    address: str
    """As in ``admin.listen``."""
    token: str | None = None

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON of a page; AdminError is one line that says why there is none."""
        return self._ask("GET", f"{path}?{urlencode(query, doseq=True)}", None, (200,))

    def post(self, path: str, value: object) -> Any:
        """Return the JSON that is answered to this one, also where it is that a part of it failed."""
        return self._ask("POST", path, json.dumps(value).encode(), (200, 503))

    def _ask(self, method: str, target: str, body: bytes | None, good: Sequence[int]) -> Any:
        try:
            address = parse_listener(self.address.removeprefix("http://").rstrip("/"))
        except ValueError as error:
            raise AdminError(f"--admin: {error}") from error
        connection = _Connection(address)
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            return _read(response.status, response.read(), good)
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            hint = "give its admin listener with --admin, or its configuration with -c"
            raise AdminError(f"no proxy answers at {self.address} ({why}): {hint}") from error
        finally:
            connection.close()


def _read(status: int, body: bytes, good: Sequence[int]) -> Any:
    if status == 401:
        raise AdminError("the admin listener wants its token: give it with --token, or its configuration with -c")
    try:
        told = json.loads(body)
    except ValueError as error:
        said = body[:200].decode("utf-8", "replace").strip()
        raise AdminError(f"this is no answer of sitecache: {status} {said}") from error
    if status not in good:
        raise AdminError(str(told.get("error", told)) if isinstance(told, dict) else f"status {status}")
    return told


def admin_of(file: str | None, address: str | None, token: str | None) -> Admin:
    """Return the listener that the options of a command name; ConfigError or ValueError where that is none."""
    settings = AdminConfig() if file is None else load(Path(file), os.environ, {}).config.admin
    if address is None and settings.listen == "off":
        raise ValueError("the configuration has no admin listener (admin: off), so its proxy cannot be asked")
    return Admin(address or settings.listen, token or settings.token)
