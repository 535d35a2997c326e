"""Whose forwarding fields count, and what is believed of them?"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from proxy.message.heads import Request
from proxy.message.hosts import canonical_host
from proxy.policy.forwarding import trusted_scheme

Networks = Sequence[IPv4Network | IPv6Network]


def is_trusted(peer: str, networks: Networks) -> bool:
    """Tell whether an address is in one of the networks; empty, as on a Unix socket, it is in none."""
    if not networks or not peer:
        return False
    address = ip_address(peer.partition("%")[0])
    return any(address in network for network in networks)


def believe(request: Request) -> None:
    """Take the scheme from a trusted proxy in front of us."""
    scheme = trusted_scheme(request.fields)
    if scheme is not None:
        request.scheme = scheme
        request.host = canonical_host(request.fields.get(b"host") or b"", scheme)
