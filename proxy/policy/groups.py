"""In which groups is a response, and which groups does a write make invalid? (RFC 9875)

What is known of a group is when it became invalid last. A stored response stays what it is while each of its groups is
known, and has not become invalid since the response was generated: what a storage forgets of a group makes misses of
those in it, and never brings back what was invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

import http_sf

from proxy.message.fields import Fields
from proxy.message.heads import Request, Response
from proxy.policy.companions import page_of
from proxy.policy.key import PrimaryKey, normalise
from proxy.policy.stored import StoredResponse

_GROUPS = b"cache-groups"
_INVALIDATION = b"cache-group-invalidation"
#: No target has it; the key of a response for several URLs has, and each of several keys of one URL.
_SEVERAL = ord("#")
#: Data of a page that are asked for with another query each time: Next.js, Remix 2; React Router, SvelteKit, Nuxt.
_PAGE_DATA = re.compile(rb"[?&](?:_rsc|_data|_routes)=|(?:\.data|__data\.json|/_payload\.js(?:on)?)\?")


def groups_of(primary: PrimaryKey, request: Request, stored: StoredResponse) -> tuple[PrimaryKey, ...]:
    """Return the keys of the groups that a response to this request is in (§2.1).

    One that is for several URLs, or has one of several keys of its URL, is in the group of its path, too.
    """
    path = (group_of_path(request),) if _has_kin(primary) else ()
    if _GROUPS not in stored.head.lower():
        return path
    return path + _keys(request, stored.fields().get(_GROUPS))


def may_be_grouped(primary: PrimaryKey, stored: StoredResponse) -> bool:
    """Tell whether ``groups_of`` has to be asked: nearly no response is in any group."""
    return _has_kin(primary) or _GROUPS in stored.head.lower()


def _has_kin(primary: PrimaryKey) -> bool:
    """Tell whether a write to its path concerns what lies under a key, whatever else the key is made of."""
    return _SEVERAL in primary or (primary.find(b"?") >= 0 and _PAGE_DATA.search(primary) is not None)


def group_of_path(request: Request) -> PrimaryKey:
    """Return the key of all responses of a path that are for several URLs, or have one of several keys of theirs.

    A page and its data are one path here. No group has a name like it.
    """
    return _key(request, b"\n" + page_of(normalise(request.target.partition(b"?")[0])))


def invalidated_groups(request: Request, response: Response) -> tuple[PrimaryKey, ...]:
    """Return the keys of the groups that a successful unsafe request makes invalid (§3)."""
    if request.is_safe or not 200 <= response.status < 400:
        return ()
    return _keys(request, response.fields.get(_INVALIDATION))


def _keys(request: Request, value: bytes | None) -> tuple[PrimaryKey, ...]:
    """Read a List of Strings; a field that is anything else is as if it were not there."""
    return tuple(_key(request, name.encode("ascii")) for name in _names(value))


def group_names(fields: Fields) -> tuple[str, ...]:
    """Return the names of the groups that a response says it is in."""
    return tuple(_names(fields.get(_GROUPS)))


def _names(value: bytes | None) -> Iterable[str]:
    if value is None:
        return ()
    try:
        members = cast("list[tuple[object, object]]", http_sf.parse(value, tltype="list"))
    except (ValueError, OverflowError):
        return ()
    names = [item for item, _ in members]
    # The classes of Tokens and Display Strings are derived from it.
    if not all(type(name) is str for name in names):
        return ()
    return dict.fromkeys(cast("list[str]", names))


def _key(request: Request, name: bytes) -> PrimaryKey:
    """Return the key of a group of the request's origin; no resource has it, for theirs begin with a number."""
    scheme, host = request.scheme, request.host
    return PrimaryKey(b"group %d:%b%d:%b%d:%b" % (len(scheme), scheme, len(host), host, len(name), name))
