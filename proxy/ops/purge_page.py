"""How do operators purge what is stored, on the admin listener?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from proxy.ops.admin import Page
from proxy.policy.asked_purges import Carry, PurgeError, asked_of

_LARGEST = 1024 * 1024


def purge_pages(carry: Carry) -> Sequence[Page]:
    """Return the page that takes ``POST /purge`` with JSON."""

    async def answer(request: web.Request) -> web.Response:
        try:
            asked = asked_of(await _read(request))
        except PurgeError as error:
            return _json({"status": "refused", "error": str(error)}, HTTPStatus.BAD_REQUEST)
        done = await carry(asked)
        return _json(done.plain(asked), HTTPStatus(done.status))

    return (Page("/purge", "POST: purge what is stored, by url, prefix, glob, tag, host or all", answer, "POST"),)


async def _read(request: web.Request) -> dict[str, object]:
    if (request.content_length or 0) > _LARGEST:
        raise PurgeError(f"expected {_LARGEST} bytes at most")
    try:
        values = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise PurgeError(f'expected JSON such as {{"tag": "news"}}: {error}') from error
    if not isinstance(values, dict):
        raise PurgeError('expected a JSON object such as {"tag": "news"}')
    return values


def _json(value: object, status: HTTPStatus) -> web.Response:
    return web.Response(status=status, text=json.dumps(value, indent=1) + "\n", content_type="application/json")
