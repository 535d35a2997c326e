"""Where does libsasl find the mechanisms, without which nobody can log in to memcached?

The libsasl in the wheel of pylibmc looks where it was built only, and it looks once, when pylibmc is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

_MECHANISMS = ("usr/lib/*/sasl2/libplain.so*", "usr/lib*/sasl2/libplain.so*", "usr/local/lib/sasl2/libplain.so*")


def show_mechanisms(patterns: Sequence[str] = _MECHANISMS) -> str:
    """Set SASL_PATH, unless it is set, to where the system keeps them; return what may be wrong when a login fails.

    To be called before pylibmc is imported.
    """
    if os.environ.get("SASL_PATH"):
        return ""
    found = next(chain.from_iterable(map(Path("/").glob, patterns)), None)
    if found is None:
        return "no PLAIN mechanism of libsasl was found: install it (Debian: libsasl2-modules) or set SASL_PATH"
    if "pylibmc" in sys.modules:
        return f"where the wheel of pylibmc is used, set SASL_PATH={found.parent} before the program imports it"
    os.environ["SASL_PATH"] = str(found.parent)
    return ""
