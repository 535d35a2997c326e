"""How does a test play both the client and the origin of a proxy, byte by byte? Plain sockets, one script."""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.system.browser import TIMEOUT
from tests.system.processes import Process

MIB = 1024 * 1024
QUIET = 0.5
"""Seconds without progress after which a sender counts as held back; more only makes the test slower."""


class Wire:
    """One end of a connection, with what has been read and not been asked for yet."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self._read = b""
        self.head = b""
        """The head that was read last."""

    def send(self, *data: bytes) -> None:
        """Send bytes."""
        for piece in data:
            self.sock.sendall(piece)

    def until(self, mark: bytes) -> bytes:
        """Read up to and with these bytes; EOFError when they do not come."""
        while (end := self._read.find(mark)) < 0:
            self._more()
        return self._take(end + len(mark))

    def read(self, size: int) -> bytes:
        """Read so many bytes; EOFError when they do not come."""
        while len(self._read) < size:
            self._more()
        return self._take(size)

    def read_head(self) -> bytes:
        """Read a head, with its empty line."""
        self.head = self.until(b"\r\n\r\n")
        return self.head

    def rest(self) -> bytes:
        """Read to the end of what the other side says; ConnectionResetError where it does not end but is reset."""
        while data := self.sock.recv(65536):
            self._read += data
        return self._take(len(self._read))

    def response(self) -> tuple[int, bytes]:
        """Read a response with a Content-Length, or without a body; return its status and its body."""
        head = self.read_head()
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        return int(head[9:12]), self.read(int(length[1])) if length else b""

    def is_ended(self) -> bool:
        """Read to the end, and tell whether nothing more was said; an end may be a reset too."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def push(self, size: int, piece: bytes = b"x" * 65536) -> int:
        """Send so many bytes, as far as they are taken; return how many were."""
        self.sock.setblocking(False)
        sent = 0
        while sent < size and select.select([], [self.sock], [], QUIET)[1]:
            sent += self.sock.send(piece[: size - sent])
        self.sock.settimeout(TIMEOUT)
        return sent

    def drain(self, sender: Wire, sent: int, size: int) -> int:
        """Read a body of this size while the sender, who has sent some of it, sends the rest; return what came."""
        read = len(self._take(len(self._read)))
        while read < size:
            if sent < size and select.select([], [sender.sock], [], 0)[1]:
                sent += sender.push(min(MIB, size - sent))
            data = self.sock.recv(MIB)
            if not data:
                break
            read += len(data)
        return read

    def end(self) -> None:
        """Say no more."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Be gone at once."""
        if self.sock.fileno() >= 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Be gone."""
        self.sock.close()

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"only this came: {self._read!r}")
        self._read += data

    def _take(self, size: int) -> bytes:
        data, self._read = self._read[:size], self._read[size:]
        return data


class Script:
    """A proxy between a client and an origin that the test both plays."""

    def __init__(self, directory: Path, settings: dict[str, Any], listener: socket.socket, url: str = "") -> None:
        listener.settimeout(TIMEOUT)
        self.listener = listener
        self._wires: list[Wire] = []
        upstream = settings.pop("upstream", {})
        upstream["url"] = url or f"http://127.0.0.1:{listener.getsockname()[1]}"
        whole = {"listen": "127.0.0.1:0", "admin": {"listen": "off"}, **settings, "upstream": upstream}
        self.proxy = run_proxy(directory, whole)
        self.port = tcp_port(self.proxy)

    def client(self, *data: bytes, receive: int = 0) -> Wire:
        """Connect to the proxy, and send it these bytes; ``receive`` bounds what waits to be read."""
        sock = socket.socket()
        wire = self._keep(Wire(sock))
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.connect(("127.0.0.1", self.port))
        wire.send(*data)
        return wire

    def accept(self, target: bytes) -> Wire:
        """Take the connection over which this target is asked for; it has read the request's head.

        What an earlier test has left behind is closed.
        """
        while True:
            wire = self._keep(Wire(self.listener.accept()[0]))
            try:
                if wire.read_head().split(b" ")[1] == target:
                    return wire
            except (EOFError, ConnectionResetError):
                pass
            wire.close()

    def exchange(self, target: bytes, *response: bytes) -> tuple[Wire, Wire]:
        """Ask for a target with GET and have the origin answer; return both ends."""
        client = self.client(get(target))
        origin = self.accept(target)
        origin.send(*response)
        return client, origin

    def _keep(self, wire: Wire) -> Wire:
        self._wires.append(wire)
        return wire

    def hang_up(self) -> None:
        """End every connection of a test, with a reset: an end alone would be a client that still waits."""
        for wire in self._wires:
            wire.reset()
        self._wires.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.hang_up()
        self.proxy.stop()
        self.listener.close()
        assert "Traceback" not in self.proxy.output()


def run_proxy(directory: Path, settings: dict[str, Any]) -> Process:
    """Start a proxy with these settings, and wait until it is ready."""
    file = directory / f"sitecache-{len(list(directory.iterdir()))}.yaml"
    file.write_text(json.dumps(settings))
    process = Process("sitecache", [sys.executable, "-m", "proxy", "serve", "--config", str(file)])
    try:
        process.wait_for(r"^sitecache: ready")
    except BaseException:
        process.stop()
        raise
    return process


def tcp_port(proxy: Process) -> int:
    """Return the port of a proxy's first TCP listener."""
    return int(proxy.wait_for(r"^sitecache: listening on 127\.0\.0\.1:(\d+)$")[1])


def listening(backlog: int = 128) -> socket.socket:
    """Return a socket that an origin listens on."""
    return socket.create_server(("127.0.0.1", 0), backlog=backlog)


def get(target: bytes, *lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """Return a GET request."""
    return request(b"GET", target, *lines, version=version)


def request(method: bytes, target: bytes, *lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """Return the head of a request."""
    fields = b"".join(line + b"\r\n" for line in (b"Host: site.test", *lines))
    return b"%b %b %b\r\n%b\r\n" % (method, target, version, fields)


def response(*lines: bytes, status: bytes = b"200 OK", body: bytes | None = None) -> bytes:
    """Return a response; with a body, its Content-Length is added."""
    length = () if body is None else (b"Content-Length: %d" % len(body),)
    fields = b"".join(line + b"\r\n" for line in (*lines, *length))
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, fields, body or b"")


def lines_of(head: bytes) -> list[bytes]:
    """Return the field lines of a head."""
    return head.split(b"\r\n")[1:-2]
