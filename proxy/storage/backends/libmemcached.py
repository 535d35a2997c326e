"""Which of several servers does libmemcached pick for a key? It does not tell, and one that hangs is to stand alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5
from itertools import product

#: These change how a server is spoken to, not which.
_NO_MATTER = frozenset({
    "cas", "connect_timeout", "dead_timeout", "no_block", "receive_timeout", "retry_timeout", "send_timeout",
    "tcp_keepalive", "tcp_nodelay",
})  # fmt: skip
_DEFAULT_PORT = ":11211"
_BITS = 2**32 - 1

Pick = Callable[[str], str]


def pick_of(servers: Sequence[str], behaviors: Mapping[str, object]) -> Pick | None:
    """Return what names the server of a key; None where these behaviors, or weights, are not known here."""
    told = {name: value for name, value in behaviors.items() if name not in _NO_MATTER and value}
    if len(servers) == 1:
        return lambda _: servers[0]
    if any(server.count(":") > 1 for server in servers):
        return None
    if not told:
        return lambda key: servers[_one_at_a_time(key.encode()) % len(servers)]
    if told in ({"ketama": True}, {"distribution": "consistent"}):
        return _on_a_circle(servers, 100, lambda text: [_one_at_a_time(text)])
    if told == {"ketama_weighted": True}:
        return _on_a_circle(servers, 40, _four_words)
    return None


def _on_a_circle(servers: Sequence[str], turns: int, points: Callable[[bytes], list[int]]) -> Pick:
    """Return what picks the server of the first point from that of the key on."""
    circle = sorted(
        (point, server)
        for server, turn in product(servers, range(turns))
        for point in points(f"{_point_name(server)}-{turn}".encode())
    )

    def pick(key: str) -> str:
        at = bisect_left(circle, (points(key.encode())[0], ""))
        return circle[at % len(circle)][1]

    return pick


def _point_name(server: str) -> str:
    return f"{server}:0" if server.startswith("/") else server.removesuffix(_DEFAULT_PORT)


def _four_words(text: bytes) -> list[int]:
    digest = md5(text, usedforsecurity=False).digest()
    return [int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4)]


def _one_at_a_time(text: bytes) -> int:
    """Return Jenkins's hash as C makes it, where a byte above 127 is negative."""
    value = 0
    for byte in text:
        value = (value + (byte if byte < 128 else byte - 256)) & _BITS
        value = (value + (value << 10)) & _BITS
        value ^= value >> 6
    value = (value + (value << 3)) & _BITS
    value ^= value >> 11
    return (value + (value << 15)) & _BITS
