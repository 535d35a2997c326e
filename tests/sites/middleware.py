"""Django's own UpdateCacheMiddleware and FetchFromCacheMiddleware, in front of views that answer what they are told.

Reads a JSON list of inputs from standard input, and writes for each what became of its last request. An input has
``steps`` (method, fields, seconds to wait before), ``fields``, ``status`` and ``at_once``.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import django
from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends import base, locmem
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import re_path

BODY = b"0123456789"
asked: list[HttpRequest] = []
told: dict[str, Any] = {}


def view(request: HttpRequest) -> HttpResponse:
    """Answer what the input says, as an origin that knows conditions and ranges."""
    asked.append(request)
    if told["at_once"] and len(asked) == 1:
        # The second comes while the first is on its way.
        Client().get("/page")
    etag = next((value for name, value in told["fields"] if name.lower() == "etag"), None)
    headers = request.headers
    response = HttpResponse(BODY, status=told["status"])
    if etag is not None and headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    elif headers.get("Range") == "bytes=0-4":
        response = HttpResponse(BODY[:5], status=206)
        response["Content-Range"] = "bytes 0-4/10"
    for name, value in told["fields"]:
        if name.lower() == "set-cookie":
            cookie, _, content = value.partition("=")
            response.set_cookie(cookie, content)
        else:
            response[name] = value
    return response


urlpatterns = [re_path("", view)]


def play(one: dict[str, Any]) -> dict[str, Any]:
    """Ask as an input says."""
    cache.clear()
    asked.clear()
    told.update(one)
    response, before = None, 0
    for method, fields, wait in one["steps"]:
        clock.now += wait
        before = len(asked)
        response = Client(raise_request_exception=False).generic(method, "/page", headers=dict(fields))
    assert response is not None
    names = {name.lower() for name, _ in one["fields"]} & set(map(str.lower, response.headers))
    has_cookie = bool(response.cookies)
    return {
        "asked": len(asked) if one["at_once"] else len(asked) - before,
        "status": response.status_code,
        "fields": sorted(names | ({"set-cookie"} if has_cookie else set())),
    }


clock = SimpleNamespace(now=1e9)


def main() -> None:
    """Set Django up, and play every input."""
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        USE_I18N=False,
        MIDDLEWARE=[
            "django.middleware.cache.UpdateCacheMiddleware",
            "django.middleware.cache.FetchFromCacheMiddleware",
        ],
    )
    django.setup()
    # So that nobody waits.
    base.time = locmem.time = SimpleNamespace(time=lambda: clock.now)
    outcomes = [play(one) for one in json.load(sys.stdin)]
    json.dump({"version": django.get_version(), "outcomes": outcomes}, sys.stdout)


if __name__ == "__main__":
    main()
