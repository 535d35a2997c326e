"""Which site and which route does a request take?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.config.model import RouteConfig
from proxy.message.heads import Request
from proxy.policy.globs import any_of
from proxy.policy.spellings import decoded, is_plain, readings

_T = TypeVar("_T")

_PORT = re.compile(rb":[0-9]*\Z")


def host_name(host: bytes) -> bytes:
    """Return the host of a request without its port and without the dot that may end it."""
    return _PORT.sub(b"", host).removesuffix(b".")


class HostTable(Generic[_T]):
    """What belongs to each host: its exact name first, then the longest ``.example.org`` that covers it, then ``*``."""

    __slots__ = ("_below", "_exact", "_otherwise")

    def __init__(self, named: Iterable[tuple[str, _T]], otherwise: _T) -> None:
        """``named`` has patterns of ALLOWED_HOSTS in the spelling that the configuration keeps."""
        self._exact: dict[bytes, _T] = {}
        self._below: dict[bytes, _T] = {}
        self._otherwise = otherwise
        for pattern, value in named:
            name = pattern.encode("ascii")
            if pattern == "*":
                self._otherwise = value
            elif pattern.startswith("."):
                self._below[name] = value
            else:
                self._exact[name] = value

    def find(self, host: bytes) -> _T:
        """Return what belongs to the host of a request."""
        name = host_name(host)
        if name in self._exact:
            return self._exact[name]
        if self._below and name:
            below = b"." + name
            while below:
                if below in self._below:
                    return self._below[below]
                _, dot, rest = below[1:].partition(b".")
                below = dot + rest
        return self._otherwise


class Hosts:
    """A set of hosts, as ALLOWED_HOSTS writes it."""

    __slots__ = ("_table", "every")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._table = HostTable(((pattern, True) for pattern in patterns), otherwise=False)
        self.every = "*" in patterns
        """No host is outside of it."""

    def __contains__(self, host: bytes) -> bool:
        return self.every or self._table.find(host)


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a route takes; None takes all."""

    path: re.Pattern[str] | None = None
    """Searched for in the decoded path."""
    methods: frozenset[bytes] | None = None
    hosts: Hosts | None = None

    def takes(self, request: Request, path: str) -> bool:
        """Tell whether a request with this decoded path takes the route."""
        if self.path is not None and self.path.search(path) is None:
            return False
        if self.methods is not None and request.method not in self.methods:
            return False
        return self.hosts is None or request.host in self.hosts


def match_of(route: RouteConfig) -> Match:
    """Return the requests that a route of the configuration takes."""
    path = re.compile(route.regex) if route.regex is not None else _globs(route.match) if route.match else None
    methods = frozenset(method.encode("ascii") for method in route.methods) or None
    if methods is not None and b"GET" in methods:
        # A HEAD is answered from what a GET has stored.
        methods |= {b"HEAD"}
    return Match(path, methods, Hosts(route.hosts) if route.hosts else None)


def _globs(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\A(?:{any_of(patterns)})")


def choose(routes: Sequence[tuple[Match, _T]], otherwise: _T, request: Request, path: str | None = None) -> _T:
    """Return the first route that takes the request, by its path as it was sent unless another is given."""
    if path is None:
        path = decoded_path(request.target)
    for match, route in routes:
        if match.takes(request, path):
            return route
    return otherwise


def taken(
    routes: Sequence[tuple[Match, _T]], otherwise: _T, request: Request, *, parameters: bool = True
) -> Sequence[_T]:
    """Return the routes that a request takes by each reading of its path, each once; none where there are too many."""
    path = request.target.partition(b"?")[0]
    if is_plain(path):
        return (choose(routes, otherwise, request, path.decode("utf-8", "surrogateescape")),)
    found: list[_T] = []
    for reading in readings(path, parameters=parameters) or ():
        route = choose(routes, otherwise, request, reading)
        if not any(route is one for one in found):
            found.append(route)
    return found


def decoded_path(target: bytes) -> str:
    """Return the path as an application sees it: decoded once, without the query; bytes that are no UTF-8 are kept."""
    return decoded(target.partition(b"?")[0])
