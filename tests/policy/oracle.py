"""What does Django itself make of it? Its own functions, with settings that have only their defaults."""

from __future__ import annotations

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.utils.cache import add_never_cache_headers, patch_cache_control, patch_vary_headers

__all__ = [
    "HttpRequest",
    "HttpResponse",
    "add_never_cache_headers",
    "override_settings",
    "patch_cache_control",
    "patch_vary_headers",
]

if not settings.configured:
    settings.configure()
    django.setup()
