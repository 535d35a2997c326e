"""What does the origin answer to one request?"""

from __future__ import annotations

from proxy.errors import UpstreamClosed, UpstreamError
from proxy.upstream.connection import Answer, Ask
from proxy.upstream.pool import Pool


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
