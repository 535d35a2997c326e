"""How is a purge that a client asks for carried out and answered?"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Protocol, assert_never

from proxy.downstream.purge_dialects import METHODS, SHOWING, Door, Refresh, Refused
from proxy.exchange.background import Tasks, Work, guarded
from proxy.exchange.client import Client
from proxy.exchange.counters import Counters
from proxy.exchange.replies import Exchange, Replies
from proxy.message.fields import Fields
from proxy.message.heads import Request
from proxy.policy.asked_purges import Asked, Done
from proxy.policy.cache_status import Outcome


class Driver(Protocol):
    """What answers requests."""

    tasks: Tasks

    def handle(self, request: Request, client: Client) -> None:
        """Answer one request, now or later."""


class PublicPurges:
    """Takes the requests that purge out of all others."""

    def __init__(
        self,
        door: Door,
        driver: Driver,
        replies: Replies,
        counters: Counters,
        carry: Callable[[Asked], Awaitable[Done]],
    ) -> None:
        self._door = door
        self._driver = driver
        self._replies = replies
        self._counters = counters
        self._carry = carry

    def take(self, exchange: Exchange) -> bool:
        """Begin to carry out a purge; tell whether it is one."""
        if exchange.request.method not in METHODS:
            return False
        meaning = self._door.read(exchange.request)
        match meaning:
            case Refused(status, why, fields):
                self._counters.purges["unread", "refused"] += 1
                self._answer(exchange, status, {"status": "refused", "error": why}, fields)
            case Refresh(asked):
                self._start(exchange, partial(self._refresh, exchange, asked))
            case Asked():
                self._start(exchange, partial(self._purge, exchange, meaning))
            case never:
                assert_never(never)
        return True

    def _start(self, exchange: Exchange, work: Work) -> None:
        self._driver.tasks.start(guarded(exchange.client, work))

    async def _purge(self, exchange: Exchange, asked: Asked) -> None:
        done = await self._carry(asked)
        self._answer(exchange, done.status, done.plain(asked))

    async def _refresh(self, exchange: Exchange, asked: Asked) -> None:
        done = await self._carry(asked)
        if done.result == "failure":
            self._answer(exchange, done.status, done.plain(asked))
            return
        # The token is ours, and none of the application's business.
        fields = Fields(exchange.request.fields.without(SHOWING))
        self._driver.handle(replace(exchange.request, method=b"GET", fields=fields), exchange.client)

    def _answer(self, exchange: Exchange, status: int, told: object, fields: bytes = b"") -> None:
        body = json.dumps(told).encode() + b"\n"
        head = (
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nCache-Control: no-store\r\n%b"
        )
        self._replies.count(exchange, status, Outcome(purge=status not in (401, 403)), len(body))
        phrase = HTTPStatus(status).phrase.encode()
        exchange.client.respond(head % (status, phrase, len(body), fields), b"\r\n", body)
