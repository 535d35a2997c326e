"""Which settings does the demo run with beside sitecache, Redis and Prometheus? Its own, and sessions in Redis."""

import os

from demo.settings import *  # noqa: F403  a settings module is made to be extended like this

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["REDIS_URL"],
    }
}
