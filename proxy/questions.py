"""What does a worker answer to what its parent asks on behalf of operators?"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from proxy.config.model import Config
from proxy.downstream.pretended import Asked, pretend
from proxy.errors import RequestError
from proxy.message.heads import Request
from proxy.ops.explain import EXPLAIN, explain
from proxy.purging import PURGE, purge_here
from proxy.worker import Worker, clock

_LONGEST = 512 * 1024

Question = Mapping[str, Any]
Handler = Callable[[Worker, Question], Awaitable[dict[str, Any]]]


async def _explain(worker: Worker, question: Question) -> dict[str, Any]:
    asked = Asked(question["url"], question["method"], question["fields"], question["peer"])
    try:
        request = _pretended(asked, worker.config)
    except RequestError as error:
        return {"refused": error.status, "error": f"such a request is refused with {error.status}: {error.why}"}
    return await explain(worker.sites, worker.last, request, clock())


def _pretended(asked: Asked, config: Config) -> Request:
    return pretend(asked, config.limits, config.trusted_proxies, config.upgrades)


_HANDLERS: Mapping[str, Handler] = {EXPLAIN: _explain, PURGE: purge_here}


def answering(worker: Worker) -> Callable[[bytes], Awaitable[bytes]]:
    """Return what answers the questions to a worker: JSON in, one line of JSON out. It never raises."""

    async def answer(question: bytes) -> bytes:
        try:
            asked = json.loads(question)
            told = json.dumps(await _HANDLERS[asked["ask"]](worker, asked)).encode()
        except Exception as error:  # noqa: BLE001  whatever it was: the worker goes on serving
            told = json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()
        return told if len(told) <= _LONGEST else json.dumps({"error": "the answer is too long"}).encode()

    return answer
