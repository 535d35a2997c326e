"""Which cache fails, or holds nonsense, when a test says so? One in a directory, where a file says what it is to do."""

from __future__ import annotations

from pathlib import Path

FAILS, NONSENSE = "fails", "nonsense"


class FickleCache:
    """Keeps values in a dictionary."""

    def __init__(self, location, params):
        self.directory = Path(location)
        self.values = {}

    async def get(self, key):
        if (self.directory / FAILS).exists():
            raise OSError("as it was told")
        return b"nonsense" if (self.directory / NONSENSE).exists() else self.values.get(key)

    async def set(self, key, value, timeout):
        self.values[key] = value

    async def delete(self, key):
        return self.values.pop(key, None) is not None

    async def clear(self):
        self.values.clear()
