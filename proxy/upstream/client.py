"""What does the origin answer to one request?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

from proxy.config.addresses import parse_origin
from proxy.config.model import UpstreamConfig
from proxy.errors import RequestBodyLost, UpstreamClosed, UpstreamError
from proxy.upstream.connection import Answer, Ask, UpstreamConnection
from proxy.upstream.pool import Pool

#: Failures in a row after which an origin counts as failing.
_FAILING_AFTER = 3


@dataclass(slots=True)
class Asked:
    """What has been asked of an origin, or of several under one address, and what became of it."""

    requests: int = 0
    """Asked since the start."""
    retries: int = 0
    """Of these, asked again because a reused connection had ended, or held bytes of no response."""
    answers: Counter[int] = field(default_factory=Counter)
    """By the class of their status: 2 for 200 to 299."""
    errors: Counter[str] = field(default_factory=Counter)
    """Requests without a usable answer, by reason."""
    opened: int = 0
    """Connections made."""
    connections: int = 0
    """Connections that are open now."""
    idle: int = 0
    """Of these, those that wait for a request."""
    is_failing: bool = False

    def add(self, origin: Origin) -> None:
        """Add what one origin has counted."""
        self.requests += origin.requests
        self.retries += origin.retries
        self.answers.update(origin.answers)
        self.errors.update(origin.errors)
        self.opened += origin.pool.opened

    def add_now(self, origin: Origin) -> None:
        """Add how it is now."""
        self.connections += origin.pool.connections
        self.idle += origin.pool.idle
        self.is_failing |= origin.is_failing


class Origin:
    """The origin, as one that is asked and answers."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.requests = 0
        """Asked since the start."""
        self.retries = 0
        """Of these, asked again because a reused connection had ended, or held bytes of no response."""
        self.answers: Counter[int] = Counter()
        """By the class of their status: 2 for 200 to 299."""
        self.errors: Counter[str] = Counter()
        """Failures by reason."""
        self._failed_in_a_row = 0

    @property
    def is_failing(self) -> bool:
        """Tell whether none of the last requests got a usable answer."""
        return self._failed_in_a_row >= _FAILING_AFTER

    @property
    def is_at_hand(self) -> bool:
        """Tell whether a connection waits for a request."""
        return self.pool.idle > 0

    def begin(self, ask: Ask, told: Callable[[Answer | UpstreamError | None], None]) -> UpstreamConnection | None:
        """Ask over a connection that waits for a request, and return it; None where the request needs another.

        ``told`` is called later with what becomes of it; with None where it is to be asked ``again``.
        """
        connection = self.pool.take() if ask.repeatable else None
        if connection is not None:
            self.requests += 1
            connection.begin(ask, partial(self._told, connection, told))
        return connection

    def _told(
        self,
        connection: UpstreamConnection,
        told: Callable[[Answer | UpstreamError | None], None],
        result: Answer | UpstreamError,
    ) -> None:
        if isinstance(result, Answer):
            self._answered(result)
            told(result)
        elif _has_said_nothing(connection, result):
            told(None)
        else:
            self._failed(result)
            told(result)

    async def send(self, ask: Ask) -> Answer:
        """Return the final response; raise UpstreamError.

        Only what is safe to repeat goes over a connection that was used before: such a connection may end while the
        request is on its way, and then nobody knows whether the origin has acted on it.
        """
        self.requests += 1
        connection = self.pool.take() if ask.repeatable else None
        if connection is None:
            return await self._send_afresh(ask)
        try:
            answer = await connection.ask(ask)
        except UpstreamError as error:
            if _has_said_nothing(connection, error):
                return await self.again(ask)
            self._failed(error)
            raise
        self._answered(answer)
        return answer

    async def again(self, ask: Ask) -> Answer:
        """Ask over a fresh connection what one that was used before gave no answer to; raise UpstreamError."""
        self.retries += 1
        return await self._send_afresh(ask)

    async def _send_afresh(self, ask: Ask) -> Answer:
        try:
            connection = await self.pool.open()
            answer = await connection.ask(ask)
        except UpstreamError as error:
            self._failed(error)
            raise
        self._answered(answer)
        return answer

    def _answered(self, answer: Answer) -> None:
        self.answers[answer.response.status // 100] += 1
        self._failed_in_a_row = 0

    def _failed(self, error: UpstreamError) -> None:
        self.errors[error.reason] += 1
        # A client that went away says nothing of the origin.
        self._failed_in_a_row += not isinstance(error, RequestBodyLost)


def _has_said_nothing(connection: UpstreamConnection, error: UpstreamError) -> bool:
    """Tell whether what failed on a connection that was used before says nothing of the request."""
    return connection.strayed or (isinstance(error, UpstreamClosed) and not connection.touched)


class Origins:
    """The origins of all sites, each made once, and what they have counted together."""

    def __init__(self, pool: Callable[[UpstreamConfig], Pool]) -> None:
        """``pool`` makes the connections to one of them."""
        self._pool = pool
        self._made: dict[UpstreamConfig, Origin] = {}
        self._past: dict[str, Asked] = {}

    def of(self, upstream: UpstreamConfig) -> Origin:
        """Return the origin with these settings."""
        if upstream not in self._made:
            self._made[upstream] = Origin(self._pool(upstream))
        origin = self._made[upstream]
        origin.pool.keeps = True
        return origin

    def asked(self) -> Mapping[str, Asked]:
        """Return what was asked of each, by address, those that are no more included."""
        found = {address: deepcopy(past) for address, past in self._past.items()}
        for upstream, origin in self._made.items():
            asked = found.setdefault(_address(upstream), Asked())
            asked.add(origin)
            asked.add_now(origin)
        return found

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
                self._past.setdefault(_address(upstream), Asked()).add(self._made.pop(upstream))
        return all(origin.pool.keeps for origin in self._made.values())

    def close(self) -> None:
        """Close the connections that are idle."""
        for origin in self._made.values():
            origin.pool.close()


def _address(upstream: UpstreamConfig) -> str:
    return str(parse_origin(upstream.url).address)
