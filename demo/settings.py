"""Which settings does the demo run with?

It has no database: sessions and the guestbook live in the memory of its one process and end with it.
"""

import secrets
from pathlib import Path

SECRET_KEY = secrets.token_urlsafe(50)
DEBUG = False
# A demo is opened under whatever name its machine has.
ALLOWED_HOSTS = ["*"]

ROOT_URLCONF = "demo.urls"
INSTALLED_APPS = ["django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"

# A cookie that goes to every page makes every page personal, for all a cache can know. These go where they are needed.
SESSION_COOKIE_PATH = "/visitor/"
CSRF_COOKIE_PATH = "/guestbook/sign/"
LANGUAGE_COOKIE_PATH = "/language/"

USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español"), ("de", "Deutsch")]
