"""What does a KEY_FUNCTION do that an operator wrote without care? It keeps everybody waiting."""

from __future__ import annotations

import time


def make_key(key: str, key_prefix: str, version: int) -> str:
    """Return the key, a third of a second later."""
    time.sleep(0.3)
    return f"{key_prefix}:{version}:{key}"
