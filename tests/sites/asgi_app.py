"""What does an application look like that talks back? A plain ASGI one: WebSocket, event stream, upload.

Nothing in it waits for time: what should happen later happens when another request pokes its channel.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LIMIT = 20
"""Seconds until a handler that nobody pokes gives up; the proxy waits longer, so it is clear whose patience ended."""


class Channel:
    """What the requests of one test tell each other."""

    def __init__(self) -> None:
        self.pokes: asyncio.Queue[None] = asyncio.Queue()
        self.left = asyncio.Event()
        self.arrived = asyncio.Event()
        self.streams = 0
        self.received = 0
        """The size of the first part of an upload, or the code a WebSocket was closed with."""


_CHANNELS: dict[str, Channel] = defaultdict(Channel)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one connection."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _websocket(scope, receive, send)
    else:
        query = parse_qs(scope["query_string"].decode())
        channel = _CHANNELS[query.get("channel", [""])[0]]
        handler = _PAGES.get(scope["path"], _unknown)
        await handler(channel, query, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo every message; `/ws/refuse` refuses, and the text `bye` makes this side close."""
    await receive()
    if scope["path"] == "/ws/refuse":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "bye":
            await send({"type": "websocket.close", "code": 4001, "reason": "you said bye"})
            return
        said = {name: message[name] for name in ("text", "bytes") if message.get(name) is not None}
        await send({"type": "websocket.send", **said})
    if query := parse_qs(scope["query_string"].decode()):
        channel = _CHANNELS[query["channel"][0]]
        channel.received = message["code"]
        channel.left.set()


async def _events(channel: Channel, query: dict[str, list[str]], receive: Receive, send: Send) -> None:
    """One event at once, then one for each poke, until the client leaves."""
    channel.streams += 1
    headers = [(b"content-type", b"text/event-stream")]
    headers += [(b"cache-control", value.encode()) for value in query.get("cache-control", [])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await _body(send, f"data: first of stream {channel.streams}\n\n", more=True)
    leaving = asyncio.ensure_future(_disconnected(receive))
    number = 1
    while True:
        poked = asyncio.ensure_future(channel.pokes.get())
        await asyncio.wait((poked, leaving), timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if not poked.done():
            break
        number += 1
        await _body(send, f"data: event {number}\n\n", more=True)
    poked.cancel()
    if leaving.done():
        channel.left.set()
    else:
        await _body(send, "data: nobody poked\n\n", more=False)
    leaving.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _poke(channel: Channel, _query: dict[str, list[str]], _receive: Receive, send: Send) -> None:
    """Let the event stream of this channel go on by one event."""
    channel.pokes.put_nowait(None)
    await _text(send, "poked")


async def _left(channel: Channel, _query: dict[str, list[str]], _receive: Receive, send: Send) -> None:
    """Wait until the client of this channel has left, as far as the application can tell."""
    await _wait(channel, channel.left, send)


async def _arrived(channel: Channel, _query: dict[str, list[str]], _receive: Receive, send: Send) -> None:
    """Wait until the first part of this channel's upload is here."""
    await _wait(channel, channel.arrived, send)


async def _echo(channel: Channel, _query: dict[str, list[str]], receive: Receive, send: Send) -> None:
    """Take a body of any length, tell of its first part when it comes, and send all of it back in parts."""
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            channel.left.set()
            return
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
        if parts[-1] and not channel.arrived.is_set():
            channel.received = len(parts[-1])
            channel.arrived.set()
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await _body(send, "", more=False)


async def _unknown(_channel: Channel, _query: dict[str, list[str]], _receive: Receive, send: Send) -> None:
    await _text(send, "no such page", status=404)


_PAGES = {
    "/events": _events,
    "/poke": _poke,
    "/left": _left,
    "/arrived": _arrived,
    "/echo": _echo,
}


async def _wait(channel: Channel, event: asyncio.Event, send: Send) -> None:
    try:
        await asyncio.wait_for(event.wait(), LIMIT)
    except TimeoutError:
        await _text(send, "it did not happen", status=504)
    else:
        await _text(send, f"it did: {channel.received}")


async def _text(send: Send, text: str, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await _body(send, text, more=False)


async def _body(send: Send, text: str, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})
