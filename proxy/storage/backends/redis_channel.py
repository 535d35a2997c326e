"""What do others say on a channel of Redis, and is it still heard?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from proxy.config.units import Seconds
from proxy.errors import StorageError
from proxy.storage.backends.redis_servers import Server

_QUIET = Seconds(15)
"""Then the server is asked whether it is there; with no word for as long again, it is not."""


async def listen_on(
    server: Server,
    channel: str,
    heard: Callable[[bytes], None],
    begun: Callable[[], None],
    quiet: Seconds = _QUIET,
) -> None:
    """Call ``heard`` with each message; StorageError when the server is away, or says nothing any more."""
    with server.translating():
        # A client of a Cluster does not know its nodes before.
        await server.client.initialize()
        async with aclosing(server.client.pubsub()) as listening:
            await listening.subscribe(channel)
            asked = False
            while True:
                said = await listening.get_message(timeout=quiet)
                if said is not None:
                    asked = False
                    _take(said, heard, begun)
                elif asked:
                    raise StorageError(f"Redis at {server.name} says nothing")
                else:
                    asked = True
                    await listening.ping()


def _take(said: dict[str, Any], heard: Callable[[bytes], None], begun: Callable[[], None]) -> None:
    # The library subscribes again by itself when it has lost the connection for a moment.
    if said["type"] == "subscribe":
        begun()
    elif said["type"] == "message":
        heard(said["data"])
