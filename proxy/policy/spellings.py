"""Readings of a path: the paths that servers take one target for, so that its route holds for each of them.

nginx and Apache decode once, merge slashes and resolve dot segments, escaped slashes among them; IIS and Node (WHATWG
URL) take a backslash for a slash, Node leaves %2F as it is; Tomcat, Jetty and Spring cut what follows a ``;`` in a
segment before they resolve; PHP and WSGI applications behind others may see the path as it was sent.
"""

from __future__ import annotations

import re
from itertools import product
from urllib.parse import unquote_to_bytes

_PERCENT, _PARAMETER, _BACKSLASH = map(ord, "%;\\")
#: Where a path is cut into segments: by who leaves escapes alone, by who reads backslashes, and by who decodes first.
_SEPARATORS = (re.compile(rb"/"), re.compile(rb"[/\\]"), re.compile(rb"/|\\|%2[Ff]|%5[Cc]"))
#: More segments than this are not looked at one by one: a target made of them would take longer than many requests.
_MOST_SEGMENTS = 256


def is_plain(path: bytes) -> bool:
    """Tell whether all servers read a path, which is not decoded, in one way."""
    # Numbers where they do, for CPython 3.11 takes ``b"%" in path`` for one first.
    if _PERCENT in path or _PARAMETER in path or _BACKSLASH in path:
        return False
    return path.find(b"//") < 0 and path.find(b"/.") < 0


def decoded(path: bytes) -> str:
    """Return a path decoded once; bytes that are no UTF-8 are kept."""
    return (unquote_to_bytes(path) if _PERCENT in path else path).decode("utf-8", "surrogateescape")


def readings(path: bytes, *, parameters: bool = True) -> tuple[str, ...] | None:
    """Return what servers take a path for, as it was sent first; None where it has too many segments to tell.

    With ``parameters``, what follows a ``;`` in a segment is no part of the path.
    """
    if is_plain(path):
        return (decoded(path),)
    if len(_SEPARATORS[-1].findall(path)) > _MOST_SEGMENTS:
        return None
    found = {decoded(path): None}
    cuts = (False, True) if parameters and (_PARAMETER in path or b"%3b" in path.lower()) else (False,)
    merges = (True, False) if path.count(b"/") + path.count(b"\\") + path.count(b"%") > 1 else (True,)
    for separator, cut, merged in product(_SEPARATORS, cuts, merges):
        found[_resolved(separator.split(path), cut=cut, merged=merged)] = None
    return tuple(found)


def _resolved(segments: list[bytes], *, cut: bool, merged: bool) -> str:
    """Return the path of these segments without its dot segments (RFC 3986 §5.2.4), decoded."""
    kept: list[str] = []
    last = ""
    for segment in segments[1:]:
        last = decoded(segment)
        if cut:
            last = last.partition(";")[0]
        if last == "..":
            if kept:
                kept.pop()
        elif last != "." and (last or not merged):
            kept.append(last)
    ends_in_slash = last in ("", ".", "..") and (not kept or merged or last != "")
    return "/" + "/".join(kept) + ("/" if ends_in_slash and kept else "")
