"""What does a worker answer to what its parent asks on behalf of operators?"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from proxy.config.model import Config
from proxy.config.units import UnixTime
from proxy.downstream.browsers import as_browsers, as_given, assumed
from proxy.downstream.pretended import Asked, pretend
from proxy.errors import RequestError
from proxy.exchange.last_fetch import LastFetches
from proxy.exchange.site import Sites
from proxy.ops.explain import EXPLAIN, explain
from proxy.policy.decisions import ForwardReason
from proxy.purging import PURGE, purge_here
from proxy.worker import Worker, clock

_LONGEST = 512 * 1024

Question = Mapping[str, Any]
Handler = Callable[[Worker, Question], Awaitable[dict[str, Any]]]


async def _explain(worker: Worker, question: Question) -> dict[str, Any]:
    asked = Asked(question["url"], question["method"], question["fields"], question["peer"])
    try:
        return await explain_as_browsers(worker, asked, clock())
    except RequestError as error:
        return {"refused": error.status, "error": f"such a request is refused with {error.status}: {error.why}"}


class Asking(Protocol):
    """What a worker has to explain by."""

    @property
    def config(self) -> Config: ...

    @property
    def sites(self) -> Sites: ...

    @property
    def last(self) -> LastFetches: ...


async def explain_as_browsers(worker: Asking, asked: Asked, now: UnixTime) -> dict[str, Any]:
    """Explain a request as a browser sends it: the likeliest of those that something stored is for.

    RequestError says why there could be no such request.
    """
    config = worker.config
    answers = []
    plain = as_given(asked)
    for likely in (*as_browsers(asked), plain):
        request = pretend(likely, config.limits, config.trusted_proxies, config.upgrades)
        told = await explain(worker.sites, worker.last, request, now)
        answers.append({**told, "assumed": assumed(asked, likely), "as_given": None})
        if told["now"]["cache"] != ForwardReason.VARY_MISS:
            break
    if likely is not plain:
        return answers[-1]
    # No browser gets what is stored; a program that sends no more than was given may.
    is_other = answers[-1]["now"]["cache"] != ForwardReason.VARY_MISS
    return {**answers[0], "as_given": answers[-1]["now"] if is_other else None}


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
