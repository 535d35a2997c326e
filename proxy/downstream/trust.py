"""Whose forwarding fields count, and what is believed of them?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from proxy.config.addresses import UNIX_PEERS
from proxy.errors import RequestError
from proxy.message.heads import Request
from proxy.message.hosts import canonical_host
from proxy.policy.forwarded import scheme_said

Networks = Sequence[IPv4Network | IPv6Network | str]
"""Where peers may be; ``unix`` is whoever comes over a Unix socket."""


def networks_of(names: Iterable[str]) -> Networks:
    """Read what the configuration has checked."""
    return tuple(name if name == UNIX_PEERS else ip_network(name) for name in names)


def is_trusted(peer: str, networks: Networks) -> bool:
    """Tell whether an address is in one of the networks; it is empty on a Unix socket."""
    if not networks:
        return False
    if not peer:
        return UNIX_PEERS in networks
    address = ip_address(peer.partition("%")[0])
    return any(address in network for network in networks if not isinstance(network, str))


def believe(request: Request) -> None:
    """Take the scheme from a trusted proxy in front of us; RequestError where the target contradicts it.

    Of a target with a scheme of its own, the proxy's word is what counts (RFC 9112 §3.3), save that nobody is told of
    https who did not come by it.
    """
    scheme = scheme_said(request.fields)
    if request.scheme == b"https" != scheme:
        raise RequestError(400, "https in the target of a request that came by http")
    if scheme is not None:
        request.scheme = scheme
        request.host = canonical_host(request.fields.get(b"host") or b"", scheme)
