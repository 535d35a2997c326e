"""What does one site consist of: its origin, its routes, where pages are stored, and by which rules?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from proxy.errors import UpstreamError
from proxy.exchange.background import Asking
from proxy.exchange.counters import Hits
from proxy.exchange.searches import Searches
from proxy.message.fields import Fields
from proxy.message.heads import Request
from proxy.policy.key import PrimaryKey, counted_fields, primary_key
from proxy.policy.patching import Patches
from proxy.policy.query import QueryRules
from proxy.policy.routing import Hosts, HostTable, Match, taken
from proxy.policy.rules import Rules
from proxy.policy.search import NO_VARY_SEARCH, SearchVariance, search_variance
from proxy.policy.stored import StoredResponse
from proxy.storage.responses import Responses
from proxy.upstream.connection import Answer, Ask

NONE = "-"
"""In logs and metrics, the site of the hosts that no site names, and the route of requests that take none."""


class Origin(Protocol):
    """Whoever answers what is not stored."""

    @property
    def is_at_hand(self) -> bool:
        """Tell whether a request could be sent now, without waiting for a connection."""

    def begin(self, ask: Ask, told: Callable[[Answer | UpstreamError | None], None]) -> Asking | None:
        """Send now, if that can be; ``told`` is called later, with None where it is to be asked ``again``."""

    async def send(self, ask: Ask) -> Answer:
        """Return the final response; raise UpstreamError."""

    async def again(self, ask: Ask) -> Answer:
        """Return the final response to what was begun, and ended without one; raise UpstreamError."""


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
    searches: Searches | None = None
    """What is known of No-Vary-Search, where it counts; ``query`` is not None then."""
    patches: Patches | None = None
    """What is written into each response of the origin, before anything is decided about it."""
    bypass: bool = False
    """Nothing is looked up, and nothing stored."""
    is_ours: bool = True
    """Else the request is for a host that is not, and goes nowhere."""
    hits: Hits = field(default_factory=lambda: defaultdict(int), init=False, compare=False)
    """Plain hits, each counted here by whoever answers it."""

    def key(self, request: Request) -> PrimaryKey:
        """Return the key of the resource that a request of this route is for."""
        known = None if self.searches is None else self.searches.find(self._path(request))
        return self._key(request, known)

    def known_variance(self, request: Request) -> SearchVariance | None:
        """Return what is known of the queries of a request's path; None where all of them differ."""
        return None if self.searches is None else self.searches.find(self._path(request))

    def plain(self, request: Request) -> Request:
        """Return a request without the fields by which its path has several keys."""
        index, fields = request.fields.index, self.rules.distinctions.fields
        if not request.trusted and fields.counted.isdisjoint(index):
            return request
        varying = {name for name, _ in counted_fields(request, fields)[1]}
        return replace(request, fields=Fields(request.fields.without(varying))) if varying else request

    def plain_key(self, request: Request) -> PrimaryKey:
        """Return the key of what says nothing of its query."""
        return self._key(request, None)

    def place(self, request: Request, stored: StoredResponse) -> PrimaryKey:
        """Return the key that a response itself says it is for, and remember what it says."""
        said = search_variance(stored.fields().get(NO_VARY_SEARCH))
        if self.searches is not None and (said is not None or stored.status == 200):
            self.searches.learn(self._path(request), said)
        return self._key(request, said)

    def shared_as(self, looked_for: PrimaryKey, request: Request, stored: StoredResponse) -> PrimaryKey:
        """Return the key by which others may have a response that was looked for under another.

        Who looked for the same URL may; who looked for one that is said to be the same only if the response says so.
        """
        own = self._key(request, search_variance(stored.fields().get(NO_VARY_SEARCH)))
        return looked_for if looked_for == self._key(request, None) else own

    def _path(self, request: Request) -> PrimaryKey:
        path = replace(request, target=request.target.partition(b"?")[0])
        return primary_key(self.scope, path, self.rules.distinctions.fields)

    def _key(self, request: Request, variance: SearchVariance | None) -> PrimaryKey:
        if self.query is not None:
            request = _keyed(request, self.query)
        if variance is not None:
            request = replace(request, target=variance.keyed(request.target))
        return primary_key(self.scope, request, self.rules.distinctions.fields)

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
    parameters: bool = True
    """Routes are taken by paths without what follows a ``;`` in a segment, too."""

    def route(self, request: Request) -> Route:
        """Return the route that a request takes; where servers read its path in several ways, one that holds for all.

        That is a route which stores nothing, and where there is none but they take several, one of these that does not
        either: what is stored by the rules of one could be what the operator wrote the other for.
        """
        if not self.routes:
            return self.otherwise
        found = taken(self.routes, self.otherwise, request, parameters=self.parameters)
        if len(found) == 1:
            return found[0]
        bypassing = [route for route in found if route.bypass]
        if bypassing:
            return next((route for route in bypassing if route.patches is not None), bypassing[0])
        return replace(found[-1] if found else self.otherwise, bypass=True)

    @property
    def storages(self) -> tuple[Responses, ...]:
        """Everywhere that its pages are stored."""
        return tuple({id(route.responses): route.responses for route in self.every}.values())

    @property
    def every(self) -> tuple[Route, ...]:
        """All of its routes, in order."""
        return (*(route for _, route in self.routes), self.otherwise)


class Sites:
    """Every site there is."""

    def __init__(self, named: Sequence[tuple[str, Site]], otherwise: Site | None, allowed: Hosts | None = None) -> None:
        """``named`` has the patterns of hosts with their sites; ``otherwise`` is the site of all others, if any."""
        site = otherwise or named[0][1]
        self._nowhere = replace(site.otherwise, site=NONE, name=NONE, bypass=True, is_ours=False)
        self._nobody = Site((), self._nowhere)
        sites = {id(one): one for one in (*(one for _, one in named), site)}.values()
        self.routes = tuple(route for one in sites for route in one.every)
        """Every route there is."""
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
