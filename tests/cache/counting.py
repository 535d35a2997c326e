"""Programs that use the caches, to be run as processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = """
import sys
from proxy.cache import cache, configure
configure({"CACHES": {"default": {"BACKEND": "file", "LOCATION": sys.argv[1]}}})
for number in range(int(sys.argv[2])):
    cache.incr("n")
print(cache.get("n") is not None)
"""

FORK = """
import os, sys
from proxy.cache import cache, configure
configure({"CACHES": {"default": {"BACKEND": "file", "LOCATION": sys.argv[1]}}})
cache.set("n", 0)
child = os.fork()
for number in range(20):
    cache.incr("n")
if child:
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), cache.get("n"))
"""


def command(script: str, *arguments: object) -> list[str]:
    """Return what starts the program; resources that are left open are shown on stderr."""
    return [sys.executable, "-W", "always::ResourceWarning", "-c", script, *map(str, arguments)]


ROOT = Path(__file__).parents[2]
