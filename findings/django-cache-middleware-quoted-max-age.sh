#!/usr/bin/env bash
# Django 5.2.19: its per-site cache answers 500 where a view says Cache-Control: max-age="60".
#
# RFC 9111 §5.2 has recipients take both forms of an argument, a token and a quoted string, whatever a sender ought to
# write. UpdateCacheMiddleware takes the least of the view's max-age and its own, and reads the view's with int(): the
# quotation marks make it raise ValueError. Without the middleware the same view answers 200; get_max_age, which reads the
# field for the same purpose a moment before, catches the error and goes on.
#
# Seen on 2026-12-01: "plain 200, cached 500 ValueError". Exits with 1 where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install Django==5.2.19
cat >"$folder/seen.py" <<'PY'
import django
from django.conf import settings

CACHE = ["django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"]
settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    LOGGING_CONFIG=None,
    ROOT_URLCONF=__name__,
    SECRET_KEY="none",
)
django.setup()

from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path


def page(request):
    return HttpResponse("page", headers={"Cache-Control": 'max-age="60"'})


urlpatterns = [path("", page)]


def asked(middleware):
    with override_settings(MIDDLEWARE=middleware):
        response = Client(raise_request_exception=False).get("/")
    error = response.exc_info[0].__name__ if getattr(response, "exc_info", None) else ""
    return f"{response.status_code} {error}".strip()


print(f"Django {django.__version__}: plain {asked([])}, cached {asked(CACHE)}")
PY
seen=$("$folder/venv/bin/python" "$folder/seen.py" 2>/dev/null)
echo "$seen"
[ "$seen" = "Django 5.2.19: plain 200, cached 500 ValueError" ]
