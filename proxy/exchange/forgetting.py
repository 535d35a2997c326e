"""What is forgotten after a write, wherever it is stored? (RFC 9111 §4.4, RFC 9875 §3)"""

from __future__ import annotations

from proxy.config.units import UnixTime
from proxy.exchange.collapse import Flights
from proxy.exchange.site import Route, Sites
from proxy.message.heads import Request, Response
from proxy.policy.groups import group_of_path, invalidated_groups
from proxy.policy.invalidation import invalidated
from proxy.policy.key import PrimaryKey


class Forgetting:
    """Forgets what writes may have changed, in every storage of the sites."""

    def __init__(self, sites: Sites, flights: Flights) -> None:
        self._sites = sites
        self._flights = flights
        self.successor: Forgetting | None = None
        """Whoever goes by the configuration after this one."""

    def forget(self, request: Request, response: Response, now: UnixTime) -> None:
        """Forget what a successful unsafe request may have changed, also for those who go by a later configuration."""
        marked: set[tuple[int, PrimaryKey]] = set()
        for changed in invalidated(request, response, self._sites.route(request).rules.companions):
            self._forget(self._sites.route(changed), changed, now, marked)
        for group in invalidated_groups(request, response):
            for responses in self._sites.storages(request):
                responses.invalidate_group(group, now)
        if self.successor is not None:
            self.successor.forget(request, response, now)

    def _forget(self, route: Route, changed: Request, now: UnixTime, marked: set[tuple[int, PrimaryKey]]) -> None:
        """Forget what is stored for a request, and, once, what its path has of several keys."""
        changed = route.plain(changed)
        self._forget_one(route, route.key(changed), now)
        if route.searches is not None:
            self._forget_one(route, route.plain_key(changed), now)
        group = group_of_path(changed)
        if (id(route.responses), group) not in marked:
            marked.add((id(route.responses), group))
            route.responses.invalidate_group(group, now, known=route.searches is None)

    def _forget_one(self, route: Route, primary: PrimaryKey, now: UnixTime) -> None:
        self._flights.invalidate(primary, now)
        route.responses.invalidate(primary)
