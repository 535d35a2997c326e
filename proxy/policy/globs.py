"""Which names or paths does a pattern with ``*`` mean?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

#: What fnmatch would read as more than itself. Here only ``*`` stands for anything.
_SPECIAL = re.compile(r"[\[?]")


def any_of(patterns: Iterable[str]) -> str:
    """Return a regular expression that matches what one of these patterns means as a whole; it ends with the text.

    fnmatch takes for each piece between two stars the first place where it occurs, and never gives that up. With
    ``.*`` for a star, a path of 4 KiB held the process up for 20 seconds.
    """
    return "|".join(translate(_SPECIAL.sub(r"[\g<0>]", pattern)) for pattern in patterns)
