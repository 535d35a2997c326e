"""How does the admin listener explain what becomes of a request? By asking every worker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web

from proxy.ops.admin import Page
from proxy.ops.explain import EXPLAIN, AskWorkers, reasons

_KNOWN = frozenset({"url", "method", "header", "from"})


def explain_pages(ask: AskWorkers) -> Sequence[Page]:
    """Return ``/explain?url=...``, with ``method``, ``header`` (several) and ``from`` beside it, and ``/reasons``."""

    async def answer(request: web.Request) -> web.Response:
        query = request.query
        unknown = sorted(set(query) - _KNOWN)
        if unknown or "url" not in query:
            return _json({"error": "expected url, and method, header or from beside it"}, HTTPStatus.BAD_REQUEST)
        question = {
            "ask": EXPLAIN,
            "url": query["url"],
            "method": query.get("method", "GET"),
            "fields": query.getall("header", []),
            "peer": query.get("from", ""),
        }
        answers = await ask(json.dumps(question).encode())
        workers = [{"worker": number, **_read(told)} for number, told in answers]
        refused = next((worker["error"] for worker in workers if worker.get("refused")), None)
        if refused is not None:
            return _json({"error": refused}, HTTPStatus.BAD_REQUEST)
        return _json({"workers": workers})

    async def words(_: web.Request) -> web.Response:
        return _json(reasons())

    return (
        Page("/explain", "?url=URL: what becomes of a request, and why?", answer),
        Page("/reasons", "what each reason means, and what to do", words),
    )


def _read(told: bytes | None) -> dict[str, Any]:
    if not told:
        return {"error": "this worker is not ready, or did not answer in time"}
    answer: dict[str, Any] = json.loads(told)
    return answer


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, text=json.dumps(value, indent=1) + "\n", content_type="application/json")
