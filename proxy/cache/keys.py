"""Under which key does a value lie, and does every store take it?"""

from __future__ import annotations

import re
from collections.abc import Iterator

MEMCACHE_MAX_KEY_LENGTH = 250

_REFUSED = re.compile(r"[\x00-\x20\x7f]")


def default_key_func(key: object, key_prefix: str, version: object) -> str:
    """Join prefix, version and key with colons, as Django does."""
    return f"{key_prefix}:{version}:{key}"


def objections(key: str, *, count_bytes: bool = False) -> Iterator[str]:
    """Say what memcached would have against the key, in Django's words; memcached itself counts the length in bytes."""
    length = len(key.encode(errors="surrogatepass")) if count_bytes else len(key)
    if length > MEMCACHE_MAX_KEY_LENGTH:
        longer = f"(longer than {MEMCACHE_MAX_KEY_LENGTH})"
        yield f"Cache key will cause errors if used with memcached: {key!r} {longer}"
    if _REFUSED.search(key):
        yield f"Cache key contains characters that will cause errors if used with memcached: {key!r}"
