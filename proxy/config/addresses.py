"""Which place does an address in the configuration name: a TCP port or a Unix socket?"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

LISTENER = 'an address such as "127.0.0.1:8080", ":8080" or "unix:/run/site.sock"'
ORIGIN = 'a URL such as "http://127.0.0.1:8000", or "unix:/run/app.sock"'

_PORT = re.compile(r"[0-9]{1,5}")
_HOST_PORT = re.compile(r"(?:(?P<host>\[[^\]]*\]|[^:\[\]]*):)?(?P<port>[0-9]{1,5})")
_URL = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^:/?#\[\]@]*)(?::(?P<port>[0-9]{1,5}))?/?", re.IGNORECASE)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_UNIX_PATH_BYTES = 107
"""What ``sun_path`` of unix(7) holds, without its final NUL."""
UNIX_PEERS = "unix"
"""In a list of networks: whoever comes over a Unix socket, and has no address."""
_EVERY = {"": (4, 6), "0.0.0.0": (4,), "::": (6,)}
"""Hosts that stand for every address of the machine, with the IP versions they cover."""


@dataclass(frozen=True, slots=True)
class Tcp:
    """A port on ``host``; an empty host is every address of the machine, IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write the address in the one spelling that the configuration keeps."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    """A Unix socket at an absolute path."""

    path: str

    def __str__(self) -> str:
        """Write the address in the one spelling that the configuration keeps."""
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the application answers, and whether it speaks TLS there."""

    address: Tcp | Unix
    tls: bool = False

    def __str__(self) -> str:
        """Write the URL in the one spelling that the configuration keeps."""
        match self.address:
            case Tcp():
                return f"{'https' if self.tls else 'http'}://{self.address}"
            case Unix():
                return str(self.address)


def parse_listener(text: str) -> Tcp | Unix:
    """Read an address to listen on; a port alone means 127.0.0.1. ValueError says what is wrong with it."""
    if text.startswith("unix:"):
        return _unix(text)
    if "://" in text:
        raise ValueError("an address to listen on has no scheme: write host:port")
    matched = _HOST_PORT.fullmatch(text)
    if matched is None:
        raise ValueError(_why_no_listener(text))
    host = "127.0.0.1" if matched["host"] is None else _host(matched["host"])
    return Tcp(host, _port(matched["port"], least=0))


def parse_origin(text: str) -> Origin:
    """Read the URL of the application. ValueError says what is wrong with it."""
    if text.startswith("unix:"):
        return Origin(_unix(text))
    matched = _URL.fullmatch(text)
    if matched is None:
        raise ValueError(_why_no_origin(text))
    if not matched["host"]:
        raise ValueError("the host is missing")
    tls = matched["scheme"].lower() == "https"
    port = _port(matched["port"], least=1) if matched["port"] else 443 if tls else 80
    return Origin(Tcp(_host(matched["host"]), port), tls)


def is_loopback(address: Tcp | Unix) -> bool:
    """Whether only this machine can reach the address."""
    return isinstance(address, Unix) or _is_loopback_host(address.host)


def is_every(address: Tcp | Unix) -> bool:
    """Whether the address stands for every address of the machine."""
    return isinstance(address, Tcp) and address.host in _EVERY


def same_place(one: Tcp | Unix, other: Tcp | Unix) -> bool:
    """Whether both addresses certainly name one socket of this machine; port 0 is a new one each time."""
    if not (isinstance(one, Tcp) and isinstance(other, Tcp)):
        return one == other
    if one.port != other.port or not one.port:
        return False
    return one.host == other.host or _covers(one.host, other.host) or _covers(other.host, one.host)


def _covers(wide: str, narrow: str) -> bool:
    if wide in _EVERY:
        versions = _versions(narrow)
        local = narrow in _EVERY or _is_loopback_host(narrow)
        return local and not versions.isdisjoint(_EVERY[wide])
    return wide == "localhost" and narrow in {"127.0.0.1", "::1"}


def _versions(host: str) -> set[int]:
    if host in _EVERY:
        return set(_EVERY[host])
    return {4, 6} if host == "localhost" else {ipaddress.ip_address(host).version} if _is_ip(host) else set()


def _is_loopback_host(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _unix(text: str) -> Unix:
    path = text.removeprefix("unix:")
    if path.startswith("//") and path.strip("/"):
        raise ValueError(f'did you mean "unix:/{path.lstrip("/")}"?')
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError("the path of a Unix socket is absolute: unix:/run/site.sock")
    if len(path.encode("utf-8", "surrogateescape")) > _UNIX_PATH_BYTES:
        raise ValueError(f"the path of a Unix socket has at most {_UNIX_PATH_BYTES} bytes")
    return Unix(path)


def _host(text: str) -> str:
    """Read a name or an address, with its brackets if it is IPv6; the empty host stays empty."""
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise ValueError(f"{text} is not an IPv6 address") from None
    if not text:
        return text
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f'"{text}" is not a host name')
    if labels[-1].isdigit() and not _is_ip(text):
        raise ValueError(f'"{text}" is not an IPv4 address')
    return text.lower()


def _port(text: str, least: int) -> int:
    if not least <= int(text) <= 65535:
        raise ValueError(f"a port is a number from {least} to 65535")
    return int(text)


def _why_no_listener(text: str) -> str:
    if text.count(":") > 1 and not text.startswith("["):
        return "an IPv6 address stands in brackets: [::1]:8080"
    if text.startswith("/"):
        return f'did you mean "unix:{text}"?'
    _, _, port = text.rpartition(":")
    if "/" in text or not text.strip():
        return ""
    return "the port is missing" if not port or ":" not in text else "the port is not a number"


def _why_no_origin(text: str) -> str:
    scheme, found, rest = text.partition("://")
    if not found:
        likely = f"http://127.0.0.1:{text}" if _PORT.fullmatch(text) else f"http://{text}"
        return f'did you mean "unix:{text}"?' if text.startswith("/") else _suggest(likely)
    if scheme.lower() not in {"http", "https"}:
        return f'did you mean "unix:{rest}"?' if scheme == "unix" and rest.startswith("/") else ""
    if "@" in rest:
        return "it must not hold credentials"
    if any(mark in rest for mark in "/?#"):
        return "it must not hold a path or a query: each request keeps its own"
    return "the port is not a number" if ":" in rest and "[" not in rest else ""


def _suggest(likely: str) -> str:
    try:
        return f'did you mean "{parse_origin(likely)}"?' if _URL.fullmatch(likely) else ""
    except ValueError:
        return ""
