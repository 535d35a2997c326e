"""Which sockets do clients, or operators, connect to?"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence

from proxy.config.addresses import Tcp, Unix, parse_listener
from proxy.errors import ListenError

#: Clients who may wait to be accepted.
BACKLOG = 4096
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def open_listeners(addresses: Sequence[str]) -> list[socket.socket]:
    """Bind and listen on each address, in their order; raise ListenError, with none left open, where one cannot be."""
    opened: list[socket.socket] = []
    for address in addresses:
        try:
            opened.extend(_open(address))
        except OSError as error:
            close_listeners(opened)
            raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error
    return opened


def _open(address: str) -> list[socket.socket]:
    match parse_listener(address):
        case Unix(path):
            return [_unix(path)]
        case Tcp("", port):
            return _every(port)
        case Tcp(host, port):
            family, _, _, _, name = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return [_tcp(family, str(name[0]), port)]


def _every(port: int) -> list[socket.socket]:
    """Listen on every address of the machine, which may have none of IPv6."""
    first = _tcp(socket.AF_INET, "0.0.0.0", port)
    try:
        return [first, _tcp(socket.AF_INET6, "::", first.getsockname()[1])]
    except OSError as error:
        if error.errno in _NO_IPV6:
            return [first]
        first.close()
        raise


def _tcp(family: int, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Inherited by each accepted connection: small responses must not wait for the acknowledgement of earlier ones.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _unix(path: str) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Remove the socket that a process which is gone has left; one that somebody listens on is in use."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Whoever is too busy to take us in is there all the same.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            os.unlink(path)


def shown(listener: socket.socket) -> str:
    """Write the address of a listener as the configuration spells it."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if listener.family == socket.AF_INET6 else f"{host}:{port}"


def close_listeners(listeners: Sequence[socket.socket]) -> None:
    """Close listeners for good, and remove the Unix sockets' files; those that are closed already are passed over."""
    for listener in listeners:
        if listener.fileno() < 0:
            continue
        path = listener.getsockname() if listener.family == socket.AF_UNIX else None
        listener.close()
        if path:
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
