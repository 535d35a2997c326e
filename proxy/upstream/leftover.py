"""Bytes of a connection that the kernel holds and the event loop has not read, or reads no more."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios

_PIECE = 64 * 1024


def has_unread(transport: asyncio.Transport) -> bool:
    """Tell whether bytes have come that the loop has not read yet."""
    descriptor = _descriptor(transport)
    if descriptor < 0:
        return False
    held = bytearray(4)
    fcntl.ioctl(descriptor, termios.FIONREAD, held)
    return any(held)


def left_over(transport: asyncio.Transport) -> bytes:
    """Return what came before the peer's reset and was not read; nothing where it is enciphered.

    Linux keeps it. An event loop that fails to write does not look: it has given the connection up.
    """
    descriptor = _descriptor(transport)
    pieces: list[bytes] = []
    if descriptor >= 0 and transport.get_extra_info("sslcontext") is None:
        try:
            while piece := os.read(descriptor, _PIECE):
                pieces.append(piece)
        except OSError:
            # All of it has been read, and what is next is the reset.
            pass
    return b"".join(pieces)


def _descriptor(transport: asyncio.Transport) -> int:
    sock = transport.get_extra_info("socket")
    return -1 if sock is None else int(sock.fileno())
