"""What does the origin answer to one request?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from proxy.config.model import UpstreamConfig
from proxy.errors import UpstreamClosed, UpstreamError
from proxy.upstream.connection import Answer, Ask
from proxy.upstream.pool import Pool


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections there are."""

    opened: int
    """Made since the start."""
    connections: int
    """Open now."""
    idle: int
    """Of these, those that wait for a request."""


class Origin:
    """The origin, as one that is asked and answers."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.requests = 0
        """Asked since the start."""
        self.retries = 0
        """Of these, asked again because a reused connection had ended."""
        self.errors: dict[str, int] = {}
        """Failures by reason."""

    async def send(self, ask: Ask) -> Answer:
        """Return the final response; raise UpstreamError.

        Only what is safe to repeat goes over a connection that was used before: such a connection may end while the
        request is on its way, and then nobody knows whether the origin has acted on it.
        """
        self.requests += 1
        try:
            return await self._send(ask)
        except UpstreamError as error:
            self.errors[error.reason] = self.errors.get(error.reason, 0) + 1
            raise

    async def _send(self, ask: Ask) -> Answer:
        connection = self.pool.take() if ask.repeatable else None
        if connection is not None:
            try:
                return await connection.ask(ask)
            except UpstreamClosed:
                if connection.touched:
                    raise
                self.retries += 1
        connection = await self.pool.open()
        return await connection.ask(ask)


@dataclass(slots=True)
class _Past:
    """What was counted of origins that are no more."""

    opened: int = 0
    requests: int = 0
    retries: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, origin: Origin) -> None:
        self.opened += origin.pool.opened
        self.requests += origin.requests
        self.retries += origin.retries
        self.errors.update(origin.errors)


class Origins:
    """The origins of all sites, each made once, and what they have counted together."""

    def __init__(self, pool: Callable[[UpstreamConfig], Pool]) -> None:
        """``pool`` makes the connections to one of them."""
        self._pool = pool
        self._made: dict[UpstreamConfig, Origin] = {}
        self._past = _Past()

    def of(self, upstream: UpstreamConfig) -> Origin:
        """Return the origin with these settings."""
        if upstream not in self._made:
            self._made[upstream] = Origin(self._pool(upstream))
        origin = self._made[upstream]
        origin.pool.keeps = True
        return origin

    @property
    def pool(self) -> Connections:
        """Return how many connections there are."""
        pools = [origin.pool for origin in self._made.values()]
        return Connections(
            opened=self._past.opened + sum(pool.opened for pool in pools),
            connections=sum(pool.connections for pool in pools),
            idle=sum(pool.idle for pool in pools),
        )

    @property
    def requests(self) -> int:
        """Asked since the start."""
        return self._past.requests + sum(origin.requests for origin in self._made.values())

    @property
    def retries(self) -> int:
        """Of these, asked again because a reused connection had ended."""
        return self._past.retries + sum(origin.retries for origin in self._made.values())

    @property
    def errors(self) -> Mapping[str, int]:
        """Failures by reason."""
        errors = self._past.errors.copy()
        for origin in self._made.values():
            errors.update(origin.errors)
        return errors

    def keep(self, named: Collection[UpstreamConfig]) -> None:
        """Keep connections to these only: those to others are closed, now or when their response is whole."""
        for upstream, origin in self._made.items():
            origin.pool.keeps = upstream in named
            if not origin.pool.keeps:
                origin.pool.close()

    def forget(self) -> bool:
        """Drop those that are not kept and not in use, though not what they counted; tell whether all others are kept.

        Nobody may be about to ask them.
        """
        for upstream, origin in list(self._made.items()):
            if not origin.pool.keeps and not origin.pool.connections:
                self._past.add(self._made.pop(upstream))
        return all(origin.pool.keeps for origin in self._made.values())

    def close(self) -> None:
        """Close the connections that are idle."""
        for origin in self._made.values():
            origin.pool.close()
