"""What does one site consist of: its origin, its routes, where pages are stored, and by which rules?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy.message.heads import Request
from proxy.policy.key import PrimaryKey, primary_key
from proxy.policy.patching import Patches
from proxy.policy.query import QueryRules
from proxy.policy.routing import Hosts, HostTable, Match, choose
from proxy.policy.rules import Rules
from proxy.storage.responses import Responses
from proxy.upstream.client import Origin

NONE = "-"
"""In logs and metrics, the site of the hosts that no site names, and the route of requests that take none."""


@dataclass(frozen=True, slots=True)
class Route:
    """What the exchanges that take one route share."""

    origin: Origin
    responses: Responses
    rules: Rules
    scope: bytes
    """What its keys begin with, so that two sites or routes on one storage can be kept apart."""
    site: str = NONE
    name: str = NONE
    query: QueryRules | None = None
    patches: Patches | None = None
    """What is written into each response of the origin, before anything is decided about it."""
    bypass: bool = False
    """Nothing is looked up, and nothing stored."""
    is_ours: bool = True
    """Else the request is for a host that is not, and goes nowhere."""

    def key(self, request: Request) -> PrimaryKey:
        """Return the key of the resource that a request of this route is for."""
        return primary_key(self.scope, request if self.query is None else _keyed(request, self.query))

    def asking(self, request: Request) -> Request:
        """Return the request that the origin gets."""
        if self.query is None or not self.query.upstream or self.bypass or request.method not in (b"GET", b"HEAD"):
            return request
        return _keyed(request, self.query)


def _keyed(request: Request, query: QueryRules) -> Request:
    target = query.keyed(request.target)
    return request if target == request.target else replace(request, target=target)


@dataclass(frozen=True, slots=True)
class Site:
    """Its routes, the first of which takes a request; those that none takes have the last."""

    routes: Sequence[tuple[Match, Route]]
    otherwise: Route

    def route(self, request: Request) -> Route:
        """Return the route that a request takes."""
        return choose(self.routes, self.otherwise, request) if self.routes else self.otherwise

    @property
    def storages(self) -> tuple[Responses, ...]:
        """Everywhere that its pages are stored."""
        routes = (self.otherwise, *(route for _, route in self.routes))
        return tuple({id(route.responses): route.responses for route in routes}.values())


class Sites:
    """Every site there is."""

    def __init__(self, named: Sequence[tuple[str, Site]], otherwise: Site | None, allowed: Hosts | None = None) -> None:
        """``named`` has the patterns of hosts with their sites; ``otherwise`` is the site of all others, if any."""
        site = otherwise or named[0][1]
        self._nowhere = replace(site.otherwise, site=NONE, name=NONE, bypass=True, is_ours=False)
        self._nobody = Site((), self._nowhere)
        self._table = HostTable(named, otherwise or self._nobody)
        self._allowed = allowed or Hosts(("*",))
        simple = not named and otherwise is not None and not otherwise.routes and self._allowed.every
        self.only = site.otherwise if simple else None
        """The route that every request takes, where there is one."""

    @classmethod
    def of(cls, route: Route) -> Sites:
        """Return the one site that has one route."""
        return cls((), Site((), route))

    def route(self, request: Request) -> Route:
        """Return the route that a request takes; one that is not ours for a host that is not."""
        if request.host not in self._allowed:
            return self._nowhere
        return self._table.find(request.host).route(request)

    def storages(self, request: Request) -> tuple[Responses, ...]:
        """Return everywhere that pages of the request's host are stored."""
        return self._table.find(request.host).storages
