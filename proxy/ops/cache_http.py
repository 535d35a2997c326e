"""How do programs in any language, and operators by hand, use the caches? The low-level API over HTTP, with a token.

``/-/cache/ALIAS/KEY`` is one value, ``POST`` with ``:operation`` behind it does what has no method of its own.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from aiohttp import web

from proxy.config.units import parse_seconds
from proxy.errors import StorageError
from proxy.ops.cache_values import JSON, TYPED, UnspeakableError, read, write
from proxy.storage.backends.base import InvalidCacheBackendError, InvalidCacheKey

PREFIX = "/-/cache/"

#: With one worker, the process that reads and writes the values, in threads, serves the site as well.
_MOST_BYTES = 8 * 2**20
_MISSING = object()
_ESCAPED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


class Caches(Protocol):
    """The caches by alias: what proxy.cache gives to programs."""

    def __getitem__(self, alias: str, /) -> Any: ...

    async def aclose_all(self) -> None: ...


class _Refused(Exception):
    """A request that is answered with this status and one line that says why."""

    def __init__(self, status: HTTPStatus, why: str, **headers: str) -> None:
        super().__init__(why)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class _Call:
    """What one request asks for."""

    request: web.Request
    cache: Any
    key: str

    @property
    def version(self) -> Any:
        """``version`` of the query: a number where it is one."""
        text = self.request.query.get("version")
        return int(text) if text is not None and _WHOLE.fullmatch(text) else text

    @property
    def timeout(self) -> dict[str, float | None]:
        """``timeout`` of the query, as an argument, where it is given: ``30``, ``5m`` or ``null``."""
        text = self.request.query.get("timeout")
        return {} if text is None else {"timeout": _timeout(text)}

    @property
    def delta(self) -> int:
        """``delta`` of the query, 1 unless it is given."""
        text = self.request.query.get("delta", "1")
        if not re.fullmatch(r"-?\d{1,4300}", text, re.ASCII):
            raise _Refused(HTTPStatus.BAD_REQUEST, f"delta: expected a whole number, found {text[:40]!r}")
        return int(text)

    async def value(self) -> Any:
        """Return the value that the body holds."""
        kind = self.request.content_type if "Content-Type" in self.request.headers else JSON
        if kind not in {JSON, TYPED}:
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: expected {JSON} or {TYPED}, found {kind}")
        body = bytearray()
        async for chunk in self.request.content.iter_any():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {_MOST_BYTES} bytes")
        try:
            return await asyncio.to_thread(read, bytes(body), kind)
        except ValueError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"the body is not {kind}: {error}") from None

    async def keys(self) -> list[str]:
        """Return the keys that the body lists."""
        found = await self.value()
        if not isinstance(found, list) or not all(isinstance(key, str) for key in found):
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body: expected a list of keys")
        return found

    async def answer(self, value: object) -> web.Response:
        """Return the value in the form that was asked for."""
        accepted = [part.partition(";")[0].strip() for part in self.request.headers.get("Accept", "").split(",")]
        kind = TYPED if TYPED in accepted else JSON
        try:
            body = await asyncio.to_thread(write, value, kind)
        except UnspeakableError as error:
            raise _Refused(HTTPStatus.NOT_ACCEPTABLE, str(error)) from None
        return web.Response(body=body, content_type=kind)


def add_caches(app: web.Application, caches: Caches, token: str) -> None:
    """Answer under ``/-/cache/`` for whoever shows the token in ``Authorization: Bearer``."""

    async def handle(request: web.Request) -> web.Response:
        try:
            if not _knows(request, token):
                expected = "Authorization: expected Bearer and the token of admin.token"
                raise _Refused(HTTPStatus.UNAUTHORIZED, expected, WWW_Authenticate="Bearer")
            return await _answer(request, caches)
        except _Refused as refused:
            return _line(refused.status, str(refused), refused.headers)

    async def close(_: web.Application) -> None:
        await caches.aclose_all()

    app.router.add_route("*", PREFIX + r"{rest:[\s\S]*}", handle)
    app.on_cleanup.append(close)


def _knows(request: web.Request, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    told = shown.strip().encode(errors="surrogateescape")
    return hmac.compare_digest(told, token.encode()) and scheme.lower() == "bearer"


async def _answer(request: web.Request, caches: Caches) -> web.Response:
    alias, key, operation = _target(request)
    for name in request.query:
        if name not in {"timeout", "version", "delta"}:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"{name}: expected timeout, version or delta in the query")
    table = _ON_VALUES if key is not None else _ON_CACHES
    do = table.get(operation)
    if do is None and request.method == "POST":
        known = ", ".join(f":{name[5:]}" for name in table if name.startswith("POST "))
        raise _Refused(HTTPStatus.NOT_FOUND, f"expected one of {known} at the end, found :{operation[5:]}")
    if do is None:
        allowed = ", ".join(sorted({name.partition(" ")[0] for name in table}))
        raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"expected one of {allowed}", Allow=allowed)
    try:
        return await do(_Call(request, caches[alias], key or ""))
    except InvalidCacheBackendError as error:
        raise _Refused(HTTPStatus.NOT_FOUND, str(error)) from None
    except InvalidCacheKey as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
    except StorageError as error:
        raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
    except NotImplementedError as error:
        raise _Refused(HTTPStatus.NOT_IMPLEMENTED, str(error)) from None


def _target(request: web.Request) -> tuple[str, str | None, str]:
    """Return alias, key and operation; the key as it was before it was escaped, whatever it holds."""
    path = request.raw_path.partition("?")[0]
    operation = request.method
    if not path.startswith(PREFIX) or not _ESCAPED.fullmatch(path):
        raise _Refused(HTTPStatus.BAD_REQUEST, f"expected {PREFIX}ALIAS/KEY, with %25 for each percent sign in it")
    if operation == "POST":
        path, colon, name = path.rpartition(":")
        if not colon or "/" in name:
            raise _Refused(HTTPStatus.NOT_FOUND, "expected an operation such as :add or :clear at the end")
        operation = f"POST {name}"
    alias, slash, key = path.removeprefix(PREFIX).partition("/")
    try:
        return unquote_to_bytes(alias).decode(), unquote_to_bytes(key).decode() if slash else None, operation
    except UnicodeDecodeError:
        raise _Refused(HTTPStatus.BAD_REQUEST, "expected UTF-8, escaped, in alias and key") from None


def _timeout(text: str) -> float | None:
    if text == "null":
        return None
    try:
        number = float(text)
        return number if math.isfinite(number) else parse_seconds(text)
    except ValueError:
        pass
    try:
        return parse_seconds(text)
    except ValueError:
        expected = "timeout: expected seconds, a duration such as 5m, or null"
        raise _Refused(HTTPStatus.BAD_REQUEST, f"{expected}, found {text[:40]!r}") from None


def _line(status: HTTPStatus, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=write({"error": why}, JSON), content_type=JSON, headers=headers)


def _done(status: HTTPStatus = HTTPStatus.NO_CONTENT) -> web.Response:
    return web.Response(status=status)


def _no_value() -> _Refused:
    return _Refused(HTTPStatus.NOT_FOUND, "no value under this key")


# One value.


async def _get(call: _Call) -> web.Response:
    value = await call.cache.aget(call.key, _MISSING, call.version)
    if value is _MISSING:
        raise _no_value()
    return await call.answer(value)


async def _head(call: _Call) -> web.Response:
    return _done(HTTPStatus.OK if await call.cache.ahas_key(call.key, call.version) else HTTPStatus.NOT_FOUND)


async def _put(call: _Call) -> web.Response:
    if await _set_many(call, {call.key: await call.value()}):
        raise _Refused(
            HTTPStatus.INSUFFICIENT_STORAGE, "the store does not take this value, and the former one is gone"
        )
    return _done()


async def _delete(call: _Call) -> web.Response:
    if not await call.cache.adelete(call.key, call.version):
        raise _no_value()
    return _done()


async def _add(call: _Call) -> web.Response:
    value = await call.value()
    try:
        added = await call.cache.aadd(call.key, value, version=call.version, **call.timeout)
    except TypeError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
    if not added:
        raise _Refused(HTTPStatus.CONFLICT, "there is a value under this key")
    return _done(HTTPStatus.CREATED)


async def _touch(call: _Call) -> web.Response:
    if not await call.cache.atouch(call.key, version=call.version, **call.timeout):
        raise _no_value()
    return _done()


def _counting(method: str) -> Callable[[_Call], Awaitable[web.Response]]:
    async def count(call: _Call) -> web.Response:
        try:
            return await call.answer(await getattr(call.cache, method)(call.key, call.delta, call.version))
        except (TypeError, OverflowError) as error:
            raise _Refused(HTTPStatus.CONFLICT, str(error)) from None
        except InvalidCacheKey:
            raise
        except ValueError:
            raise _no_value() from None

    return count


# Many values.


async def _get_many(call: _Call) -> web.Response:
    return await call.answer(await call.cache.aget_many(await call.keys(), call.version))


async def _set_many(call: _Call, data: dict[str, Any]) -> list[str]:
    try:
        failed: list[str] = await call.cache.aset_many(data, version=call.version, **call.timeout)
    except TypeError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
    return failed


async def _set_all(call: _Call) -> web.Response:
    data = await call.value()
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise _Refused(HTTPStatus.BAD_REQUEST, "the body: expected a mapping of keys to values")
    return await call.answer({"failed": await _set_many(call, data)})


async def _delete_many(call: _Call) -> web.Response:
    await call.cache.adelete_many(await call.keys(), call.version)
    return _done()


async def _clear(call: _Call) -> web.Response:
    await call.cache.aclear()
    return _done()


_Table = Mapping[str, Callable[[_Call], Awaitable[web.Response]]]

_ON_VALUES: _Table = {
    "GET": _get,
    "HEAD": _head,
    "PUT": _put,
    "DELETE": _delete,
    "POST add": _add,
    "POST touch": _touch,
    "POST incr": _counting("aincr"),
    "POST decr": _counting("adecr"),
    "POST incr_version": _counting("aincr_version"),
    "POST decr_version": _counting("adecr_version"),
}
_ON_CACHES: _Table = {
    "POST get_many": _get_many,
    "POST set_many": _set_all,
    "POST delete_many": _delete_many,
    "POST clear": _clear,
}
